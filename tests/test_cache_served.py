"""A real PostgreSQL behind the cache, by its own count: expiry, renewal, invalidation, and while it is down."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from connectors.errors import SourceError
from federation.result import Result
from federation.session import Session
from tests.servers import Missing, Server, running
from tests.serving import Serving

pytestmark = pytest.mark.service
READER = "keeper"
TTL, REVALIDATE, ON_ERROR = 60.0, 60.0, 600.0
CLIENTS = 50
SLOW = """CREATE VIEW kept.slow AS SELECT count(*) AS n, max(wait::text) AS wait
          FROM kept.t, (SELECT pg_sleep(0.3)) AS s(wait)"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One of its own: it is stopped and started."""
    try:
        with running("postgresql") as server:
            connection = server.admin(server.database)
            for text in (
                f"CREATE ROLE {READER} LOGIN PASSWORD 'secret'",
                "CREATE SCHEMA kept",
                "CREATE TABLE kept.t AS SELECT 1 AS id",
                SLOW,
                f"GRANT USAGE ON SCHEMA kept TO {READER}",
                f"GRANT SELECT ON ALL TABLES IN SCHEMA kept TO {READER}",
            ):
                connection.execute(text)
            connection.close()
            yield server
    except Missing as reason:
        pytest.skip(str(reason))


class Kept:
    """A served project over the server, whose cache's clock can be moved."""

    def __init__(self, folder: Path, server: Server) -> None:
        self.server, self.ahead = server, 0.0
        (folder / "secret").write_text("secret")
        (folder / "vdw.yml").write_text("name: kept\n")
        (folder / "sources").mkdir()
        file = {
            "kind": "postgresql",
            "connection": {**server.options, "user": READER, "password": {"file": "secret"}},
            "expose": {"schemas": ["kept"]},
            "ttl": f"{TTL:g}s",
            "stale_while_revalidate": f"{REVALIDATE:g}s",
            "stale_if_error": f"{ON_ERROR:g}s",
            "breaker": {"enabled": False},
        }
        (folder / "sources" / "crm.yml").write_text(yaml.safe_dump(file))
        self.serving = Serving(folder, 60)
        self.engine = self.serving.runtime.engine
        self.engine.cache.clock = self.engine.cache._entries.clock = self.clock

    def clock(self) -> float:
        return time.monotonic() + self.ahead

    def forget(self) -> None:
        self.server.run("SELECT pg_stat_statements_reset()", database=self.server.database)

    def asked(self) -> int:
        """Statements about the slow view since then, by the server's account."""
        text = f"""SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid
                   WHERE r.rolname = '{READER}' AND query ~ 'slow' AND query !~* '^explain'"""
        return int(self.server.run(text, database=self.server.database)[0][0])

    async def _ask(self, user: str) -> tuple[int, Result]:
        result = await self.engine.query("SELECT n FROM crm.slow", Session(user, timeout=60))
        table = await result.table()
        return table.column(0).to_pylist()[0], result

    async def _all(self, invalidate: bool) -> list[tuple[int, Result]]:
        if invalidate:
            self.engine.invalidate("crm")
        return await asyncio.gather(*(self._ask(f"user{n}") for n in range(CLIENTS)))

    def burst(self, invalidate: bool = False) -> tuple[set[int], set[str]]:
        """Many ask at once: their answers, and where these came from."""
        found = self.serving.wait(self._all(invalidate))
        return {n for n, _ in found}, {result.parts[0].origin for _, result in found}

    def one(self) -> tuple[int, Result]:
        return self.serving.wait(self._ask("ada"))

    def renewed(self, count: int) -> None:
        end = time.monotonic() + 30
        while self.engine.cache.counters.refreshed < count:
            assert time.monotonic() < end, "it was never renewed"
            time.sleep(0.01)


@pytest.fixture
def kept(tmp_path: Path, server: Server) -> Iterator[Kept]:
    made = Kept(tmp_path, server)
    yield made
    made.serving.close()


def test_one_statement_whatever_happens_at_once(kept: Kept) -> None:
    kept.forget()
    assert kept.burst() == ({1}, {"live"})
    assert kept.asked() == 1
    kept.server.run("INSERT INTO kept.t VALUES (2)", database=kept.server.database)
    assert kept.burst() == ({1}, {"cache"})

    kept.ahead += TTL  # past it, an old answer serves at once
    assert kept.burst() == ({1}, {"stale"})
    kept.renewed(1)
    assert kept.burst() == ({2}, {"cache"})
    assert kept.asked() == 2

    kept.ahead += TTL + REVALIDATE  # too old for anybody
    kept.server.run("INSERT INTO kept.t VALUES (3)", database=kept.server.database)
    assert kept.burst() == ({3}, {"live"})
    assert kept.asked() == 3

    kept.server.run("INSERT INTO kept.t VALUES (4)", database=kept.server.database)
    assert kept.burst(invalidate=True) == ({4}, {"live"})
    assert kept.asked() == 4


def test_while_the_server_is_down_an_old_answer_serves_within_its_bound(kept: Kept) -> None:
    first, _ = kept.one()
    kept.server.stop(signal.SIGINT)
    kept.ahead += TTL + REVALIDATE
    number, result = kept.one()
    assert (number, result.parts[0].origin) == (first, "stale")
    assert result.parts[0].why
    assert kept.burst() == ({first}, {"stale"})
    kept.ahead += ON_ERROR - REVALIDATE
    with pytest.raises(SourceError) as caught:
        kept.one()
    assert caught.value.sqlstate[:2] in ("08", "57")
    kept.server.start()
    number, result = kept.one()
    assert (number, result.parts[0].origin) == (first, "live")
