"""The contract on data's age: over every protocol, in the cache, at sources that tell their age, over copies."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from api.http import app
from connectors.errors import LimitExceeded, QueryError
from federation.result import Result
from federation.session import Session
from tests.folders import write
from tests.pgwire.conftest import Front
from views.max_age import MaxAge

CUSTOMERS = "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, region VARCHAR(9))"
ORDERS = "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id BIGINT, amount BIGINT)"
LIVE = "INSERT INTO customers VALUES (1, 'Ann', 'north'), (2, 'Bob', 'south'), (3, 'Cem', NULL)"
OLD = "INSERT INTO customers VALUES (1, 'Anna', 'north'), (2, 'Bob', 'south')"
DATA = {
    "crm": f"{CUSTOMERS}; {ORDERS}; {LIVE}; INSERT INTO orders VALUES (10, 1, 5), (11, 1, 7), (12, 3, 1);"
    "CREATE TABLE visits (id INTEGER PRIMARY KEY, customer_id BIGINT); INSERT INTO visits VALUES (1, 1), (2, 2)",
    "dwh": f"{CUSTOMERS.replace('VARCHAR(9)', 'TEXT')}; {ORDERS}; {OLD}; INSERT INTO orders VALUES (10, 1, 5);"
    "CREATE TABLE facts (id INTEGER PRIMARY KEY, n BIGINT); INSERT INTO facts VALUES (1, 2)",
    "replica": "CREATE TABLE people (region VARCHAR(9), id INTEGER PRIMARY KEY, more TEXT, name TEXT NOT NULL);"
    "INSERT INTO people VALUES ('north', 1, 'x', 'Anne');"
    "CREATE TABLE beat (at TIMESTAMP WITH TIME ZONE)",
}
SOURCE = "kind: sqlite\nconnection: {{path: {name}.sqlite}}\nttl: 60s\n"
FILES = {
    "sources/crm.yml": SOURCE.format(name="crm"),
    "sources/dwh.yml": SOURCE.format(name="dwh") + "role: warehouse\nas_of: {kind: file}\ncopy_of: crm\n",
    "sources/replica.yml": SOURCE.format(name="replica")
    + "as_of: {kind: query, sql: select max(at) from beat}\ncopies: {people: crm.customers}\n",
    "views/v/people.view.sql": """
        /*---
        view: v.people
        key: [id]
        freshness: {class: near_real_time}
        ---*/
        select c.id, c.name, c.region from crm.customers c
        """,
}
HOUR = 3600.0
PEOPLE = "select id, name from v.people order by id"
TRUE, STALE, COPIED = ["Ann", "Bob", "Cem"], ["Anna", "Bob"], ["Anne"]


@dataclass
class World:
    """The project, and a hand on the ages of its data."""

    front: Front
    folder: Path

    def aged(self, dwh: float = 10 * HOUR, replica: float | None = None) -> None:
        """The warehouse's file and the replica's last beat are so many seconds old; and nothing is kept of before."""
        moment = time.time() - dwh
        os.utime(self.folder / "dwh.sqlite", (moment, moment))
        with contextlib.closing(sqlite3.connect(self.folder / "replica.sqlite")) as connection:
            connection.execute("DELETE FROM beat")
            if replica is not None:
                at = dt.datetime.fromtimestamp(time.time() - replica, dt.UTC)
                connection.execute("INSERT INTO beat VALUES (?)", (at.isoformat(sep=" "),))
            connection.commit()
        self.engine._fetcher.ages.swap(self.engine._fetcher.ages.told)
        self.engine.cache.clear()

    @property
    def engine(self) -> Any:
        return self.front.runtime.engine

    def asked(self, source: str) -> int:
        """Statements that a source got so far."""
        return int(self.engine.loads[source].statements)

    def ask(self, sql: str, max_age: str = "", user: str = "ann") -> tuple[list[Any], Result]:
        """The last column's values, and the result."""

        async def run() -> tuple[list[Any], Result]:
            result = await self.engine.query(sql, Session(user, max_age=MaxAge.parse(max_age)))
            table = await result.table()
            return table.column(table.num_columns - 1).to_pylist(), result

        found: tuple[list[Any], Result] = self.front.call(run())
        return found

    def http(self, method: str, path: str, **more: Any) -> httpx.Response:
        """A response of the project's HTTP."""

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app(self.front.runtime))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **more)

        found: httpx.Response = self.front.call(run())
        return found


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = write(tmp_path_factory.mktemp("contract"), {**FILES, "sources/shop.yml": SOURCE.format(name="crm")})
    (folder / "sources/shop.yml").unlink()
    for name, script in DATA.items():
        with contextlib.closing(sqlite3.connect(folder / f"{name}.sqlite")) as connection:
            connection.executescript(script)
    with Front(folder) as front:
        yield World(front, folder)


