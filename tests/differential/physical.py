"""How one canonical column is stored in one kind of source: declaration, value, and the cast that brings it back.

Where a source cannot hold a type (or these values of it), the column holds PostgreSQL's text, cast in the view.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from connectors.conformance.texts import python_text
from connectors.types import PgType
from tests.differential.data import Column

Encode = Callable[[Any], Any]
TEXT = PgType("text")


@dataclass(frozen=True, slots=True)
class Physical:
    """A column of a source's table: `stored` its name there, `native` its declaration, `encode` makes its values."""

    name: str
    type: PgType
    stored: str
    native: Any
    encode: Encode
    expression: str


def physical(kind: str, column: Column, values: list[Any], chance: random.Random, stored: str) -> Physical:
    """One of the ways in which a source of `kind` can hold this column."""
    native, encode = _KINDS[kind](column.type, values, chance)
    stored = stored.lower() if kind == "trino" else stored  # it has no other names
    quoted = f'"{stored}"'
    cast = f"{quoted}::{column.type.sql}"
    if native == "BOOLEAN" and kind in ("mariadb", "mysql"):  # a tinyint, and PostgreSQL casts no smallint to boolean
        cast = f"{quoted} <> 0"
    return Physical(column.name, column.type, stored, native, encode, quoted if kind == "postgresql" else cast)


def _as_is(value: Any) -> Any:
    return value


def _text_of(kind: PgType) -> Encode:
    return lambda value: python_text(value, kind)


def _postgresql(kind: PgType, values: list[Any], chance: random.Random) -> tuple[str, Encode]:
    """Its own type; one text column in eight under a collation in which case and accents do not count."""
    loose = kind.name in ("text", "varchar") and chance.random() < 0.12
    return kind.sql + (" COLLATE public.loose" if loose else ""), _text_of(kind)


_MARIADB = {
    "int2": "SMALLINT", "int4": "INT", "int8": "BIGINT", "float4": "FLOAT", "float8": "DOUBLE",
    "date": "DATE", "time": "TIME(6)", "timestamp": "DATETIME(6)", "timestamptz": "TIMESTAMP(6)", "bytea": "LONGBLOB",
    "uuid": "UUID", "jsonb": "JSON",
}  # fmt: skip
_COLLATIONS = ("", "", "", " COLLATE utf8mb4_bin", " COLLATE utf8mb4_nopad_bin", " COLLATE utf8mb4_unicode_ci")


_MYSQL = {name: native for name, native in _MARIADB.items() if name not in ("uuid", "jsonb")}  # its JSON rounds
_MYSQL_COLLATIONS = tuple(one.replace("nopad_bin", "0900_bin") for one in _COLLATIONS)


def _mariadb(
    kind: PgType,
    values: list[Any],
    chance: random.Random,
    natives: Mapping[str, str] = _MARIADB,
    collations: Sequence[str] = _COLLATIONS,
) -> tuple[str, Encode]:
    collation = chance.choice(collations)
    if kind.name == "text":
        return chance.choice(("LONGTEXT", "TEXT", "VARCHAR(400)")) + collation, _as_is
    if kind.name in ("varchar", "bpchar"):
        return f"{'VARCHAR' if kind.name == 'varchar' else 'CHAR'}({kind.mod - 4}){collation}", _as_is
    if kind.name == "numeric" and kind.mod >= 0:
        return "DECIMAL({},{})".format(*kind.precision_scale), _text_of(kind)
    if kind.name == "bool":
        return chance.choice(("BOOLEAN", "BIT(1)")), _as_is
    if kind.name not in natives or not _fits_mariadb(kind, values):
        return "VARCHAR(400)" + collation, _text_of(kind)
    if kind.name in ("timestamp", "timestamptz"):
        return natives[kind.name], _naive
    return natives[kind.name], _exact_float if kind.name in ("float4", "float8") else _as_is


def _exact_float(value: float | None) -> Any:
    return None if value is None else repr(value)


def _naive(value: dt.datetime | None) -> str | None:
    return (
        None
        if value is None
        else value.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        if value.tzinfo
        else str(value)
    )


def _fits_mariadb(kind: PgType, values: list[Any]) -> bool:
    known = [value for value in values if value is not None]
    if kind.name in ("float4", "float8"):
        return all(math.isfinite(value) for value in known) and not _negative_zero(known)
    if kind.name == "date":
        return all(isinstance(value, dt.date) and value.year >= 1000 for value in known)
    if kind.name == "timestamptz":
        return all(1970 < value.year < 2038 for value in known)
    return True


