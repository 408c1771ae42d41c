"""The engine: a query's whole life over two real sources, the real canon and the real planner."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from cache.results import ResultCache
from connectors.base import Bound, Cancel
from connectors.errors import LimitExceeded, QueryError, SourceError
from connectors.types import PgType
from federation import fetch, merge
from federation.answer import Answer
from federation.canon import residual
from federation.canon.analyse import Analyser
from federation.canon.server import Canon
from federation.canon.shell import install
from federation.duck import Duck, MergeLimits
from federation.engine import Engine
from federation.merge import Merged
from federation.result import Result
from federation.session import Session
from federation.steps import Fetched
from federation.terms import is_volatile
from planner.planner import plan
from tests.sources import Tapped, int8, sqlite, wait_for
from views.catalog import Catalog, Limits, Source, SourceTable, View

ANN = Session("ann")
JOIN = """SELECT c.name, count(*) AS orders, sum(o.amount) AS total FROM crm.customers c
          JOIN erp.orders o ON o.customer_id = c.id WHERE c.id <= {} GROUP BY c.name ORDER BY c.name"""
CRM = """CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)
         INSERT INTO customers SELECT i, 'name ' || i FROM n;"""
ERP = """CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id BIGINT NOT NULL, amount BIGINT);
         CREATE INDEX by_customer ON orders (customer_id);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000)
         INSERT INTO orders SELECT i, 1 + i % 3000, i FROM n;"""


class World:
    """Two tapped sources under one engine, and how often each was asked."""

    def __init__(self, folder: Path, canon: Canon, ttl: float) -> None:
        self.crm = Tapped(sqlite(folder, "crm", CRM))
        self.erp = Tapped(sqlite(folder, "erp", ERP))
        self.canon, self.ttl = canon, ttl
        self.analyser = Analyser(canon)
        self.mergers = residual.Mergers(canon)
        self.merges = 0
        self.catalog = self.cataloged("1")

    def cataloged(self, version: str, **of_view: object) -> Catalog:
        connectors = {"crm": self.crm, "erp": self.erp}
        sources = {
            name: Source(name, "sqlite", connector.profile(), Limits(), self.ttl, {"kind": "live"})
            for name, connector in connectors.items()
        }
        tables = {
            (name, table.name): SourceTable(
                name, table.name, tuple((c.name, c.type) for c in table.columns), table=table
            )
            for name, connector in connectors.items()
            for table in connector.tables()
        }
        known = Catalog(sources, tables, {}, version + str(id(self)))
        view = View("sales", "big", tables["erp", "orders"].columns, query="", text=BIG, depends=(("erp", "orders"),))
        return replace(known, views={view.key: replace(view, **of_view)})  # type: ignore[arg-type]

    async def in_canon(
        self, plan: object, tables: Mapping[int, pa.Table], params: Sequence[Bound], session: Session, cancel: Cancel
    ) -> AsyncGenerator[pa.RecordBatch, None]:
        self.merges += 1
        async for batch in residual.run(self.mergers, plan, tables, params, session, cancel):  # type: ignore[arg-type]
            yield batch

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.crm.asked), len(self.erp.asked)


BIG = "SELECT orders.id, orders.customer_id, orders.amount FROM erp.orders orders WHERE orders.amount > 0"


@asynccontextmanager
async def engine(folder: Path, canon: Canon, ttl: float = 60, **of_view: object) -> AsyncIterator[tuple[Engine, World]]:
    world = World(folder, canon, ttl)
    world.catalog = world.cataloged("1", **of_view)
    install(canon.dsn(), world.catalog)
    await world.analyser.start()
    made = Engine(
        catalog=world.catalog,
        connectors={"crm": world.crm, "erp": world.erp},
        canon=canon,
        analyser=world.analyser,
        plan=plan,
        in_canon=world.in_canon,
        cache=ResultCache(64 << 20),
        duck=Duck(MergeLimits()),
    )
    try:
        yield made, world
    finally:
        world.crm.gate.set()
        world.erp.gate.set()
        await made.close()
        await world.mergers.close()
        await world.analyser.close()


async def rows(result: Result) -> list[tuple[object, ...]]:
    table = await result.table()
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True)) if table.num_columns else []


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, condition)


def test_one_source_streams(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            sql = "SELECT id AS number, id FROM crm.customers WHERE id IN (2, 5)"
            result = await made.query(sql, ANN)
            assert (result.engine, result.cached) == ("stream", False)
            assert sorted(await rows(result)) == [(2, 2), (5, 5)]
            assert [name for name, _ in result.columns] == ["number", "id"]
            (part,) = result.parts
            assert (part.source, part.rows, part.cache, part.ttl) == ("crm", 2, "miss", 60)
            again = await made.query(sql, ANN)
            assert (again.cached, again.parts[0].read_at) == (True, part.read_at)
            assert world.asked == (1, 0)

    asyncio.run(run())


def test_two_sources_are_merged_kept_and_dated(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            first = await made.query(JOIN.format(2), ANN)
            expected = [("name 1", 2, "9000"), ("name 2", 2, "3002")]
            assert await rows(first) == expected
            assert (first.engine, first.cached) == ("canon", False)
            assert {part.source for part in first.parts} == {"crm", "erp"}
            merges, asked = world.merges, world.asked
            again = await made.query(JOIN.format(2), ANN)
            assert await rows(again) == expected
            assert (again.cached, {part.cache for part in again.parts}) == (True, {"hit"})
            assert [part.read_at for part in again.parts] == [part.read_at for part in first.parts]
            assert (world.merges, world.asked) == (merges, asked)

    asyncio.run(run())


def test_what_makes_an_answer_another_one(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            sql = JOIN.format("$1")
            prepared = await made.prepare(sql, ANN)
            assert await made.prepare(sql, ANN) is prepared

            async def cached(params: list[Bound], session: Session) -> bool:
                result = await made.run(prepared, params, session, Cancel())
                await rows(result)
                return result.cached

            assert not await cached([int8(2)], ANN)
            assert await cached([int8(2)], ANN)
            assert not await cached([int8(3)], ANN)
            assert not await cached([int8(2)], Session("bob"))
            assert not await cached([int8(2)], Session("ann", {"TimeZone": "Europe/Paris"}))
            assert await cached([int8(2)], Session("ann", timeout=5))
            with pytest.raises(QueryError, match="supplies 0 parameters, but the statement requires 1"):
                await made.run(prepared, [], ANN, Cancel())
            assert world.asked[0] >= 2

    asyncio.run(run())


@pytest.mark.parametrize("function", ["random() > 2", "now() IS NULL", "clock_timestamp() IS NULL"])
def test_what_answers_differently_each_time_is_not_kept(tmp_path: Path, canon: Canon, function: str) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            sql = f"SELECT count(*), {function} AS f FROM crm.customers c JOIN erp.orders o ON o.id = c.id"
            for _ in range(2):
                result = await made.query(sql, ANN)
                assert await rows(result) == [(3000, False)]
                assert not result.cached
            assert world.merges >= 2 or result.engine == "duckdb"

    asyncio.run(run())


def test_volatile_by_name() -> None:
    assert is_volatile("SELECT now() AS a")
    assert is_volatile("SELECT CURRENT_DATE AS a")
    assert not is_volatile("SELECT known, nowhere, current_user FROM a.random")


@pytest.mark.parametrize("ttl", [0, 60])
def test_a_hundred_clients_cost_one_statement_a_source(tmp_path: Path, canon: Canon, ttl: float) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon, ttl) as (made, world):
            await made.prepare(JOIN.format(2), ANN)
            world.crm.gate.clear()
            world.erp.gate.clear()
            tasks = [asyncio.create_task(made.query(JOIN.format(2), ANN)) for _ in range(100)]
            await until(lambda: world.crm.running + world.erp.running > 0)
            tasks[0].cancel()  # the one who asked first
            await asyncio.wait([tasks[0]])
            world.crm.gate.set()
            world.erp.gate.set()
            answers = await asyncio.gather(*tasks[1:])
            assert {tuple(await rows(answer)) for answer in answers} == {(("name 1", 2, "9000"), ("name 2", 2, "3002"))}
            assert (world.asked, world.merges) == ((1, 1), 1)
            assert {part.cache for answer in answers for part in answer.parts} == {"shared"}
            assert world.crm.stopped + world.erp.stopped == 0

    asyncio.run(run())


def test_when_all_have_left_the_sources_are_left_alone(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            world.crm.gate.clear()
            world.erp.gate.clear()
            cancel = Cancel()
            tasks = [asyncio.create_task(made.query(JOIN.format(2), ANN, cancel=cancel)) for _ in range(3)]
            await until(lambda: world.crm.running + world.erp.running > 0)
            tasks[0].cancel()
            cancel.fire()
            told = await asyncio.gather(*tasks, return_exceptions=True)
            assert isinstance(told[0], asyncio.CancelledError)
            assert [getattr(error, "sqlstate", "") for error in told[1:]] == ["57014"] * 2
            await until(lambda: world.crm.running + world.erp.running == 0)
            assert all(load.in_flight == 0 and load.waiting == 0 for load in made.loads.values())
            world.crm.gate.set()
            world.erp.gate.set()
            assert len(await rows(await made.query(JOIN.format(2), ANN))) == 2

    asyncio.run(run())


def test_the_deadline_is_the_session_s_or_the_view_s(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon, timeout=0.05) as (made, world):
            world.erp.gate.clear()
            with pytest.raises(LimitExceeded, match="statement timeout") as caught:
                await made.query("SELECT count(*) FROM sales.big", ANN)
            assert "view sales.big allows 0.05 s" in str(caught.value.detail)
            assert "source erp" in str(caught.value.detail)
            with pytest.raises(LimitExceeded) as caught:
                await made.query("SELECT count(*) FROM erp.orders", replace(ANN, timeout=0.02))
            assert "the session allows 0.02 s" in str(caught.value.detail)
            await until(lambda: world.erp.running == 0)

    asyncio.run(run())


def test_the_ttl_is_the_least_of_views_and_sources(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon, 60) as (made, world):
            await made.swap(world.cataloged("2", ttl=5.0), made.connectors)
            assert (await made.prepare("SELECT * FROM sales.big", ANN)).terms.ttl == 5
            assert (await made.prepare("SELECT * FROM erp.orders", ANN)).terms.ttl == 60

    asyncio.run(run())


def test_an_error_of_a_source_is_told_and_not_kept(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, _):
            file = tmp_path / "erp.db"
            file.rename(tmp_path / "away")
            with pytest.raises(SourceError, match="erp"):
                await made.query(JOIN.format(2), ANN)
            (tmp_path / "away").rename(file)
            assert len(await rows(await made.query(JOIN.format(2), ANN))) == 2

    asyncio.run(run())


def test_a_large_merge_streams_and_an_early_close_frees_it(
    tmp_path: Path, canon: Canon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge, "HEAD", 1000)
    monkeypatch.setattr(fetch, "HEAD", 1000)

    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            sql = """SELECT c.name, o.id, reverse(c.name) FROM crm.customers c JOIN erp.orders o ON o.customer_id = c.id
                     CROSS JOIN generate_series(1, 20)"""
            results = await asyncio.gather(*(made.query(sql, ANN) for _ in range(2)))
            assert [len(await rows(result)) for result in results] == [120_000] * 2
            assert len(set(map(repr, world.erp.asked))) == len(world.erp.asked), "nothing was asked twice"
            assert world.asked[0] == 1
            result = await made.query(sql, ANN)
            await anext(result.batches)
            await result.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(result.batches)

    asyncio.run(run())


def test_a_reload_serves_the_new_and_lets_the_old_end(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            old = await made.prepare(JOIN.format(2), ANN)
            world.crm.gate.clear()
            running = asyncio.create_task(made.run(old, (), ANN, Cancel()))
            await until(lambda: world.crm.running == 1)
            crm = Tapped(sqlite(tmp_path, "crm2", CRM.replace("'name '", "'new '")))
            await made.swap(world.cataloged("2"), {"crm": crm, "erp": world.erp})
            fresh = await made.prepare(JOIN.format(2), ANN)
            assert fresh is not old
            assert [row[0] for row in await rows(await made.run(fresh, (), ANN, Cancel()))] == ["new 1", "new 2"]
            assert not world.crm.closed
            world.crm.gate.set()
            assert [row[0] for row in await rows(await running)] == ["name 1", "name 2"]
            await until(lambda: world.crm.closed)
            crm.gate.set()

    asyncio.run(run())


def test_without_any_source(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            result = await made.query("SELECT 1 + $1 AS n, 'x' AS t", ANN, [Bound(PgType("int4"), 2)])
            assert await rows(result) == [(3, "x")]
            assert (result.engine, result.parts, result.cached) == ("canon", [], False)
            assert world.asked == (0, 0)
            with pytest.raises(QueryError) as caught:
                await made.query("SELECT nonsense FROM crm.customers", ANN)
            assert (caught.value.sqlstate, caught.value.position) == ("42703", 8)

    asyncio.run(run())


def test_explain_tells_it_in_text_and_json(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            told = await made.explain(JOIN.format("$1"), ANN, [int8(2)])
            assert world.asked == (0, 0)
            text = told.text()
            assert "f0 @ " in text
            assert "the client's $1, as bigint: 2" in text
            known = json.loads(json.dumps(told.json()))
            assert {fragment["source"] for fragment in known["fragments"]} == {"crm", "erp"}
            assert known["actual"] is None
            assert [column["type"] for column in known["columns"]] == ["text", "bigint", "numeric"]
            ran = await made.explain(JOIN.format("$1"), ANN, [int8(2)], analyze=True)
            known = json.loads(json.dumps(ran.json()))
            assert (known["engine"], known["actual"]["rows"]) == ("canon", 2)
            assert {fragment["actual"]["cache"] for fragment in known["fragments"]} == {"miss"}
            assert "answer: 2 rows in " in ran.text()
            assert "1 statement" in ran.text()
            streamed = await made.explain("SELECT name FROM crm.customers WHERE id = 7", ANN, analyze=True)
            assert streamed.text().startswith("Streamed: source crm answers the whole statement")
            assert set(streamed.json()) == set(known)

    asyncio.run(run())


def test_what_a_kept_answer_was_made_of_is_not_kept_with_it() -> None:
    fetched = Fetched({0: pa.table({"c0": list(range(1000))})}, [], born=7.0)
    answer = Answer(Merged("canon", "", [], None, 0.0), fetched)
    assert answer.born() == 7.0
    seen = weakref.ref(fetched.tables[0])
    del fetched
    gc.collect()
    assert seen() is None
    assert answer.size() < 8000 + 5000
