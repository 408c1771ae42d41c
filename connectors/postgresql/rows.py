"""Rows of PostgreSQL's two drivers -> Arrow: binary values of psycopg, record batches of ADBC."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow
from connectors.base import SourceQuery
from connectors.errors import SourceError
from connectors.types import PgType

EPOCH_DAYS = 10_957  # 2000-01-01, PostgreSQL's epoch, in days and microseconds since Arrow's
EPOCH_US = EPOCH_DAYS * arrow.US_PER_DAY
FEW = 100  # rows
_TEXTS = frozenset({25, 1043})
_INT64 = 2**63 - 1
_INT32 = 2**31 - 1
_LEAST_US = -211_000_000_000_000_000  # a little before 4713 BC, the first instant that PostgreSQL has
_float4 = struct.Struct("!f").unpack
_float8 = struct.Struct("!d").unpack


class Unfit(Exception):
    """A value beyond what its Arrow form holds; says of what kind."""


def from_result(result: Any, query: SourceQuery) -> pa.RecordBatch:
    """A psycopg.pq.PGresult in binary format, as one record batch of the expected columns."""
    columns = query.columns
    _check_width(result.nfields, columns)
    made = few(result, columns)
    if made is not None:
        return made
    rows = range(result.ntuples)
    raw = [[result.get_value(row, index) for row in rows] for index in range(len(columns))]
    return arrow.assembled(query, raw, lambda at, values: _decoded(values, result.ftype(at), columns[at], f"c{at}"))


def _decoded(raw: Sequence[bytes | None], oid: int, column: PgType, name: str) -> pa.Array:
    decode, carrier = _decoder(oid, column, name)
    try:
        values = [None if value is None else decode(value) for value in raw]
    except Unfit as kind:
        raise arrow.unfit(name, str(kind), column) from None
    return _as(pa.array(values, carrier), oid, column, name)


def few(result: Any, columns: Sequence[PgType]) -> pa.RecordBatch | None:
    """The same, for a few rows whose values go into their columns as they come; None where something does not."""
    if result.ntuples > FEW or not columns:
        return None
    plan = _direct(tuple([result.ftype(index) for index in range(result.nfields)]), tuple(columns))
    if plan is not None:
        # What does not fit is blamed on its column by the way for many.
        with contextlib.suppress(pa.ArrowException, ArithmeticError, ValueError, Unfit):
            return _few(result, plan)
    return None


def _few(result: Any, plan: tuple[pa.DataType, Sequence[Callable[[bytes], Any]]]) -> pa.RecordBatch:
    """All columns at once, as one array of structs: setting up an array for each would take longer than the query."""
    form, decoders = plan
    numbered = list(enumerate(decoders))
    values = [
        tuple([None if (raw := result.get_value(row, at)) is None else decode(raw) for at, decode in numbered])
        for row in range(result.ntuples)
    ]
    return pa.RecordBatch.from_struct_array(pa.array(values, form))


@lru_cache(1024)
def _direct(
    oids: tuple[int, ...], columns: tuple[PgType, ...]
) -> tuple[pa.DataType, Sequence[Callable[[bytes], Any]]] | None:
    """The struct of the columns and what decodes them, where every value goes into its column as it comes."""
    decoders = []
    for oid, column in zip(oids, columns, strict=True):
        decode, carrier = _DECODERS.get(oid, (bytes, pa.null()))
        if pa.types.is_decimal(column.arrow) and oid in _TEXTS:
            decode = _decimal
        elif _VIEWS.get(oid, carrier) != column.arrow or column.name == "bpchar":
            return None
        decoders.append(decode)
    return pa.struct([pa.field(f"c{i}", column.arrow) for i, column in enumerate(columns)]), decoders


def from_batch(batch: pa.RecordBatch, query: SourceQuery) -> pa.RecordBatch:
    """A record batch of ADBC as the expected columns, its garbled infinities put right."""
    columns = query.columns
    _check_width(batch.num_columns, columns)
    return arrow.assembled(query, batch.columns, lambda at, values: _repaired(values, columns[at], f"c{at}"))


def _check_width(have: int, columns: Sequence[PgType]) -> None:
    if have != len(columns):
        raise SourceError(f"the source delivers {have} columns where {len(columns)} were planned")


def _decoder(oid: int, column: PgType, name: str) -> tuple[Callable[[bytes], Any], pa.DataType]:
    try:
        return _DECODERS[oid]
    except KeyError:
        raise arrow.mistyped(name, f"values of the type with oid {oid}", column) from None


def _as(values: pa.Array, oid: int, column: PgType, name: str) -> pa.Array:
    return arrow.conform(values.view(_VIEWS[oid]) if oid in _VIEWS else values, column, name)


def _integer(value: bytes) -> int:
    return int.from_bytes(value, "big", signed=True)


def _date(value: bytes) -> int:
    days = int.from_bytes(value, "big", signed=True)
    if days == _INT32:
        return _INT32
    return -_INT32 if days == -_INT32 - 1 else days + EPOCH_DAYS


def _instant(value: bytes) -> int:
    micros = int.from_bytes(value, "big", signed=True)
    if micros == _INT64:
        return _INT64
    if micros == -_INT64 - 1:
        return -_INT64
    if micros > _INT64 - EPOCH_US:
        raise Unfit("an instant after the year 294246")
    return micros + EPOCH_US


def _text(value: bytes) -> str:
    return str(value, "utf-8")


def _decimal(value: bytes) -> Decimal:
    return Decimal(str(value, "ascii"))


_DECODERS: dict[int, tuple[Callable[[bytes], Any], pa.DataType]] = {
    16: (lambda value: value == b"\x01", pa.bool_()),
    17: (bytes, pa.binary()),
    20: (_integer, pa.int64()),
    21: (_integer, pa.int16()),
    23: (_integer, pa.int32()),
    25: (_text, pa.string()),
    114: (_text, pa.string()),
    700: (lambda value: _float4(value)[0], pa.float32()),
    701: (lambda value: _float8(value)[0], pa.float64()),
    1042: (_text, pa.string()),
    1043: (_text, pa.string()),
    1082: (_date, pa.int32()),
    1083: (_integer, pa.int64()),
    1114: (_instant, pa.int64()),
    1184: (_instant, pa.int64()),
}
_VIEWS = {
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
}


def _repaired(values: pa.Array, column: PgType, name: str) -> pa.Array:
    """ADBC moves PostgreSQL's epoch without a look at the infinities, which wrap around."""
    if pa.types.is_date32(values.type):
        return arrow.conform(_unwrap(values, pa.int32(), _INT32, EPOCH_DAYS, 32), column, name)
    if pa.types.is_timestamp(values.type):
        repaired = _unwrap(values, pa.int64(), _INT64, EPOCH_US, 64)
        if pc.any(_beyond(repaired)).as_py():
            raise arrow.unfit(name, "an instant after the year 294246", column)
        return arrow.conform(repaired, column, name)
    return arrow.conform(values, column, name)


def _unwrap(values: pa.Array, storage: pa.DataType, top: int, epoch: int, bits: int) -> pa.Array:
    numbers = values.view(storage)
    infinity, minus = top + epoch - 2**bits, -top - 1 + epoch
    least = pc.min(numbers).as_py()
    if least is None or least > max(infinity, minus):
        return values
    numbers = pc.if_else(pc.equal(numbers, pa.scalar(infinity, storage)), pa.scalar(top, storage), numbers)
    numbers = pc.if_else(pc.equal(numbers, pa.scalar(minus, storage)), pa.scalar(-top, storage), numbers)
    return numbers.view(values.type)


def _beyond(values: pa.Array) -> pa.Array:
    numbers = values.view(pa.int64())
    return pc.and_(pc.less(numbers, _LEAST_US), pc.greater(numbers, -_INT64))
