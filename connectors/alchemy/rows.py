"""Python objects of any DBAPI driver -> Arrow, strictly: a class of object that a type does not expect is an error."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connectors import arrow, decimals
from connectors.base import SourceQuery
from connectors.errors import SourceError
from connectors.types import PgType

_REMEDY = "convert the column in a view of the source, where it has one"
_INFINITIES = {"infinity": 1, "-infinity": -1}
_MOST = {"date": 2**31 - 1, "timestamp": 2**63 - 1, "timestamptz": 2**63 - 1}
_EPOCH = dt.date(1970, 1, 1).toordinal()
_MOMENT = re.compile(
    r"(?P<year>\d{4,7})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?:[ T](?P<h>[01]\d|2[0-3]):(?P<m>[0-5]\d):(?P<s>[0-5]\d)(?:\.(?P<fraction>\d{1,6}))?)?"
    r"(?P<zone>[+-]\d\d(?::\d\d){0,2})?(?P<era> BC)?",
    re.ASCII,
)
_DAY = dt.timedelta(days=1)
_MICROSECOND = dt.timedelta(microseconds=1)


def batch(rows: Sequence[Sequence[Any]], query: SourceQuery) -> pa.RecordBatch:
    """Rows as the driver gave them, as a record batch of the expected columns; HV004 where a value does not fit."""
    columns = query.columns
    if rows and len(rows[0]) != len(columns):
        raise SourceError(f"the source delivers {len(rows[0])} columns where {len(columns)} were planned")
    values: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) if rows else [()] * len(columns)
    return arrow.assembled(query, values, lambda at, given: column(given, columns[at], f"c{at}"))


def column(values: Sequence[Any], kind: PgType, name: str) -> pa.Array:
    """One column of Python objects as `kind.arrow`."""
    found = set(map(type, values))
    found.discard(type(None))
    if found == {str}:
        return _texts(values, kind, name)
    allowed, convert = _TAKEN.get(kind.name, _AS_TEXT)
    for python in found:
        if not issubclass(python, allowed) or (issubclass(python, bool) and kind.name != "bool"):
            raise arrow.mistyped(name, f"a Python {python.__name__} of the driver's", kind, _REMEDY)
    try:
        made = [None if value is None else convert(value) for value in values]
        return arrow.conform(pa.array(made, _carrier(kind)), kind, name)
    except (pa.ArrowException, OverflowError, ValueError, ArithmeticError):
        raise arrow.unfit(name, "a value out of range or of too many digits", kind) from None


def _carrier(kind: PgType) -> pa.DataType:
    """Decimals travel as text until their type is checked: pyarrow would make 0 of 1e-56."""
    return pa.string() if kind.name == "numeric" else kind.arrow


def _texts(values: Sequence[Any], kind: PgType, name: str) -> pa.Array:
    """What the engine printed."""
    try:
        given = pa.array(values, pa.string())
    except UnicodeEncodeError:
        raise arrow.unfit(name, "text that is not Unicode", kind) from None
    if kind.name == "bytea":
        if given.null_count < len(given):
            raise arrow.unfit(name, "text", kind)
        return given.cast(pa.binary())
    if kind.name in _MOST:
        return _instants(given, kind, name)
    if kind.name == "numeric" and kind.arrow == pa.string():
        return pa.array([None if value is None else _plain(value, kind, name) for value in values], pa.string())
    return arrow.from_text(given, kind, name)


def _instants(given: pa.Array, kind: PgType, name: str) -> pa.Array:
    """ISO dates and times, those of a zone with their offset; what Arrow does not read (infinities, BC) one by one."""
    with contextlib.suppress(pa.ArrowInvalid):
        return given.cast(kind.arrow, safe=True)
    storage = pa.int32() if kind.name == "date" else pa.int64()
    try:
        numbers = [None if text is None else _stored(text, kind.name) for text in given.to_pylist()]
        return arrow.dated(pa.array(numbers, storage).view(kind.arrow), kind, name)
    except (pa.ArrowException, OverflowError, ValueError):
        return arrow.from_text(given, kind, name)  # it names the kind of the value at fault


def _stored(text: str, kind: str) -> int:
    """A date as days, an instant as microseconds since 1970; infinities as the contract has them."""
    if text in _INFINITIES:
        return _INFINITIES[text] * _MOST[kind]
    match = _MOMENT.fullmatch(text)
    if match is None or (kind == "timestamptz") != (match["zone"] is not None) or (kind == "date") == bool(match["h"]):
        raise ValueError("not ISO")
    year, month, day = (int(match[part]) for part in ("year", "month", "day"))
    days = _days(1 - year if match["era"] else year, month, day)
    if kind == "date":
        return days
    seconds = int(match["h"]) * 3600 + int(match["m"]) * 60 + int(match["s"]) - _offset(match["zone"] or "+00")
    return (days * 86_400 + seconds) * 1_000_000 + int((match["fraction"] or "").ljust(6, "0"))


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970 in the proleptic Gregorian calendar, whose 400 years repeat."""
    cycles, within = divmod(year - 1, 400)
    return dt.date(within + 1, month, day).toordinal() + cycles * 146_097 - _EPOCH


