"""The gate in front of a source: never more statements at once or a second than its owner allows, in a fair order."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from connectors.base import Pressure
from connectors.errors import Error, SourceError, TimedOut
from federation.gate import refusals
from federation.gate.adaptive import Adaptive
from federation.gate.breaker import Breaker, matters
from federation.gate.lag import Lag
from federation.gate.pace import Pace
from federation.gate.permit import ANY, Load, Permit, Wish
from federation.gate.places import Places
from federation.gate.shadow import Shadow
from federation.gate.turns import Entry, Lane, Seat, Turns
from views.catalog import Adaptive as Rules
from views.catalog import Limits

PATIENT = 30.0  # seconds after which whoever came later goes behind, even with an earlier deadline
ROUNDS = 2  # rounds of all places for which a wait is not guessed: single statements differ too much
SAMPLES = 8  # statements until their mean time says anything
SLOW: tuple[Lane, ...] = ("extract", "heavy")  # together they leave one place to the others
LOOK = (0.005, 0.02)  # seconds between two looks for a place that other servers have: from, to
CHORE = 60.0  # seconds that a source may take for our own questions about it
ROUNDED, SLACK = 1.25, 2.0  # connectors round timeouts up; and a server takes a moment to notice
DOUBTFUL = 2.0  # seconds for which a statement is taken to run on whose connection was lost


class Told(Protocol):
    """`federation.gate.gauge.Gauge`: is told of each use, and reads the source's own state meanwhile."""

    def __call__(self) -> None: ...

    def close(self) -> None: ...


