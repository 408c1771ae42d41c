"""SQLite's values as PostgreSQL's: what a declared type means, and the strict way in and out of it.

SQLite has no column types, only affinities, so the declared name decides and every value is checked:

==========================================  ==============  ==========================================
declared (case and blanks do not matter)    PostgreSQL      values that fit
==========================================  ==============  ==========================================
INT INTEGER BIGINT INT8, any other *INT*    int8            integers
INT4 MEDIUMINT / INT2 SMALLINT TINYINT      int4 / int2     integers in range
DECIMAL(p,s) NUMERIC(p,s)                   numeric(p,s)    integers, decimal text, reals (see below)
DECIMAL NUMERIC                             numeric         the same
REAL FLOAT DOUBLE, any other *REA* ...      float8          reals, integers up to 2**53
TEXT CLOB STRING, other *CHAR* *TEXT*       text            text; integers and reals as their text
VARCHAR(n) / CHAR(n)                        varchar / char  text of at most n characters
BOOLEAN BOOL                                bool            0 and 1
DATE                                        date            text YYYY-MM-DD
DATETIME TIMESTAMP                          timestamp       text YYYY-MM-DD[ HH:MM[:SS[.ffffff]]], T for the blank
TIMESTAMPTZ, ... WITH TIME ZONE             timestamptz     the same with Z or an offset; without one it is UTC
TIME                                        time            text HH:MM[:SS[.ffffff]]
UUID / JSON JSONB                           uuid / json     text
BLOB BYTEA BINARY VARBINARY                 bytea           blobs
none, and anything else                     text            text; integers and reals as their text
==========================================  ==============  ==========================================

A real in a decimal column is the decimal that it is the nearest double to, if there is only one of that scale
(12.34 in DECIMAL(10,2)); where there are several (1e15 + 0.5 in DECIMAL(20,2)), or it has more digits, it is an error.
What SQLite rounded when it was written (such a column makes reals of long decimal texts) no reader can see.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import math
import re
import uuid
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, InvalidOperation
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from connectors import decimals
from connectors.base import Bound
from connectors.errors import SourceError
from connectors.types import PgType, bpchar, numeric, varchar

_NAMES: dict[str, str] = {
    **dict.fromkeys(("INT4", "MEDIUMINT"), "int4"),
    **dict.fromkeys(("INT2", "SMALLINT", "TINYINT"), "int2"),
    **dict.fromkeys(("DECIMAL", "NUMERIC", "DEC"), "numeric"),
    **dict.fromkeys(("BOOLEAN", "BOOL"), "bool"),
    **dict.fromkeys(("DATETIME", "TIMESTAMP", "TIMESTAMP WITHOUT TIME ZONE"), "timestamp"),
    **dict.fromkeys(("TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "DATETIME WITH TIME ZONE"), "timestamptz"),
    **dict.fromkeys(("VARCHAR", "NVARCHAR", "CHARACTER VARYING", "VARYING CHARACTER", "VARCHAR2"), "varchar"),
    **dict.fromkeys(("CHAR", "CHARACTER", "NCHAR", "NATIVE CHARACTER", "BPCHAR"), "bpchar"),
    **dict.fromkeys(("BYTEA", "BINARY", "VARBINARY"), "bytea"),
    **dict.fromkeys(("JSON", "JSONB"), "json"),
    **dict.fromkeys(("UUID", "GUID"), "uuid"),
    "DATE": "date",
    "TIME": "time",
}
# SQLite's own rule for names it does not know (datatype3.html, 3.1), in its order.
_AFFINITIES = (
    ("INT", "int8"),
    ("CHAR", "text"),
    ("CLOB", "text"),
    ("TEXT", "text"),
    ("BLOB", "bytea"),
    ("REAL", "float8"),
    ("FLOA", "float8"),
    ("DOUB", "float8"),
)
_ARGUMENTS = re.compile(r"\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")
_ZONED = r"(?s):\d\d.*(Z|[+-]\d\d(:?\d\d)?)$"
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)
_DAY_TEXT = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOCAL_TEXT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?", re.ASCII)
_UTC_TEXT = re.compile(_LOCAL_TEXT.pattern + r"\+00:00", re.ASCII)
_DECLARABLE = 1000  # digits of a numeric that PostgreSQL can declare
_EXACT = Context(prec=2000, traps=[InvalidOperation])
_CLOCK = re.compile(r"(\d\d):([0-5]\d)(?::([0-5]\d)(?:\.(\d{1,6}))?)?", re.ASCII)
_DAY = 24 * 3600 * 10**6  # microseconds; PostgreSQL has 24:00:00
_EXACT_FLOAT = 2**53  # every smaller integer is a double of its own


def declared(native: str) -> PgType:
    """The PostgreSQL type of a declared SQLite type.

    >>> declared("DECIMAL(10, 2)").sql, declared("varchar(5)").sql, declared("").sql
    ('numeric(10,2)', 'character varying(5)', 'text')
    """
    arguments = _ARGUMENTS.search(native)
    words = " ".join(_ARGUMENTS.sub(" ", native).upper().split())
    name = _NAMES.get(words) or next((kind for part, kind in _AFFINITIES if part in words), "text")
    first = int(arguments[1]) if arguments else 0
    if name == "numeric" and first:
        scale = int(arguments[2] or 0) if arguments else 0
        return numeric(first, scale) if max(first, scale) <= _DECLARABLE else PgType(name)
    if name in ("varchar", "bpchar"):
        return (varchar if name == "varchar" else bpchar)(first) if first else PgType("text")
    return PgType(name)


def has_text_affinity(native: str) -> bool:
    """Whether SQLite turns numbers that are stored into such a column into text."""
    words = native.upper()
    return "INT" not in words and any(part in words for part in ("CHAR", "CLOB", "TEXT"))


class Misfit(ValueError):
    """A value that its type cannot hold: `found` is its kind."""

    def __init__(self, found: str) -> None:
        super().__init__(found)
        self.found = found


class Undecodable(bytes):
    """Text that is not UTF-8, as SQLite has it."""


def text_or_bytes(raw: bytes) -> str | Undecodable:
    """A text of SQLite; where it cannot be one, its bytes."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Undecodable(raw)


