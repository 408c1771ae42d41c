"""The adaptive limit against a source made of arithmetic: it backs off, comes back, and is not fooled."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Pressure
from federation.gate.adaptive import Adaptive
from views.catalog import Adaptive as Rules

RULES = Rules(lag=2.0, running=10)


def ran(
    adaptive: Adaptive, seconds: float, begin: float, latency: Callable[[str, int, float], float], busy: bool = True
) -> list[int]:
    """Run statements back to back, as many at once as are allowed; the limits that were in force."""
    spread = random.Random(7)
    now, flying, limits = begin, list[tuple[float, float, str]](), []
    while now < begin + seconds:
        while len(flying) < (adaptive.most if busy else 1):
            shape = spread.choice(("key", "key", "key", "report"))
            took = latency(shape, len(flying) + 1, now) * spread.uniform(0.9, 1.3)
            heapq.heappush(flying, (now + took, now, shape))
        now, started, shape = heapq.heappop(flying)
        adaptive.measured(shape, started, now - started, len(flying) + 1 >= adaptive.most)
        limits.append(adaptive.most)
    return limits


def steady(shape: str, _at_once: int, _now: float) -> float:
    return 0.002 if shape == "key" else 0.4


def test_a_mix_of_fast_and_slow_statements_changes_nothing() -> None:
    adaptive = Adaptive(RULES, 8)
    assert set(ran(adaptive, 60, 0, steady)) == {8}
    assert (adaptive.why, adaptive.cuts) == ("", 0)


def test_it_backs_off_while_the_source_is_slow_and_comes_back() -> None:
    adaptive = Adaptive(RULES, 8)
    ran(adaptive, 20, 0, steady)
    slow = ran(adaptive, 20, 20, lambda *a: steady(*a) * 8 + 0.05)
    assert slow[-1] == 1
    assert "times as long as usual" in adaptive.why
    ran(adaptive, 60, 40, steady)
    assert (adaptive.most, adaptive.why) == (8, "")


def test_it_finds_how_much_a_source_bears() -> None:
    """Past three at once each one more makes all of them slower: the limit stays near that."""

    def crowded(shape: str, at_once: int, now: float) -> float:
        return steady(shape, at_once, now) * max(1.0, at_once / 3) ** 3 + 0.02

    adaptive = Adaptive(RULES, 16)
    adaptive.limit = 1.0
    limits = ran(adaptive, 300, 0, crowded)[-2000:]
    assert 2 <= sum(limits) / len(limits) <= 6


def test_a_source_that_stays_slower_is_learned() -> None:
    adaptive = Adaptive(RULES, 4)
    ran(adaptive, 20, 0, steady)
    ran(adaptive, 7200, 20, lambda *a: steady(*a) + 0.03)
    assert adaptive.most == 4


def test_a_source_that_is_not_pressed_by_us_is_not_probed_upward() -> None:
    adaptive = Adaptive(RULES, 8)
    adaptive.limit = 2.0
    ran(adaptive, 60, 0, steady, busy=False)
    assert adaptive.most == 2


def test_idle_changes_nothing() -> None:
    adaptive = Adaptive(RULES, 8)
    ran(adaptive, 10, 0, steady)
    adaptive.failed(10.0, 10.1)
    before = adaptive.limit
    adaptive.measured("key", 10_000.0, 0.002, True)
    adaptive.measured("key", 20_000.0, 9.0, True)  # one after hours: it says little, and is not learned
    assert adaptive.limit == before
    assert adaptive._best["key"].seconds < 0.2


def test_errors_cut_it_by_half_once_for_all_that_ran_before() -> None:
    adaptive = Adaptive(RULES, 8)
    for _ in range(5):
        adaptive.failed(1.0, 2.0)
    assert (adaptive.most, adaptive.why) == (4, "statements fail")
    adaptive.failed(2.5, 3.0)
    assert adaptive.most == 2


def test_our_own_lag_is_not_the_source_s() -> None:
    adaptive = Adaptive(RULES, 8)
    for i in range(400):
        adaptive.measured("key", i * 0.1, 0.001, True)
    for i in range(400):
        adaptive.measured("key", 100 + i * 0.1, 0.001 + (0.02, 0.05, 0.07)[i % 3], True, lag=0.05)
    assert adaptive.most == 8


@pytest.mark.parametrize(
    ("pressure", "why"),
    [(Pressure(lag=2.1), "lags by 2.1 s"), (Pressure(0.0, 11), "11 statements of others run there")],
)
def test_pressure_takes_it_to_the_least_at_once_and_back_step_by_step(pressure: Pressure, why: str) -> None:
    adaptive = Adaptive(RULES, 4)
    adaptive.read(Pressure(2.0, 10), 0.0, True)
    assert adaptive.most == 4
    adaptive.read(pressure, 1.0, True)
    assert adaptive.most == 1
    assert why in adaptive.why
    for i in range(64):  # answers as fast as ever do not raise it while the source says so
        adaptive.measured("key", 1.5 + i / 100, 0.001, True)
    assert adaptive.most == 1
    for second, most in ((2.0, 2), (3.0, 3), (4.0, 4)):
        adaptive.read(Pressure(0.0, 0), second, True)
        assert adaptive.most == most
    assert adaptive.why == ""


def test_switched_off_it_is_the_owner_s() -> None:
    adaptive = Adaptive(Rules(enabled=False, lag=1.0), 4)
    adaptive.read(Pressure(lag=99.0), 0.0, True)
    adaptive.failed(0.0, 1.0)
    assert adaptive.most == 4


@given(
    st.integers(1, 12),
    st.integers(1, 12),
    st.lists(
        st.tuples(st.sampled_from(["ok", "failed", "lag", "fine", "resize"]), st.floats(0.0001, 50.0), st.booleans()),
        max_size=200,
    ),
)
def test_it_is_never_above_the_owner_s_nor_below_the_least(
    cap: int, least: int, events: list[tuple[str, float, bool]]
) -> None:
    rules = Rules(least=least, lag=1.0)
    adaptive, now = Adaptive(rules, cap), 0.0
    for what, seconds, used in events:
        now += seconds
        if what == "ok":
            adaptive.measured(f"{int(seconds) % 3}", now - seconds, seconds, used)
        elif what == "failed":
            adaptive.failed(now - seconds, now)
        elif what == "resize":
            cap = 1 + int(seconds) % 12
            adaptive.resize(rules, cap)
        else:
            adaptive.read(Pressure(lag=99.0 if what == "lag" else 0.0), now, used)
        assert min(least, cap) <= adaptive.most <= cap
        assert (adaptive.most == cap) or adaptive.why
