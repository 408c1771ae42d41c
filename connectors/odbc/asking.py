"""Questions of our own over ODBC, each in a thread that can be given up: drivers' calls know no timeout."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from connectors.apart import apart
from connectors.errors import LimitExceeded, SourceError
from connectors.leases import Lease
from connectors.odbc.drivers import Access, Session, driver, translate
from connectors.odbc.engine import Rows
from connectors.stopping import GRACE, hanging

T = TypeVar("T")


class Asking:
    """One connection's questions, until `deadline` (time.monotonic()); `what` they are for."""

    def __init__(self, access: Access, lease: Lease, what: str, deadline: float, late: LimitExceeded) -> None:
        self._access, self._lease, self._what, self._late = access, lease, what, late
        self._session: Session = lease.session
        self._deadline = self._end = deadline

    def ask(self, text: str) -> Rows:
        """All rows of a question; SourceError HV000 where it is refused or takes longer than `within` allows."""
        return self._asked(lambda cursor: cursor.execute(text))

    def catalog(self, function: str, **arguments: str | None) -> Rows:
        """All rows of a catalog function, by pyodbc's name."""
        return self._asked(lambda cursor: getattr(cursor, function)(**arguments))

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """See sqlite_asking.Asking."""
        self._end = min(self._deadline, time.monotonic() + seconds)
        try:
            yield
        finally:
            self._end = self._deadline

    def apart(self, work: Callable[[], T], stop: Callable[[], None] = lambda: None) -> T:
        """What `work` gives, which waits for the server; `stop` ends it there when its time is over."""
        left = max(self._end - time.monotonic(), 0.0)
        timer = threading.Timer(left, _quietly(stop))
        timer.daemon = True
        timer.start()
        try:
            return apart(work, left + GRACE, lambda _: self._lease.driver.close(self._session))
        except TimeoutError:
            self._lease.abandoned = True
            raise hanging(self._access.source, left) from None
        except driver().Error as error:
            if time.monotonic() < self._end:
                raise translate(self._access, self._session.engine, error, self._late) from None
            if self._end < self._deadline:
                raise SourceError("the question took too long") from None
            raise self._late from None
        finally:
            timer.cancel()

    def _asked(self, begin: Callable[[Any], object]) -> Rows:
        running = self._lease.driver.running(self._session)  # type: ignore[attr-defined]
        cursor = running.cursor

        def run() -> Rows:
            with contextlib.closing(running):
                begin(cursor)
                return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

        with self._access.tally.counted(self._what) as counted:
            rows = self.apart(run, running.stop)
            counted.rows = len(rows)
        return rows


def _quietly(stop: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        with contextlib.suppress(Exception):
            stop()

    return run
