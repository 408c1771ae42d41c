"""How dialects call the types that values are cast to, where a probe makes values of them out of parameters."""

from __future__ import annotations

import re
from collections.abc import Mapping

# By the kinds of values of a probe; "" where the engine has no such type.
_SQL = {
    "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "money": "DECIMAL(12,2)", "rate": "DECIMAL(10,3)",
    "long": "DECIMAL(38,10)", "date": "DATE", "timestamp": "TIMESTAMP", "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "time": "TIME", "bool": "BOOLEAN", "text": "VARCHAR(100)",
}  # fmt: skip
_TYPES: Mapping[str, Mapping[str, str]] = {
    "mysql": {"int2": "", "int4": "", "int8": "SIGNED", "timestamp": "DATETIME(6)", "timestamptz": "",
              "time": "TIME(6)", "bool": "", "text": "CHAR(100)"},
    "sqlite": {"int2": "", "int4": "", "int8": "INTEGER", "date": "", "timestamp": "", "timestamptz": "", "time": "",
               "bool": "INTEGER", "text": "TEXT", "money": "", "rate": "", "long": ""},
    "tsql": {"timestamp": "DATETIME2(6)", "timestamptz": "DATETIMEOFFSET(6)", "time": "TIME(6)", "bool": "BIT",
             "text": "NVARCHAR(100)"},
    "oracle": {"int2": "NUMBER(5)", "int4": "NUMBER(10)", "int8": "NUMBER(19)", "money": "NUMBER(12,2)",
               "rate": "NUMBER(10,3)", "long": "NUMBER(38,10)", "date": "", "timestamp": "TIMESTAMP(6)",
               "timestamptz": "TIMESTAMP(6) WITH TIME ZONE", "time": "", "bool": "", "text": "VARCHAR2(100 CHAR)"},
    # a type holds NULL only where it says so, and its names are case-sensitive
    "clickhouse": {kind: f"Nullable({name})" for kind, name in {
        "int2": "Int16", "int4": "Int32", "int8": "Int64", "money": "Decimal(12, 2)", "rate": "Decimal(10, 3)",
        "long": "Decimal(38, 10)", "date": "Date32", "timestamp": "DateTime64(6)",
        "timestamptz": "DateTime64(6, 'UTC')",
        "bool": "Bool", "text": "String"}.items()} | {"time": ""},
    "trino": {"timestamp": "TIMESTAMP(6)", "timestamptz": "TIMESTAMP(6) WITH TIME ZONE", "time": "TIME(6)"},
}  # fmt: skip
# What CAST calls otherwise than CREATE TABLE does; "" where values are kept in any spelling: none stands for all.
_CASTABLE: Mapping[str, Mapping[str, str]] = {
    "mysql": {**dict.fromkeys(("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "INTEGER", "BIGINT"), "SIGNED"),
              **dict.fromkeys(("VARCHAR", "TEXT", "LONGTEXT", "MEDIUMTEXT", "TINYTEXT"), "CHAR"),
              "TIMESTAMP": "DATETIME", "NUMERIC": "DECIMAL"},
    "sqlite": {**dict.fromkeys(("DATE", "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIME"), ""),
               **dict.fromkeys(("VARCHAR", "CHAR", "NVARCHAR"), "TEXT")},
}  # fmt: skip
# Lengths and members; what is left in parentheses is a type that another is made of
_ARGUMENTS = re.compile(r"\s*\(\s*(?:(?:\d+|MAX|\*|'(?:[^']|'')*')(?:\s+(?:CHAR|BYTE))?\s*,?\s*)+\)", re.IGNORECASE)
_ASIDE = re.compile(r"\s+(?:IDENTITY|COUNTER|AUTO_INCREMENT|COLLATE\s+\S+|CHARACTER SET\s+\S+)")
_DIGITS = {"money": "12,2", "rate": "10,3", "long": "38,10"}
_LENGTHS = {"text": "100", "timestamp": "6", "timestamptz": "6", "time": "6"}


def types(dialect: str) -> dict[str, str]:
    """The types of a dialect by kind of values, those that it has."""
    return {kind: text for kind, text in {**_SQL, **_TYPES.get(dialect, {})}.items() if text}


def base(native: str) -> str:
    """The name of a type as a source has it, without lengths, collations and what is no type: NVARCHAR, TIMESTAMP WITH
    TIME ZONE."""
    bare = " ".join(_ARGUMENTS.sub("", native).upper().split())
    return _ASIDE.sub("", bare).strip('"`[]')


def tried(native: str, name: str) -> str:
    """How a profile names a source's type that stands for one of ours: NVARCHAR as text."""
    return f"{base(native)} as {'text' if name == 'varchar' else name}"


def castable(native: str, kind: str, dialect: str) -> str:
    """That type as CAST wants it, long and fine enough for the values of a kind."""
    if dialect == "clickhouse":
        return _nullable(native, kind)
    name = base(native)
    cast = _CASTABLE.get(dialect, {}).get(name, name)
    if "(" not in native or not cast:
        return cast
    standard = {**_DIGITS, **_LENGTHS}.get(kind, "")
    head, _, tail = cast.partition(" ")
    if cast == "SIGNED" or not standard:
        return cast
    timed = kind in ("timestamp", "timestamptz", "time")
    return f"{head}({standard}) {tail}".strip() if timed else f"{cast}({standard})"


def _nullable(native: str, kind: str) -> str:
    """A type of ClickHouse's, as it is written, able to hold NULL."""
    if kind in _DIGITS:
        native = re.sub(r"Decimal\([^)]*\)", f"Decimal({_DIGITS[kind]})", native)
    head, _, inner = native.partition("LowCardinality(")
    if inner and not head:
        return f"LowCardinality({_nullable(inner[:-1], kind)})"
    return native if native.startswith("Nullable(") else f"Nullable({native})"
