"""Aggregates and DISTINCT over UNION ALL: each branch does its part where it lies, the parts are put together here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner import ir
from planner import scalar as sc
from planner.context import Context
from planner.ir import Rel
from planner.place import Placer
from planner.scalar import Agg, Call, Col, Lit, Scalar
from planner.types import INT4, NUMERIC, alike, of_aggregate

# What each part is put together by. A sum of counts is numeric, and becomes the count's type again.
_WHOLE = {"count": "sum", "sum": "sum", "min": "min", "max": "max", "bool_and": "bool_and", "bool_or": "bool_or"}
_EXACT = frozenset(("int2", "int4", "int8", "numeric"))  # sums that do not depend on the order of what is added
_WORTH = 0.5  # parts must be at most so many of the rows that they are made of

Items = tuple[tuple[int, Scalar], ...]


def split_aggregates(rel: Rel, context: Context) -> Rel:
    """Only where some branch's part is computed whole by its source and is much less than the branch."""
    return ir.rewrite(rel, lambda node: _node(node, context))


def _node(rel: Rel, context: Context) -> Rel:
    if isinstance(rel, ir.Aggregate) and not rel.sets:
        return _aggregate(rel, context)
    if isinstance(rel, ir.Distinct) and rel.on is None:
        inner = _picked(rel.input)
        return ir.Distinct(_distinct(inner, context)) if inner is not None else rel
    if isinstance(rel, ir.SetOp) and rel.kind == "union" and not rel.all:
        return _distinct(rel, context)
    return rel


def _picked(rel: Rel) -> ir.SetOp | None:
    """UNION ALL, or columns of one as a UNION ALL of their own."""
    if isinstance(rel, ir.SetOp):
        return rel if rel.kind == "union" and rel.all else None
    if not isinstance(rel, ir.Project) or not all(isinstance(e, Col) for _, e in rel.items):
        return None
    union = _picked(rel.input)
    if union is None:
        return None
    place = {i: at for at, (i, _) in enumerate(union.columns)}
    read = [(i, place[e.id]) for i, e in rel.items if isinstance(e, Col) and e.id in place]
    if len(read) < len(rel.items):
        return None
    inputs = tuple((branch, tuple(ids[at] for _, at in read)) for branch, ids in union.inputs)
    return ir.SetOp("union", True, inputs, tuple((i, union.columns[at][1]) for i, at in read))


def _distinct(rel: ir.SetOp, context: Context) -> ir.SetOp:
    made = []
    for branch, ids in rel.inputs:
        types = dict(ir.output(branch))
        own = ir.Project(branch, tuple((i, Col(i, types[i])) for i in dict.fromkeys(ids)))
        part = ir.Distinct(own)
        done = not isinstance(branch, ir.Distinct) and _pays([(branch, part)], context)
        made.append((part if done else branch, ids))
    return ir.SetOp(rel.kind, rel.all, tuple(made), rel.columns)


def _aggregate(rel: ir.Aggregate, context: Context) -> Rel:
    keys, aggs, union = rel.keys, rel.aggs, rel.input
    if isinstance(union, ir.Project):
        items, union = dict(union.items), union.input
        keys, aggs = (tuple((i, sc.substitute(e, items)) for i, e in own) for own in (keys, aggs))
    if not isinstance(union, ir.SetOp) or union.kind != "union" or not union.all:
        return rel
    calls = [e for _, e in aggs if isinstance(e, Agg)]
    if len(calls) < len(aggs) or not all(_splits(e) for e in calls) or any(_odd(e) for _, e in (*keys, *aggs)):
        return rel
    parts = _parts(calls)
    branches = [_branch(branch, dict(zip((i for i, _ in union.columns), ids, strict=True)), union, keys, parts, context)
                for branch, ids in union.inputs]  # fmt: skip
    known = [branch for branch in branches if branch is not None]
    if len(known) < len(branches) or not _pays(list(zip((b for b, _ in union.inputs), known, strict=True)), context):
        return rel
    return _together(rel, known, keys, aggs, parts, context)


def _odd(e: Scalar) -> bool:
    return sc.volatile(e) or sc.has_sub(e)


