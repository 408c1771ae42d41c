"""The same statement with other constants or parameters: what was planned for one must hold for the other, or be
planned again."""

from __future__ import annotations

import random
import re
from dataclasses import replace

from tests.fuzz.queries import Query

# Constants that are compared with something; others may be formats, patterns or positions.
_COMPARED = re.compile(r"(?<=[=<>] )(?:\((-?\d+)\)|('(?:[^'\\]|'')*')(::[a-z ]+(?:\([\d,]+\))?)?)")
_SMALLEST, _LARGEST = -(2**15), 2**15


def sibling(query: Query, r: random.Random) -> Query | None:
    """The query with some constants changed for others of their type; None where it has none to change."""
    found = list(_COMPARED.finditer(query.sql))
    pools: dict[str, list[str]] = {}
    for match in found:
        pools.setdefault(match[3] or "" if match[2] else "int", []).append(match[0])
    if not found:
        return None

    def other(match: re.Match[str]) -> str:
        if r.random() < 0.3:
            return match[0]
        if match[1]:
            near = r.choice((0, 1, 2, 7, int(match[1]) + 1, -int(match[1])))
            return f"({min(max(near, _SMALLEST), _LARGEST)})"
        if not match[3] and r.random() < 0.5:
            return r.choice(("'a'", "'A'", "''", "'é'"))
        return r.choice(pools[match[3] or ""])

    changed = replace(
        query, sql=_COMPARED.sub(other, query.sql), unlimited="", features=frozenset(("sibling of a known shape",))
    )
    # Rows that tie would need the text without its LIMIT changed in the same way.
    return changed if changed.sql != query.sql and not query.unlimited else None


def rebound(query: Query, r: random.Random) -> Query | None:
    """The statement with other parameters: each NULL, or one of its type that another has; None where none changes."""
    if not query.params or query.unlimited:
        return None
    pool: dict[str, list[str | None]] = {}
    for kind, value in query.params:
        pool.setdefault(kind, [None, *_OTHERS.get(kind, ())]).append(value)
    params = tuple((kind, r.choice(pool[kind])) for kind, _ in query.params)
    changed = replace(query, params=params, features=frozenset(("other parameters",)))
    return changed if params != query.params else None


_OTHERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("int2", "int4", "int8"), ("0", "1", "-1", "7", "32767")),
    **dict.fromkeys(("text", "varchar"), ("a", "A", "", "a ", "é", "%")),
    **dict.fromkeys(("date", "timestamp"), ("2024-02-29", "2024-05-01", "1970-01-01")),
    "timestamptz": ("2024-02-29 00:00:00+00:00", "2024-03-10 07:00:00+00:00"),
    "numeric": ("0.00", "1.50", "-1", "100.000"),
    "float8": ("0.0", "1.5", "-2.5"),
    "bool": ("t", "f"),
}
