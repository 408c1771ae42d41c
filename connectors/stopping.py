"""Stopping statements at the server: when asked to, and when their time is over."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from connectors.base import Cancel
from connectors.errors import Error, LimitExceeded, TimedOut

_STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10)
_AGAIN = 0.1  # seconds between two attempts: a cancel that arrives before the statement begins hits nothing
GRACE = 3.0  # seconds in which the server should have heard it


def server_timeout(seconds: float) -> int:
    """The timeout in milliseconds to set at the server: `seconds` rounded up to a round figure.

    Remaining times differ by each statement; rounded, a pooled connection seldom needs to be told again.
    """
    milliseconds = max(seconds * 1000, 1.0)
    power = 1
    while milliseconds > power * 10:
        power *= 10
    return next(int(power * step + 0.999999) for step in _STEPS if power * step >= milliseconds - 1e-6)


def timed_out(source: str, seconds: float) -> TimedOut:
    """The error of a statement whose time is over."""
    return TimedOut(
        f'canceling statement at source "{source}" due to statement timeout',
        seconds,
        hint=f"it had {seconds:g} s; narrow the query, or raise the timeout",
    )


def hanging(source: str, seconds: float) -> TimedOut:
    """The error of a statement that its server did not end, though its time was over or it was told to."""
    return TimedOut(
        f'canceling statement at source "{source}" due to statement timeout',
        seconds,
        hangs=True,
        detail="the server did not end it when told to: it hangs, or the network to it does",
        hint="ask the source's owner whether the server is well, and try again",
    )


def ended_there(source: str) -> LimitExceeded:
    """The error of a statement that was cancelled at the server, and not by us."""
    return LimitExceeded(
        f'the statement was cancelled at source "{source}"',
        sqlstate="57014",
        hint="its administrator or a limit of its own ended it: ask the source's owner before trying again",
    )


class Stopper:
    """Whether, and why, a running statement was asked to stop."""

    def __init__(self, cancel: Cancel, stop: Callable[[], None], sever: Callable[[], None] | None = None) -> None:
        self.reason: Error | None = None
        self._cancel = cancel
        self._stop = stop
        self._sever = sever
        self._asked = threading.Event()
        self._done = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, reason: Error | None) -> None:
        """Begin to stop the statement; returns at once, as the caller may be an event loop."""
        with self._lock:
            self.reason = self.reason or reason
            self._asked.set()
            if self._thread is None:
                self._start(0.0, None)

    def watch(self, seconds: float, late: Error) -> None:
        """Also stop it, for the reason `late`, when `seconds` are over."""
        with self._lock:
            self._start(seconds, late)

    def check(self) -> None:
        """Raise the reason if there is one: an answer that came all the same may have been cut short (MariaDB's
        functions return early when killed), and a late cancel may still hit the connection."""
        if self.reason is not None:
            raise self.reason

    def unheeded(self) -> None:
        """The server does not end it."""
        self._cancel.unheeded = True

    def finish(self) -> None:
        """The statement has ended: after this returns no stop is under way any more."""
        self._done.set()
        self._asked.set()
        with self._lock:
            thread = self._thread
        if thread is not None and self.reason is not None:
            thread.join(1.0)

    def _start(self, seconds: float, late: Error | None) -> None:
        self._thread = threading.Thread(target=self._run, args=(seconds, late), name="stopper", daemon=True)
        self._thread.start()

    def _run(self, seconds: float, late: Error | None) -> None:
        if not self._asked.wait(seconds):
            self.reason = late
        if self.reason is None:
            return
        end = time.monotonic() + GRACE
        while not self._done.is_set() and time.monotonic() < end:
            with contextlib.suppress(Exception):
                self._stop()
            self._done.wait(_AGAIN)
        if self._done.is_set():
            return
        self.unheeded()
        if self._sever is not None:
            with contextlib.suppress(Exception):
                self._sever()


@contextlib.contextmanager
def stopping(
    cancel: Cancel,
    stop: Callable[[], None],
    seconds: float = 0.0,
    late: Error | None = None,
    sever: Callable[[], None] | None = None,
) -> Iterator[Stopper]:
    """While inside, `stop` is called (elsewhere, again and again) once `cancel` fires or `seconds` are over.

    `sever` cuts the connection where that is in vain for some seconds. Raises the reason if `cancel` has fired
    already. Call the stopper's `check` afterwards.
    """
    stopper = Stopper(cancel, stop, sever)
    with cancel.hook(lambda: stopper.ask(cancel.reason)):
        if late is not None:
            stopper.watch(seconds, late)
        try:
            yield stopper
        finally:
            stopper.finish()
