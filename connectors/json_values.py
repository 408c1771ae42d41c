"""JSON values, each as its own text, to the Arrow array of a PostgreSQL type; strict, see arrow.py."""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow, decimals
from connectors.types import PgType

Raw = bytes | None
_INTEGERS = frozenset(("int2", "int4", "int8", "oid"))
_INTEGER = "^-?[0-9]{1,18}$"
_ZONED = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?) ?(Z|z|[+-]\d\d(?::?\d\d)?)")
_LOCAL = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?))?")
_UNITS = {"epoch": 0, "epoch_ms": 3}
_string = msgspec.json.Decoder(str).decode


def plain(raw: Any) -> str | None:
    """One value's text, as `->>` has it; None for null and what is absent."""
    if raw is msgspec.UNSET or bytes(raw) == b"null":
        return None
    text = bytes(raw)
    return _string(text) if text[:1] == b'"' else text.decode()


def column(values: Sequence[Raw], kind: PgType, form: str, name: str) -> pa.Array:
    """The values of one column, each in JSON's own spelling; None and null are NULL.

    SourceError HV004 where one is not of the type, or not in the format that was said.
    """
    if kind.name == "json":
        return arrow.conform(
            pa.array([None if raw == b"null" else raw for raw in values], pa.binary()).cast("string"), kind, name
        )
    if kind.name.startswith("_"):
        return arrow.conform(pa.array([_array(raw, kind, name) for raw in values], pa.string()), kind, name)
    if kind.name in _INTEGERS and not form:
        fast = _digits(values)
        if fast is not None:
            return arrow.conform(fast, kind, name)
    texts = [_text(raw) for raw in values]
    if kind.name == "bytea":
        return pa.array([_bytes(text, form, name, kind) for text in texts], pa.binary())
    spelled = _SPELLED.get(kind.name)
    if form in _UNITS:
        spelled = _epoch(_UNITS[form])
    if spelled is not None:
        try:
            texts = [None if text is None else spelled(text) for text in texts]
        except (ValueError, InvalidOperation):
            raise arrow.unfit(name, "a value in another spelling", kind) from None
    found = arrow.conform(pa.array(texts, pa.string()), kind, name)
    return _finite(found, texts, kind, name) if pa.types.is_floating(found.type) else found


def bound(value: Any, kind: PgType) -> pa.Scalar:
    """A parameter's value (connectors.base.Bound) as a scalar of the type; ValueError where the type cannot hold it."""
    target = kind.arrow
    if pa.types.is_decimal(target) and value is not None:
        value = Decimal(value)
    if pa.types.is_string(target) and value is not None:
        value = str(value)
    try:
        return pa.scalar(value, target)
    except (pa.ArrowException, OverflowError, TypeError) as error:
        raise ValueError("no value of the type") from error


def among(columns: Mapping[str, pa.Array], wanted: Mapping[str, Sequence[Any]]) -> pa.Array | None:
    """Which rows have, of each column, one of the values that are wanted of it; None: nothing is of any column."""
    kept = None
    for name, values in wanted.items():
        if name not in columns:
            continue
        target, made = columns[name].type, []
        for value in values:
            with contextlib.suppress(pa.ArrowException, OverflowError, InvalidOperation):  # it equals no value there
                made.append(pa.scalar(_comparable(value, target), target))
        own = pc.is_in(columns[name], value_set=pa.array([one.as_py() for one in made], target))
        kept = own if kept is None else pc.and_(kept, own)
    return kept


def _comparable(value: Any, target: pa.DataType) -> Any:
    if pa.types.is_decimal(target):
        return Decimal(value)
    return str(value) if pa.types.is_string(target) else value


def _text(raw: Raw) -> str | None:
    if raw is None or raw == b"null":
        return None
    return _string(raw) if raw[:1] == b'"' else raw.decode()


def _digits(values: Sequence[Raw]) -> pa.Array | None:
    """Integers written as such, by Arrow's own parser; None where there is anything else."""
    texts = pa.array(values, pa.binary()).cast(pa.string())
    texts = pc.if_else(pc.equal(texts, "null"), None, texts)
    whole = pc.all(pc.match_substring_regex(texts, _INTEGER)).as_py()
    return texts.cast(pa.int64()) if whole is not False else None


def _integer(text: str) -> str:
    """1.0 and 1e3 are whole numbers; 1.5 is none."""
    number = Decimal(text)
    if number != number.to_integral_value():
        raise ValueError("not a whole number")
    return str(int(number))


def _number(text: str) -> str:
    if "e" not in text and "E" not in text and not text.startswith("-0"):
        return text
    return decimals.plain(Decimal(text))


def _finite(found: pa.Array, texts: Sequence[str | None], kind: PgType, name: str) -> pa.Array:
    """An infinity only where one was written: 1e400 is too large for a double."""
    infinite = pc.is_inf(found)
    if pc.any(infinite).as_py() and any(
        is_one and text is not None and "inf" not in text.lower()
        for is_one, text in zip(infinite.to_pylist(), texts, strict=True)
    ):
        raise arrow.unfit(name, "a number with too many digits", kind)
    return found


