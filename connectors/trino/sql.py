"""Values as Trino's literals, each of exactly the type that PostgreSQL has for it."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from connectors.base import Bound, SourceQuery
from connectors.errors import SourceError
from connectors.types import PgType

TYPES = {
    "bool": "BOOLEAN", "int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT", "float4": "REAL", "float8": "DOUBLE",
    "text": "VARCHAR", "varchar": "VARCHAR", "bpchar": "VARCHAR", "bytea": "VARBINARY", "date": "DATE",
    "timestamp": "TIMESTAMP(6)", "timestamptz": "TIMESTAMP(6) WITH TIME ZONE", "time": "TIME(6)", "uuid": "UUID",
}  # fmt: skip
DIGITS = 38
_FAR = re.compile(
    r"(?P<year>\d{4,})(?P<rest>-\d\d-\d\d(?: \d\d:\d\d:\d\d(?:\.\d{1,6})?)?)(?:\+00)?(?P<bc> BC)?", re.ASCII
)
_COUNT = re.compile(r"\b(LIMIT|OFFSET|FETCH FIRST)\s+\Z", re.IGNORECASE)
# a statement that begins so reads; there is one in a request
_QUERY = re.compile(r"[\s(]*(SELECT|WITH|VALUES|TABLE)\b", re.IGNORECASE)


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def written(query: SourceQuery, place: str) -> str:
    """The statement with its parameters in place. SourceError: it is no query, or Trino has no such value."""
    if _QUERY.match(query.parts[0] if query.parts and isinstance(query.parts[0], str) else "") is None:
        raise SourceError("only queries are sent to Trino", place=place)
    try:
        return text_of(query.parts, query.params)
    except ValueError as error:
        raise SourceError(str(error), sqlstate="HV004", place=place, hint="compare with another value") from None


def text_of(parts: Sequence[str | int], params: Sequence[Bound]) -> str:
    """A statement with its parameters written in place."""
    made: list[str] = []
    for part in parts:
        if isinstance(part, str):
            made.append(part)
            continue
        counted = _COUNT.search(made[-1]) if made else None
        made.append(literal(params[part]) if counted is None else _count(params[part], counted[1].upper()))
    return "".join(made)


def _count(bound: Bound, word: str) -> str:
    """Behind LIMIT or OFFSET Trino takes a bare number."""
    if bound.value is None:
        return "0" if word == "OFFSET" else "ALL"
    return str(int(bound.value))


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
        case "uuid":
            return f"UUID '{UUID(str(value))}'"
        case "date" | "timestamp" | "timestamptz" if isinstance(value, str):
            return _far(kind, value)
        case "time" if isinstance(value, str):
            raise ValueError(f"Trino has no such {kind.sql}")  # 24:00
        case "date":
            return f"DATE '{value.isoformat()}'"
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


def _far(kind: PgType, text: str) -> str:
    """A date or timestamp as PostgreSQL prints it: before Christ, or past the year 9999."""
    match = _FAR.fullmatch(text)
    if match is None:  # infinity
        raise ValueError(f"Trino has no such {kind.sql}")
    year = int(match["year"]) if not match["bc"] else 1 - int(match["year"])
    zone = " UTC" if kind.name == "timestamptz" else ""
    made = f"{year:05d}" if year < 0 else f"{year:04d}"
    return f"CAST({kind.name.removesuffix('tz').upper()} '{made}{match['rest']}{zone}' AS {TYPES[kind.name]})"


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
