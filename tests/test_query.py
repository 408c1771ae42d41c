"""Running queries and what is told of them: every statement and every query once, however it ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.base import Cancel
from connectors.errors import Error
from federation.canon.server import Canon
from federation.query import Query
from federation.session import Session
from federation.watch import Sent
from tests.test_engine import BIG, JOIN, engine, until

ANN = Session("ann", {"TimeZone": "UTC"}, protocol="graphql")


@dataclass
class Heard:
    """Listens."""

    statements: list[Sent] = field(default_factory=list)
    queries: list[Query] = field(default_factory=list)

    def sent(self, sent: Sent) -> None:
        self.statements.append(sent)

    def ended(self, query: Query) -> None:
        self.queries.append(query)


def test_each_statement_and_each_query_is_told_once(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        heard = Heard()
        async with engine(tmp_path, canon) as (made, _):
            made.watch.listeners.append(heard)
            for _ in range(2):
                await (await made.query(JOIN.format(20), ANN)).table()
        assert sorted((sent.source, sent.outcome, sent.query) for sent in heard.statements) == [
            ("crm", "ok", heard.queries[0]),
            ("erp", "ok", heard.queries[0]),
        ]
        assert all(sent.fingerprint and sent.ms > 0 and sent.rows and sent.bytes for sent in heard.statements)
        first, second = heard.queries
        assert (first.outcome, first.rows, set(first.sources)) == ("ok", 20, {"crm", "erp"})
        assert set(first.views) == {"crm.customers", "erp.orders"}
        assert first.session.protocol == "graphql"
        assert first.fingerprint == second.fingerprint
        assert [part.cache for part in second.parts] == ["hit", "hit"]
        assert [part.origin for part in (*first.parts, *second.parts)] == ["live", "live", "cache", "cache"]

    asyncio.run(run())


def test_what_fails_or_is_left_is_told_too(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        heard = Heard()
        async with engine(tmp_path, canon, ttl=0) as (made, _):
            made.watch.listeners.append(heard)
            (tmp_path / "crm.db").unlink()
            with pytest.raises(Error) as caught:
                await (await made.query("SELECT id FROM crm.customers", ANN)).table()
            answer = await made.query(BIG, ANN)
            assert list(made.running.queries) == [made.running.queries[query].id for query in made.running.queries]
            assert len(made.running.queries) == 1
            await answer.aclose()
            assert not made.running.queries
            await until(lambda: len(heard.statements) == 2)
        assert [query.outcome for query in heard.queries] == [caught.value.sqlstate, "left"]
        assert heard.statements[0].outcome == caught.value.sqlstate

    asyncio.run(run())


def test_a_query_can_be_stopped_by_its_id(tmp_path: Path, canon: Canon) -> None:
    async def run() -> None:
        async with engine(tmp_path, canon, ttl=0) as (made, world):
            world.crm.gate.clear()
            try:
                asking = asyncio.create_task(made.query("SELECT id FROM crm.customers", ANN, cancel=Cancel()))
                await until(lambda: bool(made.running.queries))
                (number,) = made.running.queries
                assert await asyncio.to_thread(made.running.cancel, number, "an operator")
                with pytest.raises(Error, match="due to an operator's request"):
                    await asking
            finally:
                world.crm.gate.set()
            assert not made.running.cancel(number)

    asyncio.run(run())


def test_a_listener_that_fails_changes_no_answer(
    tmp_path: Path, canon: Canon, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Heard):
        def ended(self, query: Query) -> None:
            raise ValueError(query.id)

    async def run() -> None:
        async with engine(tmp_path, canon) as (made, _):
            made.watch.listeners.append(Broken())
            assert (await (await made.query("SELECT id FROM crm.customers", ANN)).table()).num_rows == 3000

    asyncio.run(run())
    assert "Broken failed" in caplog.text
