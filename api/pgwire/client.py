"""Our side of one client's connection: its messages in, replies out, and pauses where either side is slow."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from api.pgwire.packets import Cutter
from connectors.errors import Error

STARTUP_LIMIT = 10_000  # bytes of a startup packet, as PostgreSQL has it
LOGIN_LIMIT = 65_536  # bytes of a message before the client is known
HELD = 32_768  # bytes of replies that are held back to go together
AHEAD = 1 << 20  # bytes of whole messages that may wait here


class Gone(Exception):
    """The client has left."""


class Client(asyncio.Protocol):
    """The client's connection. `arrived` is called once, when the connection stands; `left` when it is gone."""

    def __init__(self, arrived: Callable[[Client], None]) -> None:
        self._arrived = arrived
        self.left: list[Callable[[], None]] = []
        self.stalled: Callable[[bool], None] = _nothing
        self.transport: asyncio.Transport | None = None
        self.cutter = Cutter(STARTUP_LIMIT)
        self.messages: deque[bytes] = deque()
        self.waiting = 0  # bytes in `messages`
        self.secure = False
        self._fault: Error | None = None
        self._paused = False
        self._out: list[bytes] = []
        self._held = 0
        self._wanted: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    # -- asyncio's side -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        first = self.transport is None
        self.transport = cast(asyncio.Transport, transport)
        if first:
            self._arrived(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.transport = None
        for future in (self._wanted, self._room):
            if future is not None and not future.done():
                future.set_result(None)
        for leave in self.left:
            leave()

    def data_received(self, data: bytes) -> None:
        if self._fault is not None:
            return
        try:
            found = self.cutter.feed(data)
        except Error as error:
            self._fault, found = error, []
        for raw in found:
            self.waiting += len(raw)
        self.messages.extend(found)
        if self.waiting > AHEAD and not self._paused and self.transport is not None:
            self._paused = True
            self.transport.pause_reading()
        if (found or self._fault) and self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    def pause_writing(self) -> None:
        self._room = asyncio.get_running_loop().create_future()
        self.stalled(True)

    def resume_writing(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None
        self.stalled(False)

    # -- the session's side -------------------------------------------------------------------------------------

    async def next(self) -> bytes:
        """The next message; Gone when the client has left, Error when what it sends cannot be read."""
        if not self.messages:
            self.flush()
        while not self.messages:
            if self._fault is not None:
                raise self._fault
            if self.transport is None:
                raise Gone
            self._wanted = asyncio.get_running_loop().create_future()
            await self._wanted
            self._wanted = None
        raw = self.messages.popleft()
        self.waiting -= len(raw)
        if self._paused and self.waiting < AHEAD // 4 and self.transport is not None:
            self._paused = False
            self.transport.resume_reading()
        return raw

    def write(self, data: bytes) -> None:
        """Send, with what else is sent until the session waits for its client; writers of much also `drain`."""
        self._out.append(data)
        self._held += len(data)
        if self._held > HELD:
            self.flush()

    def flush(self) -> None:
        """Hand what was sent to the socket: one call of the system for many small messages."""
        if self._out and self.transport is not None:
            self.transport.write(b"".join(self._out) if len(self._out) > 1 else self._out[0])
        self._out.clear()
        self._held = 0

    @property
    def waits(self) -> bool:
        """Whether the session waits for its client's next message."""
        return self._wanted is not None

    async def drain(self) -> None:
        """Wait until the client has taken most of what it was sent; Gone when it has left."""
        if self._room is not None:
            await self._room
        if self.transport is None:
            raise Gone

    def trust(self, limit: int) -> None:
        """The client is known: its messages may be as large as `limit`."""
        self.cutter.limit = limit

    def typed(self) -> None:
        """The startup packet has come: from now on messages have a kind, and those that wait are cut again."""
        self.cutter.untyped = False
        self.cutter.limit = LOGIN_LIMIT
        self.data_received(b"")

    def close(self) -> None:
        """Send what is left, then close."""
        self.flush()
        if self.transport is not None:
            self.transport.close()


def _nothing(_: bool) -> None:
    """Nobody to tell yet."""
