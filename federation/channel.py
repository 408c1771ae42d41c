"""Batches from a thread to the loop: a small answer in one hop, a large one with a bounded read-ahead."""

from __future__ import annotations

import asyncio
import contextlib
import math
import threading
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from connectors.arrow import left_out
from connectors.base import Cancel, Served
from connectors.errors import Error
from federation.deadline import Deadline

AHEAD = 2  # batches that a producer may be ahead of its consumer
PATIENCE = 5.0  # seconds in which a cancelled iterator may end in order


@dataclass(frozen=True, slots=True)
class Head:
    """The first batches of an answer; all of them where it is `complete`."""

    batches: list[pa.RecordBatch]
    complete: bool


class Channel:
    """One producer, running in one thread from its first batch to its last, and one consumer on the loop.

    The producer's first batches, up to `head` bytes (None: all), come at once as a `Head`. If that was not all, the
    rest is iterated: the producer waits while it is `AHEAD` batches ahead. Whoever waits for the producer `until` (the
    loop's time) gets `late`: a thread that hangs holds up nobody. `ended` is called on the loop, with
    what was raised, if anything was, when the thread has done everything, closing included.
    """

    def __init__(
        self,
        produce: Callable[[], Generator[pa.RecordBatch, None, None]],
        cancel: Cancel,
        *,
        head: int | None,
        ended: Callable[[BaseException | None], None],
        until: float = math.inf,
        late: Error | None = None,
    ) -> None:
        self._produce = produce
        self._cancel = cancel
        self._limit = head
        self._ended = ended
        self._until = until
        self._late = late
        self._loop = asyncio.get_running_loop()
        self._head: asyncio.Future[Head] = self._loop.create_future()
        self._items: deque[pa.RecordBatch] = deque()
        self._slots = threading.Semaphore(AHEAD)
        self._wake: asyncio.Future[None] | None = None
        self._closed = False
        self._error: BaseException | None = None
        self.over = False

    def start(self, threads: Executor) -> None:
        """Begin to produce, in one of `threads`."""
        threads.submit(self._work)

    @property
    def served(self) -> Served | None:
        """Which of the source's servers answers, where it has several."""
        return self._cancel.served

    async def head(self) -> Head:
        """The first batches; raises what the producer raised before it had them. Cancelled, it closes the channel."""
        timer = self._timer()
        try:
            return await self._head
        except asyncio.CancelledError:
            self.close()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def __aiter__(self) -> Channel:
        return self

    async def __anext__(self) -> pa.RecordBatch:
        while not self._items:
            if self._error is not None:
                raise self._error
            if self.over or self._closed:
                raise StopAsyncIteration
            await self._arrival()
        self._slots.release()
        return self._items.popleft()

    def fail(self, error: Error) -> None:
        """End it now: the consumer gets `error`, the producer is stopped."""
        if not self.over and not self._closed:
            self._error = error
            self.close(error)
            if not self._head.done():
                self._head.set_exception(error)

    def close(self, reason: Error | None = None) -> None:
        """Stop the producer, if it still runs; idempotent. What was produced and not taken is dropped."""
        if self.over or self._closed:
            return
        self._closed = True
        self._items.clear()
        self._slots.release()
        self._notify()
        _fire(self._cancel, reason)

    async def _arrival(self) -> None:
        self._wake = self._loop.create_future()
        timer = self._timer()
        try:
            await self._wake
        finally:
            if timer is not None:
                timer.cancel()

    def _timer(self) -> asyncio.TimerHandle | None:
        return None if self._late is None else self._loop.call_at(self._until, self.fail, self._late)

    def _work(self) -> None:
        head: Head | None = None
        error: BaseException | None = None
        try:
            self._cancel.check()
            with contextlib.closing(self._produce()) as batches:
                head = self._pump(batches)
        except BaseException as caught:  # it belongs to the consumer, whatever it is
            error = caught
        self._post(self._finish, head, error)

    def _pump(self, batches: Iterator[pa.RecordBatch]) -> Head | None:
        held: list[pa.RecordBatch] = []
        size = 0
        for batch in batches:
            held.append(batch)
            size += batch.nbytes
            if self._limit is not None and size > self._limit:
                break
        else:
            return Head(held, complete=True)
        self._post(self._resolve, Head(held, complete=False))
        del held, batch
        self._pass_on(batches)
        return None

    def _pass_on(self, batches: Iterator[pa.RecordBatch]) -> None:
        for batch in batches:
            self._slots.acquire()
            if self._closed:
                return
            self._post(self._arrive, batch)

    def _post(self, call: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(call, *arguments)

    def _resolve(self, head: Head) -> None:
        if not self._head.done():
            self._head.set_result(head)

    def _arrive(self, batch: pa.RecordBatch) -> None:
        if not self._closed:
            self._items.append(batch)
            self._notify()

    def _finish(self, head: Head | None, error: BaseException | None) -> None:
        self.over = True
        self._error = self._error or error
        self._ended(error)
        if not self._head.done():
            if error is not None:
                self._head.set_exception(error)
            elif head is not None:
                self._head.set_result(head)
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


class Rest(Protocol):
    """The batches after the head, for one consumer; `close` and `fail` stop the work behind them at once."""

    async def __anext__(self) -> pa.RecordBatch: ...

    def close(self, reason: Error | None = None) -> None: ...

    def fail(self, error: Error) -> None: ...


class Relay:
    """A `Rest` out of an async iterator: the same bounded read-ahead, by a task in place of a thread.

    `cancel` is the iterator's own: it is fired to stop it, so that it ends in order, by the server's answer.
    """

    def __init__(self, batches: AsyncGenerator[pa.RecordBatch, None], cancel: Cancel) -> None:
        self._items: asyncio.Queue[pa.RecordBatch | BaseException] = asyncio.Queue(AHEAD)
        self._cancel = cancel
        self._over: BaseException | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._pump(batches))

    def __aiter__(self) -> Relay:
        return self

    async def __anext__(self) -> pa.RecordBatch:
        if self._over is not None:
            raise self._over
        item = await self._items.get()
        if isinstance(item, BaseException):
            self._over = item
            raise item
        return item

    def close(self, reason: Error | None = None) -> None:
        """Stop the iterator; a consumer that waits now is told `reason`, or that there is no more."""
        if self._over is not None or self._closed:
            return
        self._closed = True
        self._over = reason or StopAsyncIteration()
        while not self._items.empty():
            self._items.get_nowait()
        self._items.put_nowait(self._over)
        if not self._task.done():
            _fire(self._cancel, reason)
            self._loop.call_later(PATIENCE, self._task.cancel)

    def fail(self, error: Error) -> None:
        """Stop the iterator; the consumer gets `error`."""
        self.close(error)

    async def _pump(self, batches: AsyncGenerator[pa.RecordBatch, None]) -> None:
        end: BaseException = StopAsyncIteration()
        try:
            async with contextlib.aclosing(batches):
                async for batch in batches:
                    if self._closed:
                        return
                    await self._items.put(batch)
        except Exception as error:
            end = error
        if not self._closed:
            await self._items.put(end)


