"""Joins and correlated sub-queries hand the keys of their small side to the large one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from connectors.capability import family
from planner import ir
from planner import scalar as sc
from planner.context import Context
from planner.cost import LOCAL, cost
from planner.estimate import Estimator
from planner.ir import Rel
from planner.joining import equalities
from planner.lookup import MOST_KEYS, taken
from planner.scalar import Call, Col, KeyIn, Scalar, Sub

KEYS = frozenset(("int", "text", "date", "uuid"))
_WORTH = 200.0  # rows below which the other side is fetched whole
_SAVES = 0.8  # the share of rows that keys must leave out a fifth of, where that is known


def bind_keys(rel: Rel, context: Context) -> Rel:
    """Adds the redundant predicate `columns in keys of the other side` where it would save rows.

    Never where a NULL of the column matters: not to the preserved side of an outer join, not under NOT IN.
    """
    return ir.rewrite(rel, lambda node: _node(node, context))


def _node(rel: Rel, context: Context) -> Rel:
    if isinstance(rel, ir.Join) and rel.kind != "full" and not rel.lateral:
        return _join(rel, context)
    if isinstance(rel, ir.Filter):
        rel = _semi(rel, context.estimator)
    return _correlated(rel, context.estimator)


def _rows(rel: Rel, estimator: Estimator) -> float:
    return max(estimator.rows(rel).likely, 1.0)


def _grouped(rel: Rel, rows: float, estimator: Estimator) -> float:
    """Rows that are read for a relation: where it groups them by what keys may choose, more than it has."""
    while isinstance(rel, ir.Project | ir.Filter):
        rel = rel.input
    if isinstance(rel, ir.Aggregate | ir.Distinct | ir.Window):
        return max(rows, _grouped(rel.input, _rows(rel.input, estimator), estimator))
    return rows


def _all_groups(rel: Rel, other: Rel) -> bool:
    """Whether it groups all of a table that the other side reads too, so that its keys would choose nothing."""
    while isinstance(rel, ir.Project | ir.Aggregate | ir.Distinct):
        rel = rel.input
    return isinstance(rel, ir.Scan) and rel.table in _tables(other)


def _tables(rel: Rel) -> Iterator[object]:
    if isinstance(rel, ir.Scan):
        yield rel.table
    for branch in ir.inputs(rel):
        yield from _tables(branch)


def _keyed(column: Col, driver: Col, count: float) -> KeyIn | None:
    kind = family(column.type)
    return KeyIn((column,), (driver.id,), count) if kind in KEYS and family(driver.type) == kind else None


def _join(rel: ir.Join, context: Context) -> Rel:
    """Either side by the keys of the other: what saves more, an operational source's work before all."""
    estimator = context.estimator
    pairs = _compared(rel)
    to_right = _saving(rel.left, rel.right, pairs, estimator)
    to_left = None
    if rel.kind in ("inner", "semi") and not _all_groups(rel.right, rel.left):
        to_left = _saving(rel.right, rel.left, [(b, a) for a, b in pairs], estimator)
    if to_right is None and to_left is None:
        return rel
    if to_left is not None and to_right is not None:
        right, left = (_price(side, *found, context) for side, found in ((rel.right, to_right), (rel.left, to_left)))
        to_right, to_left = (to_right, None) if right >= left else (None, to_left)
    if to_left is None:
        return replace(rel, right=ir.Filter(rel.right, to_right[1])) if to_right is not None else rel
    return replace(rel, left=ir.Filter(rel.left, to_left[1]))


def _price(many: Rel, rows: float, keys: tuple[KeyIn], context: Context) -> tuple[bool, float]:
    """(whether there are likely few enough keys to be sent, what they save: the sources' work as it is priced, and the
    rows that need not come)."""
    sent = keys[0].count <= taken(many, keys[0], context.estimator)[0]
    whole, chosen = (cost(each, context.estimator, context.catalog).total for each in (many, ir.Filter(many, keys)))
    return sent, max(whole - chosen, 0.0) + LOCAL * rows


