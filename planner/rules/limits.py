"""LIMIT and TopN move towards the rows they bound: below projections, into UNION ALL, to the preserved side."""

from __future__ import annotations

from dataclasses import replace

from planner import ir
from planner import scalar as sc
from planner.ir import Rel, SortKey
from planner.scalar import Col, Lit, Param, Scalar
from planner.types import INT8, alike


def push_limits(rel: Rel) -> Rel:
    """A copy of the bound goes below; the outer LIMIT stays unless it only changed places with a projection."""
    return ir.rewrite(rel, _limit)


def _limit(rel: Rel) -> Rel:
    if not isinstance(rel, ir.Limit) or rel.ties:
        return rel
    keys: tuple[SortKey, ...] = ()
    below = rel.input
    if isinstance(below, ir.Sort):
        keys, below = below.keys, below.input
    if isinstance(below, ir.Project):
        return _through(rel, keys, below)
    bound = _bound(rel)
    if bound is None:
        return rel
    lower = _inside(below, keys, bound)
    if lower is below:
        return rel
    return ir.Limit(ir.Sort(lower, keys) if keys else lower, rel.count, rel.offset)


def _through(rel: ir.Limit, keys: tuple[SortKey, ...], below: ir.Project) -> Rel:
    """LIMIT and a projection change places where the projection only computes, row by row."""
    items = dict(below.items)
    if any(sc.special(e) or sc.volatile(e) for e in items.values()):
        return rel
    if not all(isinstance(k.expr, Col) and isinstance(items.get(k.expr.id), Col) for k in keys):
        return rel
    moved = tuple(SortKey(sc.substitute(k.expr, items), k.desc, k.nulls_first, k.using) for k in keys)
    inner: Rel = ir.Sort(below.input, moved) if keys else below.input
    return ir.Project(_limit(ir.Limit(inner, rel.count, rel.offset)), below.items)


def _bound(rel: ir.Limit) -> Scalar | None:
    """How many rows of the input can matter: count + offset."""
    if isinstance(rel.count, Param) and rel.offset is None:
        return rel.count
    count, offset = _constant(rel.count), 0 if rel.offset is None else _constant(rel.offset)
    return None if count is None or offset is None else Lit(str(count + offset), INT8)


def _constant(e: Scalar | None) -> int | None:
    """The number of a constant; a negative one is the canon's error to raise."""
    return int(e.value) if isinstance(e, Lit) and e.value is not None and e.value.isdigit() else None


def _inside(rel: Rel, keys: tuple[SortKey, ...], bound: Scalar) -> Rel:
    if isinstance(rel, ir.SetOp) and rel.kind == "union" and rel.all:
        branches = []
        for branch, ids in rel.inputs:
            types = dict(ir.output(branch))
            at: dict[int, Scalar] = {o: Col(i, types[i]) for i, (o, _) in zip(ids, rel.columns, strict=True)}
            kinds = dict(rel.columns)
            read = frozenset().union(*(sc.columns(k.expr) for k in keys))
            if not all(alike(at[o].type, kinds[o]) for o in read & kinds.keys()):
                return rel
            branches.append((_bounded(branch, _moved(keys, at), bound), ids))
        return ir.SetOp("union", True, tuple(branches), rel.columns)
    if isinstance(rel, ir.Join) and rel.kind in ("left", "mark"):
        read = frozenset().union(*(sc.columns(k.expr) for k in keys))
        if read <= ir.ids(rel.left):
            return replace(rel, left=_bounded(rel.left, keys, bound))
    return rel


def _moved(keys: tuple[SortKey, ...], at: dict[int, Scalar]) -> tuple[SortKey, ...]:
    return tuple(SortKey(sc.substitute(k.expr, at), k.desc, k.nulls_first, k.using) for k in keys)


def _bounded(rel: Rel, keys: tuple[SortKey, ...], bound: Scalar) -> Rel:
    return _limit(ir.Limit(ir.Sort(rel, keys) if keys else rel, bound, None))
