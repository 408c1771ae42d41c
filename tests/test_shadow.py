"""The dry run says what enforcing would have done: each rule is enforced on the same load, and compared."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.results import Keep, ResultCache
from connectors.errors import LimitExceeded, SourceError
from connectors.stopping import timed_out
from federation.budgets import Spent
from federation.gate.adaptive import Adaptive
from federation.gate.breaker import Breaker
from federation.gate.gate import Gate
from federation.gate.permit import Wish
from federation.gate.shadow import DOES, KEYS, Shadow, after
from views import catalog
from views.catalog import Limits, Observed, QueryLimits, Source

WIDE = Limits(concurrency=1000, timeout=1000.0)
DOWN = SourceError("cannot connect", sqlstate="08001")


class Leap(selectors.SelectSelector):
    """Does not wait: the time goes on by itself."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "everything waits for ever"
        self.now += timeout
        return super().select(0)


class Virtual(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.leap = Leap()
        super().__init__(self.leap)

    def time(self) -> float:
        return self.leap.now


def run(work: Callable[[Virtual], Coroutine[Any, Any, None]]) -> None:
    loop = Virtual()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(work(loop))


@dataclass(frozen=True)
class Ask:
    """`gap` seconds after the one before it; it takes `seconds` and may wait `patience`."""

    gap: float
    seconds: float
    patience: float = float("inf")
    rows: int = 0
    error: SourceError | None = None


LOADS = st.lists(
    st.builds(Ask, st.sampled_from([0.0, 0.1, 0.5]), st.sampled_from([0.1414, 0.7071, 2.236])), max_size=25
)


@dataclass
class Seen:
    waited: list[float]
    refused: list[str]


def batches(rows: int) -> Iterator[pa.RecordBatch]:
    for _ in range(rows):
        yield pa.record_batch({"c0": pa.array([1], pa.int64())})


def load(asks: Sequence[Ask], limits: Limits, observed: Observed | None = None) -> tuple[Seen, Shadow | None]:
    """The load at a gate with these limits, and its shadow."""
    seen, shadow = Seen([], []), None

    async def work(loop: Virtual) -> None:
        nonlocal shadow
        gate = Gate("crm", limits, clock=loop.time)
        gate.adaptive.rules = catalog.Adaptive(enabled=False)
        shadow = gate.shadow = None if observed is None else Shadow("crm", observed, limits, loop.time)

        async def one(ask: Ask) -> None:
            wish = Wish(loop.time() + ask.patience, kind="lookup")
            with contextlib.suppress(SourceError):
                try:
                    async with gate.turn(wish) as permit:
                        seen.waited.append(permit.waited)
                        list(permit.counted(batches(ask.rows)))
                        async with asyncio.timeout(gate.limits.timeout):
                            await asyncio.sleep(ask.seconds)
                        if ask.error is not None:
                            raise ask.error
                except LimitExceeded as error:
                    seen.refused.append(getattr(error, "reason", "limit"))
                except TimeoutError:
                    seen.refused.append("timeout")

        async with asyncio.TaskGroup() as group:
            for ask in asks:
                await asyncio.sleep(ask.gap)
                group.create_task(one(ask))

    run(work)
    return seen, shadow


def both(asks: Sequence[Ask], **limits: Any) -> tuple[Seen, dict[str, Any]]:
    """What happened where the limits were enforced, and what was said where they were only watched."""
    enforced, _ = load(asks, replace(WIDE, **limits))
    watched, shadow = load(asks, WIDE, Observed(limits=limits))
    assert shadow is not None
    assert not watched.refused and not any(watched.waited), "a dry run changes nothing"
    report = shadow.report()
    assert report["statements"] == len(asks)
    rules: dict[str, Any] = report["rules"]
    return enforced, rules


def waits(seen: Seen) -> list[float]:
    return [ms for ms in seen.waited if ms > 1e-3]


@given(LOADS, st.integers(1, 4))
@settings(max_examples=20)
def test_concurrency(asks: list[Ask], places: int) -> None:
    enforced, rules = both(asks, concurrency=places)
    assert rules["concurrency"]["count"] == len(waits(enforced))
    assert rules["concurrency"]["ms"] == pytest.approx(sum(waits(enforced)), abs=0.1)
    assert rules["concurrency"]["most_ms"] == pytest.approx(max(waits(enforced), default=0.0), abs=0.1)


@given(LOADS, st.sampled_from([1.0, 4.0]), st.integers(1, 3))
@settings(max_examples=20)
def test_rate(asks: list[Ask], rate: float, burst: int) -> None:
    enforced, rules = both(asks, rate=rate, burst=burst)
    assert rules["rate"]["ms"] == pytest.approx(sum(waits(enforced)), abs=1 + len(asks) * 0.1)
    assert rules["rate"]["count"] == len(waits(enforced))
    assert rules["concurrency"]["count"] == 0


@given(LOADS, st.integers(0, 3))
@settings(max_examples=20)
def test_queue(asks: list[Ask], queue: int) -> None:
    enforced, rules = both(asks, concurrency=1, queue=queue)
    assert rules["queue"]["count"] == enforced.refused.count("queue")
    assert rules["concurrency"]["ms"] == pytest.approx(sum(waits(enforced)), abs=0.1)


def test_deadlines_that_would_pass() -> None:
    asks = [Ask(0.1, 1.0, 1.85) for _ in range(4)]  # starts at 0, 0.9, 1.8 and never
    enforced, rules = both(asks, concurrency=1)
    assert enforced.refused == ["deadline"], enforced
    assert rules["deadline"]["count"] == 1
    assert rules["concurrency"]["count"] == len(waits(enforced)) == 2


@given(st.lists(st.integers(0, 9), max_size=20), st.integers(0, 9))
@settings(max_examples=10)
def test_rows_and_bytes(sizes: list[int], most: int) -> None:
    asks = [Ask(0.1, 0.1, rows=size) for size in sizes]
    enforced, rules = both(asks, rows=most)
    assert rules["rows"]["count"] == enforced.refused.count("budget")
    enforced, rules = both(asks, bytes=most * 8)
    assert rules["bytes"]["count"] == enforced.refused.count("budget")
    assert set(rules) == {"bytes"}, "only what is proposed is watched"


def test_timeout() -> None:
    asks = [Ask(0.5, seconds) for seconds in (0.1, 1.0, 3.0, 9.0)]
    enforced, rules = both(asks, timeout=2.0)
    assert rules["timeout"]["count"] == enforced.refused.count("timeout") == 2
    assert rules["timeout"]["ms"] == pytest.approx(8000)
    assert rules["timeout"]["proposed"] == 2.0


def test_a_shorter_timeout_frees_places() -> None:
    asks = [Ask(0.1, 5.0) for _ in range(6)]
    enforced, rules = both(asks, timeout=1.0, concurrency=2)
    assert rules["concurrency"]["ms"] == pytest.approx(sum(waits(enforced)), abs=0.1)


@given(st.lists(st.integers(1, 5), max_size=6), st.integers(1, 10))
def test_statements_of_a_query(wanted: list[int], most: int) -> None:
    shadow = Shadow("crm", Observed(limits={"statements": most}), WIDE)
    enforced, watched, refused = Spent(), Spent(), 0
    for count in wanted:
        shadow.asked(watched.counts["crm"], count)
        watched.take("crm", None, count)
        try:
            if not refused:  # enforced, the query has ended; watched, it goes on and is not counted twice
                enforced.take("crm", most, count)
        except LimitExceeded:
            refused = 1
    assert shadow.report()["rules"]["statements"]["count"] == refused


def test_examined_rows() -> None:
    shadow = Shadow("crm", Observed(limits={"examined_rows": 1000}), WIDE)
    for likely in (0.0, 1000.0, 1001.0, 1e9):
        shadow.examined(likely)
    assert shadow.report()["rules"]["examined_rows"] == {
        "proposed": 1000, "does": "refuse", "count": 2, "ms": 0, "most_ms": 0,
    }  # fmt: skip


def test_budgets_of_a_query_are_told_once_for_each() -> None:
    shadow = Shadow("crm", Observed(limits={"query": QueryLimits(rows=10, bytes=None, time=1.0)}), WIDE)
    for name, rows, seconds in (("a", 6, 0.4), ("b", 10, 0.4), ("a", 6, 0.4), ("a", 6, 0.4), ("c", 0, 2.0)):
        shadow.query(name, seconds, rows, 8 * rows)
    rules = shadow.report()["rules"]
    assert {rule: told["count"] for rule, told in rules.items()} == {"query.rows": 1, "query.time": 2}
    assert rules["query.rows"]["proposed"] == 10


@given(st.lists(st.tuples(st.sampled_from([0.5, 1.0, 4.0]), st.sampled_from("abc")), max_size=40), st.integers(1, 9))
@settings(max_examples=20)
def test_ttl(reads: list[tuple[float, str]], ttl: int) -> None:
    now = 1000.0
    cache = ResultCache(1 << 20, clock=lambda: now, jitter=0.0)
    shadow = Shadow("crm", Observed(ttl=float(ttl)), WIDE, lambda: now)
    hits = 0

    async def work() -> None:
        nonlocal now, hits

        async def value() -> str:
            return "rows"

        for gap, key in reads:
            now += gap
            hits += (await cache.get_or_run(key, Keep(float(ttl)), value, len)).how == "hit"
            shadow.read(key, True, 0.0)

    asyncio.run(work())
    assert shadow.report()["rules"]["ttl"]["count"] == hits


def test_ttl_counts_what_it_would_have_saved_and_forgets() -> None:
    now = 0.0
    shadow = Shadow("crm", Observed(ttl=1e9), WIDE, lambda: now)
    for _ in range(3):
        shadow.read("a", True, 40.0)
        now += 1
    shadow.read("a", False, 40.0)
    told = shadow.report()["rules"]["ttl"]
    assert (told["count"], told["ms"], told["does"]) == (2, 80.0, "cached"), "an answer at hand saves nothing more"
    for number in range(KEYS + 5):
        shadow.read(number, True, 1.0)
    assert len(shadow._read_at) == KEYS


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 6.0]), st.booleans()), max_size=60))
@settings(max_examples=50)
def test_breaker(ends: list[tuple[float, bool]]) -> None:
    now = 1000.0
    rules = catalog.Breaker(failures=3, window=20.0, pause=5.0)
    enforced = Breaker("crm", rules, lambda: now, WIDE.timeout, spread=lambda: 0.0)
    shadow = Shadow("crm", Observed(breaker=rules), WIDE, lambda: now)
    assert shadow.breaker is not None
    shadow.breaker.spread = lambda: 0.0
    refused = 0
    for gap, fails in ends:
        now += gap
        error = DOWN if fails else None
        shadow.ended(shadow.begun(now), 0.0, 0, 0, error)
        if enforced.refuse() is not None:
            refused += 1
        else:
            enforced.done(error, enforced.admitted())
    told = shadow.report()["rules"]["breaker"]
    assert (told["count"], told["state"], told["opened"]) == (refused, enforced.state, enforced.transitions["open"])


