"""Reuse by containment: narrower statements from kept rows, always as PostgreSQL answers them, and without asking."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict

from api.project import Runtime, open_project
from connectors.conformance.texts import column_texts
from federation.canon.server import Canon
from federation.freshness.freshness import MaxAge
from federation.query import Query
from federation.result import Part
from federation.session import Session
from federation.watch import Sent
from tests.folders import write
from tests.servers import Server
from tests.sources import wait_for

ANN = Session("ann")
Rows = Counter[tuple[str | None, ...]]
# Few values each, among them ends of their types, so that conditions meet and cut each other.
COLUMNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "n": ("int4", ("-2147483648", "-1", "0", "1", "2", "2147483647")),
    "big": ("int8", ("-9223372036854775808", "0", "9007199254740993", "9223372036854775807")),
    "flag": ("bool", ("true", "false")),
    "day": ("date", ("infinity", "-infinity", "1969-12-31", "1970-01-01", "2024-02-29")),
    "at": ("timestamp", ("-infinity", "infinity", "1969-12-31 23:59:59.999999", "2024-02-29 12:00:00.000001")),
    "seen": ("timestamptz", ("infinity", "1969-12-31 23:59:59.999999+00", "2024-02-29 12:00:00+05:45")),
    "code": ("uuid", ("00000000-0000-0000-0000-000000000001", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    "price": ("numeric(10,2)", ("-0.01", "0.00", "1.50", "99999999.99")),
    "name": ('text COLLATE "C"', ("", "a", "A", "Zoë", "zoe", "a ")),
    "word": ("text", ("", "a", "A", "Zoë", "zoe")),
    "size": ("float8", ("NaN", "-0", "0", "1.5", "Infinity")),
    "loose": ("numeric", ("1", "1.0", "NaN", "-2.50")),
    "g": ("int4", ("1", "2", "3")),
}
ROWS = 120
DDL = f"""
CREATE SCHEMA shop;
CREATE TABLE shop.t (id bigint PRIMARY KEY, {", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())});
CREATE TABLE shop.s (g int4 PRIMARY KEY, title text COLLATE "C", rank int4);
INSERT INTO shop.s VALUES (1, 'one', 10), (2, 'two', NULL), (4, 'four', 40);
CREATE TABLE shop.o (id bigint PRIMARY KEY, t_id bigint NOT NULL, amount int4);
CREATE INDEX ON shop.o (t_id);
INSERT INTO shop.o SELECT i, i % {ROWS}, i % 7 FROM generate_series(1, 3000) i;
ANALYZE;
"""


def _inserts() -> Iterator[str]:
    chance = random.Random(5)
    for number in range(ROWS):
        values = (chance.choice(pool) for _, pool in COLUMNS.values())
        told = ("NULL" if chance.random() < 0.15 else f"'{value}'" for value in values)
        yield f"INSERT INTO shop.t VALUES ({number}, {', '.join(told)})"


class Taps:
    """Every statement that was sent."""

    def __init__(self) -> None:
        self.seen: list[Sent] = []

    def sent(self, sent: Sent) -> None:
        self.seen.append(sent)

    def ended(self, query: Query) -> None:
        pass


class World:
    """A project over PostgreSQL, and the same server asked directly."""

    def __init__(self, runner: asyncio.Runner, runtime: Runtime, oracle: psycopg.Connection[Any]) -> None:
        self.runner, self.runtime, self.oracle = runner, runtime, oracle
        self.seen: Counter[str] = Counter()

    async def _ask(self, sql: str, session: Session) -> tuple[Rows, list[Part]]:
        result = await self.runtime.engine.query(sql, session)
        table = await result.table()
        texts = [column_texts(table.column(i), kind) for i, (_, kind) in enumerate(result.columns)]
        return Counter(zip(*texts, strict=True)), result.parts

    def rows(self, sql: str, session: Session = ANN) -> tuple[Rows, list[Part]]:
        found, parts = self.runner.run(self._ask(sql, session))
        self.seen.update(part.cache for part in parts)
        return found, parts

    def wanted(self, sql: str) -> Rows:
        with psycopg.RawCursor(self.oracle) as cursor:
            cursor.execute(sql.encode())
            result = cursor.pgresult
            assert result is not None
            cells = [[result.get_value(r, c) for c in range(result.nfields)] for r in range(result.ntuples)]
        return Counter(tuple(None if cell is None else cell.decode() for cell in row) for row in cells)

    def check(self, sql: str) -> list[Part]:
        found, parts = self.rows(sql)
        assert found == self.wanted(sql), sql
        return parts

    def check_together(self, asked: Sequence[str]) -> None:
        async def all_at_once() -> list[tuple[Rows, list[Part]]]:
            return await asyncio.gather(*(self._ask(sql, ANN) for sql in asked))

        for sql, (found, _) in zip(asked, self.runner.run(all_at_once()), strict=True):
            assert found == self.wanted(sql), sql

    def sent(self, sql: str) -> tuple[Part, list[Sent]]:
        """What `shop` did for a right answer, and which statements it was sent."""
        taps = Taps()
        self.runtime.engine.watch.listeners.append(taps)
        try:
            parts = self.check(sql)
        finally:
            self.runtime.engine.watch.listeners.remove(taps)
        (part,) = (part for part in parts if part.source == "shop")
        return part, [sent for sent in taps.seen if sent.source == "shop"]

    def forget(self) -> None:
        self.runtime.engine.cache.clear()


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Runtime]:
    async with open_project(folder) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, canon: Canon) -> Iterator[World]:
    """The canon's server is the source, too: no other is as quick to have, and it has every type."""
    with psycopg.connect(canon.dsn(), autocommit=True) as admin:
        admin.execute("CREATE DATABASE shop")
    known = conninfo_to_dict(canon.dsn(dbname="shop"))
    files = {
        "sources/shop.yml": "kind: postgresql\nttl: 1h\nconnection:\n"
        + "".join(f"  {key}: {known[name]}\n" for key, name in _CONNECTION.items()),
        "sources/crm.yml": "kind: sqlite\nconnection: {path: crm.sqlite}\n",
    }
    folder = write(tmp_path_factory.mktemp("contain"), files)
    with closing(sqlite3.connect(folder / "crm.sqlite")) as crm:
        crm.execute("CREATE TABLE c (id INTEGER PRIMARY KEY, t_id BIGINT, name TEXT)")
        crm.executemany("INSERT INTO c VALUES (?, ?, ?)", [(i, i % ROWS, f"name {i}") for i in range(1, 101)])
        crm.commit()
    try:
        with psycopg.connect(canon.dsn(dbname="shop"), autocommit=True) as oracle:
            oracle.execute(DDL.encode())
            for sql in _inserts():
                oracle.execute(sql.encode())
            oracle.execute("ANALYZE")
            oracle.execute("CREATE SCHEMA crm")
            oracle.execute(
                "CREATE TABLE crm.c AS SELECT i::bigint AS id, (i % 120)::bigint AS t_id, 'name ' || i AS name"
                " FROM generate_series(1, 100) i"
            )
            oracle.execute("SET search_path = shop; SET TimeZone = 'UTC'")
            with asyncio.Runner() as runner:
                opened = _opened(folder)
                runtime = runner.run(opened.__aenter__())
                assert not runtime.diagnostics
                yield World(runner, runtime, oracle)
                runner.run(opened.__aexit__(None, None, None))
    finally:
        with psycopg.connect(canon.dsn(), autocommit=True) as admin:
            admin.execute("DROP DATABASE shop WITH (FORCE)")


_CONNECTION = {"host": "host", "port": "port", "user": "user", "database": "dbname"}

# -- statements


def _literal(name: str, value: str) -> str:
    return f"'{value}'::{COLUMNS[name][0].split(' ')[0]}"


def _condition() -> st.SearchStrategy[str]:
    def of(name: str) -> st.SearchStrategy[str]:
        pool = [value for value in COLUMNS[name][1] if "infinity" not in value]
        value = st.sampled_from(pool).map(lambda v: _literal(name, v))
        column = f"t.{name}"
        ops = ("=", "<>", "<", "<=", ">", ">=") if name not in ("flag", "code") else ("=", "<>")
        some = st.lists(value, min_size=1, max_size=3).map(", ".join)
        forms = [
            st.builds(lambda op, v: f"{column} {op} {v}", st.sampled_from(ops), value),
            some.map(lambda vs: f"{column} IN ({vs})"),
            some.map(lambda vs: f"{column} NOT IN ({vs})"),
            st.sampled_from((f"{column} IS NULL", f"{column} IS NOT NULL")),
            st.builds(lambda a, b: f"{column} BETWEEN {a} AND {b}", value, value),
            st.builds(lambda a, b: f"({column} = {a} OR {column} IS NULL OR {column} > {b})", value, value),
        ]
        if name == "flag":
            forms[4:] = [st.sampled_from(("t.flag", "NOT t.flag", "t.flag IS TRUE", "t.flag IS NOT FALSE"))]
        if name == "name":
            forms.append(st.sampled_from(("t.name LIKE 'a%'", "lower(t.name) = 'a'")))
        return st.one_of(forms)

    return st.sampled_from(tuple(COLUMNS)).flatmap(of)


def _where() -> st.SearchStrategy[str]:
    return st.lists(_condition(), max_size=3).map(lambda found: " AND ".join(found) or "TRUE")


def _columns() -> st.SearchStrategy[str]:
    names = st.lists(st.sampled_from(("id", *COLUMNS)), min_size=1, max_size=8, unique=True)
    return st.one_of(st.just("*"), names.map(lambda found: ", ".join(f"t.{name}" for name in found)))


@st.composite
def statements(draw: st.DrawFn) -> str:
    where, columns = draw(_where()), draw(_columns())
    listed = "t.g, t.flag, t.name, count(*), sum(t.n), max(t.price)"
    return draw(
        st.sampled_from(
            (
                f"SELECT {columns} FROM shop.t t WHERE {where}",
                f"SELECT {columns} FROM shop.t t WHERE {where}",
                f"SELECT {columns} FROM shop.t t WHERE {where} ORDER BY t.id",
                f"SELECT DISTINCT t.g, t.flag, t.day FROM shop.t t WHERE {where}",
                f"SELECT {listed} FROM shop.t t WHERE {where} GROUP BY t.g, t.flag, t.name",
                f"SELECT {listed} FROM shop.t t WHERE {where} GROUP BY t.g, t.flag, t.name HAVING count(*) > 1",
                f"SELECT t.id, t.n, t.name, s.title, s.rank FROM shop.t t JOIN shop.s s ON s.g = t.g WHERE {where}",
                f"SELECT t.id, t.n, s.title, coalesce(s.rank, 0) FROM shop.t t LEFT JOIN shop.s s ON s.g = t.g "
                f"WHERE {where}",
                f"SELECT t.id, t.name FROM shop.t t WHERE EXISTS (SELECT FROM shop.s s WHERE s.g = t.g AND s.rank > 5) "
                f"AND {where}",
                f"SELECT c, count(*) FROM (SELECT t.g, count(*) AS c FROM shop.t t WHERE {where} GROUP BY t.g) x "
                f"GROUP BY c",
            )
        )
    )


@pytest.mark.slow
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(asked=st.lists(statements(), min_size=2, max_size=8), broad=st.booleans(), together=st.booleans())
def test_whatever_was_asked_before_the_answer_is_postgresqls(
    world: World, asked: list[str], broad: bool, together: bool
) -> None:
    world.forget()
    asked = [*BROAD, *asked] if broad else asked
    if together:
        world.check_together(asked)
        return
    for sql in asked:
        world.check(sql)


BROAD = (
    "SELECT * FROM shop.t",
    "SELECT DISTINCT t.g, t.flag, t.day FROM shop.t t",
    "SELECT t.g, t.flag, t.name, count(*), sum(t.n), max(t.price) FROM shop.t t GROUP BY t.g, t.flag, t.name",
    "SELECT t.*, s.* FROM shop.t t JOIN shop.s s ON s.g = t.g",
    "SELECT t.*, s.title, s.rank, coalesce(s.rank, 0) FROM shop.t t LEFT JOIN shop.s s ON s.g = t.g",
)


FIRST = "SELECT id, n, day, price, name, g FROM shop.t WHERE n IS NOT NULL"
# Each after FIRST alone: whether kept rows answer it.
CASES: tuple[tuple[str, bool], ...] = (
    ("SELECT id, name FROM shop.t WHERE n >= 0", True),
    ("SELECT id, name FROM shop.t WHERE n > 0 AND price < 2.00", True),
    ("SELECT id FROM shop.t WHERE n IN (1, 2) AND name = 'a'", True),
    ("SELECT id FROM shop.t WHERE n = 1 AND name > 'Z'", True),
    ("SELECT id FROM shop.t WHERE n = 1 AND day BETWEEN '1970-01-01' AND '2024-12-31'", True),
    ("SELECT id, n FROM shop.t WHERE n IS NOT NULL AND g IS NULL", True),
    ("SELECT count(*) FROM shop.t WHERE n = 1 AND word = 'a'", False),  # a column that did not come
    ("SELECT id, word FROM shop.t WHERE n = 1", False),
    ("SELECT id FROM shop.t WHERE n = 1 ORDER BY id", False),  # the order is the client's
    ("SELECT id FROM shop.t WHERE n = 1 LIMIT 3", False),
    ("SELECT id FROM shop.t", False),
    ("SELECT id FROM shop.t WHERE g = 1", False),
    ("SELECT id FROM shop.t WHERE n = 1 AND size = 1.5", False),  # no operator that is repeated here
    ("SELECT id FROM shop.t WHERE n = 1 AND n + g = 2", False),
    ("SELECT DISTINCT g FROM shop.t WHERE n = 1", False),
)


@pytest.mark.parametrize(("sql", "contained"), CASES, ids=[sql for sql, _ in CASES])
def test_kept_rows_answer_what_they_hold(world: World, sql: str, contained: bool) -> None:
    world.forget()
    assert [part.cache for part in world.check(FIRST)] == ["miss"]
    (part,) = world.check(sql)
    assert (part.cache, part.statements) == (("contained", 0) if contained else ("miss", 1))
    (again,) = world.check(sql)
    assert (again.cache, again.statements) == ("hit", 0)


def _by_keys(first: int, last: int, more: str = "") -> str:
    return (
        "SELECT c.name, o.id, o.amount FROM crm.c c JOIN shop.o o ON o.t_id = c.t_id "
        f"WHERE c.id BETWEEN {first} AND {last}{more}"
    )


def test_keys_that_were_asked_for_are_not_asked_again(world: World) -> None:
    world.forget()
    part, sent = world.sent(_by_keys(1, 20))
    assert (part.cache, len(sent), sent[0].rows) == ("miss", 1, 500)
    part, sent = world.sent(_by_keys(5, 12))
    assert (part.cache, part.rows, sent) == ("contained", 200, [])
    part, sent = world.sent(_by_keys(5, 12, " AND o.amount = 3"))
    assert (part.cache, sent) == ("contained", [])
    part, sent = world.sent(_by_keys(11, 24))  # four keys are new
    assert (part.cache, part.rows, [each.rows for each in sent]) == ("miss", 350, [100])
    assert part.contained.startswith("for 10 of 14 keys: SELECT ")
    part, sent = world.sent(_by_keys(3, 24))  # of two answers
    assert (part.cache, part.rows, sent) == ("contained", 550, [])
    part, sent = world.sent(_by_keys(20, 40))  # most of them are new: asked in one go
    assert (part.cache, part.contained, [each.rows for each in sent]) == ("miss", "", [525])


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(asked=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 30), st.sampled_from(("", " AND o.amount < 3")))))
def test_whatever_keys_were_asked_for_the_answer_is_postgresqls(
    world: World, asked: list[tuple[int, int, str]]
) -> None:
    world.forget()
    for first, more, condition in asked:
        world.check(_by_keys(first, first + more, condition))


