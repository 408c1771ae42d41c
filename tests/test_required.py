"""Tables that can only be read by given values: random statements over them, against one PostgreSQL that has it all."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from connectors.errors import Error, LimitExceeded
from federation import bind
from federation.canon.server import Canon
from tests.plans import test_plans as plans
from tests.plans.world import build, fill
from tests.rest_server import RestServer

REFUSED = "can only be read by given values"
_AMOUNTS = {"id": {"type": "int8"}, "amount": {"type": "int8"}, "placed": {"type": "date"}}
_PERSON = {"name": {"type": "text"}, "region": {"type": "text"}, "account_id": {"type": "int8"}}
_PATH = {"in": "path", "type": "int8"}
SHOP = {
    "orders_of": {
        "path": "/next/orders/customer_id/{customer_id}",
        "rows": "/value",
        "paging": {"kind": "next", "at": "/next"},
        "columns": {**_AMOUNTS, "status": {"type": "text"}},
        "inputs": {"customer_id": _PATH},
    },
    "pairs": {
        "path": "/plain/orders",
        "columns": {**_AMOUNTS, "customer_id": {"type": "int8"}, "status": {"type": "text"}},
        "inputs": {"customer_id": {"required": True}, "status": {"required": True}},
    },
}
CRM = {
    "people": {
        "path": "/plain/customers",
        "columns": {"id": {"type": "int8"}, **_PERSON},
        "inputs": {"id": {"required": True, "many": "comma", "most": 7}},
        "key": ["id"],
    },
    "titles": {
        "path": "/plain/accounts",
        "columns": {"id": {"type": "int8"}, "title": {"type": "text"}},
        "inputs": {"id": {"many": "repeat"}, "title": {}},
        "requires": [["id"], ["title"]],
    },
}
VIEWS = """
CREATE SCHEMA shopweb; CREATE SCHEMA crmweb;
CREATE VIEW shopweb.orders_of AS SELECT customer_id, id, amount, placed, status FROM shop.orders WHERE customer_id IS NOT NULL;
CREATE VIEW shopweb.pairs AS SELECT id, amount, placed, customer_id, status FROM shop.orders
  WHERE customer_id IS NOT NULL AND status IS NOT NULL;
