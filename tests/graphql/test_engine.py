"""The whole way: GraphQL over views of two SQLite sources, the real planner, engine and canon."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.credentials import Credentials
from api.http import app
from api.uploads.owned import Owned
from cache.results import ResultCache
from federation.build import build
from federation.canon import residual
from federation.canon.analyse import Analyser
from federation.canon.server import Canon
from federation.duck import Duck, MergeLimits
from federation.engine import Engine
from planner.planner import plan
from tests.folders import read
from tests.graphql import naive, oracle

FILES = {
    "sources/a.yml": "kind: sqlite\nconnection: {path: a.sqlite}\nttl: 60s\n",
    "sources/shop.yml": "kind: sqlite\nconnection: {path: b.sqlite}\nttl: 60s\nexpose: {tables: [orders_, lines_]}\n",
    "views/crm/customers.view.sql": """
        /*---
        description: One row per customer.
        key: [customer_id]
        relations:
          orders: {to: shop.orders, join: {customer_id: customer_id}, many: true}
        ---*/
        select customer_id, name, small, vip, balance from a.customers
    """,
    "views/shop/orders.view.sql": """
        /*---
        key: [order_id]
        relations:
          customer: {to: crm.customers, join: {customer_id: customer_id}}
          lines: {to: shop.lines, join: {order_id: order_id}, many: true}
        ---*/
        select order_id, customer_id, total, status from shop.orders_
    """,
    "views/shop/lines.view.sql": "select order_id, line, sku from shop.lines_",
}


def fill(folder: Path) -> None:
    """The same rows that `naive` evaluates."""
    with sqlite3.connect(folder / "a.sqlite") as connection:
        connection.execute(
            "create table customers"
            "(customer_id int4 primary key, name text, small int4, vip boolean, balance numeric(12,2))"
        )
        rows = [(r[0], r[1], r[8], r[9], None if r[4] is None else str(r[4])) for r in oracle.customers(40)]
        connection.executemany("insert into customers values (?, ?, ?, ?, ?)", rows)
    with sqlite3.connect(folder / "b.sqlite") as connection:
        connection.execute(
            "create table orders_ (order_id int4 primary key, customer_id int4, total numeric(10,2), status text)"
        )
        connection.execute("create table lines_ (order_id int4, line int4, sku text)")
        orders = [(i, c, str(total), status) for i, c, total, status, _ in oracle.orders(120)]
        connection.executemany("insert into orders_ values (?, ?, ?, ?)", orders)
        connection.executemany("insert into lines_ values (?, ?, ?)", [row[:3] for row in oracle.lines(120)])
    connection.close()


class World:
    """An application over the real engine, in one event loop."""

    def __init__(self, folder: Path, canon: Canon) -> None:
        self.runner = asyncio.Runner()
        fill(folder)
        self.runner.run(self._start(folder, canon))

    async def _start(self, folder: Path, canon: Canon) -> None:
        project = read(folder, FILES)
        built = await build(project, canon)
        assert not [d for d in built.diagnostics if d.severity == "error"], built.diagnostics
        self.analyser, self.mergers = Analyser(canon), residual.Mergers(canon)
        await self.analyser.start()

        async def in_canon(*given: Any) -> AsyncIterator[Any]:
            async for batch in residual.run(self.mergers, *given):
                yield batch

        self.engine = Engine(
            catalog=built.catalog,
            connectors=built.connectors,
            canon=canon,
            analyser=self.analyser,
            plan=plan,
            in_canon=in_canon,
            cache=ResultCache(64 << 20),
            duck=Duck(MergeLimits()),
        )
        self.app = app(
            SimpleNamespace(
                engine=self.engine,
                control=None,
                owned=Owned(Path(), project.file),
                project=project,
                credentials=Credentials(project.file, Path(), {}),
                alerts=None,
                diagnostics=(),
            )
        )

    def ask(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """The answer's JSON."""
        return self.runner.run(self._ask(query, variables))

    async def _ask(self, query: str, variables: dict[str, Any] | None) -> dict[str, Any]:
        async with self.client() as client:
            response = await client.post("/graphql", json={"query": query, "variables": variables})
            answer: dict[str, Any] = orjson.loads(response.content)
            return answer

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield client

    def close(self) -> None:
        async def stop() -> None:
            await self.engine.close()
            await self.mergers.close()
            await self.analyser.close()

        self.runner.run(stop())
        self.runner.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, canon: Canon) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("graphql"), canon)
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize("root", ["crmCustomers", "shopOrders"])
@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(drawn=st.data())
def test_equals_naive_evaluation(world: World, root: str, drawn: Any) -> None:
    selection, arguments = drawn.draw(naive.selections(root)), drawn.draw(naive.bounds(root))
    question, variables = naive.document(selection, arguments, root)
    answer = world.ask(question, variables)
    assert "errors" not in answer
    assert answer["data"][root] == naive.expected(selection, arguments, root)


def test_children_are_asked_by_their_parents_keys(world: World) -> None:
    world.engine.cache.clear()  # rows that other tests have read may contain these
    question = "{crmCustomersByKey(customerId: 3) {name orders(orderBy: {orderId: asc}) {orderId lines {sku}}}}"
    answer = world.ask(question)
    assert [order["orderId"] for order in answer["data"]["crmCustomersByKey"]["orders"]] == [15, 16, 17, 18, 19]
    [field] = answer["extensions"]["provenance"]["fields"]
    assert field["cache"] == "MISS"
    assert [source["source"] for source in field["sources"]] == ["a", "shop"]
    again = world.ask(question)
    [field] = again["extensions"]["provenance"]["fields"]
    assert again["data"] == answer["data"]
    assert field["cache"] == "HIT"
    assert 0 < field["ttlMs"] <= 60_000


def test_sql_over_http(world: World) -> None:
    async def run() -> httpx.Response:
        async with world.client() as client:
            return await client.post(
                "/query", json={"sql": "select count(*) as n from crm.customers where name = $1", "params": ["Ada"]}
            )

    assert world.runner.run(run()).content == b'{"n":"4"}\n'


def test_ready(world: World) -> None:
    async def run() -> httpx.Response:
        async with world.client() as client:
            return await client.get("/readyz")

    assert world.runner.run(run()).json() == {"ready": True}


def test_metrics_tell_what_was_asked(world: World) -> None:
    async def run() -> tuple[str, ...]:
        world.engine.cache.clear()
        async with world.client() as client:
            asked = {"sql": "select name from crm.customers where customer_id = 9"}
            for key in "56":  # what the first run learns of the data may make the second plan anew
                await client.post("/query", json={"sql": asked["sql"].replace("9", key)})
            before = (await client.get("/metrics")).text
            await client.post("/query", json=asked)
            await client.post("/query", json={"sql": asked["sql"].replace("9", "8")})
            return before, (await client.get("/metrics")).text

    before, after = (dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
                     for text in world.runner.run(run()))  # fmt: skip
    grown = {name: float(value) - float(before.get(name, 0)) for name, value in after.items()}
    assert (grown["vdw_prepared_asked_total"], grown["vdw_prepared_shapes_total"]) == (2, 2)
    assert grown["vdw_prepared_planned_total"] == 0
    assert grown['vdw_source_statements_total{source="a"}'] == 2