# -- real servers


TABLE = """CREATE TABLE orders (id bigint PRIMARY KEY, region varchar(20) {bytes}, status varchar(20),
    placed date, at {moment} NULL, total decimal(10,2), items int)"""
DASHBOARD = "SELECT id, region, status, placed, at, total, items FROM {0}.orders WHERE placed >= DATE '2024-01-01'"
GROUPS = "SELECT region, placed, count(*), sum(total) FROM {0}.orders GROUP BY region, placed"
TILES = (
    "SELECT region, placed, count(*) FROM {0}.orders WHERE placed >= DATE '2024-02-01' GROUP BY region, placed",
    "SELECT region, sum(total) FROM {0}.orders WHERE region = 'north' GROUP BY region, placed HAVING count(*) > 3",
    "SELECT id, placed FROM {0}.orders WHERE placed BETWEEN DATE '2024-03-01' AND '2024-03-31' AND region = 'north'",
    "SELECT id, total FROM {0}.orders WHERE placed >= DATE '2024-01-01' AND region IN ('north', 'east')",
    "SELECT id, at FROM {0}.orders WHERE placed > DATE '2024-01-15' AND at < TIMESTAMP '2024-02-01 06:00:00.5'",
    "SELECT id FROM {0}.orders WHERE placed >= DATE '2024-01-01' AND total > 400.005 AND items IS NULL",
    "SELECT id, region FROM {0}.orders WHERE placed >= DATE '2024-01-01' AND region <> 'north' AND total <= 12.30",
)


