"""Connections of one source, of several drivers, together never more than the owner allows.

Libraries' pools each count their own driver only (and psycopg_pool replaces what is closed at once), so a
source read by two drivers would see twice its limit.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from connectors.base import Cancel
from connectors.errors import Error, LimitExceeded, SourceError

T = TypeVar("T")
_AT_ONCE = 1.0  # seconds within which a connection that died unseen shows it
_TICK = 0.05  # seconds between two looks at the cancel while waiting for a connection
_FRESH = 10.0  # seconds for which an idle connection is thought alive without a round trip


class Lost(SourceError):
    """The connection died. `retry`: it had lain idle and nothing was delivered yet, so another may do."""

    sqlstate = "08006"
    retry = False


def lost(source: str, message: str) -> Lost:
    """The error of a connection that has died."""
    return Lost(
        f'the connection to source "{source}" was lost',
        detail=message,
        hint="the server was stopped or restarted, or the network failed: try again",
    )


class Driver(Protocol):
    """Opens, checks and closes one kind of connection."""

    def open(self, seconds: float) -> Any:
        """A new connection with the session prologue done, within about so many seconds; SourceError 08001
        where there is none."""
        ...

    def alive(self, session: Any, idle: float) -> bool:
        """Whether a connection that lay idle so many seconds can be used; must be cheap, must not raise."""
        ...

    def close(self, session: Any) -> None:
        """Close it, whatever state it is in."""
        ...


@dataclass(slots=True)
class Lease:
    """A connection in use; `reused` says that it lay idle before, so it may have died unseen.

    A `broken` one is closed when given back, an `abandoned` one (a hanging thread still uses it) is left alone.
    """

    driver: Driver
    session: Any
    reused: bool
    since: float = 0.0
    broken: bool = False
    abandoned: bool = False
    taken: float = field(default_factory=time.monotonic)
    opened: float = field(default_factory=time.monotonic)

    @property
    def stale(self) -> bool:
        """Whether a connection that is lost now had died unseen while it lay idle, so that another may be tried.

        A statement that had run for a while was perhaps ended by an administrator, or has brought the server down:
        it must not be asked again by us.
        """
        return self.reused and time.monotonic() - self.taken < _AT_ONCE

    def told(self, deadline: float, cancel: Cancel, late: LimitExceeded, ours: Callable[[], Error]) -> Error:
        """What a driver's error means to whoever asked: why he stopped the statement, `late` where its time is over,
        else `ours()`, of which it is said whether another connection may be tried."""
        if cancel.reason is not None:
            return cancel.reason
        found = late if time.monotonic() >= deadline else ours()
        if isinstance(found, Lost):
            found.retry = self.stale
        return found


class Leases:
    """At most `size` open connections, idle ones included. Thread-safe."""

    def __init__(self, source: str, size: int, max_idle: float = 300.0, max_age: float = 900.0) -> None:
        """Seconds that a connection may lie idle, and that one may be old: a name may lead elsewhere by now."""
        self._source = source
        self._size = size
        self._max_idle, self._max_age = max_idle, max_age
        self._idle: list[Lease] = []
        self._busy = 0
        self._closed = False
        self._changed = threading.Condition()

    @property
    def busy(self) -> int:
        """Connections in use."""
        return self._busy

    def retried(self, run: Callable[[], Iterator[T]]) -> Iterator[T]:
        """What `run()` yields; begun anew, once, where its connection was found dead before the first of it."""
        try:
            yield from run()
        except Lost as lost:
            if not lost.retry:
                raise
            self.clear()
            yield from run()

    def again(self, work: Callable[[], T]) -> T:
        """What `work()` gives; begun anew, once, where its connection was found dead before anything came."""
        try:
            return work()
        except Lost as lost:
            if not lost.retry:
                raise
            self.clear()
            return work()

    @contextlib.contextmanager
    def lease(self, driver: Driver, deadline: float, cancel: Cancel) -> Iterator[Lease]:
        """A connection of `driver`, waited for until `deadline` (time.monotonic()); closed if the body raises."""
        lease = self._acquire(driver, deadline, cancel)
        try:
            yield lease
        except BaseException:
            lease.broken = True
            raise
        finally:
            self._release(lease)

    def at_hand(self, driver: Driver) -> Lease | None:
        """An idle connection of `driver`, if there is one that needs no waiting; to be given back with `back`."""
        with self._changed:
            if self._closed or self._busy >= self._size:
                return None
            newest = max((i for i, lease in enumerate(self._idle) if lease.driver is driver), default=-1)
            if newest < 0 or time.monotonic() - self._idle[newest].since > _FRESH:
                return None
            lease = self._idle.pop(newest)
            self._busy += 1
        if driver.alive(lease.session, 0.0):
            return Lease(driver, lease.session, reused=True, opened=lease.opened)
        lease.broken = True
        self.back(lease)
        return None

    def back(self, lease: Lease) -> None:
        """Take back a connection that was at hand; a broken one is closed."""
        self._release(lease)

    def clear(self) -> None:
        """Close what is idle, e.g. because the server was seen to have gone."""
        with self._changed:
            idle, self._idle = self._idle, []
        _close(idle)

    def close(self) -> None:
        """Close what is idle now and what is busy once it is given back."""
        self._closed = True
        self.clear()

    def _acquire(self, driver: Driver, deadline: float, cancel: Cancel) -> Lease:
        self._wait(deadline, cancel)
        try:
            return self._reuse(driver) or Lease(driver, driver.open(deadline - time.monotonic()), reused=False)
        except BaseException:
            self._give_back(None)
            raise

    def _wait(self, deadline: float, cancel: Cancel) -> None:
        with self._changed:
            while self._busy >= self._size and not self._closed:
                cancel.check()
                left = deadline - time.monotonic()
                if left <= 0:
                    raise LimitExceeded(
                        f'no connection to source "{self._source}" came free in time',
                        sqlstate="57014",
                        hint=f"all {self._size} are in use; raise limits.concurrency of the source or the timeout",
                    )
                self._changed.wait(min(left, _TICK))
            if self._closed:
                raise SourceError(f'source "{self._source}" has been closed', sqlstate="08003")
            self._busy += 1

    def _reuse(self, driver: Driver) -> Lease | None:
        """The idle connection used last, if it lives; where there is none, room for a new one is made."""
        while True:
            with self._changed:
                lease, surplus = self._take(driver)
            _close(surplus)
            if lease is None:
                return None
            if driver.alive(lease.session, time.monotonic() - lease.since):
                return Lease(driver, lease.session, reused=True, opened=lease.opened)
            _close([lease])
            self.clear()  # the others have lain idle for longer, and asking each may take its time

    def _take(self, driver: Driver) -> tuple[Lease | None, list[Lease]]:
        old = time.monotonic() - self._max_idle
        surplus = [lease for lease in self._idle if lease.since < old]
        self._idle = [lease for lease in self._idle if lease.since >= old]
        for index in reversed(range(len(self._idle))):
            if self._idle[index].driver is driver:
                return self._idle.pop(index), surplus
        excess = max(0, len(self._idle) - (self._size - self._busy))
        surplus += self._idle[:excess]
        del self._idle[:excess]
        return None, surplus

    def _release(self, lease: Lease) -> None:
        if lease.broken or self._closed or time.monotonic() - lease.opened > self._max_age:
            _close([] if lease.abandoned else [lease])
            self._give_back(None)
        else:
            lease.since = time.monotonic()
            self._give_back(lease)

    def _give_back(self, lease: Lease | None) -> None:
        with self._changed:
            self._busy -= 1
            if lease is not None:
                self._idle.append(lease)
            self._changed.notify()


def _close(leases: list[Lease]) -> None:
    for lease in leases:
        with contextlib.suppress(Exception):
            lease.driver.close(lease.session)