CREATE VIEW crmweb.people AS SELECT id, name, region, account_id FROM crm.customers;
CREATE VIEW crmweb.titles AS SELECT id, title FROM crm.accounts;
"""  # noqa: E501


NEVER = {
    "reachable": "select p.id, p.name from crmweb.people p",
    "joined": "select c.id, p.name from crm.customers c join crmweb.people p on p.id = c.id",
    "hidden": "select p.name from crmweb.people p",
    "cut_off": "select p.id from crmweb.people p limit 5",
}  # views of which two can never be read


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, canon: Canon) -> Iterator[plans.World]:
    folder = build(tmp_path_factory.mktemp("required"))
    with psycopg.connect(canon.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE required")
    try:
        with RestServer(folder / "shop.sqlite") as shop, RestServer(folder / "crm.sqlite") as crm:
            for name, server, tables in (("shopweb", shop, SHOP), ("crmweb", crm, CRM)):
                said = {"kind": "rest", "connection": {"url": server.url, "tables": tables}}
                (folder / "sources" / f"{name}.yml").write_text(json.dumps(said))
            with (
                asyncio.Runner() as runner,
                psycopg.connect(canon.dsn(dbname="required"), autocommit=True) as oracle,
            ):
                for name, query in NEVER.items():
                    path = folder / "views" / "n" / f"{name}.view.sql"
                    path.parent.mkdir(exist_ok=True)
                    path.write_text(f"/*---\nview: n.{name}\n---*/\n{query}\n")
                fill(oracle)
                oracle.execute(VIEWS.encode())
                opened = plans._opened(folder)
                runtime = runner.run(opened.__aenter__())
                assert not [d for d in runtime.diagnostics if d.severity == "error"]
                yield plans.World(runner, runtime, oracle)
                runner.run(opened.__aexit__(None, None, None))
    finally:
        with psycopg.connect(canon.dsn(), autocommit=True) as admin:
            admin.execute("DROP DATABASE required WITH (FORCE)")


# What equals what: the sorts of values, and the columns that have them. Of needy tables, what they must be given.
SORTS = {
    "crm.customers": {"person": "id", "account": "account_id", "region": "region"},
    "shop.orders": {"person": "customer_id", "status": "status", "order": "id"},
    "crm.accounts": {"account": "id", "title": "title"},
    "shopweb.orders_of": {"person": "customer_id", "status": "status", "order": "id"},
    "shopweb.pairs": {"person": "customer_id", "status": "status", "order": "id"},
    "crmweb.people": {"person": "id", "account": "account_id", "region": "region"},
    "crmweb.titles": {"account": "id", "title": "title"},
}
NEEDS = {
    "shopweb.orders_of": (("person",),),
    "shopweb.pairs": (("person", "status"),),
    "crmweb.people": (("person",),),
    "crmweb.titles": (("account",), ("title",)),
}
VALUES = {"person": range(1, 41), "account": range(1, 5), "order": range(1, 300)}


class Writer:
    """Writes one statement. All that a table needs comes from those before it, so that it must be answered."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.have: dict[str, list[str]] = {}  # sort -> columns by which later tables may be joined
        self.select: list[str] = []
        self.where: list[str] = []
        self.tables = 0

    def statement(self) -> str:
        chance = self.chance
        text = " FROM " + self._first()
        for _ in range(chance.randint(1, 3)):
            text += self._further()
        where = f" WHERE {' AND '.join(self.where)}" if self.where else ""
        columns = ", ".join(f"{column} AS x{at}" for at, column in enumerate(self.select))
        shape = chance.random()
        if shape < 0.2:
            return f"SELECT {self.select[0]} AS g, count(*) AS n{text}{where} GROUP BY {self.select[0]}"
        if shape < 0.3:
            return f"SELECT DISTINCT {columns}{text}{where}"
        if shape < 0.4:
            return f"WITH w AS (SELECT {columns}{text}{where}) SELECT * FROM w UNION ALL SELECT * FROM w"
        if shape < 0.5:
            order = ", ".join(str(at + 1) for at in range(len(self.select)))
            return f"SELECT {columns}{text}{where} ORDER BY {order} LIMIT 7"
        return f"SELECT {columns}{text}{where}"

    def _add(self, table: str, joined: bool = True) -> str:
        alias = f"a{self.tables}"
        self.tables += 1
        if joined:
            for sort, column in SORTS[table].items():
                self.have.setdefault(sort, []).append(f"{alias}.{column}")
            self.select.append(f"{alias}.{self.chance.choice(list(SORTS[table].values()))}")
        return alias

    def _first(self) -> str:
        table = self.chance.choice([t for t in SORTS if t != "shopweb.pairs"])
        alias = self._add(table)
        sort = NEEDS[table][0][0] if table in NEEDS else next(iter(SORTS[table]))
        column = f"{alias}.{SORTS[table][sort]}"
        some = sorted(self.chance.sample(VALUES[sort], self.chance.randint(1, min(6, len(VALUES[sort])))))
        listed = f"{column} IN ({', '.join(map(str, some))})"
        either = "(" + " OR ".join(f"{column} = {value}" for value in some) + ")"
        self.where.append(
            self.chance.choice(
                (f"{column} = {some[0]}", listed, either, f"{column} = ANY ('{{{','.join(map(str, some))}}}')")
            )
        )
        return f"{table} AS {alias}"

    def _condition(self, table: str, alias: str) -> str | None:
        """By which a table is joined to what is there: all that it needs."""
        choices = NEEDS.get(table, tuple((sort,) for sort in SORTS[table]))
        possible = [sorts for sorts in choices if all(sort in self.have for sort in sorts)]
        if not possible:
            return None
        sorts = self.chance.choice(possible)
        if len(sorts) > 1:  # together, of one table
            owners = [{c.split(".")[0] for c in self.have[sort]} for sort in sorts]
            owner = self.chance.choice(sorted(set.union(*owners)))
            pick = [next((c for c in self.have[sort] if c.startswith(owner)), self.have[sort][0]) for sort in sorts]
        else:
            pick = [self.chance.choice(self.have[sort]) for sort in sorts]
        return " AND ".join(f"{alias}.{SORTS[table][s]} = {column}" for s, column in zip(sorts, pick, strict=True))

    def _further(self) -> str:
        chance = self.chance
        table = chance.choice(list(SORTS))
        alias = f"a{self.tables}"
        condition = self._condition(table, alias)
        if condition is None:
            return ""
        kind = chance.choice(("JOIN", "JOIN", "LEFT JOIN", "EXISTS", "NOT EXISTS", "IN", "LATERAL", "COUNT", "NESTED"))
        self._add(table, joined=kind in ("JOIN", "LEFT JOIN", "NESTED"))
        more = f" AND {alias}.{chance.choice(list(SORTS[table].values()))} IS NOT NULL" if chance.random() < 0.3 else ""
        if kind in ("EXISTS", "NOT EXISTS"):
            self.where.append(f"{kind} (SELECT 1 FROM {table} AS {alias} WHERE {condition}{more})")
            return ""
        if kind == "IN":
            mine, _, theirs = condition.partition(" AND ")[0].partition(" = ")
            rest = condition.partition(" AND ")[2]
            inner = f" WHERE {rest}" if rest else ""
            self.where.append(f"{theirs} IN (SELECT {mine} FROM {table} AS {alias}{inner})")
            return ""
        if kind == "COUNT":
            self.select.append(f"(SELECT count(*) FROM {table} AS {alias} WHERE {condition})")
            return ""
        if kind == "LATERAL":
            self.select.append(f"l{alias}.n")
            return f" LEFT JOIN LATERAL (SELECT max({alias}.{next(iter(SORTS[table].values()))}) AS n FROM {table} AS {alias} WHERE {condition}) AS l{alias} ON true"  # noqa: E501
        if kind == "NESTED":  # a sub-query that renames, and groups
            columns = ", ".join(dict.fromkeys(SORTS[table].values()))
            return f" JOIN (SELECT {columns} FROM {table} GROUP BY {columns}) AS {alias} ON {condition}"
        return f" {kind} {table} AS {alias} ON {condition}{more}"


