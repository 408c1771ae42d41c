"""One query's end: when its time is up, and when its client no longer wants it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from connectors.base import Cancel
from connectors.errors import LimitExceeded


@dataclass(frozen=True, slots=True)
class Deadline:
    """`at` is the loop's time; `seconds` were allowed, by `owner` ("the session", "view crm.orders")."""

    at: float
    seconds: float
    owner: str = "the session"

    @classmethod
    def after(cls, seconds: float, owner: str = "the session") -> Deadline:
        """The deadline that many seconds from now."""
        return cls(asyncio.get_running_loop().time() + seconds, seconds, owner)

    def left(self) -> float:
        """Seconds that remain, at least a millisecond so that it can serve as a timeout."""
        return max(self.at - asyncio.get_running_loop().time(), 0.001)

    def error(self, doing: str = "") -> LimitExceeded:
        """What the client is told; `doing` says what it was that took so long."""
        return LimitExceeded(
            "canceling statement due to statement timeout",
            sqlstate="57014",
            detail=f"{self.owner} allows {self.seconds:g} s" + (f"; {doing}" if doing else "") + ".",
            hint="Ask for less, or allow more time (statement_timeout of the session, timeout of the view).",
        )


@contextlib.asynccontextmanager
async def within(deadline: Deadline, cancel: Cancel, doing: Callable[[], str] = str) -> AsyncIterator[None]:
    """Run the body until the deadline comes (LimitExceeded) or `cancel` is fired (its reason), whichever is first.

    The body's awaits are cancelled then; whatever they wait for decides what that means for the work itself.
    """
    loop = asyncio.get_running_loop()
    scope = asyncio.timeout_at(deadline.at)

    def stop() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, or the scope has been left meanwhile
            scope.reschedule(loop.time())

    def fired() -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop)

    said: list[str] = []
    # Just before the end, while what is waited for still stands.
    note = loop.call_at(deadline.at - 0.001, lambda: said.append(doing()))
    try:
        async with scope:
            with cancel.hook(fired):
                yield
    except TimeoutError:
        if not scope.expired():
            raise
        cancel.check()
        raise deadline.error("".join(said)) from None
    finally:
        note.cancel()
