"""What owners allow: rows examined, statements, rows of an answer, filters; and how plans change to keep within it."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.project import Runtime, open_project
from connectors.errors import LimitExceeded, SourceError
from connectors.statistics import Estimate, TableStatistics
from federation.session import Session
from tests.folders import write
from views.catalog import Statistics

ROWS = 20_000
SESSION = Session("budgets")
VIEWS = {
    "v.few": ("guard: {max_rows: 10}", "select id, region from crm.customers"),
    "v.keyed": ("guard: {require_any_filter: [customer_id, placed]}", "select * from shop.orders where amount > 1"),
    "v.over": ("", "select customer_id as who, amount from v.keyed"),
    "v.filtered": ("", "select customer_id as who, amount from v.keyed where placed > 19000"),
}


def _database(path: Path, script: str, rows: Sequence[tuple[Any, ...]], table: str) -> None:
    with sqlite3.connect(path) as own:
        own.executescript(script)
        own.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    own.close()


def _project(folder: Path) -> Path:
    orders = [(i, i * 7 % 5000, i % 300, i % 20_000, ("open", "done")[i % 50 > 0]) for i in range(ROWS)]
    ddl = """CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id INTEGER, amount INTEGER NOT NULL, placed INTEGER,
      state TEXT) STRICT; CREATE INDEX by_customer ON orders (customer_id);
      CREATE INDEX unfinished ON orders (amount) WHERE state = 'open';"""
    for name in ("shop", "store"):
        _database(folder / f"{name}.db", ddl, orders, "orders")
    customers = [(i, ("north", "south")[i % 2]) for i in range(5000)]
    ddl = (
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, region TEXT) STRICT; CREATE INDEX r ON customers (region, id);"
    )
    _database(folder / "crm.db", ddl, customers, "customers")
    files = {
        "sources/crm.yml": "kind: sqlite\nconnection: {path: crm.db}\n",
        "sources/shop.yml": "kind: sqlite\nconnection: {path: shop.db}\n"
        "limits: {examined_rows: 5000, on_budget: error, statements: 2}\nstatistics: {refresh: 1s}\n",
        "sources/store.yml": "kind: sqlite\nconnection: {path: store.db}\nlimits: {examined_rows: 5000}\n",
    }
    for name, (header, query) in VIEWS.items():
        schema, view = name.split(".")
        files[f"views/{schema}/{view}.view.sql"] = f"/*---\nview: {name}\n{header}\n---*/\n{query}\n"
    return write(folder, files)


class World:
    def __init__(self, runner: asyncio.Runner, runtime: Runtime, folder: Path) -> None:
        self.runner, self.runtime, self.folder = runner, runtime, folder

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        async def ask() -> list[tuple[Any, ...]]:
            table = await (await self.runtime.engine.query(sql, SESSION)).table()
            return sorted(zip(*(column.to_pylist() for column in table.columns), strict=True), key=repr)

        return self.runner.run(ask())

    def refused(self, sql: str) -> LimitExceeded:
        with pytest.raises(LimitExceeded) as raised:
            self.rows(sql)
        assert raised.value.sqlstate == "53400"
        return raised.value

    def fragments(self, sql: str) -> list[str]:
        plan = self.runner.run(self.runtime.engine.prepare(sql, SESSION)).plan
        return ["".join(p if isinstance(p, str) else "?" for p in f.text.parts) for f in plan.fragments]


@contextmanager
def _entered(runner: asyncio.Runner, opened: AbstractAsyncContextManager[Runtime]) -> Iterator[Runtime]:
    yield runner.run(_enter(opened))
    runner.run(_leave(opened))


async def _enter(opened: AbstractAsyncContextManager[Runtime]) -> Runtime:
    return await opened.__aenter__()


async def _leave(opened: AbstractAsyncContextManager[Runtime]) -> None:
    await opened.__aexit__(None, None, None)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three SQLite files: `shop` refuses what is past its budget, `store` runs it slowly, `crm` has none."""
    folder = _project(tmp_path_factory.mktemp("budgets"))
    with asyncio.Runner() as runner, _entered(runner, open_project(folder)) as runtime:
        assert not runtime.diagnostics
        yield World(runner, runtime, folder)


def test_an_indexed_filter_is_within_the_budget(world: World) -> None:
    assert len(world.rows("SELECT id FROM shop.orders WHERE customer_id = 7")) == 4


