"""Runs asynchronous work from a command line: Ctrl-C stops it at the sources first, then here."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

from connectors.base import Cancel
from connectors.errors import Error

T = TypeVar("T")
GRACE = 2.0  # seconds in which the sources may end their statements


class Interrupted(Exception):
    """The user pressed Ctrl-C."""


def run(work: Callable[[Cancel], Awaitable[T]]) -> T:
    """The work's value. Interrupted after Ctrl-C: the Cancel fires, and the task is cancelled if that is not enough."""
    return asyncio.run(_run(work))


async def _run(work: Callable[[Cancel], Awaitable[T]]) -> T:
    loop = asyncio.get_running_loop()
    cancel, presses = Cancel(), 0
    task = asyncio.ensure_future(work(cancel))

    def stop() -> None:
        nonlocal presses
        presses += 1
        if presses > 1:
            task.cancel()
        else:
            loop.run_in_executor(None, cancel.fire)
            loop.call_later(GRACE, task.cancel)

    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # not in a thread, not on Windows
        loop.add_signal_handler(signal.SIGINT, stop)
    try:
        return await task
    except (asyncio.CancelledError, Error) as error:
        if presses:
            raise Interrupted from None
        raise error
