"""Predicates move down to where their columns come from; outer joins that lose their NULL rows become inner."""

from __future__ import annotations

from dataclasses import dataclass, replace

from connectors.capability import family
from planner import ir
from planner import scalar as sc
from planner.grouping_sets import common_keys
from planner.ir import Rel
from planner.rules.disjunctions import weakened
from planner.scalar import Call, Col, KeyIn, Scalar
from planner.types import alike
from planner.windows import partition


def push_filters(rel: Rel) -> Rel:
    """Every filter as low as it may go, sub-queries included.

    Must not pass: LIMIT, set-returning and volatile outputs, window calls but by PARTITION BY, aggregates but by
    keys of every grouping set, DISTINCT ON but by its keys, recursion; what may raise stays above what removes rows.
    """
    pushed = _push(rel, ())
    return _each_sub(pushed)


def _each_sub(rel: Rel) -> Rel:
    below = ir.with_inputs(rel, tuple(_each_sub(branch) for branch in ir.inputs(rel)))
    return ir.map_subs(below, push_filters)


def _stay(rel: Rel, predicates: tuple[Scalar, ...]) -> Rel:
    if not predicates:
        return rel
    if isinstance(rel, ir.Filter):
        return ir.Filter(rel.input, _unique((*rel.predicates, *predicates)))
    return ir.Filter(rel, _unique(predicates))


