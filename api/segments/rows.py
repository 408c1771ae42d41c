"""The customers that a segmentation is fitted to: what a statement gives its asker, as an Arrow file on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import IO, Any

import pyarrow as pa
from sqlglot import exp

from api.auth import Principal
from api.graphql.service import SETTINGS
from api.segments.request import From
from connectors.base import Cancel
from connectors.errors import LimitExceeded, QueryError
from federation.session import Session
from views.catalog import UPLOADS, Catalog
from views.validate import did_you_mean


def statement(source: From, columns: Sequence[str], catalog: Catalog) -> str:
    """The SELECT for what a request names; QueryError 42P01, 42703 for what there is not."""
    if source.sql is not None:
        return source.sql
    schema, _, name = (source.view or f"{UPLOADS}.{source.upload}").partition(".")
    relation = catalog.views.get((schema, name)) or catalog.tables.get((schema, name))
    if relation is None:
        known = [f"{s}.{n}" for s, n in (*catalog.views, *catalog.tables) if s == schema]
        raise QueryError(f"there is no {schema}.{name}", sqlstate="42P01", hint=did_you_mean(f"{schema}.{name}", known))
    _has(columns, [name for name, _ in relation.columns], f"{schema}.{name}")
    wanted = [exp.column(exp.to_identifier(column, quoted=True)) for column in columns]
    return exp.select(*wanted).from_(exp.table_(name, schema, quoted=True)).sql("postgres")


def _has(wanted: Sequence[str], found: Sequence[str], what: str) -> None:
    for name in wanted:
        if name not in found:
            raise QueryError(f'{what} has no column "{name}"', sqlstate="42703", hint=did_you_mean(name, found))


async def gather(
    engine: Any,
    sql: str,
    columns: Sequence[str],
    who: Principal,
    cancel: Cancel,
    into: IO[bytes],
    most: int,
    seconds: float,
) -> dict[str, str]:
    """Write the columns' rows, as `who` may see them; their PostgreSQL types by name."""
    session = Session(who.name, SETTINGS, timeout=seconds, protocol="http")
    prepared = await engine.prepare(sql, session)
    for schema, name in prepared.statement.relations:
        if not who.may_read((schema, name)):
            raise QueryError(f"permission denied for view {schema}.{name}", sqlstate="42501")
    if prepared.statement.params:
        raise QueryError("the statement has parameters, which a segmentation cannot give", sqlstate="42P02")
    result = await engine.run(prepared, [], session, cancel)
    try:
        names = [name for name, _ in result.columns]
        _has(columns, names, "the statement")
        at = [names.index(name) for name in columns]
        kinds = [result.columns[i][1] for i in at]
        schema = pa.schema([pa.field(name, kind.arrow) for name, kind in zip(columns, kinds, strict=True)])
        await _written(result, at, schema, into, most)
    finally:
        await result.aclose()
    return {name: kind.name for name, kind in zip(columns, kinds, strict=True)}


async def _written(result: Any, at: Sequence[int], schema: pa.Schema, into: IO[bytes], most: int) -> None:
    rows = 0
    with pa.ipc.new_stream(into, schema) as writer:
        async for batch in result.batches:
            rows += batch.num_rows
            if rows > most:
                hint = "segmentations.rows in vdw.yml is how many may be."
                raise LimitExceeded(f"there are more than {most:,} customers", sqlstate="54000", hint=hint)
            taken = pa.RecordBatch.from_arrays([batch.column(i) for i in at], schema=schema)
            await asyncio.to_thread(writer.write_batch, taken)
    into.flush()
