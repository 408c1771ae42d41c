"""Facts of sources: told, noticed when they change, and each one's absence makes plans more careful, never wrong."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.project import Runtime, open_project
from connectors.base import Collation, Column, Partitions, Profile, Table
from connectors.registry import connect
from federation import facts
from federation.session import Session
from planner.plan import Plan
from tests.folders import write
from tests.plans.test_plans import World, statement, world  # noqa: F401 -- a fixture
from tests.servers import Server
from views.catalog import Catalog

OPERATOR = Session("vdw")


def script(path: Path, text: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(text)


async def ask(runtime: Runtime, sql: str) -> list[dict[str, Any]]:
    return list((await (await runtime.engine.query(sql, OPERATOR)).table()).to_pylist())


def test_a_source_that_is_another_is_served_anew(tmp_path: Path) -> None:
    script(tmp_path / "shop.sqlite", "create table t (id int not null, name text); insert into t values (1, 'a')")
    write(tmp_path, {"sources/shop.yml": "kind: sqlite\nconnection: {path: shop.sqlite}\nttl: 600s\n"})

    async def run() -> None:
        async with open_project(tmp_path) as runtime:
            assert await ask(runtime, "select id, name from shop.t") == [{"id": 1, "name": "a"}]
            before = runtime.engine.catalog
            assert await runtime.recheck(["shop"]) == ()
            assert runtime.engine.catalog.version == before.version
            script(tmp_path / "shop.sqlite", "insert into t values (2, 'b')")
            assert await runtime.recheck(["shop"]) == (), "rows are no fact"
            assert len(await ask(runtime, "select id, name from shop.t")) == 1, "what is kept serves"
            script(tmp_path / "shop.sqlite", "create unique index k on t (id)")
            assert await runtime.recheck(["shop"]) == ("shop",)
            after = runtime.engine.catalog
            assert after.version != before.version
            table = after.tables["shop", "t"].table
            assert table is not None
            assert table.keys == (("id",),)
            assert len(await ask(runtime, "select id, name from shop.t")) == 2, "kept under the facts of then"

    asyncio.run(run())


def test_facts_are_told_in_sql(tmp_path: Path) -> None:
    script(tmp_path / "shop.sqlite", "create table t (id integer primary key, name text collate nocase)")
    write(tmp_path, {"sources/shop.yml": "kind: sqlite\nconnection: {path: shop.sqlite}\n"})

    async def run() -> dict[tuple[Any, ...], Any]:
        async with open_project(tmp_path) as runtime:
            rows = await ask(runtime, "select relation, \"column\", fact, value from vdw.facts where source = 'shop'")
            return {(row["relation"], row["column"], row["fact"]): row["value"] for row in rows}

    told = asyncio.run(run())
    assert told[None, None, "engine"] == "sqlite"
    assert told[None, None, "version"] == sqlite3.sqlite_version
    assert told[None, None, "replica"] == "no"
    assert told["t", None, "keys"] == "id"
    assert told["t", None, "foreign keys"] is None, "what is not known is told so"
    assert told["t", "name", "compares"] == "in a way of its own"


# -- each fact taken away

_TABLE = {"keys": (), "indexes": (), "foreign_keys": (), "row_count": None, "partitions": None}
_COLUMN = {"nullable": True, "collation": Collation.LOOSE, "exact": False, "collated": ""}
PROVEN = ("collation", "exact")  # without them less is computed at a source


def without(catalog: Catalog, chosen: list[tuple[str, str]]) -> Catalog:
    """The catalog without facts: (source.table or source, fact)."""
    tables, sources = dict(catalog.tables), dict(catalog.sources)
    for where, fact in chosen:
        source, _, name = where.partition(".")
        if not name:
            profile = sources[source].profile
            assert profile is not None
            bare = replace(profile, facts={}) if fact == "facts" else replace(profile, version=())
            sources[source] = replace(sources[source], profile=bare)
            continue
        relation = tables[source, name]
        assert relation.table is not None
        tables[source, name] = replace(relation, table=_less(relation.table, fact))
    version = f"without {chosen}"
    return replace(catalog, tables=tables, sources=sources, version=version, lasting=version, versions={})


def _less(table: Table, fact: str) -> Table:
    if fact in _TABLE:
        return replace(table, **{fact: _TABLE[fact]})  # type: ignore[arg-type]
    columns = tuple(_bare(column, fact) for column in table.columns)
    return replace(table, columns=columns)


def _bare(column: Column, fact: str) -> Column:
    return replace(column, **{fact: _COLUMN[fact]})  # type: ignore[arg-type]


def known(catalog: Catalog) -> list[tuple[str, str]]:
    """All facts that can be taken away."""
    tables = [
        f"{source}.{name}" for (source, name), one in sorted(catalog.tables.items()) if one.table and source != "vdw"
    ]
    found = [(table, fact) for table in tables for fact in (*_TABLE, *_COLUMN)]
    return found + [(name, fact) for name in sorted(catalog.sources) if name != "vdw" for fact in ("facts", "version")]


def pushed(plan: Plan) -> int:
    """What sources compute of what somebody asked: predicates and other calls that are proven there."""
    return sum(v.verdict == "EXACT" for fragment in plan.fragments for v in fragment.verdicts)


def statements() -> list[str]:
    folder = Path(__file__).parent / "plans"
    blocks = [b.strip() for file in sorted(folder.glob("*.plan")) for b in file.read_text().split("\n\n") if b.strip()]
    return [statement(block) for block in blocks]


@pytest.fixture
def facing(world: World) -> Iterator[World]:  # noqa: F811
    engine = world.runtime.engine
    whole = engine.catalog
    yield world
    world.runner.run(engine.swap(whole, engine.connectors))


@pytest.mark.parametrize("seed", range(24))
def test_answers_stay_right_without_facts(facing: World, seed: int) -> None:
    """Any facts, any statements of the golden plans: the answer is PostgreSQL's."""
    chance = random.Random(seed)
    engine = facing.runtime.engine
    every = known(engine.catalog)
    chosen = chance.sample(every, chance.choice((1, 3, 12, len(every))))
    asked = chance.sample(statements(), 6)
    facing.runner.run(engine.swap(without(engine.catalog, chosen), engine.connectors))
    for sql in asked:
        assert facing.rows(sql) == facing.wanted(sql), (sql, chosen)


