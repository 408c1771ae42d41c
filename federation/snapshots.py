"""One state of a source for all statements of a query: opened by the first of them, over as soon as none needs it."""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from weakref import WeakSet

from connectors.base import Connector, Snapshot
from connectors.errors import Error, SourceError
from federation.gate.gate import Gate
from federation.gate.permit import Permit, Wish

log = logging.getLogger(__name__)
_numbers = itertools.count(1)
Threads = Callable[[Callable[[], Any]], "asyncio.Future[Any]"]  # runs it in a thread


class SnapshotLost(SourceError):
    """The state that others of the query's statements have read is gone; the query can be asked anew, but only once
    where a `server` was lost with it: what has brought down two is not tried at a third."""

    sqlstate = "40001"
    server = False


@dataclass(slots=True, eq=False)
class Held:
    """A source's state. It has one of the source's places from its first statement on, until nobody needs it; there one
    statement at a time runs, others beside it where the gate has room for them at once.

    `number` is unlike all others'; `born` the cache's clock and `read_at` the time of day when it was made. Where a
    source has several servers, `key` says which: that of the state before it, that time cannot go back within a query;
    its data may be `fresh` seconds behind.
    """

    source: str
    longest: float
    clock: Callable[[], float]
    fresh: float = math.inf
    key: str = ""
    number: int = field(default_factory=lambda: next(_numbers))
    born: float = 0.0
    read_at: float = 0.0
    waited: float = 0.0  # ms at the gate
    over: bool = False  # nobody else may begin to use it
    expired: bool = False
    _users: int = 0
    _running: int = 0
    _snapshot: Snapshot | None = None
    _permit: Permit | None = None
    _opening: asyncio.Task[None] | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _error: BaseException | None = None
    _timer: asyncio.TimerHandle | None = None
    _threads: Threads = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.key = self.key or f"{self.source} {self.number}"

    @property
    def open_to_others(self) -> bool:
        """Whether it is not made yet, so that it is as new for whoever comes now as one of his own."""
        return not self.over and self.born == 0.0

    def take(self) -> None:
        """One more needs it."""
        self._users += 1

    def give(self) -> None:
        """One less needs it."""
        self._users -= 1
        self._settle()

    async def opened(self, connector: Connector, gate: Gate, wish: Wish, threads: Threads) -> bool:
        """Make it, unless it is made; False where the source can keep no state. Errors as a statement's."""
        if self._opening is None:
            self._opening = asyncio.create_task(self._open(connector, gate, wish, threads))
        await asyncio.shield(self._opening)
        if self._error is not None:
            raise self._lost()
        return self._snapshot is not None

    async def place(self, gate: Gate, wish: Wish, large: bool) -> tuple[Permit, bool]:
        """The right to run one more statement, and whether that is beside others. To be given back with `done`.

        A `large` one runs beside where it can: the connection that holds the state is made for few rows."""
        assert self._snapshot is not None and self._permit is not None  # noqa: S101  (for the type checker)
        self._running += 1
        try:
            if self._snapshot.parallel and (large or self._turn.locked()):
                permit = gate.at_once(wish)
                if permit is not None:
                    return permit, True
            await self._turn.acquire()
            try:
                return await gate.inside(wish), False
            except BaseException:
                self._turn.release()
                raise
        except BaseException:
            self._running -= 1
            self._settle()
            raise

    @property
    def snapshot(self) -> Snapshot:
        """What statements are run by; SnapshotLost where an error has ended it."""
        if self._snapshot is None or (self.over and self._error is not None):
            raise self._lost()
        return self._snapshot

    def done(self, beside: bool, error: BaseException | None) -> None:
        """A statement has ended; with an error the state is of no use to others."""
        self._running -= 1
        if error is not None:
            self._error, self.over = error, True
        if not beside:
            self._turn.release()
        self._settle()

    async def _open(self, connector: Connector, gate: Gate, wish: Wish, threads: Threads) -> None:
        self._threads = threads
        permit = await gate.enter(wish._replace(holding=True))
        self.waited, self.born, self.read_at = permit.waited, self.clock(), time.time()
        which = {"key": self.key, "fresh": self.fresh} if hasattr(connector, "members") else {}
        making = threads(partial(connector.snapshot, timeout=gate.limits.longest, **which))  # type: ignore[attr-defined]
        try:
            self._snapshot = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(partial(self._unwanted, permit))
            raise
        except BaseException as error:
            self.over, self._error = True, error
            permit.leave(error)
            raise
        if self._snapshot is None:
            self.over = True
            permit.leave()
            return
        self._permit = permit
        self._timer = asyncio.get_running_loop().call_later(self.longest, self._expire)

    def _unwanted(self, permit: Permit, making: asyncio.Future[Snapshot | None]) -> None:
        """It was made after all."""
        self._permit = permit
        made = None if making.cancelled() or making.exception() is not None else making.result()
        self._end(made)

    def _expire(self) -> None:
        self.over = self.expired = True
        self._settle()

    def _settle(self) -> None:
        """End it, if nobody needs it any more."""
        if self._running or (self._users and not self.over) or self._opening is None:
            return
        self.over = True
        if not self._opening.done():
            self._opening.cancel()
            return
        if self._timer is not None:
            self._timer.cancel()
        snapshot, self._snapshot = self._snapshot, None
        if snapshot is not None:
            self._end(snapshot)

    def _end(self, snapshot: Snapshot | None) -> None:
        if snapshot is None:
            self._left()
            return
        self._threads(snapshot.close).add_done_callback(self._left)

    def _left(self, ending: asyncio.Future[None] | None = None) -> None:
        error = None if ending is None or ending.cancelled() else ending.exception()
        if error is not None:
            log.warning("the snapshot of source %s did not end in order: %s", self.source, error)
        permit, self._permit = self._permit, None
        if permit is not None:
            permit.leave(error)

    def _lost(self) -> SnapshotLost:
        said = self._error.message if isinstance(self._error, Error) else "it was open for too long"
        return lost(self.source, said)