def test_what_are_copies(world: World) -> None:
    catalog = world.engine.catalog
    assert catalog.copies == {
        ("crm", "customers"): (("dwh", "customers"), ("replica", "people")),
        ("crm", "orders"): (("dwh", "orders"),),
    }


# -- copies


def test_without_a_contract_the_original_is_read(world: World) -> None:
    world.aged(dwh=0, replica=0)
    assert world.ask(PEOPLE)[0] == TRUE
    assert world.ask(PEOPLE, "none")[0] == TRUE


@pytest.mark.parametrize(
    ("max_age", "dwh", "replica", "expected"),
    [
        ("1h", 0.5 * HOUR, None, STALE),
        ("1h", 2 * HOUR, None, TRUE),
        ("1h", 2 * HOUR, 0.5 * HOUR, COPIED),
        ("1h", 0.5 * HOUR, 0.5 * HOUR, STALE),  # the warehouse before an operational source
        ("real_time", 0.5 * HOUR, None, STALE),
        ("near_real_time", 5 * HOUR, None, STALE),
        ("batch", 1000 * HOUR, None, STALE),
        ("live", 0.0, 0.0, TRUE),
        ("5s", 0.5 * HOUR, 60.0, TRUE),
        ("5s, crm=1h", 0.5 * HOUR, None, TRUE),  # what is read in the warehouse has to be young too
        ("5s, crm=1h, dwh=1h", 0.5 * HOUR, None, STALE),
        ("1h, crm=live", 0.0, 0.0, TRUE),
        ("1h, crm=none", 0.0, 0.0, TRUE),
        ("none, crm=1h", 0.5 * HOUR, None, STALE),
        ("3600s", HOUR - 0.2, None, TRUE),  # it would be too old in a moment
    ],
)
def test_a_copy_that_is_young_enough_stands_for_the_original(
    world: World, max_age: str, dwh: float, replica: float | None, expected: list[str]
) -> None:
    world.aged(dwh, replica)
    before = world.asked("crm")
    rows, result = world.ask(PEOPLE, max_age)
    assert rows == expected
    (part,) = result.parts
    assert (world.asked("crm") - before == 0, part.origin == "copy") == (expected is not TRUE, expected is not TRUE)
    assert part.originals == (("crm.customers",) if expected is not TRUE else ())


JOINED = (
    "select c.name, sum(o.amount)::bigint from crm.customers c join crm.orders o on o.customer_id = c.id group by 1"
)


def test_tables_of_one_source_are_of_one_side(world: World) -> None:
    world.aged(dwh=60, replica=None)
    assert world.ask(JOINED, "1h")[0] == [5]
    world.aged(dwh=2 * HOUR, replica=60)  # the replica has customers alone
    rows, result = world.ask(JOINED, "1h")
    assert sorted(rows) == [1, 12]
    assert {part.source for part in result.parts} == {"crm"}
    world.aged(dwh=60, replica=60)  # nobody has a copy of visits
    _, result = world.ask("select c.name, v.id from crm.customers c join crm.visits v on v.customer_id = c.id", "1h")
    assert {part.source for part in result.parts} == {"crm"}


def test_who_reads_the_original_gets_no_kept_copy_and_the_other_way_round(world: World) -> None:
    world.aged(dwh=60)
    sql = "select c.id, o.n, c.name from crm.customers c join dwh.facts o on o.id <= c.id order by 1"
    assert world.ask(sql, "1h")[0] == STALE
    assert world.ask(sql)[0] == TRUE
    assert world.ask(sql, "1h")[0] == STALE
    assert world.ask(sql)[0] == TRUE


