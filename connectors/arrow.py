"""Drivers' values -> the Arrow array that a PostgreSQL type travels in; strict: what does not fit is an error."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors import decimals
from connectors.base import SourceQuery
from connectors.errors import SourceError
from connectors.types import PgType

US_PER_DAY = 86_400_000_000
KEY = "TABLE.COLUMN"  # stands for the column's name, which connectors do not know
POLICY = f"write unfit: {{{KEY}: null}} in the source's file to read them as NULL, or text for what it prints"
REMEDY = "exclude such rows with a filter, or correct them or the column's type at the source"
LEFT_OUT = b"vdw.left_out"  # metadata of a batch: JSON, column -> number of its values that did not fit and are NULL
_DATES = (-2_440_588, 2_145_042_905)  # days of 4714-11-24 BC and 5874897-12-31, PostgreSQL's first and last
_FEW = 32  # values up to which Python's own parsing is quicker than Arrow's kernels
_FEW_FROM_BYTES: dict[str, Callable[[bytes], Any]] = {"int2": int, "int4": int, "int8": int, "float8": float}
_BOOLS = {"0": False, "1": True, "f": False, "t": True, "false": False, "true": True}
_TIME = re.compile(r"(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,6}))?")
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"


class UnfitError(SourceError):
    """HV004: a value that the type cannot hold. The source's file may say that it is NULL, or text."""

    sqlstate = "HV004"


def unfit(column: str, kind: str, expected: PgType, remedy: str = "") -> UnfitError:
    """HV004: a value of `kind` (never the value itself: it is somebody's data) that the type cannot hold."""
    return UnfitError(
        f"column {column} holds {kind}, which {expected.sql} cannot hold",
        hint=f"{remedy or REMEDY}; or {POLICY}",
    )


def mistyped(column: str, what: str, expected: PgType, remedy: str = "") -> SourceError:
    """HV004: all that the driver gives is of another form than was asked, which no policy changes."""
    return SourceError(
        f"column {column} holds {what}, which {expected.sql} cannot hold",
        sqlstate="HV004",
        hint=remedy or "this is a fault of the connector: report it",
    )


def conform(values: pa.Array, expected: PgType, column: str) -> pa.Array:
    """`values` of whatever Arrow type a driver gave, as `expected.arrow`; SourceError HV004 where that would lose.

    Strings are parsed, integers and decimals widened; nothing is rounded, truncated or reinterpreted.
    """
    target = expected.arrow
    if values.type == target:
        return _checked_text(values, expected, column) if pa.types.is_string(target) else values
    if pa.types.is_string(values.type):
        return from_text(values, expected, column)
    if pa.types.is_null(values.type) or _widens(values.type, target):
        try:
            if pa.types.is_decimal(values.type) and pa.types.is_string(target):
                scale = expected.precision_scale[1] if expected.name == "numeric" and expected.mod >= 0 else None
                return decimals.printed(values, scale)
            return values.cast(target, safe=True)
        except pa.ArrowInvalid:
            raise unfit(column, "a number out of range", expected) from None
    raise mistyped(column, f"values of the driver's type {values.type}", expected)


def dated(values: pa.Array, expected: PgType, column: str) -> pa.Array:
    """Dates or instants, checked to be some that PostgreSQL has, its infinities among them; else HV004."""
    days = pa.types.is_date32(values.type)
    numbers = values.view(pa.int32() if days else pa.int64())
    least, last, infinity = (*_DATES, 2**31 - 1) if days else (_DATES[0] * US_PER_DAY, 2**63 - 1, 2**63 - 1)
    ends = pc.min_max(numbers)
    if ends["min"].is_valid and (ends["min"].as_py() < least or ends["max"].as_py() > last):
        finite = pc.and_(pc.not_equal(numbers, infinity), pc.not_equal(numbers, -infinity))
        if pc.any(pc.and_(finite, pc.less(numbers, least))).as_py():
            raise unfit(column, "a date before 4714 BC", expected)
        if pc.any(pc.and_(finite, pc.greater(numbers, last))).as_py():
            raise unfit(column, "a date after the year 5874897", expected)
    return values


def from_text(values: pa.Array, expected: PgType, column: str) -> pa.Array:
    """Strings as a server prints them (ISO dates and times, UTC), as `expected.arrow`; HV004 where they do not fit."""
    target = expected.arrow
    if pa.types.is_string(target):
        return _checked_text(values, expected, column)
    convert = _FROM_TEXT.get(expected.name, _cast)
    try:
        return convert(values, target)
    except (pa.ArrowInvalid, ValueError):
        raise _blame(values, target, convert, expected, column) from None


