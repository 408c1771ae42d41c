"""Relations without the tables of sources that are left out: each reads as empty, its columns keep their types.

An empty fragment is not an empty table (count(*) of nothing is one row), so the statement itself is planned anew over
tables without rows, and rules/prune takes out what then has none.
"""

from __future__ import annotations

from collections.abc import Iterable

from planner import ir
from planner.ir import Rel
from planner.plan import LeftOut


def emptied(rel: Rel, sources: frozenset[str]) -> tuple[Rel, tuple[LeftOut, ...]]:
    """The relation with the tables of these sources empty, and which tables of each it read."""
    found: dict[str, dict[str, None]] = {}

    def change(node: Rel) -> Rel:
        if not isinstance(node, ir.Scan) or source_of(node) not in sources:
            return node
        found.setdefault(source_of(node), {})[node.table.name] = None
        # As rows that were fetched have them: without lengths and scales.
        return ir.Values((), tuple((i, kind and kind.bare) for i, kind in ir.output(node)))

    return ir.rewrite(rel, change), _left_out(found.items())


def source_of(scan: ir.Scan) -> str:
    """The source whose table it reads."""
    return scan.table.table.source if scan.table.table is not None else scan.table.schema


def _left_out(found: Iterable[tuple[str, dict[str, None]]]) -> tuple[LeftOut, ...]:
    return tuple(LeftOut(source, tuple(sorted(tables))) for source, tables in sorted(found))
