"""The moment between the commit of other shells and the catalog that says what they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from connectors.errors import Error

T = TypeVar("T")


class Turn:
    """What was understood of one state's shells would be planned over another's catalog: it waits for the moment to
    pass, and is done again where one has begun meanwhile. To be used from one event loop."""

    def __init__(self) -> None:
        self._over = asyncio.Event()
        self._over.set()
        self._number = 0

    def begin(self) -> None:
        """The shells are others from now on, or soon."""
        self._over.clear()
        self._number += 1

    def end(self) -> None:
        """The catalog is theirs, or they have stayed as they were; harmless when repeated."""
        self._over.set()

    async def outside(self, work: Callable[[], Awaitable[T]]) -> T:
        """What `work` gives, or raises, while nothing turned."""
        while True:
            await self._over.wait()
            number = self._number
            try:
                made = await work()
            except Error:
                if number == self._number:
                    raise
            else:
                if number == self._number:
                    return made
