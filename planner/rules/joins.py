"""Inner joins in another order: what one source can join stands together, then the smallest intermediate results."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations

from planner import ir
from planner import scalar as sc
from planner.context import Context
from planner.estimate import Estimator
from planner.ir import Rel
from planner.joingraph import Graph, Sizes
from planner.joining import hoistable
from planner.place import Placed, Placer
from planner.scalar import Col, Scalar

_Outer = tuple[Rel, tuple[Scalar, ...]]  # the null-supplying side of a left join, and its condition


def order_joins(rel: Rel, context: Context) -> Rel:
    """Every region of inner joins (with the left joins that hang on it) grouped by source and put in order.

    A region ends where the order matters: at full and lateral joins, null-supplying sides, and conditions that may
    raise or hold sub-queries. Projections between joins move above them.
    """
    return _Orderer(Placer(context.catalog, context.estimator)).each(rel)


@dataclass(slots=True)
class _Region:
    """`leaves` joined by all of `predicates`; `outers` are then left joined, in their order. `columns`: what the
    projections in between made of the leaves' columns."""

    leaves: list[Rel] = field(default_factory=list)
    predicates: list[Scalar] = field(default_factory=list)
    outers: list[_Outer] = field(default_factory=list)
    columns: dict[int, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Unit:
    """Leaves that stand together, as bits of `mask`; `placed` where a source may compute them."""

    rel: Rel
    placed: Placed
    ids: frozenset[int]
    mask: int


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
        region = _collected(rel)
        if len(region.leaves) + len(region.outers) < 3:
            return None
        graph = Graph([self.each(leaf) for leaf in region.leaves], region.predicates)
        outers = [(self.each(right), on) for right, on in region.outers]
        shared = _shared([*graph.leaves, *(right for right, _ in outers)])
        sizes = _sizes(graph, self.placer.estimator)
        units = [self._unit(leaf, shared, 1 << at) for at, leaf in enumerate(graph.leaves)]
        units = self._grouped(units, graph, sizes)
        late: list[_Outer] = []
        for outer in outers:
            attached = self._outer(units, outer, shared)
            units = attached or units
            late += [] if attached else [outer]
        ordered = _ordered(units, graph, sizes)
        for right, on in late:
            ordered = ir.Join("left", ordered, right, on)
        if not region.columns:
            return ordered
        return ir.Project(ordered, tuple((i, region.columns.get(i, Col(i, kind))) for i, kind in ir.output(rel)))

    def _unit(self, rel: Rel, shared: frozenset[str], mask: int) -> _Unit:
        """A leaf, placed only where it may be of a source that another leaf is of too."""
        sources = _sources(rel)
        placed = self.placer.open(rel) if len(sources) == 1 and sources <= shared else Placed(rel)
        return _Unit(rel, placed, ir.ids(rel), mask)

    def _grouped(self, units: list[_Unit], graph: Graph, sizes: Sizes) -> list[_Unit]:
        """Units of one source joined as far as it can do that exactly, the smallest result first."""
        while True:
            pairs = [(a, b) for a, b in combinations(units, 2) if a.placed.site and a.placed.site == b.placed.site]
            for a, b in sorted(pairs, key=lambda pair: sizes.rows(pair[0].mask | pair[1].mask)):
                joined = self._together(a, b, graph)
                if joined is not None:
                    units = [joined if unit is a else unit for unit in units if unit is not b]
                    break
            else:
                return units

    def _together(self, a: _Unit, b: _Unit, graph: Graph) -> _Unit | None:
        on = graph.between(a.ids, b.ids)
        rel = ir.Join("inner", a.rel, b.rel, on)
        placed = self.placer.join(rel, a.placed, b.placed) if on else ""
        return None if isinstance(placed, str) else _Unit(rel, placed, a.ids | b.ids, a.mask | b.mask)

    def _outer(self, units: list[_Unit], outer: _Outer, shared: frozenset[str]) -> list[_Unit] | None:
        """The units with the left join at the one that it hangs on, where that is of the same source; else None."""
        right, on = outer
        own = ir.ids(right)
        needed = frozenset().union(*(sc.columns(p) for p in on)) - own
        unit = next((unit for unit in units if needed and needed <= unit.ids), None)
        other = self._unit(right, shared, 0).placed if unit is not None and unit.placed.site else Placed(right)
        if unit is None or other.site is None or other.pending:
            return None
        rel = ir.Join("left", unit.rel, right, on)
        placed = self.placer.join(rel, unit.placed, other)
        if isinstance(placed, str):
            return None
        return [_Unit(rel, placed, each.ids | own, each.mask) if each is unit else each for each in units]


def _ordered(units: list[_Unit], graph: Graph, sizes: Sizes) -> Rel:
    """All units joined, each intermediate result as small as can be."""
    order = sizes.order([unit.mask for unit in units])
    made, ids = units[order[0]].rel, units[order[0]].ids
    for at in order[1:]:
        made = ir.Join("inner", made, units[at].rel, graph.between(ids, units[at].ids))
        ids |= units[at].ids
    return ir.Filter(made, graph.loose) if graph.loose else made


def _sizes(graph: Graph, estimator: Estimator) -> Sizes:
    def distinct(column: int) -> float:
        return estimator.distinct(graph.leaves[graph.owner[column]], (column,)).likely

    rows = [max(estimator.rows(leaf).likely, 1.0) for leaf in graph.leaves]
    return Sizes(graph, rows, distinct, lambda p: estimator.selectivity().share(p).likely)


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


def _collected(rel: ir.Join) -> _Region:
    """The region under a join; without its left joins where a condition reads what they may leave NULL."""
    region = _Region()
    _collect(rel, region, outers=True)
    nullable = frozenset().union(*(ir.ids(right) for right, _ in region.outers))
    if any(sc.columns(p) & nullable for p in region.predicates):
        region = _Region()
        _collect(rel, region, outers=False)
    return region


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


def _passes(rel: ir.Project) -> bool:
    """Whether a projection may move above the joins that it stands under."""
    if not isinstance(rel.input, ir.Join | ir.Project):
        return all(isinstance(e, Col) for _, e in rel.items)
    return all(hoistable(e) and not sc.special(e) for _, e in rel.items)
