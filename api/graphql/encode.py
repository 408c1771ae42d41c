"""Flat rows as JSON, written in native code (arro3), equal to what the canon's own JSON functions write."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from typing import Any, cast

import arro3.core as arrow
import arro3.io as native
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from api.graphql.compile import Output
from connectors.types import PgType

FEW = 8  # rows up to which plain Python is faster than setting up the native writer
ROWS = 4096  # the writer holds the interpreter's lock, so it is given a little at a time

_EPOCH = dt.datetime(1970, 1, 1)
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999  # years 1 to 9999, as Python and Arrow print them
_TRAILING = r"(\.\d*[1-9])0*$|\.0+$"


async def chunks(batches: AsyncIterator[pa.RecordBatch], outputs: Sequence[Output]) -> AsyncIterator[bytes]:
    """The rows as the bytes of one JSON array, in pieces."""
    first = True
    async for batch in batches:
        for start in range(0, batch.num_rows, ROWS):
            body = array(batch.slice(start, ROWS), outputs)[1:-1]
            yield (b"[" if first else b",") + body
            first = False
    yield b"[]" if first else b"]"


def array(batch: pa.RecordBatch, outputs: Sequence[Output]) -> bytes:
    """The rows of a batch as a JSON array of objects with the outputs' keys."""
    if batch.num_rows <= FEW and not any(o.type.name == "float4" for o in outputs):
        return _few(batch, outputs)
    return _write(batch, outputs, native.write_json)


def lines(batch: pa.RecordBatch, outputs: Sequence[Output]) -> bytes:
    """The same as one JSON object a line."""
    return _write(batch, outputs, native.write_ndjson)


def _write(batch: pa.RecordBatch, outputs: Sequence[Output], write: Callable[..., None]) -> bytes:
    ready = {o.column: _ready(batch.column(o.column), o.type) for o in outputs if o.column >= 0}
    columns = [ready[o.column] if o.column >= 0 else pa.repeat(pa.scalar(o.text), batch.num_rows) for o in outputs]
    schema = pa.schema([pa.field(o.key, c.type) for o, c in zip(outputs, columns, strict=True)])
    buffer = io.BytesIO()
    write(arrow.RecordBatch.from_arrow(pa.RecordBatch.from_arrays(columns, schema=schema)), buffer, explicit_nulls=True)
    return buffer.getvalue()


def _few(batch: pa.RecordBatch, outputs: Sequence[Output]) -> bytes:
    columns = {o.column: _values(batch.column(o.column), o.type.name) for o in outputs if o.column >= 0}
    # A number that JSON does not have becomes null, here as in the native writer.
    return orjson.dumps(
        [{o.key: columns[o.column][i] if o.column >= 0 else o.text for o in outputs} for i in range(batch.num_rows)]
    )


def _values(column: pa.Array, name: str) -> list[Any]:
    shown = _SHOWN.get(name)
    if shown is None:
        return cast(list[Any], column.to_pylist())
    values = [scalar.value for scalar in column] if name in _RAW else column.to_pylist()
    return [None if value is None else shown(value) for value in values]


def _ready(column: pa.Array, type_: PgType) -> pa.Array:
    """The column in a form of which the writer makes what PostgreSQL's to_json makes."""
    name = type_.name
    if name in ("int8", "oid"):
        return column.cast(pa.string())
    if name in ("timestamp", "timestamptz"):
        return _timestamps(column, name == "timestamptz")
    if name == "date":
        return _dates(column)
    if name == "time":
        return _times(column)
    if name == "bytea":
        return pa.array([None if v is None else _hex(v) for v in column.to_pylist()], pa.string())
    if pa.types.is_decimal(column.type):
        # Not pyarrow's cast: it writes 1E-10.
        return pa.array(arrow.Array.from_arrow(column).cast(pa.string()))
    return column


def _timestamps(column: pa.Array, zoned: bool) -> pa.Array:
    micros = column.cast(pa.int64())
    suffix = "+00:00" if zoned else ""
    if not _within(micros, _FIRST, _LAST):
        return pa.array([None if v is None else _timestamp(v, suffix) for v in micros.to_pylist()], pa.string())
    text = pc.replace_substring(column.cast(pa.timestamp("us")).cast(pa.string()), " ", "T")
    text = _fraction(text, micros)
    return pc.binary_join_element_wise(text, suffix, "") if zoned else text


def _fraction(text: pa.Array, micros: pa.Array) -> pa.Array:
    """The texts without the trailing zeros of their fractions; the common case, no fraction at all, is cheap."""
    seconds = pc.multiply(pc.divide(micros, 1_000_000), 1_000_000)
    if pc.all(pc.equal(micros, seconds)).as_py() is not False:
        return pc.utf8_slice_codeunits(text, 0, -7)
    return pc.replace_substring_regex(text, _TRAILING, r"\1")


def _within(values: pa.Array, low: int, high: int) -> bool:
    least, most = pc.min_max(values).as_py().values()
    return least is None or (least >= low and most <= high)


def _timestamp(micros: int, suffix: str) -> str:
    if abs(micros) == 2**63 - 1:
        return "infinity" if micros > 0 else "-infinity"
    days, rest = divmod(micros, 86_400_000_000)
    day, era = _day(days)
    return f"{day}T{_clock(rest)}{suffix}{era}"


def _clock(micros: int) -> str:
    seconds, fraction = divmod(micros, 1_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:06}".rstrip("0") if fraction else text


def _dates(column: pa.Array) -> pa.Array:
    days = column.cast(pa.int32())
    if _within(days, _FIRST // 86_400_000_000, _LAST // 86_400_000_000):
        return column
    return pa.array([None if v is None else _date(v) for v in days.to_pylist()], pa.string())


def _date(days: int) -> str:
    if abs(days) == 2**31 - 1:
        return "infinity" if days > 0 else "-infinity"
    return "".join(_day(days))


def _day(days: int) -> tuple[str, str]:
    """A day outside Python's years as PostgreSQL prints it, and " BC" or nothing; calendars repeat after 400 years."""
    cycles = days // 146_097
    day = _EPOCH + dt.timedelta(days=days - cycles * 146_097)
    year = day.year + cycles * 400
    return f"{year if year > 0 else 1 - year:04}-{day:%m-%d}", "" if year > 0 else " BC"


def _hex(value: bytes) -> str:
    return "\\x" + value.hex()


def _plain(value: Decimal | str) -> str:
    return value if isinstance(value, str) else format(value, "f")


def _times(column: pa.Array) -> pa.Array:
    micros = column.cast(pa.int64())
    if not _within(micros, 0, 86_399_999_999):
        return pa.array([None if v is None else _clock(v) for v in micros.to_pylist()], pa.string())
    return _fraction(column.cast(pa.string()), micros)


# What of a value is shown where it is not itself; of the `_RAW` types as the integer that Arrow keeps.
_RAW = frozenset(("date", "time", "timestamp", "timestamptz"))
_SHOWN: dict[str, Callable[[Any], str]] = {
    "int8": str,
    "oid": str,
    "numeric": _plain,
    "bytea": _hex,
    "date": _date,
    "time": _clock,
    "timestamp": lambda value: _timestamp(value, ""),
    "timestamptz": lambda value: _timestamp(value, "+00:00"),
}
