"""An event loop whose time passes only when nothing else is to be done: hours in a moment, and nothing by chance."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class _Jumping(selectors.SelectSelector):
    def __init__(self, loop: FakeLoop) -> None:
        super().__init__()
        self._loop_ = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout > 0:
            self._loop_.now += timeout
        return super().select(0)


class FakeLoop(asyncio.SelectorEventLoop):
    """`now` is its time in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Jumping(self))

    def time(self) -> float:
        """See asyncio."""
        return self.now

    def spin(self, seconds: float = 0.0) -> None:
        """Let everything happen that is to happen within so many seconds."""
        self.run_until_complete(_spun(seconds))

    def quiet(self) -> None:
        """Errors of tasks that nobody asks are no news here."""
        self.set_exception_handler(_ignore)


async def _spun(seconds: float) -> None:
    await asyncio.sleep(seconds)
    for _ in range(8):
        await asyncio.sleep(0)


def _ignore(_loop: asyncio.AbstractEventLoop, _context: Mapping[str, Any]) -> None:
    pass
