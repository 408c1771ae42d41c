"""Tries sources that are left alone as soon as their pause is over, so that no client has to find out for all."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress

from connectors.base import PING, Connector
from connectors.errors import Error
from federation.gate.gate import Gate
from federation.gate.gates import Gates
from federation.gate.patience import patiently

TICK = 0.25  # seconds between two looks at who is due
log = logging.getLogger(__name__)


async def keep_trying(gates: Gates, connectors: Callable[[], Mapping[str, Connector]]) -> None:
    """Until cancelled. One round trip at a time for each source, which takes its place at the gate; the breaker makes
    of it what it likes."""
    under_way: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            await asyncio.sleep(TICK)
            for name, connector in connectors().items():
                gate = gates.of(name)
                if gate.breaker is not None and gate.breaker.due and name not in under_way:
                    task = asyncio.create_task(_try(gate, connector))
                    under_way[name] = task
                    task.add_done_callback(lambda _, name=name: under_way.pop(name, None))  # type: ignore[misc]
    finally:
        for task in tuple(under_way.values()):
            task.cancel()


async def _try(gate: Gate, connector: Connector) -> None:
    with suppress(Error, TimeoutError):
        await patiently(connector.ping, PING + 1.0, gate, "trial", prober=True)
        log.info("source %s answers again", gate.source)