def lost(source: str, why: str) -> SnapshotLost:
    """A state of that source is gone."""
    return SnapshotLost(
        f"the snapshot of source {source} was lost: {why}",
        hint=f"Ask again; snapshot: in sources/{source}.yml bounds it, or does without.",
    )


@dataclass(slots=True)
class Kept:
    """The states that are held now. A query that comes before one is made shares it. `bounds`: seconds that a source's
    owner allows; who is not in it wants none."""

    clock: Callable[[], float]
    bounds: Mapping[str, float] = field(default_factory=dict)
    _latest: dict[str, tuple[Held, Connector]] = field(default_factory=dict)
    _unable: WeakSet[Connector] = field(default_factory=WeakSet)

    @contextmanager
    def of(
        self,
        sources: Collection[str],
        connectors: Mapping[str, Connector],
        fresh: Callable[[str], float] = lambda _source: math.inf,
    ) -> Iterator[Snapshots]:
        """The states for one run of a query that sends a statement to each of these sources, by its connectors; a
        source's data may be `fresh` seconds behind."""
        asked = Counter(sources)
        made = Snapshots(self, connectors, {source for source, count in asked.items() if count > 1}, fresh)
        try:
            yield made
        finally:
            made.close()

    def able(self, source: str, connector: Connector | None) -> bool:
        """Whether states of it are kept."""
        return source in self.bounds and hasattr(connector, "snapshot") and connector not in self._unable

    def unable(self, connector: Connector) -> None:
        """It has turned out that it keeps none."""
        self._unable.add(connector)

    def held(self, source: str, connector: Connector, fresh: float, key: str = "") -> Held:
        """One of that connector that is not made yet, no further behind; of a `key` it is nobody else's."""
        longest = self.bounds[source]
        latest, by = self._latest.get(source, (None, None))
        if key or latest is None or by is not connector or not latest.open_to_others or latest.fresh > fresh:
            latest = Held(source, longest, self.clock, fresh, key)
            self._latest[source] = latest, connector
        latest.take()
        return latest


@dataclass(slots=True)
class Snapshots:
    """Of one run of a query; `sources` are those of which it asks several statements."""

    kept: Kept
    connectors: Mapping[str, Connector] = field(default_factory=dict)
    sources: set[str] = field(default_factory=set)
    fresh: Callable[[str], float] = lambda _source: math.inf
    _held: dict[str, Held] = field(default_factory=dict)

    def several(self, source: str) -> None:
        """It is asked several statements: none was sent yet."""
        self.sources.add(source)

    def at(self, source: str) -> Held | None:
        """The state to read; None where a statement is the only one, or there are no states. One that was open for too
        long is replaced: the parts of the answer say so."""
        if source not in self.sources:
            return None
        held, key = self._held.get(source), ""
        if held is not None and held.expired:
            del self._held[source]
            held.give()
            key, held = held.key, None
        connector = self.connectors.get(source)
        if held is None and connector is not None and self.kept.able(source, connector):
            held = self._held[source] = self.kept.held(source, connector, self.fresh(source), key)
        return held

    def close(self) -> None:
        """Nothing is asked any more."""
        for held in self._held.values():
            held.give()
        self._held.clear()
