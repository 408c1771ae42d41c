"""A TCP proxy before a server, with the network's own faults: slow, narrow, cut, silent."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.servers import free_port

CHUNK = 16_384
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on loopback and passes on to `target`; its loop runs in a thread of its own. To be used as a context.

    Its methods may be called from any thread and take effect before they return, on connections that are open too.
    """

    def __init__(self, host: str, port: int) -> None:
        self.target = (host, port)
        self.host, self.port = "127.0.0.1", free_port()
        self.delay = 0.0  # seconds that each piece is late, either way
        self.rate = 0.0  # bytes a second that come back; 0: as many as there are
        self.passed = 0  # bytes that came back
        self.connections = 0
        self._cut_at: int | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Proxy:
        started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(started)), name="proxy", daemon=True)
        self._thread.start()
        assert started.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    # -- faults

    def cut(self) -> None:
        """Reset every connection."""
        self._do(self._reset)

    def cut_after(self, count: int) -> None:
        """Reset every connection as soon as so many bytes more have come back."""
        self._cut_at = self.passed + count

    @contextlib.contextmanager
    def silent(self, cut: bool = True) -> Iterator[None]:
        """While inside, nothing arrives, either way, and nobody is told; connections are still accepted.

        Afterwards they are reset, as by a machine between that has forgotten them; else what was sent arrives late.
        """
        self._do(self._open.clear)
        try:
            yield
        finally:
            if cut:
                self.cut()
            self._do(self._open.set)

    @contextlib.contextmanager
    def slow(self, delay: float, rate: float = 0.0) -> Iterator[None]:
        """While inside, each piece is `delay` seconds late, and `rate` bytes a second come back."""
        self.delay, self.rate = delay, rate
        try:
            yield
        finally:
            self.delay, self.rate = 0.0, 0.0

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """While inside, connections are reset and no new one is accepted."""
        self._run(self._close())
        try:
            yield
        finally:
            self._run(self._listen())

    # -- the loop's side

    async def _main(self, started: threading.Event) -> None:
        self._loop, self._stop, self._open = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        self._open.set()
        await self._listen()
        started.set()
        await self._stop.wait()
        await self._close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, self.host, self.port)

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        with contextlib.suppress(OSError):
            await self._open.wait()
            back, forth = await asyncio.open_connection(*self.target)
            self._lines.add(forth)
            ways = [self._pump(reader, forth, False), self._pump(back, writer, True)]
            tasks = [self._loop.create_task(way) for way in ways]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self._drop(forth)
        self._drop(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, back: bool) -> None:
        while data := await reader.read(CHUNK):
            if self.delay:
                await asyncio.sleep(self.delay)
            if back and self.rate:
                await asyncio.sleep(len(data) / self.rate)
            await self._open.wait()
            writer.write(data)
            await writer.drain()
            if back:
                self._count(len(data))

    def _count(self, size: int) -> None:
        self.passed += size
        if self._cut_at is not None and self.passed >= self._cut_at:
            self._cut_at = None
            self._reset()

    def _reset(self) -> None:
        for writer in tuple(self._lines):
            line = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._drop(writer, abort=True)

    def _drop(self, writer: asyncio.StreamWriter, abort: bool = False) -> None:
        self._lines.discard(writer)
        writer.transport.abort() if abort else writer.close()

    def _do(self, call: Callable[[], Any]) -> None:
        async def run() -> None:
            call()

        self._run(run())

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)
