"""SQLAlchemy's types as PostgreSQL's: only what a driver can hand over exactly; anything else is read as text."""

from __future__ import annotations

from typing import Any

from sqlalchemy.types import TypeEngine

from connectors.types import PgType, numeric

TEXT, NUMERIC = PgType("text"), PgType("numeric")
NUMERIC_DIGITS = 1000  # the most that PostgreSQL declares
# By the name under which SQLAlchemy's own compilers visit a type, in lower case: it is the engine's, not the class's.
_NAMES: dict[str, str] = {
    **dict.fromkeys(("boolean", "bool"), "bool"),
    **dict.fromkeys(("smallint", "small_integer", "tinyint", "int2", "utinyint"), "int2"),
    **dict.fromkeys(("integer", "int", "mediumint", "int4", "usmallint"), "int4"),
    **dict.fromkeys(("bigint", "big_integer", "int8", "uinteger"), "int8"),
    **dict.fromkeys(("real", "float4", "binary_float"), "float4"),
    **dict.fromkeys(("double", "double_precision", "float", "float8", "binary_double"), "float8"),
    **dict.fromkeys(("date",), "date"),
    **dict.fromkeys(("uuid", "as_uuid_type", "uniqueidentifier"), "uuid"),
    **dict.fromkeys(("json",), "json"),
    **dict.fromkeys(
        ("blob", "large_binary", "binary", "varbinary", "bytea", "tinyblob", "mediumblob", "longblob", "raw"), "bytea"
    ),
    **dict.fromkeys(
        ("datetime", "timestamp", "datetime2", "smalldatetime", "timestamp_s", "timestamp_ms", "timestamp_ns"),
        "timestamp",
    ),
    **dict.fromkeys(("timestamptz", "datetimeoffset", "timestamp_tz"), "timestamptz"),
    **dict.fromkeys(("time",), "time"),
    **dict.fromkeys(("hugeint", "uhugeint", "ubigint", "int128", "money", "smallmoney"), "numeric"),
    **dict.fromkeys(("decimal", "numeric", "number"), "numeric"),
}
# What a dialect means by a name that others use for something else.
_OWN: dict[str, dict[str, str]] = {
    "mysql": {"float": "float4", "real": "float8", "year": "int2"},
    "mariadb": {"float": "float4", "real": "float8", "year": "int2"},
    "duckdb": {"float": "float4"},
    "firebird": {"float": "float4"},
    "mssql": {"timestamp": "bytea", "rowversion": "bytea", "sql_variant": "text", "datetime": "timestamp"},
    # every integer there is a NUMBER of 38 digits, every DATE has a time of day
    "oracle": {
        **dict.fromkeys(("integer", "smallint", "bigint", "float"), "numeric"),
        "date": "timestamp",
    },
    "snowflake": {"integer": "numeric", "smallint": "numeric", "bigint": "numeric"},
}
_TEXTS = frozenset(
    "string text unicode unicode_text char varchar nvarchar nchar clob nclob varchar2 nvarchar2 enum tinytext"
    " mediumtext longtext ntext long character bpchar name set citext".split()
)


def visited(kind: TypeEngine[Any]) -> str:
    """The name by which SQLAlchemy knows a type, e.g. "double_precision"; "" for one of a dialect's own."""
    own = type(kind).__module__.startswith("sqlalchemy.") or "__visit_name__" in vars(type(kind))
    return str(kind.__visit_name__).lower() if own else ""


def mapped(kind: TypeEngine[Any], dialect: str, native: str = "") -> PgType:
    """The PostgreSQL type of a column of a SQLAlchemy dialect; text for whatever is not known to be exact.

    `native` is the engine's own name of the type, which tells more than a class that a dialect derived from another.

    >>> from sqlalchemy import types
    >>> mapped(types.Numeric(10, 2), "oracle").sql, mapped(types.INTEGER(), "oracle").sql, mapped(types.REAL(), "x").sql
    ('numeric(10,2)', 'numeric', 'real')
    >>> mapped(types.Integer(), "duckdb", "HUGEINT").sql
    'numeric'
    """
    word = "_".join(native.partition("(")[0].lower().removesuffix(" without time zone").split())
    zoned = word.endswith("_with_time_zone") or bool(getattr(kind, "timezone", False))
    own = _OWN.get(dialect, {})
    names = [word.removesuffix("_with_time_zone"), visited(kind)]
    visit = next((each for each in names if each in own or each in _NAMES), "")
    name = own.get(visit) or _NAMES.get(visit, "text")
    if name in ("timestamp", "time") and zoned:
        name += "tz"
    if getattr(kind, "unsigned", False):
        name = {"int2": "int4", "int4": "int8", "int8": "numeric"}.get(name, name)
    if name == "numeric":
        return _decimal(getattr(kind, "precision", None), getattr(kind, "scale", None), visit)
    return PgType("text" if name == "timetz" else name)


def textual(kind: TypeEngine[Any]) -> bool:
    """Whether the engine itself holds text there, so that it arrives as it is stored."""
    return visited(kind) in _TEXTS


def _decimal(precision: Any, scale: Any, visit: str) -> PgType:
    """Of the declared digits; without a precision any number of them."""
    if visit not in ("decimal", "numeric", "number") or not isinstance(precision, int) or isinstance(precision, bool):
        return NUMERIC
    places = scale if isinstance(scale, int) else 0
    return numeric(precision, places) if 0 < precision <= NUMERIC_DIGITS and 0 <= places <= precision else NUMERIC