def decode(values: Sequence[Any], kind: PgType) -> pa.Array:
    """A column of SQLite's values as `kind.arrow`; Misfit where one does not fit."""
    found = set(map(type, values))
    found.discard(type(None))
    decoder, allowed = _DECODERS.get(kind.name, _AS_STRING)
    for python in found:
        if python not in allowed:
            raise Misfit(_ODD.get(python, f"a value of storage class {_STORAGE.get(python)}"))
    try:
        few = _FEW.get(kind.name) if len(values) <= FEW_ROWS else None
        return (few and few(values, kind)) or decoder(values, kind, found)
    except (pa.ArrowException, OverflowError, InvalidOperation) as error:
        raise Misfit(f"a value of storage class {_of(found)} and of wrong form or size") from error


def _few_days(values: Sequence[Any], kind: PgType) -> pa.Array | None:
    if not all(value is None or _DAY_TEXT.fullmatch(value) for value in values):
        return None
    with contextlib.suppress(ValueError):
        return pa.array(_each(dt.date.fromisoformat, values), kind.arrow)
    return None


def _few_instants(values: Sequence[Any], kind: PgType) -> pa.Array | None:
    """The spelling that `encode` writes; others are left to Arrow."""
    form = _UTC_TEXT if kind.name == "timestamptz" else _LOCAL_TEXT
    if not all(value is None or form.fullmatch(value) for value in values):
        return None
    with contextlib.suppress(ValueError):
        return pa.array(_each(dt.datetime.fromisoformat, values), kind.arrow)
    return None


def _of(found: set[type]) -> str:
    return ", ".join(sorted(_STORAGE[python] for python in found))


def _each(convert: Callable[[Any], Any], values: Sequence[Any]) -> list[Any]:
    return [None if value is None else convert(value) for value in values]


def _plain(values: Sequence[Any], kind: PgType, _: set[type]) -> pa.Array:
    return pa.array(values, kind.arrow)


def _boolean(values: Sequence[Any], _: PgType, __: set[type]) -> pa.Array:
    if not {0, 1, None}.issuperset(values):
        raise Misfit("an integer other than 0 and 1")
    return pa.array(values, pa.int64()).cast(pa.bool_())


def _string(values: Sequence[Any], kind: PgType, found: set[type]) -> pa.Array:
    texts = pa.array(_each(str, values) if found - {str} else values, pa.string())
    if kind.mod < 0 or kind.name not in ("varchar", "bpchar"):
        return texts
    length = kind.mod - 4
    if kind.name == "bpchar":
        texts = pc.utf8_rpad(pc.utf8_rtrim(texts, characters=" "), width=length)
    if (pc.max(pc.utf8_length(texts)).as_py() or 0) > length:
        raise Misfit(f"text of more than {length} characters")
    return texts


def _decimal(values: Sequence[Any], kind: PgType, found: set[type]) -> pa.Array:
    if kind.mod < 0:
        return pa.array(_each(_digits, values), pa.string())
    precision, scale = kind.precision_scale
    if kind.arrow == pa.string():
        return pa.array(_each(lambda value: _wide(value, precision, scale), values), pa.string())
    if found <= {int}:
        return pa.array(values, pa.int64()).cast(pa.decimal128(19, 0)).cast(kind.arrow)
    if len(values) > FEW_ROWS:
        made = _decimals(values, kind.arrow) if found <= {int, float} else _written(values, kind.arrow, found)
        if made is not None:
            return made
    return pa.array(_each(lambda value: _scaled(value, scale), values), kind.arrow)


