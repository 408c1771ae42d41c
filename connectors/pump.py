"""Reads a stream in a thread of its own, so that whoever waits for it can give up on a server that hangs.

ADBC blocks in C and shows no socket: neither a timeout nor a cut connection would bring its caller back.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from functools import partial

import pyarrow as pa

from connectors.errors import Error, LimitExceeded
from connectors.leases import Lease
from connectors.stopping import GRACE, Stopper

_TICK = 0.05
_END = object()
_UNWANTED = LimitExceeded("nobody reads the rows any more", sqlstate="57014")


class Pump:
    """At most one batch is read ahead. The source is closed in the thread that reads it; `dispose` is called
    there too, at last, where the pump had to be left alone with it."""

    def __init__(self, source: Generator[pa.RecordBatch, None, None], dispose: Callable[[], None]) -> None:
        self._source = source
        self._dispose = dispose
        self._lock = threading.Lock()
        self._ended = self._alone = self._given_up = False
        self._queue: queue.Queue[object] = queue.Queue(1)
        self._unwanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self._thread.start()

    def batches(self, stopper: Stopper, deadline: float, late: Error) -> Iterator[pa.RecordBatch]:
        """The stream's batches, or its error. At the deadline the statement is asked to stop, for the reason
        `late`; a statement that does not stop within some seconds is waited for no longer."""
        give_up: float | None = None
        while True:
            try:
                item = self._queue.get(timeout=_TICK)
            except queue.Empty:
                now = time.monotonic()
                if now >= deadline:
                    stopper.ask(late)
                if stopper.reason is not None:
                    give_up = give_up or now + GRACE
                    if now >= give_up:
                        self._given_up = True
                        raise stopper.reason from None
                continue
            if item is _END:
                self._thread.join()
                return
            if isinstance(item, BaseException):
                raise item
            yield item

    def close(self, stopper: Stopper, reason: Error) -> bool:
        """End it, stopping the statement if it still runs; False where the thread hangs and keeps its connection."""
        self._unwanted.set()
        if self._thread.is_alive():
            stopper.ask(reason)
            self._thread.join(0.0 if self._given_up else GRACE)
        with self._lock:
            self._alone = not self._ended
        if self._alone:
            stopper.unheeded()
        return not self._alone

    def _run(self) -> None:
        last: object = _END
        try:
            for batch in self._source:
                if not self._put(batch):
                    break
        except Exception as error:
            last = error
        finally:
            self._source.close()
            self._put(last)
            with self._lock:
                self._ended = True
            if self._alone:
                self._dispose()

    def _put(self, item: object) -> bool:
        while not self._unwanted.is_set():
            try:
                self._queue.put(item, timeout=_TICK)
            except queue.Full:
                continue
            return True
        return False


@contextlib.contextmanager
def pumped(source: Generator[pa.RecordBatch, None, None], stopper: Stopper, lease: Lease) -> Iterator[Pump]:
    """A pump over a stream of the lease's connection, which stays the pump's where the stream hangs."""
    pump = Pump(source, partial(lease.driver.close, lease.session))
    try:
        yield pump
    finally:
        lease.abandoned = not pump.close(stopper, _UNWANTED)
