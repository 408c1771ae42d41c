"""The ledger: its sums are those of the events, whatever is flushed when, written late, or lost with its writer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from federation.operations import ledger as ledger_module
from federation.operations.ledger import OTHER, Ledger
from federation.operations.ledger_store import NAME, Page, Record, Spent, Store
from federation.operations.masked import masked
from federation.operations.receipt import DRY_RUN, Receipt, visible
from federation.operations.system import Visitor
from views.catalog import Limits

SOURCES, VIEWS, USERS = ("crm", "erp"), ("crm.customers", "crm.customers, erp.orders"), ("ada", "bob")
SHAPES = st.tuples(
    st.sampled_from(SOURCES),
    st.sampled_from(VIEWS),
    st.sampled_from(USERS),
    st.sampled_from(("sql", "graphql")),
    st.sampled_from(("f1", "f2", "f3")),
    st.sampled_from(("lookup", "report")),
)


class Broken(Store):
    """A store that may fail: before anything is written, or in the middle."""

    fails = 0

    def add(self, page: Page) -> None:
        """As the real one, unless it is to fail."""
        if Broken.fails:
            Broken.fails -= 1
            with contextlib.suppress(sqlite3.Error):
                page.refused[0, ("no", "shape", "of", "that", "kind"), "x"] = "no number"  # type: ignore[index, assignment]
                try:
                    super().add(page)
                finally:
                    page.refused.popitem()
            raise sqlite3.OperationalError("database or disk is full")
        super().add(page)


class Ledgers(RuleBasedStateMachine):
    """Two servers write to one file; their clock is ours."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.now = 1_000_000.0
        self.store, ledger_module.Store = ledger_module.Store, Broken  # type: ignore[misc]
        self.ledgers = [self.opened() for _ in range(2)]
        self.fed: Counter[str] = Counter()
        self.ms = 0.0

    def opened(self) -> Ledger:
        return Ledger(Path(self.folder.name), clock=lambda: self.now)

    @rule(shape=SHAPES, at=st.sampled_from((0, 1)), rows=st.integers(0, 1000), ms=st.floats(0, 100), bad=st.booleans())
    def statement(self, shape: Any, at: int, rows: int, ms: float, bad: bool) -> None:
        self.ledgers[at].statement(shape, f"SELECT {shape[4]}", rows, rows * 8, ms, 1.0, bad, self.now)
        self.fed.update(statements=1, rows=rows, bytes=rows * 8, errors=int(bad), waited=1)
        self.ms += ms

    @rule(shape=SHAPES, at=st.sampled_from((0, 1)), how=st.sampled_from(("hit", "shared", "stale", "contained")))
    def saved(self, shape: Any, at: int, how: str) -> None:
        self.ledgers[at].saved(shape, "SELECT 1", how, 2.0)
        self.fed.update(saved=1, saved_ms=2)

    @rule(shape=SHAPES, at=st.sampled_from((0, 1)), why=st.sampled_from(("queue", "disabled")))
    def refused(self, shape: Any, at: int, why: str) -> None:
        self.ledgers[at].refused(shape, "SELECT 1", why)
        self.fed.update(refused=1)

    @rule(seconds=st.floats(0, 90))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(at=st.sampled_from((0, 1)))
    def flush(self, at: int) -> None:
        self.loop.run_until_complete(self.ledgers[at].flush())

    @rule(at=st.sampled_from((0, 1)), times=st.integers(1, 2))
    def flush_in_vain(self, at: int, times: int) -> None:
        Broken.fails = times
        for _ in range(times):
            self.loop.run_until_complete(self.ledgers[at].flush())
        Broken.fails = 0

    @rule(at=st.sampled_from((0, 1)))
    def restart(self, at: int) -> None:
        self.loop.run_until_complete(self.ledgers[at].close())
        self.ledgers[at] = self.opened()

    @invariant()
    def sums_are_those_of_the_events(self) -> None:
        first, second = self.ledgers
        self.loop.run_until_complete(first.flush())
        record = self.loop.run_until_complete(second.read(0, self.now + 60))
        total = Spent()
        for _, _, spent in record.spent:
            total.add(spent)
        for name in ("statements", "rows", "bytes", "errors", "waited", "saved", "saved_ms"):
            assert getattr(total, name) == self.fed[name], name
        assert total.ms == pytest.approx(self.ms)
        assert sum(count for *_, count in record.refused) == self.fed["refused"]

    def teardown(self) -> None:
        for one in self.ledgers:
            self.loop.run_until_complete(one.close())
        ledger_module.Store = self.store  # type: ignore[misc]
        self.loop.close()
        self.folder.cleanup()


Ledgers.TestCase.settings = settings(max_examples=25, stateful_step_count=25)
TestLedgers = Ledgers.TestCase

