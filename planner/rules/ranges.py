"""date_trunc(...) = month, moment::date = day, extract(year ...) = 2024 become ranges, which every source knows."""

from __future__ import annotations

from planner import ir
from planner import scalar as sc
from planner.context import Context
from planner.ir import Rel
from planner.rules.filters import push_filters
from planner.scalar import Call, Scalar
from planner.spans import span


def add_ranges(rel: Rel, context: Context) -> Rel:
    """Where the range is the predicate's equal it takes its place; where it only follows, it is added to a conjunction.

    The ranges are pushed down as any filter: they cannot raise, so they may go where the predicate could not.
    """
    new = ir.rewrite(rel, lambda node: _node(node, context))
    return rel if new is rel else push_filters(new)


def _node(rel: Rel, context: Context) -> Rel:
    if not isinstance(rel, ir.Filter | ir.Join):
        return rel
    old = ir.scalars(rel)
    new = tuple(sc.transform(p, lambda e: _equal(e, context)) for p in old)
    if isinstance(rel, ir.Filter):
        more = tuple(b for p in new for b in _following(p, context) if b not in new)
        flat = tuple(c for p in (*new, *more) for c in sc.conjuncts(p))
        return rel if flat == rel.predicates else ir.Filter(rel.input, flat)
    return ir.with_scalars(rel, new)


def _equal(e: Scalar, context: Context) -> Scalar | None:
    found = span(e, context.values)
    return sc.conjoin(found.bounds) if found is not None and found.exact else None


def _following(p: Scalar, context: Context) -> tuple[Call, ...]:
    found = span(p, context.values)
    return found.bounds if found is not None else ()
