"""A statement of few rows, answered on the loop itself: a lookup by key saves both hops of a thread."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor

import pyarrow as pa

from connectors.base import Cancel, Prompt, Served
from connectors.errors import Error, LimitExceeded
from federation.channel import Head

MANY = 2_000  # rows; more are made in a thread
_UNWANTED = LimitExceeded("nobody waits for the rows any more", sqlstate="57014")
Through = Callable[[Iterator[pa.RecordBatch]], Iterable[pa.RecordBatch]]


class Exchange:
    """One prompt and the one who waits for it; what `through` makes of its rows and errors is what he gets.

    `ended` is called on the loop, with what was raised, if anything was, when the source has nothing left to do: after
    a cancellation or past `until` (the loop's time, when whoever waits gets `late`) that is some time after `head` has
    raised. `cancel` is told where the server does not heed that it is to stop.
    """

    def __init__(
        self,
        prompt: Prompt,
        threads: Executor,
        until: float,
        late: Error,
        *,
        through: Through,
        ended: Callable[[BaseException | None], None],
        cancel: Cancel,
    ) -> None:
        self._prompt, self._threads, self._until, self._late = prompt, threads, until, late
        self._cancel = cancel
        self._through, self._ended = through, ended
        self._loop = asyncio.get_running_loop()
        self._arrived: asyncio.Future[int] = self._loop.create_future()
        self._error: BaseException | None = None
        self._busy = True  # the source works on it

    @property
    def served(self) -> Served | None:
        """Which of the source's servers answers, where it has several."""
        return self._cancel.served

    async def head(self) -> Head:
        """All rows; Stale where the connection was dead, else what the source says."""
        descriptor = self._prompt.descriptor
        self._loop.add_reader(descriptor, self._look)
        timer = self._loop.call_at(self._until, self.fail, self._late)
        raised: BaseException | None = None
        try:
            many = await self._arrived > MANY
            rows = await self._loop.run_in_executor(self._threads, self._taken) if many else self._taken()
            return Head(rows, complete=True)
        except BaseException as error:
            raised = error
            raise
        finally:
            timer.cancel()
            self._loop.remove_reader(descriptor)
            self._close(raised)

    def close(self, reason: Error | None = None) -> None:
        """End it now."""
        self.fail(reason or _UNWANTED)

    def fail(self, error: Error) -> None:
        """The same; whoever waits is told why."""
        if not self._arrived.done():
            self._error = error
            self._arrived.set_result(0)

    def _look(self) -> None:
        if self._arrived.done():
            return
        count: int | None = 0
        try:
            count = self._prompt.poll()
        except BaseException as error:  # it belongs to whoever waits
            self._error = error
        if count is not None:
            self._busy = False
            self._arrived.set_result(count)

    def _taken(self) -> list[pa.RecordBatch]:
        return list(self._through(self._rows()))

    def _rows(self) -> Iterator[pa.RecordBatch]:
        if self._error is not None:
            raise self._error
        yield self._prompt.rows()

    def _close(self, raised: BaseException | None) -> None:
        if self._busy:
            self._threads.submit(self._stop, raised)
        else:
            self._prompt.close()
            self._ended(raised)

    def _stop(self, raised: BaseException | None) -> None:
        try:
            self._cancel.unheeded = not self._prompt.close(_UNWANTED)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                self._loop.call_soon_threadsafe(self._ended, raised)
