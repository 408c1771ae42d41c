"""Whether a query keeps its rows while a source's tables are read as empty: only columns become NULL then.

It does where each of that source's tables stands on the null-supplying side of an outer join, and nothing above that
join counts, compares or picks rows by what became NULL.
"""

from __future__ import annotations

from planner import ir
from planner import scalar as sc
from planner.emptied import source_of
from planner.ir import Rel
from planner.scalar import Scalar

Ids = frozenset[int]
_NONE: Ids = frozenset()


def loss(rel: Rel, source: str) -> str:
    """Why rows would be lost (or made up) while the source's tables are empty; '' where none are."""
    try:
        _Walk(source).nulled(rel)
    except _Lost as lost:
        return str(lost)
    return ""


class _Lost(Exception):
    """Why."""


class _Walk:
    def __init__(self, source: str) -> None:
        self.source = source

    def nulled(self, rel: Rel) -> Ids:
        """The columns whose values change; `_Lost` where rows do."""
        if not self._reads(rel):
            return _NONE
        if isinstance(rel, ir.Scan):
            raise _Lost(f"{rel.table.schema}.{rel.table.name} is not on the null-supplying side of an outer join")
        if any(self._reads(sub.rel) for e in ir.scalars(rel) for sub in sc.subs(e)):
            raise _Lost(f"a sub-query of an expression reads {self.source}")
        match rel:
            case ir.Project():
                below = self.nulled(rel.input)
                return frozenset(i for i, e in rel.items if sc.columns(e) & below)
            case ir.Filter():
                below = self.nulled(rel.input)
                self._unread(rel.predicates, below, "a condition")
                return below
            case ir.Sort():
                return self.nulled(rel.input)
            case ir.Join():
                return self._join(rel)
            case ir.SetOp() if rel.kind == "union" and rel.all:
                found = [(self.nulled(branch), ids) for branch, ids in rel.inputs]
                return frozenset(o for at, (o, _) in enumerate(rel.columns) if any(ids[at] in n for n, ids in found))
            case _:
                raise _Lost(f"{_WORDS.get(type(rel), 'what is not analysed further')} stands above it")

    def _join(self, rel: ir.Join) -> Ids:
        if rel.kind not in ("inner", "left"):
            raise _Lost(f"a {rel.kind} join keeps its rows")
        left = self.nulled(rel.left)
        if rel.kind == "left":
            changed = self._reads(rel.right) or _read(rel.right, rel.on) & left
            return left | ir.ids(rel.right) if changed else left
        self._unread(rel.on, left | (right := self.nulled(rel.right)), "the condition of an inner join")
        if rel.lateral and ir.outer_columns(rel.right) & left:
            raise _Lost("a LATERAL join reads its columns")
        return left | right

    def _unread(self, predicates: tuple[Scalar, ...], nulled: Ids, what: str) -> None:
        if any(sc.columns(p) & nulled for p in predicates):
            raise _Lost(f"{what} compares its columns, which become NULL")

    def _reads(self, rel: Rel) -> bool:
        if isinstance(rel, ir.Scan):
            return source_of(rel) == self.source
        if any(self._reads(sub.rel) for e in ir.scalars(rel) for sub in sc.subs(e)):
            return True
        return any(self._reads(branch) for branch in ir.inputs(rel))


def _read(right: Rel, on: tuple[Scalar, ...]) -> Ids:
    return ir.outer_columns(right).union(*(sc.columns(p) for p in on))


_WORDS = {
    ir.Aggregate: "GROUP BY or an aggregate",
    ir.Window: "a window function",
    ir.Distinct: "DISTINCT",
    ir.Limit: "LIMIT",
    ir.SetOp: "UNION, INTERSECT or EXCEPT",
    ir.Recursive: "WITH RECURSIVE",
    ir.Shared: "a materialized CTE",
}