def _unique(predicates: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    return tuple(dict.fromkeys(predicates))


def _push(rel: Rel, preds: tuple[Scalar, ...]) -> Rel:
    """`rel` filtered by `preds`, these placed as low as they may."""
    match rel:
        case ir.Filter():
            return _filter(rel, preds)
        case ir.Project():
            return _project(rel, preds)
        case ir.Join():
            return _join(rel, preds)
        case ir.Aggregate():
            common = common_keys(rel.sets)
            keys = {i: e for at, (i, e) in enumerate(rel.keys) if not rel.sets or at in common}
            down, stay = _split(preds, frozenset(keys))
            moved = tuple(sc.substitute(p, keys) for p in down)
            return _stay(ir.with_inputs(rel, (_push(rel.input, moved),)), stay)
        case ir.SetOp():
            return _set_operation(rel, preds)
        case ir.Distinct() if rel.on is None:
            return ir.Distinct(_push(rel.input, preds), None, rel.order)
        case ir.Distinct():
            keys_on = frozenset(e.id for e in rel.on or () if isinstance(e, Col))
            down, stay = _split(preds, keys_on)
            return _stay(ir.Distinct(_push(rel.input, down), rel.on, rel.order), stay)
        case ir.Window():
            shared = frozenset.intersection(*(partition(e) for _, e in rel.items))
            down, stay = _split(preds, shared)
            return _stay(ir.with_inputs(rel, (_push(rel.input, down),)), stay)
        case ir.Sort():
            return ir.Sort(_push(rel.input, preds), rel.keys)
        case ir.Shared():
            return ir.Shared(rel.id, _push(rel.body, ()), rel.body_ids, _push(rel.input, preds))
        case ir.Recursive():
            return _recursive(rel, preds)
        case _:
            return _stay(ir.with_inputs(rel, tuple(_push(branch, ()) for branch in ir.inputs(rel))), preds)


def _recursive(rel: ir.Recursive, preds: tuple[Scalar, ...]) -> Rel:
    """Into the base, for columns that every step hands on as they are: what such a row comes from has the value too."""
    handed = frozenset(i for at, (i, _) in enumerate(rel.columns) if _origin(rel.step, rel.step_ids[at], rel.id) == at)
    down, stay = _split(preds, handed)
    kinds = dict(ir.output(rel.base))
    at = {o: Col(i, kinds[i]) for i, (o, kind) in zip(rel.base_ids, rel.columns, strict=True) if alike(kind, kinds[i])}
    down, stay = (
        tuple(p for p in down if sc.columns(p) <= at.keys()),
        (*stay, *(p for p in down if not sc.columns(p) <= at.keys())),
    )
    base = _push(rel.base, tuple(sc.substitute(p, at) for p in down))
    return _stay(replace(rel, base=base, step=_push(rel.step, ())), stay)


def _origin(rel: Rel, column: int, handle: int) -> int | None:
    """The position in the recursive reference from which a step's column is copied; None where it is not."""
    match rel:
        case ir.CteRef() if rel.id == handle:
            return next((at for at, (i, _) in enumerate(rel.columns) if i == column), None)
        case ir.Project():
            e = dict(rel.items).get(column)
            return _origin(rel.input, e.id, handle) if isinstance(e, Col) else None
        case ir.Filter():
            return _origin(rel.input, column, handle)
        case ir.Join() if rel.kind in ("inner", "semi", "anti", "left"):
            sides = (rel.left, rel.right) if rel.kind == "inner" else (rel.left,)
            return next((_origin(side, column, handle) for side in sides if column in ir.ids(side)), None)
        case _:
            return None


def _movable(p: Scalar) -> bool:
    return not sc.volatile(p) and not sc.can_raise(p)


def _split(preds: tuple[Scalar, ...], allowed: frozenset[int]) -> tuple[tuple[Scalar, ...], tuple[Scalar, ...]]:
    """(those over `allowed` columns only that may move, the rest)."""
    preds = _singly(preds, allowed)
    down = tuple(p for p in preds if _movable(p) and sc.columns(p) and sc.columns(p) <= allowed)
    return down, tuple(p for p in preds if p not in down)


def _filter(rel: ir.Filter, preds: tuple[Scalar, ...]) -> Rel:
    if any(sc.volatile(p) for p in rel.predicates):
        return _stay(ir.Filter(_push(rel.input, ()), rel.predicates), preds)
    return _push(rel.input, _unique((*rel.predicates, *preds)))


def _project(rel: ir.Project, preds: tuple[Scalar, ...]) -> Rel:
    items = dict(rel.items)
    if any(sc.special(e) == "srf" for e in items.values()):
        return _stay(ir.Project(_push(rel.input, ()), rel.items), preds)
    fixed = frozenset(i for i, e in items.items() if not sc.volatile(e) and not sc.has_sub(e))
    own = ir.ids(rel)
    down: list[Scalar] = []
    stay: list[Scalar] = []
    for p in preds:
        moved = sc.substitute(p, items)
        through = (sc.columns(p) & own) <= fixed and not sc.volatile(p)
        (down if through else stay).append(moved if through else p)
    return _stay(_fused(_push(rel.input, tuple(down)), rel.items), tuple(stay))


def _fused(below: Rel, items: tuple[tuple[int, Scalar], ...]) -> ir.Project:
    """Projections that meet become one, unless a computed value would then be computed twice."""
    if not isinstance(below, ir.Project):
        return ir.Project(below, items)
    inner = dict(below.items)
    computed = {i for i, e in below.items if not isinstance(e, Col)}
    if computed:
        plain = {i for i, e in below.items if not e.traits}
        read = [i for _, e in items for i in sc.columns(e) if i in computed]
        if not computed <= plain or len(read) > len(set(read)) or any(e.traits & sc.SUB for _, e in items):
            return ir.Project(below, items)
    return ir.Project(below.input, tuple((i, sc.substitute(e, inner)) for i, e in items))


def _set_operation(rel: ir.SetOp, preds: tuple[Scalar, ...]) -> Rel:
    """Into every branch, where all branches have the column in one type: int4 and numeric compare otherwise."""
    types = [dict(ir.output(branch)) for branch, _ in rel.inputs]
    same = frozenset(
        o
        for at, (o, kind) in enumerate(rel.columns)
        if all(alike(own[ids[at]], kind) for own, (_, ids) in zip(types, rel.inputs, strict=True))
    )
    own_ids = ir.ids(rel)
    down = tuple(p for p in preds if _movable(p) and sc.columns(p) & own_ids and sc.columns(p) & own_ids <= same)
    stay = tuple(p for p in preds if p not in down)
    branches = []
    for own, (branch, ids) in zip(types, rel.inputs, strict=True):
        at = {o: Col(i, own[i]) for i, (o, _) in zip(ids, rel.columns, strict=True)}
        branches.append((_push(branch, tuple(sc.substitute(p, at) for p in down)), ids))
    return _stay(ir.SetOp(rel.kind, rel.all, tuple(branches), rel.columns), stay)


# -- joins


@dataclass(slots=True)
class _Sides:
    """Where the predicates of one join go."""

    left: list[Scalar]
    right: list[Scalar]
    on: list[Scalar]
    above: list[Scalar]


def _singly(preds: tuple[Scalar, ...], *within: frozenset[int]) -> tuple[Scalar, ...]:
    """Combinations of keys that lie in none of these sets of columns as a whole are keys of each column."""
    found: list[Scalar] = []
    for p in preds:
        apart = isinstance(p, KeyIn) and not any(sc.columns(p) <= ids for ids in within)
        found += p.singly if apart and isinstance(p, KeyIn) else (p,)
    return tuple(found)


def _join(rel: ir.Join, preds: tuple[Scalar, ...]) -> Rel:
    preds = _singly(preds, ir.ids(rel.left), ir.ids(rel.right))
    if not rel.widens:
        return _half(rel, preds)
    rel = _simplify(rel, preds)
    left_ids, right_ids = ir.ids(rel.left), ir.ids(rel.right)
    sides = _Sides([], [], [], [])
    if rel.kind == "inner":
        _inner(rel, preds, left_ids, right_ids, sides)
    else:
        _outer(rel, preds, left_ids, right_ids, sides)
    left, right = _push(rel.left, tuple(sides.left)), _push(rel.right, tuple(sides.right))
    joined = ir.Join(rel.kind, left, right, _unique(tuple(sides.on)), rel.lateral)
    return _stay(joined, tuple(sides.above))


def _half(rel: ir.Join, preds: tuple[Scalar, ...]) -> Rel:
    """Semi, anti and mark joins: the left side's rows come through as they are, the right side's not at all."""
    left, right = ir.ids(rel.left), ir.ids(rel.right)
    own = ir.ids(rel)
    down = [p for p in preds if _movable(p) and sc.columns(p) & own and sc.columns(p) & own <= left]
    above = tuple(p for p in preds if p not in down)
    # What every left row fulfils, a right row that equals it fulfils too.
    implied = [p for p in derived((*rel.on, *down, *_known(rel.left))) if sc.columns(p) & right]
    implied += [*_weaker(rel.on, right), *_weaker(rel.on, left)]
    to_right: list[Scalar] = []
    on: list[Scalar] = []
    for p in (*rel.on, *implied):
        used = sc.columns(p) & (left | right)
        if used and used <= right and _movable(p) and not rel.lateral:
            to_right.append(p)
        elif rel.kind == "semi" and used and used <= left and _movable(p):
            down.append(p)
        elif p in rel.on:
            on.append(p)
    joined = replace(
        rel, left=_push(rel.left, _unique(tuple(down))), right=_push(rel.right, _unique(tuple(to_right))), on=tuple(on)
    )
    return _stay(joined, above)


def _simplify(rel: ir.Join, preds: tuple[Scalar, ...]) -> ir.Join:
    """An outer join whose NULL-extended rows the filter above removes is a narrower one."""
    rejects = [p for p in preds if not sc.volatile(p)]
    left = any(sc.rejects_null(p, ir.ids(rel.left)) for p in rejects)
    right = any(sc.rejects_null(p, ir.ids(rel.right)) for p in rejects)
    kind, a, b = rel.kind, rel.left, rel.right
    if kind == "full" and left:
        kind = "left"
    elif kind == "full" and right:
        kind, a, b, right = "left", rel.right, rel.left, left
    if kind == "left" and right:
        kind = "inner"
    return ir.Join(kind, a, b, rel.on, rel.lateral)


def _inner(rel: ir.Join, preds: tuple[Scalar, ...], left: frozenset[int], right: frozenset[int], sides: _Sides) -> None:
    every = _unique((*rel.on, *preds))
    every = (*every, *derived(every))
    for p in (*every, *_weaker(every, left), *_weaker(every, right)):
        used = sc.columns(p) & (left | right)
        if sc.volatile(p) or sc.can_raise(p):
            (sides.on if p in rel.on else sides.above).append(p)
        elif used and used <= left:
            sides.left.append(p)
        elif used and used <= right and not rel.lateral:
            sides.right.append(p)
        elif used or p in rel.on:
            sides.on.append(p)
        else:
            sides.above.append(p)


def _outer(rel: ir.Join, preds: tuple[Scalar, ...], left: frozenset[int], right: frozenset[int], sides: _Sides) -> None:
    for p in preds:
        used = sc.columns(p) & (left | right)
        if rel.kind == "left" and used and used <= left and _movable(p):
            sides.left.append(p)
        else:
            sides.above.append(p)
    if rel.kind == "full":
        sides.on.extend(rel.on)
        return
    sides.left.extend(_weaker(preds, left))
    # What holds of the preserved side where the condition matters also holds, by equality, of the other side.
    implied = [p for p in derived((*rel.on, *sides.left, *_known(rel.left))) if sc.columns(p) & right]
    implied += _weaker(rel.on, right)
    for p in (*rel.on, *implied):
        used = sc.columns(p) & (left | right)
        to_right = bool(used) and used <= right and _movable(p) and not rel.lateral
        (sides.right if to_right else sides.on).append(p)
    sides.on[:] = [p for p in sides.on if p in rel.on]


def _known(rel: Rel) -> tuple[Scalar, ...]:
    """Predicates that every row of the relation is known to fulfil, as far as its own filters at the top say so."""
    match rel:
        case ir.Filter():
            return (*rel.predicates, *_known(rel.input))
        case ir.Join() if rel.kind != "full":
            return _known(rel.left)
        case ir.Project():
            back: dict[int, Scalar] = {e.id: Col(i, e.type) for i, e in rel.items if isinstance(e, Col)}
            return tuple(sc.substitute(p, back) for p in _known(rel.input) if sc.columns(p) <= back.keys())
        case _:
            return ()


def _weaker(preds: tuple[Scalar, ...], side: frozenset[int]) -> list[Scalar]:
    """What predicates over both sides of a join say of one of them."""
    over_both = (p for p in preds if not sc.columns(p) <= side)
    return [weaker for p in over_both if (weaker := weakened(p, side)) is not None]


def derived(preds: tuple[Scalar, ...]) -> tuple[Scalar, ...]:
    """Predicates that follow by equality: from a = b and p(a), where p compares a with constants, p(b)."""
    equal: dict[int, set[int]] = {}
    kinds: dict[int, Col] = {}
    for p in preds:
        columns = [a for a in p.args if isinstance(a, Col)] if isinstance(p, Call) and p.op == "=" else []
        if len(columns) == 2:
            a, b = columns
            if alike(a.type, b.type) or family(a.type) == family(b.type) == "int":
                group = {a.id, b.id, *equal.get(a.id, ()), *equal.get(b.id, ())}
                equal.update(dict.fromkeys(group, group))
                kinds.update({a.id: a, b.id: b})
    found: list[Scalar] = []
    for p in preds:
        column = _about_one(p)
        if column is None or column.id not in equal:
            continue
        others = sorted(equal[column.id] - {column.id, *(p.drivers if isinstance(p, KeyIn) else ())})
        found.extend(sc.substitute(p, {column.id: kinds[i]}) for i in others)
    return tuple(p for p in dict.fromkeys(found) if p not in preds)


def _about_one(p: Scalar) -> Col | None:
    """The column of `column op constant`, `column IN (...)`, keys and the like."""
    if isinstance(p, KeyIn):
        return p.args[0] if len(p.args) == 1 and isinstance(p.args[0], Col) else None
    if not isinstance(p, Call) or p.op not in ("=", "<", "<=", ">", ">=", "in", "any") or not _movable(p):
        return None
    if len(sc.columns(p)) != 1:
        return None
    return next((a for a in p.args if isinstance(a, Col)), None)