def _decimals(values: Sequence[Any], kind: pa.Decimal128Type) -> pa.Array | None:
    """Many numbers at once; None where one has to be looked at by itself.

    A whole number of up to 53 bits by a power of ten that a double holds is correctly rounded: so the real is the
    nearest to that decimal, and to no other of the scale where its neighbours are nearer than one unit.
    """
    numbers = pa.array(values, pa.float64())
    reals = numbers.fill_null(0.0).to_numpy(zero_copy_only=False)
    unit, most = 10.0**kind.scale, min(2.0**53, 10.0**kind.precision)
    with np.errstate(all="ignore"):
        units = np.rint(reals * unit)
        sure = (units / unit == reals) & (np.abs(units) < most) & (np.spacing(np.abs(reals)) < 1 / unit)
    if not sure.all():
        return None
    whole = units.astype(np.int64)
    words = np.column_stack((whole, whole >> 63))  # little-endian, the sign in the upper word
    valid = pc.is_valid(numbers)
    nulls = None if numbers.null_count == 0 else _bits(valid)
    return pa.Array.from_buffers(kind, len(values), [nulls, pa.py_buffer(words.tobytes())])


def _bits(valid: pa.BooleanArray) -> pa.Buffer:
    return valid.buffers()[1]


def _written(values: Sequence[Any], kind: pa.Decimal128Type, found: set[type]) -> pa.Array | None:
    """Many texts at once, all in plain digits and not too many; None where one is not."""
    if found != {str}:
        return None
    texts = pa.array(values, pa.string())
    digits = kind.precision - kind.scale
    form = rf"^[+-]?\d{{1,{digits}}}(\.\d{{0,{kind.scale}}})?$" if digits else ""
    plain = bool(form) and pc.all(pc.match_substring_regex(texts, form)).as_py()
    return texts.cast(kind) if plain else None


def _scaled(value: int | float | str, scale: int) -> Decimal:
    """The value with at most `scale` digits behind the point. pyarrow raises for most others, but makes 0 of 1e-56."""
    if isinstance(value, float) and (not math.isfinite(value) or math.ulp(value) >= 10.0**-scale):
        raise Misfit(f"a real that does not tell its decimal to {scale} digits after the point")
    number = _parsed(value) if isinstance(value, str) else Decimal(repr(value))
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 -- for the type checker: no NaN comes through the pattern
    while exponent < -scale and digits and digits[-1] == 0:
        digits, exponent = digits[:-1], exponent + 1
    if digits and exponent < -scale:
        raise Misfit(f"a value of more than {scale} digits after the point")
    return number


def _wide(value: int | float | str, precision: int, scale: int) -> str:
    """The text of a numeric of more digits than Arrow's decimals have."""
    number = _scaled(value, scale)
    if number and number.adjusted() >= precision - scale:
        raise Misfit(f"a number of more than {max(precision - scale, 0)} digits before the point")
    return _numeric_text(number.quantize(Decimal(1).scaleb(-scale), context=_EXACT))


def _digits(value: int | float | str) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value.strip() if value.strip() in ("NaN", "Infinity", "-Infinity") else _numeric_text(_parsed(value))
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if abs(value) >= _EXACT_FLOAT:
        raise Misfit("a real that does not tell its decimal")
    return _numeric_text(Decimal(repr(value).removesuffix(".0")))


def _numeric_text(number: Decimal) -> str:
    try:
        return decimals.plain(number)
    except ValueError as error:
        raise Misfit("a number of more digits than a numeric has") from error


def _parsed(text: str) -> Decimal:
    if not _NUMBER.fullmatch(text):
        raise Misfit("text that is no number")
    return Decimal(text.strip())


def _temporal(values: Sequence[Any], kind: PgType, _: set[type]) -> pa.Array:
    return _dated(pa.array(values, pa.string())).cast(kind.arrow)


def _dated(texts: pa.Array) -> pa.Array:
    """The texts, none of the year 0 or of a year before, which Arrow would read as BC."""
    if pc.any(pc.less(texts, "0001")).as_py():
        raise Misfit("text of the year 0")
    return texts


def _clock(values: Sequence[Any], kind: PgType, _: set[type]) -> pa.Array:
    return pa.array(_each(_microseconds, values), pa.int64()).cast(kind.arrow)


def _microseconds(text: str) -> int:
    match = _CLOCK.fullmatch(text)
    hours, minutes, seconds, fraction = match.groups(default="0") if match else ("99", "0", "0", "0")
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    if int(hours) > 24 or whole * 10**6 + int(fraction) > _DAY:
        raise Misfit("text that is no time of day")
    return whole * 10**6 + int(fraction.ljust(6, "0"))


