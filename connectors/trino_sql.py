"""Values as Trino's literals, each of exactly the type that PostgreSQL has for it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from connectors.base import Bound
from connectors.types import PgType

TYPES = {
    "bool": "BOOLEAN", "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float4": "REAL", "float8": "DOUBLE",
    "text": "VARCHAR", "varchar": "VARCHAR", "bpchar": "VARCHAR", "bytea": "VARBINARY", "date": "DATE",
    "timestamp": "TIMESTAMP(6)", "timestamptz": "TIMESTAMP(6) WITH TIME ZONE", "time": "TIME(6)", "uuid": "UUID",
}  # fmt: skip
DIGITS = 38


def text_of(parts: Sequence[str | int], params: Sequence[Bound]) -> str:
    """A statement with its parameters written in place."""
    return "".join(part if isinstance(part, str) else literal(params[part]) for part in parts)


def literal(bound: Bound) -> str:
    """The value as SQL; an array is what stands between the parentheses of IN. ValueError where Trino has no such
    value: a numeric's NaN and infinities, more than 38 digits."""
    kind = bound.type
    if kind.name.startswith("_"):
        element = PgType(kind.name[1:])
        values = bound.value or []
        return ", ".join(_one(element, value) for value in values) or f"SELECT {_null(element)} WHERE false"
    return _one(kind, bound.value)


def _null(kind: PgType) -> str:
    return f"CAST(NULL AS {TYPES[kind.name]})" if kind.name in TYPES else "NULL"


def _one(kind: PgType, value: Any) -> str:
    if value is None:
        return _null(kind)
    match kind.name:
        case "bool":
            return "true" if value else "false"
        case "int2" | "int4" | "int8":
            return f"{TYPES[kind.name]} '{int(value)}'"
        case "numeric":
            return _decimal(Decimal(value))
        case "float8" | "float4":
            return _float(TYPES[kind.name], float(value))
        case "date" | "uuid":
            return f"{TYPES[kind.name]} '{value}'"
        case "timestamp":
            return f"TIMESTAMP '{value.isoformat(' ', 'microseconds')}'"
        case "timestamptz":
            instant = value.astimezone(dt.UTC).replace(tzinfo=None)
            return f"TIMESTAMP '{instant.isoformat(' ', 'microseconds')} UTC'"
        case "time":
            return f"TIME '{value.isoformat('microseconds')}'"
        case "bytea":
            return f"X'{bytes(value).hex()}'"
        case "text" | "varchar" | "bpchar":
            return "'" + str(value).replace("'", "''") + "'"
        case _:
            raise ValueError(f"Trino has no constants of type {kind.sql}")


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError(f"Trino's decimals have no {value}")
    text = f"{value:f}"
    whole, _, fraction = text.lstrip("-").partition(".")
    if len(whole.lstrip("0")) + len(fraction) > DIGITS:
        raise ValueError(f"Trino's decimals have at most {DIGITS} digits, not those of {text}")
    return f"DECIMAL '{text}'"


def _float(name: str, value: float) -> str:
    if math.isfinite(value):
        return f"{name} '{value!r}'"
    made = "nan()" if math.isnan(value) else "infinity()" if value > 0 else "(-infinity())"
    return made if name == "DOUBLE" else f"CAST({made} AS {name})"
