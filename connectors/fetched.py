"""Fetched rows through a statement's filter, projection and limit: as they come, until enough are there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

import duckdb
import pyarrow as pa

from connectors import arrow
from connectors.asked import Asked, filtering
from connectors.base import Bound, SourceQuery
from connectors.errors import SourceError
from connectors.evaluated import Evaluator
from connectors.json_rows import marked
from connectors.types import PgType
from connectors.web import Asking

_ROWS = 8192


class Fetched:
    """What one statement makes of its table's rows."""

    def __init__(
        self,
        asked: Asked,
        query: SourceQuery,
        evaluator: Evaluator,
        left: Counter[str],
        faults: Mapping[str, SourceError],
    ) -> None:
        self._faults = faults
        self._asked, self._query, self._evaluator, self._left_out = asked, query, evaluator, left
        self._left = self._number(asked.limit)
        self._skip = self._number(asked.offset) or 0

    def batches(self, rows: Iterator[pa.Table], asking: Asking) -> Iterator[pa.RecordBatch]:
        """The answer; `rows` are taken only as far as they are needed. At least one batch."""
        empty, cancel = True, asking.cancel
        with self._evaluator.cursor(cancel) as cursor:
            whole = self._asked.rowwise
            for table in _gathered(rows, patient=self._left is None) if whole else _all(rows):
                cancel.check()
                if self._faults:
                    table = self._sound(cursor, table)
                made = self._plain(table)
                made = self._evaluator.run(cursor, self._asked.table, table, self._bounded()) if made is None else made
                for batch in self._cut(made) if whole else made:
                    empty = False
                    yield self._told(batch)
                if whole and self._left == 0:
                    break
        if empty:
            yield arrow.empty(self._query.columns)

    def _sound(self, cursor: duckdb.DuckDBPyConnection, table: pa.Table) -> pa.Table:
        """The rows, once it is sure that the filter drops those with values at fault; else their error."""
        columns = [name for name in self._faults if marked(name) in table.column_names]
        if columns:
            parts = filtering(self._query.parts, tuple(marked(name) for name in columns))
            if parts is None:
                raise self._faults[columns[0]]
            query = SourceQuery(parts, self._query.params, (PgType("bool"),) * len(columns))
            (found,) = self._evaluator.run(cursor, self._asked.table, table, query)
            for name, passes in zip(columns, found.to_pylist()[0].values(), strict=True):
                if passes:
                    raise self._faults[name]
        return table.drop_columns([marked(name) for name in columns])

    def _told(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """With the number of values that came to be NULL since the last, as they did not fit."""
        if not self._query.unfit or not self._left_out.total() or self._asked.output is None:
            return batch
        names = {name: at for at, name in enumerate(self._asked.output)}
        left = {names[name]: count for name, count in self._left_out.items() if count}
        self._left_out.clear()
        return batch.replace_schema_metadata({arrow.LEFT_OUT: json.dumps(left)})

    def _plain(self, table: pa.Table) -> list[pa.RecordBatch] | None:
        """Columns as they are, where nothing is filtered or computed."""
        asked = self._asked
        if not asked.rowwise or asked.filtered or asked.output is None:
            return None
        columns = [table.column(name).combine_chunks() for name in asked.output]
        pairs = zip(columns, self._query.columns, strict=True)
        made = [arrow.conform(_one(array), kind, f"c{at}") for at, (array, kind) in enumerate(pairs)]
        return [arrow.batch(made, self._query.columns)] if table.num_rows else []

    def _bounded(self) -> SourceQuery:
        """The statement over a part of the rows: as many as are still wanted, those to be skipped included."""
        asked, params = self._asked, list(self._query.params)
        if not asked.rowwise:
            return self._query
        if asked.limit is not None and self._left is not None:
            params[asked.limit] = Bound(params[asked.limit].type, self._left + self._skip)
        if asked.offset is not None:
            params[asked.offset] = Bound(params[asked.offset].type, 0)
        return replace(self._query, params=tuple(params))

    def _cut(self, batches: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Without those to be skipped, and no more than are wanted."""
        for batch in batches:
            gone = min(self._skip, batch.num_rows)
            self._skip -= gone
            batch = batch.slice(gone, batch.num_rows - gone if self._left is None else self._left)
            if self._left is not None:
                self._left -= batch.num_rows
            if batch.num_rows:
                yield batch

    def _number(self, at: int | None) -> int | None:
        value = None if at is None else self._query.params[at].value
        return None if value is None else int(value)


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _gathered(rows: Iterator[pa.Table], *, patient: bool) -> Iterator[pa.Table]:
    """Small pages put together, the first alone, so that rows come soon and few statements are needed for many."""
    waiting: list[pa.Table] = []
    wanted = 1
    for table in rows:
        waiting.append(table)
        if not patient or sum(each.num_rows for each in waiting) >= wanted:
            yield pa.concat_tables(waiting, promote_options="default")
            waiting, wanted = [], min(max(2 * wanted, 512), _ROWS)
    if waiting:
        yield pa.concat_tables(waiting, promote_options="default")


def _all(rows: Iterator[pa.Table]) -> Iterator[pa.Table]:
    tables = list(rows)
    if tables:
        yield pa.concat_tables(tables, promote_options="default")
