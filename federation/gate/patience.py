"""Blocking work that is given up on, where a source does not answer in time; it takes its turn like any statement."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from federation.gate.gate import Gate
from federation.gate.permit import Permit, Wish
from federation.gate.turns import Kind

T = TypeVar("T")


async def patiently(
    work: Callable[[], T],
    patience: float,
    gate: Gate,
    name: str = "introspection",
    *,
    kind: Kind = "chore",
    prober: bool = False,
) -> T:
    """The result of blocking work at the gate's source; TimeoutError past `patience` seconds, waiting included.

    Nobody waits for its thread then, which keeps its place at the gate until it ends. Errors as `Gate.enter` has them.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    permit = await gate.enter(Wish(until, kind=kind, prober=prober))
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        permit.leave(error)
        if not done.done():
            done.set_exception(error) if error is not None else done.set_result(result)  # type: ignore[arg-type]

    _start(work, settle, permit, name)
    async with asyncio.timeout_at(until):
        return await done


def _start(work: Callable[[], T], settle: Callable[..., None], permit: Permit, name: str) -> None:
    loop = asyncio.get_running_loop()

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is gone
            loop.call_soon_threadsafe(settle, result, error)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except BaseException as error:
        permit.leave(error)
        raise
