"""Answers kept for a short while and bounded by bytes; identical concurrent runs are one run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

from cachetools import TLRUCache

from connectors.errors import Error

T = TypeVar("T")
How = Literal["hit", "miss", "shared"]


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A value and how it was found: stored before (hit), run for us (miss), or run for others and us (shared)."""

    value: T
    how: How


@dataclass(slots=True)
class Counters:
    """What the cache did since it was made; `stored` counts the values kept."""

    hits: int = 0
    misses: int = 0
    shared: int = 0
    stored: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    value: Any
    born: float
    expires: float
    size: int


@dataclass(slots=True, eq=False)
class _Flight:
    """A run that is under way. It belongs to nobody in particular and ends when its last waiter has left."""

    task: asyncio.Task[Any] | None = None
    waiters: int = 0
    dispose: Callable[[Any], None] | None = None

    @property
    def open(self) -> bool:
        return self.task is not None and not self.task.done()


def _expires(_key: Hashable, entry: _Entry, _now: float) -> float:
    return entry.expires


def _size(entry: _Entry) -> int:
    return entry.size


@dataclass(slots=True)
class ResultCache:
    """At most `max_bytes` of values, none larger than `max_entry` (default: an eighth of it), least recently used out.

    `clock` gives seconds. To be used from one event loop.
    """

    max_bytes: int
    max_entry: int = 0
    clock: Callable[[], float] = time.monotonic
    counters: Counters = field(default_factory=Counters)
    _entries: TLRUCache[Hashable, _Entry] = field(init=False, repr=False)
    _flights: dict[Hashable, _Flight] = field(default_factory=dict, repr=False)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set, repr=False)
    _closing: bool = False

    def __post_init__(self) -> None:
        self.max_entry = self.max_entry or self.max_bytes // 8
        self._entries = TLRUCache(self.max_bytes, _expires, self.clock, _size)

    @property
    def bytes(self) -> int:
        """Bytes of the values kept now."""
        return int(self._entries.currsize)

    def peek(self, key: Hashable, ttl: float) -> Any | None:
        """The stored value if it is younger than both its own TTL and `ttl`; None where there is none."""
        entry = self._entries.get(key)
        if entry is None or not self.clock() < min(entry.expires, entry.born + ttl):
            return None
        self.counters.hits += 1
        return entry.value

    async def get_or_run(
        self,
        key: Hashable,
        ttl: float,
        run: Callable[[], Awaitable[T]],
        size: Callable[[T], int],
        *,
        born: Callable[[T], float] | None = None,
        dispose: Callable[[T], None] | None = None,
    ) -> Found[T]:
        """The stored value, or that of a run under way, or of a run that this call starts.

        A value is kept for `ttl` seconds from `born(value)` (default: when its run began), if `size(value)` bytes
        are allowed. A run's error goes to everybody who waits for it and is never kept. A caller that is cancelled
        leaves the run to the others; the last one to leave cancels it. `dispose` is called with a value that was
        delivered, after its last waiter has left (in the next turn of the loop), so that what nobody took is freed.
        """
        stored = self.peek(key, ttl)
        if stored is not None:
            return Found(stored, "hit")
        flight = self._flights.get(key)
        how: How = "shared"
        if flight is None or not flight.open:
            how = "miss"
            flight = self._launch(key, ttl, run, size, born)
            flight.dispose = dispose
        if how == "miss":
            self.counters.misses += 1
        else:
            self.counters.shared += 1
        return Found(await self._wait(key, flight), how)

    def clear(self) -> None:
        """Forget what is kept; runs under way go on, and are kept when they end."""
        self._entries.clear()

    async def close(self) -> None:
        """Cancel every run and wait until each has ended."""
        self._closing = True
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.clear()

    def _launch(
        self,
        key: Hashable,
        ttl: float,
        run: Callable[[], Awaitable[T]],
        size: Callable[[T], int],
        born: Callable[[T], float] | None,
    ) -> _Flight:
        flight = _Flight()
        started = self.clock()

        async def fly() -> T:
            value = await run()
            if ttl > 0:
                self._store(key, ttl, value, size(value), started if born is None else born(value))
            return value

        task = asyncio.get_running_loop().create_task(fly())
        flight.task = task
        self._flights[key] = flight
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._land(key, flight, done))
        return flight

    def _store(self, key: Hashable, ttl: float, value: Any, size: int, born: float) -> None:
        expires = born + ttl
        if self.clock() < expires and size <= min(self.max_entry, self.max_bytes):
            self._entries[key] = _Entry(value, born, expires, size)
            self.counters.stored += 1

    async def _wait(self, key: Hashable, flight: _Flight) -> Any:
        task = flight.task
        assert task is not None  # noqa: S101  (for the type checker: a launched flight has its task)
        flight.waiters += 1
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and self._closing:  # not our caller was cancelled, but the run it waited for
                raise Error("the server is shutting down", sqlstate="57P01") from None
            raise
        finally:
            flight.waiters -= 1
            if not flight.waiters:
                self._abandon(key, flight, task)

    def _abandon(self, key: Hashable, flight: _Flight, task: asyncio.Task[Any]) -> None:
        if task.done():
            # In the next turn: the waiter that leaves now has not yet returned the value to its caller.
            task.get_loop().call_soon(_dispose, flight, task)
            return
        self._forget(key, flight)  # before the cancellation arrives, so that a newcomer starts afresh
        task.cancel()

    def _land(self, key: Hashable, flight: _Flight, task: asyncio.Task[Any]) -> None:
        self._forget(key, flight)
        self._tasks.discard(task)
        if not flight.waiters:
            _dispose(flight, task)

    def _forget(self, key: Hashable, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


def _dispose(flight: _Flight, task: asyncio.Task[Any]) -> None:
    # Asking for the exception also tells asyncio that somebody looked at it.
    if task.cancelled() or task.exception() is not None or flight.dispose is None or flight.waiters:
        return
    dispose, flight.dispose = flight.dispose, None
    dispose(task.result())
