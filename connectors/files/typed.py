"""Text of files as typed columns: strict, and telling which row is at fault."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import uuid
from collections.abc import Callable
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow, decimals
from connectors.errors import ConfigError, SourceError
from connectors.types import BUILTIN, PgType, bpchar, numeric, varchar

_ALIASES = {
    **{text: name for name, (_, _, text) in BUILTIN.items()},
    **{name: name for name in BUILTIN},
    "int": "int4",
    "float": "float8",
    "double": "float8",
    "decimal": "numeric",
    "string": "text",
    "datetime": "timestamp",
    "char": "bpchar",
    "character": "bpchar",
    "time": "time",
    "timestamp": "timestamp",
}
_HELD = frozenset(
    (
        "bool bytea int2 int4 int8 float4 float8 numeric text varchar bpchar uuid json date time timestamp timestamptz"
    ).split()
)
_DECLARED = re.compile(r"\s*([a-z0-9 ]+?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?\s*", re.IGNORECASE)
_WHOLE = r"^[-+]?[0-9]+$"
_DECIMAL = r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]{1,4})?$"
_PLAIN = r"^(-?(0|[1-9][0-9]*)(\.[0-9]+)?|NaN|-?Infinity)$"  # as PostgreSQL prints a numeric
_FLOATS = {"nan": "nan", "inf": "inf", "+inf": "inf", "-inf": "-inf", "infinity": "inf", "-infinity": "-inf"}
_ZONED = r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)$"
_YEAR_ZERO = "0000-"
_FLOAT_WIDTH = {"float4": pa.float32(), "float8": pa.float64()}


class Misfit(Exception):
    """A text that is no value of the type: which row of the batch, and what it is (never the text itself)."""

    def __init__(self, row: int, found: str) -> None:
        super().__init__(found)
        self.row = row
        self.found = found


def declared(text: str, place: str) -> PgType:
    """The type that an owner writes; ConfigError for one that files cannot hold.

    >>> declared("Numeric(12, 2)", "t.c").sql, declared("integer", "t.c").sql
    ('numeric(12,2)', 'integer')
    """
    match = _DECLARED.fullmatch(text)
    words = " ".join(match[1].lower().split()) if match else ""
    name = _ALIASES.get(words)
    if match is None or name not in _HELD:
        raise ConfigError(
            f'unknown type "{text}" of {place}',
            place="connection, types",
            hint="known are bigint, integer, smallint, numeric(p,s), double precision, real, boolean, text, "
            "varchar(n), date, time, timestamp, timestamptz, uuid, json, bytea",
        )
    first, second = int(match[2] or 0), int(match[3] or 0)
    if name == "numeric" and first:
        return numeric(first, second)
    if name in ("varchar", "bpchar"):
        return (varchar if name == "varchar" else bpchar)(first) if first else PgType("text")
    return PgType(name)


def convert(values: pa.Array, kind: PgType, written: str | None = None) -> pa.Array:
    """Strings as `kind.arrow`; `written` is the strptime format of dates and times. Misfit tells the first bad one."""
    try:
        return _whole(values, kind, written)
    except (Misfit, SourceError, pa.ArrowInvalid, ValueError, ArithmeticError) as error:
        whole = error
    for row in range(len(values)):
        try:
            _whole(values.slice(row, 1), kind, written)
        except (Misfit, SourceError, pa.ArrowInvalid, ValueError, ArithmeticError):
            raise Misfit(row, f"text of {len(values[row].as_py())} characters") from None
    raise Misfit(0, "a value") from whole


def _whole(values: pa.Array, kind: PgType, written: str | None) -> pa.Array:
    if written is not None:
        return _by_format(values, kind, written)
    return _BY_TYPE.get(kind.name, _texts)(values, kind)


def _guard(values: pa.Array, pattern: str) -> None:
    if pc.all(pc.match_substring_regex(values, pattern)).as_py() is False:
        raise ValueError("not of the type's form")


def _texts(values: pa.Array, kind: PgType) -> pa.Array:
    if kind.name in ("varchar", "bpchar") and kind.mod > 4:
        longest = pc.max(pc.utf8_length(values)).as_py()
        if longest is not None and longest > kind.mod - 4:
            raise ValueError("too long")
    return arrow.conform(values, kind, "")


def _integers(values: pa.Array, kind: PgType) -> pa.Array:
    if not _holds(values, b"+xX"):  # what Arrow refuses, and what it reads as hexadecimal digits
        return values.cast(kind.arrow)
    _guard(values, _WHOLE)
    return pc.utf8_ltrim(values, characters="+").cast(kind.arrow)


def _holds(values: pa.Array, characters: bytes) -> bool:
    """Whether one of these may stand in a text, or in one that was cut off beside."""
    data = values.buffers()[2]
    raw = b"" if data is None else data.to_pybytes()
    return any(character in raw for character in characters)


def _numerics(values: pa.Array, kind: PgType) -> pa.Array:
    if kind.mod >= 0 and not pa.types.is_string(kind.arrow):
        return values.cast(kind.arrow)  # as strict as _DECIMAL
    if pc.all(pc.match_substring_regex(values, _PLAIN)).as_py() is not False:
        plain = values
    else:
        plain = pa.array([None if v is None else _digits(v) for v in values.to_pylist()], pa.string())
    return _within(plain, kind) if kind.mod >= 0 else plain


def _digits(text: str) -> str:
    special = {"nan": "NaN", "inf": "Infinity", "infinity": "Infinity", "-inf": "-Infinity", "-infinity": "-Infinity"}
    if text.lower() in special:
        return special[text.lower()]
    if not re.match(_DECIMAL, text):
        raise ValueError("no number")
    return decimals.plain(Decimal(text))


def _within(values: pa.Array, kind: PgType) -> pa.Array:
    """A numeric of more than 38 digits travels as text, of its scale."""
    precision, scale = kind.precision_scale
    return pa.array([None if v is None else _scaled(v, precision, scale) for v in values.to_pylist()], pa.string())


def _scaled(text: str, precision: int, scale: int) -> str:
    exact = Context(prec=precision, traps=[Inexact, InvalidOperation])
    return decimals.plain(Decimal(text).quantize(Decimal(1).scaleb(-scale), context=exact))


def _floats(values: pa.Array, kind: PgType) -> pa.Array:
    if not _holds(values, b"nNiI"):
        read = (pc.utf8_ltrim(values, characters="+") if _holds(values, b"+") else values).cast(_FLOAT_WIDTH[kind.name])
        if pc.any(pc.is_inf(read)).as_py():
            raise ValueError("out of range")
        return read
    lower = pc.utf8_lower(values)
    special = pc.is_in(lower, pa.array(list(_FLOATS)))
    _guard(pc.if_else(special, pa.scalar(None, pa.string()), values), _DECIMAL)
    read = pc.utf8_ltrim(values, characters="+").cast(_FLOAT_WIDTH[kind.name])
    if pc.any(pc.and_(pc.is_inf(read), pc.invert(special))).as_py():
        raise ValueError("out of range")
    return read


def _dates(values: pa.Array, kind: PgType) -> pa.Array:
    if pc.any(pc.starts_with(values, _YEAR_ZERO)).as_py():
        raise ValueError("the year 0")
    return values.cast(kind.arrow)


def _instants(values: pa.Array, kind: PgType) -> pa.Array:
    if pc.any(pc.starts_with(values, _YEAR_ZERO)).as_py():
        raise ValueError("the year 0")
    if kind.name == "timestamp":
        return values.cast(pa.timestamp("us"))
    with contextlib.suppress(pa.ArrowInvalid):  # all of them with a zone
        return values.cast(kind.arrow)
    zoned = pc.match_substring_regex(values, _ZONED)
    # a date's own "-05" looks like an offset, but then there is no clock before it
    zoned = pc.and_(zoned, pc.match_substring(values, ":"))
    none = pa.scalar(None, pa.string())
    utc = pc.if_else(zoned, none, values).cast(pa.timestamp("us")).cast(pa.int64()).cast(kind.arrow)
    return pc.coalesce(pc.if_else(zoned, values, none).cast(kind.arrow), utc)


def _documents(values: pa.Array, kind: PgType) -> pa.Array:
    for value in values.to_pylist():
        if value is not None:
            json.loads(value)
    return arrow.conform(values, kind, "")


def _identifiers(values: pa.Array, _: PgType) -> pa.Array:
    return pa.array([None if v is None else str(uuid.UUID(v)) for v in values.to_pylist()], pa.string())


def _bytes(values: pa.Array, _: PgType) -> pa.Array:
    r"""As PostgreSQL writes them: \x and hexadecimal digits."""
    _guard(values, r"^\\x([0-9a-fA-F]{2})*$")
    return pa.array([None if v is None else bytes.fromhex(v[2:]) for v in values.to_pylist()], pa.binary())


def _bools(values: pa.Array, kind: PgType) -> pa.Array:
    return arrow.from_text(pc.utf8_lower(values), kind, "")


_BY_TYPE: dict[str, Callable[[pa.Array, PgType], pa.Array]] = {
    **dict.fromkeys(("int2", "int4", "int8"), _integers),
    **dict.fromkeys(("float4", "float8"), _floats),
    **dict.fromkeys(("timestamp", "timestamptz"), _instants),
    "numeric": _numerics,
    "date": _dates,
    "json": _documents,
    "uuid": _identifiers,
    "bytea": _bytes,
    "bool": _bools,
    "time": lambda values, kind: arrow.from_text(values, kind, ""),
}


def _by_format(values: pa.Array, kind: PgType, written: str) -> pa.Array:
    """Each different text once, as dates repeat."""
    coded = values.dictionary_encode()
    read = [_parsed(text, kind, written) for text in coded.dictionary.to_pylist()]
    return pa.array(read, kind.arrow).take(coded.indices)


def _parsed(text: str, kind: PgType, written: str) -> Any:
    moment = dt.datetime.strptime(text, written)
    if kind.name == "date":
        return moment.date()
    if kind.name == "time":
        return moment.time()
    if kind.name == "timestamp":
        if moment.tzinfo is not None:
            raise ValueError("a zone in a time without one")
        return moment
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
