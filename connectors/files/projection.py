"""Statements that only hand on columns of one table: answered by the format's own reader, without a DuckDB between."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from connectors.base import Column, SourceQuery
from connectors.files.table import Opened, Policies
from connectors.types import PgType

_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_][A-Za-z_0-9]*)'
_ITEM = re.compile(rf"\s*(?:({_NAME})\.)?({_NAME})(?:\s+AS\s+{_NAME})?\s*(,|FROM\b)", re.IGNORECASE)
_FROM = re.compile(rf"\s+(?:({_NAME})\.)?({_NAME})(?:\s+AS\s+({_NAME}))?\s*", re.IGNORECASE)
_SELECT = re.compile(r"\s*SELECT\s", re.IGNORECASE)
_SCHEMA = "main"
_WORDS = frozenset(  # that mean something else where they stand alone
    "true false null distinct all current_date current_time current_timestamp localtime localtimestamp "
    "current_user session_user user current_schema current_catalog current_role".split()
)
_TEXTS = ("text", "varchar")


@dataclass(frozen=True, slots=True)
class Projection:
    """SELECT columns FROM table, names as written but for their quotes."""

    table: str
    columns: tuple[str, ...]


@lru_cache(1024)
def projection(sql: str) -> Projection | None:
    """The statement, where it is nothing but that; None for every other, and whenever in doubt.

    >>> projection('SELECT b0."id" AS c0, b0.name FROM "main"."t" AS b0')
    Projection(table='t', columns=('id', 'name'))
    >>> projection("SELECT id FROM t WHERE id > 1"), projection("SELECT DISTINCT id FROM t")
    (None, None)
    """
    begin = _SELECT.match(sql)
    if begin is None:
        return None
    at, items, found = begin.end(), [], None
    while found is None or found[3] == ",":
        found = _ITEM.match(sql, at)
        if found is None or found[2].lower() in _WORDS:
            return None
        items.append((found[1], _plain(found[2])))
        at = found.end()
    origin = _FROM.fullmatch(sql, at)
    if origin is None or (origin[1] and _plain(origin[1]) != _SCHEMA):
        return None
    alias = _plain(origin[3] or origin[2]).lower()
    if any(owner is not None and _plain(owner).lower() != alias for owner, _ in items):
        return None
    return Projection(_plain(origin[2]), tuple(name for _, name in items))


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def handed_on(query: SourceQuery, table: Opened, columns: Sequence[str], spared: Policies) -> list[Column] | None:
    """The table's columns of these names, where its reader gives them as they are asked for."""
    named = {column.name.lower(): column for column in table.columns}
    found = [named.get(name.lower()) for name in columns]
    if len(found) != len(query.columns):
        return None
    given = [column for column in found if column is not None]
    if len(given) != len(found) or not table.scannable([column.name for column in given]):
        return None
    same = (
        _same(column.type, want) or spared.get(column.name) == "text"
        for column, want in zip(given, query.columns, strict=True)
    )
    return given if all(same) else None


def _same(have: PgType, want: PgType) -> bool:
    return have == want or (have.arrow == want.arrow and (have.name == want.name != "bpchar" or _text(have, want)))


def _text(have: PgType, want: PgType) -> bool:
    return have.name in _TEXTS and want.name in _TEXTS
