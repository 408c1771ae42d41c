"""The gate: the owner's limits hold, nobody is forgotten, no place is lost, whatever is cancelled when."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator

import pyarrow as pa
import pytest
import uvloop
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from connectors.errors import LimitExceeded, SourceError
from federation.gate.gate import Gate
from federation.gate.permit import Permit, Wish
from views.catalog import Limits, QueryLimits


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


def batches(*sizes: int) -> Iterator[pa.RecordBatch]:
    for size in sizes:
        yield pa.record_batch({"c0": pa.array(range(size), pa.int64())})


def test_the_row_limit_stops_the_stream_at_once_and_says_what_to_do() -> None:
    gate = Gate("crm", Limits(rows=5))
    source = batches(3, 2, 1, 100)
    rows = Permit(gate).counted(source)
    assert [next(rows).num_rows, next(rows).num_rows] == [3, 2]
    with pytest.raises(LimitExceeded) as caught:
        next(rows)
    assert caught.value.sqlstate == "53400"
    assert "source crm" in caught.value.message
    assert "5 rows" in caught.value.message
    assert "sources/crm.yml" in str(caught.value.hint)
    assert list(source) == [], "the source's own stream was closed"


def test_closing_a_counted_stream_closes_the_source() -> None:
    source = batches(1, 1, 1)
    rows = Permit(Gate("crm", Limits())).counted(source)
    next(rows)
    rows.close()
    assert list(source) == []


def test_waiting_past_the_deadline_names_source_and_limit() -> None:
    async def run() -> None:
        gate = Gate("crm", Limits(concurrency=2))
        permits = [await gate.enter(), await gate.enter()]
        with pytest.raises(LimitExceeded, match="source crm runs at most 2 statements at once") as caught:
            await gate.enter(Wish(asyncio.get_running_loop().time()))
        assert caught.value.sqlstate == "57014"
        assert gate.load.waiting == 0
        permits[0].leave()
        permits[0].leave()  # twice: counts once
        assert gate.load.in_flight == 1
        await gate.enter(Wish(asyncio.get_running_loop().time() + 60))

    asyncio.run(run())


def test_counters() -> None:
    async def run() -> None:
        gate = Gate("crm", Limits(concurrency=1))
        permit = await gate.enter()
        assert (gate.load.in_flight, gate.load.statements) == (1, 1)
        list(permit.counted(batches(3, 4)))
        permit.leave(SourceError("down"))
        assert (gate.load.in_flight, gate.load.rows, gate.load.errors) == (0, 7, 1)
        assert gate.load.ms > 0

    asyncio.run(run())


def test_a_rate_under_the_servers_own_loop() -> None:
    """uvloop rounds moments to milliseconds: one that is nearer is a callback, without a time of its own."""

    async def run() -> int:
        gate = Gate("crm", Limits(concurrency=4, rate=2_000, burst=1))

        async def one() -> None:
            permit = await gate.enter()
            await asyncio.sleep(0)
            permit.leave()

        await asyncio.gather(*(one() for _ in range(200)))
        return gate.load.statements

    assert uvloop.run(run()) == 200


class GateMachine(RuleBasedStateMachine):
    """The model is a queue: who is inside, who waits in which order."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.gate = Gate("crm", Limits(concurrency=2))
        self.inside: list[asyncio.Task[Permit]] = []
        self.queue: deque[asyncio.Task[Permit]] = deque()

    def teardown(self) -> None:
        for task in self.queue:
            task.cancel()
        self.spin()
        assert self.gate.load.waiting == 0
        self.loop.close()

    def spin(self) -> None:
        self.loop.run_until_complete(settle())

    def admit(self) -> None:
        while self.queue and len(self.inside) < self.gate.limits.concurrency:
            self.inside.append(self.queue.popleft())

    @rule()
    def enter(self) -> None:
        self.queue.append(self.loop.create_task(self.gate.enter()))
        self.spin()
        self.admit()

    @rule()
    def enter_too_late(self) -> None:
        task = self.loop.create_task(self.gate.enter(Wish(self.loop.time() - 1)))
        self.spin()
        if not self.queue and len(self.inside) < self.gate.limits.concurrency:
            self.inside.append(task)
        else:
            assert isinstance(task.exception(), LimitExceeded)

    @rule(which=st.integers(0, 10))
    def leave(self, which: int) -> None:
        if self.inside:
            self.inside.pop(which % len(self.inside)).result().leave()
            self.spin()
            self.admit()

    @rule(which=st.integers(0, 10))
    def vanish(self, which: int) -> None:
        if self.queue:
            task = self.queue[which % len(self.queue)]
            self.queue.remove(task)
            task.cancel()
            self.spin()
            assert task.cancelled()

    @rule(which=st.integers(0, 10))
    def vanish_as_the_turn_comes(self, which: int) -> None:
        """The place is handed over and, before the task has run, the task is cancelled."""
        if self.inside and self.queue:
            leaver = self.inside.pop(which % len(self.inside))
            room = len(self.inside) < self.gate.limits.concurrency
            leaver.result().leave()
            if room:
                heir = self.queue.popleft()
                heir.cancel()
                self.spin()
                assert heir.cancelled()
            self.spin()
            self.admit()

    @rule(places=st.integers(1, 4))
    def resize(self, places: int) -> None:
        self.gate.resize(Limits(concurrency=places))
        self.spin()
        self.admit()

    @invariant()
    def as_the_model_says(self) -> None:
        assert self.gate.load.in_flight == len(self.inside)
        assert self.gate.load.waiting == len(self.queue)
        assert all(task.done() for task in self.inside), "a lost wake-up"
        assert not any(task.done() for task in self.queue), "one too many"


GateMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestGateMachine = GateMachine.TestCase


def test_work_that_others_may_wait_for_is_not_given_up_at_one_deadline() -> None:
    async def run() -> None:
        gate = Gate("crm", Limits(concurrency=1))
        now = asyncio.get_running_loop().time()
        first = await gate.enter()
        shared = asyncio.create_task(gate.enter(Wish(now + 0.01, shared=True)))
        with pytest.raises(LimitExceeded):
            await gate.enter(Wish(now + 0.01))
        assert not shared.done()
        first.leave()
        (await shared).leave()
        assert gate.load.in_flight == gate.load.waiting == 0

    asyncio.run(run())


@pytest.mark.parametrize(
    ("limits", "told", "where"),
    [
        (Limits(bytes=100), "more than 100 bytes for one statement", "limits.bytes in"),
        (Limits(rows=50, query=QueryLimits(rows=10)), "more than 10 rows for one query", "limits.query.rows in"),
        (Limits(bytes=90, query=QueryLimits(bytes=80)), "more than 80 bytes for one query", "limits.query.bytes in"),
    ],
)
def test_budgets_of_one_statement_and_of_its_query(limits: Limits, told: str, where: str) -> None:
    with pytest.raises(LimitExceeded, match=told) as caught:
        list(Permit(Gate("crm", limits)).counted(batches(5, 5, 50)))
    assert caught.value.sqlstate == "53400"
    assert where in str(caught.value.hint)
