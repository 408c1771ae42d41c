"""One statement to DuckDB: parameters bound, columns cast to what Arrow can make of them."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from connectors.base import SourceQuery
from connectors.duckdb import types as duckdb_types
from connectors.errors import SourceError
from connectors.lists import listed

BATCH_ROWS = 8192  # a wide row takes a kilobyte: some MB at a time


def answer(cursor: duckdb.DuckDBPyConnection, query: SourceQuery, place: str) -> pa.RecordBatchReader:
    """The rows as DuckDB gives them, for `duckdb_types.batch`; SourceError where it gives other columns than asked."""
    encoded = [duckdb_types.encode(bound, place) for bound in query.params]
    marks = {
        i: f"SELECT unnest({encoded[part][0]})" if listed(query, i) else encoded[part][0]
        for i, part in enumerate(query.parts)
        if isinstance(part, int)
    }
    text = "".join(part if isinstance(part, str) else marks[i] for i, part in enumerate(query.parts))
    values = [encoded[part][1] for part in query.parts if isinstance(part, int)]
    relation = cursor.sql(text, params=values)
    if len(relation.types) != len(query.columns):
        raise SourceError(f"{len(relation.types)} columns came where {len(query.columns)} were asked")
    casts = [duckdb_types.cast(str(kind), want) for kind, want in zip(relation.types, query.columns, strict=True)]
    if any(casts):
        names = [f"c{number}" for number in range(len(casts))]
        columns = (f"CAST({name} AS {kind})" if kind else name for name, kind in zip(names, casts, strict=True))
        text = f"SELECT {', '.join(columns)} FROM ({text}) AS q({', '.join(names)})"  # noqa: S608 -- types are ours
        relation = cursor.sql(text, params=values)
    return relation.to_arrow_reader(BATCH_ROWS)