def _negative_zero(values: list[Any]) -> bool:
    return any(value == 0 and math.copysign(1, value) < 0 for value in values)


_SQLITE = {
    "int2": "SMALLINT", "int4": "INT4", "int8": "BIGINT", "float4": "REAL", "float8": "DOUBLE", "text": "TEXT",
    "date": "DATE", "time": "TIME", "bytea": "BLOB", "uuid": "UUID", "jsonb": "JSON",
}  # fmt: skip


def _sqlite(kind: PgType, values: list[Any], chance: random.Random) -> tuple[str, Encode]:
    """TEXT keeps what the affinity of numbers would turn into a double: long decimals, NaN, a negative zero."""
    loose = chance.choice(("", "", "", " COLLATE NOCASE", " COLLATE RTRIM"))
    if kind.name in ("text", "varchar", "bpchar"):
        return _sqlite_text(kind) + loose, _as_is
    if kind.name == "bool":
        return "BOOLEAN", lambda value: None if value is None else int(value)
    if kind.name == "timestamp":
        return "DATETIME", _iso
    if kind.name == "timestamptz":
        return "TIMESTAMPTZ", chance.choice((_iso, _iso, _zulu))
    if kind.name == "numeric" and kind.mod >= 0 and kind.precision_scale[0] <= 12:
        return "DECIMAL({},{})".format(*kind.precision_scale), _text_of(kind)
    if kind.name in _SQLITE and _fits_sqlite(kind, values):
        wider = kind.name in ("int2", "int4") and chance.random() < 0.3
        return "INTEGER" if wider else _SQLITE[
            kind.name
        ], _iso if kind.name == "time" else _as_is if kind.name != "date" else _text_of(kind)
    return "TEXT" + loose, _text_of(kind)


def _sqlite_text(kind: PgType) -> str:
    return {"text": "TEXT", "varchar": f"VARCHAR({kind.mod - 4})", "bpchar": f"CHAR({kind.mod - 4})"}[kind.name]


def _fits_sqlite(kind: PgType, values: list[Any]) -> bool:
    known = [value for value in values if value is not None]
    if kind.name in ("float4", "float8"):
        return not any(math.isnan(value) for value in known) and not _negative_zero(known)
    return kind.name != "date" or all(isinstance(value, dt.date) for value in known)


def _iso(value: Any) -> str | None:
    """One spelling for each instant: no trailing zeros, UTC as +00:00."""
    if value is None:
        return None
    zone = "+00:00" if getattr(value, "tzinfo", None) else ""
    bare = value.replace(tzinfo=None)
    text = bare.isoformat() if isinstance(bare, dt.time) else bare.isoformat(sep=" ")
    return (text.rstrip("0") if bare.microsecond else text) + zone


def _zulu(value: dt.datetime | None) -> str | None:
    """Other spellings of the same instants, as a careless writer leaves them."""
    if value is None:
        return None
    if value.minute % 2:
        return value.astimezone(dt.timezone(dt.timedelta(hours=2))).isoformat()
    return value.replace(tzinfo=None).isoformat() + "Z"


def _arrow_native(kind: PgType, values: list[Any], chance: random.Random) -> tuple[pa.DataType, Encode]:
    if kind.arrow == pa.string() and kind.name not in ("text", "varchar", "bpchar"):
        return pa.string(), _text_of(kind)
    if any(isinstance(value, str) for value in values) and kind.name not in ("text", "varchar", "bpchar"):
        return pa.string(), _text_of(kind)
    if kind.name in ("int2", "int4") and chance.random() < 0.3:
        return pa.int64(), _as_is
    return kind.arrow, _as_is


_DUCKDB = {
    "bool": "BOOLEAN", "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float4": "FLOAT", "float8": "DOUBLE",
    "date": "DATE", "time": "TIME", "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMPTZ", "bytea": "BLOB",
    "uuid": "UUID", "jsonb": "JSON", "text": "VARCHAR", "varchar": "VARCHAR", "bpchar": "VARCHAR",
}  # fmt: skip


def _duckdb(kind: PgType, values: list[Any], chance: random.Random) -> tuple[tuple[str, pa.DataType], Encode]:
    """(declared type, Arrow type of the values to load)."""
    arrow, encode = _arrow_native(kind, values, random.Random(1))
    if kind.name == "numeric" and kind.mod >= 0:
        return ("DECIMAL({},{})".format(*kind.precision_scale), arrow), encode
    declared = _DUCKDB.get(kind.name, "VARCHAR")
    if arrow == pa.string() and kind.name == "date":
        declared = "VARCHAR"
    loose = " COLLATE NOCASE" if declared == "VARCHAR" and chance.random() < 0.1 else ""
    return (declared + loose, arrow), encode


