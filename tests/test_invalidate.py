"""Invalidation through the engine: by source, table, view and key; under load; what is proven to be of others stays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.errors import QueryError
from federation.canon.server import Canon
from federation.canon.shell import install
from federation.engine import Engine
from federation.session import Session
from tests.test_engine import World, engine, rows, until
from views.catalog import View

ANN = Session("ann")
PEOPLE = "SELECT customers.id AS customer_id, customers.name FROM crm.customers customers WHERE customers.id > 0"
NAMES = "SELECT people.customer_id AS who, upper(people.name) AS name FROM sales.people people"
ONE = "SELECT name FROM sales.people WHERE customer_id = {}"
COUNT = "SELECT count(*) FROM crm.customers"


async def cataloged(made: Engine, world: World, canon: Canon) -> None:
    """The engine, with views over views that have keys."""
    id, name = world.catalog.tables["crm", "customers"].columns
    people = View(
        "sales",
        "people",
        (("customer_id", id[1]), name),
        text=PEOPLE,
        depends=(("crm", "customers"),),
        key_columns=("customer_id",),
    )
    names = View(
        "sales",
        "names",
        (("who", id[1]), name),
        text=NAMES,
        depends=(("sales", "people"),),
        key_columns=("who",),
    )
    views = {**world.catalog.views, people.key: people, names.key: names}
    catalog = replace(world.catalog, views=views, version=world.catalog.version + "v")
    install(canon.dsn(), catalog)
    await made.swap(catalog, made.connectors)


@pytest.mark.parametrize("name", ["crm", "crm.customers", "sales.people"])
def test_what_is_asked_after_an_invalidation_is_read_anew(name: str, tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            await cataloged(made, world, canon)
            for _ in range(2):
                await rows(await made.query(ONE.format(1), ANN))
                await rows(await made.query("SELECT count(*) FROM erp.orders", ANN))
            assert world.asked == (1, 1)
            assert made.invalidate(name) >= 1
            await rows(await made.query("SELECT count(*) FROM erp.orders", ANN))
            await rows(await made.query(ONE.format(1), ANN))
            assert world.asked == (2, 1)

    asyncio.run(run())


def test_a_view_is_read_anew_even_where_another_relation_had_kept_its_rows(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            await cataloged(made, world, canon)
            await rows(await made.query("SELECT id, name FROM crm.customers WHERE id > 0 AND id = 1", ANN))
            made.invalidate("sales.people")
            await rows(await made.query(ONE.format(1), ANN))
            assert world.asked == (2, 0)

    asyncio.run(run())


@pytest.mark.parametrize(("name", "column"), [("sales.people", "customer_id"), ("sales.names", "who")])
def test_by_key_all_goes_that_may_hold_it_and_others_stay(name: str, column: str, tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            await cataloged(made, world, canon)
            for text in (ONE.format(1), ONE.format(2), COUNT):
                await rows(await made.query(text, ANN))
            assert world.asked == (3, 0)
            assert made.invalidate(name, {column: "2"}) == 2
            await rows(await made.query(ONE.format(1), ANN))
            assert world.asked == (3, 0)
            await rows(await made.query(COUNT, ANN))
            await rows(await made.query(ONE.format(2), ANN))
            assert world.asked == (5, 0)

    asyncio.run(run())


def test_where_a_table_stands_twice_a_key_proves_nothing(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            await cataloged(made, world, canon)
            twice = """SELECT a.name, b.name FROM crm.customers a JOIN crm.customers b ON b.id = a.id + 1
                       WHERE a.id = 1"""
            await rows(await made.query(twice, ANN))
            assert made.invalidate("sales.people", {"customer_id": 2}) >= 1

    asyncio.run(run())


def test_what_was_kept_can_be_read_again_at_once(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            await cataloged(made, world, canon)
            await rows(await made.query(ONE.format(1), ANN))
            await rows(await made.query(COUNT, ANN))
            assert made.invalidate("crm", refresh=True) == 2
            await until(lambda: made.cache.counters.refreshed == 2)
            await rows(await made.query(ONE.format(1), ANN))
            await rows(await made.query(COUNT, ANN))
            assert world.asked == (4, 0)

    asyncio.run(run())


def test_an_invalidation_under_load_costs_one_statement(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            await cataloged(made, world, canon)
            world.crm.gate.clear()

            async def one() -> list[tuple[object, ...]]:
                return await rows(await made.query(COUNT, ANN))

            before = [asyncio.create_task(one()) for _ in range(25)]
            await until(lambda: world.crm.running == 1)
            made.invalidate("crm.customers")
            after = [asyncio.create_task(one()) for _ in range(25)]
            await until(lambda: world.crm.running == 2)
            world.crm.gate.set()
            assert await asyncio.gather(*before, *after) == [[(3000,)]] * 50
            assert world.asked == (2, 0)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "key", "sqlstate", "hint"),
    [
        ("crn", None, "42P01", "did you mean `crm`?"),
        ("sales.peopel", None, "42P01", "did you mean `sales.people`?"),
        ("crm", {"id": 1}, "42P01", ""),
        ("sales.people", {"name": "a"}, "42703", "its key is (customer_id)"),
        ("sales.big", {"id": 1}, "42703", "its header has no key"),
    ],
)
def test_what_cannot_be_invalidated_is_told(
    name: str, key: dict[str, object] | None, sqlstate: str, hint: str, tmp_path: Path, canon: Canon
) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon) as (made, world):
            await cataloged(made, world, canon)
            with pytest.raises(QueryError) as caught:
                made.invalidate(name, key)
            assert caught.value.sqlstate == sqlstate
            assert hint in (caught.value.hint or "")

    asyncio.run(run())