def test_a_copy_whose_source_fails_leaves_the_original(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.aged(dwh=60)
    assert world.ask(PEOPLE, "1h")[0] == STALE
    world.engine.cache.clear()
    dwh = world.folder / "dwh.sqlite"
    content, moment = dwh.read_bytes(), dwh.stat().st_mtime
    dwh.write_bytes(b"no database at all" * 1000)
    try:
        assert world.ask(PEOPLE, "1h")[0] == TRUE
    finally:
        dwh.write_bytes(content)
        os.utime(dwh, (moment, moment))


def test_where_the_original_is_down_the_error_tells_the_best_copy(world: World) -> None:
    world.aged(dwh=2 * HOUR)
    crm = world.folder / "crm.sqlite"
    crm.rename(world.folder / "away.sqlite")
    try:
        assert world.ask(PEOPLE, "3h")[0] == STALE
        with pytest.raises(LimitExceeded, match=r"source crm is down.*dwh.customers.*2 h.*at most 1h") as caught:
            world.ask("select name from crm.customers where id < 7", "1h")
        assert caught.value.sqlstate == "72000"
    finally:
        (world.folder / "away.sqlite").rename(crm)


# -- sources that tell their age


def test_data_that_is_too_old_is_not_even_asked_for(world: World) -> None:
    world.aged(dwh=2 * HOUR)
    before = world.asked("dwh")
    with pytest.raises(LimitExceeded) as caught:
        world.ask("select n from dwh.facts", "5s")
    error = caught.value
    assert (error.sqlstate, world.asked("dwh") - before) == ("72000", 0)
    assert re.search(r"source dwh is 2 h( \d s)? old, and it may be at most 5s old", error.message), error.message
    enough = re.search(r"dwh=(\w+)", error.hint or "")
    assert enough is not None
    assert world.ask("select n from dwh.facts", f"5s, dwh={enough[1]}")[0] == [2]


def test_a_source_that_does_not_tell_its_age_keeps_no_contract(world: World) -> None:
    world.aged(replica=None)
    with pytest.raises(LimitExceeded, match="replica does not tell how old its data is") as caught:
        world.ask("select more from replica.people", "1d")
    assert caught.value.sqlstate == "72000"
    assert world.ask("select more from replica.people", "batch")[0] == ["x"]
    assert world.ask("select more from replica.people")[0] == ["x"]


def test_a_kept_answer_of_older_data_is_read_anew_once_there_is_younger(world: World) -> None:
    world.aged(dwh=2 * HOUR)
    assert world.ask("select n from dwh.facts")[0] == [2]
    moment = time.time() - 60
    os.utime(world.folder / "dwh.sqlite", (moment, moment))
    world.engine._fetcher.ages.swap(world.engine._fetcher.ages.told)
    _, result = world.ask("select n from dwh.facts", "1h")
    (part,) = result.parts
    assert part.cache != "hit"
    assert dt.datetime.fromisoformat(part.as_of).timestamp() == pytest.approx(moment, abs=1)
    _, result = world.ask("select n from dwh.facts", "1h")
    assert result.cached


def test_a_source_that_is_not_there_is_told(world: World) -> None:
    with pytest.raises(QueryError, match='no source "dhw"'):
        world.ask(PEOPLE, "1h, dhw=5s")


def test_a_users_own_default_counts_where_nothing_else_is_said(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.aged(dwh=0.5 * HOUR)
    monkeypatch.setattr(world.engine, "max_ages", {"ann": MaxAge.parse("1h")})
    assert world.ask(PEOPLE)[0] == STALE
    assert world.ask(PEOPLE, user="bob")[0] == TRUE
    assert world.ask(PEOPLE, "none")[0] == TRUE
    assert world.ask(f"{PEOPLE} /* vdw: max_age=live */")[0] == TRUE


# -- the cache


@pytest.mark.parametrize("sql", [PEOPLE, "select c.id, f.n, c.name from crm.customers c, dwh.facts f order by 1"])
def test_nothing_older_is_served_from_the_cache(world: World, sql: str) -> None:
    world.aged(dwh=0)
    live = "none, crm={}"
    assert world.ask(sql)[1].cached is False
    assert world.ask(sql)[1].cached is True
    before = world.asked("crm")
    asked = time.time()
    result = world.ask(sql, live.format("live"))[1]
    assert world.asked("crm") == before + 1
    assert all(part.read_at >= asked for part in result.parts if part.source == "crm")
    time.sleep(0.05)
    world.ask(sql, live.format("10ms"))
    assert world.asked("crm") == before + 2
    assert world.ask(sql)[1].cached is True


def test_a_read_under_way_is_shared_only_with_those_whom_it_is_young_enough_for(world: World) -> None:
    world.aged()

    async def together() -> list[Result]:
        ask = [world.engine.query(PEOPLE, Session("ann", max_age=MaxAge.parse(text))) for text in ["live"] * 8]
        results = await asyncio.gather(*ask)
        for result in results:
            await result.table()
        return results

    before, asked = world.asked("crm"), time.time()
    results = world.front.call(together())
    assert all(part.read_at >= asked for result in results for part in result.parts)
    assert 1 <= world.asked("crm") - before <= 8


# -- where it is said


def names(connection: psycopg.Connection[Any], sql: str = PEOPLE) -> list[str]:
    return [row[-1] for row in connection.execute(sql)]


def test_a_session_over_the_postgresql_protocol(world: World) -> None:
    world.aged(dwh=0.5 * HOUR)
    with psycopg.connect(world.front.dsn(), autocommit=True) as connection:
        assert names(connection) == TRUE
        connection.execute("SET vdw.max_age = '1h'")
        assert names(connection) == STALE
        assert connection.execute("SHOW vdw.max_age").fetchone() == ("1h",)
        assert names(connection, f"{PEOPLE} /* vdw: max_age=live */") == TRUE
        assert names(connection, f"/* vdw: max_age=none */ {PEOPLE}") == TRUE
        with connection.transaction():
            connection.execute("SET LOCAL vdw.max_age = 'live'")
            assert names(connection) == TRUE
        assert names(connection) == STALE
        connection.execute("RESET vdw.max_age")
        assert connection.execute("SHOW vdw.max_age").fetchone() == ("",)
        assert names(connection) == TRUE
        assert names(connection, f"/* vdw: max_age='1h' */ {PEOPLE}") == STALE
        connection.execute("SELECT set_config('vdw.max_age', '1h', false)")
        assert names(connection) == STALE
        connection.execute("DISCARD ALL")
        assert names(connection) == TRUE
    with psycopg.connect(world.front.dsn(options="'-c vdw.max_age=1h'"), autocommit=True) as connection:
        assert names(connection) == STALE


def test_prepared_statements_and_cursors_follow_the_session(world: World) -> None:
    world.aged(dwh=0.5 * HOUR)
    with psycopg.connect(world.front.dsn()) as connection:
        for max_age, expected in (("none", TRUE), ("1h", STALE), ("live", TRUE), ("1h", STALE)):
            connection.execute(f"SET vdw.max_age = '{max_age}'")
            rows = connection.execute("select name from v.people where id < %s order by 1", (9,), prepare=True)
            assert [row[0] for row in rows] == expected
            with connection.cursor(name="c") as cursor:
                cursor.execute("select name from v.people order by id")
                assert [row[0] for row in cursor] == expected
            joined = "select name from v.people, generate_series(1, 1) order by id"
            assert names(connection, joined) == expected
            with connection.cursor().copy("COPY (select name from v.people order by 1) TO STDOUT") as copy:
                assert b"".join(copy).decode().split() == expected


def test_a_prepared_set_counts_each_time(world: World) -> None:
    world.aged(dwh=0.5 * HOUR)
    with psycopg.connect(world.front.dsn(), autocommit=True) as connection:
        for _ in range(3):
            connection.execute("SET vdw.max_age = '1h'", prepare=True)
            assert names(connection) == STALE
            connection.execute("RESET vdw.max_age", prepare=True)
            assert names(connection) == TRUE


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SET vdw.max_age = 'soon'", "22023"),
        ("SET vdw.max_age = '1h, dhw=5s'", "22023"),
        ("SET vdw.max_age = 'live, dwh=1s'", "72000"),
    ],
)
def test_what_cannot_be_kept_is_refused_at_the_statement(world: World, statement: str, code: str) -> None:
    world.aged()
    with psycopg.connect(world.front.dsn(), autocommit=True) as connection:
        connection.execute(statement)
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("select n from dwh.facts")
        assert caught.value.sqlstate == code
        assert caught.value.diag.message_hint
        assert connection.execute("select 1").fetchone() == (1,)
        connection.execute("RESET vdw.max_age")
        assert connection.execute("select n from dwh.facts").fetchone() == (2,)


