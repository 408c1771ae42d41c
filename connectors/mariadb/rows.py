"""Rows as the server sent them, raw bytes of the wire or of mysqlclient -> Arrow."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow
from connectors.base import SourceQuery
from connectors.errors import SourceError
from connectors.mariadb.drivers import Session
from connectors.mariadb.wire import Wire, plain
from connectors.types import PgType

_PIECE = 1024  # rows that are Python objects at once: more of them leave the processor's cache
FLOAT, BIT = 4, 16  # field types of the wire protocol
Raw = Sequence[tuple[bytes | None, ...]]
Arrays = list[pa.Array]
Cells: TypeAlias = Sequence[bytes | None] | pa.BinaryArray


def to_batch(rows: Raw, fields: Sequence[int], query: SourceQuery) -> pa.RecordBatch:
    """Rows (each a tuple of raw bytes) with the wire's field types, as a record batch of the expected columns."""
    return _batch(list(zip(*rows, strict=True)) if rows else [()] * len(fields), fields, query)


def stored(result: Any, query: SourceQuery) -> pa.RecordBatch:
    """All rows. Freeing the result uses the connection: none may outlive the lease, in a variable of a generator."""
    return to_batch(result.fetch_row(0), _fields(result), query)


def answer(session: Session) -> tuple[list[int], Generator[Arrays, None, None]]:
    """The types of an answer that has begun to come, and its rows by pieces: an array of bytes for each column."""
    if plain(session.descriptor):
        wire = Wire(session.descriptor)
        return wire.fields, wire.pieces()
    session.connection.read_query_result()
    result = session.connection.use_result()
    return _fields(result), _pieces(result)


def _fields(result: Any) -> list[int]:
    return [field[1] for field in result.describe()]


def _pieces(result: Any) -> Generator[Arrays, None, None]:
    while rows := result.fetch_row(_PIECE):
        yield [pa.array(values, pa.binary()) for values in zip(*rows, strict=True)]


def gathered(pieces: Iterator[Arrays], fields: Sequence[int], query: SourceQuery, enough: int) -> pa.RecordBatch | None:
    """Pieces of an answer as one batch, until about `enough` bytes are there; None where there are none. Types are
    parsed of all at once, as Arrow's kernels take long to get going."""
    made: list[Arrays] = []
    size = 0
    for piece in pieces:
        made.append(piece)
        size += sum(array.nbytes for array in piece)
        if size >= enough:
            break
    return _batch([pa.concat_arrays(parts) for parts in zip(*made, strict=True)], fields, query) if made else None


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
