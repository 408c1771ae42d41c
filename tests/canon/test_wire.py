"""The connection to the canon: a slow reader holds the server back, an idle one notices its end, neither spins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import psycopg
import pytest

from connectors.errors import Error, QueryError
from federation.canon.server import Canon
from federation.canon.wire import Wire, query


class Counted(Wire):
    """Counts how often the loop finds something to read."""

    wakes = 0

    def _wake(self) -> None:
        self.wakes += 1
        super()._wake()


@asynccontextmanager
async def opened(canon: Canon) -> AsyncIterator[Counted]:
    wire = await Counted.connect(canon.dsn())
    try:
        assert isinstance(wire, Counted)
        yield wire
    finally:
        wire.close()


def test_a_slow_reader_holds_the_server_back(canon: Canon, loop: asyncio.Runner) -> None:
    async def slowly() -> tuple[int, int]:
        async with opened(canon) as wire:
            rows = 0
            ask = query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")
            async with aclosing(wire.stream(ask, chunk=(0, 100))) as answer:
                async for _, result in answer:
                    rows += result.ntuples
                    if rows == 1000:
                        before = wire.wakes
                        await asyncio.sleep(0.3)
                        during = wire.wakes - before
            assert (await wire.rows("SELECT 1"))[0] == [("1",)]
            return rows, during

    rows, during = loop.run(slowly())
    assert rows == 20000
    assert during <= 2


def test_an_idle_connection_notices_the_servers_end(canon: Canon, loop: asyncio.Runner) -> None:
    async def ended() -> tuple[bool, int]:
        async with opened(canon) as wire:
            ((pid,),) = (await wire.rows("SELECT pg_backend_pid()"))[0]
            before = wire.wakes
            with psycopg.connect(canon.dsn(), autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (int(pid or 0),))
            await asyncio.sleep(0.2)
            return wire.broken, wire.wakes - before

    broken, wakes = loop.run(ended())
    assert broken
    assert wakes <= 3


def test_a_connection_that_ends_in_the_middle(canon: Canon, loop: asyncio.Runner) -> None:
    async def ended() -> None:
        async with opened(canon) as wire:
            with pytest.raises(Error) as caught:
                await wire.rows("SELECT 1", "SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 2")
            assert caught.value.sqlstate in ("57P01", "57P02")
            assert caught.value.sqlstate == "57P01" or wire.broken

    loop.run(ended())


def test_the_first_error_counts_and_the_rest_is_not_run(canon: Canon, loop: asyncio.Runner) -> None:
    async def wrong() -> None:
        async with opened(canon) as wire:
            with pytest.raises(QueryError, match="division by zero"):
                await wire.rows("SELECT 1", "SELECT 1/0", "SELECT nope", "SELECT set_config('my.x', '1', false)")
            assert await wire.rows("SELECT current_setting('my.x', true)") == [[(None,)]]

    loop.run(wrong())


@pytest.mark.slow
def test_a_large_parameter_both_ways(canon: Canon, loop: asyncio.Runner) -> None:
    async def echo() -> int:
        value = b"x" * 50_000_000
        async with opened(canon) as wire:
            (result,) = await wire.run(lambda pgconn: pgconn.send_query_params(b"SELECT $1::text", [value]))
            assert result.get_value(0, 0) == value
            return len(value)

    assert loop.run(echo()) == 50_000_000


def test_a_canon_that_is_not_there(loop: asyncio.Runner) -> None:
    with pytest.raises(Error, match="cannot be reached") as caught:
        loop.run(Wire.connect("host=/nowhere dbname=vdw"))
    assert caught.value.sqlstate == "57P03"
