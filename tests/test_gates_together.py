"""Two servers' gates over one source, under everything at once: cancellation, death, failure, rates, reloads."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from connectors.base import Pressure
from connectors.errors import Error, LimitExceeded, SourceError
from federation.gate.breaker import Breaker
from federation.gate.gate import DOUBTFUL, SLOW, Gate
from federation.gate.permit import Permit, Wish
from federation.gate.places import Places
from federation.gate.turns import Kind
from tests.fakeloop import FakeLoop
from views.catalog import Adaptive, Limits
from views.catalog import Breaker as Rules

ORPHANED = 1.0  # seconds that a statement outlives its server, in this world
GATES = st.integers(0, 1)
ANY = st.integers(0, 1_000)


@dataclass(eq=False)
class Door:
    gate: Gate
    waiting: list[asyncio.Task[Permit]] = field(default_factory=list)
    permits: list[Permit] = field(default_factory=list)


class Together(RuleBasedStateMachine):
    """The model is the source: which statements run there, whoever asked."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="vdw-test-"))
        self.loop = FakeLoop()
        self.limits = Limits()
        self.orphans: list[float] = []  # until when they run
        self.allowed = 0

    @initialize(cap=st.integers(1, 4), rate=st.sampled_from([None, None, 3.0]), queue=st.sampled_from([3, 1000]))
    def begin(self, cap: int, rate: float | None, queue: int) -> None:
        self.limits = Limits(concurrency=cap, rate=rate, burst=2, queue=queue)
        self.allowed = cap
        self.doors = [self.door(), self.door()]

    def door(self) -> Door:
        breaker = Breaker("crm", Rules(failures=4, pause=1.0), clock=self.loop.time, spread=lambda: 0.0)
        places = Places("crm", self.folder, self.loop.time)
        gate = Gate("crm", self.limits, breaker=breaker, places=places, orphaned=ORPHANED, clock=self.loop.time)
        gate.resize(self.limits, Adaptive(lag=1.0))
        return Door(gate)

    def teardown(self) -> None:
        if self.limits is not Limits() and hasattr(self, "doors"):
            self.ends_well()
            for door in self.doors:
                assert door.gate.places is not None
                assert door.gate.places.held == 0
                door.gate.places.close()
                door.gate.lag.close()
        self.loop.close()
        shutil.rmtree(self.folder)

    def ends_well(self) -> None:
        """Whoever waits gets in or is told why not, and nothing is left behind."""
        self.does(lambda: [setattr(door.gate, "closed", None) for door in self.doors])
        for _ in range(600):
            if not any(door.waiting or door.permits for door in self.doors):
                break
            gone = [permit for door in self.doors for permit in door.permits]
            for door in self.doors:
                door.permits.clear()
            self.does(lambda gone=gone: [permit.leave() for permit in gone])
            self.after(0.05)
        for door in self.doors:
            assert door.waiting == [], "a lost wake-up"
            assert (door.gate.load.in_flight, door.gate.load.waiting) == (0, 0)

    def does(self, what: Callable[[], object]) -> None:
        """On the loop, as everything that a gate is told."""

        async def now() -> None:
            what()

        self.loop.run_until_complete(now())

    def after(self, seconds: float = 0.0) -> None:
        self.loop.spin(seconds)
        for door in self.doors:
            done = [task for task in door.waiting if task.done()]
            door.waiting = [task for task in door.waiting if not task.done()]
            for task in done:
                if task.cancelled():
                    continue
                error = task.exception()
                if error is None:
                    door.permits.append(task.result())
                else:
                    self.was_due(door.gate, error)

    def was_due(self, gate: Gate, error: BaseException) -> None:
        """Nobody is refused for no reason."""
        assert isinstance(error, Error), repr(error)
        told = getattr(error, "reason", "breaker")
        if told == "queue":
            assert self.limits.queue < 1000
        elif told == "breaker":
            assert gate.breaker is not None
            assert sum(gate.breaker.transitions.values()), "it never opened"
        elif told == "closed":
            assert error.sqlstate == "57P03"
        else:
            assert told == "deadline"

    @rule(
        at=GATES,
        kind=st.sampled_from(["lookup", "report", "report", "extract", "chore"]),
        tenant=st.sampled_from(["ann", "bob"]),
        seconds=st.sampled_from([None, None, 0.0, 0.5, 3.0]),
        alone=st.sampled_from([False, False, False, True]),
    )
    def enter(self, at: int, kind: Kind, tenant: str, seconds: float | None, alone: bool) -> None:
        until = float("inf") if seconds is None else self.loop.now + seconds
        door = self.doors[at]
        full = door.gate.load.waiting >= self.limits.queue
        door.waiting.append(self.loop.create_task(door.gate.enter(Wish(until, tenant, kind, alone, kind))))
        self.after()
        assert not full or len(door.waiting) <= self.limits.queue

    @rule(at=GATES, which=ANY, how=st.sampled_from(["ok", "ok", "ok", "syntax", "down", "lost"]))
    def leave(self, at: int, which: int, how: str) -> None:
        self.end(at, which, how)
        self.after()

    def end(self, at: int, which: int, how: str, then: Callable[[], object] = lambda: None) -> None:
        permits = self.doors[at].permits
        if not permits:
            return
        permit = permits.pop(which % len(permits))
        states = {"syntax": "HV000", "down": "08001", "lost": "08006"}
        error = None if how == "ok" else SourceError(how, sqlstate=states[how])
        self.does(lambda: (permit.leave(error), permit.leave(), then()))  # twice counts once
        if how == "lost":
            self.orphans.append(self.loop.now + min(ORPHANED, DOUBTFUL))

    @rule(at=GATES, which=ANY)
    def vanish(self, at: int, which: int) -> None:
        waiting = self.doors[at].waiting
        if waiting:
            waiting[which % len(waiting)].cancel()
            self.after()

    @rule(at=GATES, which=ANY, how=st.sampled_from(["ok", "lost"]))
    def vanish_as_the_turn_comes(self, at: int, which: int, how: str) -> None:
        """Places are handed over and, before the tasks have run, all who wait are cancelled."""
        waiting = list(self.doors[at].waiting)
        self.end(at, which, how, lambda: [task.cancel() for task in waiting])
        self.after()

    def crowd(self, at: int) -> None:
        door = self.doors[at]
        door.waiting += [self.loop.create_task(door.gate.enter()) for _ in range(2)]
        self.after()

    @rule(at=GATES)
    def die(self, at: int) -> None:
        """A server is killed and started again. What it had asked runs on for a while, and others press in."""
        self.crowd(at)
        door = self.doors[at]
        assert door.gate.places is not None
        for task in door.waiting:
            task.cancel()
        self.orphans += [self.loop.now + ORPHANED] * len(door.permits)
        door.gate.places.close()
        door.gate.places = None
        self.doors[at] = self.door()
        self.after()
        self.crowd(0)
        self.crowd(1)
        self.after(0.03)

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.06, 0.3, 1.1, 5.0]))
    def time_passes(self, seconds: float) -> None:
        self.after(seconds)

    @rule(cap=st.integers(1, 4))
    def reload(self, cap: int) -> None:
        self.limits = Limits(concurrency=cap, rate=self.limits.rate, burst=2, queue=self.limits.queue)
        self.allowed = max(cap, self.running)
        self.does(lambda: [door.gate.resize(self.limits, Adaptive(lag=1.0)) for door in self.doors])
        self.after()

    @rule(at=GATES, off=st.booleans())
    def switch(self, at: int, off: bool) -> None:
        self.does(lambda: setattr(self.doors[at].gate, "closed", "maintenance" if off else None))
        self.after()
        assert not off or not self.doors[at].waiting, "nobody waits for a source that is switched off"

    @rule(at=GATES, lag=st.sampled_from([0.0, 9.0]))
    def press(self, at: int, lag: float) -> None:
        self.does(lambda: self.doors[at].gate.read(Pressure(lag=lag)))
        self.after()

    @property
    def running(self) -> int:
        """Statements at the source."""
        self.orphans = [until for until in self.orphans if until > self.loop.now]
        return len(self.orphans) + sum(len(door.permits) for door in self.doors)

    @invariant()
    def the_owner_s_limit_holds(self) -> None:
        if not hasattr(self, "doors"):
            return
        running = self.running
        assert running <= self.allowed
        self.allowed = max(self.limits.concurrency, min(self.allowed, running))

    @invariant()
    def what_the_gates_count_is_so(self) -> None:
        for door in getattr(self, "doors", ()):
            gate = door.gate
            assert gate.load.in_flight == len(door.permits)
            assert gate.load.waiting == len(door.waiting)
            assert sum(permit.lane == "heavy" for permit in door.permits) <= 1
            assert sum(permit.lane in SLOW for permit in door.permits) <= max(1, self.allowed - 1, gate.most - 1)

    @invariant()
    def nobody_sleeps_while_there_is_room(self) -> None:
        for door in getattr(self, "doors", ()):
            if door.waiting and door.gate._turns.peek(door.gate._fits) is not None:
                assert door.gate._again is not None, "nobody will look again"