def _offset(zone: str) -> int:
    sign = -1 if zone[0] == "-" else 1
    hours, minutes, seconds = (*map(int, zone[1:].split(":")), 0, 0)[:3]
    return sign * (hours * 3600 + minutes * 60 + seconds)


def _plain(text: str, kind: PgType, name: str) -> str:
    """A number's digits without an exponent, as PostgreSQL prints them."""
    word = text.strip()
    if word.lower() in ("nan", "infinity", "-infinity"):
        return {"nan": "NaN", "infinity": "Infinity", "-infinity": "-Infinity"}[word.lower()]
    try:
        return decimals.plain(Decimal(word))
    except (ArithmeticError, ValueError):
        raise arrow.unfit(name, f"text of {len(text)} characters that is no number", kind) from None


def _whole(value: Any) -> int:
    if isinstance(value, Decimal) and value != value.to_integral_value():
        raise ValueError("not whole")
    return int(value)


def _boolean(value: Any) -> bool:
    if value not in (0, 1):
        raise ValueError("neither true nor false")
    return bool(value)


def _number(value: Any) -> str:
    return decimals.plain(value) if isinstance(value, Decimal) else str(value)


def _float(value: Any) -> float:
    made = float(value)
    if isinstance(value, int) and int(made) != value:
        raise ValueError("an integer that no float holds")
    return made


def _day(value: Any) -> dt.date:
    if isinstance(value, dt.datetime):
        if value.time() != dt.time() or value.tzinfo is not None:
            raise ValueError("a date with a time of day")
        return value.date()
    return value  # type: ignore[no-any-return]


def _moment(value: Any) -> dt.datetime:
    if not isinstance(value, dt.datetime):
        return dt.datetime.combine(value, dt.time())
    if value.tzinfo is not None:
        raise ValueError("a timestamp with a zone")
    return value


def _instant(value: dt.datetime) -> dt.datetime:
    if value.tzinfo is None:
        raise ValueError("an instant without its zone")
    return value.astimezone(dt.UTC)


def _clock(value: Any) -> Any:
    if isinstance(value, dt.timedelta):
        if not dt.timedelta() <= value <= _DAY:
            raise ValueError("a duration that is no time of day")
        return value // _MICROSECOND
    if value.tzinfo is not None:
        raise ValueError("a time with a zone")
    return (dt.datetime.combine(dt.date.min, value) - dt.datetime.min) // _MICROSECOND


def _string(value: Any) -> str:
    return str(value)


Taken = tuple[tuple[type, ...], Callable[[Any], Any]]
_AS_TEXT: Taken = ((str, uuid.UUID), _string)
# bool is an int to Python: refused above where no bool is meant
_TAKEN: dict[str, Taken] = {
    "bool": ((bool, int), _boolean),
    **dict.fromkeys(("int2", "int4", "int8", "oid"), ((int, Decimal), _whole)),
    **dict.fromkeys(("float4", "float8"), ((float, int), _float)),
    "numeric": ((Decimal, int), _number),
    "bytea": ((bytes, bytearray, memoryview), bytes),
    "date": ((dt.date,), _day),
    "timestamp": ((dt.date,), _moment),
    "timestamptz": ((dt.datetime,), _instant),
    "time": ((dt.time, dt.timedelta), _clock),
}
