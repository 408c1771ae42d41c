"""Asks a source how hard it is pressed, by itself and by others: seldom, and only while we use it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.base import Pressure
from connectors.errors import Error
from federation.gate.gate import Gate
from federation.gate.patience import patiently

PATIENCE = 2.0  # seconds that it may take, waiting included
log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Gauge:
    """Call it whenever the gate is used; every so often it reads, and goes on until the gate is idle."""

    gate: Gate
    ask: Callable[[], Pressure]
    _next: float = 0.0
    _task: asyncio.Task[None] | None = field(default=None, repr=False)
    _failing: bool = False

    def __call__(self) -> None:
        """The gate is used now."""
        if self._task is None and self.gate.clock() >= self._next:
            self._task = asyncio.get_running_loop().create_task(self._watch())

    def close(self) -> None:
        """Read no more."""
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        try:
            while True:
                await self._read()
                self._next = self.gate.clock() + self.gate.adaptive.rules.every
                if self.gate.idle:
                    return
                await asyncio.sleep(self.gate.adaptive.rules.every)
        finally:
            self._task = None

    async def _read(self) -> None:
        try:
            self.gate.read(await patiently(self.ask, PATIENCE, self.gate, "pressure"))
            self._failing = False
        except (Error, TimeoutError) as error:
            if not self._failing:
                log.warning("source %s does not tell how hard it is pressed: %s", self.gate.source, error)
            self._failing = True
