"""Blocking work that can be given up: for drivers whose calls know no timeout."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def apart(work: Callable[[], T], seconds: float, dispose: Callable[[T], None]) -> T:
    """What `work()` returns or raises, in a thread of its own; TimeoutError when `seconds` are over.

    What comes after that goes to `dispose`, in that thread.
    """
    future: Future[T] = Future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # it belongs to the caller, whatever it is
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
            return
        if future.set_running_or_notify_cancel():
            future.set_result(result)
        else:
            with contextlib.suppress(Exception):
                dispose(result)

    threading.Thread(target=run, name="apart", daemon=True).start()
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.cancel():
            raise
        return future.result()


def watched(work: Callable[[], T], check: Callable[[], None], tick: float = 0.05) -> T:
    """What `work()` returns or raises, in a thread of its own; left alone once `check`, called on and on, raises."""
    return awaited(begun(work), check, tick)


def begun(work: Callable[[], T]) -> Future[T]:
    """`work()`, begun in a thread of its own."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # it belongs to the caller, whatever it is
            future.set_exception(error)

    threading.Thread(target=run, name="watched", daemon=True).start()
    return future


def awaited(future: Future[T], check: Callable[[], None], tick: float = 0.05) -> T:
    """Its result or error; left alone once `check` raises."""
    while True:
        try:
            return future.result(tick)
        except TimeoutError:
            if future.done():
                raise
            check()
