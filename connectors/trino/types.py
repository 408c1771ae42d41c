"""Trino's types as PostgreSQL's, and values of its protocol's JSON as Arrow: exactly, or refused."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow
from connectors.base import SourceQuery
from connectors.errors import SourceError
from connectors.types import PgType, bpchar, numeric, varchar

TEXT = PgType("text")
_PLAIN = {
    "boolean": "bool", "tinyint": "int2", "smallint": "int2", "integer": "int4", "bigint": "int8", "real": "float4",
    "double": "float8", "varchar": "text", "varbinary": "bytea", "date": "date", "uuid": "uuid", "json": "json",
    "ipaddress": "inet", "interval day to second": "interval", "interval year to month": "interval",
    "array": "json", "map": "json", "row": "json",
}  # fmt: skip
_TIMES = {
    "timestamp": "timestamp", "timestamp with time zone": "timestamptz", "time": "time",
    "time with time zone": "timetz",
}  # fmt: skip
_NUMBERS = {"tinyint": pa.int8(), "smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64()}
_FLOATS = {"real": pa.float32(), "double": pa.float64()}
_NATIVE = re.compile(r"(?P<name>\w+)(?:\((?P<args>[\d, ]+)\))?(?P<zone> with time zone)?", re.IGNORECASE)
_MICROS = 6  # digits behind the second's point that PostgreSQL's times have
_FINER = r"(\.\d{6})0+"  # digits that say nothing
_INTERVAL = re.compile(r"(-?)(\d+) (\d+):(\d\d):(\d\d)\.(\d+)")
_MONTHS = re.compile(r"(-?)(\d+)-(\d+)")
_STAMP = re.compile(r"([+-]?\d{4,})-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d+))?)?")
_OFFSET = re.compile(r"([+-])(\d\d):(\d\d)")
_US, _DAY = 1_000_000, 86_400_000_000
_REMEDY = "convert it at the source, in a view of Trino"


def split(native: str) -> tuple[str, tuple[int, ...]]:
    """A type's name in lower case and its numbers, as information_schema prints it.

    >>> split("timestamp(3) with time zone"), split("array(decimal(3,2))")
    (('timestamp with time zone', (3,)), ('array', ()))
    """
    match = _NATIVE.fullmatch(native)
    if match is None:
        return (native.lower() if native.lower().startswith("interval") else native.split("(")[0].lower()), ()
    numbers = tuple(int(part) for part in match["args"].split(",")) if match["args"] else ()
    return match["name"].lower() + (match["zone"] or "").lower(), numbers


def mapped(native: str) -> PgType:
    """The PostgreSQL type of a Trino type; arrays, maps and rows are json, what nobody knows is text.

    >>> mapped("decimal(10,2)").sql, mapped("char(3)").sql, mapped("map(varchar, bigint)").sql, mapped("tdigest").sql
    ('numeric(10,2)', 'character(3)', 'json', 'text')
    """
    name, numbers = split(native)
    if name == "decimal":
        return numeric(*(numbers if len(numbers) == 2 else (38, 0)))
    if name == "char":
        return bpchar(numbers[0] if numbers else 1)
    if name == "varchar" and numbers and 0 < numbers[0] <= 10_485_760:
        return varchar(numbers[0])
    return PgType(_TIMES.get(name) or _PLAIN.get(name, "text"))


def exact(native: str) -> bool:
    """Whether predicates on a column of the type may go there: not where it has times between two microseconds, nor on
    a time of fewer digits (compared with midnight, Trino 476 has an internal error)."""
    name, numbers = split(native)
    digits = numbers[0] if numbers else 3
    return digits == _MICROS if name.startswith("time ") or name == "time" else name not in _TIMES or digits <= _MICROS


def to_batch(
    rows: Sequence[Sequence[Any]], described: Sequence[Mapping[str, Any]], query: SourceQuery
) -> pa.RecordBatch:
    """Rows of the protocol, whose columns it describes, as the query's types; HV004 where a value does not fit."""
    if len(described) != len(query.columns):
        raise SourceError(f"{len(described)} columns came where {len(query.columns)} were asked")
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(query.columns)
    signatures = [one["typeSignature"] for one in described]
    return arrow.assembled(query, columns, lambda at, values: _column(values, signatures[at], query.columns[at], at))