def from_bytes(values: Sequence[bytes | None] | pa.BinaryArray, expected: PgType, column: str) -> pa.Array:
    """Values as a driver's raw bytes: UTF-8 text of the server, or the bytes themselves for bytea."""
    if isinstance(values, pa.Array):
        raw = values
    else:
        if len(values) <= _FEW and (parse := _FEW_FROM_BYTES.get(expected.name)):
            with contextlib.suppress(ValueError, pa.ArrowInvalid, OverflowError):
                return pa.array([None if value is None else parse(value) for value in values], expected.arrow)
        raw = pa.array(values, pa.binary())
    if expected.name == "bytea":
        return raw
    try:
        return from_text(raw.cast(pa.string()), expected, column)
    except pa.ArrowInvalid:
        raise unfit(column, "text that is not UTF-8", expected) from None


def batch(arrays: Sequence[pa.Array], columns: Sequence[PgType]) -> pa.RecordBatch:
    """Arrays as a record batch with the columns c0, c1, ..."""
    return pa.RecordBatch.from_arrays(list(arrays), schema=_schema(tuple(columns)))


def assembled(query: SourceQuery, columns: Sequence[Any], convert: Callable[[int, Any], pa.Array]) -> pa.RecordBatch:
    """The batch of an answer: `convert(i, columns[i])` makes the array of column i, of all its values or of a slice.

    Where the query says so, a value that raises `UnfitError` becomes NULL, and the batch tells how many did
    (`left_out`), or text. Every connector makes its batches by this function, so that all keep these policies.
    """
    if not query.unfit:
        return batch([convert(at, values) for at, values in enumerate(columns)], query.columns)
    policies, left, arrays = dict(query.unfit), {}, []
    for at, values in enumerate(columns):
        if policies.get(at, "error") == "error":
            arrays.append(convert(at, values))
            continue
        kind = query.columns[at].arrow
        array, misfits = _spared(values, partial(convert, at), kind, policies[at] == "text")
        arrays.append(array)
        if misfits:
            left[at] = misfits
    made = batch(arrays, query.columns)
    return made.replace_schema_metadata({LEFT_OUT: json.dumps(left)}) if left else made


def left_out(batch: pa.RecordBatch | pa.Table) -> Mapping[int, int]:
    """How many values of which column of a batch are NULL because they did not fit."""
    told = (batch.schema.metadata or {}).get(LEFT_OUT)
    return {} if told is None else {int(at): count for at, count in json.loads(told).items()}


