"""A table that we read ourselves, as something DuckDB can scan again and again, asking only for what it needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from connectors.base import Column
from connectors.duckdb.schema import quote
from connectors.duckdb.types import natural
from connectors.files.table import NONE, Opened, Policies, Work
from connectors.types import PgType


class Stream:
    """Registered in DuckDB: each scan of it reads the table anew. `fault` is what went wrong, in its own class."""

    def __init__(self, table: Opened, names: Sequence[str], work: Work, spared: Policies = NONE) -> None:
        self.fault: BaseException | None = None
        self._table, self._work, self._spared = table, work, spared
        kinds = {column.name: column.type for column in table.columns}
        self._names = list(names)
        self._schema = pa.schema(
            [pa.field(name, pa.string() if name in spared else kinds[name].arrow) for name in names]
        )

    def __arrow_c_schema__(self) -> Any:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._table.scan(self._names, self._work, self._spared):
                self._work.check()
                yield batch
        except GeneratorExit:
            raise
        except BaseException as fault:
            self.fault = self.fault or fault
            raise


def selected(columns: Sequence[Column], source: str, spared: Policies = NONE) -> str:
    """DuckDB's SELECT over a stream, its texts in the types that DuckDB computes in, but for those of `spared`."""
    return f"SELECT {', '.join(_cast(column, spared) for column in columns)} FROM {source}"  # noqa: S608 -- quoted


def _cast(column: Column, spared: Policies) -> str:
    name = quote(column.name)
    if column.name not in spared and column.type.name in ("uuid", "json"):
        return f"CAST({name} AS {_DUCKDB[column.type.name]}) AS {name}"
    return name


_DUCKDB = {"uuid": natural(PgType("uuid")), "json": "JSON"}
