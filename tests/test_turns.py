"""Whose turn it is: lookups first, nothing starves, one tenant's crowd does not hold up another, deadlines count."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.gate.pace import Pace
from federation.gate.turns import WEIGHTS, Entry, Lane, Turns
from views.catalog import Limits

LANES: tuple[Lane, ...] = tuple(WEIGHTS)
lanes, tenants = st.sampled_from(LANES), st.sampled_from(["ann", "bob", "cid"])


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def entry(loop: asyncio.AbstractEventLoop, lane: Lane = "report", tenant: str = "ann", due: float = 0.0) -> Entry:
    return Entry(lane, tenant, due, loop.create_future())


def served(turns: Turns, count: int) -> list[Entry]:
    out = []
    for _ in range(count):
        found = turns.peek(lambda _lane: True)
        assert found is not None
        turns.take(found)
        out.append(found)
    return out


def test_a_tenant_with_a_thousand_does_not_hold_up_one_with_one(loop: asyncio.AbstractEventLoop) -> None:
    turns = Turns()
    for _ in range(1000):
        turns.add(entry(loop, tenant="crowd"))
    turns.add(entry(loop, tenant="one"))
    assert "one" in [found.tenant for found in served(turns, 2)]
    turns.add(entry(loop, tenant="one"))
    assert "one" in [found.tenant for found in served(turns, 2)]


def test_kinds_share_by_weight_and_lookups_go_first(loop: asyncio.AbstractEventLoop) -> None:
    turns = Turns()
    for lane in reversed(LANES):
        for _ in range(500):
            turns.add(entry(loop, lane))
    assert served(turns, 1)[0].lane == "lookup"
    counts = Counter(found.lane for found in served(turns, 10 * sum(WEIGHTS.values())))
    for lane, weight in WEIGHTS.items():
        assert abs(counts[lane] - 10 * weight) <= 2


def test_of_one_tenant_s_the_earliest_deadline_goes_first(loop: asyncio.AbstractEventLoop) -> None:
    turns = Turns()
    for due in (5.0, 1.0, 3.0, 1.0):
        turns.add(entry(loop, due=due))
    order = served(turns, 4)
    assert [found.due for found in order] == [1.0, 1.0, 3.0, 5.0]
    assert order[0].number < order[1].number


def test_a_lane_that_could_not_move_catches_up_a_little_only(loop: asyncio.AbstractEventLoop) -> None:
    turns = Turns()
    for _ in range(300):
        turns.add(entry(loop, "report"))
        turns.add(entry(loop, "extract"))
    for _ in range(200):
        found = turns.peek(lambda lane: lane != "extract")
        assert found is not None
        turns.take(found)
    assert Counter(found.lane for found in served(turns, 10))["report"] >= 4


@given(
    st.lists(st.tuples(lanes, tenants), max_size=60),
    st.lists(st.tuples(st.integers(0, 3), lanes, tenants), max_size=120),
)
def test_nobody_who_waits_is_passed_over_for_long(
    first: list[tuple[Lane, str]], events: list[tuple[int, Lane, str]]
) -> None:
    loop = asyncio.new_event_loop()
    turns, waiting = Turns(), list[Entry]()
    passed: dict[tuple[Lane, str], Counter[str]] = {}
    for lane, tenant in first:
        waiting.append(entry(loop, lane, tenant))
        turns.add(waiting[-1])
    for what, lane, tenant in events:
        if what == 0 and waiting:
            gone = waiting.pop(len(waiting) // 2)
            assert turns.remove(gone)
            assert not turns.remove(gone)
        elif what == 1:
            waiting.append(entry(loop, lane, tenant))
            turns.add(waiting[-1])
        else:
            found = turns.peek(lambda _lane: True)
            assert (found is None) == (not waiting)
            if found is not None:
                turns.take(found)
                waiting.remove(found)
                for other in {(one.lane, one.tenant) for one in waiting} - {(found.lane, found.tenant)}:
                    passed.setdefault(other, Counter())[f"{found.lane} {found.tenant}"] += 1
                passed.pop((found.lane, found.tenant), None)
        still = {(one.lane, one.tenant) for one in waiting}
        passed = {key: counts for key, counts in passed.items() if key in still}
        for (own, _), counts in passed.items():
            inside = {who: n for who, n in counts.items() if who.split()[0] == own}
            assert max(inside.values(), default=0) <= 1, "a tenant had two turns while another of its lane waited"
            most = 3 * (sum(WEIGHTS.values()) / WEIGHTS[own] + len(LANES)) + 3 * max(WEIGHTS.values())
            assert counts.total() <= most, "a lane starves"
        assert turns.size == len(waiting)
    loop.close()


@given(st.lists(st.tuples(tenants, st.floats(0, 9)), max_size=40), tenants, st.floats(0, 9))
def test_how_many_go_before_is_never_more_than_all(given: list[tuple[str, float]], tenant: str, due: float) -> None:
    loop = asyncio.new_event_loop()
    turns = Turns()
    for other, at in given:
        turns.add(entry(loop, tenant=other, due=at))
    before = turns.before("report", tenant, due)
    own = sum(1 for other, at in given if other == tenant and at <= due)
    assert own <= before <= len(given)
    mine = entry(loop, tenant=tenant, due=due)
    turns.add(mine)
    assert served(turns, len(given) + 1).index(mine) <= before + len({other for other, _ in given})
    loop.close()


@given(
    st.floats(0.5, 500),
    st.one_of(st.none(), st.integers(1, 50)),
    st.floats(0.1, 1.0),
    st.lists(st.floats(0, 3), max_size=150),
)
def test_a_pace_is_kept_over_any_time(rate: float, burst: int | None, share: float, gaps: list[float]) -> None:
    limits = Limits(rate=rate, burst=burst, share=share)
    pace = Pace.of(limits)
    assert pace is not None
    arrival, now, went = 0.0, 50.0, list[float]()
    for gap in gaps:
        now += gap / rate
        arrival, wait = pace.take(arrival, now)
        if wait:
            now += wait
            arrival, again = pace.take(arrival, now)
            assert again < 1e-6, "it was told a time at which it may not go"
        went.append(now)
    most = max((rate if burst is None else burst) * share, 1.0)
    for i, begin in enumerate(went):
        for j in range(i, len(went)):
            assert j - i + 1 <= most + (went[j] - begin) * rate * share + 1e-3


def test_a_pace_that_was_slower_before_does_not_hold_up_a_faster_one() -> None:
    slow, fast = Pace.of(Limits(rate=0.001)), Pace.of(Limits(rate=10.0, burst=1))
    assert slow is not None
    assert fast is not None
    arrival, _ = slow.take(0.0, 100.0)
    _, wait = fast.take(arrival, 100.0)
    assert wait <= 0.1 + 1e-9
