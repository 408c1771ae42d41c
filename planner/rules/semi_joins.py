"""Semi, anti and mark joins move to the relation of their right side's source, which then does them itself."""

from __future__ import annotations

from dataclasses import replace

from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.scalar import Col


def lower_semi_joins(rel: Rel) -> Rel:
    """Below joins and filters, as far as one relation of the right side's source has all the columns compared.

    Must not pass: the null-supplying side of an outer join, volatile filters; must not move at all where the right
    side is of several sources, since rows that other joins remove would then be looked up in vain.
    """
    return ir.rewrite(rel, _node)


def _node(rel: Rel) -> Rel:
    if not isinstance(rel, ir.Join) or rel.kind not in ("semi", "anti", "mark") or rel.lateral:
        return rel
    right = ir.ids(rel.right)
    read = frozenset().union(*(sc.columns(p) for p in ir.scalars(rel))) - right
    sources = _sources(rel.right)
    if len(sources) != 1 or not read or not read <= ir.ids(rel.left):
        return rel
    return _below(rel.left, rel, read, sources) or rel


def _sources(rel: Rel) -> frozenset[str]:
    """The sources of all tables below; '' among them for what none of them has."""
    if isinstance(rel, ir.Scan):
        return frozenset((rel.table.table.source if rel.table.table is not None else "",))
    if isinstance(rel, ir.Local | ir.Opaque | ir.CteRef | ir.Recursive | ir.Shared) or _asks(rel):
        return frozenset(("",))
    return frozenset().union(*(_sources(branch) for branch in ir.inputs(rel)))


def _asks(rel: Rel) -> bool:
    return any(sc.has_sub(e) for e in ir.scalars(rel))


def _below(left: Rel, join: ir.Join, read: frozenset[int], sources: frozenset[str]) -> Rel | None:
    """`left` with the join somewhere in it; None where no relation of that source has the columns alone."""
    if _sources(left) == sources:
        return replace(join, left=left)
    match left:
        case ir.Join() if not left.lateral and left.kind != "full":
            return _into(left, join, read, sources)
        case ir.Filter() if not any(sc.volatile(p) for p in left.predicates):
            inner = _below(left.input, join, read, sources)
            return replace(left, input=inner) if inner is not None else None
        case ir.Project() if join.kind != "mark":
            items = {i: e for i, e in left.items if i in read}
            if not all(isinstance(e, Col) for e in items.values()):
                return None
            moved = ir.with_scalars(join, tuple(sc.substitute(p, items) for p in ir.scalars(join)))
            below = frozenset(e.id for e in items.values() if isinstance(e, Col))
            if not isinstance(moved, ir.Join):
                return None
            inner = _below(left.input, moved, below, sources)
            return replace(left, input=inner) if inner is not None else None
        case _:
            return None


def _into(left: ir.Join, join: ir.Join, read: frozenset[int], sources: frozenset[str]) -> Rel | None:
    if read <= ir.ids(left.left):
        inner = _below(left.left, join, read, sources)
        return replace(left, left=inner) if inner is not None else None
    if left.kind == "inner" and read <= ir.ids(left.right):
        inner = _below(left.right, join, read, sources)
        return replace(left, right=inner) if inner is not None else None
    return None
