"""What joining changes: whether rows multiply or swell, and which predicates may be checked after it."""

from __future__ import annotations

from collections.abc import Iterable

from planner import ir
from planner import scalar as sc
from planner.estimate import rows
from planner.ir import Rel
from planner.keys import unique_keys
from planner.scalar import Call, Col, Scalar
from planner.targets import harmless_cast

_WIDTHS = {"bool": 1, "int2": 2, "int4": 4, "int8": 8, "oid": 4, "float4": 4, "float8": 8, "date": 4, "timestamp": 8,
           "timestamptz": 8, "time": 8, "numeric": 12, "uuid": 16}  # fmt: skip
_TEXT = 24  # bytes of a text of which nothing is known
_MUCH = 1 << 20  # bytes below which one fragment is better than two, whatever they send
_WORTH = 1.5


def equalities(on: Iterable[Scalar]) -> list[tuple[Col, Col]]:
    """The pairs of columns that a condition compares by `=`, perhaps under casts that change no value."""
    compared = [(bare(p.args[0]), bare(p.args[1])) for p in on if isinstance(p, Call) and p.op == "="]
    return [(a, b) for a, b in compared if isinstance(a, Col) and isinstance(b, Col)]


def bare(e: Scalar) -> Scalar:
    """What stands under casts that change no value."""
    while isinstance(e, Call) and e.op == "cast" and harmless_cast(e.args[0].type, e.type):
        e = e.args[0]
    return e


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


def width(rel: Rel) -> float:
    """Bytes of one row, roughly."""
    return sum(float(_WIDTHS.get(kind.name, _TEXT)) if kind is not None else _TEXT for _, kind in ir.output(rel))


def swells(rel: Rel, join: ir.Join) -> bool:
    """Whether sending the join's rows (as `rel`, the join or a projection of it) costs much more than sending both
    sides' rows: a wide row repeated for each of many narrow ones. Only where the sources count their rows."""
    if not (counted(join.left) and counted(join.right)):
        return False
    joined = rows(join) * width(rel)
    sides = rows(join.left) * width(join.left) + rows(join.right) * width(join.right)
    return joined - sides > _MUCH and joined > _WORTH * sides


def counted(rel: Rel) -> bool:
    """Whether every table below says how many rows it has."""
    if isinstance(rel, ir.Scan):
        table = rel.table.table
        return table is not None and table.row_count is not None and table.row_count >= 0
    return all(counted(branch) for branch in ir.inputs(rel))