def _fire(cancel: Cancel, reason: Error | None) -> None:
    # Cancelling may talk to the server (a side connection, a lock): not on the loop, nor in the busy threads.
    threading.Thread(target=cancel.fire, args=(reason,), name="vdw-cancel", daemon=True).start()


class Stream:
    """The batches of one answer for one consumer: first those at hand, then those of `rest`.

    `rest` is stopped by `aclose`, by the deadline, and by the client's `cancel`; so nothing is left behind even by a
    consumer that forgets it. `done` is called once, with the rows that came and the number of values that were left out
    of each column, when the last batch has.
    """

    def __init__(
        self,
        batches: list[pa.RecordBatch],
        rest: Rest | None = None,
        *,
        deadline: Deadline | None = None,
        cancel: Cancel | None = None,
        names: list[str] | None = None,
        done: Callable[[int, Mapping[int, int]], None] | None = None,
    ) -> None:
        self._left: Counter[int] = Counter()
        self._batches = iter(batches)
        self._rest = rest
        self._names = names
        self._done = done
        self._rows = 0
        self._guards = contextlib.ExitStack()
        if rest is not None:
            try:
                self._guard(rest, deadline, cancel)
            except Error as fired_already:
                rest.fail(fired_already)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> pa.RecordBatch:
        batch = next(self._batches, None)
        if batch is None:
            batch = await self._later()
        self._rows += batch.num_rows
        if batch.schema.metadata:
            self._left.update(left_out(batch))
        return batch if self._names is None else batch.rename_columns(self._names)

    async def aclose(self) -> None:
        """Take no more; the work at the source is stopped. Does not wait for it."""
        self._batches = iter(())
        self._guards.close()
        if self._rest is not None:
            self._rest.close()
            self._rest = None

    async def _later(self) -> pa.RecordBatch:
        try:
            if self._rest is None:
                raise StopAsyncIteration
            return await self._rest.__anext__()
        except StopAsyncIteration:
            self._guards.close()
            if self._done is not None:
                self._done(self._rows, self._left)
                self._done = None
            raise
        except BaseException:
            await self.aclose()
            raise

    def _guard(self, rest: Rest, deadline: Deadline | None, cancel: Cancel | None) -> None:
        loop = asyncio.get_running_loop()
        if deadline is not None:
            error = deadline.error("not all rows had been read and taken by then")
            self._guards.callback(loop.call_at(deadline.at, rest.fail, error).cancel)
        if cancel is not None:

            def fired() -> None:
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(_fail_with, rest, cancel)

            self._guards.enter_context(cancel.hook(fired))


def _fail_with(rest: Rest, cancel: Cancel) -> None:
    if cancel.reason is not None:
        rest.fail(cancel.reason)
