"""Columns of a relation that are never NULL, by what sources declare and what filters and joins remove."""

from __future__ import annotations

from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.scalar import Agg, Col, Lit, Scalar


def never_null(rel: Rel) -> frozenset[int]:
    """Ids of the output columns that hold no NULL in any row."""
    match rel:
        case ir.Scan():
            table = rel.table.table
            return frozenset(i for i, at in rel.columns if table is not None and not table.columns[at].nullable)
        case ir.Filter():
            return never_null(rel.input) | _kept_from(rel.predicates, ir.ids(rel))
        case ir.Project():
            below = never_null(rel.input)
            return frozenset(i for i, e in rel.items if is_never_null(e, below))
        case ir.Join():
            return _join(rel)
        case ir.Aggregate() if not rel.sets:
            below = never_null(rel.input)
            counts = (i for i, e in rel.aggs if isinstance(e, Agg) and e.name == "count")
            return frozenset((*(i for i, e in rel.keys if is_never_null(e, below)), *counts))
        case ir.Distinct() | ir.Sort() | ir.Limit() | ir.Window() | ir.Shared():
            return never_null(rel.input)
        case ir.SetOp():
            return _set_operation(rel)
        case _:
            return frozenset()


def is_never_null(e: Scalar, known: frozenset[int]) -> bool:
    """Whether an expression over columns of which `known` are never NULL is never NULL itself."""
    return (isinstance(e, Col) and e.id in known) or (isinstance(e, Lit) and e.value is not None)


def _kept_from(predicates: tuple[Scalar, ...], ids: frozenset[int]) -> frozenset[int]:
    read = frozenset().union(*(sc.columns(p) for p in predicates)) & ids
    return frozenset(i for i in read if any(sc.rejects_null(p, frozenset((i,))) for p in predicates))


def _join(rel: ir.Join) -> frozenset[int]:
    left = never_null(rel.left)
    match rel.kind:
        case "inner":
            return left | never_null(rel.right) | _kept_from(rel.on, ir.ids(rel))
        case "semi":
            return left | _kept_from(rel.on, ir.ids(rel))
        case "mark" if not rel.compare:
            return left | {rel.mark}
        case "full":
            return frozenset()
        case _:
            return left


def _set_operation(rel: ir.SetOp) -> frozenset[int]:
    branches = [(never_null(branch), ids) for branch, ids in rel.inputs]
    read = branches if rel.kind == "union" else branches[:1]
    return frozenset(i for at, (i, _) in enumerate(rel.columns) if all(ids[at] in known for known, ids in read))