def _compared(rel: ir.Join) -> list[tuple[Col, Col]]:
    """Pairs (left column, right column) that a join compares and that keys can carry; each column once."""
    left, right = ir.ids(rel.left), ir.ids(rel.right)
    found: dict[int, tuple[Col, Col]] = {}
    for a, b in equalities(rel.on):
        if a.id in right and b.id in left:
            a, b = b, a
        fits = family(a.type) in KEYS and family(a.type) == family(b.type)
        if fits and a.id in left and b.id in right and all(a.id != c.id for c, _ in found.values()):
            found.setdefault(b.id, (a, b))
    return list(found.values())


def _saving(
    few: Rel, many: Rel, pairs: list[tuple[Col, Col]], estimator: Estimator
) -> tuple[float, tuple[KeyIn]] | None:
    """(rows of `many` that the keys of `few` leave out, the predicate); None where that is not worth it."""
    rows = _grouped(many, _rows(many, estimator), estimator)
    if not pairs or rows <= _WORTH:
        return None
    count = max(estimator.distinct(few, [a.id for a, _ in pairs]).likely, 1.0)
    keys = KeyIn(tuple(b for _, b in pairs), tuple(a.id for a, _ in pairs), count)
    share = estimator.selectivity().share(keys).likely
    if count > MOST_KEYS or share > _SAVES:
        return None
    return rows * (1 - share), (keys,)


def _semi(rel: ir.Filter, estimator: Estimator) -> ir.Filter:
    """`x IN (sub-query)` as a conjunct: whichever side is small bounds the other."""
    extra: list[Scalar] = []
    predicates: list[Scalar] = []
    for p in rel.predicates:
        if isinstance(p, Sub) and p.kind in ("in", "any") and p.op == "=" and len(p.args) == 1:
            p, more = _membership(p, rel.input, estimator)
            extra += more
        predicates.append(p)
    return ir.Filter(rel.input, (*predicates, *extra)) if extra or tuple(predicates) != rel.predicates else rel


def _membership(p: Sub, outer: Rel, estimator: Estimator) -> tuple[Sub, list[Scalar]]:
    left = p.args[0]
    kinds = dict(ir.output(p.rel))
    inner = Col(p.columns[0], kinds[p.columns[0]])
    if not isinstance(left, Col) or ir.outer_columns(p.rel):
        return p, []
    few, many = _rows(outer, estimator), _rows(p.rel, estimator)
    if few <= MOST_KEYS and many > max(few, _WORTH):
        key = _keyed(inner, left, few)
        return (Sub(p.kind, ir.Filter(p.rel, (key,)), p.columns, p.args, p.op, p.type) if key else p), []
    if many <= MOST_KEYS and few > max(many, _WORTH):
        key = _keyed(left, inner, many)
        return p, [key] if key else []
    return p, []


def _correlated(rel: Rel, estimator: Estimator) -> Rel:
    """Inside a correlated sub-query, `inner = outer` lets in only rows that some outer row asks for."""
    if not any(sc.has_sub(e) for e in ir.scalars(rel)) or not ir.inputs(rel):
        return rel
    outer = ir.inputs(rel)[0]
    if _rows(outer, estimator) > MOST_KEYS:
        return rel
    outside = ir.ids(outer)
    return ir.map_subs(rel, lambda sub: ir.rewrite(sub, lambda node: _inside(node, outside, _rows(outer, estimator))))


def _inside(rel: Rel, outside: frozenset[int], count: float) -> Rel:
    if not isinstance(rel, ir.Filter):
        return rel
    keys = tuple(dict.fromkeys(k for p in rel.predicates for k in _pairs(p, outside, count)))
    new = tuple(k for k in keys if k not in rel.predicates)
    return ir.Filter(rel.input, (*rel.predicates, *new)) if new else rel


def _pairs(p: Scalar, outside: frozenset[int], count: float) -> Iterator[KeyIn]:
    columns = [a for a in p.args if isinstance(a, Col)] if isinstance(p, Call) and p.op == "=" else []
    if len(columns) != 2:
        return
    for inner, outer in (columns, columns[::-1]):
        if outer.id in outside and inner.id not in outside:
            key = _keyed(inner, outer, count)
            if key is not None:
                yield key
