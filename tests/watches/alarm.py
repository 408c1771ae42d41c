"""A project whose watches run in this process, and what is waited for."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from api.watches.service import alerting
from tests.serving import Serving

PATIENCE = 40.0  # seconds until something that is to happen has not happened


class Alarm:
    """Watches and alerts of a folder, until it is closed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.serving = folder, Serving(folder)
        self._alerting = alerting(self.serving.runtime)
        self.alerts = self.serving.wait(self._alerting.__aenter__())

    def close(self) -> None:
        """End them, as a server's end does."""
        self.serving.wait(self._alerting.__aexit__(None, None, None))
        self.serving.close()

    def sql(self, text: str, user: str = "vdw") -> list[dict[str, Any]]:
        """Rows of a statement."""
        from federation.session import Session

        async def asked() -> list[dict[str, Any]]:
            result = await self.serving.runtime.engine.query(text, Session(user))
            found: list[dict[str, Any]] = (await result.table()).to_pylist()
            return found

        return self.serving.wait(asked())


@contextlib.contextmanager
def alarm(folder: Path) -> Iterator[Alarm]:
    """For the time of the block."""
    made = Alarm(folder)
    try:
        yield made
    finally:
        made.close()


def until(holds: Callable[[], object], what: str = "") -> None:
    """Wait for it; AssertionError where it does not come."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, f"it did not happen: {what}"
        time.sleep(0.02)


def outbox(folder: Path) -> list[sqlite3.Row]:
    """All deliveries, in their order."""
    path = folder / ".vdw" / "alerts.db"
    if not path.exists():
        return []
    with contextlib.closing(sqlite3.connect(path, timeout=10)) as database:
        database.row_factory = sqlite3.Row
        try:
            return database.execute("SELECT * FROM delivery ORDER BY seq").fetchall()
        except sqlite3.OperationalError:
            return []


def states(folder: Path) -> list[str]:
    """Of all deliveries, in their order."""
    return [row["state"] for row in outbox(folder)]


def settled(folder: Path, count: int) -> bool:
    """Whether there are so many, and none waits."""
    found = states(folder)
    return len(found) == count and not {"pending", "sending"} & set(found)
