"""A project whose watches run in this process, and what is waited for."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from api.watches.courier import Courier
from api.watches.desk import Desk
from api.watches.machine import Row
from api.watches.outbox import Outbox
from api.watches.service import alerting, channel
from api.watches.store import Store
from federation.operations import state
from federation.session import Session
from tests.serving import Serving
from views.load import load

T = TypeVar("T")

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

        async def asked() -> list[dict[str, Any]]:
            result = await self.serving.runtime.engine.query(text, Session(user))
            found: list[dict[str, Any]] = (await result.table()).to_pylist()
            return found

        return self.serving.wait(asked())


class Delivering:
    """The couriers of a folder's notifiers, without an engine: what a watch has seen is given to them."""

    def __init__(self, folder: Path) -> None:
        self.project = load(folder)
        assert self.project.diagnostics == (), [str(one) for one in self.project.diagnostics]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.wait(self._start(folder))

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        """What the coroutine gives."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    async def _start(self, folder: Path) -> None:
        self._desk = Desk()
        self.store = await self._desk.call(Store, state.folder(folder / ".vdw"))
        self._desk.connection = self.store.connection
        notifiers = self.project.file.notifiers
        hold = [name for name, one in notifiers.items() if one.unsure == "hold"]
        await self._desk.call(Outbox(self.store.connection).recover, time.time(), hold)
        self.couriers = {
            name: Courier(name, one, channel(one, folder), Outbox(self.store.connection), self._desk)
            for name, one in notifiers.items()
        }
        self._tasks = [asyncio.create_task(courier.run()) for courier in self.couriers.values()]

    def see(self, *given: Row, at: float | None = None) -> None:
        """A whole answer of the watch `late`."""

        async def seen() -> None:
            watch = self.project.watches["late"]
            rows = [replace(one, chosen=(True,) * len(watch.to)) for one in given]
            await self._desk.call(self.store.take, "late", watch, rows, time.time() if at is None else at)
            for courier in self.couriers.values():
                courier.wake.set()

        self.wait(seen())

    def close(self) -> None:
        """As a server's end does."""

        async def end() -> None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._desk.connection = None
            await self._desk.call(self.store.close)
            self._desk.close()

        self.wait(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextlib.contextmanager
def delivering(folder: Path) -> Iterator[Delivering]:
    """For the time of the block."""
    made = Delivering(folder)
    try:
        yield made
    finally:
        made.close()


def row(ticket: int, hours: int = 1, **values: str) -> Row:
    """What the query gives of a late ticket."""
    own = {"customer": f"Customer {ticket}", "phone": f"+4670000{ticket:04}", "mail": f"c{ticket}@example.com"}
    texts: dict[str, str | None] = {"ticket_id": str(ticket), **own, "hours_late": str(hours), **values}
    return Row(json.dumps({"ticket_id": str(ticket)}), texts, json.dumps(texts), ())


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
