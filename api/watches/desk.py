"""The one thread that works on the file of alerts: what is given together is committed together."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, ParamSpec, TypeVar

from api.watches.tables import transaction

T = TypeVar("T")
P = ParamSpec("P")
TOGETHER = 64  # pieces of work of one commit

Work = tuple[Callable[[], Any], "Future[Any]"]


class Desk:
    """Work is done in its order. A commit waits for the disk, which is most of what it takes: one does for all that
    was given while the last was under way. No result is told before it is committed."""

    def __init__(self) -> None:
        self.connection: sqlite3.Connection | None = None  # whose commits are shared; each commits by itself without
        self._given: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="vdw-alerts", daemon=True)
        self._thread.start()

    async def call(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the work gives, once it is committed."""
        done: Future[T] = Future()
        self._given.put((partial(work, *args, **kwargs), done))
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Once what was given is done."""
        self._given.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._given.get()) is not None:
            works, last = [first], False
            while not last and len(works) < TOGETHER and not self._given.empty():
                following = self._given.get()
                last = following is None
                works += [following] if following is not None else []
            self._do([one for one in works if one[1].set_running_or_notify_cancel()])
            if last:
                return

    def _do(self, works: list[Work]) -> None:
        if self.connection is None or len(works) == 1:
            for work, done in works:
                _tell([(done, *_tried(work))])
            return
        ended: list[tuple[Future[Any], Any, BaseException | None]] = []
        try:
            with transaction(self.connection):
                for work, done in works:
                    ended.append((done, *_tried(work)))
        except BaseException as error:  # nothing of it is written
            ended = [(done, None, error) for _, done in works]
        _tell(ended)


def _tried(work: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    try:
        return work(), None
    except BaseException as error:
        return None, error


def _tell(ended: list[tuple[Future[Any], Any, BaseException | None]]) -> None:
    for done, value, error in ended:
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)