Together.TestCase.settings = settings(max_examples=30, stateful_step_count=40)
TestTogether = pytest.mark.slow(Together.TestCase)


def test_refusals_name_the_limit_how_full_it_is_and_the_remedy() -> None:
    async def run() -> None:
        gate = Gate("crm", Limits(concurrency=1, queue=1))
        await gate.enter()
        waits = asyncio.create_task(gate.enter())
        await asyncio.sleep(0)
        try:
            await gate.enter()
        except LimitExceeded as full:
            assert full.sqlstate == "53400"
            assert "1 statements waiting, as many as its owner lets wait (1 of 1 statements in flight" in full.message
            assert "limits.queue in sources/crm.yml" in str(full.hint)
        assert gate.load.refused == {"queue": 1}
        waits.cancel()

    asyncio.run(run())


def test_what_cannot_be_answered_in_time_is_refused_at_once() -> None:
    loop = FakeLoop()
    gate = Gate("crm", Limits(concurrency=2, queue=1000), clock=loop.time)

    async def run() -> None:
        for _ in range(10):  # each takes a second
            permit = await gate.enter(Wish(shape="s"))
            await asyncio.sleep(1)
            permit.first = loop.now
            permit.leave()
        held = [await gate.enter() for _ in range(2)]
        began = loop.now
        crowd = [asyncio.create_task(gate.enter(Wish(began + 10))) for _ in range(40)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = [task.exception() for task in crowd if task.done()]
        assert len(refused) == 40 - 21, "two a second can be answered in ten seconds, and one more"
        assert isinstance(refused[0], LimitExceeded)
        assert refused[0].sqlstate == "57014"
        assert "21 statements go first, which takes about 10.5 s" in refused[0].message
        assert loop.now == began, "they waited"
        for task in crowd:
            task.cancel()
        await asyncio.sleep(0)
        # its turn comes, and it is too late for a statement that takes a second
        late = asyncio.create_task(gate.enter(Wish(loop.now + 1.5, shape="s")))
        await asyncio.sleep(0.7)
        for permit in held:
            permit.leave()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert isinstance(late.exception(), LimitExceeded)
        assert (gate.load.in_flight, gate.load.waiting) == (0, 0)

    loop.run_until_complete(run())
    gate.lag.close()
    loop.close()
