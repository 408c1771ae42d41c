"""Under which values of parameters a fragment's rows cannot matter: the engine then does not ask for them.

What a filter or join proves empty by its predicates alone stays empty whatever rows its inputs have, so nothing below
it need be fetched. Planning prunes by constants (rules/prune); this is for values that only a run knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from connectors.base import Bound
from planner import domains, ir
from planner import scalar as sc
from planner.domains import Domain, Facts
from planner.ir import Cut, Rel
from planner.plan import Absent, AllOf, AnyOf, Beyond, BoundaryRef, ComputedRef, ParamRef, Value
from planner.scalar import Boundary, Lit, Once, Param, Scalar, Sub
from planner.targets import python_value
from planner.values import Values

MOST = 64  # comparisons of one condition; a longer one is not worth its evaluation


def absences(rel: Rel) -> dict[int, Absent | None]:
    """For each Cut of a placed statement (by identity): when its rows cannot matter; None: they always may."""
    walk = _Walk()
    walk.known(rel)
    walk.below(rel, None)
    return {at: test if test is None or _size(test) <= MOST else None for at, test in walk.cuts.items()}


@dataclass(slots=True)
class _Walk:
    """`when`: for each node, when it has no rows; `on`: for each join, when no two rows of its sides meet."""

    when: dict[int, Absent | None] = field(default_factory=dict)
    on: dict[int, Absent | None] = field(default_factory=dict)
    cuts: dict[int, Absent | None] = field(default_factory=dict)
    values: Values = field(default_factory=Values)

    def known(self, rel: Rel) -> Facts:
        """What holds of the columns; on the way, when each node is empty."""
        facts, self.when[id(rel)] = self._node(rel)
        return facts

    def _node(self, rel: Rel) -> tuple[Facts, Absent | None]:
        below = [self.known(branch) for branch in ir.inputs(rel)]
        empty = [self.when[id(branch)] for branch in ir.inputs(rel)]
        match rel:
            case Cut():
                facts = self.known(rel.rel)
                return facts, self.when[id(rel.rel)]
            case ir.Filter():
                inside = domains.facts(rel.predicates, self.values, below[0])
                return inside or {}, _any((empty[0], _nothing(inside)))
            case ir.Project():
                return self._items(rel, below[0]), empty[0]
            case ir.Aggregate():
                return {}, empty[0] if rel.keys and not rel.sets else None
            case ir.Join():
                return self._join(rel, below[0], below[1], empty[0], empty[1])
            case ir.SetOp():
                made = {"union": _all(empty), "intersect": _any(empty), "except": empty[0]}
                return {}, made[rel.kind]
            case ir.Sort() | ir.Limit() | ir.Window() | ir.Distinct():
                return below[0], empty[0]
            case ir.Shared():
                return below[1], empty[1]
            case _:
                return {}, None

    def _items(self, rel: ir.Project, below: Facts) -> Facts:
        found = ((i, below.get(domains.term(e))) for i, e in rel.items)
        return {i: domain for i, domain in found if domain is not None}

    def _join(
        self, rel: ir.Join, left: Facts, right: Facts, no_left: Absent | None, no_right: Absent | None
    ) -> tuple[Facts, Absent | None]:
        both = domains.facts(rel.on, self.values, {**left, **right}) or {}
        self.on[id(rel)] = apart = _nothing(both)
        if rel.kind in ("inner", "semi"):
            return both, _any((no_left, no_right, apart))
        if rel.kind == "full":
            return {}, _all((no_left, no_right))
        ours = ir.ids(rel.left)
        return {i: domain for i, domain in left.items() if i in ours}, no_left

    def below(self, rel: Rel, above: Absent | None) -> None:
        """Give every Cut the condition under which something above it, or itself, is empty."""
        here = _any((above, self.when.get(id(rel))))
        if isinstance(rel, Cut):
            self.cuts[id(rel)] = both(self.cuts[id(rel)], here) if id(rel) in self.cuts else here
            return
        for sub in _subs(rel):
            self.known(sub)
            self.below(sub, here)
        for at, branch in enumerate(ir.inputs(rel)):
            idle = isinstance(rel, ir.Join) and rel.kind != "full" and at == 1
            self.below(branch, _any((here, self.on[id(rel)])) if idle else here)


def _subs(rel: Rel) -> Iterator[Rel]:
    for e in ir.scalars(rel):
        for node in sc.walk(e):
            if isinstance(node, Sub):
                yield node.rel


def _any(tests: Iterable[Absent | None]) -> Absent | None:
    parts: dict[Absent, None] = {}
    for test in tests:
        if test is not None:
            parts.update(dict.fromkeys(test.parts if isinstance(test, AnyOf) else (test,)))
    kept = tuple(p for p in parts if not (isinstance(p, AllOf) and any(q in parts for q in p.parts)))
    return next(iter(kept), None) if len(kept) < 2 else AnyOf(kept)


def _all(tests: Iterable[Absent | None]) -> Absent | None:
    parts = tuple(dict.fromkeys(tests))
    known = tuple(part for part in parts if part is not None)
    if len(known) < len(parts) or not known:
        return None
    return known[0] if len(known) == 1 else AllOf(known)


def both(a: Absent | None, b: Absent | None) -> Absent | None:
    """When neither of two uses of the same rows needs them."""
    return _all((a, b))


def _size(test: Absent) -> int:
    return 1 if isinstance(test, Beyond) else sum(_size(part) for part in test.parts)


def _nothing(facts: Facts | None) -> Absent | None:
    """When one of the terms has no value left."""
    return _any(_void(domain) for domain in (facts or {}).values())


def _void(domain: Domain) -> Absent | None:
    if domain.null:
        return None
    return _all(_crossed(interval) for interval in domain.intervals)


def _crossed(interval: domains.Interval) -> Absent | None:
    tests: list[Absent | None] = []
    for end in (*interval.lows, *interval.highs):
        value = None if isinstance(end.value, Lit) else _value(end.value)
        tests.append(None if value is None else Beyond(value, None))
    for low in interval.lows:
        for high in interval.highs:
            a, b = _value(low.value), _value(high.value)
            fixed = low.value == high.value or (isinstance(low.value, Lit) and isinstance(high.value, Lit))
            if a is not None and b is not None and not fixed:
                tests.append(Beyond(a, b, low.open or high.open))
    return _any(tests)


def _value(e: Scalar) -> Value | None:
    match e:
        case Lit():
            try:
                return Bound(e.type, python_value(e))
            except (ValueError, OverflowError):
                return None
        case Param():
            return ParamRef(e.index, e.type)
        case Once():
            return ComputedRef(e.index, e.type)
        case Boundary():
            return BoundaryRef(e.index, e.type, e.sure)
        case _:
            return None
