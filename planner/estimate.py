"""Rough numbers of rows, from the sources' own counts and keys: enough to choose which side of a join goes first."""

from __future__ import annotations

from planner import ir
from planner.ir import Rel
from planner.keys import unique_keys
from planner.scalar import Call, Col, KeyIn, Lit, Param, Scalar

UNKNOWN = 100_000.0


def rows(rel: Rel) -> float:
    """Expected rows."""
    match rel:
        case ir.Scan():
            count = rel.table.table.row_count if rel.table.table is not None else None
            return UNKNOWN if count is None or count < 0 else max(float(count), 1.0)
        case ir.Filter():
            return _filtered(rel)
        case ir.Limit() if isinstance(rel.count, Lit) and rel.count.value:
            return min(rows(rel.input), float(rel.count.value))
        case ir.Aggregate():
            return 1.0 if not rel.keys else max(rows(rel.input) / 10, 1.0)
        case ir.Join() if rel.widens:
            return _joined(rel)
        case ir.Join():
            return rows(rel.left) if rel.kind == "mark" else max(rows(rel.left) / 2, 1.0)
        case ir.SetOp():
            return sum(rows(branch) for branch, _ in rel.inputs)
        case ir.Values():
            return float(len(rel.rows))
        case _:
            below = ir.inputs(rel)
            return rows(below[-1]) if below else 1000.0


def _filtered(rel: ir.Filter) -> float:
    if any(not key for key in unique_keys(rel)):
        return 1.0
    total = rows(rel.input)
    for p in rel.predicates:
        total *= selectivity(p)
    return max(total, 1.0)


def selectivity(p: Scalar) -> float:
    """The share of rows that a predicate keeps."""
    if isinstance(p, KeyIn):
        return 0.05
    if not isinstance(p, Call):
        return 0.5
    match p.op:
        case "=":
            return 0.005 if any(isinstance(a, Lit | Param) for a in p.args) else 0.1
        case "in":
            return min(0.005 * len(p.args), 0.5)
        case "and" | "or":
            shares = [selectivity(a) for a in p.args]
            return min(shares) if p.op == "and" else min(sum(shares), 1.0)
        case "<" | "<=" | ">" | ">=":
            return 0.3
        case "like" | "any":
            return 0.1
        case _:
            return 0.5


def _joined(rel: ir.Join) -> float:
    left, right = rows(rel.left), rows(rel.right)
    if not any(isinstance(p, Call) and p.op == "=" and all(isinstance(a, Col) for a in p.args) for p in rel.on):
        return left * right
    return max(left, right) if rel.kind != "left" else max(left, min(left, right))