def _column(values: Sequence[Any], signature: Mapping[str, Any], kind: PgType, at: int) -> pa.Array:
    name, where = str(signature["rawType"]).lower(), f"c{at}"
    if name == "unknown":
        return pa.nulls(len(values), kind.arrow)
    convert = None if kind.name == "text" and name not in _DOCUMENTS else _CONVERTERS.get(name)
    try:
        made = convert(values, signature) if convert is not None else _texts(values)
    except Misfit as misfit:
        raise arrow.unfit(where, misfit.found, kind, _REMEDY) from misfit
    if kind.name == "numeric" and pa.types.is_integer(made.type):  # parts of dates, which are integers there
        made = made.cast(pa.string())
    return arrow.conform(_unpadded(made, kind), kind, where)


class Misfit(ValueError):
    """A value for which PostgreSQL has no type; `found` says what kind of value."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


def _unpadded(values: pa.Array, kind: PgType) -> pa.Array:
    return pc.utf8_rtrim(values, " ") if kind.name == "bpchar" and pa.types.is_string(values.type) else values


def _texts(values: Sequence[Any]) -> pa.Array:
    """As the protocol prints them."""
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        made = (v if v is None or isinstance(v, str) else orjson.dumps(v).decode() for v in values)
        return pa.array(list(made), pa.string())


def _whole(values: Sequence[Any], signature: Mapping[str, Any]) -> pa.Array:
    return pa.array(values, _NUMBERS[signature["rawType"]])


def _strings(values: Sequence[Any], _: Mapping[str, Any]) -> pa.Array:
    return pa.array(values, pa.string())


def _bools(values: Sequence[Any], _: Mapping[str, Any]) -> pa.Array:
    return pa.array(values, pa.bool_())


def _floats(values: Sequence[Any], signature: Mapping[str, Any]) -> pa.Array:
    target = _FLOATS[signature["rawType"]]
    try:
        return pa.array(values, target)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # NaN and the infinities are strings
        return pa.array([None if v is None else float(v) for v in values], target)


def _bytes(values: Sequence[Any], _: Mapping[str, Any]) -> pa.Array:
    decode = binascii.a2b_base64
    return pa.array([None if v is None else decode(v) for v in values], pa.binary())


def _dates(values: Sequence[Any], _: Mapping[str, Any]) -> pa.Array:
    texts = pa.array(values, pa.string())
    if _usual(texts, 10):
        return texts
    days = [None if v is None else _micros(v) // _DAY for v in values]
    return pa.array(_within(days, -(2**31), 2**31 - 2), pa.int32()).view(pa.date32())


def _times(values: Sequence[Any], _: Mapping[str, Any]) -> pa.Array:
    return _coarse(pa.array(values, pa.string()))


def _stamps(values: Sequence[Any], _: Mapping[str, Any]) -> pa.Array:
    texts = pa.array(values, pa.string())
    if _four_digits(texts):
        return _coarse(texts)
    return _instants([None if v is None else _micros(v) for v in values]).view(pa.timestamp("us"))


def _zoned(values: Sequence[Any], _: Mapping[str, Any]) -> pa.Array:
    texts = pa.array(values, pa.string())
    if _four_digits(texts) and pc.all(pc.ends_with(texts, " UTC")).as_py() in (True, None):
        return _coarse(pc.utf8_slice_codeunits(texts, 0, -4)).cast(pa.timestamp("us")).view(pa.timestamp("us", "UTC"))
    micros = [None if v is None else _instant(v) for v in values]
    return _instants(micros).view(pa.timestamp("us", "UTC"))


def _instants(micros: list[int | None]) -> pa.Array:
    return pa.array(_within(micros, -(2**63) + 2, 2**63 - 2), pa.int64())


def _within(numbers: list[int | None], low: int, high: int) -> list[int | None]:
    if any(n is not None and not low <= n <= high for n in numbers):
        raise Misfit("a time that PostgreSQL does not reach")
    return numbers


def _usual(texts: pa.Array, length: int) -> bool:
    """Whether all are of years with four digits after Christ."""
    return pc.all(pc.equal(pc.binary_length(texts), length)).as_py() in (True, None) and _four_digits(texts)


def _four_digits(texts: pa.Array) -> bool:
    first = pc.utf8_slice_codeunits(texts, 0, 5)
    # the year 0000 is 1 BC; Arrow would take it, but let one way do for all that is odd
    return pc.any(pc.match_substring_regex(first, "^[+-]|^0000")).as_py() in (False, None)


def _coarse(texts: pa.Array) -> pa.Array:
    """Without zeros behind the microseconds; other digits there are refused."""
    if pc.any(pc.match_substring_regex(texts, r"\.\d{7}")).as_py() is not True:
        return texts
    texts = pc.replace_substring_regex(texts, _FINER, r"\1")
    if pc.any(pc.match_substring_regex(texts, r"\.\d{7}")).as_py() is True:
        raise Misfit("a time between two microseconds")
    return texts


def _micros(text: str) -> int:
    """A date or timestamp as Trino prints it, in microseconds since 1970; the year before 1 is 0."""
    match = _STAMP.fullmatch(text)
    if match is None:
        raise Misfit("a time that is none")
    year, month, day = (int(part) for part in match.groups()[:3])
    days = int(
        np.datetime64(
            f"{year:05d}-{month:02d}-{day:02d}" if year < 0 else f"{year:04d}-{month:02d}-{day:02d}", "D"
        ).astype(int)
    )
    hours, minutes, seconds = (int(part or 0) for part in match.groups()[3:6])
    return ((days * 24 + hours) * 60 + minutes) * 60 * _US + seconds * _US + _fraction(match[7] or "")


def _fraction(digits: str) -> int:
    if digits[_MICROS:].strip("0"):
        raise Misfit("a time between two microseconds")
    return int(digits[:_MICROS].ljust(_MICROS, "0"))


def _instant(text: str) -> int:
    """A timestamp with its zone, of which Trino prints the local time: refused where that is two instants."""
    local, _, zone = text.rpartition(" ")
    micros = _micros(local)
    if zone == "UTC":
        return micros
    if offset := _OFFSET.fullmatch(zone):
        seconds = (int(offset[2]) * 60 + int(offset[3])) * 60
        return micros - (seconds if offset[1] == "+" else -seconds) * _US
    return micros - _offset_of(zone, micros) * _US


def _offset_of(zone: str, micros: int) -> int:
    """Seconds before UTC of a zone by its name at a local time."""
    try:
        there = _zone(zone)
        local = dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=micros)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OverflowError):
        raise Misfit("a time of a zone or a year that is not known here") from None
    either = [local.replace(tzinfo=there, fold=fold).utcoffset() for fold in (0, 1)]
    if either[0] != either[1] or either[0] is None:
        raise Misfit("a local time that two instants have (clocks were set back)")
    return round(either[0].total_seconds())


@lru_cache(256)
def _zone(name: str) -> zoneinfo.ZoneInfo:
    return zoneinfo.ZoneInfo(name)


def _zoned_times(values: Sequence[Any], _: Mapping[str, Any]) -> pa.Array:
    return pa.array([None if v is None else _timetz(v) for v in values], pa.string())


def _timetz(text: str) -> str:
    """As PostgreSQL prints it: no zeros behind the second's point, whole hours alone."""
    clock, zone = text[:-6], text[-6:]
    head, _, digits = clock.partition(".")
    _fraction(digits)
    digits = digits.rstrip("0")
    return head + (f".{digits}" if digits else "") + zone.removesuffix(":00")


