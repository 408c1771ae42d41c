"""Tables that can only be read by given columns get the keys of whatever they are joined to by these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice, product

from connectors.capability import family
from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.joining import equalities
from planner.required import needs, restricted
from planner.rules.bind import KEYS
from planner.scalar import Col, KeyIn, Scalar, Sub
from planner.windows import partition

_MOST = 64  # combinations of columns that are looked at

Pair = tuple[Col, Col]
Sought = Mapping[int, tuple[Col, ...]]  # column -> those whose values it must be among for its row to matter


def require_keys(rel: Rel) -> Rel:
    """Adds `columns in keys of others` to every scan that must be given some columns, for each equality that reaches
    it; which of them are used is chosen once the fragments are known (required.py).

    Never where a row without a partner matters: not to the preserved side of an outer join, not below LIMIT, nor below
    an aggregate but by its keys.
    """
    return _walk(rel, {}) if restricted(rel) else rel


def _walk(rel: Rel, sought: Sought) -> Rel:
    """`rel`, of whose rows only those matter whose columns are among what is sought."""
    rel = ir.map_subs(rel, lambda sub: _walk(sub, {}))
    match rel:
        case ir.Scan():
            return _scan(rel, sought)
        case ir.Filter():
            return _filter(rel, sought)
        case ir.Project():
            passed = {e.id: sought[i] for i, e in rel.items if isinstance(e, Col) and i in sought}
            return ir.with_inputs(rel, (_walk(rel.input, passed),))
        case ir.Join():
            return _join(rel, sought)
        case ir.Aggregate():
            plain = {} if rel.sets else {i: e for i, e in rel.keys if isinstance(e, Col)}
            return ir.with_inputs(rel, (_walk(rel.input, {e.id: sought[i] for i, e in plain.items() if i in sought}),))
        case ir.SetOp():
            return _set_operation(rel, sought)
        case ir.Distinct() | ir.Window() | ir.Sort() | ir.Shared():
            return _through(rel, sought)
        case _:
            return ir.with_inputs(rel, tuple(_walk(branch, {}) for branch in ir.inputs(rel)))


def _through(rel: ir.Distinct | ir.Window | ir.Sort | ir.Shared, sought: Sought) -> Rel:
    if isinstance(rel, ir.Shared):
        return ir.with_inputs(rel, (_walk(rel.body, {}), _walk(rel.input, sought)))
    kept = frozenset(sought)
    if isinstance(rel, ir.Distinct) and rel.on is not None:
        kept = frozenset(e.id for e in rel.on if isinstance(e, Col))
    if isinstance(rel, ir.Window):
        kept = frozenset.intersection(*(partition(e) for _, e in rel.items))
    return ir.with_inputs(rel, (_walk(rel.input, {i: found for i, found in sought.items() if i in kept}),))


def _set_operation(rel: ir.SetOp, sought: Sought) -> Rel:
    branches = []
    for branch, ids in rel.inputs:
        passed = {i: sought[o] for i, (o, _) in zip(ids, rel.columns, strict=True) if o in sought}
        branches.append(_walk(branch, passed))
    return ir.with_inputs(rel, tuple(branches))


def _filter(rel: ir.Filter, sought: Sought) -> Rel:
    """Equalities with columns, of enclosing relations too, and membership in a sub-query; which in turn is asked only
    for what is compared with it."""
    members: list[Pair] = []
    predicates: list[Scalar] = []
    for p in rel.predicates:
        left = sc.bare(p.args[0]) if isinstance(p, Sub) and p.kind in ("in", "any") and len(p.args) == 1 else None
        if isinstance(p, Sub) and p.op == "=" and isinstance(left, Col):
            inner = Col(p.columns[0], dict(ir.output(p.rel))[p.columns[0]])
            members.append((left, inner))
            p = Sub(p.kind, _walk(p.rel, {inner.id: (left,)}), p.columns, p.args, p.op, p.type)
        predicates.append(p)
    pairs = [*equalities(rel.predicates), *members, *_equal(rel.input)]
    return ir.Filter(_walk(rel.input, _closed(pairs, sought, ir.ids(rel.input))), tuple(predicates))


def _join(rel: ir.Join, sought: Sought) -> Rel:
    left, right = ir.ids(rel.left), ir.ids(rel.right)
    on = equalities(rel.on)
    to_left: Sought = {i: found for i, found in sought.items() if i in left}
    to_right: Sought = {i: found for i, found in sought.items() if i in right} if rel.widens else {}
    if rel.kind == "full":
        to_left, to_right = {}, {}
    else:
        to_right = _closed([*on, *_equal(rel.left)], {**to_left, **to_right}, right)
    if rel.kind in ("inner", "semi"):
        to_left = _closed([*on, *_equal(rel.left), *_equal(rel.right)], sought, left)
    return ir.with_inputs(rel, (_walk(rel.left, to_left), _walk(rel.right, to_right)))


def _closed(pairs: Iterable[Pair], sought: Sought, wanted: frozenset[int]) -> Sought:
    """What is sought of the columns `wanted`: all that equal them, and what is sought of those."""
    classes: list[dict[int, Col]] = []
    for pair in pairs:
        touched = [one for one in classes if one.keys() & {c.id for c in pair}]
        merged = {c.id: c for one in touched for c in one.values()} | {c.id: c for c in pair}
        classes = [*(one for one in classes if one not in touched), merged]
    made = {i: found for i, found in sought.items() if i in wanted}
    for one in classes:
        given = [c for i in one for c in sought.get(i, ())]
        for i in one.keys() & wanted:
            others = (c for c in (*one.values(), *given) if c.id != i)
            made[i] = tuple({c.id: c for c in (*made.get(i, ()), *others)}.values())
    return made


def _equal(rel: Rel) -> Iterator[Pair]:
    """Columns that are equal in every row of a relation, as far as its filters, joins and renamings say so."""
    if isinstance(rel, ir.Filter):
        yield from equalities(rel.predicates)
    if isinstance(rel, ir.Project):
        yield from ((Col(i, e.type), e) for i, e in rel.items if isinstance(e, Col) and e.id != i)
    if isinstance(rel, ir.Join) and rel.kind != "full":
        if rel.kind == "inner":
            yield from (*equalities(rel.on), *_equal(rel.right))
        yield from _equal(rel.left)
    if isinstance(rel, ir.Filter | ir.Project | ir.Sort | ir.Limit):
        yield from _equal(rel.input)


def _scan(rel: ir.Scan, sought: Sought) -> Rel:
    """The scan with keys for the columns that it must be given: of each column, and of several together where these
    are sought in the same relation, as its combinations are fewer."""
    found: dict[KeyIn, None] = {}
    kinds = dict(ir.output(rel))
    for columns in needs(rel):
        if not kinds.keys() >= {*columns}:
            continue
        lists = [
            [d for d in sought.get(i, ()) if family(d.type) in KEYS and family(d.type) == family(kinds[i])]
            for i in columns
        ]
        if len(columns) > 1:
            for row in islice(product(*lists), _MOST):
                found[KeyIn(tuple(Col(i, kinds[i]) for i in columns), tuple(d.id for d in row))] = None
        for i, drivers in zip(columns, lists, strict=True):
            found.update(dict.fromkeys(KeyIn((Col(i, kinds[i]),), (d.id,)) for d in drivers))
    return ir.Filter(rel, tuple(found)) if found else rel
