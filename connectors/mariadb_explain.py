"""MariaDB's and MySQL's EXPLAIN FORMAT=JSON, read for what it would examine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from connectors.reading import Reading, Step, aliased

Pairs = list[tuple[str, Any]]  # an object's members: keys may occur more than once


def read(told: str, statement: str) -> Reading:
    """The reading of EXPLAIN's one value."""
    names = aliased(statement)
    found = _steps(json.loads(told, object_pairs_hook=list))
    steps = [replace(step, table=names.get(step.table, step.table)) for step in found]
    lines = (f"{s.table}, {'by ' + s.index if s.index else 'from end to end'}, {s.rows or 0:,.0f} rows" for s in steps)
    return Reading(tuple(steps), "\n".join(lines))


def _steps(node: Any) -> Iterator[Step]:
    """Tables in the order in which they are joined: each is read once for every row that those before let through."""
    times = 1.0
    for table in _tables(node):
        facts = dict(table)
        rows = float(facts.get("rows", facts.get("rows_examined_per_scan", 0)) or 0)
        whole = facts.get("access_type") in ("ALL", "index")
        begun = 1.0 if whole else times  # a scan's rows are kept in the join buffer
        name = str(facts["table_name"])
        if not name.startswith("<"):
            yield Step(name, rows * begun, "" if whole else str(facts.get("key", "unique")), begun)
        times *= max(rows * float(facts.get("filtered", 100) or 0) / 100, 1.0)


def _tables(node: Any) -> Iterator[Pairs]:
    if not isinstance(node, list):
        return
    for member in node:
        if isinstance(member, tuple):
            key, value = member
            if key == "table" and any(name == "table_name" for name, _ in value):
                yield value
            yield from _tables(value)
        else:
            yield from _tables(member)