_JSON = frozenset("bool int2 int4 int8 numeric float8 text varchar bpchar date time timestamp timestamptz uuid".split())


def _rest(kind: PgType, values: list[Any], chance: random.Random) -> tuple[str, Encode]:
    """(type in the source's file, JSON's own text): numbers as such, everything else in quotes."""
    plain = kind.name in _JSON and not any(isinstance(value, str) for value in values if kind.name.startswith("t"))
    whole = kind.name != "date" or all(value is None or isinstance(value, dt.date) for value in values)
    if not (plain and whole) or (kind.name == "numeric" and kind.mod >= 0 and kind.precision_scale[1] < 0):
        return "text", lambda value: None if value is None else json.dumps(python_text(value, kind))
    if kind.name in ("timestamp", "timestamptz"):
        return kind.name, lambda value: None if value is None else json.dumps(value.isoformat())
    number = kind.name in ("int2", "int4", "int8", "numeric") and chance.random() < 0.8
    text = _text_of(kind)

    def encode(value: Any) -> str | None:
        if value is None or kind.name == "bool":
            return None if value is None else json.dumps(value)
        written = repr(value) if isinstance(value, float) else str(text(value))
        return written if number and re.fullmatch(r"-?\d+(\.\d+)?", written) else json.dumps(written)

    return kind.sql, encode


_TRINO = {
    "bool": "BOOLEAN", "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float4": "REAL", "float8": "DOUBLE",
    "date": "DATE", "time": "TIME(6)", "timestamp": "TIMESTAMP(6)", "timestamptz": "TIMESTAMP(6) WITH TIME ZONE",
    "bytea": "VARBINARY", "uuid": "UUID", "text": "VARCHAR",
}  # fmt: skip


def _trino(kind: PgType, values: list[Any], chance: random.Random) -> tuple[str, Encode]:
    """Values are texts that Trino casts; a time with a zone keeps the zone that it is written in."""
    if kind.name in ("varchar", "bpchar"):
        own = "CHAR" if kind.name == "bpchar" else chance.choice(("VARCHAR", "VARCHAR", "CHAR"))
        blanks = any(value is not None and value.endswith(" ") for value in values)  # which a CHAR would lose
        return f"{'VARCHAR' if kind.name == 'varchar' and blanks else own}({kind.mod - 4})", _as_is
    if kind.name == "numeric" and kind.mod >= 0 and 0 <= kind.precision_scale[1] <= kind.precision_scale[0] <= 38:
        return "DECIMAL({},{})".format(*kind.precision_scale), _text_of(kind)
    odd = kind.name != "text" and any(isinstance(value, str) for value in values)  # infinity, 24:00, before Christ
    if kind.name not in _TRINO or odd:
        return "VARCHAR", _text_of(kind)
    if kind.name == "bytea":
        return "VARBINARY", lambda value: None if value is None else value.hex()
    if kind.name == "timestamptz":
        return _TRINO["timestamptz"], chance.choice((_in_utc, _in_india))
    if kind.name in ("float4", "float8"):
        return _TRINO[kind.name], _float_word
    coarse = all(value is None or value.microsecond % 1000 == 0 for value in values) if kind.name == "timestamp" else 0
    return "TIMESTAMP(3)" if coarse and chance.random() < 0.5 else _TRINO[kind.name], _text_of(kind)


def _float_word(value: float | None) -> str | None:
    if value is None or math.isfinite(value):
        return None if value is None else repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _in_utc(value: dt.datetime | None) -> str | None:
    return None if value is None else _local(value, dt.UTC) + " UTC"


def _in_india(value: dt.datetime | None) -> str | None:
    there = dt.timezone(dt.timedelta(hours=5, minutes=30))
    return None if value is None else _local(value, there) + " +05:30"


def _local(value: dt.datetime, zone: dt.timezone) -> str:
    return value.astimezone(zone).replace(tzinfo=None).isoformat(" ", "microseconds")


_KINDS: dict[str, Callable[[PgType, list[Any], random.Random], tuple[Any, Encode]]] = {
    "postgresql": _postgresql,
    "mariadb": _mariadb,
    "sqlite": _sqlite,
    "files": _arrow_native,
    "duckdb": _duckdb,
    "rest": _rest,
    "trino": _trino,
    "mysql": partial(_mariadb, natives=_MYSQL, collations=_MYSQL_COLLATIONS),
}
