"""Columns that nobody reads are not produced, so not fetched."""

from __future__ import annotations

from planner import ir
from planner import scalar as sc
from planner.ir import Rel


def prune_columns(rel: Rel) -> Rel:
    """Only what the statement's own columns need, from the top down.

    DISTINCT and set operations other than UNION ALL compare all columns and keep them all.
    """
    return _prune(rel, ir.ids(rel))


def _prune(rel: Rel, live: frozenset[int]) -> Rel:
    rel = narrowed(rel, live)
    rel = ir.map_subs(rel, lambda sub: _prune(sub, ir.ids(sub)))
    below = ir.inputs(rel)
    needs = read_by_children(rel, live)
    return ir.with_inputs(rel, tuple(_prune(branch, need) for branch, need in zip(below, needs, strict=True)))


def read_by_children(rel: Rel, live: frozenset[int]) -> tuple[frozenset[int], ...]:
    """For each input of a node, the columns that are needed of it where `live` ones are needed of the node."""
    own = frozenset().union(*(sc.columns(e) for e in ir.scalars(rel)))
    match rel:
        case ir.Project() | ir.Aggregate():
            return (own,)
        case ir.Filter() | ir.Sort() | ir.Limit() | ir.Window():
            return (live | own,)
        case ir.Distinct():
            return (ir.ids(rel.input) if rel.on is None else live | own,)
        case ir.Join():
            need = live | own | (ir.outer_columns(rel.right) if rel.lateral else frozenset())
            return need, (need if rel.widens else own)
        case ir.SetOp():
            return tuple(frozenset(ids) for _, ids in rel.inputs)
        case ir.Recursive():
            return frozenset(rel.base_ids), frozenset(rel.step_ids)
        case ir.Opaque():
            return tuple(frozenset(i for i, _ in own) for _, _, own in rel.inputs)
        case ir.Shared():
            return frozenset(rel.body_ids), live
        case _:
            return ()


def narrowed(rel: Rel, live: frozenset[int]) -> Rel:
    """The node itself without the columns that nothing above reads."""
    match rel:
        case ir.Scan():
            kept = tuple(c for c in rel.columns if c[0] in live)
            return ir.Scan(rel.table, kept or rel.columns[_cheapest(rel) : _cheapest(rel) + 1])
        case ir.Cut():
            fetched = tuple(c for c in rel.columns if c[0] in live)
            return ir.Cut(rel.source, rel.rel, fetched or rel.columns[:1], rel.verdicts)
        case ir.Values() if not rel.rows:
            return ir.Values((), tuple(c for c in rel.columns if c[0] in live) or rel.columns[:1])
        case ir.Project() if not any(sc.special(e) == "srf" for _, e in rel.items):
            return ir.Project(rel.input, tuple(item for item in rel.items if item[0] in live) or rel.items[:1])
        case ir.Aggregate():
            return ir.Aggregate(rel.input, rel.keys, tuple(a for a in rel.aggs if a[0] in live), rel.sets)
        case ir.Join() if rel.kind == "mark" and rel.mark not in live:
            return narrowed(rel.left, live)
        case ir.Window():
            items = tuple(item for item in rel.items if item[0] in live or sc.special(item[1]) == "srf")
            return ir.Window(rel.input, items) if items else narrowed(rel.input, live)
        case ir.SetOp() if rel.kind == "union" and rel.all:
            at = [n for n, (i, _) in enumerate(rel.columns) if i in live] or [0]
            if not rel.columns:
                return rel
            branches = tuple((branch, tuple(ids[n] for n in at)) for branch, ids in rel.inputs)
            return ir.SetOp(rel.kind, True, branches, tuple(rel.columns[n] for n in at))
        case _:
            return rel


_WIDTH = {"bool": 0, "int2": 1, "int4": 2, "date": 3, "int8": 4, "float8": 5}


def _cheapest(rel: ir.Scan) -> int:
    """The position of the column that costs least to fetch when only the number of rows matters."""
    kinds = [_WIDTH.get(kind.name, 9) if kind is not None else 9 for _, kind in ir.output(rel)]
    return kinds.index(min(kinds)) if kinds else 0