def test_a_scan_past_the_budget_is_refused_with_what_would_avoid_it(world: World) -> None:
    error = world.refused("SELECT id FROM shop.orders WHERE placed < 3")
    assert error.message == "source shop would read 20,000 rows for one statement; its owner allows 5,000"
    assert error.detail == "no index serves what is asked of shop.orders, which has (id), (customer_id)"
    assert "limits.examined_rows in sources/shop.yml" in (error.hint or "")


def test_explain_tells_of_budgets_without_running(world: World) -> None:
    explain = world.runtime.engine.explain
    refused = world.runner.run(explain("SELECT id FROM shop.orders WHERE placed < 3", SESSION))
    assert "Refused when it is run: source shop would read 20,000 rows" in refused.text()
    assert refused.json()["refused"].startswith("source shop would read")
    slow = world.runner.run(explain("SELECT id FROM store.orders WHERE placed < 3", SESSION))
    assert "past limits.examined_rows: one such statement at a time" in slow.text()
    assert slow.json()["refused"] is None
    assert slow.json()["fragments"][0]["expected"]["sequential"] == ["store.orders"]


def test_where_the_owner_does_not_refuse_it_runs_and_is_told(world: World) -> None:
    assert world.rows("SELECT id FROM store.orders WHERE placed < 3") == [(0,), (1,), (2,)]


def test_explain_judges_where_the_estimate_leaves_it_open(world: World) -> None:
    """A partial index is not among those that we know of; SQLite's own plan uses it, and the query may run."""
    found = world.rows("SELECT id FROM shop.orders WHERE state = 'open' AND amount = 50")
    assert len(found) == sum(i % 50 == 0 and i % 300 == 50 for i in range(ROWS))
    assert world.rows("SELECT id FROM shop.orders WHERE state = 'open' AND amount = 100")  # known by now


def test_keys_of_the_small_side_keep_a_join_within_the_budget(world: World) -> None:
    sql = "SELECT o.id FROM crm.customers c JOIN shop.orders o ON o.customer_id = c.id WHERE c.id BETWEEN 3 AND 5"
    assert len(world.rows(sql)) == 12


def test_statements_of_one_query_are_counted(world: World) -> None:
    terms = ", ".join(f"(SELECT amount FROM shop.orders WHERE id = {i})" for i in range(3))
    error = world.refused("SELECT " + terms)
    assert error.message == "source shop would get 3 statements for one query; its owner allows 2"
    assert "limits.statements in sources/shop.yml" in (error.hint or "")


def test_rows_of_a_view_s_answer(world: World) -> None:
    error = world.refused("SELECT id FROM v.few")
    assert error.message == "the answer has more than 10 rows, which is what view v.few allows"
    assert "guard.max_rows in views/v/few.view.sql" in (error.hint or "")
    assert len(world.rows("SELECT id FROM v.few WHERE id < 10")) == 10
    assert world.rows("SELECT count(*) FROM v.few") == [(5000,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM v.keyed WHERE customer_id = 5",
        "SELECT * FROM (SELECT customer_id AS x, placed FROM v.keyed) k WHERE x IN (5, 6) OR placed > 19990",
        "SELECT k.id FROM v.keyed k JOIN crm.customers c ON c.id = k.customer_id WHERE c.id = 5",
        "WITH w AS (SELECT * FROM v.keyed) SELECT * FROM w WHERE customer_id < 2",
        "SELECT c.id FROM crm.customers c LEFT JOIN v.keyed k ON k.customer_id = c.id WHERE c.id = 5",
        "SELECT * FROM v.over WHERE who = 5",
        "SELECT 1 FROM crm.customers c WHERE c.id = 4 AND EXISTS (SELECT 1 FROM v.keyed k WHERE k.customer_id = c.id)",
    ],
)
def test_a_view_that_wants_a_filter_is_read_with_one(world: World, sql: str) -> None:
    world.runner.run(world.runtime.engine.prepare(sql, SESSION))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM v.keyed",
        "SELECT * FROM v.keyed WHERE amount = 5",
        "SELECT * FROM v.keyed WHERE customer_id = 5 OR amount = 3",
        "SELECT * FROM v.keyed WHERE customer_id IS NOT NULL",
        "SELECT k.id FROM v.keyed k LEFT JOIN crm.customers c ON c.id = k.customer_id AND c.id = 5",
        "SELECT count(*) FROM v.over",
        "SELECT 1 FROM crm.customers c WHERE EXISTS (SELECT 1 FROM v.keyed k WHERE k.customer_id = c.id)",
    ],
)
def test_without_a_filter_the_view_s_owner_refuses(world: World, sql: str) -> None:
    error = world.refused(sql)
    assert error.message == "view v.keyed may only be read with a filter on customer_id or placed"
    assert "guard.require_any_filter in views/v/keyed.view.sql" in (error.hint or "")


