"""The queue that there would be under other limits: actual arrivals and times of service, virtual places. Pure."""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from federation.gate.pace import Pace
from views.catalog import Limits

MOST = 10_000  # statements that are under way; past it the oldest is taken to end now


@dataclass(slots=True, eq=False)
class Shade:
    """One statement as it was: `arrived` and `deadline` by the clock, `seconds` of service once it has ended."""

    arrived: float
    deadline: float = math.inf
    seconds: float | None = None
    ticket: int | None = None  # of the breaker; None: it would have been refused


@dataclass(frozen=True, slots=True)
class Fate:
    """What would have become of it: seconds waited for a place, and for the rate; or `refused`: queue | deadline."""

    place: float = 0.0
    rate: float = 0.0
    refused: str = ""


@dataclass(slots=True)
class Queue:
    """First come, first served, under `limits` alone; the gate lets earlier deadlines go first. A statement's fate is
    settled once it and all before it have ended; `settled` is told of it."""

    limits: Limits
    settled: Callable[[Fate], None]
    clock: Callable[[], float]
    _free: list[float] = field(init=False)  # when each place becomes free
    _pace: Pace | None = field(init=False)
    _arrival: float = 0.0  # of the pace
    _last: float = -math.inf  # start: nobody overtakes
    _starts: deque[float] = field(default_factory=deque)  # of those that waited
    _under_way: deque[Shade] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._free = [-math.inf] * max(1, int(self.limits.concurrency * self.limits.share))
        self._pace = Pace.of(self.limits)

    def begun(self, shade: Shade) -> None:
        """In the order in which they came."""
        self._under_way.append(shade)
        if len(self._under_way) > MOST:
            self._settle(self._under_way.popleft())

    def ended(self) -> None:
        """One of them has its `seconds`."""
        while self._under_way and self._under_way[0].seconds is not None:
            self._settle(self._under_way.popleft())

    def _settle(self, shade: Shade) -> None:
        now = shade.arrived
        while self._starts and self._starts[0] <= now:
            self._starts.popleft()
        place = max(self._free[0], now)
        start, arrival = self._paced(place)
        if start > now and len(self._starts) >= self.limits.queue:
            self.settled(Fate(refused="queue"))
        elif start > shade.deadline:
            self.settled(Fate(refused="deadline"))
        else:
            seconds = self.clock() - now if shade.seconds is None else shade.seconds
            heapq.heapreplace(self._free, start + seconds)
            self._arrival, self._last = arrival, start
            if start > now:
                self._starts.append(start)
            self.settled(Fate(place - now, start - place))

    def _paced(self, place: float) -> tuple[float, float]:
        """When the rate lets one start who has a place, and the pace's next arrival then."""
        if self._pace is None:
            return place, 0.0
        at = max(place, self._last)
        _, wait = self._pace.take(self._arrival, at)
        arrival, _ = self._pace.take(self._arrival, at + wait)
        return at + wait, arrival