def test_breaker_at_a_gate() -> None:
    asks = [Ask(0.1, 0.01, error=DOWN) for _ in range(10)]
    seen, shadow = load(asks, WIDE, Observed(breaker=catalog.Breaker(failures=4, pause=60.0)))
    assert shadow is not None and len(seen.waited) == 10, "a dry run changes nothing"
    told = shadow.report()["rules"]["breaker"]
    assert (told["count"], told["state"]) == (6, "open")
    assert told["why"].endswith("cannot connect")


def test_adaptive() -> None:
    now = 1000.0
    rules = catalog.Adaptive(slower=2.0)
    enforced = Adaptive(rules, 8)
    shadow = Shadow("crm", Observed(adaptive=rules, limits={"concurrency": 8}), WIDE, lambda: now)
    for number in range(200):
        now += 0.1
        took = 0.01 if number < 50 else 0.1
        shadow.measured("q", now, took, 8, 0.0)
        enforced.measured("q", now, took, enforced.most <= 8)
    told = shadow.report()["rules"]["adaptive"]
    assert (told["limit"], told["of"]) == (enforced.most, 8)
    assert told["least"] <= enforced.most < 8
    assert told["count"] > 0 and "times as long" in told["why"]


def test_a_time_out_of_the_source_s_own_counts_for_the_breaker() -> None:
    shadow = Shadow("crm", Observed(breaker=catalog.Breaker(failures=1)), WIDE)
    shadow.ended(shadow.begun(0.0), 1.0, 0, 0, timed_out("crm", 1.0))
    assert shadow.report()["rules"]["breaker"]["opened"] == 0, "the client was in a hurry"
    shadow.ended(shadow.begun(0.0), 1.0, 0, 0, timed_out("crm", WIDE.timeout))
    assert shadow.report()["rules"]["breaker"]["opened"] == 1


def test_it_goes_on_counting_until_its_rules_change() -> None:
    source = Source("crm", "sqlite", None, observe=Observed(ttl=5.0))
    shadow = after(None, source)
    assert shadow is not None
    assert after(shadow, replace(source, ttl=1.0)) is shadow
    assert after(shadow, replace(source, observe=Observed(ttl=6.0))) is not shadow
    assert after(shadow, replace(source, observe=None)) is None


def test_every_rule_says_what_it_does() -> None:
    everything = {name: getattr(Limits(), name) for name in Limits.__dataclass_fields__}
    everything |= {"rate": 1.0, "bytes": 1, "examined_rows": 1, "statements": 1, "query": QueryLimits(1, 1, 1.0)}
    shadow = Shadow("crm", Observed(everything, 1.0, catalog.Adaptive(), catalog.Breaker()), WIDE)
    assert set(shadow.report()["rules"]) == set(DOES)
