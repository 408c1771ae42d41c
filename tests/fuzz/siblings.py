"""The same statement with other constants: what was planned for one must hold for the other, or be planned again."""

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
