"""Column sets that are unique in a relation, by the sources' keys, grouping and DISTINCT."""

from __future__ import annotations

from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.scalar import Call, Col, Lit, Param, Scalar

Key = frozenset[int]


def unique_keys(rel: Rel) -> tuple[Key, ...]:
    """Sets of column ids of which no two rows have the same values; an empty set: at most one row."""
    match rel:
        case ir.Scan():
            return _scan(rel)
        case ir.Filter():
            return _fixed(rel)
        case ir.Values() if len(rel.rows) <= 1:
            return (frozenset(),)
        case ir.Window() if any(sc.special(e) == "srf" for _, e in rel.items):
            return ()
        case ir.Sort() | ir.Window():
            return unique_keys(rel.input)
        case ir.Limit():
            one = isinstance(rel.count, Lit) and rel.count.value in ("0", "1") and not rel.ties
            return (frozenset(),) if one else unique_keys(rel.input)
        case ir.Project() if any(sc.special(e) == "srf" for _, e in rel.items):
            return ()
        case ir.Project():
            back = {e.id: i for i, e in rel.items if isinstance(e, Col)}
            inner = unique_keys(rel.input)
            return tuple(frozenset(back[i] for i in key) for key in inner if key <= back.keys())
        case ir.Aggregate() if not rel.sets:
            return (frozenset(i for i, _ in rel.keys),)
        case ir.Distinct() if rel.on is None:
            return (ir.ids(rel), *unique_keys(rel.input))
        case ir.Distinct():
            on = frozenset(e.id for e in rel.on or () if isinstance(e, Col))
            return (*((on,) if len(on) == len(rel.on or ()) else ()), *unique_keys(rel.input))
        case ir.Join() if rel.widens:
            return _join(rel)
        case ir.Join():
            return unique_keys(rel.left)
        case _:
            return ()


def _scan(rel: ir.Scan) -> tuple[Key, ...]:
    table = rel.table.table
    if table is None:
        return ()
    at = {table.columns[position].name: i for i, position in rel.columns}
    return tuple(frozenset(at[c] for c in key) for key in table.keys if all(c in at for c in key))


def one_group(rel: Rel) -> bool:
    """Whether constants fix all that is grouped by, so that one row comes at most."""
    while isinstance(rel, ir.Project):
        rel = rel.input
    if not isinstance(rel, ir.Aggregate) or rel.sets or not isinstance(rel.input, ir.Filter):
        return False
    fixed = _constant(rel.input)
    return all(isinstance(e, Col) and e.id in fixed for _, e in rel.keys)


def _fixed(rel: ir.Filter) -> tuple[Key, ...]:
    """A column that a constant fixes adds nothing to a key."""
    fixed = _constant(rel)
    return tuple(key - fixed for key in unique_keys(rel.input))


def _constant(rel: ir.Filter) -> Key:
    fixed: set[int] = set()
    for p in rel.predicates:
        if isinstance(p, Call) and p.op == "=" and any(isinstance(a, Lit | Param) for a in p.args):
            fixed |= {a.id for a in p.args if isinstance(a, Col)}
    return frozenset(fixed)


def _join(rel: ir.Join) -> tuple[Key, ...]:
    left, right = ir.ids(rel.left), ir.ids(rel.right)
    used = {
        a.id
        for p in rel.on
        if isinstance(p, Call) and p.op == "=" and all(isinstance(a, Col) for a in p.args)
        for a in p.args
        if isinstance(a, Col)
    }
    lefts, rights = unique_keys(rel.left), unique_keys(rel.right)
    found: list[Key] = []
    if any(key <= used & right for key in rights) and rel.kind != "full":
        found += lefts
    if any(key <= used & left for key in lefts) and rel.kind == "inner":
        found += rights
    return (*found, *(a | b for a in lefts for b in rights))


def apart(rel: ir.Join) -> tuple[tuple[Scalar, Scalar], ...]:
    """The join's conditions as (left side's expression, right side's), where all are equalities of such; else ()."""
    left, right = ir.ids(rel.left), ir.ids(rel.right)
    found: list[tuple[Scalar, Scalar]] = []
    for p in rel.on:
        pairs = [p.args, p.args[::-1]] if isinstance(p, Call) and p.op == "=" else []
        fits = [(a, b) for a, b in pairs if not sc.columns(a) & right and sc.columns(b) and sc.columns(b) <= right]
        if not fits or not sc.columns(fits[0][0]) <= left:
            return ()
        found.append(fits[0])
    return tuple(found)


def indexed(rel: ir.Join) -> bool:
    """Whether the source has an index that begins with a column of the right side that the join looks up."""
    table = rel.right
    while isinstance(table, ir.Filter):
        table = table.input
    if not isinstance(table, ir.Scan) or table.table.table is None:
        return False
    source = table.table.table
    names = {i: source.columns[at].name for i, at in table.columns}
    leading = {key[0] for key in (*source.keys, *source.indexes) if key}
    return any(isinstance(b, Col) and names.get(b.id) in leading for _, b in apart(rel))