def _instant(text: str) -> str:
    """An ISO 8601 instant in UTC, as from_text reads it."""
    match = _ZONED.fullmatch(text)
    if match is None:
        raise ValueError("no instant with its zone")
    day, clock, zone = match.groups()
    minutes = 0
    if zone not in ("Z", "z"):
        digits = zone[1:].replace(":", "")
        minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
        minutes = -minutes if zone[0] == "-" else minutes
    return _moved(day, clock.replace(",", "."), minutes)


def _moved(day: str, clock: str, minutes: int) -> str:
    if not minutes:
        return f"{day} {clock}"
    whole, dot, fraction = clock.partition(".")
    whole += ":00" if whole.count(":") == 1 else ""
    stamp = pa.scalar(f"{day} {whole}").cast(pa.timestamp("s")).value - minutes * 60
    text: str = pa.scalar(stamp, pa.timestamp("s")).cast(pa.string()).as_py()
    return text + dot + fraction


def _local(text: str) -> str:
    match = _LOCAL.fullmatch(text)
    if match is None:
        raise ValueError("no date and time without a zone")
    return f"{match[1]} {(match[2] or '00:00:00').replace(',', '.')}"


def _day(text: str) -> str:
    """A date; a time behind it only where that is midnight."""
    match = _LOCAL.fullmatch(text)
    if match is None or (match[2] or "0").strip("0:.,"):
        raise ValueError("no date")
    return match[1]


def _epoch(digits: int) -> Callable[[str], str]:
    """Seconds (or parts of ten to the `digits`) since 1970, in UTC."""

    def spelled(text: str) -> str:
        micros = Decimal(text).scaleb(6 - digits)
        if micros != micros.to_integral_value():
            raise ValueError("finer than microseconds")
        value: str = pa.scalar(int(micros), pa.timestamp("us")).cast(pa.string()).as_py()
        return value

    return spelled


def _bytes(text: str | None, form: str, name: str, kind: PgType) -> bytes | None:
    try:
        if text is None:
            return None
        if form == "base64url":
            return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return bytes.fromhex(text) if form == "hex" else base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        raise arrow.unfit(name, f"text that is not {form or 'base64'}", kind) from None


def _array(raw: Raw, kind: PgType, name: str) -> str | None:
    """A JSON array as PostgreSQL prints one."""
    if raw is None or raw == b"null":
        return None
    try:
        items = msgspec.json.decode(raw, type=list[msgspec.Raw])
    except msgspec.ValidationError:
        raise arrow.unfit(name, "a value that is no array", kind) from None
    element = PgType(kind.name[1:], kind.mod)
    nested = any(bytes(item)[:1] == b"[" for item in items)
    if nested:
        parts = [_array(bytes(item), kind, name) for item in items]
        if None in parts or len({_length(bytes(item)) for item in items}) > 1:
            raise arrow.unfit(name, "an array whose parts are of unlike lengths", kind)
        return "{" + ",".join(part or "" for part in parts) + "}"
    checked = column([bytes(item) for item in items], element, "", name)
    texts = [_text(bytes(item)) for item in items] if element.arrow == pa.string() else _printed(checked)
    return "{" + ",".join("NULL" if text is None else _quoted(text) for text in texts) + "}"


def _length(raw: bytes) -> int:
    return len(msgspec.json.decode(raw, type=list[msgspec.Raw]))


def _printed(values: pa.Array) -> list[str | None]:
    """As PostgreSQL prints them."""
    if pa.types.is_boolean(values.type):
        return [None if value is None else "t" if value else "f" for value in values.to_pylist()]
    return [None if value is None else str(value) for value in values.cast(pa.string()).to_pylist()]


def _quoted(text: str) -> str:
    if text and text.upper() != "NULL" and not re.search(r'[{}",\\\s]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _duration(text: str) -> str:
    """An ISO 8601 duration of days and seconds, as PostgreSQL prints an interval."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()[1:]):
        raise ValueError("no duration")
    days, hours, minutes, seconds, fraction = (match[at] or "" for at in range(2, 7))
    total = int(hours or 0) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    sign = "-" if match[1] else ""
    parts = [f"{sign}{int(days)} day{'' if int(days) == 1 and not sign else 's'}"] if int(days or 0) else []
    rest = fraction.rstrip("0")
    if len(rest) > 6:
        raise ValueError("finer than microseconds")
    if total or rest or not parts:
        clock = f"{total // 3600:02}:{total // 60 % 60:02}:{total % 60:02}" + (f".{rest}" if rest else "")
        parts.append((sign if total or rest else "") + clock)
    return " ".join(parts)


_DURATION = re.compile(r"(-)?P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?)?")
_SPELLED: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(_INTEGERS, _integer),
    "numeric": _number,
    "timestamptz": _instant,
    "timestamp": _local,
    "date": _day,
    "interval": _duration,
}
