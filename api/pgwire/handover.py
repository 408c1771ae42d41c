"""Statements of one session: those that touch virtual relations are ours, all others pass to the canon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from api.pgwire.backend import BIND, CLOSE, DESCRIBE, EXECUTE, PARSE, QUERY, Reply
from connectors.base import Cancel
from connectors.errors import Error

if TYPE_CHECKING:
    from api.pgwire.session import Session


class Handover:
    """Decides for each message of the client who answers it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.running: Cancel | None = None
        self.handlers: dict[bytes, Callable[[bytes], Awaitable[None]]] = {
            b"Q": self._query,
            b"P": self._pass(PARSE),
            b"B": self._pass(BIND),
            b"D": self._pass(DESCRIBE),
            b"E": self._pass(EXECUTE),
            b"C": self._pass(CLOSE),
        }

    def _pass(self, kind: int) -> Callable[[bytes], Awaitable[None]]:
        async def handle(raw: bytes) -> None:
            self.session.backend.send(raw, Reply(kind))

        return handle

    async def _query(self, raw: bytes) -> None:
        self.session.backend.send(raw, Reply(QUERY))

    def cancel(self, reason: Error) -> None:
        """Stop what runs for this session."""
        if self.running is not None:
            self.running.fire(reason)

    def command(self, tag: str) -> None:
        """The canon has completed a command."""

    def synced(self) -> None:
        """A Sync has passed."""

    async def close(self) -> None:
        """Give back everything."""
