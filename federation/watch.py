"""What happens, for those who count and tell it: receipts, metrics, the log, traces."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Protocol

from federation.query import Query

log = logging.getLogger("vdw.watch")


@dataclass(slots=True)
class Sent:
    """One statement for a source, once the source has nothing left to do for it; or one that was never sent.

    `query` is whoever made us ask (others may share the answer), None for our own chores; `sql` has no values;
    `kind` is lookup | report | extract | chore; `started` the time of day in seconds when it asked to be let in,
    `waited` ms until it was, `ms` after that; `outcome` ok or an SQLSTATE; `refused` why it was not sent, or "".
    """

    source: str
    fingerprint: str
    sql: str
    kind: str
    query: Query | None = None
    started: float = 0.0
    waited: float = 0.0
    ms: float = 0.0
    rows: int = 0
    bytes: int = 0
    outcome: str = "ok"
    refused: str = ""


class Listener(Protocol):
    """Must be quick, and must not raise: it stands in the way of answers."""

    def sent(self, sent: Sent) -> None:
        """A statement has ended, or was refused."""
        ...

    def ended(self, query: Query) -> None:
        """A query has ended; its `parts` say what was saved, too."""
        ...


@dataclass(slots=True)
class Watch:
    """Passes everything on to all listeners; one that fails is heard of in the log, and changes no answer."""

    listeners: list[Listener] = field(default_factory=list)

    def sent(self, sent: Sent) -> None:
        """Tell all of a statement."""
        for listener in self.listeners:
            try:
                listener.sent(sent)
            except Exception:
                log.exception("%s failed", type(listener).__name__)

    def ended(self, query: Query) -> None:
        """Tell all of a query."""
        for listener in self.listeners:
            try:
                listener.ended(query)
            except Exception:
                log.exception("%s failed", type(listener).__name__)
