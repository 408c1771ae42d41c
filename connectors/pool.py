"""A bounded pool of one source's connections, for drivers that bring none: lease one, give it back, or throw it away."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from connectors.base import Cancel
from connectors.errors import LimitExceeded, SourceError

T = TypeVar("T")
_TICK = 0.05  # seconds between two looks at the cancel while waiting for a connection


def timed_out(place: str) -> LimitExceeded:
    """The error of a statement that reached its deadline, worded as PostgreSQL does."""
    return LimitExceeded("canceling statement due to statement timeout", sqlstate="57014", place=place)


class Pool(Generic[T]):
    """At most `size` connections, opened when first needed, the last used first.

    `fresh` says whether an idle connection may still be used; one that may not is closed and replaced.
    """

    def __init__(
        self,
        place: str,
        size: int,
        open_one: Callable[[], T],
        close_one: Callable[[T], None],
        fresh: Callable[[T], bool] = lambda _: True,
    ) -> None:
        self._place = place
        self._open, self._close, self._fresh = open_one, close_one, fresh
        self._room = threading.BoundedSemaphore(size)
        self._idle: list[T] = []
        self._lock = threading.Lock()
        self._closed = False

    @contextlib.contextmanager
    def lease(self, deadline: float, cancel: Cancel) -> Iterator[T]:
        """A connection until `deadline` (time.monotonic); thrown away if the block ends with an error."""
        self._wait(deadline, cancel)
        try:
            connection = self._take()
            try:
                yield connection
            except GeneratorExit:  # the reader had enough; the block itself has ended its statement
                self._give(connection)
                raise
            except BaseException:
                self._close(connection)
                raise
            self._give(connection)
        finally:
            self._room.release()

    def close(self) -> None:
        """Close what is idle now, and what is out when it comes back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            self._close(connection)

    def _wait(self, deadline: float, cancel: Cancel) -> None:
        while not self._room.acquire(timeout=_TICK):
            cancel.check()
            if time.monotonic() >= deadline:
                raise timed_out(self._place)

    def _take(self) -> T:
        while True:
            with self._lock:
                if self._closed:
                    raise SourceError("the connector is closed", sqlstate="08003", place=self._place)
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._open()
            if self._fresh(connection):
                return connection
            self._close(connection)

    def _give(self, connection: T) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        self._close(connection)
