"""Runs under way: who may join one, who waits for it, and when it ends because nobody does."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from dataclasses import dataclass, field
from typing import Any

from cache.keep import Keep
from connectors.errors import Error


def nothing(_error: BaseException) -> bool:
    """Forgives no error."""
    return False


@dataclass(frozen=True, slots=True)
class Work:
    """How a value is made, measured and freed. `born`: when the value's data was read; `floor`: the time before which
    nothing of what a run under way gives was read; `until`: when the value stops to be fresh by itself; all in the
    cache's clock. `cost` in ms. `forgives` says which errors allow an old value."""

    keep: Keep
    run: Callable[[], Awaitable[Any]]
    size: Callable[[Any], int]
    born: Callable[[Any], float] | None = None
    dispose: Callable[[Any], None] | None = None
    cost: Callable[[Any], float] | None = None
    forgives: Callable[[BaseException], bool] = nothing
    until: Callable[[Any], float] | None = None
    floor: Callable[[], float] | None = None
    renewable: bool = True


@dataclass(slots=True, eq=False)
class Flight:
    """A run that is under way. It belongs to nobody in particular and ends when its last waiter has left; one `behind`
    the scenes ends by itself. An `outdated` one began before its data was said to have changed."""

    key: Hashable
    work: Work
    began: float
    tags: frozenset[str]
    behind: bool = False
    order: int = 0  # as an entry's
    outdated: bool = False
    waiters: int = 0
    disposed: bool = False
    task: asyncio.Task[Any] | None = None

    def open_to(self, oldest: float) -> bool:
        """Whether someone may join who takes nothing that was read before `oldest`."""
        if self.task is None or self.task.done():
            return False
        return oldest == -math.inf or (self.work.floor() if self.work.floor else self.began) >= oldest

    def born(self, value: Any) -> float:
        """When the value's data was read."""
        return self.began if self.work.born is None else self.work.born(value)

    def cost(self, value: Any) -> float:
        """The ms that its source took."""
        return 1.0 if self.work.cost is None else self.work.cost(value)

    def dispose(self) -> None:
        """Free what was delivered, once nobody waits any more."""
        task = self.task
        # Asking for the exception also tells asyncio that somebody looked at it.
        if task is None or task.cancelled() or task.exception() is not None or self.waiters or self.disposed:
            return
        self.disposed = True
        if self.work.dispose is not None:
            self.work.dispose(task.result())


@dataclass(slots=True)
class Flights:
    """All that are under way; by key the one that newcomers may join."""

    fly: Callable[[Flight], Coroutine[Any, Any, Any]]
    closing: bool = False
    _open: dict[Hashable, Flight] = field(default_factory=dict)
    _tagged: dict[str, set[Flight]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self._tasks)

    def get(self, key: Hashable) -> Flight | None:
        """The flight that newcomers may join, if what it reads is young enough for them."""
        return self._open.get(key)

    def launch(self, flight: Flight) -> None:
        """Begin; newcomers join this one from now on."""
        task = asyncio.get_running_loop().create_task(self.fly(flight))
        flight.task = task
        self._open[flight.key] = flight
        tags, flight.tags = flight.tags, frozenset()
        self.tag(flight, tags)
        self.add(task)
        task.add_done_callback(lambda _: self._land(flight))

    def add(self, task: asyncio.Task[Any]) -> None:
        """A task that `close` has to end."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tag(self, flight: Flight, tags: frozenset[str]) -> None:
        """What it reads is also of these, as someone who joined it says."""
        for tag in tags - flight.tags:
            self._tagged.setdefault(tag, set()).add(flight)
        flight.tags |= tags

    async def wait(self, flight: Flight, patience: float = math.inf) -> Any:
        """What it gives. Whoever is cancelled leaves it to the others; the last one to leave cancels it. TimeoutError
        past `patience` (seconds): it goes on behind the scenes then."""
        task = flight.task
        assert task is not None  # noqa: S101  (for the type checker: a launched flight has its task)
        flight.waiters += 1
        try:
            if patience < math.inf:
                await asyncio.wait((task,), timeout=patience)
                if not task.done():
                    flight.behind = True
                    raise TimeoutError
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and self.closing:  # not our caller was cancelled, but the run it waited for
                raise Error("the server is shutting down", sqlstate="57P01") from None
            raise
        finally:
            flight.waiters -= 1
            if not flight.waiters:
                self._abandon(flight, task)

    def outdate(self, tag: str | None, spare: Callable[[Work], bool] | None = None) -> None:
        """Nobody joins the flights of this tag (None: all) any more, nor is kept what they give; who waits gets it."""
        for flight in tuple(self._open.values() if tag is None else self._tagged.get(tag, ())):
            if spare is not None and spare(flight.work):
                continue
            flight.outdated = True
            self._forget(flight)
            if not flight.waiters and flight.task is not None:
                flight.task.cancel()

    async def close(self) -> None:
        """Cancel all and wait until each has ended."""
        self.closing = True
        while self._tasks:
            for task in tuple(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _abandon(self, flight: Flight, task: asyncio.Task[Any]) -> None:
        if task.done():
            # In the next turn: the waiter that leaves now has not yet returned the value to its caller.
            task.get_loop().call_soon(flight.dispose)
        elif not flight.behind or flight.outdated:
            self._forget(flight)  # before the cancellation arrives, so that a newcomer starts afresh
            task.cancel()

    def _land(self, flight: Flight) -> None:
        self._forget(flight)
        if not flight.waiters:
            flight.dispose()

    def _forget(self, flight: Flight) -> None:
        if self._open.get(flight.key) is flight:
            del self._open[flight.key]
        for tag in flight.tags:
            flights = self._tagged.get(tag, set())
            flights.discard(flight)
            if not flights:
                self._tagged.pop(tag, None)
        flight.tags = frozenset()
