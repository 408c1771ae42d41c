"""A client's parameter values, in text or binary, as the values that sources are given."""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from psycopg.adapt import Transformer
from psycopg.pq import Format

from connectors.base import Bound
from connectors.types import PgType


class Undecided(Exception):
    """Only PostgreSQL's own input function can tell what this value is."""


_WHOLE = re.compile(rb"\s*([+-]?[0-9]+)\s*")
_NUMERIC = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_FLOAT = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DATE = re.compile(rb"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(rb"\d{4}-\d\d-\d\d [0-2]\d:[0-5]\d:[0-5]\d(?:\.\d{1,6})?")
_INSTANT = re.compile(_MOMENT.pattern + rb"[+-]\d\d(?::\d\d){0,2}")
_TIME = re.compile(rb"[0-2]\d:[0-5]\d:[0-5]\d(?:\.\d{1,6})?")
_TRUE, _FALSE = frozenset({b"t", b"true", b"1", b"on", b"yes"}), frozenset({b"f", b"false", b"0", b"off", b"no"})
_RANGE = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
_MOMENTS = frozenset({"timestamp", "timestamptz"})
_STRINGS = frozenset({"text", "varchar", "bpchar", "name", "json", "unknown"})
_EPOCH = datetime(2000, 1, 1)
_BINARY = Transformer()


def decode(raw: bytes | None, code: int, kind: PgType, encoding: str) -> Bound:
    """The value for a parameter of type `kind`; Undecided where only the canon can read it."""
    if raw is None:
        return Bound(kind, None)
    if kind.name in _STRINGS:
        return Bound(kind, _string(raw, encoding))
    table = _IN_BINARY if code else _IN_TEXT
    reader = table.get(kind.name)
    if reader is not None:
        try:
            return Bound(kind, reader(raw, kind.name))
        except (ValueError, OverflowError, struct.error):
            raise Undecided from None
    return Bound(kind, _loaded(raw, kind)) if code else _undecided()


def canonical(raw: bytes | None, kind: PgType, encoding: str) -> Bound:
    """A value as the canon printed it, in text; moments as JSON has them or with blanks."""
    if raw is None:
        return Bound(kind, None)
    try:
        return decode(raw.replace(b"T", b" ") if kind.name in _MOMENTS else raw, 0, kind, encoding)
    except Undecided:
        return Bound(kind, raw.decode(encoding))


def _undecided() -> Bound:
    raise Undecided


def _string(raw: bytes, encoding: str) -> str:
    try:
        return raw.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        raise Undecided from None  # the canon says what is wrong with it


def _loaded(raw: bytes, kind: PgType) -> Any:
    """An array in binary; its elements as they are outside of arrays."""
    if not kind.name.startswith("_") or kind.name[1:] not in _ELEMENTS:
        raise Undecided
    try:
        value = _BINARY.get_loader(kind.type_oid, Format.BINARY).load(raw)
    except Exception:
        raise Undecided from None
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, uuid.UUID) else value


def _whole(raw: bytes, name: str) -> int:
    match = _WHOLE.fullmatch(raw)
    if match is None:
        raise ValueError(name)
    value = int(match[1])
    if not -_RANGE[name] <= value < _RANGE[name]:
        raise ValueError(name)
    return value


def _bool(raw: bytes, name: str) -> bool:
    word = raw.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError(name)
    return word in _TRUE


def _matching(pattern: re.Pattern[bytes], make: Callable[[str], Any]) -> Callable[[bytes, str], Any]:
    def read(raw: bytes, name: str) -> Any:
        if pattern.fullmatch(raw) is None:
            raise ValueError(name)
        return make(raw.decode())

    return read


def _hex(raw: bytes, name: str) -> bytes:
    if not raw.startswith(b"\\x"):
        raise ValueError(name)
    return bytes.fromhex(raw[2:].decode())


def _number(layout: str) -> Callable[[bytes, str], Any]:
    unpack = struct.Struct(layout).unpack
    return lambda raw, _: unpack(raw)[0]


def _day(raw: bytes, _: str) -> date:
    return (_EPOCH + timedelta(days=struct.unpack("!i", raw)[0])).date()


def _moment(raw: bytes, _: str) -> datetime:
    return _EPOCH + timedelta(microseconds=struct.unpack("!q", raw)[0])


def _instant(raw: bytes, name: str) -> datetime:
    return _moment(raw, name).replace(tzinfo=UTC)


def _clock(raw: bytes, _: str) -> time:
    return (_EPOCH + timedelta(microseconds=struct.unpack("!q", raw)[0])).time()


def _numeric(raw: bytes, name: str) -> str:
    count, weight, sign, scale = struct.unpack_from("!hhHH", raw)
    if sign & 0xC000 == 0xC000:
        raise ValueError(name)
    groups = struct.unpack_from(f"!{count}H", raw, 8)
    digits = "".join(f"{group:04}" for group in groups)
    point = (weight + 1) * 4
    if point <= 0:
        digits, point = "0" * (4 - point) + digits, 4
    digits = digits.ljust(point + scale, "0")
    whole, part = digits[:point].lstrip("0") or "0", digits[point : point + scale]
    return ("-" if sign else "") + whole + ("." + part if part else "")


_IN_TEXT: Mapping[str, Callable[[bytes, str], Any]] = {
    **dict.fromkeys(_RANGE, _whole),
    "bool": _bool,
    "numeric": _matching(_NUMERIC, str),
    "float4": _matching(_FLOAT, float),
    "float8": _matching(_FLOAT, float),
    "uuid": _matching(_UUID, str),
    "date": _matching(_DATE, date.fromisoformat),
    "timestamp": _matching(_MOMENT, datetime.fromisoformat),
    "timestamptz": _matching(_INSTANT, datetime.fromisoformat),
    "time": _matching(_TIME, time.fromisoformat),
    "bytea": _hex,
}
_IN_BINARY: Mapping[str, Callable[[bytes, str], Any]] = {
    "int2": _number("!h"),
    "int4": _number("!i"),
    "int8": _number("!q"),
    "oid": _number("!I"),
    "float4": _number("!f"),
    "float8": _number("!d"),
    "bool": _number("!?"),
    "numeric": _numeric,
    "uuid": lambda raw, _: str(uuid.UUID(bytes=raw)),
    "date": _day,
    "timestamp": _moment,
    "timestamptz": _instant,
    "time": _clock,
    "bytea": lambda raw, _: raw,
}
_ELEMENTS = frozenset({"int2", "int4", "int8", "float4", "float8", "bool", "text", "varchar", "uuid"})