def _instant(values: Sequence[Any], kind: PgType, _: set[type]) -> pa.Array:
    texts = _dated(pa.array(values, pa.string()))
    zoned = pc.match_substring_regex(texts, _ZONED)
    if pc.all(zoned).as_py() is not False:
        return texts.cast(kind.arrow)
    naive = pc.if_else(zoned, None, texts)
    utc = pc.assume_timezone(naive.cast(pa.timestamp("us")), "UTC")
    return pc.coalesce(pc.if_else(zoned, texts, None).cast(kind.arrow), utc)


def _identifier(values: Sequence[Any], _: PgType, __: set[type]) -> pa.Array:
    try:
        return pa.array(_each(lambda value: str(uuid.UUID(value)), values), pa.string())
    except ValueError as error:
        raise Misfit("text that is no UUID") from error


def _document(values: Sequence[Any], _: PgType, __: set[type]) -> pa.Array:
    texts = _each(str, values)
    try:
        for text in texts:
            if text is not None:
                orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Misfit("text that is no JSON") from error
    return pa.array(texts, pa.string())


_ODD: dict[type, str] = {Undecodable: "text that is not UTF-8"}
_STORAGE: dict[type, str] = {int: "integer", float: "real", str: "text", bytes: "blob"}
_Decoder = Callable[[Sequence[Any], PgType, set[type]], pa.Array]
# A handful of rows: Arrow's kernels take some 50 us each to get going.
FEW_ROWS = 32
_FEW: dict[str, Callable[[Sequence[Any], PgType], pa.Array | None]] = {
    "date": _few_days,
    "timestamp": _few_instants,
    "timestamptz": _few_instants,
}
_AS_STRING: tuple[_Decoder, set[type]] = (_string, {str, int, float})
# pyarrow alone would make 1 of 1.5: so each type also lists the Python types it takes.
_DECODERS: dict[str, tuple[_Decoder, set[type]]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid"), (_plain, {int})),
    **dict.fromkeys(("float4", "float8"), (_plain, {float, int})),
    **dict.fromkeys(("date", "timestamp"), (_temporal, {str})),
    "time": (_clock, {str}),
    "bool": (_boolean, {int}),
    "numeric": (_decimal, {int, float, str}),
    "bytea": (_plain, {bytes}),
    "timestamptz": (_instant, {str}),
    "uuid": (_identifier, {str}),
    "json": (_document, {str, int, float}),
}


def encode(bound: Bound, source: str) -> Any:
    """A parameter as SQLite compares it: ISO texts for times, JSON text for an array (read by json_each)."""
    if bound.value is None:
        return None
    if bound.type.name.startswith("_"):
        element = PgType(bound.type.name[1:])
        items = [
            _item(encode(Bound(element, value), source), source) for value in bound.value if not _is_nan(value, element)
        ]
        return f"[{','.join(items)}]"
    if _is_nan(bound.value, bound.type):
        raise _unbindable("NaN", source)
    return _number(Decimal(bound.value), source) if bound.type.name == "numeric" else _plain_parameter(bound.value)


def _is_nan(value: Any, kind: PgType) -> bool:
    """NaN, which SQLite would take for NULL; in a list it may be left out, as no stored value equals it."""
    return (kind.name == "numeric" and value == "NaN") or (isinstance(value, float) and math.isnan(value))


def _item(value: Any, source: str) -> str:
    if isinstance(value, bytes):
        raise _unbindable("a list of bytea", source)
    if isinstance(value, float) and math.isinf(value):
        return "9e999" if value > 0 else "-9e999"
    return json.dumps(value)


def _plain_parameter(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, dt.datetime):
        return _timestamp(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return value.isoformat().rstrip("0") if value.microsecond else value.isoformat()
    if isinstance(value, uuid.UUID):
        return str(value)
    return value


def _timestamp(value: dt.datetime) -> str:
    """One text for each instant, ordered as the instants are: no trailing zeros, and UTC as +00:00."""
    suffix = ""
    if value.tzinfo is not None:
        value, suffix = value.astimezone(dt.UTC).replace(tzinfo=None), "+00:00"
    text = value.isoformat(sep=" ")
    return (text.rstrip("0") if value.microsecond else text) + suffix


def _number(value: Decimal, source: str) -> int | float:
    """An integer, or the nearest double: below 2**52 no integer lies between the two."""
    if value.is_finite() and value == value.to_integral_value() and abs(value) < 2**63:
        return int(value)
    double = float(value)
    if value.is_finite() and abs(value) >= 2**52 and Decimal(double) != value:
        raise _unbindable("a numeric that no double holds", source)
    return double


def _unbindable(what: str, source: str) -> SourceError:
    return SourceError(
        f"SQLite cannot compare with {what}",
        sqlstate="HV004",
        place=f'source "{source}"',
        hint="compare with another value",
    )
