"""What joins several relations: conditions, classes of equal columns, expected sizes, and the order to join in."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from connectors.capability import family
from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.joining import equalities
from planner.scalar import Call, Col, Scalar
from planner.types import alike

MOST_EXHAUSTIVE = 8  # relations of which every connected order is tried; beyond, the best next one is taken


@dataclass(slots=True)
class Class:
    """Columns that are equal in every row, and the equalities that say so."""

    columns: list[Col]
    written: list[Scalar]

    def between(self, a: frozenset[int], b: frozenset[int]) -> Scalar | None:
        """An equality of a column in `a` with one in `b`, as it was written where it was."""
        left = [c for c in self.columns if c.id in a]
        right = [c for c in self.columns if c.id in b]
        if not left or not right:
            return None
        sides = {c.id for c in left}, {c.id for c in right}
        for p in self.written:
            first, second = sc.columns(p)
            if (first in sides[0] and second in sides[1]) or (first in sides[1] and second in sides[0]):
                return p
        return Call("=", (left[0], right[0]), sc.BOOL)

    def within(self, ids: frozenset[int]) -> list[Scalar]:
        """Equalities of columns of one relation."""
        own = [c for c in self.columns if c.id in ids]
        return [Call("=", (own[0], c), sc.BOOL) for c in own[1:]]


def classes(predicates: Sequence[Scalar]) -> list[Class]:
    """The classes that equalities make, as far as equality carries over: of alike types, or integers."""
    groups: list[Class] = []
    for p in predicates:
        for a, b in equalities((p,)):
            if a.id == b.id or not (alike(a.type, b.type) or family(a.type) == family(b.type) == "int"):
                continue
            touched = [group for group in groups if a in group.columns or b in group.columns]
            columns = dict.fromkeys([*(c for group in touched for c in group.columns), a, b])
            merged = Class(list(columns), [*(q for group in touched for q in group.written), p])
            groups = [*(group for group in groups if group not in touched), merged]
    return groups


class Graph:
    """Relations, known by their bit, and the conditions that join them.

    One equality of each class joins two sets of relations, whichever was written; what a relation's own columns owe
    to it is in `leaves`, filtered. `loose` conditions read none of the relations.
    """

    def __init__(self, leaves: Sequence[Rel], predicates: Sequence[Scalar]) -> None:
        ids = [ir.ids(leaf) for leaf in leaves]
        every = frozenset().union(*ids)
        self.classes = classes([p for p in predicates if sc.columns(p) <= every])
        written = {p for group in self.classes for p in group.written}
        used = [(sc.columns(p) & every, p) for p in predicates if p not in written]
        self.loose = tuple(p for columns, p in used if not columns)
        self.leaves: list[Rel] = []
        for leaf, own in zip(leaves, ids, strict=True):
            about = [p for columns, p in used if columns and columns <= own]
            about += [p for group in self.classes for p in group.within(own)]
            self.leaves.append(ir.Filter(leaf, tuple(dict.fromkeys(about))) if about else leaf)
        self.others = [(columns, p) for columns, p in used if columns and not any(columns <= own for own in ids)]
        self.owner = {i: at for at, own in enumerate(ids) for i in own}

    def between(self, a: frozenset[int], b: frozenset[int]) -> tuple[Scalar, ...]:
        """The conditions that join two sets of columns."""
        both = a | b
        found = (group.between(a, b) for group in self.classes)
        on = [p for p in found if p is not None]
        return (*on, *(p for used, p in self.others if used <= both and not used <= a and not used <= b))


class Sizes:
    """Expected rows of joins of a graph's relations, these as bits of a number. `rows` of each relation; `distinct`
    values of a column; `share` of rows that meet a condition."""

    def __init__(
        self, graph: Graph, rows: Sequence[float], distinct: Callable[[int], float], share: Callable[[Scalar], float]
    ) -> None:
        self._rows = rows
        self._known: dict[int, float] = {}
        self._shares: list[tuple[int, float]] = []
        self._values: list[Mapping[int, float]] = []  # for each class: relation -> values that its columns have
        for used, p in graph.others:
            self._shares.append((sum({1 << graph.owner[i] for i in used}), share(p)))
        for group in graph.classes:
            values: dict[int, float] = {}
            for column in group.columns:
                at = graph.owner[column.id]
                values[at] = max(1.0, min(distinct(column.id), rows[at], values.get(at, math.inf)))
            self._values.append(values)
        self._edges = [mask for mask, _ in self._shares]
        self._edges += [sum(1 << at for at in values) for values in self._values]

    def rows(self, mask: int) -> float:
        """Of the join of those relations. Of equal columns, the one with the fewest values has them all everywhere."""
        if mask not in self._known:
            total = 1.0
            for at, rows in enumerate(self._rows):
                total *= rows if mask >> at & 1 else 1.0
            for needed, share in self._shares:
                total *= share if needed & mask == needed else 1.0
            for per_relation in self._values:
                values = sorted(count for at, count in per_relation.items() if mask >> at & 1)
                for count in values[1:]:
                    total /= count
            self._known[mask] = max(total, 1.0)
        return self._known[mask]

    def next_to(self, mask: int, units: Sequence[int]) -> list[int]:
        """Which units (by position) a condition joins with what is in `mask`; all others where none does."""
        others = [at for at, unit in enumerate(units) if not unit & mask]
        near = [at for at in others if any(edge & mask and edge & units[at] for edge in self._edges)]
        return near or others

    def order(self, units: Sequence[int]) -> list[int]:
        """The positions of units in the order to join them in."""
        return self._exhaustive(units) if len(units) <= MOST_EXHAUSTIVE else self._greedy(units)

    def _exhaustive(self, units: Sequence[int]) -> list[int]:
        """The order whose intermediate results have the fewest rows in sum, each unit joined with those before it."""
        level = {unit: (self.rows(unit), [at]) for at, unit in enumerate(units)}
        for _ in units[1:]:
            longer: dict[int, tuple[float, list[int]]] = {}
            for mask, (cost, order) in level.items():
                for at in self.next_to(mask, units):
                    grown = mask | units[at]
                    total = cost + self.rows(grown)
                    if grown not in longer or total < longer[grown][0]:
                        longer[grown] = total, [*order, at]
            level = longer
        ((_, order),) = level.values()
        return order

    def _greedy(self, units: Sequence[int]) -> list[int]:
        """From the smallest unit, always the one that keeps the result smallest."""
        order = [min(range(len(units)), key=lambda at: self.rows(units[at]))]
        mask = units[order[0]]
        while len(order) < len(units):
            order.append(min(self.next_to(mask, units), key=lambda at: self.rows(mask | units[at])))
            mask |= units[order[-1]]
        return order
