"""The gate in front of a source: never more statements at once or a second than its owner allows, in a fair order."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from connectors.errors import Error, SourceError
from federation import refusals
from federation.pace import Pace
from federation.permit import Load, Permit
from federation.turns import Entry, Kind, Lane, Seat, Turns
from views.catalog import Catalog, Limits, Source

PATIENT = 30.0  # seconds after which whoever came later goes behind, even with an earlier deadline
ROUNDS = 2  # rounds of all places for which a wait is not guessed: single statements differ too much
SAMPLES = 8  # statements until their mean time says anything
SLOW: tuple[Lane, ...] = ("extract", "heavy")  # together they leave one place to the others
NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Wish:
    """To run one statement: until `deadline` (loop time), for `tenant` (who shares turns with others of their own), of
    which kind; `alone`: heavy, so that no other such runs meanwhile; `shape`: fingerprint, for its usual time."""

    deadline: float = math.inf
    tenant: str = ""
    kind: Kind = "report"
    alone: bool = False
    shape: str = ""


ANY = Wish()


class Guard(Protocol):
    """`federation.breaker.Breaker`: whether the source is left alone because it fails."""

    def refuse(self) -> SourceError | None:
        """Why nothing may be asked now."""
        ...

    def admitted(self) -> int:
        """A statement goes to the source, perhaps as the trial; a ticket for it."""
        ...

    def done(self, error: BaseException | None, ticket: int) -> None:
        """It has ended."""
        ...


@dataclass(slots=True, eq=False)
class Gate:
    """To be used from one event loop; it lives as long as the source has its name, through reloads too, so that old
    and new statements together keep to the limit."""

    source: str
    limits: Limits = field(default_factory=Limits)
    load: Load = field(default_factory=Load)
    breaker: Guard | None = None
    clock: Callable[[], float] = time.monotonic
    _closed: str | None = None
    _turns: Turns = field(default_factory=Turns, repr=False)
    _busy: Counter[Lane] = field(default_factory=Counter, repr=False)
    _pace: Pace | None = None
    _arrival: float = 0.0
    _mean: float = 0.0  # seconds that a statement takes
    _again: asyncio.TimerHandle | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self._pace = Pace.of(self.limits)

    async def enter(self, wish: Wish = ANY) -> Permit:
        """Wait for a place; cancelled, nothing is left behind.

        SourceError 57P03 where the source is switched off or its breaker is open; LimitExceeded 53400 where too many
        wait already, 57014 where the deadline comes first, as soon as that is certain.
        """
        refused = self._refused()
        if refused is not None:
            raise self._counted(refused)
        lane: Lane = "heavy" if wish.alone else wish.kind
        waiting = self._turns.size and self._turns.peek(self._fits) is not None
        place = self._seize() if not waiting and self._fits(lane) else None
        began = self.clock()
        if place is None:
            place, ticket = await self._wait(lane, wish)
        else:
            ticket = self._admitted(lane)
        self.load.statements += 1
        now = self.clock()
        return Permit(self, lane, place, ticket, wish.shape, now, (now - began) * 1000)

    @asynccontextmanager
    async def turn(self, wish: Wish) -> AsyncIterator[Permit]:
        """A permit for the body; what the body raises is the statement's outcome."""
        permit = await self.enter(wish)
        try:
            yield permit
        except BaseException as error:
            permit.leave(error)
            raise
        permit.leave()

    @property
    def most(self) -> int:
        """Statements that may run at once now."""
        return max(1, int(self.limits.concurrency * self.limits.share))

    @property
    def state(self) -> str:
        """How full it is, for messages."""
        return f"{self.load.in_flight} of {self.most} statements in flight, {self.load.waiting} waiting"

    @property
    def closed(self) -> str | None:
        """Why the source is switched off; None: it is not."""
        return self._closed

    @closed.setter
    def closed(self, reason: str | None) -> None:
        self._closed = reason
        self._admit()

    def resize(self, limits: Limits) -> None:
        """Take over the owner's new limits; statements that run already are left alone."""
        self.limits, self._pace = limits, Pace.of(limits)
        self._admit()

    def done(self, permit: Permit, error: BaseException | None) -> None:
        """The source has nothing left to do for it; see `Permit.leave`."""
        seconds = self.clock() - permit.started
        load = self.load
        self._mean += (seconds - self._mean) / max(min(load.statements, 2 * SAMPLES), 1)
        load.rows += permit.rows
        load.bytes += permit.bytes
        load.ms += seconds * 1000
        load.errors += error is not None
        self._release(permit.lane, permit.ticket, error)

    # -- who may go in

    def _refused(self) -> Error | None:
        if self._closed is not None:
            return refusals.closed(self.source, self._closed)
        return None if self.breaker is None else self.breaker.refuse()

    def _counted(self, error: Error) -> Error:
        self.load.refused[refusals.reason(error)] += 1
        return error

    def _fits(self, lane: Lane) -> bool:
        """Whether there is room in this process."""
        most, busy = self.most, self._busy
        if self.load.in_flight >= most or (lane == "heavy" and busy["heavy"]):
            return False
        return lane not in SLOW or sum(busy[slow] for slow in SLOW) < max(1, most - 1)

    def _seize(self) -> int | None:
        """A place and a token; None, and a timer will look again, where there is none."""
        if self._pace is not None:
            self._arrival, wait = self._pace.take(self._arrival, self.clock())
            if wait:
                self._look_again(wait)
                return None
        return NOWHERE

    def _admitted(self, lane: Lane) -> int:
        """Count it; the breaker's ticket."""
        self._busy[lane] += 1
        self.load.in_flight += 1
        return 0 if self.breaker is None else self.breaker.admitted()

    def _release(self, lane: Lane, ticket: int, error: BaseException | None) -> None:
        self._busy[lane] -= 1
        self.load.in_flight -= 1
        if self.breaker is not None:
            self.breaker.done(error, ticket)
        self._admit()

    # -- the queue

    async def _wait(self, lane: Lane, wish: Wish) -> Seat:
        """A place, already counted for us."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = min(wish.deadline, now + PATIENT)
        self._bounded(lane, wish, due, now)
        entry = Entry(lane, wish.tenant, due, loop.create_future(), wish.shape, wish.deadline)
        timer = loop.call_at(wish.deadline, self._expire, entry) if wish.deadline < math.inf else None
        self._turns.add(entry)
        self.load.waiting += 1
        try:
            return await entry.turn
        except asyncio.CancelledError as gone:
            self._withdraw(entry)
            if entry.turn.done() and not entry.turn.cancelled() and entry.turn.exception() is None:
                self._release(
                    lane, entry.turn.result()[1], gone
                )  # the place came in the very moment we left: pass it on
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _bounded(self, lane: Lane, wish: Wish, due: float, now: float) -> None:
        """Refuse at once what would only wait in vain."""
        if self._turns.size >= self.limits.queue:
            raise self._counted(refusals.full(self))
        before = self._turns.before(lane, wish.tenant, due)
        seconds = max(before, 0) * self.interval
        if before >= ROUNDS * self.most and now + seconds > wish.deadline:
            raise self._counted(refusals.hopeless(self, before, seconds))

    @property
    def interval(self) -> float:
        """Seconds between two turns, by the measured time of statements and by the owner's rate; 0.0: not known."""
        measured = self._mean / self.most if self.load.statements >= SAMPLES else 0.0
        return max(measured, self._pace.interval if self._pace is not None else 0.0)

    def _admit(self) -> None:
        """Everybody whose turn it is; to be called whenever there may be room."""
        while (entry := self._turns.peek(self._fits)) is not None:
            refused = self._refused()
            if entry.turn.done():  # it was cancelled, and its task has not run yet
                self._withdraw(entry)
                continue
            if refused is not None:
                self._withdraw(entry)
                entry.turn.set_exception(self._counted(refused))
                continue
            place = self._seize()
            if place is None:
                return
            self._turns.take(entry)
            self.load.waiting -= 1
            entry.turn.set_result((place, self._admitted(entry.lane)))

    def _withdraw(self, entry: Entry) -> bool:
        if not self._turns.remove(entry):
            return False
        self.load.waiting -= 1
        return True

    def _expire(self, entry: Entry) -> None:
        if not entry.turn.done() and self._withdraw(entry):
            entry.turn.set_exception(self._counted(refusals.late(self)))

    def _look_again(self, seconds: float) -> None:
        """Admit anew in so many seconds at the latest."""
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        if self._again is not None:
            if self._again.when() <= at:
                return
            self._again.cancel()
        self._again = loop.call_at(at, self._looked)

    def _looked(self) -> None:
        self._again = None
        self._admit()


@dataclass(slots=True)
class Gates:
    """The gates of all sources, one for each name; for the process, whatever is reloaded."""

    _gates: dict[str, Gate] = field(default_factory=dict)

    def of(self, source: str) -> Gate:
        """The source's gate; one with the default limits where nothing is known of it."""
        if source not in self._gates:
            self._gates[source] = Gate(source)
        return self._gates[source]

    def claim(self, source: Source) -> Gate:
        """The gate of a source that is not served yet; its limits count from now on if nobody has set any."""
        if source.name not in self._gates:
            self._gates[source.name] = Gate(source.name, source.limits)
        return self._gates[source.name]

    def swap(self, catalog: Catalog) -> None:
        """Take over what the owners say now."""
        for source in catalog.sources.values():
            self.claim(source).resize(source.limits)

    @property
    def loads(self) -> Mapping[str, Load]:
        """What each source has been asked."""
        return {name: gate.load for name, gate in self._gates.items()}

    def states(self, sources: Iterable[str]) -> Iterator[str]:
        """How full these are, for messages."""
        return (f"source {source}: {self.of(source).state}" for source in dict.fromkeys(sources))