@pytest.mark.parametrize("block", range(5))
def test_statements_that_give_what_is_needed_are_answered(world: plans.World, block: int) -> None:
    for seed in range(block * 20, block * 20 + 20):
        sql = Writer(seed).statement()
        try:
            found = world.rows(sql)
        except Error as error:
            raise AssertionError(f"seed {seed}: {sql}: {error}") from error
        wanted = world.wanted(sql)
        if "LIMIT" in sql:
            assert found.total() == wanted.total(), f"seed {seed}: {sql}"
        else:
            assert found == wanted, f"seed {seed}: {sql}"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM crmweb.people",
        "SELECT id FROM crmweb.people WHERE id > 3",
        "SELECT id FROM crmweb.people WHERE id = 3 OR name = 'Bo'",
        "SELECT id FROM crmweb.people LIMIT 3",
        "SELECT p.id FROM crmweb.people p LEFT JOIN crm.customers c ON c.id = p.id",
        "SELECT p.id FROM crmweb.people p FULL JOIN crm.customers c ON c.id = p.id",
        "SELECT c.id FROM crm.customers c JOIN (SELECT * FROM crmweb.people LIMIT 5) p ON p.id = c.id",
        "SELECT p.id FROM crmweb.people p WHERE p.id NOT IN (SELECT id FROM crm.customers)",
        "SELECT p.id FROM crmweb.people p JOIN shopweb.orders_of o ON o.customer_id = p.id",
        "SELECT (SELECT count(*) FROM crmweb.people)",
        "SELECT o.id FROM shopweb.pairs o WHERE o.customer_id = 7",
        "SELECT o.id FROM shopweb.pairs o JOIN crm.customers c ON c.id = o.customer_id",
        "WITH RECURSIVE r(id) AS (SELECT 1::bigint UNION SELECT p.account_id FROM r JOIN crmweb.people p USING (id)) "
        "TABLE r",
    ],
)
def test_what_is_not_given_is_refused_with_a_remedy(world: plans.World, sql: str) -> None:
    with pytest.raises(LimitExceeded, match=REFUSED) as error:
        world.plan(sql)
    assert error.value.sqlstate == "53400"
    assert "WHERE" in (error.value.hint or "")
    assert "sources/" in (error.value.hint or "")


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM crmweb.people WHERE id = 3 AND id = 4",
        "SELECT name FROM crmweb.people WHERE id = (SELECT max(account_id) FROM crm.customers)",
        "SELECT p.name FROM crmweb.people p JOIN crm.customers c ON c.id = p.id + 0 WHERE p.id = 3",
        "SELECT p.name, t.title FROM crm.customers c LEFT JOIN crmweb.people p ON p.id = c.id "
        "LEFT JOIN crmweb.titles t ON t.id = p.account_id WHERE c.region = 'north'",
        "SELECT o.id FROM crm.customers c JOIN shop.orders s ON s.customer_id = c.id AND s.amount > 400 "
        "JOIN shopweb.pairs o ON o.customer_id = c.id AND o.status = s.status WHERE c.id < 9",
        "SELECT x.id, p.name FROM (SELECT id FROM crm.customers WHERE id < 5 UNION ALL SELECT id FROM crm.accounts) x "
        "JOIN crmweb.people p ON p.id = x.id",
        "SELECT count(*) FROM shopweb.orders_of WHERE customer_id IN (SELECT id FROM crm.customers WHERE id % 3 = 0)",
        "SELECT c.id FROM crm.customers c WHERE NOT EXISTS (SELECT FROM shopweb.orders_of WHERE customer_id = c.id)",
    ],
)
@pytest.mark.parametrize("most", [1000, 2], ids=["keys at once", "keys by two"])
def test_keys_of_all_kinds_reach_them(world: plans.World, sql: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bind, "KEYS_A_STATEMENT", most)
    monkeypatch.setattr(bind, "MOST_KEYS", 0)  # past which other statements go without keys
    assert world.rows(sql) == world.wanted(sql)


