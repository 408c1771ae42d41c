"""A copy of a relation under fresh column ids: how a pre-bound view or a CTE is spliced in at each reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from planner import ir
from planner import scalar as sc
from planner.ir import Rel

T = TypeVar("T")


def relabel(rel: Rel, fresh: Callable[[], int]) -> tuple[Rel, dict[int, int]]:
    """The copy, and the new id of every id that the relation produces anywhere; outer columns stay."""
    mapping = {old: fresh() for old in sorted(_produced(rel))}
    return _copy(rel, mapping), mapping


def standard(e: sc.Scalar) -> sc.Scalar:
    """The expression with its sub-queries' own ids counted anew: equal for two that read the same in SQL."""
    if not sc.has_sub(e):
        return e
    count = 0

    def fresh() -> int:
        nonlocal count
        count -= 1
        return count

    def change(node: sc.Scalar) -> sc.Scalar | None:
        if not isinstance(node, sc.Sub):
            return None
        rel, at = relabel(node.rel, fresh)
        return sc.Sub(node.kind, rel, _ids(node.columns, at), tuple(map(standard, node.args)), node.op, node.type)

    return sc.transform(e, change)


def _produced(rel: Rel) -> frozenset[int]:
    subs = (sub for e in ir.scalars(rel) for sub in sc.subs(e))
    below = (_produced(branch) for branch in (*ir.inputs(rel), *(sub.rel for sub in subs)))
    return ir.ids(rel).union(*below, _handles(rel))


def _handles(rel: Rel) -> frozenset[int]:
    return frozenset((rel.id,)) if isinstance(rel, ir.Recursive | ir.Shared) else frozenset()


def _copy(rel: Rel, at: dict[int, int]) -> Rel:
    below = ir.with_inputs(rel, tuple(_copy(branch, at) for branch in ir.inputs(rel)))
    return _names(ir.with_scalars(below, tuple(_scalar(e, at) for e in ir.scalars(below))), at)


def _scalar(e: sc.Scalar, at: dict[int, int]) -> sc.Scalar:
    def change(node: sc.Scalar) -> sc.Scalar | None:
        if isinstance(node, sc.Col):
            return sc.Col(at.get(node.id, node.id), node.type)
        if isinstance(node, sc.Sub):
            args = tuple(_scalar(arg, at) for arg in node.args)
            return sc.Sub(node.kind, _copy(node.rel, at), _ids(node.columns, at), args, node.op, node.type)
        return None

    return sc.transform(e, change)


def _ids(old: tuple[int, ...], at: dict[int, int]) -> tuple[int, ...]:
    return tuple(at.get(i, i) for i in old)


def _names(rel: Rel, at: dict[int, int]) -> Rel:
    match rel:
        case ir.Scan():
            return ir.Scan(rel.table, tuple((at[i], position) for i, position in rel.columns))
        case ir.Local():
            columns = tuple((at[i], name, kind) for i, name, kind in rel.columns)
            return ir.Local(rel.parts, rel.args, columns, rel.volatile)
        case ir.Join() if rel.mark:
            return replace(rel, mark=at[rel.mark])
        case ir.Project():
            return ir.Project(rel.input, _pairs(rel.items, at), rel.demand)
        case ir.Window():
            return ir.Window(rel.input, _pairs(rel.items, at))
        case ir.Aggregate():
            return ir.Aggregate(rel.input, _pairs(rel.keys, at), _pairs(rel.aggs, at), rel.sets)
        case ir.SetOp():
            inputs = tuple((branch, _ids(ids, at)) for branch, ids in rel.inputs)
            return ir.SetOp(rel.kind, rel.all, inputs, _pairs(rel.columns, at))
        case ir.Values():
            return ir.Values(rel.rows, _pairs(rel.columns, at))
        case ir.CteRef():
            return ir.CteRef(at.get(rel.id, rel.id), _pairs(rel.columns, at))
        case ir.Recursive():
            base, step = _ids(rel.base_ids, at), _ids(rel.step_ids, at)
            return ir.Recursive(at[rel.id], rel.all, rel.base, base, rel.step, step, _pairs(rel.columns, at))
        case ir.Opaque():
            inputs_ = tuple((n, branch, tuple((at[i], c) for i, c in own)) for n, branch, own in rel.inputs)
            return ir.Opaque(rel.text, inputs_, _pairs(rel.columns, at))
        case ir.Shared():
            return ir.Shared(at[rel.id], rel.body, _ids(rel.body_ids, at), rel.input)
        case _:
            return rel


def _pairs(pairs: tuple[tuple[int, T], ...], at: dict[int, int]) -> tuple[tuple[int, T], ...]:
    return tuple((at[i], value) for i, value in pairs)
