"""What enclosing rows are known to be, sub-queries are told: there it goes down like any constant."""

from __future__ import annotations

from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.scalar import Call, Col, Lit, Param, Scalar

_INTS = ("int2", "int4", "int8")  # each holds all values of those before it
_SAME = frozenset({*_INTS, "date", "uuid"})  # types of which equal values are the same value


def tell_constants(rel: Rel) -> Rel:
    """Inside sub-queries and LATERAL, a column of the enclosing rows that was compared with a constant or
    parameter is that value.

    Must not: by a comparison in the same WHERE as the sub-query, as rows that it removes might be asked for first;
    for types of which equal values may differ (1.0 and 1.00); for a value of a wider type than the column's.
    """
    return ir.rewrite(rel, _node)


def _node(rel: Rel) -> Rel:
    if isinstance(rel, ir.Join) and rel.lateral:
        fixed = _fixed(rel.left)
        return ir.with_inputs(rel, (rel.left, ir.substitute_rel(rel.right, fixed))) if fixed else rel
    below = ir.inputs(rel)
    if len(below) != 1 or not any(sc.has_sub(e) for e in ir.scalars(rel)):
        return rel
    fixed = _fixed(below[0])
    return ir.map_subs(rel, lambda sub: ir.substitute_rel(sub, fixed)) if fixed else rel


def _fixed(rel: Rel) -> dict[int, Scalar]:
    """The value that a column has in every row."""
    match rel:
        case ir.Filter():
            return {**_fixed(rel.input), **dict(filter(None, map(_compared, rel.predicates)))}
        case ir.Project():
            below = _fixed(rel.input)
            return {i: below[e.id] for i, e in rel.items if isinstance(e, Col) and e.id in below}
        case ir.Sort() | ir.Limit():
            return _fixed(rel.input)
        case ir.Join() if rel.kind == "inner":
            return {**_fixed(rel.left), **_fixed(rel.right)}
        case ir.Join() if rel.kind in ("left", "semi", "anti", "mark"):
            return _fixed(rel.left)
        case _:
            return {}


def _compared(p: Scalar) -> tuple[int, Scalar] | None:
    if not isinstance(p, Call) or p.op != "=" or len(p.args) != 2:
        return None
    column, value = p.args if isinstance(p.args[0], Col) else p.args[::-1]
    if not isinstance(column, Col) or not isinstance(value, Lit | Param) or column.type is None:
        return None
    kind, given = column.type.name, value.type.name
    if kind not in _SAME or (isinstance(value, Lit) and value.value is None):
        return None
    if kind == given:
        return column.id, value
    if kind not in _INTS or given not in _INTS or _INTS.index(given) > _INTS.index(kind):
        return None
    if isinstance(value, Lit):
        return column.id, Lit(value.value, column.type)
    return column.id, Param(value.index, column.type, value.given or value.type)
