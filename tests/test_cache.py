"""The result cache: what it keeps, for how long, and that identical concurrent runs are one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest

from cache import results
from cache.results import Found, Keep, ResultCache
from connectors.errors import Error, LimitExceeded, QueryError, SourceError


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


def ask(
    cache: ResultCache, source: Source, ttl: float = 10, size: int = 1, keep: Keep | None = None, **more: Any
) -> asyncio.Task[Found[Any]]:
    return asyncio.create_task(cache.get_or_run("key", keep or Keep(ttl), source.run, lambda _: size, **more))


def down(error: BaseException) -> bool:
    return isinstance(error, SourceError) and error.sqlstate == "08006"


def fixed(max_bytes: int = 100, **more: Any) -> ResultCache:
    """Without jitter: times are exact."""
    return ResultCache(max_bytes, max_entry=max_bytes, jitter=0.0, **more)


@drive
async def test_a_stored_value_is_a_hit_until_its_ttl_ends() -> None:
    clock, source = Clock(), Source()
    source.gate.set()
    cache = fixed(clock=clock)
    assert await ask(cache, source) == Found("answer", "miss")
    clock.now += 9.75
    assert await ask(cache, source) == Found("answer", "hit", 9.75)
    clock.now += 0.25
    assert await ask(cache, source) == Found("answer", "miss")
    assert source.starts == 2


@drive
async def test_a_reader_with_a_shorter_ttl_does_not_take_an_older_value() -> None:
    clock, source = Clock(), Source()
    source.gate.set()
    cache = fixed(clock=clock)
    await ask(cache, source, ttl=60)
    clock.now += 6
    assert (await ask(cache, source, ttl=60)).how == "hit"
    assert (await ask(cache, source, ttl=5)).how == "miss"
    assert (await ask(cache, source, ttl=0)).how == "miss"


@drive
async def test_the_ttl_counts_from_the_start_of_the_run_or_from_what_the_value_says() -> None:
    clock, source = Clock(), Source()
    cache = fixed(clock=clock)
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
    source, cache = Source(), fixed()
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
    source, cache = Source(answer=SourceError("crm is down", sqlstate="08006")), fixed()
    tasks = [ask(cache, source) for _ in range(3)]
    await settle()
    source.gate.set()
    errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(error) for error in errors] == ["crm is down"] * 3
    source.answer = "back"
    assert (await ask(cache, source)).value == "back"


@drive
async def test_the_run_outlives_its_leader_while_others_wait() -> None:
    source, cache = Source(), fixed()
    leader, follower = ask(cache, source), ask(cache, source)
    await settle()
    leader.cancel()
    await settle()
    assert leader.cancelled()
    assert source.stops == 0
    source.gate.set()
    assert (await follower).how == "shared"
    assert source.starts == 1


@drive
async def test_the_last_to_leave_cancels_the_run_and_a_newcomer_starts_afresh() -> None:
    source, cache = Source(), fixed()
    tasks = [ask(cache, source), ask(cache, source)]
    await settle()
    for task in tasks:
        task.cancel()
    source.gate = asyncio.Event()
    newcomer = ask(cache, source)
    await settle()
    assert (source.starts, source.stops) == (2, 1)
    source.gate.set()
    assert (await newcomer).how == "miss"


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
async def test_what_saved_least_a_byte_goes_first() -> None:
    cache = fixed()

    async def get(key: str, cost: float) -> str:
        async def run() -> str:
            return key

        return (await cache.get_or_run(key, Keep(60), run, lambda _: 40, cost=lambda _: cost)).how

    assert [await get(*each) for each in (("dear", 100.0), ("cheap", 1.0), ("cheap", 1.0), ("new", 10.0))] == [
        "miss", "miss", "hit", "miss",
    ]  # fmt: skip
    assert [await get(*each) for each in (("dear", 100.0), ("new", 10.0), ("cheap", 1.0))] == ["hit", "hit", "miss"]
    assert cache.bytes == 80
    assert cache.counters.evicted == 2  # what is cheap and large may be the one that goes
    assert cache.counters.saved_ms == 1.0 + 100.0 + 10.0


@drive
async def test_what_nobody_took_is_disposed_of_once() -> None:
    source, cache, disposed = Source(), fixed(), list[str]()
    task = ask(cache, source, dispose=disposed.append)
    await settle()
    source.gate.set()
    await asyncio.sleep(0)  # the run has its answer now; its waiter leaves before taking it
    task.cancel()
    await settle()
    assert disposed == ["answer"]


@drive
async def test_dispose_comes_after_the_last_waiter_had_its_turn() -> None:
    source, cache, order = Source(), fixed(), list[str]()

    async def wait() -> None:
        await cache.get_or_run("key", Keep(1), source.run, lambda _: 1, dispose=lambda _: order.append("disposed"))
        order.append("taken")

    tasks = [asyncio.create_task(wait()) for _ in range(2)]
    await settle()
    source.gate.set()
    await asyncio.gather(*tasks)
    await settle()
    assert order == ["taken", "taken", "disposed"]


@drive
async def test_close_ends_runs_and_tells_their_waiters() -> None:
    source, cache = Source(), fixed()
    task = ask(cache, source)
    await settle()
    await cache.close()
    with pytest.raises(Error, match="shutting down"):
        await task
    assert source.stops == 1


@drive
async def test_past_the_ttl_the_old_value_serves_at_once_while_one_run_renews_it() -> None:
    clock, source, keep = Clock(), Source(), Keep(10, revalidate=20)
    source.gate.set()
    cache = fixed(clock=clock)
    await ask(cache, source, keep=keep)
    clock.now += 15
    source.gate.clear()
    source.answer = "newer"
    tasks = [ask(cache, source, keep=keep) for _ in range(50)]
    assert await asyncio.gather(*tasks) == [Found("answer", "stale", 15.0)] * 50
    await settle()
    assert source.starts == 2
    source.gate.set()
    await settle()
    assert await ask(cache, source, keep=keep) == Found("newer", "hit", 0.0)
    assert (cache.counters.refreshed, cache.counters.stale_revalidate) == (1, 50)


@drive
async def test_nobody_waits_past_the_bound_of_revalidation() -> None:
    clock, source, keep = Clock(), Source(), Keep(10, revalidate=20)
    source.gate.set()
    cache = fixed(clock=clock)
    await ask(cache, source, keep=keep)
    clock.now += 30
    assert (await ask(cache, source, keep=keep)).how == "miss"


@drive
async def test_a_run_behind_the_scenes_is_not_ended_by_askers_that_leave_but_by_close() -> None:
    clock, source, keep = Clock(), Source(), Keep(10, revalidate=20)
    source.gate.set()
    cache = fixed(clock=clock)
    await ask(cache, source, keep=keep)
    clock.now += 15
    source.gate.clear()
    await ask(cache, source, keep=keep)
    joined = ask(cache, source, keep=Keep(10, revalidate=20, max_age=1))
    await settle()
    joined.cancel()
    await settle()
    assert (source.starts, source.stops) == (2, 0)
    await cache.close()
    assert source.stops == 1
    assert not cache._flights._tasks


@drive
async def test_a_refresh_that_fails_is_not_tried_again_at_once() -> None:
    clock, source, keep = Clock(), Source(), Keep(50, revalidate=100)
    source.gate.set()
    cache = fixed(clock=clock)
    await ask(cache, source, keep=keep)
    source.answer = error = SourceError("crm is down", sqlstate="08006")
    clock.now += 60
    for starts in (2, 2, 2, 3, 3):
        await ask(cache, source, keep=keep, forgives=down)
        await settle()
        assert source.starts == starts
        clock.now += 2
    found = await ask(cache, source, keep=keep, forgives=down)
    assert (found.how, found.error) == ("stale", error)
    assert cache.counters.refresh_failed == 2


@drive
async def test_an_old_value_serves_in_the_place_of_an_error_within_its_bound() -> None:
    clock, source, keep = Clock(), Source(), Keep(10, on_error=60)
    source.gate.set()
    cache = fixed(clock=clock)
    await ask(cache, source, keep=keep, forgives=down)
    source.answer = error = SourceError("crm is down", sqlstate="08006")
    clock.now += 69
    assert await ask(cache, source, keep=keep, forgives=down) == Found("answer", "stale", 69.0, error)
    clock.now += 1
    with pytest.raises(SourceError, match="down"):
        await ask(cache, source, keep=keep, forgives=down)
    assert cache.counters.stale_error == 1
    assert cache.entries == 0


@drive
async def test_a_bound_is_the_askers_own_whatever_others_were_allowed() -> None:
    clock, source = Clock(), Source()
    source.gate.set()
    cache = fixed(clock=clock)
    await ask(cache, source, keep=Keep(10, on_error=600), forgives=down)
    source.answer = SourceError("crm is down", sqlstate="08006")
    clock.now += 70
    for _ in range(2):
        with pytest.raises(SourceError, match="down"):
            await ask(cache, source, keep=Keep(10, on_error=60), forgives=down)
        assert (await ask(cache, source, keep=Keep(10, on_error=600), forgives=down)).how == "stale"


@drive
async def test_a_run_that_ends_late_does_not_replace_a_younger_value() -> None:
    clock, slow, quick = Clock(), Source(answer="old"), Source(answer="young")
    quick.gate.set()
    cache = fixed(clock=clock)
    first = ask(cache, slow)
    await settle()
    clock.now += 1
    assert (await ask(cache, quick, keep=Keep(10, max_age=0))).value == "young"
    slow.gate.set()
    assert (await first).value == "old"
    assert (await ask(cache, slow)).value == "young"


@drive
async def test_a_renewal_that_nobody_waits_for_ends_with_its_invalidation() -> None:
    clock, source, keep = Clock(), Source(), Keep(10, revalidate=20, tags=frozenset({"source:crm"}))
    source.gate.set()
    cache = fixed(clock=clock)
    await ask(cache, source, keep=keep)
    clock.now += 15
    source.gate.clear()
    await ask(cache, source, keep=keep)
    await settle()
    cache.invalidate("source:crm")
    await settle()
    assert (source.starts, source.stops) == (2, 1)


@drive
async def test_while_a_source_is_down_one_asker_at_a_time_finds_out_and_nobody_waits_for_it() -> None:
    clock, source, keep = Clock(), Source(), Keep(10, on_error=600)
    source.gate.set()
    cache = fixed(clock=clock)
    await ask(cache, source, keep=keep, forgives=down)
    source.answer = SourceError("crm is down", sqlstate="08006")
    clock.now += 20
    await ask(cache, source, keep=keep, forgives=down)
    source.gate.clear()  # from now on it does not even say so
    clock.now += 2
    for _ in range(10):
        assert (await ask(cache, source, keep=keep, forgives=down)).how == "stale"
    await settle()
    assert source.starts == 3
    source.answer = "back"
    source.gate.set()
    await settle()
    assert (await ask(cache, source, keep=keep, forgives=down)).value == "back"


@drive
async def test_the_statements_own_error_is_never_replaced_by_an_old_value() -> None:
    clock, source, keep = Clock(), Source(), Keep(10, on_error=600)
    source.gate.set()
    cache = fixed(clock=clock)
    await ask(cache, source, keep=keep, forgives=down)
    source.answer = QueryError("there is no column x", sqlstate="42703")
    clock.now += 20
    with pytest.raises(QueryError):
        await ask(cache, source, keep=keep, forgives=down)


@drive
async def test_a_run_that_takes_too_long_gives_way_to_an_old_value_and_goes_on() -> None:
    clock, source, keep = Clock(), Source(), Keep(10, on_error=600)
    source.gate.set()
    cache = fixed(clock=clock)
    late = lambda error: getattr(error, "sqlstate", "") == "57014"  # noqa: E731
    await ask(cache, source, keep=keep, forgives=late)
    clock.now += 20
    source.gate.clear()
    found = await ask(cache, source, keep=keep, forgives=late, patience=0.01)
    assert (found.how, str(found.error)) == ("stale", "there was no answer within 0.01 s")
    assert (source.starts, source.stops) == (2, 0)
    assert (await ask(cache, source, keep=keep, forgives=late, patience=60)).how == "stale"  # at once: it is known
    source.answer = "newer"
    source.gate.set()
    await settle()
    assert (await ask(cache, source, keep=keep)).value == "newer"


@drive
async def test_an_error_of_the_statement_itself_is_told_again_for_a_second() -> None:
    clock, source = Clock(), Source(answer=QueryError("division by zero", sqlstate="22012"))
    source.gate.set()
    cache = fixed(clock=clock)
    for _ in range(1000):
        with pytest.raises(QueryError, match="division"):
            await ask(cache, source)
    assert (source.starts, cache.counters.negative) == (1, 999)
    with pytest.raises(QueryError):
        await ask(cache, source, ttl=0)
    assert source.starts == 2
    clock.now += 1
    with pytest.raises(QueryError):
        await ask(cache, source)
    assert source.starts == 3


@pytest.mark.parametrize("error", [LimitExceeded("too many rows"), SourceError("gone", sqlstate="08006"), Error("bug")])
def test_no_other_error_is_told_again(error: Error) -> None:
    @drive
    async def run() -> None:
        source, cache = Source(answer=error), fixed()
        source.gate.set()
        for _ in range(2):
            with pytest.raises(type(error)):
                await ask(cache, source)
        assert source.starts == 2

    run()


@drive
async def test_errors_that_are_remembered_are_bounded() -> None:
    cache = fixed(clock=Clock())

    async def fail() -> int:
        raise QueryError("no")

    for number in range(results.ERRORS + 10):
        with pytest.raises(QueryError):
            await cache.get_or_run(number, Keep(60), fail, lambda _: 1)
    assert len(cache._failed) == results.ERRORS


@drive
async def test_max_age_beats_every_other_term() -> None:
    clock, source = Clock(), Source()
    source.gate.set()
    cache = fixed(clock=clock)
    terms = dict[str, float](ttl=60, revalidate=60, on_error=600)
    await ask(cache, source, keep=Keep(**terms))
    clock.now += 6
    assert (await ask(cache, source, keep=Keep(**terms, max_age=6))).how == "hit"
    source.answer = SourceError("down", sqlstate="08006")
    with pytest.raises(SourceError):
        await ask(cache, source, keep=Keep(**terms, max_age=5), forgives=down)
    clock.now += 60
    with pytest.raises(SourceError):
        await ask(cache, source, keep=Keep(**terms, max_age=5), forgives=down)
    assert (await ask(cache, source, keep=Keep(**terms, max_age=100), forgives=down)).how == "stale"


@drive
async def test_a_run_is_joined_only_if_its_statement_was_sent_late_enough() -> None:
    clock, source, sent = Clock(), Source(), list[float]()
    cache = fixed(clock=clock)

    def join(max_age: float) -> asyncio.Task[Found[Any]]:
        return ask(
            cache,
            source,
            keep=Keep(60, max_age=max_age),
            born=lambda _: clock.now,
            floor=lambda: sent[0] if sent else clock.now,
        )

    first = join(0)
    await settle()
    clock.now += 100  # it waits at the gate
    second = join(0)
    await settle()
    assert source.starts == 1
    sent.append(clock.now)
    clock.now += 2
    third, fourth = join(2), join(1)
    await settle()
    assert source.starts == 2
    source.gate.set()
    assert [(await task).how for task in (first, second, third, fourth)] == ["miss", "shared", "shared", "miss"]


@drive
async def test_invalidation_forgets_by_tag_and_what_is_under_way_is_not_kept() -> None:
    source, cache = Source(), fixed()
    before = ask(cache, source, keep=Keep(60, tags=frozenset({"source:crm"})))
    await settle()
    joined = ask(cache, source, keep=Keep(60, tags=frozenset({"view:a.b"})))
    await settle()
    assert cache.invalidate("view:a.b") == 0
    source.gate.set()
    after = ask(cache, source, keep=Keep(60, tags=frozenset({"source:crm"})))
    assert [(await task).how for task in (before, joined, after)] == ["miss", "shared", "miss"]
    assert (source.starts, cache.entries) == (2, 1)
    assert (await ask(cache, source, keep=Keep(60, tags=frozenset({"view:c.d"})))).how == "hit"
    assert cache.invalidate("view:a.b") == 0
    assert cache.invalidate("view:c.d", spare=lambda work: work.keep.ttl == 60) == 0
    assert cache.invalidate("view:c.d") == 1
    assert (await ask(cache, source)).how == "miss"
    assert not cache._flights._tagged


@drive
async def test_refresh_reads_again_at_once_a_few_at_a_time() -> None:
    cache, going, most, asked = fixed(), 0, 0, list[str]()

    async def get(key: str, cost: float) -> str:
        async def run() -> str:
            nonlocal going, most
            asked.append(key)
            going += 1
            most = max(most, going)
            await asyncio.sleep(0)
            going -= 1
            return key

        keep = Keep(60, tags=frozenset({"source:crm"}))
        return (await cache.get_or_run(key, keep, run, lambda _: 1, cost=lambda _: cost)).how

    for number in range(6):
        await get(str(number), number)
    most, asked[:] = 0, []
    assert cache.refresh("source:crm") == 6
    assert cache.entries == 0
    await asyncio.sleep(0)
    assert await get("5", 5) == "shared"
    while len(cache._flights):
        await settle()
    assert (sorted(asked), asked[0], most) == (list("012345"), "5", results.AT_ONCE)
    assert [await get(str(number), number) for number in range(6)] == ["hit"] * 6


@drive
async def test_values_that_came_together_do_not_end_together() -> None:
    clock = Clock()
    cache = ResultCache(1000, clock=clock, max_entry=100)

    async def get(key: int) -> bool:
        async def run() -> int:
            return key

        return (await cache.get_or_run(key, Keep(100), run, lambda _: 1)).how == "hit"

    keys = [n * 641 for n in range(100)]
    for key in keys:
        await get(key)
    clock.now += 89
    assert all(cache.peek(key, Keep(100)) for key in keys)
    clock.now += 6
    assert 30 < sum(cache.peek(key, Keep(100)) is not None for key in keys) < 70
    clock.now += 5
    assert not any(cache.peek(key, Keep(100)) for key in keys)


@drive
async def test_what_has_expired_gives_its_place_back() -> None:
    clock, source, cache = Clock(), Source(), fixed()
    cache = fixed(clock=clock)
    source.gate.set()
    await ask(cache, source, size=60)
    clock.now += 11
    await cache.get_or_run("other", Keep(10), source.run, lambda _: 50)
    assert (cache.bytes, cache.counters.expired, cache.counters.evicted) == (50, 1, 0)