@pytest.mark.parametrize("fact", [*_TABLE, *_COLUMN])
def test_without_a_fact_no_more_is_pushed(facing: World, fact: str) -> None:
    """Everywhere at once: of what was proven there, no more is; where it is a proof's ground, less."""
    engine = facing.runtime.engine
    asked = random.Random(fact).sample(statements(), 16)
    before = [pushed(facing.plan(sql)) for sql in asked]
    chosen = [one for one in known(engine.catalog) if one[1] == fact]
    facing.runner.run(engine.swap(without(engine.catalog, chosen), engine.connectors))
    after = [pushed(facing.plan(sql)) for sql in asked]
    assert all(now <= then for now, then in zip(after, before, strict=True)), (fact, before, after)
    if fact in PROVEN:
        assert sum(after) < sum(before)


@pytest.mark.parametrize("kind", ["list", "hash", "range"])
def test_partitions_say_how_much_is_read(facing: World, kind: str) -> None:
    """Most likely only the part that a filter names; a hash says nothing of ranges; surely no more than all."""
    engine = facing.runtime.engine
    whole = engine.catalog
    table = whole.tables["shop", "orders"].table
    assert table is not None
    parted = replace(table, partitions=Partitions(kind, ("amount",), 50))
    tables = {**whole.tables, ("shop", "orders"): replace(whole.tables["shop", "orders"], table=parted)}
    point, span = "select id from shop.orders where amount = 7", "select id from shop.orders where amount < 7"
    before = [facing.plan(sql).fragments[0].expected.examined for sql in (point, span)]
    facing.runner.run(engine.swap(replace(whole, tables=tables, version=kind), engine.connectors))
    after = [facing.plan(sql).fragments[0].expected.examined for sql in (point, span)]
    assert after[0].likely <= before[0].likely / 10
    assert (after[1].likely < before[1].likely) == (kind != "hash")
    assert [one.high for one in after] == [one.high for one in before]


# -- what servers tell


@pytest.mark.service
def test_facts_of_postgresql(postgresql: Server) -> None:
    postgresql.run("DROP DATABASE IF EXISTS facts", "CREATE DATABASE facts")
    postgresql.run(
        "CREATE TABLE days (day date, name text COLLATE \"C\") PARTITION BY RANGE (day)",
        "CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        "DROP ROLE IF EXISTS reader", "CREATE ROLE reader LOGIN PASSWORD 'r'", "GRANT SELECT ON days TO reader",
        database="facts",
    )  # fmt: skip
    profiles: dict[str, Profile] = {}
    for user, password in ((postgresql.user, postgresql.password), ("reader", "r")):
        connector = connect("postgresql", "x", {**postgresql.options, "database": "facts", "user": user, "password": password})  # fmt: skip # noqa: E501
        profiles[user] = connector.profile()
        (table,) = connector.tables()
        connector.close()
    assert profiles["reader"].facts["read_only_login"] is True
    assert profiles[postgresql.user].facts["read_only_login"] is False
    assert profiles["reader"].facts["replica"] is False
    assert any(one.startswith("default_transaction_read_only = ") for one in profiles["reader"].facts["settings"])
    assert str(table.partitions) == "2 by range of day"
    assert table.column("name").collated == "C"


@pytest.mark.service
def test_facts_of_mariadb(mariadb: Server) -> None:
    mariadb.run("DROP DATABASE IF EXISTS facts", "CREATE DATABASE facts")
    mariadb.run(
        "CREATE TABLE days (id int, name varchar(9) COLLATE utf8mb4_bin) PARTITION BY HASH (id) PARTITIONS 3",
        "CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'r'", "GRANT SELECT ON facts.* TO reader@'%'",
        "GRANT ALL ON facts.* TO vdw@'%'", database="facts",
    )  # fmt: skip
    profiles: dict[str, Profile] = {}
    for user, password in ((mariadb.user, mariadb.password), ("reader", "r")):
        connector = connect("mariadb", "x", {**mariadb.options, "database": "facts", "user": user, "password": password})  # fmt: skip # noqa: E501
        profiles[user] = connector.profile()
        (table,) = connector.tables()
        connector.close()
    assert profiles["reader"].facts["read_only_login"] is True
    assert profiles["vdw"].facts["read_only_login"] is False
    assert "STRICT_TRANS_TABLES" in profiles["reader"].facts["sql_mode"]
    assert str(table.partitions) == "3 by hash of id"
    assert table.column("name").collated == "utf8mb4_bin"


@pytest.mark.service
def test_another_server_is_noticed_at_the_next_connection(postgresql: Server) -> None:
    connector = connect("postgresql", "x", postgresql.options)
    profile = connector.profile()
    assert facts.altered({"x": connector}) == ()
    connector._access.identity.knows((profile.version, True))  # type: ignore[attr-defined] # as if it had been a replica
    connector._leases.clear()  # type: ignore[attr-defined]
    connector.ping()
    assert facts.altered({"x": connector}) == ("x",)
    assert connector.profile() == profile
    assert facts.altered({"x": connector}) == ()
    connector.close()