def _intervals(values: Sequence[Any], _: Mapping[str, Any]) -> pa.Array:
    return pa.array([None if v is None else _interval(v) for v in values], pa.string())


def _interval(text: str) -> str:
    """Days and a time of day, as PostgreSQL prints them.

    >>> _interval("-1 12:00:00.500"), _interval("0 00:00:00.000"), _interval("2 00:00:00.000")
    ('-1 days -12:00:00.5', '00:00:00', '2 days')
    """
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise Misfit("an interval of another kind")
    sign, days, hours, minutes, seconds, digits = match.groups()
    parts = [f"{sign}{days} day{'' if (sign, days) == ('', '1') else 's'}"] if days != "0" else []
    digits = digits.rstrip("0")
    if int(hours) or int(minutes) or int(seconds) or digits or not parts:
        parts.append(f"{sign}{hours}:{minutes}:{seconds}{'.' + digits if digits else ''}")
    return " ".join(parts)


def _month_spans(values: Sequence[Any], _: Mapping[str, Any]) -> pa.Array:
    return pa.array([None if v is None else _months(v) for v in values], pa.string())


def _months(text: str) -> str:
    """Years and months, as PostgreSQL prints them.

    >>> _months("-1-3"), _months("0-0"), _months("0-1")
    ('-1 years -3 mons', '00:00:00', '1 mon')
    """
    match = _MONTHS.fullmatch(text)
    if match is None:
        raise Misfit("an interval of another kind")
    sign = match[1]
    counts = ((match[2], "year"), (match[3], "mon"))
    made = [f"{sign}{int(n)} {unit}{'' if (sign, n) == ('', '1') else 's'}" for n, unit in counts if int(n)]
    return " ".join(made) or "00:00:00"


