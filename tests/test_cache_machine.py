"""The cache under every order of questions, answers, failures, cancellations, invalidations and time; with a model."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cache.results import PAUSE, Found, Keep, ResultCache
from connectors.errors import QueryError, SourceError
from tests.test_cache import Clock, down, settle

BYTES, LARGEST = 6, 4
TAGS = {"a": frozenset({"source:one", "table:a"}), "b": frozenset({"source:one", "table:b"})}
VIEWS = ["view:x", "view:y"]


@dataclass
class Run:
    """A run as the model sees it; its value is its own number."""

    number: int
    key: str
    began: float
    size: int
    end: asyncio.Future[int]
    order: int  # of all that happened
    sent: float | None = None
    cancelled: bool = False

    @property
    def open(self) -> bool:
        return not self.end.done() and not self.cancelled

    def floor(self, now: float) -> float:
        return now if self.sent is None else self.sent


@dataclass
class Call:
    """A question: when it came, on which terms, and how it ended."""

    task: asyncio.Task[Found[int]]
    key: str
    keep: Keep
    asked: float
    order: int
    ended: float | None = None
    gone: bool = False


@dataclass
class Model:
    runs: list[Run] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    invalidated: dict[str, int] = field(default_factory=dict)  # tag: order of the last one
    failed: dict[str, float] = field(default_factory=dict)
    order: int = 0

    def since(self, tag: str) -> int:
        return self.invalidated.get(tag, 0)

    def tick(self) -> int:
        self.order += 1
        return self.order


class CacheMachine(RuleBasedStateMachine):
    """Every value is the number of the run that made it, so that a caller served by the wrong run is seen."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.cache = ResultCache(BYTES, clock=self.clock, max_entry=LARGEST)
        self.model = Model()
        self.closed = False

    def teardown(self) -> None:
        self.loop.run_until_complete(self.cache.close())
        self.closed = True
        self.spin()
        for call in self.model.calls:
            assert call.task.done(), "a waiter was lost"
            if not call.task.cancelled():
                call.task.exception()
        assert not any(run.open for run in self.model.runs), "a run outlived the cache"
        assert (len(self.cache._flights), self.cache.bytes, self.cache._flights._tagged) == (0, 0, {})
        self.loop.close()

    def spin(self) -> None:
        self.loop.run_until_complete(settle())
        for call in self.model.calls:
            if call.ended is None and call.task.done():
                call.ended = self.clock.now
                if not call.gone:
                    self.judge(call)

    def judge(self, call: Call) -> None:
        """Whether the call may have ended so."""
        if call.task.cancelled() or call.task.exception() is not None:
            return
        found, now, keep = call.task.result(), self.clock.now, call.keep
        run = self.model.runs[found.value]
        assert run.key == call.key, "sharing crossed keys"
        assert run.sent is not None
        assert found.age == now - run.sent
        for order in map(self.model.since, keep.tags):
            assert run.order > order or call.order < order, "from before an invalidation, to a question from after it"
        if found.how in ("miss", "shared"):
            assert run.sent >= call.asked - keep.max_age
            return
        assert found.age <= keep.max_age
        if found.how == "hit":
            assert found.age < keep.ttl
        elif found.error is None:
            assert keep.ttl * 0.9 <= found.age < keep.ttl + keep.revalidate
        else:
            assert found.age < keep.ttl + max(keep.revalidate, keep.on_error if down(found.error) else 0.0)

    def make(self, key: str, size: int, asked: float) -> Any:
        """A run of the key, whose first half is before its statement is sent."""
        made: list[Run] = []

        async def run() -> int:
            now = self.clock.now
            self.once(key, asked, now)
            this = Run(len(self.model.runs), key, now, size, self.loop.create_future(), self.model.tick())
            self.model.runs.append(this)
            made.append(this)
            try:
                return await this.end
            except asyncio.CancelledError:
                this.cancelled = True
                raise

        return run, lambda: made[-1].floor(self.clock.now) if made else self.clock.now

    def once(self, key: str, oldest: float, now: float) -> None:
        """No run begins beside one that could serve whoever it is for, nor right after a failed renewal."""
        since = max(map(self.model.since, (*TAGS[key], *VIEWS)))
        beside = [run for run in self.model.runs if run.key == key and run.open and run.order > since]
        assert not any(run.floor(now) >= oldest for run in beside), "two runs for askers that may share"

    @rule(
        key=st.sampled_from("aaab"),
        terms=st.sampled_from([(20, 0, 0), (20, 10, 0), (20, 0, 30), (5, 10, 30), (0, 0, 30), (5, 0, 8), (0, 0, 0)]),
        max_age=st.sampled_from([math.inf, math.inf, math.inf, 0.0, 4.0, 26.0]),
        size=st.sampled_from([1, 2, 4, 7]),
        sent=st.booleans(),
        view=st.sampled_from(VIEWS),
    )
    def ask(self, key: str, terms: tuple[int, int, int], max_age: float, size: int, sent: bool, view: str) -> None:
        ttl, revalidate, on_error = terms
        keep, now = Keep(ttl, revalidate, on_error, max_age, TAGS[key] | {view}), self.clock.now
        before = len(self.model.runs)
        run, floor = self.make(key, size, now - max_age)
        order = self.model.tick()
        task = self.loop.create_task(
            self.cache.get_or_run(
                key, keep, run, lambda _: size, born=self.sent, forgives=down, floor=floor, cost=lambda _: 3.0
            )
        )
        self.model.calls.append(Call(task, key, keep, now, order))
        self.spin()
        if sent and len(self.model.runs) > before:
            self.model.runs[-1].sent = now
        behind = task.done() and len(self.model.runs) > before
        if behind:
            assert task.result().how == "stale"
            assert now >= self.model.failed.get(key, -math.inf) + PAUSE, "renewed again at once"

    def sent(self, number: int) -> float:
        sent = self.model.runs[number].sent
        assert sent is not None
        return sent

    def open(self, at: int) -> Run:
        runs = [run for run in self.model.runs if run.open]
        return runs[at % len(runs)]

    def some(self) -> bool:
        return any(run.open for run in self.model.runs)

    @precondition(some)
    @rule(at=st.integers(0, 5))
    def send(self, at: int) -> None:
        run = self.open(at)
        run.sent = self.clock.now if run.sent is None else run.sent

    @precondition(some)
    @rule(at=st.integers(0, 5), how=st.sampled_from(["ok", "ok", "ok", "down", "down", "its own"]))
    def end(self, at: int, how: str) -> None:
        run = self.open(at)
        if how == "ok":
            run.sent = self.clock.now if run.sent is None else run.sent
            run.end.set_result(run.number)
            self.model.failed.pop(run.key, None)
        else:
            run.end.set_exception(SourceError(how, sqlstate="08006") if how == "down" else QueryError(how))
            if run.order > max(map(self.model.since, (*TAGS[run.key], *VIEWS))):
                self.model.failed[run.key] = self.clock.now
        self.spin()

    @precondition(lambda self: any(not call.task.done() for call in self.model.calls))
    @rule(at=st.integers(0, 5))
    def vanish(self, at: int) -> None:
        calls = [call for call in self.model.calls if not call.task.done()]
        call = calls[at % len(calls)]
        call.gone = True
        call.task.cancel()
        self.spin()

    @rule(tag=st.sampled_from(["source:one", "table:a", "view:x", "view:x"]), anew=st.booleans())
    def invalidate(self, tag: str, anew: bool) -> None:
        self.model.invalidated[tag] = self.model.tick()
        if anew:
            self.loop.run_until_complete(self.refresh(tag))
        else:
            kept, expired = self.cache.entries, self.cache.counters.expired
            forgotten = self.cache.invalidate(tag)
            assert forgotten == kept - self.cache.entries - (self.cache.counters.expired - expired)
        self.spin()

    async def refresh(self, tag: str) -> None:
        self.cache.refresh(tag)

    @rule(seconds=st.sampled_from([0.5, 4.0, 5.0, 17.0, 19.0]))
    def later(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def bounded(self) -> None:
        kept = self.cache._entries._kept
        assert self.cache.bytes == sum(entry.size for entry in kept.values()) <= BYTES
        assert all(entry.size <= LARGEST for entry in kept.values())
        tagged = {(tag, key) for tag, keys in self.cache._entries._tagged.items() for key in keys}
        assert tagged == {(tag, key) for key, entry in kept.items() for tag in entry.tags}

    @invariant()
    def nobody_is_forgotten(self) -> None:
        """Each open run has its flight, each waiter its run, and nothing else is under way."""
        flights = self.cache._flights
        waiting = [call for call in self.model.calls if not call.task.done()]
        runs = [run for run in self.model.runs if run.open]
        assert len(flights) >= len(runs)
        if waiting:
            assert {call.key for call in waiting} <= {run.key for run in runs}
        if not runs:
            assert len(flights) == 0


CacheMachine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestCacheMachine = pytest.mark.slow(CacheMachine.TestCase)
