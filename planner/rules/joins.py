"""Inner joins in another order: what one source can join stands together, then the smallest intermediate results."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations

from connectors.capability import family
from planner import ir
from planner import scalar as sc
from planner.context import Context
from planner.estimate import rows, selectivity
from planner.ir import Rel
from planner.joining import hoistable
from planner.keys import unique_keys
from planner.place import Placed, Placer
from planner.scalar import Call, Col, Scalar
from planner.types import alike

MOST_EXHAUSTIVE = 8  # relations of which every connected order is tried; beyond, the best next one is taken


def order_joins(rel: Rel, context: Context) -> Rel:
    """Every region of inner joins (with the left joins that hang on it) grouped by source and put in order.

    A region ends where the order matters: at full and lateral joins, null-supplying sides, and conditions that may
    raise or hold sub-queries. Projections between joins move above them.
    """
    return _Orderer(Placer(context.catalog)).each(rel)


@dataclass(slots=True)
class _Region:
    """`leaves` joined by all of `predicates`; `outers` are then left joined, in their order. `columns`: what the
    projections in between made of the leaves' columns."""

    leaves: list[Rel] = field(default_factory=list)
    predicates: list[Scalar] = field(default_factory=list)
    outers: list[tuple[Rel, tuple[Scalar, ...]]] = field(default_factory=list)
    columns: dict[int, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Unit:
    """Relations that stand together: `rel`, `placed` where a source may compute it, and the estimated rows."""

    rel: Rel
    placed: Placed
    ids: frozenset[int]
    rows: float


class _Orderer:
    """Orders the joins of one statement."""

    def __init__(self, placer: Placer) -> None:
        self.placer = placer

    def each(self, rel: Rel) -> Rel:
        """The relation with all its regions ordered, those inside sub-queries too."""
        if isinstance(rel, ir.Join) and _region_join(rel):
            ordered = self._region(rel)
            if ordered is not None:
                return ordered
        below = ir.with_inputs(rel, tuple(self.each(branch) for branch in ir.inputs(rel)))
        return ir.map_subs(below, self.each)

    def _region(self, rel: ir.Join) -> Rel | None:
        region = self._collected(rel)
        if len(region.leaves) + len(region.outers) < 3:
            return None
        leaves = [_filtered(self.each(leaf), region.predicates) for leaf in region.leaves]
        region.outers = [(self.each(right), on) for right, on in region.outers]
        graph = _Graph.of(leaves, region.predicates)
        shared = _shared([*leaves, *(right for right, _ in region.outers)])
        units = self._grouped([self._unit(leaf, shared) for leaf in leaves], graph)
        units, late = self._outer(units, region.outers, shared)
        ordered = graph.ordered(units)
        for right, on in late:
            ordered = ir.Join("left", ordered, right, on)
        if not region.columns:
            return ordered
        return ir.Project(ordered, tuple((i, region.columns.get(i, Col(i, kind))) for i, kind in ir.output(rel)))

    def _collected(self, rel: ir.Join) -> _Region:
        """The region under a join; without its left joins where a condition reads what they may leave NULL."""
        region = _Region()
        _collect(rel, region, outers=True)
        nullable = frozenset().union(*(ir.ids(right) for right, _ in region.outers))
        if any(sc.columns(p) & nullable for p in region.predicates):
            region = _Region()
            _collect(rel, region, outers=False)
        return region

    def _unit(self, rel: Rel, shared: frozenset[str]) -> _Unit:
        """A leaf, placed only where it may be of a source that another leaf is of too."""
        sources = _sources(rel)
        placed = self.placer.open(rel) if len(sources) == 1 and sources <= shared else Placed(rel)
        return _Unit(rel, placed, ir.ids(rel), rows(rel))

    # -- what one source can join

    def _grouped(self, units: list[_Unit], graph: _Graph) -> list[_Unit]:
        """Units of one source joined as far as it can do that exactly, the smallest result first."""
        while True:
            best: tuple[int, int, _Unit] | None = None
            for a, b in combinations(range(len(units)), 2):
                joined = self._together(units[a], units[b], graph)
                if joined is not None and (best is None or joined.rows < best[2].rows):
                    best = a, b, joined
            if best is None:
                return units
            a, b, joined = best
            units = [joined if at == a else unit for at, unit in enumerate(units) if at != b]

    def _together(self, a: _Unit, b: _Unit, graph: _Graph) -> _Unit | None:
        if a.placed.site is None or a.placed.site != b.placed.site:
            return None
        on = graph.between(a.ids, b.ids)
        rel = ir.Join("inner", a.rel, b.rel, on)
        placed = self.placer.join(rel, a.placed, b.placed) if on else ""
        if isinstance(placed, str):
            return None
        return _Unit(rel, placed, a.ids | b.ids, graph.joined(a, b))

    def _outer(
        self, units: list[_Unit], outers: list[tuple[Rel, tuple[Scalar, ...]]], shared: frozenset[str]
    ) -> tuple[list[_Unit], list[tuple[Rel, tuple[Scalar, ...]]]]:
        """Left joins of one source with what they hang on; and those that come after all else."""
        late = []
        for right, on in outers:
            other = self._unit(right, shared)
            needed = frozenset().union(*(sc.columns(p) for p in on)) - other.ids
            at = next((i for i, unit in enumerate(units) if needed <= unit.ids), None)
            joined = self._left(units[at], other, on) if at is not None and needed else None
            if at is None or joined is None:
                late.append((right, on))
            else:
                units = [*units[:at], joined, *units[at + 1 :]]
        return units, late

    def _left(self, unit: _Unit, other: _Unit, on: tuple[Scalar, ...]) -> _Unit | None:
        if unit.placed.site is None or unit.placed.site != other.placed.site or other.placed.pending:
            return None
        rel = ir.Join("left", unit.rel, other.rel, on)
        placed = self.placer.join(rel, unit.placed, other.placed)
        return None if isinstance(placed, str) else _Unit(rel, placed, unit.ids | other.ids, unit.rows)


# -- the region of a join


def _sources(rel: Rel) -> frozenset[str]:
    if isinstance(rel, ir.Scan):
        return frozenset((rel.table.table.source,)) if rel.table.table is not None else frozenset()
    return frozenset().union(*(_sources(branch) for branch in ir.inputs(rel)))


def _shared(leaves: list[Rel]) -> frozenset[str]:
    """Sources of which more than one leaf is."""
    counts = Counter(source for leaf in leaves for source in _sources(leaf))
    return frozenset(source for source, count in counts.items() if count > 1)


def _region_join(rel: ir.Join) -> bool:
    return rel.kind in ("inner", "left") and not rel.lateral and all(hoistable(p) for p in rel.on)


def _collect(rel: Rel, region: _Region, outers: bool) -> None:
    if isinstance(rel, ir.Join) and _region_join(rel) and (rel.kind == "inner" or outers):
        _collect(rel.left, region, outers)
        if rel.kind == "inner":
            _collect(rel.right, region, outers)
        on = tuple(sc.substitute(p, region.columns) for p in rel.on)
        if rel.kind == "inner":
            region.predicates += on
        else:
            region.outers.append((rel.right, on))
    elif isinstance(rel, ir.Project) and _passes(rel):
        _collect(rel.input, region, outers)
        region.columns.update({i: sc.substitute(e, region.columns) for i, e in rel.items})
    else:
        region.leaves.append(rel)


def _filtered(leaf: Rel, predicates: list[Scalar]) -> Rel:
    """The leaf with those of a join's conditions that are about it alone."""
    ids = ir.ids(leaf)
    own = tuple(p for p in predicates if (used := sc.columns(p)) and used <= ids)
    return ir.Filter(leaf, own) if own else leaf


def _passes(rel: ir.Project) -> bool:
    """Whether a projection may move above the joins that it stands under."""
    if not isinstance(rel.input, ir.Join | ir.Project):
        return all(isinstance(e, Col) for _, e in rel.items)
    return all(hoistable(e) and not sc.special(e) for _, e in rel.items)


# -- the conditions between relations


@dataclass(slots=True)
class _Graph:
    """Conditions, with those that follow by equality; `classes`: the class of columns that an id is equal to;
    `distinct`: how many values a column has."""

    predicates: list[tuple[frozenset[int], Scalar]]
    derived: list[tuple[frozenset[int], Scalar]]
    classes: dict[int, int]
    distinct: dict[int, float]

    @classmethod
    def of(cls, leaves: list[Rel], predicates: list[Scalar]) -> _Graph:
        """The graph of a region."""
        every = frozenset().union(*(ir.ids(leaf) for leaf in leaves))
        owner = {i: at for at, leaf in enumerate(leaves) for i in ir.ids(leaf)}
        groups = _classes(predicates)
        given = {frozenset(c.id for c in p.args if isinstance(c, Col)) for p in predicates if isinstance(p, Call)}
        derived: list[tuple[frozenset[int], Scalar]] = [
            (frozenset((a.id, b.id)), Call("=", (a, b), sc.BOOL))
            for group in groups
            for a, b in combinations(group, 2)
            if owner.get(a.id) != owner.get(b.id) and {a.id, b.id} <= every and frozenset((a.id, b.id)) not in given
        ]
        classes = {c.id: at for at, group in enumerate(groups) for c in group}
        distinct = {c.id: _distinct(c.id, leaves[owner[c.id]]) for group in groups for c in group if c.id in owner}
        listed = [(sc.columns(p) & every, p) for p in predicates]
        return cls(listed, derived, classes, distinct)

    def between(self, a: frozenset[int], b: frozenset[int]) -> tuple[Scalar, ...]:
        """The conditions that join two sets of columns; those that only follow, where no other connects the two."""
        both = a | b
        on = tuple(p for used, p in self.predicates if used <= both and not used <= a and not used <= b)
        if any(isinstance(p, Call) and p.op == "=" for p in on):
            return on
        seen: set[int] = set()
        extra = []
        for used, p in self.derived:
            kind = self.classes[next(iter(used))]
            if used <= both and not used <= a and not used <= b and kind not in seen:
                seen.add(kind)
                extra.append(p)
        return (*on, *extra)

    def joined(self, a: _Unit, b: _Unit) -> float:
        """Expected rows of the join."""
        return _Sizes(self, [a, b]).rows(3)

    # -- the order

    def ordered(self, units: list[_Unit]) -> Rel:
        """All units joined, each intermediate result as small as can be; whatever is no join's condition above."""
        sizes = _Sizes(self, units)
        order = _exhaustive(sizes) if len(units) <= MOST_EXHAUSTIVE else _greedy(sizes)
        made = units[order[0]]
        for at in order[1:]:
            ids = made.ids | units[at].ids
            rel = ir.Join("inner", made.rel, units[at].rel, self.between(made.ids, units[at].ids))
            made = _Unit(rel, Placed(rel), ids, 0.0)
        rest = tuple(p for used, p in self.predicates if not used)
        return ir.Filter(made.rel, rest) if rest else made.rel


class _Sizes:
    """Expected rows of joins of units, these as bits of a number."""

    def __init__(self, graph: _Graph, units: list[_Unit]) -> None:
        self.units = units
        self.known: dict[int, float] = {}
        self.shares: list[tuple[int, float]] = []
        self.spread: dict[int, dict[int, float]] = {}  # class -> unit -> values that its columns of the class have
        for used, p in graph.predicates:
            mask = self._mask(used)
            if mask & (mask - 1) and not any(c.id in graph.classes for c in _pair(p)):
                self.shares.append((mask, selectivity(p)))
        for i, kind in graph.classes.items():
            for at, unit in enumerate(units):
                if i in unit.ids:
                    values = min(graph.distinct[i], unit.rows)
                    per_unit = self.spread.setdefault(kind, {})
                    per_unit[at] = min(values, per_unit.get(at, values))
        self.edges = [mask for mask, _ in self.shares]
        self.edges += [sum(1 << at for at in per_unit) for per_unit in self.spread.values()]

    def _mask(self, used: frozenset[int]) -> int:
        return sum(1 << at for at, unit in enumerate(self.units) if used & unit.ids)

    def rows(self, mask: int) -> float:
        """Of the join of those units. A column equal to others has no more values than the one that has fewest."""
        if mask not in self.known:
            total = 1.0
            for at, unit in enumerate(self.units):
                total *= unit.rows if mask >> at & 1 else 1.0
            for needed, share in self.shares:
                total *= share if needed & mask == needed else 1.0
            for per_unit in self.spread.values():
                values = sorted(count for at, count in per_unit.items() if mask >> at & 1)
                for count in values[1:]:
                    total /= count
            self.known[mask] = max(total, 1.0)
        return self.known[mask]

    def next_to(self, mask: int) -> list[int]:
        """Units that a condition joins with those; all others where none does."""
        others = [at for at in range(len(self.units)) if not mask >> at & 1]
        near = [at for at in others if any(edge & mask and edge >> at & 1 for edge in self.edges)]
        return near or others


def _exhaustive(sizes: _Sizes) -> list[int]:
    """The order whose intermediate results have the fewest rows in sum, each unit joined with those before it."""
    count = len(sizes.units)
    best: dict[int, tuple[float, list[int]]] = {1 << at: (sizes.units[at].rows, [at]) for at in range(count)}
    level = dict(best)
    for _ in range(count - 1):
        longer: dict[int, tuple[float, list[int]]] = {}
        for mask, (cost, order) in level.items():
            for at in sizes.next_to(mask):
                grown = mask | 1 << at
                total = cost + sizes.rows(grown)
                if grown not in longer or total < longer[grown][0]:
                    longer[grown] = total, [*order, at]
        level = longer
    return level[(1 << count) - 1][1]


def _greedy(sizes: _Sizes) -> list[int]:
    """From the smallest unit, always the one that keeps the result smallest."""
    order = [min(range(len(sizes.units)), key=lambda at: sizes.units[at].rows)]
    mask = 1 << order[0]
    while len(order) < len(sizes.units):
        following = min(sizes.next_to(mask), key=lambda at: sizes.rows(mask | 1 << at))
        order.append(following)
        mask |= 1 << following
    return order


def _pair(p: Scalar) -> tuple[Col, ...]:
    """Both columns of `a = b`."""
    if not isinstance(p, Call) or p.op != "=":
        return ()
    columns = tuple(c for c in p.args if isinstance(c, Col))
    return columns if len(columns) == 2 else ()


def _classes(predicates: list[Scalar]) -> list[list[Col]]:
    """Columns that are equal in every row, as far as equality carries over: of alike types, or integers."""
    groups: list[list[Col]] = []
    for p in predicates:
        pair = _pair(p)
        if not pair or not (alike(pair[0].type, pair[1].type) or {family(c.type) for c in pair} == {"int"}):
            continue
        touched = [group for group in groups if any(c in group for c in pair)]
        merged = list(dict.fromkeys([c for group in touched for c in group] + [*pair]))
        groups = [*(group for group in groups if group not in touched), merged]
    return groups


def _distinct(column: int, leaf: Rel) -> float:
    """How many values a column has, at the most."""
    count = rows(leaf)
    return count if frozenset((column,)) in unique_keys(leaf) else max(count / 10, 1.0)
