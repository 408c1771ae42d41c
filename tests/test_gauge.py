"""The limit follows what a real server says of itself, over SQL of ours, and while we use it only."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from api.project import Runtime, open_project
from federation.gate.gate import Gate
from federation.session import Session
from tests.folders import write
from tests.servers import Server

pytestmark = [pytest.mark.service, pytest.mark.slow]


@contextmanager
def busy(server: Server, count: int) -> Iterator[None]:
    """So many statements of others run."""
    sleep = "SELECT pg_sleep(12)" if server.kind == "postgresql" else "SELECT SLEEP(12)"

    def run() -> None:
        with suppress(Exception):  # it is ended below
            server.run(sleep)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    yield
    if server.kind == "postgresql":
        server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(12)'")
    else:
        for (thread_id,) in server.run("SELECT id FROM information_schema.processlist WHERE info = 'SELECT SLEEP(12)'"):
            server.run(f"KILL {thread_id}")
    for thread in threads:
        thread.join()


async def asked(runtime: Runtime, gate: Gate, most: int) -> None:
    """Ask now and then until so many statements are allowed at once."""
    for number in range(200):
        await (await runtime.engine.query(f"SELECT count(*) FROM shop.few WHERE id <> {number}", Session("g"))).table()
        if gate.most == most:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(gate.state)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_it_steps_back_while_others_have_much_to_do(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    server: Server = request.getfixturevalue(kind)
    server.run("CREATE TABLE few (id int PRIMARY KEY)", "INSERT INTO few VALUES (1), (2)", database=server.database)
    before = 1 if kind == "mariadb" else 0  # what is running there anyway
    connection = f"host: {server.host}, port: {server.port}, database: {server.database}, user: {server.user}"
    source = f"""
        kind: {kind}
        connection: {{{connection}, password: {{file: secret}}}}
        limits: {{concurrency: 3}}
        adaptive: {{running: {before + 2}, every: 100ms}}
        expose: {{tables: [few]}}
    """
    folder = write(tmp_path, {"sources/shop.yml": source, "secret": server.password})

    async def run() -> None:
        async with open_project(folder) as runtime:
            gate = runtime.engine.gates.of("shop")
            await asked(runtime, gate, 3)
            with busy(server, 4):
                await asked(runtime, gate, 1)
                assert "statements of others run there" in gate.state
                assert "fewer at once than its owner's 3" in gate.state
            await asked(runtime, gate, 3)
            assert gate.adaptive.why == ""
            statements = gate.load.statements
            await asyncio.sleep(0.6)
            assert gate.load.statements <= statements + 1, "it is left alone while nobody uses it"

    try:
        asyncio.run(run())
    finally:
        server.run("DROP TABLE few", database=server.database)
