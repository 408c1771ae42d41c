"""Joins that neither add, drop nor multiply rows, and of whose other side nothing is read, are left out."""

from __future__ import annotations

from dataclasses import replace

from connectors.base import ForeignKey
from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.keys import unique_keys
from planner.rules.columns import narrowed, read_by_children
from planner.scalar import Call, Col, Scalar
from planner.types import alike


def drop_joins(rel: Rel) -> Rel:
    """A left join to a side that is unique in the join's columns goes; so does an inner or semi join along a foreign
    key that the source enforces, to the whole table that it refers to."""
    return _drop(rel, ir.ids(rel))


def _drop(rel: Rel, live: frozenset[int]) -> Rel:
    # Of tables all columns stay for now: their keys prove things.
    rel = rel if isinstance(rel, ir.Scan) else narrowed(rel, live)
    if isinstance(rel, ir.Join) and not rel.lateral:
        other = _left(rel, live) if rel.kind == "left" else _along(rel, live)
        if other is not rel:
            return _drop(other, live)
    rel = ir.map_subs(rel, lambda sub: _drop(sub, ir.ids(sub)))
    below = ir.inputs(rel)
    return ir.with_inputs(
        rel, tuple(_drop(b, need) for b, need in zip(below, read_by_children(rel, live), strict=True))
    )


def _left(rel: ir.Join, live: frozenset[int]) -> Rel:
    right = ir.ids(rel.right)
    if live & right or any(sc.volatile(p) or sc.can_raise(p) for p in rel.on) or ir.volatile_rel(rel.right):
        return rel
    equated = frozenset(a.id for a, _ in _pairs(rel))
    return rel.left if any(key <= equated for key in unique_keys(rel.right)) else rel


def _along(rel: ir.Join, live: frozenset[int]) -> Rel:
    """The left side alone, its reference not NULL; what is read of the other side is the reference itself."""
    if rel.kind not in ("inner", "semi"):
        return rel
    sides = [rel] if rel.kind == "semi" else [rel, replace(rel, left=rel.right, right=rel.left)]
    for join in sides:
        made = _referring(join, live)
        if made is not None:
            return made
    return rel


def _referring(rel: ir.Join, live: frozenset[int]) -> Rel | None:
    pairs = _pairs(rel)
    if not isinstance(rel.right, ir.Scan) or len(pairs) != len(rel.on) or not pairs:
        return None
    same = {theirs.id: mine for theirs, mine in pairs if isinstance(mine, Col)}
    if len(same) != len(pairs) or any(not alike(theirs.type, mine.type) for theirs, mine in pairs):
        return None
    needed = live & ir.ids(rel.right) if rel.widens else frozenset[int]()
    if not needed <= same.keys() or not _enforced(rel.left, rel.right, same):
        return None
    present = tuple(Call("is not null", (mine,), sc.BOOL) for mine in same.values())
    kept: Rel = ir.Filter(rel.left, present)
    if not needed:
        return kept
    own = tuple((i, Col(i, kind)) for i, kind in ir.output(rel.left))
    return ir.Project(kept, (*own, *((i, same[i]) for i in sorted(needed))))


def _pairs(rel: ir.Join) -> tuple[tuple[Col, Scalar], ...]:
    """(column of the right side, what it equals of the left side) of the join's equalities."""
    right, found = ir.ids(rel.right), []
    for p in rel.on:
        if isinstance(p, Call) and p.op == "=":
            for a, b in (p.args, p.args[::-1]):
                if isinstance(a, Col) and a.id in right and not sc.columns(b) & right:
                    found.append((a, b))
                    break
    return tuple(found)


def _enforced(left: Rel, right: ir.Scan, same: dict[int, Col]) -> bool:
    """Whether the source sees to it that each row on the left has its row on the right."""
    origins = {theirs: _origin(left, mine.id) for theirs, mine in same.items()}
    scans = {id(origin[0]): origin[0] for origin in origins.values() if origin is not None}
    if None in origins.values() or len(scans) != 1:
        return False
    (scan,) = scans.values()
    mine, target = scan.table.table, right.table.table
    if mine is None or target is None or mine.source != target.source or mine.schema != target.schema:
        return False
    theirs = {i: target.columns[at].name for i, at in right.columns}
    pairs = {(mine.columns[origin[1]].name, theirs[i]) for i, origin in origins.items() if origin is not None}
    return any(_covers(key, target.name, pairs) for key in mine.foreign_keys)


def _covers(key: ForeignKey, target: str, pairs: set[tuple[str, str]]) -> bool:
    return key.enforced and key.table == target and set(zip(key.columns, key.references, strict=True)) == pairs


def _origin(rel: Rel, column: int) -> tuple[ir.Scan, int] | None:
    """The table, and the position in it, whose column a column is, unless NULL."""
    match rel:
        case ir.Scan():
            return next(((rel, at) for i, at in rel.columns if i == column), None)
        case ir.Filter() | ir.Sort() | ir.Limit() | ir.Window() | ir.Distinct():
            return _origin(rel.input, column)
        case ir.Project():
            item = dict(rel.items).get(column)
            return _origin(rel.input, item.id) if isinstance(item, Col) else None
        case ir.Join():
            return _origin(rel.left, column) or (_origin(rel.right, column) if rel.widens else None)
        case _:
            return None
