"""How late our own event loop is: time that a statement's answer seems to take, and that its source has not taken."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

EVERY = 0.05  # seconds between two looks, while it matters
FADES = 0.8  # of it is left after each


@dataclass(slots=True, eq=False)
class Lag:
    """`seconds`: the most of late. To be used from one event loop."""

    seconds: float = 0.0
    _used: bool = False
    _timer: asyncio.TimerHandle | None = field(default=None, repr=False)

    def used(self) -> None:
        """Somebody measures now: look on for a while."""
        self._used = True
        if self._timer is None:
            self._arm()

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(EVERY, self._tick, loop.time() + EVERY)
        self._used = False

    def _tick(self, due: float) -> None:
        late = max(asyncio.get_running_loop().time() - due, 0.0)
        self.seconds, self._timer = max(late, self.seconds * FADES), None
        if self._used:
            self._arm()
        else:
            self.seconds = 0.0