SHAPE = ("crm", "crm.customers", "ada", "sql", "f1", "lookup")
WRITER = """
import asyncio, sys, time
from pathlib import Path
from federation.operations.ledger import Ledger
SHAPE = ("crm", "v", "ada", "sql", "f1", "lookup")
async def main():
    ledger = Ledger(Path(sys.argv[1]))
    fed = 0
    while True:
        for _ in range(1000):
            ledger.statement(SHAPE, "SELECT 1", 2, 16, 1.0, 0.0, False, time.time())
        fed += 1000
        await ledger.flush()
        print(fed, flush=True)
asyncio.run(main())
"""


def read(folder: Path) -> Record:
    with contextlib.closing(Store(folder)) as store:
        return store.read(0, 1 << 40)


def test_a_killed_writer_loses_what_was_not_written_and_nothing_else(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().split()]
    found = sum(spent.statements for _, _, spent in read(tmp_path).spent)
    assert found in (told[-1], told[-1] + 1000)  # the last page may have been written, and not been told of
    assert sum(spent.rows for _, _, spent in read(tmp_path).spent) == 2 * found


def test_a_folder_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")

    async def work() -> Record:
        ledger = Ledger(tmp_path / "file" / "state")
        ledger.statement(SHAPE, "SELECT 1", 1, 8, 1.0, 0.0, False, 0.0)
        await ledger.flush()
        ledger.statement(SHAPE, "SELECT 1", 1, 8, 1.0, 0.0, False, 0.0)
        record = await ledger.read(0, 1 << 40)
        await ledger.close()
        return record

    assert sum(spent.statements for _, _, spent in asyncio.run(work()).spent) == 2
    assert len([one for one in caplog.records if "cannot be kept" in one.message]) == 1


def test_a_flush_that_is_cancelled_loses_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        ledger = Ledger(tmp_path, clock=lambda: 0.0)
        free = threading.Event()
        held = ledger._writer.submit(free.wait)
        for _ in range(3):
            ledger.statement(SHAPE, "SELECT 1", 1, 8, 1.0, 0.0, False, 0.0)
            flushing = asyncio.create_task(ledger.flush())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flushing
        free.set()
        await ledger.close()
        assert held.result()

    asyncio.run(work())
    assert sum(spent.statements for _, _, spent in read(tmp_path).spent) == 3


def test_old_minutes_go_and_what_belongs_to_them(tmp_path: Path) -> None:
    old, new = ("crm", "v", "ada", "sql", "old", "report"), ("crm", "v", "ada", "sql", "new", "report")
    with contextlib.closing(Store(tmp_path)) as store:
        texts = {"old": "SELECT 1", "new": "SELECT 2"}
        store.add(Page({(60, old): Spent(1), (6000, new): Spent(1)}, {(60, old, "queue"): 1}, texts))
        store.prune(6060, kept=3600)
        record = store.read(0, 1 << 40)
        assert [(minute, shape) for minute, shape, _ in record.spent] == [(6000, new)]
        assert (record.refused, record.texts) == ([], {"new": "SELECT 2"})
        store.add(Page({(6000 + 60 * n, new): Spent(1) for n in range(100)}))
        store.prune(12_000, kept=1e9, most=50)
        assert len(store.read(0, 1 << 40).spent) == 50
    with contextlib.closing(sqlite3.connect(tmp_path / NAME)) as connection:
        assert connection.execute("SELECT fingerprint FROM shape").fetchall() == [("new",)]


def test_too_many_fingerprints_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MOST_SHAPES", 10)

    async def work() -> Record:
        ledger = Ledger(None, clock=lambda: 0.0)
        for number in range(100):
            shape = ("crm", "v", "ada", "sql", f"f{number}", "report")
            ledger.statement(shape, "SELECT 1", 1, 8, 1.0, 0.0, False, 0.0)
            ledger.refused(shape, "SELECT 1", "queue")
        record = await ledger.read(0, 60)
        await ledger.close()
        return record

    record = asyncio.run(work())
    assert sum(spent.statements for _, _, spent in record.spent) == 100
    assert sum(count for *_, count in record.refused) == 100
    assert {shape[4] for _, shape, _ in record.spent} == {f"f{n}" for n in range(10)} | {OTHER}


def test_the_fastest_second_is_told() -> None:
    async def work() -> Record:
        ledger = Ledger(None, clock=lambda: 30.0, peaks=lambda: [("crm", 3, 7)])
        for at in (30.1, 30.9, 31.0, 31.1, 31.2, 32.0):
            ledger.statement(SHAPE, "SELECT 1", 1, 8, 1.0, 0.0, False, at)
        record = await ledger.read(0, 60)
        await ledger.close()
        return record

    ((_, source, peak),) = asyncio.run(work()).peaks
    assert (source, peak.in_flight, peak.waiting, peak.rate) == ("crm", 3, 7, 3)


# -- receipts


