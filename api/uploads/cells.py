"""One value of a file as its attribute's type; what does not fit is an error that says where and why.

All four formats come through here, so that the same data gives the same table whatever it was sent as.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import pyarrow as pa

from api.uploads.describe import Attribute, Description, digits
from connectors.errors import QueryError

LONGEST_TEXT = 100_000  # characters of one value
SHOWN = 40  # characters of a value that an error repeats to its sender
_INTEGER = re.compile(r"[+-]?\d{1,19}")
_NUMBER = re.compile(r"[+-]?(\d{1,400}(\.\d{0,400})?|\.\d{1,400})([eE][+-]?\d{1,3})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TRUE, _FALSE = frozenset(("true", "t", "yes", "y", "1")), frozenset(("false", "f", "no", "n", "0"))
_UTC = dt.UTC
_WIDE = Context(prec=1000)  # room for what has too many digits, which is then told

Convert = Callable[[Any], Any]


class Unfit(ValueError):
    """A value is not of its type; the text says what was expected."""


def converter(attribute: Attribute, description: Description) -> Convert:
    """What makes a column's value of a file's, None where it is missing; Unfit where it cannot be."""
    kind, tokens, must = (
        _KINDS[attribute.type.partition("(")[0]](attribute.arrow),
        description.tokens(attribute),
        attribute.must,
    )

    def convert(value: Any) -> Any:
        if isinstance(value, str) and (value in tokens or value.strip() in tokens):
            value = None
        if value is None or value != value:  # NaN of a Parquet file
            if must:
                raise Unfit("a value; this attribute is required")
            return None
        return kind(value)

    return convert


def unfit(attribute: Attribute, value: Any, why: Unfit, place: str) -> QueryError:
    """The error that its sender is told; it alone repeats the value."""
    text = value if isinstance(value, str) else str(value)
    shown = text[:SHOWN] + ("..." if len(text) > SHOWN else "")
    shown = shown.encode("utf-8", "backslashreplace").decode()
    what = f'"{shown}" is not {why}' if value is not None and text.strip() else f"expected {why}"
    return QueryError(
        f'attribute "{attribute.name}": {what}',
        sqlstate="22P02",
        place=place,
        hint="Correct the value, or list the text in missing_values if it means that there is none.",
    )


def _text(_kind: pa.DataType) -> Convert:
    def convert(value: Any) -> str:
        if isinstance(value, bool):
            value = "true" if value else "false"
        elif isinstance(value, int | float | Decimal | dt.date):
            value = str(value)
        if not isinstance(value, str):
            raise Unfit("text")
        if len(value) > LONGEST_TEXT:
            raise Unfit(f"text of at most {LONGEST_TEXT:,} characters")
        if "\0" in value:
            raise Unfit("text without NUL characters")
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Unfit("text: half of a surrogate pair stands alone")
        return value

    return convert


def _integer(_kind: pa.DataType) -> Convert:
    def convert(value: Any) -> int:
        if isinstance(value, str):
            value = value.strip()
            if not _INTEGER.fullmatch(value) or not value.isascii():
                raise Unfit("a whole number")
            value = int(value)
        elif isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Unfit("a whole number")
        if not -(2**63) <= value < 2**63:
            raise Unfit("a whole number of 64 bits")
        return value

    return convert


def _number(value: Any) -> Decimal:
    """Any finite number, exactly as it is written."""
    if isinstance(value, str):
        value = value.strip()
        if not _NUMBER.fullmatch(value) or not value.isascii():
            raise Unfit("a number")
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise Unfit("a number")
    try:
        found = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, ValueError):
        raise Unfit("a number") from None
    if not found.is_finite():
        raise Unfit("a finite number")
    return found


def _decimal(kind: pa.DataType) -> Convert:
    precision, quantum = digits(kind)
    whole = precision - kind.scale

    def convert(value: Any) -> Decimal:
        found = _number(value)
        if found and found.adjusted() >= whole:
            raise Unfit(f"a number of at most {whole} digits before the point")
        if found and found.adjusted() < -400:
            raise Unfit(f"a number of at most {kind.scale} digits behind the point")
        with_scale = found.quantize(quantum, context=_WIDE)
        if with_scale != found:
            raise Unfit(f"a number of at most {kind.scale} digits behind the point")
        return with_scale

    return convert


def _float(_kind: pa.DataType) -> Convert:
    def convert(value: Any) -> float:
        made = value if isinstance(value, float) else float(_number(value))
        if not math.isfinite(made):
            raise Unfit("a finite number")
        return made

    return convert


def _boolean(_kind: pa.DataType) -> Convert:
    def convert(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, str | int) else ""
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise Unfit("true or false")

    return convert


def _date(_kind: pa.DataType) -> Convert:
    def convert(value: Any) -> dt.date:
        if isinstance(value, dt.datetime):
            if value.time() != dt.time():
                raise Unfit("a day: it has a time too")
            return value.date()
        if isinstance(value, dt.date):
            return value
        try:
            if isinstance(value, str) and _DAY.fullmatch(value.strip()):
                return dt.date.fromisoformat(value.strip())
        except ValueError:
            pass
        raise Unfit("a day, written YYYY-MM-DD")

    return convert


def _timestamp(_kind: pa.DataType) -> Convert:
    def convert(value: Any) -> dt.datetime:
        if isinstance(value, str) and len(value) <= 64 and _DAY.match(value.strip()):
            try:
                value = dt.datetime.fromisoformat(value.strip())
            except ValueError:
                value = None
        if isinstance(value, dt.datetime):
            try:
                return value.replace(tzinfo=_UTC) if value.tzinfo is None else value.astimezone(_UTC)
            except (OverflowError, ValueError):
                pass
        raise Unfit("a moment, written YYYY-MM-DD HH:MM:SS with an offset, UTC without one")

    return convert


_KINDS: dict[str, Callable[[pa.DataType], Convert]] = {
    "text": _text,
    "integer": _integer,
    "decimal": _decimal,
    "float": _float,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
}
