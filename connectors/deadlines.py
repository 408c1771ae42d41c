"""One thread for all deadlines of a source whose server has none of its own; a thread each would cost 0.1 to 1 ms."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(order=True, slots=True)
class _Entry:
    when: float
    number: int
    late: Callable[[], None] | None = field(compare=False)  # None: ended in time


class Deadlines:
    """Calls back when a time has come. Thread-safe; its thread lives from the first use until `close`."""

    def __init__(self) -> None:
        self._heap: list[_Entry] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def within(self, deadline: float, late: Callable[[], None]) -> Iterator[None]:
        """While inside, `late` is called (once, elsewhere; it must return at once) at `deadline` (time.monotonic).

        Never afterwards: what it cuts or interrupts may be another statement's by then.
        """
        entry = _Entry(deadline, next(self._numbers), late)
        with self._changed:
            heapq.heappush(self._heap, entry)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="deadlines", daemon=True)
                self._thread.start()
            elif self._heap[0] is entry:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                entry.late = None

    def close(self) -> None:
        """End the thread; statements still inside are not stopped any more."""
        with self._changed:
            self._heap.clear()
            self._thread = None
            self._changed.notify()

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            with self._changed:
                while self._thread is me and (left := self._left()):
                    self._changed.wait(left if left > 0 else None)
                if self._thread is not me:
                    return
                late = heapq.heappop(self._heap).late
                if late is not None:
                    late()

    def _left(self) -> float:
        """Seconds until the first deadline, -1 where there is none; those that ended in time are dropped."""
        while self._heap and self._heap[0].late is None:
            heapq.heappop(self._heap)
        return max(self._heap[0].when - time.monotonic(), 0.0) if self._heap else -1.0
