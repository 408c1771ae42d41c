"""What joining changes: whether rows multiply or swell, and which predicates may be checked after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.statistics import ANY
from planner import ir
from planner import scalar as sc
from planner.estimate import Estimator
from planner.ir import Rel
from planner.keys import unique_keys
from planner.lookup import MOST_KEYS
from planner.scalar import Call, Col, Scalar

_MUCH = 1 << 20  # bytes below which one fragment is better than two, whatever they send
_WIDER = 1.5  # times the bytes of both sides
_LONGER = 1.25  # times the rows of both sides
_FEW = 1_000.0  # rows that any join may have


def equalities(on: Iterable[Scalar]) -> list[tuple[Col, Col]]:
    """The pairs of columns that a condition compares by `=`, perhaps under casts that change no value."""
    compared = [(sc.bare(p.args[0]), sc.bare(p.args[1])) for p in on if isinstance(p, Call) and p.op == "="]
    return [(a, b) for a, b in compared if isinstance(a, Col) and isinstance(b, Col)]


def expands_no_row(rel: ir.Join) -> bool:
    """Whether each row of one side meets at most one of the other: it is unique in the columns compared."""
    left, right = ir.ids(rel.left), ir.ids(rel.right)
    used = frozenset(column.id for pair in equalities(rel.on) for column in pair)
    if any(key <= used & right for key in unique_keys(rel.right)):
        return True
    return rel.kind != "left" and any(key <= used & left for key in unique_keys(rel.left))


def hoistable(p: Scalar) -> bool:
    """Whether a predicate may wait until after an inner join: it never raises, and is the same each time."""
    return not (sc.volatile(p) or sc.can_raise(p) or sc.has_sub(p))


def renamed(predicates: tuple[Scalar, ...], items: tuple[tuple[int, Scalar], ...]) -> tuple[Scalar, ...] | None:
    """Predicates over the columns that a projection passes on; None where it drops one that they read."""
    at: dict[int, Scalar] = {e.id: Col(i, e.type) for i, e in items if isinstance(e, Col)}
    if any(not sc.columns(p) <= at.keys() for p in predicates):
        return None
    return tuple(sc.substitute(p, at) for p in predicates)


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a join, and what is checked here over its rows."""

    rel: Rel
    pending: tuple[Scalar, ...] = ()


def swells(rel: Rel, join: ir.Join, left: Side, right: Side, estimator: Estimator) -> bool:
    """Whether sending the join's rows (as `rel`, the join or a projection of it) costs much more than sending both
    sides' rows: a wide row repeated for each of many narrow ones, or rows that a check here removes before they are
    joined, so that the keys of the few others bind the other side. Only where the sources count their rows."""
    if not (counted(join.left, estimator) and counted(join.right, estimator)):
        return False
    joined = estimator.rows(join).likely * estimator.width(rel)
    sides = _bytes(left, right, join, estimator) + _bytes(right, left, join, estimator)
    return joined - sides > _MUCH and joined > _WIDER * sides


def _bytes(side: Side, other: Side, join: ir.Join, estimator: Estimator) -> float:
    """Bytes of one side, when what is left of the other binds it."""
    rows = estimator.rows(side.rel).likely
    if other.pending:
        kept = estimator.rows(ir.Filter(other.rel, other.pending)).likely
        share = kept / max(estimator.rows(other.rel).likely, 1.0)
        rows = min(rows, share * estimator.rows(join).likely) if kept <= MOST_KEYS else rows
    return rows * estimator.width(side.rel)


def multiplies(join: ir.Join, estimator: Estimator) -> bool:
    """Whether a source may have to send more rows than both sides have. Proven by keys that it does not, else as the
    sources' statistics have it; where they say nothing, it may."""
    if expands_no_row(join):
        return False
    rows = estimator.rows(join)
    if rows.high <= _FEW:
        return False
    if tables(join.left) == tables(join.right):  # perhaps one fragment, which is fetched once
        return True
    sides = estimator.rows(join.left).likely + estimator.rows(join.right).likely
    return not counted(join, estimator) or not equalities(join.on) or rows.likely > _LONGER * sides


def counted(rel: Rel, estimator: Estimator) -> bool:
    """Whether every table below says how many rows it has."""
    if isinstance(rel, ir.Scan):
        return estimator.table(rel).rows != ANY
    return all(counted(branch, estimator) for branch in ir.inputs(rel))


def tables(rel: Rel) -> frozenset[tuple[str, str]]:
    """The sources' tables that it reads."""
    if isinstance(rel, ir.Scan):
        return frozenset((rel.table.key,))
    return frozenset().union(*(tables(branch) for branch in ir.inputs(rel)))
