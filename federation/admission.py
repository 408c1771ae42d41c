"""The gate in front of a source: never more statements at once, nor more rows, than its owner allows."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from connectors.errors import LimitExceeded
from views.catalog import Limits


@dataclass(slots=True)
class Load:
    """What a source was asked by us since the start; `ms` is the time its statements took together."""

    in_flight: int = 0
    waiting: int = 0
    statements: int = 0
    rows: int = 0
    ms: float = 0.0
    errors: int = 0


@dataclass(slots=True, eq=False)
class Permit:
    """The right to run one statement; give it back with `leave`, once the source has nothing left to do for it."""

    gate: Gate
    alone: bool = False
    started: float = field(default_factory=time.perf_counter)
    rows: int = 0
    bytes: int = 0
    left: bool = False

    def counted(self, batches: Iterator[pa.RecordBatch]) -> Generator[pa.RecordBatch, None, None]:
        """The batches as they come; LimitExceeded (53400) at the first that is past the owner's rows.

        Closing it closes `batches`. May run in any thread.
        """
        try:
            for batch in batches:
                self.rows += batch.num_rows
                self.bytes += batch.nbytes
                if self.rows > self.gate.limits.rows:
                    raise self.gate.too_many_rows()
                yield batch
        finally:
            close = getattr(batches, "close", None)
            if close is not None:
                close()

    def leave(self, failed: bool = False) -> None:
        """Let the next statement in; idempotent. Only from the loop's thread."""
        if self.left:
            return
        self.left = True
        load = self.gate.load
        load.rows += self.rows
        load.ms += (time.perf_counter() - self.started) * 1000
        load.errors += failed
        if self.alone:
            self.gate.heavy.release()
        self.gate.release()


@dataclass(slots=True)
class Gate:
    """First come, first served. To be used from one event loop; it lives as long as the source has its name,
    through reloads too, so that old and new statements together keep to the limit."""

    source: str
    limits: Limits
    load: Load = field(default_factory=Load)
    heavy: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _queue: deque[asyncio.Future[None]] = field(default_factory=deque, repr=False)

    async def enter(self, deadline: float = math.inf, alone: bool = False) -> Permit:
        """Wait for one of the owner's `concurrency` places; LimitExceeded (57014) when `deadline` (loop time) comes.
        `alone`: a heavy statement, of which no other runs meanwhile."""
        if alone:
            await self._only(deadline)
        try:
            return await self._place(deadline, alone)
        except BaseException:
            if alone:
                self.heavy.release()
            raise

    async def _only(self, deadline: float) -> None:
        try:
            async with asyncio.timeout_at(deadline if deadline < math.inf else None):
                await self.heavy.acquire()
        except TimeoutError:
            raise self.too_long_a_wait() from None

    async def _place(self, deadline: float, alone: bool) -> Permit:
        if self.load.waiting or self.load.in_flight >= self.limits.concurrency:
            await self._wait(deadline)  # comes back with the place already counted for us
        else:
            self.load.in_flight += 1
        self.load.statements += 1
        return Permit(self, alone)

    def release(self) -> None:
        """Give a place back, to the one who has waited longest."""
        self.load.in_flight -= 1
        self._admit()

    def resize(self, limits: Limits) -> None:
        """Take over the owner's new limits; statements that run already are left alone."""
        self.limits = limits
        self._admit()

    @property
    def state(self) -> str:
        """How full it is, for messages."""
        load, places = self.load, self.limits.concurrency
        return f"{load.in_flight} of {places} statements in flight, {load.waiting} waiting"

    def too_many_rows(self) -> LimitExceeded:
        """The error for a statement that returned more than the owner's rows."""
        return LimitExceeded(
            f"source {self.source} has more than {self.limits.rows:,} rows for one statement, its owner's limit",
            hint="Filter on an indexed column, aggregate or add LIMIT so that fewer rows are needed; EXPLAIN shows "
            f"what stays out of the source and why. The limit is limits.rows in sources/{self.source}.yml.",
        )

    def too_long_a_wait(self) -> LimitExceeded:
        """The error for a statement whose deadline came before its turn."""
        return LimitExceeded(
            f"canceling statement due to statement timeout: source {self.source} runs at most "
            f"{self.limits.concurrency} statements at once and none ended in time ({self.state})",
            sqlstate="57014",
            hint=f"Try again, or allow more time; the limit is limits.concurrency in sources/{self.source}.yml.",
        )

    async def _wait(self, deadline: float) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        timer = loop.call_at(deadline, self._expire, turn) if deadline < math.inf else None
        self._queue.append(turn)
        self.load.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.release()  # the place came in the very moment we left: pass it on
            else:
                self._withdraw(turn)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _admit(self) -> None:
        while self._queue and self.load.in_flight < self.limits.concurrency:
            turn = self._queue.popleft()
            self.load.waiting -= 1
            if not turn.done():
                self.load.in_flight += 1
                turn.set_result(None)

    def _expire(self, turn: asyncio.Future[None]) -> None:
        if not turn.done():
            error = self.too_long_a_wait()
            self._withdraw(turn)
            turn.set_exception(error)

    def _withdraw(self, turn: asyncio.Future[None]) -> None:
        if turn in self._queue:
            self._queue.remove(turn)
            self.load.waiting -= 1
