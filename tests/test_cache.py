"""The result cache: what it keeps, for how long, and that identical concurrent runs are one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from cache.results import Found, ResultCache
from connectors.errors import Error, SourceError


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Source:
    """Something slow that counts how often it is asked."""

    starts: int = 0
    stops: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    answer: Any = "answer"

    async def run(self) -> Any:
        self.starts += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.stops += 1
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def drive(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def run() -> None:
        asyncio.run(test())

    run.__name__ = test.__name__
    return run


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def ask(cache: ResultCache, source: Source, ttl: float = 10, size: int = 1, **more: Any) -> asyncio.Task[Found[Any]]:
    return asyncio.create_task(cache.get_or_run("key", ttl, source.run, lambda _: size, **more))


@drive
async def test_a_stored_value_is_a_hit_until_its_ttl_ends() -> None:
    clock, source = Clock(), Source()
    source.gate.set()
    cache = ResultCache(100, clock=clock, max_entry=100)
    assert await ask(cache, source) == Found("answer", "miss")
    clock.now += 9.9
    assert await ask(cache, source) == Found("answer", "hit")
    clock.now += 0.2
    assert await ask(cache, source) == Found("answer", "miss")
    assert source.starts == 2


@drive
async def test_a_reader_with_a_shorter_ttl_does_not_take_an_older_value() -> None:
    clock, source = Clock(), Source()
    source.gate.set()
    cache = ResultCache(100, clock=clock, max_entry=100)
    await ask(cache, source, ttl=60)
    clock.now += 6
    assert (await ask(cache, source, ttl=60)).how == "hit"
    assert (await ask(cache, source, ttl=5)).how == "miss"
    assert (await ask(cache, source, ttl=0)).how == "miss"


@drive
async def test_the_ttl_counts_from_the_start_of_the_run_or_from_what_the_value_says() -> None:
    clock, source = Clock(), Source()
    cache = ResultCache(100, clock=clock, max_entry=100)
    task = ask(cache, source)
    await settle()
    clock.now += 11  # the run took longer than the TTL: its data is too old to be kept
    source.gate.set()
    await task
    assert (await ask(cache, source)).how == "miss"
    clock.now += 20
    await ask(cache, source, born=lambda _: clock.now - 9)
    clock.now += 2
    assert (await ask(cache, source)).how == "miss"


@drive
async def test_identical_concurrent_calls_run_once_even_with_ttl_0() -> None:
    source, cache = Source(), ResultCache(100)
    tasks = [ask(cache, source, ttl=0) for _ in range(100)]
    await settle()
    source.gate.set()
    found = await asyncio.gather(*tasks)
    assert source.starts == 1
    assert sorted(f.how for f in found) == ["miss"] + ["shared"] * 99
    assert (cache.bytes, cache.counters.stored) == (0, 0)
    assert (await ask(cache, source, ttl=0)).how == "miss"


@drive
async def test_an_error_goes_to_all_who_wait_and_is_not_kept() -> None:
    source, cache = Source(answer=SourceError("crm is down")), ResultCache(100)
    tasks = [ask(cache, source) for _ in range(3)]
    await settle()
    source.gate.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(error) for error in errors] == ["crm is down"] * 3
    source.answer = "back"
    assert await ask(cache, source) == Found("back", "miss")


@drive
async def test_the_run_outlives_its_leader_while_others_wait() -> None:
    source, cache = Source(), ResultCache(100)
    leader, follower = ask(cache, source), ask(cache, source)
    await settle()
    leader.cancel()
    await settle()
    assert leader.cancelled()
    assert source.stops == 0
    source.gate.set()
    assert await follower == Found("answer", "shared")
    assert source.starts == 1


@drive
async def test_the_last_to_leave_cancels_the_run_and_a_newcomer_starts_afresh() -> None:
    source, cache = Source(), ResultCache(100)
    tasks = [ask(cache, source), ask(cache, source)]
    await settle()
    for task in tasks:
        task.cancel()
    source.gate = asyncio.Event()
    newcomer = ask(cache, source)
    await settle()
    assert (source.starts, source.stops) == (2, 1)
    source.gate.set()
    assert await newcomer == Found("answer", "miss")


@drive
async def test_a_value_that_is_too_large_reaches_its_waiters_and_is_not_kept() -> None:
    source, cache = Source(), ResultCache(1000)
    tasks = [ask(cache, source, size=126) for _ in range(2)]
    await settle()
    source.gate.set()
    assert [f.value for f in await asyncio.gather(*tasks)] == ["answer"] * 2
    assert cache.bytes == 0
    await ask(cache, source, size=125)
    assert cache.bytes == 125


@drive
async def test_least_recently_used_goes_first() -> None:
    cache = ResultCache(100, max_entry=100)

    async def get(key: str) -> str:
        async def run() -> str:
            return key

        return (await cache.get_or_run(key, 60, run, lambda _: 40)).how

    assert [await get(key) for key in ("a", "b", "a", "c", "a", "b")] == ["miss", "miss", "hit", "miss", "hit", "miss"]
    assert cache.bytes == 80


@drive
async def test_what_nobody_took_is_disposed_of_once() -> None:
    source, cache, disposed = Source(), ResultCache(100), list[str]()
    task = ask(cache, source, dispose=disposed.append)
    await settle()
    source.gate.set()
    await asyncio.sleep(0)  # the run has its answer now; its waiter leaves before taking it
    task.cancel()
    await settle()
    assert disposed == ["answer"]


@drive
async def test_dispose_comes_after_the_last_waiter_had_its_turn() -> None:
    source, cache, order = Source(), ResultCache(100), list[str]()

    async def wait() -> None:
        await cache.get_or_run("key", 1, source.run, lambda _: 1, dispose=lambda _: order.append("disposed"))
        order.append("taken")

    tasks = [asyncio.create_task(wait()) for _ in range(2)]
    await settle()
    source.gate.set()
    await asyncio.gather(*tasks)
    await settle()
    assert order == ["taken", "taken", "disposed"]


@drive
async def test_close_ends_runs_and_tells_their_waiters() -> None:
    source, cache = Source(), ResultCache(100)
    task = ask(cache, source)
    await settle()
    await cache.close()
    with pytest.raises(Error, match="shutting down"):
        await task
    assert source.stops == 1


@dataclass
class Call:
    """One caller of the machine: which run it must be served by, or the stored value it must have got."""

    task: asyncio.Task[Found[int]]
    run: int


@dataclass
class Run:
    """A run as the machine's model sees it; its value is its own number."""

    number: int
    ttl: float
    began: float
    size: int
    end: asyncio.Future[int]
    callers: set[int] = field(default_factory=set)
    cancelled: bool = False


