"""DuckDB's types as PostgreSQL's, and which of them have the same range, arithmetic and order."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow
from connectors.base import Bound, SourceQuery
from connectors.decimals import plain
from connectors.errors import SourceError
from connectors.types import PgType, numeric

# DuckDB's name of the type that computes as PostgreSQL's does. Everything else travels as its text.
_NATURAL = {
    "bool": "BOOLEAN",
    "int2": "SMALLINT",
    "int4": "INTEGER",
    "int8": "BIGINT",
    "oid": "BIGINT",
    "float4": "FLOAT",
    "float8": "DOUBLE",
    "bytea": "BLOB",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "uuid": "UUID",
}
_SAME = {name: kind for kind, name in _NATURAL.items() if kind != "oid"}
# The next wider type that PostgreSQL has; TIMESTAMP_NS is refused at a value that microseconds cannot hold.
_WIDER = {
    "TINYINT": PgType("int2"),
    "UTINYINT": PgType("int2"),
    "USMALLINT": PgType("int4"),
    "UINTEGER": PgType("int8"),
    "UBIGINT": numeric(20, 0),
    "HUGEINT": numeric(39, 0),
    "UHUGEINT": numeric(39, 0),
    "TIMESTAMP_S": PgType("timestamp"),
    "TIMESTAMP_MS": PgType("timestamp"),
    "TIMESTAMP_NS": PgType("timestamp"),
    "TIMESTAMPTZ_NS": PgType("timestamptz"),
    "TIME_NS": PgType("time"),
    "JSON": PgType("json"),
    "BIGNUM": PgType("numeric"),
}
_INTEGERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "HUGEINT"}
_FINER = {  # units of time in which Arrow comes; a cast there would cut silently
    "TIME": {"TIME_NS"},
    "TIMESTAMP": {"TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"},
    "TIMESTAMP WITH TIME ZONE": {"TIMESTAMPTZ_NS"},
}
_FLOATS = {"FLOAT", "DOUBLE"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


def mapped(native: str) -> PgType:
    """The PostgreSQL type of a DuckDB type; lists, structs, enums, intervals and the rest are text.

    >>> mapped("DECIMAL(10,2)").sql, mapped("UTINYINT").sql, mapped("INTEGER[]").sql
    ('numeric(10,2)', 'smallint', 'text')
    """
    decimal = _DECIMAL.fullmatch(native)
    if decimal:
        return numeric(int(decimal[1]), int(decimal[2]))
    return PgType(_SAME[native]) if native in _SAME else _WIDER.get(native, PgType("text"))


def natural(kind: PgType) -> str:
    """The DuckDB type in which `kind` computes as in PostgreSQL; VARCHAR where there is none."""
    if kind.name == "numeric" and kind.arrow != pa.string():
        return "DECIMAL({},{})".format(*kind.precision_scale)
    return _NATURAL.get(kind.name, "VARCHAR")


def cast(native: str, kind: PgType) -> str | None:
    """The type to which DuckDB must cast a column before Arrow can make `kind.arrow` of it; None: no need.

    Raises SourceError where the cast would change a value silently: the statement gives another type than asked.
    """
    target = "VARCHAR" if kind.arrow == pa.string() else natural(kind)
    if native == target or (native in _INTEGERS and target in ("SMALLINT", "INTEGER", "BIGINT")):
        return None
    if native.startswith("ENUM") or (native == "UUID" and target == "VARCHAR"):
        return None
    if native.startswith("DECIMAL") and target.startswith("DECIMAL"):
        return None
    if native == "VARCHAR" or native in _FINER.get(target, ()):
        return None
    fractional = native in _FLOATS or native.startswith("DECIMAL")
    if fractional and (target in ("SMALLINT", "INTEGER", "BIGINT") or (native in _FLOATS and kind.name == "numeric")):
        raise SourceError(f"DuckDB gives {native} where {kind.sql} was asked")
    return target


def batch(
    rows: pa.RecordBatch, query: SourceQuery, read: Mapping[int, Callable[[pa.Array], pa.Array]] = MappingProxyType({})
) -> pa.RecordBatch:
    """DuckDB's Arrow as the contract's; SourceError HV004 where a value does not fit. Some columns are `read` first."""
    kinds = query.columns

    def made(at: int, values: pa.Array) -> pa.Array:
        return _conformed(read[at](values) if at in read else values, kinds[at], f"c{at}")

    return arrow.assembled(query, rows.columns, made)


def _conformed(values: pa.Array, kind: PgType, column: str) -> pa.Array:
    return arrow.conform(_narrowed(values, kind, column), kind, column)


def _narrowed(array: pa.Array, kind: PgType, column: str) -> pa.Array:
    """What only DuckDB sends: dictionaries (enums), whole decimals (HUGEINT), other units of time."""
    have, want = array.type, kind.arrow
    if pa.types.is_dictionary(have):
        return array.cast(have.value_type)
    if kind.name == "bpchar" and pa.types.is_string(have):
        return pc.utf8_rtrim(array, " ")
    if pa.types.is_date32(have):
        return arrow.dated(array, kind, column)
    timed = pa.types.is_timestamp(have) or pa.types.is_time(have)
    if not timed and not (pa.types.is_decimal(have) and pa.types.is_integer(want)):
        return array
    try:
        made = array.cast(want) if have != want else array
    except pa.ArrowInvalid as error:
        raise arrow.unfit(column, "a value of more digits, or out of range", kind) from error
    return arrow.dated(made, kind, column) if pa.types.is_timestamp(made.type) else made


def encode(bound: Bound, place: str) -> tuple[str, Any]:
    """A parameter as (SQL with one ?, value to bind): times as text, so that no driver's time zone has a say."""
    if bound.type.name.startswith("_"):
        return _encode_list(PgType(bound.type.name[1:]), bound.value, place)
    if bound.value is None and bound.type.name == "numeric":
        return "?", None  # of any scale: a text would not compare with a decimal
    if bound.type.name != "numeric":
        return f"CAST(? AS {natural(bound.type)})", _plain(bound.value, bound.type.name)
    return "?", _decimal(bound.value, place)


def _encode_list(element: PgType, values: list[Any] | None, place: str) -> tuple[str, Any]:
    if element.name != "numeric" or not values:
        return f"CAST(? AS {natural(element)}[])", values if values is None else [
            _plain(value, element.name) for value in values
        ]
    numbers = [value if value is None else _decimal(value, place) for value in values]
    scale = max((-int(value.as_tuple().exponent) for value in numbers if value is not None), default=0)
    # as texts: of a list of Python's decimals DuckDB rounds some
    texts = [value if value is None else plain(value) for value in numbers]
    return f"CAST(? AS DECIMAL(38,{max(scale, 0)})[])", texts


def _plain(value: Any, kind: str) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, str) and kind in ("date", "timestamp", "timestamptz") and value.endswith(" BC"):
        day, _, rest = value.removesuffix(" BC").partition(" ")
        return f"{day} (BC) {rest}".rstrip()
    return str(value) if isinstance(value, uuid.UUID) else value


def _decimal(value: str, place: str) -> Decimal:
    number = Decimal(value)
    digits = number.as_tuple()
    if not isinstance(digits.exponent, int) or max(len(digits.digits), -digits.exponent) + max(digits.exponent, 0) > 38:
        raise SourceError(
            "DuckDB has no decimal of more than 38 digits, no NaN and no infinity to compare with",
            sqlstate="HV004",
            place=place,
            hint="compare with another value",
        )
    return number