def _documents(values: Sequence[Any], signature: Mapping[str, Any]) -> pa.Array:
    return pa.array([None if v is None else "".join(_json(v, signature)) for v in values], pa.string())


def _json(value: Any, signature: Mapping[str, Any]) -> Sequence[str]:
    """An array, map or row as JSON: decimals as numbers of all their digits, bytes as PostgreSQL's text of them, a row
    as an object, as an array where its fields have no names."""
    if value is None:
        return ("null",)
    inner = [argument["value"] for argument in signature.get("arguments", ())]
    match signature["rawType"]:
        case "array":
            return ("[", ",".join("".join(_json(v, inner[0])) for v in value), "]")
        case "map":
            pairs = (f"{_key(k, inner[0])}:{''.join(_json(v, inner[1]))}" for k, v in value.items())
            return ("{", ",".join(pairs), "}")
        case "row":
            return _row(value, inner)
        case "decimal" | "json":
            return (value,)
        case "varbinary":
            return (f'"\\\\x{base64.b64decode(value).hex()}"',)
        case _:
            return (_quoted(value),)


def _key(text: str, signature: Mapping[str, Any]) -> str:
    """A map's key, which the protocol has as text: one of several values is not told from others there."""
    if signature["rawType"] in _DOCUMENTS:
        raise Misfit(f"a map with keys that are {signature['rawType']}s")
    return "".join(_json(text, signature)) if signature["rawType"] == "varbinary" else _quoted(text)


def _row(value: Sequence[Any], fields: Sequence[Mapping[str, Any]]) -> Sequence[str]:
    names = [(field.get("fieldName") or {}).get("name") for field in fields]
    made = ["".join(_json(v, field["typeSignature"])) for v, field in zip(value, fields, strict=True)]
    if None in names:
        return ("[", ",".join(made), "]")
    return ("{", ",".join(f"{_quoted(n)}:{text}" for n, text in zip(names, made, strict=True)), "}")


def _quoted(value: Any) -> str:
    return orjson.dumps(value).decode()


_DOCUMENTS = ("array", "map", "row")
_CONVERTERS: dict[str, Callable[[Sequence[Any], Mapping[str, Any]], pa.Array]] = {
    **dict.fromkeys(_NUMBERS, _whole), **dict.fromkeys(_DOCUMENTS, _documents),
    "boolean": _bools, "real": _floats, "double": _floats, "decimal": _strings, "varchar": _strings,
    "char": _strings, "varbinary": _bytes, "date": _dates, "time": _times, "timestamp": _stamps,
    "timestamp with time zone": _zoned, "time with time zone": _zoned_times, "uuid": _strings, "json": _strings,
    "ipaddress": _strings, "interval day to second": _intervals, "interval year to month": _month_spans,
}  # fmt: skip