def record() -> Record:
    ada = Spent(statements=3, rows=30, bytes=240, ms=30.0, hits=1, saved_ms=10.0)
    bob = Spent(statements=1, rows=10, bytes=80, ms=90.0, errors=1)
    return Record(
        spent=[
            (60, ("crm", "crm.customers", "ada", "sql", "f1", "lookup"), ada),
            (120, ("crm", "crm.customers, crm.secret", "bob", "graphql", "f2", "report"), bob),
            (120, ("crm", "", "", "", "(sessions)", "session"), Spent(statements=2, ms=1.0)),
            (120, ("erp", "erp.orders", "ada", "sql", "f3", "report"), Spent(statements=7)),
        ],
        refused=[(60, ("crm", "crm.customers", "ada", "sql", "f1", "lookup"), "queue", 4)],
        texts={"f1": "SELECT c0 FROM customers WHERE id = $1", "f2": "SELECT 2"},
        peaks=[],
    )


def test_a_receipt_adds_up() -> None:
    told = Receipt.of(record(), "crm", 0, 3600, Limits(concurrency=2)).json()
    assert (told["total"]["statements"], told["total"]["rows"], told["total"]["errors"]) == (4, 40, 1)
    assert told["sessions"]["statements"] == 2
    assert told["saved"] == {"statements": 1, "ms": 10.0, "share": 0.2}
    assert told["refused"] == [{"why": "queue", "count": 4}]
    assert told["contract"]["limits"]["concurrency"] == 2
    assert [(one["user"], one["statements"]) for one in told["by_user"]] == [("bob", 1), ("ada", 3)]
    assert {one["view"]: one["statements"] for one in told["by_view"]} == {"crm.customers": 4, "crm.secret": 1}
    assert told["by_fingerprint"][1]["sql"] == "SELECT c0 FROM customers WHERE id = $1"
    for name in ("user", "fingerprint", "protocol", "kind"):
        assert sum(one["statements"] for one in told[f"by_{name}"]) == 4


def test_a_receipt_as_text() -> None:
    lines = Receipt.of(record(), "crm", 0, 3600, Limits(concurrency=2)).text().splitlines()
    assert lines[1].split() == "asked: 4 statements, 40 rows, 0.3 kB, 120.0 ms, waited 0.0 ms, 1 error".split()
    assert "  refused: 4; 4 queue" in lines
    assert "  at once:  2, used 0" in lines


def test_a_receipt_has_the_dry_run() -> None:
    rules = {
        "rate": {"proposed": 10.0, "does": "wait", "count": 3, "ms": 1500.0, "most_ms": 700.0},
        "adaptive": {
            "proposed": 2.0,
            "does": "limit",
            "count": 0,
            "ms": 0,
            "most_ms": 0,
            "limit": 3,
            "of": 4,
            "least": 1,
        },
    }
    told = [
        ("crm", DRY_RUN, "host:1", {"since": 60.0, "statements": 7, "rules": rules}),
        ("erp", DRY_RUN, "host:1", {}),
    ]
    made = Receipt.of(replace(record(), told=told), "crm", 0, 3600)
    assert [one["server"] for one in made.json()["dry_run"]] == ["host:1"]
    assert made.text().splitlines()[-2:] == [
        "  rate 10: 3 statements would have waited, 1.5 s in all, 700.0 ms at the most",
        "  adaptive: now 3 at once of 4, at the least 1",
    ]


def test_what_others_may_know_of_a_receipt() -> None:
    seen = visible(record(), Visitor("eve", False, ("crm.customers",)))
    assert [(shape[1], shape[2]) for _, shape, _ in seen.spent] == [("crm.customers", "")]
    assert seen.texts == {"f1": "SELECT c0 FROM customers WHERE id = $1"}
    assert [shape[2] for _, shape, *_ in seen.refused] == [""]
    assert [shape[1] for _, shape, _ in visible(record(), Visitor("bob", False, ())).spent] == [
        "crm.customers, crm.secret"
    ]
    assert visible(record(), Visitor("root")) == record()


# -- texts


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("SELECT 'x', 1, 2.5e3 FROM t1 WHERE c0 = $1", "SELECT ?, ?, ? FROM t1 WHERE c0 = $1"),
        ("SELECT E'a\\'b', 'c' FROM t", "SELECT E? FROM t"),
        ("SELECT $$secret$$, $tag$secret$tag$ FROM t", "SELECT ? FROM t"),
        ("SELECT a -- secret's\nFROM t /* 'secret' */", "SELECT a FROM t"),
        ("SELECT '--', \"a 1\", `b 2` FROM t", 'SELECT ?, "a 1", `b 2` FROM t'),
        ("SELECT 'secret", "SELECT ?"),
        ("SELECT date '2020-01-01', X'00ff', N'secret'", "SELECT date ?, ?, ?"),
    ],
)
def test_texts_without_values(sql: str, told: str) -> None:
    assert masked(sql) == told
    assert "secret" not in told
