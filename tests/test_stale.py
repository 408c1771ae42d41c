"""Old rows in whole queries: on whose terms they serve, how an answer of them is labelled, and what is kept of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.errors import Error, SourceError
from federation.canon.server import Canon
from federation.canon.shell import install
from federation.engine import Engine
from federation.freshness.freshness import MaxAge
from federation.session import Session
from federation.terms import Terms
from tests.test_engine import JOIN, World, engine, rows, until

ANN = Session("ann")
STREAM = "SELECT name FROM crm.customers WHERE id = 7"
MERGED = JOIN.format(3)
VIEWED = "SELECT count(*) FROM sales.big"


class Ahead:
    """The cache's clock, which can be moved."""

    def __init__(self, made: Engine) -> None:
        self.seconds = 0.0
        made.cache.clock = made.cache._entries.clock = lambda: time.monotonic() + self.seconds


@asynccontextmanager
async def stale(
    folder: Path, canon: Canon, revalidate: float = 0.0, on_error: float = 0.0, **of_view: object
) -> AsyncIterator[tuple[Engine, World, Ahead]]:
    """Sources with these terms and a ttl of a minute."""
    async with engine(folder, canon, 60, **of_view) as (made, world):
        sources = {
            name: replace(source, stale_while_revalidate=revalidate, stale_if_error=on_error)
            for name, source in world.catalog.sources.items()
        }
        catalog = replace(world.catalog, sources=sources, version=world.catalog.version + "s")
        install(canon.dsn(), catalog)
        await made.swap(catalog, made.connectors)
        yield made, world, Ahead(made)


def down(world: World) -> None:
    """Both sources refuse from now on."""

    def refuse(*_given: object, **_more: object) -> object:
        raise SourceError("nobody there", sqlstate="08006")

    for source in (world.crm, world.erp):
        source.execute = refuse  # type: ignore[method-assign, assignment]


def origins(result: object) -> list[str]:
    return [part.origin for part in result.parts]  # type: ignore[attr-defined]


@pytest.mark.parametrize("sql", [STREAM, MERGED])
def test_old_rows_serve_at_once_and_are_renewed(sql: str, tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with stale(tmp_path, canon, revalidate=30) as (made, world, ahead):
            first = await rows(await made.query(sql, ANN))
            asked = sum(world.asked)
            ahead.seconds += 70
            result = await made.query(sql, ANN)
            assert (await rows(result), set(origins(result))) == (first, {"stale"})
            assert result.parts[0].cache == "stale" and not result.cached
            await until(lambda: made.cache.counters.refreshed == asked)
            result = await made.query(sql, ANN)
            assert (await rows(result), set(origins(result))) == (first, {"cache"})
            assert sum(world.asked) == 2 * asked

    asyncio.run(run())


@pytest.mark.parametrize("sql", [STREAM, MERGED])
def test_old_rows_serve_while_sources_are_down(sql: str, tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with stale(tmp_path, canon, on_error=100) as (made, world, ahead):
            first = await rows(await made.query(sql, ANN))
            down(world)
            ahead.seconds += 70
            for _ in range(2):
                result = await made.query(sql, ANN)
                assert (await rows(result), set(origins(result))) == (first, {"stale"})
                assert "nobody there" in result.parts[0].why
            with pytest.raises(Error):
                await rows(await made.query(sql, Session("ann", max_age=MaxAge(60.0))))
            ahead.seconds += 100
            with pytest.raises(Error):
                await rows(await made.query(sql, ANN))

    asyncio.run(run())


@pytest.mark.parametrize("sql", [STREAM, MERGED])
def test_a_source_that_hangs_is_waited_for_within_the_askers_time(sql: str, tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with stale(tmp_path, canon, on_error=100) as (made, world, ahead):
            first = await rows(await made.query(sql, ANN))
            ahead.seconds += 70
            world.crm.gate.clear()
            world.erp.gate.clear()
            result = await made.query(sql, Session("ann", timeout=3))
            assert (await rows(result), set(origins(result))) == (first, {"stale"})
            assert "no answer within" in result.parts[0].why

    asyncio.run(run())


def test_a_view_and_its_source_both_bound_it(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        for of_source, of_view, bound in (
            (0.0, 20.0, 20.0),
            (10.0, 20.0, 10.0),
            (30.0, 20.0, 20.0),
            (30.0, None, 30.0),
        ):
            views = {"stale_if_error": of_view, "stale_while_revalidate": of_view}
            async with stale(tmp_path, canon, of_source, of_source, **views) as (made, _, _ahead):
                terms = (await made.prepare(VIEWED, ANN)).terms
                assert {(step.revalidate, step.on_error) for step in terms.steps} == {(bound, bound)}
                assert {"view:sales.big", "source:erp", "table:erp.orders"} == terms.steps[0].tags == terms.keep.tags
            for name in ("crm", "erp"):
                (tmp_path / f"{name}.db").unlink()

    asyncio.run(run())


@pytest.mark.parametrize(("ways", "bound"), [(("fail",), 0.0), (("nulls",), 0.0), (("stale", "nulls"), 50.0)])
def test_on_source_down_without_stale_forbids_it(
    ways: tuple[str, ...], bound: float, tmp_path: Path, canon: Canon
) -> None:
    async def run() -> None:
        async with stale(tmp_path, canon, 0, 50, on_source_down={"erp": ways}) as (made, _, _ahead):
            terms: Terms = (await made.prepare(VIEWED, ANN)).terms
            assert {step.on_error for step in terms.steps} == {bound}

    asyncio.run(run())
