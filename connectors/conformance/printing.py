"""How engines print their values in SQL, and what each text is in PostgreSQL's form."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from connectors.conformance.case import Printing, Sample
from connectors.conformance.texts import float_text
from connectors.types import PgType

_FRACTION = re.compile(r"(\.\d*?)0+(?=$|[+-])")
_ZEROS = re.compile(r"^(-?)0+(?=\d)")
_BC = re.compile(r"(?P<day>\d+-\d\d-\d\d) \(BC\)(?P<time>.*)")
_INTEGERS = frozenset(("int2", "int4", "int8", "oid"))


def _floating(text: str, kind: PgType) -> str:
    value = float(text)
    if kind.name == "float4":
        (value,) = struct.unpack("f", struct.pack("f", value))
    return float_text(value, single=kind.name == "float4")


def _trimmed(text: str) -> str:
    """A time without the zeros at the end of its fraction."""
    return _FRACTION.sub(r"\1", text).replace(".+", "+").removesuffix(".")


def _padded(text: str, kind: PgType) -> str:
    return text.ljust(kind.mod - 4) if kind.mod > 4 else text


def _bytes(text: str, _: PgType) -> str:
    return "\\x" + (text.lower() if len(text) % 2 == 0 else "0" + text.lower())


Canonical = Callable[[str, PgType], str]
_COMMON: dict[str, Canonical] = {
    **dict.fromkeys(_INTEGERS, lambda text, _: str(int(text))),  # a year 0000, what is filled with zeros
    "float4": _floating,
    "float8": _floating,
    "bpchar": _padded,
    "bytea": _bytes,
    "bool": lambda text, _: {"1": "t", "0": "f", "true": "t", "false": "f"}[text],
    "time": lambda text, _: _trimmed(text),
    "timestamp": lambda text, _: _trimmed(text),
    "timestamptz": lambda text, _: _trimmed(text) + ("" if text.endswith("+00") else "+00"),
    "uuid": lambda text, _: text.lower(),
}


def _canonical(sample: Sample, text: Any) -> str:
    convert = _COMMON.get(sample.type.name)
    return str(text) if convert is None else convert(str(text), sample.type)


# -- PostgreSQL: format('%s') calls the type's own output function, as ::text does not (it strips character(n))
POSTGRESQL = Printing(
    lambda sample: f"CASE WHEN num_nulls({sample.column}) = 0 THEN format('%s', {sample.column}) END",
    lambda _, text: str(text),
    ("SET search_path = ''", "SET TimeZone = 'UTC'", "SET DateStyle = 'ISO, YMD'", "SET IntervalStyle = 'postgres'"),
)


# -- MariaDB and MySQL
def _mariadb_text(sample: Sample) -> str:
    if sample.type.name == "bytea":
        return f"HEX({sample.column})"
    if sample.type.name == "bool":
        return f"BIN({sample.column})"
    if sample.type.name == "float4":  # as they are, it prints six digits of them
        return f"CAST({sample.column} + 0e0 AS CHAR)"
    return f"CAST({sample.column} AS CHAR)"


def _mariadb_canonical(sample: Sample, text: Any) -> str:
    if sample.ddl.startswith("bit") and sample.type.name == "bytea":  # a number is printed, without leading zeros
        width = (int(sample.ddl.partition("(")[2].rstrip(")")) + 7) // 8 * 2
        return "\\x" + str(text).lower().rjust(width, "0")
    if sample.type.name == "numeric":  # it may be filled with zeros
        return _ZEROS.sub(r"\1", str(text))
    return _canonical(sample, text)


MARIADB = Printing(_mariadb_text, _mariadb_canonical)


# -- SQLite: each storage class by itself, as quote() ends a text at its first NUL
def _sqlite_text(sample: Sample) -> str:
    one = sample.column
    bytes_of = f"substr(typeof({one}), 1, 1) || hex(CAST({one} AS BLOB))"
    return f"CASE WHEN typeof({one}) IN ('text', 'blob') THEN {bytes_of} ELSE nullif(quote({one}), 'NULL') END"


def _sqlite_canonical(sample: Sample, text: Any) -> str:
    kind, bare = sample.type, str(text)
    if bare[0] in "tb" and (raw := bytes.fromhex(bare[1:])) is not None:
        if bare[0] == "b" or not _is_text(raw):
            return "\\x" + raw.hex()
        bare = raw.decode()
    elif kind.name in ("text", "json", "numeric") and not bare.lstrip("-").isdigit():
        bare = _real(bare, kind)
    if kind.name == "numeric":
        return _decimal(bare, kind)
    if kind.name in ("timestamp", "timestamptz"):
        return _instant(bare, kind.name == "timestamptz")
    return bare if kind.name == "text" else _canonical(sample, bare)


def _real(text: str, kind: PgType) -> str:
    """A real with as many digits as tell it."""
    value = float(text)
    return text if kind.name == "numeric" and not math.isfinite(value) else repr(value)


def _instant(text: str, zoned: bool) -> str:
    """Any of the spellings that SQLite's own functions take; in UTC where it has a zone."""
    found = datetime.fromisoformat(text)
    moment = found.astimezone(UTC) if found.tzinfo else found
    return _trimmed(moment.replace(tzinfo=None).isoformat(" ", "microseconds")) + ("+00" if zoned else "")


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _decimal(text: str, kind: PgType) -> str:
    number = Decimal(text)
    if kind.mod < 0 or not number.is_finite():
        return format(number, "f").removesuffix(".0")
    return format(number or abs(number), f".{kind.precision_scale[1]}f")


SQLITE = Printing(_sqlite_text, _sqlite_canonical)


# -- DuckDB
def _duckdb_text(sample: Sample) -> str:
    return f"hex({sample.column})" if sample.type.name == "bytea" else f"CAST({sample.column} AS VARCHAR)"


def _duckdb_canonical(sample: Sample, text: Any) -> str:
    found = _BC.fullmatch(str(text)) if sample.type.name in ("date", "timestamp", "timestamptz") else None
    if sample.type.name == "numeric":
        return re.sub(r"^(-?)\.", r"\g<1>0.", str(text))
    if found is None:
        plain = str(text).endswith("infinity") and sample.type.name in ("date", "timestamp", "timestamptz")
        return str(text) if plain else _canonical(sample, text)
    return f"{found['day']}{_canonical(sample, found['time']) if found['time'] else ''} BC"


DUCKDB = Printing(_duckdb_text, _duckdb_canonical)


# -- Parquet: what DuckDB prints of the same values, as JSON where they are nested
def _parquet_text(sample: Sample) -> str:
    nested = sample.type.name == "json" and sample.ddl != "json"
    return f"to_json({sample.column})" if nested else _duckdb_text(sample)


PARQUET = Printing(_parquet_text, _duckdb_canonical)