@pytest.mark.slow
def test_each_request_counts_for_the_owners_rate_and_number(tmp_path: Path) -> None:
    """Pages and keys alike: never more requests in a second than allowed, nor more for one query."""
    build(tmp_path)
    with RestServer(tmp_path / "shop.sqlite") as shop:
        shop.manners.largest = 100
        table = {"path": "/next/orders", "rows": "/value", "paging": {"kind": "next", "at": "/next"}}
        said = {"url": shop.url, "tables": {"orders": {**table, "columns": _AMOUNTS}, **SHOP}}
        limits = {"rate": 20, "burst": 1, "concurrency": 3, "statements": 30}
        source = {"kind": "rest", "connection": said, "limits": limits}
        (tmp_path / "sources" / "web.yml").write_text(json.dumps(source))
        found: dict[str, object] = {}

        async def run() -> None:
            async with plans._opened(tmp_path) as runtime:
                result = await runtime.engine.query("SELECT count(*) FROM web.orders", plans.SESSION)
                found["count"] = (await result.table()).column(0).to_pylist()
                found["requests"] = len(shop.requests), runtime.engine.loads["web"].requests
                text = "SELECT count(*) FROM crm.customers c JOIN web.orders_of o ON o.customer_id = c.id"
                try:
                    await runtime.engine.query(text, plans.SESSION)
                except LimitExceeded as error:
                    found["refused"] = error.message

        asyncio.run(run())
        assert found["count"] == [2000]
        assert found["requests"] == (20, 19)
        assert "would get 31 statements for one query; its owner allows 30" in str(found["refused"])
        gaps = [b - a for a, b in pairwise(shop.times)]
        assert len(shop.times) == 50
        assert sum(gaps) >= 0.9 * 49 / 20
        assert shop.most_active <= 3


def test_a_service_that_has_no_room_is_asked_less_and_then_left_alone(tmp_path: Path) -> None:
    """One 503 on the way: fewer statements at once. Nothing but 503: the breaker opens, nothing reaches the service
    any more, and it is tried again."""
    build(tmp_path)
    with RestServer(tmp_path / "shop.sqlite") as shop:
        said = {"url": shop.url, "tables": SHOP, "retries": {"attempts": 2, "first": 0.01}}
        rules = {"limits": {"concurrency": 8}, "breaker": {"failures": 3, "pause": "300ms"}}
        (tmp_path / "sources" / "web.yml").write_text(json.dumps({"kind": "rest", "connection": said, **rules}))

        async def run() -> None:
            async with plans._opened(tmp_path) as runtime:
                gate = runtime.engine.gates.of("web")
                text = "SELECT count(*) FROM web.orders_of WHERE customer_id = {}"

                async def ask(number: int) -> str:
                    try:
                        await (await runtime.engine.query(text.format(number), plans.SESSION)).table()
                    except Error as error:
                        return error.sqlstate
                    return "ok"

                assert await ask(1) == "ok"
                before = gate.most
                shop.manners.failing = ["503"]
                assert await ask(2) == "ok"
                assert gate.most < before
                shop.manners.failing = ["503"] * 1000
                assert {await ask(number) for number in range(3, 8)} == {"53300", "57P03"}
                assert gate.breaker is not None and gate.breaker.state == "open"
                asked = len(shop.requests)
                assert await ask(8) == "57P03"
                assert len(shop.requests) == asked
                shop.manners.failing = []
                for number in range(9, 300):
                    if await ask(number) == "ok":
                        break
                    await asyncio.sleep(0.05)
                assert gate.breaker.state == "closed"

        asyncio.run(run())


def test_views_that_can_never_be_read_are_told(world: plans.World) -> None:
    told = [d for d in world.runtime.diagnostics if "can never be read" in d.message]
    assert sorted(d.file for d in told) == ["views/n/cut_off.view.sql", "views/n/hidden.view.sql"]
    assert all(
        d.severity == "warning" and "crmweb.people can only be read by given values of id" in d.message for d in told
    )
