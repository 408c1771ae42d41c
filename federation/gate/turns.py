"""Whose turn it is at a source: kinds by weight, tenants in rotation, one tenant's statements by deadline.

Kinds share turns by stride scheduling: each has a virtual time that grows by 1/weight a turn, and the least is next;
so lookups go first and nothing starves. Pure: no clock, no loop.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from federation.gate.places import Places

Kind = Literal["lookup", "report", "extract", "chore"]
Lane = Literal["lookup", "report", "extract", "heavy", "chore"]

WEIGHTS: dict[Lane, int] = {"lookup": 16, "report": 4, "extract": 2, "heavy": 1, "chore": 1}
BEHIND = 1.0  # virtual time that a lane may catch up on, which could not move for a while


class Seat(NamedTuple):
    """A place, one of those that servers share or of our own, with the breaker's ticket."""

    place: int = -1
    places: Places | None = None
    ticket: int = 0


OWN = Seat()


@dataclass(slots=True, eq=False)
class Entry:
    """One that waits in a lane for a tenant; `due` orders a tenant's own, `turn` is told its outcome. After `latest`
    the source would only work in vain. `prober` as in `Wish`."""

    lane: Lane
    tenant: str
    due: float
    turn: asyncio.Future[Seat]
    latest: float = float("inf")
    prober: bool = False
    number: int = 0

    @property
    def rank(self) -> tuple[float, int]:
        """Where it stands in its tenant's list, which has the next at its end."""
        return -self.due, -self.number


@dataclass(slots=True)
class _Row:
    """A lane: its tenants' lists in the order of the rotation. Adding moves pointers, `limits.queue` at most."""

    weight: int
    passed: float = 0.0
    size: int = 0
    tenants: OrderedDict[str, list[tuple[float, int, Entry]]] = field(default_factory=OrderedDict)

    @property
    def first(self) -> Entry:
        return next(iter(self.tenants.values()))[-1][2]


class Turns:
    """All who wait at one source; `size` of them."""

    def __init__(self) -> None:
        self.size = 0
        self._rows: dict[Lane, _Row] = {lane: _Row(weight) for lane, weight in WEIGHTS.items()}
        self._now = 0.0  # virtual time: that of the lane served last
        self._number = 0

    def __iter__(self) -> Iterator[Entry]:
        """All of now, in no order that matters."""
        return iter([each[2] for row in self._rows.values() for own in row.tenants.values() for each in own])

    def add(self, entry: Entry) -> None:
        """Let it wait."""
        self._number += 1
        entry.number = self._number
        row = self._rows[entry.lane]
        if not row.size:
            row.passed = max(row.passed, self._now)
        insort(row.tenants.setdefault(entry.tenant, []), (*entry.rank, entry))
        row.size += 1
        self.size += 1

    def remove(self, entry: Entry) -> bool:
        """It waits no more; whether it did. It was not its turn, so nothing is charged."""
        row = self._rows[entry.lane]
        waiting = row.tenants.get(entry.tenant, [])
        at = bisect_left(waiting, entry.rank)
        if at >= len(waiting) or waiting[at][2] is not entry:
            return False
        del waiting[at]
        if not waiting:
            del row.tenants[entry.tenant]
        row.size -= 1
        self.size -= 1
        return True

    def peek(self, fits: Callable[[Lane], bool]) -> Entry | None:
        """Whose turn it is among the lanes that have room; None where none has."""
        best: _Row | None = None
        for lane, row in self._rows.items():  # the first of equals goes first: the order of WEIGHTS
            if row.size and (best is None or row.passed < best.passed) and fits(lane):
                best = row
        return None if best is None else best.first

    def take(self, entry: Entry) -> None:
        """It is served: its lane and its tenant go to the end of their rotations."""
        row = self._rows[entry.lane]
        began = max(row.passed, self._now - BEHIND)
        self._now = max(self._now, began)
        row.passed = began + 1 / row.weight
        self.remove(entry)
        if entry.tenant in row.tenants:
            row.tenants.move_to_end(entry.tenant)

    def before(self, lane: Lane, tenant: str, due: float) -> int:
        """How many turns others would have before one that came now; at least about so many."""
        row = self._rows[lane]
        own = row.tenants.get(tenant, ())
        ahead = len(own) - bisect_left(own, (-due, -self._number - 1))
        peers = len(row.tenants) - bool(own)
        inside = ahead + min(row.size - len(own), peers * (ahead + 1))
        others = [other for other in self._rows.values() if other is not row and other.size]
        return inside + sum(min(other.size, inside * other.weight // row.weight) for other in others)