class CacheMachine(RuleBasedStateMachine):
    """Random calls, endings, failures, cancellations and time; the model says who gets what from which run.

    Every value is the number of the run that made it, so that a caller served by the wrong run is seen.
    """

    callers = Bundle("callers")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = Clock()
        self.cache = ResultCache(10, clock=self.clock, max_entry=6)
        self.runs: list[Run] = []
        self.flying: dict[str, int] = {}
        self.calls: list[Call] = []

    def teardown(self) -> None:
        self.loop.run_until_complete(self.cache.close())
        self.spin()
        for call in self.calls:
            if not call.task.cancelled():
                call.task.exception()
        self.loop.close()

    def spin(self) -> None:
        self.loop.run_until_complete(settle())

    @rule(target=callers, key=st.sampled_from("ab"), ttl=st.sampled_from([0.0, 5.0, 20.0]), size=st.integers(1, 8))
    def call(self, key: str, ttl: float, size: int) -> int:
        number = len(self.runs)

        async def run() -> int:
            end = self.loop.create_future()
            made = Run(number, ttl, self.clock.now, size, end)
            self.runs.append(made)
            self.flying[key] = number
            try:
                return int(await end)
            except asyncio.CancelledError:
                made.cancelled = True
                raise
            finally:
                if self.flying.get(key) == number:
                    del self.flying[key]

        before = dict(self.flying)
        task = self.loop.create_task(self.cache.get_or_run(key, ttl, run, lambda _: size))
        caller = len(self.calls)
        self.spin()
        if task.done():  # only a hit ends at once, and no hit is older than either TTL allows
            served = self.runs[task.result().value]
            assert task.result().how == "hit"
            assert self.clock.now < served.began + min(ttl, served.ttl)
            assert served.size <= 6
            assert not served.cancelled
        elif key in before:
            served = self.runs[before[key]]
            assert len(self.runs) == number, "a second run beside one under way"
            served.callers.add(caller)
        else:
            assert len(self.runs) == number + 1, "neither stored nor run"
            served = self.runs[number]
            served.callers.add(caller)
        self.calls.append(Call(task, served.number))
        return caller

    def finish(self, caller: int, fail: bool) -> None:
        run = self.runs[self.calls[caller].run]
        if run.end.done():
            return
        if fail:
            run.end.set_exception(SourceError(str(run.number)))
        else:
            run.end.set_result(run.number)
        self.spin()
        for other in run.callers:
            task = self.calls[other].task
            assert task.done(), "a lost wake-up"
            if fail:
                assert str(task.exception()) == str(run.number)
            else:
                assert task.result().value == run.number

    @rule(caller=callers)
    def succeed(self, caller: int) -> None:
        self.finish(caller, fail=False)

    @rule(caller=callers)
    def fail(self, caller: int) -> None:
        self.finish(caller, fail=True)

    @rule(caller=consumes(callers))
    def vanish(self, caller: int) -> None:
        call = self.calls[caller]
        run = self.runs[call.run]
        call.task.cancel()
        self.spin()
        run.callers.discard(caller)
        if not run.end.done() or run.cancelled:
            assert run.cancelled == (not run.callers), "a run lives exactly while somebody waits for it"

    @rule(seconds=st.sampled_from([0.5, 3.0, 15.0]))
    def later(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def bounded(self) -> None:
        assert self.cache.bytes <= 10
        assert len(self.cache._flights) == len(self.flying)
        assert len(self.cache._tasks) == len(self.flying)


CacheMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestCacheMachine = CacheMachine.TestCase