def _splits(e: Agg) -> bool:
    if e.distinct and e.name not in ("min", "max"):
        return False
    if e.name in ("sum", "avg"):
        return e.args[0].type is not None and e.args[0].type.name in _EXACT and e.type is not None
    return e.name in _WHOLE and e.type is not None


def _parts(calls: list[Agg]) -> tuple[Agg, ...]:
    """What each branch has to compute: an average is a sum and a count."""
    found: dict[Agg, None] = {}
    for e in calls:
        for name in ("sum", "count") if e.name == "avg" else (e.name,):
            kind = of_aggregate(name, tuple(a.type for a in e.args)) if e.name == "avg" else e.type
            found[Agg(name, e.args, kind, False, e.where)] = None
    return tuple(found)


def _branch(
    branch: Rel, at: Mapping[int, int], union: ir.SetOp, keys: Items, parts: tuple[Agg, ...], context: Context
) -> ir.Aggregate | None:
    """The branch's part; None where a column has another type there than in the union."""
    types = dict(ir.output(branch))
    read = frozenset().union(*(sc.columns(e) for _, e in keys), *(sc.columns(e) for e in parts))
    kinds = dict(union.columns)
    if any(i in kinds and not alike(types[at[i]], kinds[i]) for i in read):
        return None
    own: dict[int, Scalar] = {i: Col(at[i], types[at[i]]) for i in read if i in at}
    fresh = context.next_id
    return ir.Aggregate(
        branch,
        tuple((fresh(), sc.substitute(e, own)) for _, e in keys),
        tuple((fresh(), sc.substitute(e, own)) for e in parts),
    )


def _pays(pairs: Sequence[tuple[Rel, ir.Aggregate | ir.Distinct]], context: Context) -> bool:
    estimator = context.estimator
    for branch, part in pairs:
        rows = max(estimator.rows(branch).likely, 1.0)
        less = estimator.rows(part).likely <= rows * _WORTH or (isinstance(part, ir.Aggregate) and not part.keys)
        if less and isinstance(Placer(context.catalog, estimator).run(part), ir.Cut):
            return True
    return False


def _together(
    rel: ir.Aggregate, branches: list[ir.Aggregate], keys: Items, aggs: Items, parts: tuple[Agg, ...], context: Context
) -> Rel:
    fresh = context.next_id
    kinds = [e.type for _, e in keys] + [part.type for part in parts]
    columns = tuple((fresh(), kind) for kind in kinds)
    inputs = tuple((branch, tuple(i for i, _ in (*branch.keys, *branch.aggs))) for branch in branches)
    union = ir.SetOp("union", True, inputs, columns)
    named = columns[: len(keys)]
    grouped = tuple((i, Col(*column)) for (i, _), column in zip(keys, named, strict=True))
    wholes: dict[Agg, tuple[int, Agg]] = {}
    for part, column in zip(parts, columns[len(keys) :], strict=True):
        whole = _WHOLE[part.name]
        wholes[part] = (fresh(), Agg(whole, (Col(*column),), of_aggregate(whole, (column[1],))))
    made = ir.Aggregate(union, grouped, tuple(wholes.values()))
    results = tuple((i, _result(e, wholes)) for i, e in aggs if isinstance(e, Agg))
    del rel
    return ir.Project(made, (*((i, Col(i, e.type)) for i, e in keys), *results))


def _result(e: Agg, wholes: Mapping[Agg, tuple[int, Agg]]) -> Scalar:
    def whole(name: str) -> Scalar:
        part = next(p for p in wholes if (p.name, p.args, p.where) == (name, e.args, e.where))
        at, made = wholes[part]
        return _as(Col(at, made.type), part)

    if e.name != "avg":
        return whole(e.name)
    total, count = whole("sum"), whole("count")
    divisor = Call("nullif", (count, Lit("0", INT4)), count.type)
    return Call("/", tuple(x if x.type == NUMERIC else Call("cast", (x,), NUMERIC) for x in (total, divisor)), NUMERIC)


def _as(e: Scalar, part: Agg) -> Scalar:
    return e if alike(e.type, part.type) else Call("cast", (e,), part.type)
