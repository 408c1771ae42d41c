"""A source that is left alone is tried without any client, one round trip at a time, and serves again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

import pytest

from connectors.base import PING, Connector
from connectors.errors import SourceError
from federation.gate import trials
from federation.gate.gate import Wish
from federation.gate.gates import Gates
from views.catalog import Breaker, Limits


class Source:
    """Answers a ping, or does not."""

    def __init__(self) -> None:
        self.up, self.pings = False, 0

    def ping(self, timeout: float = PING) -> None:
        self.pings += 1
        if not self.up:
            raise SourceError("cannot connect", sqlstate="08001")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  (what is waited for sets no event)
            await asyncio.sleep(0.01)


async def ask(gates: Gates, source: Source) -> None:
    async with gates.of("crm").turn(Wish()):
        source.ping()


def test_it_is_tried_and_serves_again_without_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        gates, source = Gates(), Source()
        gate = gates.of("crm")
        assert gate.breaker is not None
        gate.breaker.resize(Breaker(failures=2, pause=0.05, longest=0.1), Limits().timeout)
        sources: Any = {"crm": cast(Connector, source)}
        trying = asyncio.create_task(trials.keep_trying(gates, lambda: sources))
        for _ in range(2):
            with pytest.raises(SourceError, match="cannot connect"):
                await ask(gates, source)
        with pytest.raises(SourceError, match="left alone") as caught:
            await ask(gates, source)
        assert caught.value.sqlstate == "57P03"
        assert gate.load.refused["breaker"] == 1
        await until(lambda: source.pings >= 5)
        assert gate.breaker.state != "closed"
        source.up = True
        await until(lambda: gate.breaker is not None and gate.breaker.state == "closed")
        await ask(gates, source)
        assert gate.load.in_flight == 0
        trying.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await trying

    monkeypatch.setattr(trials, "TICK", 0.01)
    asyncio.run(run())


def test_a_source_that_works_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        source = Source()
        sources: Any = {"crm": source}
        trying = asyncio.create_task(trials.keep_trying(Gates(), lambda: sources))
        await asyncio.sleep(0.1)
        trying.cancel()
        assert source.pings == 0

    monkeypatch.setattr(trials, "TICK", 0.01)
    asyncio.run(run())
