"""One statement over tables of files: who reads it, and what becomes of its values that do not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import pyarrow as pa

from connectors import arrow
from connectors.base import SourceQuery, Unfit
from connectors.duckdb import types as duckdb_types
from connectors.files.projection import handed_on, projection
from connectors.files.table import Opened, Policies, Work

_ROWS = 65_536  # that are handed on at once: a statement is stopped between them
Read = Callable[[pa.Array], pa.Array]


@dataclass(frozen=True, slots=True)
class Statement:
    """`reader`: the rows, where the only table's own reader gives them; else DuckDB does. `read` makes values of the
    texts as which columns with a policy were read, by the number of the column in the answer."""

    query: SourceQuery
    work: Work
    read: Mapping[int, Read]
    reader: Iterator[pa.RecordBatch] | None = None
    kept: Mapping[str, Policies] = field(default_factory=dict)  # by table

    @staticmethod
    def of(query: SourceQuery, used: Mapping[str, Opened], work: Work) -> Statement:
        """The statement over the tables that it mentions."""
        policies = {
            name: policy for name, (_, policy) in zip(query.stored, query.unfit, strict=False) if policy != "error"
        }
        plain = projection(query.sql) if not query.params and len(used) == 1 else None
        made = Statement(query, work, {}, None, {name: _own(name, policies) for name in used})
        for name, table in used.items() if plain is not None else ():
            if plain is not None and name.lower() == plain.table.lower():
                return made._directly(name, table, plain.columns)
        return made._through(used)

    def spared(self, table: str) -> Policies:
        """The columns of a table that are read as texts."""
        return self.kept.get(table, {})

    def batch(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows in the contract's form; SourceError HV004 where a value does not fit and may not be left out."""
        if self.reader is None:
            return duckdb_types.batch(rows, self.query, self.read)
        return arrow.assembled(self.query, rows.columns, self._given)

    def _given(self, at: int, values: pa.Array) -> pa.Array:
        kind = self.query.columns[at]
        if at in self.read:
            return arrow.conform(self.read[at](values), kind, f"c{at}")
        timed = pa.types.is_date32(values.type) or pa.types.is_timestamp(values.type)
        return arrow.dated(values, kind, f"c{at}") if timed else values

    def _through(self, used: Mapping[str, Opened]) -> Statement:
        """By DuckDB."""
        read: dict[int, Read] = {}
        for stored, (at, policy) in zip(self.query.stored, self.query.unfit, strict=False):
            for name, table in used.items():
                column = stored.removeprefix(f"{name}.")
                if policy == "null" and column in self.spared(name) and table.sql(self.work) is None:
                    read[at] = partial(table.fitted, column)
        return Statement(self.query, self.work, read, None, self.kept)

    def _directly(self, name: str, table: Opened, names: tuple[str, ...]) -> Statement:
        """By the table's own reader, where that may be."""
        spared = self.spared(name)
        columns = handed_on(self.query, table, names, spared)
        if columns is None:
            return self._through({name: table})
        read: dict[int, Read] = {}
        for at, column in enumerate(columns):
            if column.name in spared:
                read[at] = partial(_read, table, column.name, spared[column.name])
        batches = table.scan(list(dict.fromkeys(column.name for column in columns)), self.work, spared)
        chosen = (
            rows.slice(at, _ROWS).select([column.name for column in columns])
            for rows in batches
            for at in range(0, rows.num_rows, _ROWS)
        )
        return Statement(self.query, self.work, read, chosen, self.kept)


def _own(table: str, policies: Mapping[str, Unfit]) -> Policies:
    start = f"{table}."
    return {key.removeprefix(start): policy for key, policy in policies.items() if key.startswith(start)}


def _read(table: Opened, name: str, policy: Unfit, texts: pa.Array) -> pa.Array:
    return texts if policy == "text" else table.fitted(name, texts)