def _orders() -> list[tuple[Any, ...]]:
    chance = random.Random(8)
    start = datetime(2023, 11, 1)
    regions, states = ("north", "North", "east", "süd", None), ("open", "Open", "paid")
    return [
        (
            number,
            chance.choice(regions),
            chance.choice(states),
            (start + timedelta(days=number % 200)).date() if number % 17 else None,
            start + timedelta(minutes=number * 97, microseconds=500_000 * (number % 2)) if number % 13 else None,
            Decimal(chance.randrange(50_000)) / 100,
            chance.choice((None, *range(8))),
        )
        for number in range(1_000)
    ]


def _fill(server: Server, database: str, bytewise: str, moment: str) -> None:
    connection = server.admin(database)
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS orders")
        cursor.execute(TABLE.format(bytes=bytewise, moment=moment))
        rows = _orders()
        marks = ", ".join(["(%s, %s, %s, %s, %s, %s, %s)"] * len(rows))
        cursor.execute(f"INSERT INTO orders VALUES {marks}", [value for row in rows for value in row])
    connection.close()


def _calls(server: Server) -> int:
    """Statements on the table that the server says it has run since the last look."""
    if server.kind == "postgresql":
        ours = (
            "query LIKE '%orders\" AS t1%' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        seen = f"SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements WHERE {ours}"  # not the oracle's
        ((calls,),) = server.run(seen, database=server.database)
        server.run("SELECT pg_stat_statements_reset()", database=server.database)
    else:
        digest = "performance_schema.events_statements_summary_by_digest"
        seen = f"SELECT coalesce(sum(count_star), 0) FROM {digest} WHERE digest_text LIKE '%orders` AS `t1`%'"
        ((calls,),) = server.run(seen)
        server.run(f"TRUNCATE {digest}")
    return int(calls)


@pytest.mark.service
@pytest.mark.parametrize("containment", [True, False])
def test_a_dashboard_is_one_statement_to_its_source(
    tmp_path: Path, postgresql: Server, mariadb: Server, monkeypatch: pytest.MonkeyPatch, containment: bool
) -> None:
    """By the servers' own account, and every tile as one PostgreSQL answers it."""
    for database in (postgresql.database, "postgres"):
        _fill(postgresql, database, 'COLLATE "C"', "timestamp")
    _fill(mariadb, mariadb.database, "COLLATE utf8mb4_nopad_bin", "datetime(6)")
    files: dict[str, str | bytes] = {"vdw.yml": f"name: t\ncache: {{containment: {str(containment).lower()}}}\n"}
    for name, server in (("crm", postgresql), ("shop", mariadb)):
        options = {**server.options, "password": {"env": "CONTAIN_SECRET"}}
        files[f"sources/{name}.yml"] = json.dumps({"kind": server.kind, "ttl": "1h", "connection": options})
    monkeypatch.setenv("CONTAIN_SECRET", postgresql.password)

    async def run(oracle: Any) -> None:
        async with open_project(write(tmp_path, files)) as runtime:
            world = World(asyncio.Runner(), runtime, oracle)
            for name, server in (("crm", postgresql), ("shop", mariadb)):
                _calls(server)
                for sql in (DASHBOARD, GROUPS, *TILES):
                    result = await runtime.engine.query(sql.format(name), ANN)
                    table = await result.table()
                    texts = [column_texts(table.column(i), kind) for i, (_, kind) in enumerate(result.columns)]
                    assert Counter(zip(*texts, strict=True)) == world.wanted(sql.format("public")), sql
                assert _calls(server) == (2 if containment else 2 + len(TILES))

    with postgresql.admin() as oracle:
        asyncio.run(run(oracle))
    for server, database in ((postgresql, "postgres"), (postgresql, postgresql.database), (mariadb, mariadb.database)):
        server.run("DROP TABLE orders", database=database)


def test_explain_says_in_what_an_answer_is_contained(world: World) -> None:
    world.forget()
    world.check(FIRST)

    async def explained() -> tuple[str, Any]:
        told = await world.runtime.engine.explain("SELECT id FROM shop.t WHERE n > 0 AND g = 2", ANN, analyze=True)
        return told.text(), told.json()

    text, found = world.runner.run(explained())
    assert "cache contained, 0 statements" in text
    assert 'contained in: SELECT "t1"."id"' in text.replace("t1.", '"t1".')
    assert "; checked here: shop.t.n >, shop.t.g =" in text
    assert found["fragments"][0]["actual"]["contained"] in text


NARROW = "SELECT id, name FROM shop.t WHERE n >= 0"


def test_what_was_invalidated_answers_nobody(world: World) -> None:
    world.forget()
    world.check(FIRST)
    assert world.runtime.engine.cache.invalidate("table:shop.t") == 1
    assert [part.cache for part in world.check(NARROW)] == ["miss"]


def test_an_answer_is_not_taken_for_younger_than_what_was_invalidated(world: World) -> None:
    """Whoever reads it by another name, of which something was invalidated since, must not find it kept."""
    world.forget()
    world.check(FIRST)
    world.runtime.engine.cache.invalidate("view:other.view")
    assert [part.cache for _ in range(2) for part in world.check(NARROW)] == ["contained", "contained"]


def test_nothing_answers_past_its_bound(world: World) -> None:
    world.forget()
    (first,) = world.check(FIRST)
    (part,) = world.check(NARROW)
    assert (part.cache, part.origin, part.read_at) == ("contained", "cache", first.read_at)
    world.runtime.engine.cache.invalidate("view:other.view")
    parts = world.rows(NARROW, session=replace(ANN, max_age=MaxAge(0.0)))[1]
    assert [part.cache for part in parts] == ["miss"]
    world.forget()
    world.check(FIRST)
    cache = world.runtime.engine.cache
    with patch.object(cache, "clock", lambda: time.monotonic() + 3601):
        assert [part.cache for part in world.check(NARROW)] == ["miss"]


@contextmanager
def _locked(world: World) -> Iterator[tuple[psycopg.Connection[Any], Taps]]:
    """The table, so that statements wait; and which were sent."""
    taps = Taps()
    world.runtime.engine.watch.listeners.append(taps)
    try:
        with psycopg.connect(world.oracle.info.dsn) as holder:
            holder.execute("LOCK TABLE shop.t")
            yield holder, taps
    finally:
        world.runtime.engine.watch.listeners.remove(taps)


async def _ask(world: World, sql: str) -> list[Part]:
    result = await world.runtime.engine.query(sql, ANN)
    await result.table()
    return result.parts


async def _waiting(world: World, count: int) -> None:
    """Until so many statements wait for the lock."""
    sql = b"SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'shop.t'::regclass"
    await asyncio.to_thread(wait_for, lambda: world.oracle.execute(sql).fetchall() == [(count,)])


def test_narrower_statements_wait_for_one_that_is_under_way(world: World) -> None:
    world.forget()
    narrow = [sql for sql, contained in CASES if contained]

    async def run(holder: psycopg.Connection[Any]) -> list[list[Part]]:
        asks = [asyncio.create_task(_ask(world, FIRST))]
        await _waiting(world, 1)
        asks += [asyncio.create_task(_ask(world, sql)) for sql in narrow]
        await asyncio.sleep(0.2)  # for what should not be sent
        holder.commit()
        return await asyncio.gather(*asks)

    with _locked(world) as (holder, taps):
        found = world.runner.run(run(holder))
        assert [part.cache for parts in found for part in parts] == ["miss"] + ["contained"] * len(narrow)
        assert len(taps.seen) == 1
    for sql in narrow:
        world.check(sql)


def test_who_waits_for_rows_that_nobody_wants_any_more_asks_himself(world: World) -> None:
    world.forget()

    async def run(holder: psycopg.Connection[Any]) -> list[Part]:
        broad = asyncio.create_task(_ask(world, FIRST))
        await _waiting(world, 1)
        narrow = asyncio.create_task(_ask(world, NARROW))
        await asyncio.sleep(0.05)
        broad.cancel()
        await asyncio.gather(broad, return_exceptions=True)
        await asyncio.sleep(0.05)
        holder.commit()
        return await narrow

    with _locked(world) as (holder, _):
        (part,) = world.runner.run(run(holder))
    assert (part.cache, part.statements) == ("miss", 1)
    world.check(NARROW)


INNER = "(SELECT s.g, s.rank, coalesce(s.rank, 0) AS filled FROM shop.s s) s"
COUNTS = (
    "SELECT x.c, count(*) FROM (SELECT t.g, t.flag, count(*) AS c FROM shop.t t GROUP BY t.g, t.flag) x GROUP BY x.c"
)


@pytest.mark.parametrize(
    ("first", "then", "contained"),
    [
        # a count of counts is another column than the counts
        (COUNTS, f"{COUNTS} HAVING x.c > 8", True),
        (COUNTS, f"{COUNTS} HAVING count(*) > 1", True),
        # what is computed before an outer join is NULL past it, what is computed past it is not
        (
            f"SELECT t.id, t.n, s.filled FROM shop.t t LEFT JOIN {INNER} ON s.g = t.g",
            f"SELECT t.id, coalesce(s.rank, 0) FROM shop.t t LEFT JOIN {INNER} ON s.g = t.g WHERE t.n > 0",
            False,
        ),
        (
            "SELECT t.id, t.n, s.rank, coalesce(s.rank, 0) AS k FROM shop.t t LEFT JOIN shop.s s ON s.g = t.g",
            "SELECT t.id, s.rank FROM shop.t t LEFT JOIN shop.s s ON s.g = t.g WHERE t.n > 0 AND s.rank IS NULL",
            True,
        ),
        # conditions on the side that may be missing are no conditions on the join
        (
            "SELECT t.id, t.n, s.rank FROM shop.t t LEFT JOIN shop.s s ON s.g = t.g AND s.rank > 5",
            "SELECT t.id, t.n, s.rank FROM shop.t t LEFT JOIN shop.s s ON s.g = t.g AND s.rank > 20",
            False,
        ),
        # a table twice, each with a condition of its own
        (
            "SELECT a.id, a.n, b.id, b.n FROM shop.t a JOIN shop.t b ON b.id = a.id WHERE a.n > 0",
            "SELECT a.id, a.n, b.id, b.n FROM shop.t a JOIN shop.t b ON b.id = a.id WHERE b.n > 0",
            None,
        ),
        # groups of fewer rows are other groups
        (
            "SELECT t.g, count(*) FROM shop.t t GROUP BY t.g",
            "SELECT t.g, count(*) FROM shop.t t WHERE t.n > 0 GROUP BY t.g",
            False,
        ),
        ("SELECT DISTINCT t.g, t.flag FROM shop.t t", "SELECT DISTINCT t.g FROM shop.t t WHERE t.flag", False),
        ("SELECT t.id, t.n FROM shop.t t ORDER BY t.n", "SELECT t.id FROM shop.t t WHERE t.n > 0", True),
        ("SELECT t.id, t.n FROM shop.t t LIMIT 50", "SELECT t.id FROM shop.t t WHERE t.n > 0", False),
    ],
)
def test_what_looks_alike_is_told_apart(world: World, first: str, then: str, contained: bool | None) -> None:
    world.forget()
    world.check(first)
    parts = world.check(then)
    if contained is not None:
        assert {part.cache for part in parts} == {"contained" if contained else "miss"}