def test_explain_tells_the_contract_and_the_copies(world: World) -> None:
    world.aged(dwh=0.5 * HOUR)
    with psycopg.connect(world.front.dsn(), autocommit=True) as connection:
        connection.execute("SET vdw.max_age = '1h'")
        lines = [row[0] for row in connection.execute(f"EXPLAIN {PEOPLE}")]
        assert any("at most 1h old" in line for line in lines), lines
        assert any("class near_real_time" in line for line in lines), lines
        assert any("copy of crm.customers" in line for line in lines), lines
        row = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {PEOPLE}").fetchone()
    assert row is not None
    (told,) = row[0]
    assert told["max_age"] == "1h"
    assert told["fragments"][0]["copies"] == ["crm.customers"]
    assert told["fragments"][0]["actual"]["as_of"]


def test_headers_of_http(world: World) -> None:
    world.aged(dwh=0.5 * HOUR)

    def ask(**headers: str) -> httpx.Response:
        return world.http(
            "POST", "/query", json={"sql": PEOPLE}, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    def names(response: httpx.Response) -> list[str]:
        return re.findall(r'"name":"(\w+)"', response.text)

    assert names(ask()) == TRUE
    assert names(ask(Vdw_Max_Age="1h")) == STALE
    assert names(ask(Vdw_Max_Age="live")) == TRUE
    before = world.asked("crm")
    assert names(ask()) == TRUE
    assert world.asked("crm") == before
    assert names(ask(Cache_Control="no-cache")) == TRUE
    assert world.asked("crm") == before + 1
    assert names(ask(Cache_Control="max-age=3600")) == TRUE  # of what is kept: no copy is read for it
    assert world.asked("crm") == before + 1
    assert ask(Vdw_Max_Age="soon").status_code == 400
    facts = {"json": {"sql": "select n from dwh.facts"}}
    refused = world.http("POST", "/query", headers={"Vdw-Max-Age": "5s"}, **facts)
    assert (refused.status_code, refused.json()["error"]["sqlstate"]) == (412, "72000")
    assert world.http("POST", "/query", headers={"Cache-Control": "no-cache"}, **facts).status_code == 200


def graphql(world: World, query: str, headers: dict[str, str] | None = None, **variables: Any) -> Any:
    response = world.http("POST", "/graphql", json={"query": query, "variables": variables}, headers=headers or {})
    return response.json()


def test_graphql_directives_and_headers(world: World) -> None:
    world.aged(dwh=0.5 * HOUR)
    field = "people: vPeople(orderBy: [{id: asc}]) %s { name }"

    root = field.removeprefix("people: ")

    def names(answer: Any, key: str = "people") -> list[str]:
        assert "errors" not in answer, answer
        return [row["name"] for row in answer["data"][key]]

    assert names(graphql(world, "{ " + field % "" + " }")) == TRUE
    assert names(graphql(world, 'query @freshness(maxAge: "1h") { ' + field % "" + " }")) == STALE
    assert names(graphql(world, "{ " + field % '@freshness(maxAge: "1h")' + " }")) == STALE
    header = {"Vdw-Max-Age": "1h"}
    assert names(graphql(world, "{ " + field % "" + " }", header)) == STALE
    assert names(graphql(world, "{ " + field % '@freshness(maxAge: "live")' + " }", header)) == TRUE
    both = 'query @freshness(maxAge: "1h") { a: ' + root % "" + " b: " + root % '@freshness(maxAge: "none")' + " }"
    answer = graphql(world, both)
    assert (names(answer, "a"), names(answer, "b")) == (STALE, TRUE)
    asked = "query Q($age: String!) @freshness(maxAge: $age) { " + field % "" + " }"
    assert names(graphql(world, asked, age="1h")) == STALE
    assert names(graphql(world, asked, age="live")) == TRUE
    (error,) = graphql(world, asked, age="soon")["errors"]
    assert error["extensions"]["code"] == "22023"
    (error,) = graphql(world, "{ " + field % "" + " }", {"Vdw-Max-Age": "soon"})["errors"]
    assert error["extensions"]["code"] == "22023"


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ('query @freshness(maxAge: "soon") { vPeople { name } }', 'max_age "soon"'),
        ('{ vPeople { name @freshness(maxAge: "1h") } }', "root fields only"),
        ("{ vPeople @freshness { name } }", "maxAge"),
        ('{ vPeople { ... @freshness(maxAge: "1h") { name } } }', "may not be used on inline fragment"),
    ],
)
def test_graphql_directives_are_validated(world: World, query: str, message: str) -> None:
    answer = graphql(world, query)
    assert "data" not in answer or answer["data"] is None
    assert any(message in error["message"] for error in answer["errors"]), answer


def test_the_schema_tells_the_directive_and_the_class(world: World) -> None:
    asked = "{ __schema { directives { name locations args { name } } queryType { fields { name description } } } }"
    schema = graphql(world, asked)["data"]["__schema"]
    (directive,) = [each for each in schema["directives"] if each["name"] == "freshness"]
    assert set(directive["locations"]) == {"QUERY", "FIELD"}
    assert [argument["name"] for argument in directive["args"]] == ["maxAge"]
    (field,) = [each for each in schema["queryType"]["fields"] if each["name"] == "vPeople"]
    assert "near_real_time" in field["description"]