def together(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of one answer as one, which tells of all that was left out of them."""
    if len(batches) == 1:
        return batches[0]
    left = sum((Counter(left_out(one)) for one in batches), Counter[int]())
    made = pa.concat_batches([one.replace_schema_metadata(None) for one in batches] if left else batches)
    return made.replace_schema_metadata({LEFT_OUT: json.dumps(left)}) if left else made


def _spared(values: Any, make: Callable[[Any], pa.Array], kind: pa.DataType, text: bool) -> tuple[pa.Array, int]:
    """All values, those that do not fit as NULL, or as their bytes in text; and how many became NULL."""
    try:
        return make(values), 0
    except UnfitError:
        if len(values) > 1:
            half = len(values) // 2
            first, second = (_spared(part, make, kind, text) for part in (values[:half], values[half:]))
            return pa.concat_arrays([first[0], second[0]]), first[1] + second[1]
        if not text:
            return pa.nulls(1, kind), 1
        raw = values[0].as_py() if isinstance(values, pa.Array) else values[0]
        raw = raw.encode() if isinstance(raw, str) else raw
        if not isinstance(raw, bytes):
            raise
        return pa.array(["\\x" + raw.hex()], pa.string()), 0


@lru_cache(1024)
def _schema(columns: tuple[PgType, ...]) -> pa.Schema:
    return pa.schema([pa.field(f"c{i}", column.arrow) for i, column in enumerate(columns)])


def empty(columns: Sequence[PgType]) -> pa.RecordBatch:
    """A record batch without rows."""
    return batch([pa.array([], column.arrow) for column in columns], columns)


def _widens(have: pa.DataType, want: pa.DataType) -> bool:
    if pa.types.is_integer(have):
        return bool(pa.types.is_integer(want) or pa.types.is_decimal(want))
    if pa.types.is_decimal(have):
        return bool(pa.types.is_decimal(want) or pa.types.is_string(want))
    return bool(pa.types.is_large_string(have) and pa.types.is_string(want)) or (
        pa.types.is_float32(have) and pa.types.is_float64(want)
    )


def _checked_text(values: pa.Array, expected: PgType, column: str) -> pa.Array:
    try:
        values.validate(full=True)  # a driver that gives Arrow may not have looked at the bytes
    except pa.ArrowInvalid:
        raise unfit(column, "text with bytes that are not UTF-8", expected) from None
    if _has_nul(values):
        raise unfit(column, "text with a NUL character", expected)
    if expected.name == "bpchar" and expected.mod > 4:
        return pc.utf8_rpad(values, width=expected.mod - 4)
    if expected.name == "uuid" and not pc.all(pc.match_substring_regex(values, _UUID)).as_py() and len(values):
        return _uuids(values, expected, column)
    return values


def _has_nul(values: pa.Array) -> bool:
    data = values.buffers()[2]
    # a slice's buffer holds its neighbours too: a hit there is looked at again by value
    return bool(data is not None and b"\0" in data.to_pybytes() and pc.any(pc.match_substring(values, "\0")).as_py())


def _uuids(values: pa.Array, expected: PgType, column: str) -> pa.Array:
    lower = pc.utf8_lower(values)
    if pc.all(pc.match_substring_regex(lower, _UUID)).as_py() is False:
        raise unfit(column, "text that is not a UUID", expected)
    return lower


def _cast(values: pa.Array, target: pa.DataType) -> pa.Array:
    return values.cast(target, safe=True)


def _bools(values: pa.Array, target: pa.DataType) -> pa.Array:
    if len(values) <= _FEW:
        try:
            return pa.array([None if v is None else _BOOLS[v] for v in values.to_pylist()], target)
        except KeyError as error:
            raise ValueError("not a boolean") from error
    at = pc.index_in(values, pa.array(list(_BOOLS), pa.string()))
    if at.null_count != values.null_count:
        raise ValueError("not a boolean")
    return pa.array(list(_BOOLS.values()), target).take(at)


def _instants(values: pa.Array, target: pa.DataType) -> pa.Array:
    return _days(values, pa.timestamp("us")).view(target)


def _times(values: pa.Array, target: pa.DataType) -> pa.Array:
    dated = pc.binary_join_element_wise(pa.scalar("1970-01-01"), values, " ")
    try:
        return dated.cast(pa.timestamp("us"), safe=True).view(pa.int64()).view(target)
    except pa.ArrowInvalid:
        return pa.array([None if v is None else _time(v) for v in values.to_pylist()], pa.int64()).view(target)


def _time(text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a time of day")
    hours, minutes, seconds = (int(group) for group in match.groups()[:3])
    micros = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + int((match[4] or "").ljust(6, "0"))
    if micros > US_PER_DAY:
        raise ValueError("not a time of day")
    return micros


def _days(values: pa.Array, target: pa.DataType) -> pa.Array:
    """Arrow reads a year 0, which is 1 BC, where PostgreSQL knows none and who writes it means none."""
    if pc.any(pc.starts_with(values, "0000-")).as_py():
        raise ValueError("the year 0")
    return _cast(values, target)


Convert = Callable[[pa.Array, pa.DataType], pa.Array]
_FROM_TEXT: dict[str, Convert] = {
    "bool": _bools, "date": _days, "timestamp": _days, "timestamptz": _instants, "time": _times,
}  # fmt: skip


def _blame(values: pa.Array, target: pa.DataType, convert: Convert, expected: PgType, column: str) -> SourceError:
    for index in range(len(values)):
        try:
            convert(values.slice(index, 1), target)
        except (pa.ArrowInvalid, ValueError):
            return unfit(column, _kind(values[index].as_py(), expected), expected, _remedy(expected))
    return unfit(column, "a value", expected)


def _kind(text: str, expected: PgType) -> str:
    if text.lower() == "nan":
        return "NaN"
    if text.lower().lstrip("-") in ("infinity", "inf"):
        return "an infinity"
    if expected.name in ("date", "timestamp", "timestamptz"):
        if re.match(r"\d{6,}-", text) and expected.name != "date":
            return "an instant after the year 294246"
        zero = "a zero date" if text.startswith("0000-00-00") else "a date of the year 0"
        return zero if text.startswith("0000-") else "an invalid date"
    if expected.name == "time":
        return "a duration that is no time of day"
    if re.fullmatch(r"[-+]?\d+(\.\d*)?", text):
        return "a number with too many digits"
    return f"text of {len(text)} characters that is no value of the type"


def _remedy(expected: PgType) -> str:
    if expected.name == "numeric":
        return "declare the column numeric, without precision, or exclude such rows with a filter"
    return ""