def test_a_filter_in_a_view_above_counts(world: World) -> None:
    world.runner.run(world.runtime.engine.prepare("SELECT * FROM v.filtered", SESSION))


QUERIES = (
    "SELECT o.id, c.region FROM crm.customers c JOIN store.orders o ON o.customer_id = c.id WHERE c.id < 40",
    "SELECT c.region, count(*) FROM crm.customers c LEFT JOIN store.orders o ON o.customer_id = c.id GROUP BY 1",
    "SELECT id FROM store.orders WHERE amount = 7 AND customer_id IN"
    " (SELECT id FROM crm.customers WHERE region = 'north')",
    "SELECT a.id FROM store.orders a JOIN crm.customers b ON a.customer_id = b.id JOIN store.orders d ON d.id = b.id"
    " WHERE b.region = 'south' AND d.amount < 3 ORDER BY a.id LIMIT 9",
    "SELECT customer_id, sum(amount) FROM store.orders WHERE id < 900 GROUP BY 1 HAVING count(*) > 1",
)


def test_lying_statistics_never_change_an_answer(world: World) -> None:
    engine = world.runtime.engine
    engine.statistician.learns = False
    truth, wanted = engine.catalog.statistics, [world.rows(sql) for sql in QUERIES]
    rng = random.Random(7)
    try:
        for turn in range(3):
            tables = {key: _lie(known, rng) for key, known in truth.tables.items()}
            engine.statistician.current = Statistics(tables, epoch=100 + turn)
            engine._inform()
            assert [world.rows(sql) for sql in QUERIES] == wanted
    finally:
        engine.statistician.current = replace(truth, epoch=200)
        engine.statistician.learns = True
        engine._inform()


def _lie(known: TableStatistics, rng: random.Random) -> TableStatistics:
    factor = 10.0 ** rng.uniform(-4, 4)

    def scaled(e: Estimate) -> Estimate:
        return Estimate.exactly(e.likely * factor)

    columns = {
        name: replace(c, nulls=rng.random(), distinct=scaled(c.distinct), low=None, high=None, buckets=())
        for name, c in known.columns.items()
    }
    return replace(known, rows=scaled(known.rows), columns=columns, sample=float("inf"))


def test_a_failed_refresh_keeps_what_was_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = world.runtime.engine
    before, version = engine.catalog.statistics.tables, engine.catalog.version

    def fail(*_: object) -> None:
        raise SourceError("gone for now")

    monkeypatch.setattr(engine.connectors["shop"], "statistics", fail)
    world.runner.run(engine.refresh_statistics())
    assert engine.catalog.statistics.tables["shop", "orders"] is before["shop", "orders"]
    assert engine.catalog.statistics.tables["crm", "customers"] is not before["crm", "customers"]
    assert engine.catalog.version == version


def test_plans_are_made_again_when_a_table_has_grown(world: World) -> None:
    """The version stays, so that results and shells stay; the epoch, by which plans are kept, grows."""
    engine = world.runtime.engine
    epoch, version = engine.catalog.statistics.epoch, engine.catalog.version
    world.runner.run(engine.refresh_statistics())
    assert engine.catalog.statistics.epoch == epoch, "nothing has changed"
    with sqlite3.connect(world.folder / "crm.db") as own:
        own.executemany("INSERT INTO customers VALUES (?, 'east')", [(i,) for i in range(5000, 40_000)])
    own.close()
    world.runner.run(engine.refresh_statistics(["crm"]))
    assert (engine.catalog.statistics.epoch, engine.catalog.version) == (epoch + 1, version)


def test_what_a_run_shows_is_known_to_the_next_plan(world: World) -> None:
    """`amount < 1` is a three-hundredth of the rows; the source keeps nothing of the column, a run tells."""
    engine = world.runtime.engine
    sql = "SELECT count(*) OVER () FROM (SELECT id FROM store.orders WHERE placed < 1000000) x"
    plan = world.runner.run(engine.prepare(sql, SESSION)).plan
    known = plan.fragments[0].expected.fingerprint
    assert known not in engine.catalog.statistics.measured
    world.rows(sql)
    assert engine.catalog.statistics.measured[known] == Estimate.exactly(ROWS)
    again = world.runner.run(engine.prepare(sql + " LIMIT 3", SESSION)).plan
    assert again.fragments[0].expected.rows.likely == ROWS
