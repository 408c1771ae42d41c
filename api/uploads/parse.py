"""A file of any format into the Parquet file that is served: each value checked, bounded in rows, bytes and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from api.uploads import cells
from api.uploads.describe import Description
from api.uploads.formats import Csv, Json, Reader, Values
from connectors.errors import LimitExceeded, QueryError

BATCH = 8192  # rows
TOO_LARGE = "54000"  # program_limit_exceeded: it will never fit

Row = tuple[Any, Values]


def _xml(stream: IO[bytes], description: Description) -> Reader:
    from api.uploads.xml_rows import Xml

    return Xml(stream, description)


def _parquet(stream: IO[bytes], description: Description) -> Reader:
    from api.uploads.parquet_rows import Parquet

    return Parquet(stream, description)


READERS: dict[str, Callable[[IO[bytes], Description], Reader]] = {
    "csv": Csv,
    "json": Json,
    "xml": _xml,
    "parquet": _parquet,
}


@dataclass(slots=True)
class Parsed:
    """What came of a file: its rows, and of each column how many have no value."""

    rows: int = 0
    missing: dict[str, int] = field(default_factory=dict)


def parse(stream: IO[bytes], form: str, description: Description, into: Path, most: int) -> Parsed:
    """Write the rows to `into`; QueryError with the place of the first thing at fault, LimitExceeded past `most`."""
    reader = READERS[form](stream, description)
    columns = _Columns(reader, description)
    parsed = Parsed(missing={a.name: 0 for a in description.kept})
    records = reader.records()
    with pq.ParquetWriter(into, description.schema, compression="zstd") as writer:
        for batch in _batches(records, columns):
            parsed.rows += batch.num_rows
            if parsed.rows > most:
                hint = "uploads.rows in vdw.yml is how many may come at once."
                raise LimitExceeded(f"the file has more than {most:,} rows", sqlstate=TOO_LARGE, hint=hint)
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                parsed.missing[name] += column.null_count
            writer.write_batch(batch)
    return parsed


def _batches(records: Iterator[Row], columns: _Columns) -> Iterator[pa.RecordBatch]:
    while rows := list(islice(records, BATCH)):
        yield columns.batch(rows)


class _Columns:
    """Makes batches of rows, column by column."""

    def __init__(self, reader: Reader, description: Description) -> None:
        self._reader, self._attributes, self._schema = reader, description.kept, description.schema
        self._converters = [cells.converter(a, description) for a in self._attributes]
        self._key = next((i for i, a in enumerate(self._attributes) if a.role == "key"), None)
        self._keys: dict[Any, Any] = {}  # where each stood

    def batch(self, rows: list[Row]) -> pa.RecordBatch:
        """QueryError with the place of a value at fault."""
        arrays = []
        for i, convert in enumerate(self._converters):
            try:
                values = [convert(row[1][i]) for row in rows]
            except cells.Unfit:
                raise self._fault(rows, i) from None
            if i == self._key:
                self._unique(rows, values, i)
            arrays.append(pa.array(values, self._schema.field(i).type))
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _fault(self, rows: list[Row], i: int) -> QueryError:
        """Of the first value of that column that is at fault."""
        for mark, values in rows:
            try:
                self._converters[i](values[i])
            except cells.Unfit as why:
                return cells.unfit(self._attributes[i], values[i], why, self._reader.place(mark, i))
        raise AssertionError("a value was at fault, and is no more")

    def _unique(self, rows: list[Row], values: list[Any], i: int) -> None:
        for (mark, _), value in zip(rows, values, strict=True):
            if value in self._keys:
                before = self._reader.place(self._keys[value], i)
                raise QueryError(
                    f'attribute "{self._attributes[i].name}" is the key, and this value stood before ({before})',
                    sqlstate="23505",
                    place=self._reader.place(mark, i),
                )
            self._keys[value] = mark
