"""Rows of mysqlclient, raw bytes as the server sent them -> Arrow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow
from connectors.base import SourceQuery
from connectors.errors import SourceError
from connectors.types import PgType

FLOAT, BIT = 4, 16  # field types of the wire protocol
Raw = Sequence[tuple[bytes | None, ...]]
Cells: TypeAlias = Sequence[bytes | None] | pa.BinaryArray


def to_batch(rows: Raw, fields: Sequence[int], query: SourceQuery) -> pa.RecordBatch:
    """Rows (each a tuple of raw bytes) with the wire's field types, as a record batch of the expected columns."""
    return _batch(list(zip(*rows, strict=True)) if rows else [()] * len(fields), fields, query)


def gathered(pieces: Iterator[Raw], enough: int, fields: Sequence[int], query: SourceQuery) -> pa.RecordBatch:
    """Pieces of rows as one batch, until about `enough` bytes are there. Each piece becomes arrays of bytes while it is
    in the processor's cache; the types are parsed of all at once, as Arrow's kernels take long to get going."""
    made: list[list[pa.Array]] = []
    size = 0
    for rows in pieces:
        made.append([pa.array(values, pa.binary()) for values in zip(*rows, strict=True)])
        size += sum(array.nbytes for array in made[-1])
        if size >= enough:
            break
    return _batch([pa.concat_arrays(parts) for parts in zip(*made, strict=True)], fields, query)


def _batch(raw: Sequence[Cells], fields: Sequence[int], query: SourceQuery) -> pa.RecordBatch:
    columns = query.columns
    if len(fields) != len(columns):
        raise SourceError(f"the source delivers {len(fields)} columns where {len(columns)} were planned")
    return arrow.assembled(query, raw, lambda at, values: _column(values, fields[at], columns[at], f"c{at}"))


def _column(values: Cells, field: int, column: PgType, name: str) -> pa.Array:
    if field == BIT and column.name != "bytea":
        return _bits(values, column, name)
    if field == FLOAT and column.name != "text":
        raise arrow.mistyped(name, "a FLOAT, of which the server prints six digits only", column, "read it as real")
    return arrow.from_bytes(values, column, name)


def _bits(cells: Cells, column: PgType, name: str) -> pa.Array:
    values = cells.to_pylist() if isinstance(cells, pa.Array) else cells
    numbers = pa.array([None if value is None else int.from_bytes(value, "big") for value in values], pa.uint64())
    if column.name == "text":
        return pa.array([None if number is None else f"{number:b}" for number in numbers.to_pylist()], pa.string())
    if column.name != "bool":
        return arrow.conform(numbers, column, name)
    if pc.max(numbers).as_py() not in (None, 0, 1):
        raise arrow.mistyped(name, "a bit string", column)
    return numbers.cast(pa.bool_())
