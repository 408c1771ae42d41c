"""Statements for PostgreSQL: parameters as prepared ones or as literals, and casts of what drivers cannot carry."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from psycopg import sql

from connectors.base import Bound, SourceQuery
from connectors.types import BUILTIN, PgType

# what both psycopg's binary format and ADBC carry exactly (infinities are seen to in postgresql_rows);
# bpchar must not be cast: bpchar -> text strips the blanks
CARRIED = frozenset(
    ("bool", "int2", "int4", "int8", "float4", "float8", "bytea", "bpchar", "date", "time", "timestamp", "timestamptz")
)
Quote = Callable[[str], str]
# casts of these to text print otherwise than their output functions do: a mask of all bits, a declaration
_CARRIERS = {
    "oid": "{}::int8",
    "inet": "pg_catalog.textin(pg_catalog.inet_out({}))",
    "cidr": "pg_catalog.textin(pg_catalog.cidr_out({}))",
    "xml": "pg_catalog.textin(pg_catalog.xml_out({}))",
}
_IN = re.compile(r"\b(NOT\s+)?IN\s*\(\s*$", re.IGNORECASE)


def prepared(query: SourceQuery) -> tuple[str, list[str | None]]:
    """The statement with $1, $2 ... and the values' text; each is cast, so the server knows its type."""
    text, order = _prepared(query.parts, tuple(bound.type for bound in query.params), query.columns)
    return text, [text_of(query.params[index].value) for index in order]


@lru_cache(1024)
def _prepared(
    parts: tuple[str | int, ...], types: tuple[PgType, ...], columns: tuple[PgType, ...]
) -> tuple[str, tuple[int, ...]]:
    """The text, and which parameter each $n is."""
    order: dict[int, int] = {}
    pieces: list[str] = []
    for index, part in enumerate(parts):
        if isinstance(part, str):
            pieces.append(_in_to_any(parts, types, index, part))
        else:
            number = order.setdefault(part, len(order) + 1)
            pieces.append(f"${number}::{_cast_name(types[part])}")
    return wrap("".join(pieces), columns), tuple(order)


def inlined(query: SourceQuery, carried: frozenset[str] | None = CARRIED, quote: Quote | None = None) -> str:
    """The statement with its parameters as literals: COPY, which ADBC streams by, takes no others.

    Columns of other types than `carried` come as text; with None, all come as they are. `quote`: see `literal`.
    """
    types = [bound.type for bound in query.params]
    pieces = [
        _in_to_any(query.parts, types, index, part) if isinstance(part, str) else literal(query.params[part], quote)
        for index, part in enumerate(query.parts)
    ]
    text = "".join(pieces)
    return text if carried is None else wrap(text, query.columns, carried)


def literal(bound: Bound, quote: Quote | None = None) -> str:
    """A value as a literal of its type; `quote` makes the literal of its text, where the usual one will not do."""
    text = text_of(bound.value)
    return f"{quoted(text) if quote is None or text is None else quote(text)}::{_cast_name(bound.type)}"


def quoted(value: Any) -> str:
    """A value's input text as a literal of no type."""
    return sql.Literal(text_of(value)).as_string(None)


def wrap(text: str, columns: Sequence[PgType], carried: frozenset[str] = CARRIED) -> str:
    """The statement, its columns cast to text (or int8) where drivers would garble them."""
    casts = [_carrier(column, carried) for column in columns]
    if all(cast == "{}" for cast in casts):
        return text
    names = ", ".join(f"c{i}" for i in range(len(casts)))
    outputs = ", ".join(f"{cast.format(f'c{i}')} AS c{i}" for i, cast in enumerate(casts))
    return f"SELECT {outputs} FROM ({text}) AS q({names})"  # noqa: S608 - names are c0, c1, ...


def text_of(value: Any) -> str | None:
    """A Python value as PostgreSQL's input text of it; lists become arrays."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return "{" + ",".join(_element(text_of(item)) for item in value) + "}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return "\\x" + bytes(value).hex()
    if isinstance(value, datetime.timedelta):
        return f"{value.days} days {value.seconds} seconds {value.microseconds} microseconds"
    return value.isoformat() if isinstance(value, datetime.date | datetime.time) else str(value)


def _float(value: float) -> str:
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return "NaN" if math.isnan(value) else repr(value)


def _element(text: str | None) -> str:
    if text is None:
        return "NULL"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _in_to_any(parts: Sequence[str | int], types: Sequence[PgType], index: int, part: str) -> str:
    """`x IN (` before an array parameter becomes `x = ANY (`."""
    following = parts[index + 1] if index + 1 < len(parts) else ""
    if not isinstance(following, int) or not types[following].name.startswith("_"):
        return part
    return _IN.sub(lambda match: "<> ALL (" if match[1] else "= ANY (", part)


def _cast_name(kind: PgType) -> str:
    """The type's own catalog name: `character` or `bit` alone would mean one of them."""
    if kind.name == "unknown":
        return "text"
    known = kind.name.removeprefix("_") in BUILTIN
    return f'pg_catalog."{kind.name}"' if known else kind.bare.sql


def _carrier(column: PgType, carried: frozenset[str]) -> str:
    """What is selected of a column."""
    if column.name in carried:
        return "{}"
    return _CARRIERS.get(column.name, "{}::text")