@dataclass(slots=True, eq=False)
class Gate:
    """To be used from one event loop; it lives as long as the source has its name, through reloads too, so that old
    and new statements together keep to the limit."""

    source: str
    limits: Limits = field(default_factory=Limits)
    load: Load = field(default_factory=Load)
    breaker: Breaker | None = None
    places: Places | None = None  # shared with the other servers of this machine
    orphaned: float = math.inf  # seconds that a statement outlives a client that died, at most
    clock: Callable[[], float] = time.monotonic
    spread: Callable[[], float] = random.random
    lag: Lag = field(default_factory=Lag, repr=False)  # of the loop that it is used from
    gauge: Told | None = field(default=None, repr=False)
    shadow: Shadow | None = field(default=None, repr=False)  # of rules that are only watched
    adaptive: Adaptive = field(init=False)
    cap: int = field(init=False)  # this machine's share of the owner's statements at once
    _closed: str | None = None
    _turns: Turns = field(default_factory=Turns, repr=False)
    _busy: Counter[Lane] = field(default_factory=Counter, repr=False)
    _pace: Pace | None = None
    _arrival: float = 0.0
    _longest: tuple[float, float] = (0.0, 0.0)
    _mean: float = 0.0  # seconds that a statement takes
    _again: asyncio.Handle | None = field(default=None, repr=False)
    _again_at: float = 0.0  # uvloop's handle of a moment that has come does not tell it

    def __post_init__(self) -> None:
        self._pace, self.cap, self._longest = Pace.of(self.limits), _cap(self.limits), _longest(self.limits)
        self.adaptive = Adaptive(Rules(), self.cap)

    async def enter(self, wish: Wish = ANY) -> Permit:
        """Wait for a place; cancelled, nothing is left behind.

        SourceError 57P03 where the source is switched off or its breaker is open; LimitExceeded 53400 where too many
        wait already, 57014 where the deadline comes first, as soon as that is certain.
        """
        now = began = self.clock()
        if self._barred and (refused := self._refused(wish.prober)) is not None:
            raise self._counted(refused)
        lane, seat = wish.lane, self._seated(wish)
        if seat is None:
            seat = await self._wait(lane, wish)
            now = self.clock()
        return self._permit(wish, seat, began, now)

    def at_once(self, wish: Wish) -> Permit | None:
        """A place, where nothing would have to be waited for."""
        refused = self._barred and self._refused(wish.prober) is not None
        seat = None if refused else self._seated(wish)
        now = self.clock()
        return None if seat is None else self._permit(wish, seat, now, now)

    async def inside(self, wish: Wish) -> Permit:
        """For one more statement where another permit's is, which has ended: no place, only the pace. As `enter`."""
        began = self.clock()
        if self._barred and (refused := self._refused()) is not None:
            raise self._counted(refused)
        while self._pace is not None and (wait := self._paced(self._pace)):
            if asyncio.get_running_loop().time() + wait > wish.deadline and not wish.shared:
                raise self._counted(refusals.late(self))
            await asyncio.sleep(wait)
        seat = Seat(ticket=0 if self.breaker is None else self.breaker.admitted(False))
        permit = self._permit(wish, seat, began, self.clock())
        permit.inside = True
        return permit

    def _seated(self, wish: Wish) -> Seat | None:
        """A place, if nobody waits who would fit in."""
        waiting = self._turns.size and self._turns.peek(self._fits) is not None
        return self._seize(wish.lane, wish.prober) if not waiting and self._fits(wish.lane) else None

    def _permit(self, wish: Wish, seat: Seat, began: float, now: float) -> Permit:
        self.lag.used()
        if self.gauge is not None and wish.lane != "chore":
            self.gauge()
        permit = Permit(self, wish.lane, seat, wish.shape, now, (now - began) * 1000, holding=wish.holding)
        if wish.holding:
            return permit
        self.load.statements += 1
        if self.shadow is not None:
            permit.shade = self.shadow.begun(began, math.inf if wish.shared else wish.deadline)
        return permit

    async def further(self) -> None:
        """Wait until one more request may be sent for a statement that runs: the owner's rate counts requests.

        SourceError 57P03 where the source was switched off, or left alone, meanwhile.
        """
        if self._closed is not None:
            raise refusals.closed(self.source, self._closed)
        if self.breaker is not None and self.breaker.state == "open":
            raise self.breaker.error()
        while self._pace is not None and (wait := self._paced(self._pace)):  # noqa: ASYNC110 -- a clock, no event
            await asyncio.sleep(wait)
        self.load.requests += 1

    def pressed(self, permit: Permit) -> None:
        """The source has refused a request of a statement that goes on, for want of capacity: fewer at once."""
        self.adaptive.failed(permit.started, self.clock())

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
        """Statements of ours that may run at once now: the owner's number, or fewer while the source is slow."""
        return self.adaptive.most

    @property
    def state(self) -> str:
        """How full it is, for messages."""
        others = self.places is not None and self.places.crowded and self.load.in_flight < self.most
        told = f"{self.load.in_flight} of {self.most} statements in flight, {self.load.waiting} waiting"
        told += ", other servers on this machine have the rest" if others else ""
        held = self.most < self.cap
        return told + (f"; fewer at once than its owner's {self.cap}, as {self.adaptive.why}" if held else "")

    @property
    def idle(self) -> bool:
        """Whether nobody waits and nothing runs, chores aside."""
        return not self._turns.size and self.load.in_flight <= self._busy["chore"]

    @property
    def closed(self) -> str | None:
        """Why the source is switched off; None: it is not."""
        return self._closed

    @closed.setter
    def closed(self, reason: str | None) -> None:
        self._closed = reason
        self._admit()

    @property
    def doubtful(self) -> bool:
        """Whether the source may well refuse: it is switched off, or its breaker is not closed."""
        return self._closed is not None or (self.breaker is not None and self.breaker.state != "closed")

    def resize(self, limits: Limits, adaptive: Rules | None = None) -> None:
        """Take over the owner's new limits; statements that run already are left alone."""
        self.limits, self._pace = limits, Pace.of(limits)
        self.cap, self._longest = _cap(limits), _longest(limits)
        self.adaptive.resize(self.adaptive.rules if adaptive is None else adaptive, self.cap)
        self._admit()

    def read(self, pressure: Pressure) -> None:
        """What the source says of itself counts from now on."""
        self.adaptive.read(pressure, self.clock(), self._full)
        self._admit()

    def move(self, places: Places | None) -> None:
        """Take places among these from now on; those of before are let go of when they are free."""
        before, self.places = self.places, places
        if before is not None and not before.held:
            before.close()
        self._admit()

    def done(self, permit: Permit, error: BaseException | None) -> None:
        """The source has nothing left to do for it; see `Permit.leave`."""
        if not permit.holding:
            self._account(permit, error)
        if not permit.inside:
            self._release(permit.lane, permit.seat, error)
        elif self.breaker is not None:
            self.breaker.done(error, permit.seat.ticket)

    def _account(self, permit: Permit, error: BaseException | None) -> None:
        seconds = self.clock() - permit.started
        load = self.load
        self._mean += (seconds - self._mean) / max(min(load.statements, 2 * SAMPLES), 1)
        load.rows += permit.rows
        load.bytes += permit.bytes
        load.ms += seconds * 1000
        load.errors += error is not None
        if self.shadow is not None:
            self._shadowed(self.shadow, permit, seconds, error)
        if error is not None and matters(error, self.limits.timeout):
            self.adaptive.failed(permit.started, self.clock())
        elif permit.first and permit.shape:
            took = permit.first - permit.started
            self.adaptive.measured(permit.shape, permit.started, took, self._full, self.lag.seconds)

    def _shadowed(self, shadow: Shadow, permit: Permit, seconds: float, error: BaseException | None) -> None:
        if permit.shade is not None:  # it came before the rules were proposed
            shadow.ended(permit.shade, seconds, permit.rows, permit.bytes, error)
        if matters(error, self.limits.timeout):
            shadow.failed(permit.started)
        elif permit.first and permit.shape:
            took = permit.first - permit.started
            shadow.measured(permit.shape, permit.started, took, self.load.in_flight, self.lag.seconds)

    # -- who may go in

    @property
    def _barred(self) -> bool:
        """Whether somebody may be refused."""
        return self._closed is not None or (self.breaker is not None and self.breaker.state != "closed")

    def _refused(self, prober: bool = False) -> Error | None:
        if self._closed is not None:
            return refusals.closed(self.source, self._closed)
        return None if self.breaker is None else self.breaker.refuse(prober)

    def _counted(self, error: Error) -> Error:
        self.load.refused[refusals.reason(error)] += 1
        return error

    def _fits(self, lane: Lane) -> bool:
        """Whether there is room in this process."""
        most, busy = self.adaptive.most, self._busy
        if self.load.in_flight >= most or (lane == "heavy" and busy["heavy"]):
            return False
        return lane not in SLOW or sum(busy[slow] for slow in SLOW) < max(1, most - 1)

    def _seize(self, lane: Lane, prober: bool = False) -> Seat | None:
        """A place and a token, counted; None, and a timer will look again, where there is none."""
        places, place = self.places, -1
        if places is not None:
            taken = places.take(self.cap, self._longest[lane == "chore"], self.orphaned)
            if taken is None:
                self._look_again(LOOK[0] + (LOOK[1] - LOOK[0]) * self.spread())
                return None
            place = taken
        if self._pace is not None and (wait := self._paced(self._pace)):
            if places is not None:
                places.leave(place)
            self._look_again(wait)
            return None
        self._busy[lane] += 1
        load = self.load
        load.in_flight += 1
        if load.in_flight > load.peak:
            load.peak = load.in_flight
        return Seat(place, places, 0 if self.breaker is None else self.breaker.admitted(prober))

    @property
    def _full(self) -> bool:
        return self.load.in_flight >= self.adaptive.most

    def _paced(self, pace: Pace) -> float:
        if self.places is not None:
            return self.places.paced(pace)
        self._arrival, wait = pace.take(self._arrival, self.clock())
        return wait

    def _release(self, lane: Lane, seat: Seat, error: BaseException | None) -> None:
        self._busy[lane] -= 1
        self.load.in_flight -= 1
        if self.breaker is not None:
            self.breaker.done(error, seat.ticket)
        if seat.places is not None:
            seat.places.leave(seat.place, min(self.orphaned, DOUBTFUL) if _doubtful(error) else 0.0)
            if seat.places is not self.places and not seat.places.held:
                seat.places.close()
        self._admit()

    # -- the queue

    async def _wait(self, lane: Lane, wish: Wish) -> Seat:
        """A place, already counted for us."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        due = min(wish.deadline, now + PATIENT)
        self._bounded(lane, wish, due, now)
        ends = math.inf if wish.shared else wish.deadline
        latest = ends - self.adaptive.fastest(wish.shape) if ends < math.inf else ends
        entry = Entry(lane, wish.tenant, due, loop.create_future(), latest, wish.prober)
        timer = loop.call_at(ends, self._expire, entry) if ends < math.inf else None
        self._turns.add(entry)
        self.load.waiting += 1
        self.load.peak_waiting = max(self.load.peak_waiting, self.load.waiting)
        try:
            return await entry.turn
        except asyncio.CancelledError as gone:
            self._withdraw(entry)
            if entry.turn.done() and not entry.turn.cancelled() and entry.turn.exception() is None:
                self._release(lane, entry.turn.result(), gone)  # the place came in the very moment we left: pass it on
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
        seconds += self.adaptive.fastest(wish.shape)
        if before >= ROUNDS * self.most and now + seconds > wish.deadline:
            raise self._counted(refusals.hopeless(self, before, seconds))

    @property
    def interval(self) -> float:
        """Seconds between two turns, by the measured time of statements and by the owner's rate; 0.0: not known."""
        measured = self._mean / self.most if self.load.statements >= SAMPLES else 0.0
        return max(measured, self._pace.interval if self._pace is not None else 0.0)

    def _admit(self) -> None:
        """Everybody whose turn it is; to be called whenever there may be room, or nothing is let in any more."""
        if not self._turns.size:
            return
        if self._barred:
            self._dismiss()
        while (entry := self._turns.peek(self._fits)) is not None:
            if entry.turn.done():  # it was cancelled, and its task has not run yet
                self._withdraw(entry)
                continue
            refused = self._refused(entry.prober) or (refusals.late(self) if self.clock() > entry.latest else None)
            if refused is not None:
                self._withdraw(entry)
                entry.turn.set_exception(self._counted(refused))
                continue
            seat = self._seize(entry.lane, entry.prober)
            if seat is None:
                return
            self._turns.take(entry)
            self.load.waiting -= 1
            entry.turn.set_result(seat)

    def _dismiss(self) -> None:
        """Tell everybody who waits in vain."""
        for entry in self._turns:
            refused = self._refused(entry.prober) if not entry.turn.done() else None
            if refused is not None:
                self._withdraw(entry)
                entry.turn.set_exception(self._counted(refused))

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
            if self._again_at <= at:
                return
            self._again.cancel()
        self._again, self._again_at = loop.call_at(at, self._looked), at

    def _looked(self) -> None:
        self._again = None
        self._admit()


def _cap(limits: Limits) -> int:
    return max(1, int(limits.concurrency * limits.share))


def _longest(limits: Limits) -> tuple[float, float]:
    """Seconds after which the source itself ends a statement, or a chore, whatever becomes of us."""
    return limits.timeout * ROUNDED + SLACK, max(limits.timeout, CHORE) * ROUNDED + SLACK


def _doubtful(error: BaseException | None) -> bool:
    """Whether the source may still work on a statement that ended so."""
    if isinstance(error, TimedOut):
        return error.hangs
    return isinstance(error, SourceError) and error.sqlstate == "08006"
