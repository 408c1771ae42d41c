"""The alerts of a server: watches that ask, couriers that deliver, for as long as it holds the state folder's lock."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from api.watches.channels.base import Channel
from api.watches.channels.http import HttpChannel
from api.watches.channels.mail import MailChannel
from api.watches.courier import Courier
from api.watches.desk import Desk
from api.watches.lock import Lock
from api.watches.meters import Figures, figures
from api.watches.outbox import Outbox
from api.watches.store import Store
from api.watches.tables import NAME
from api.watches.watcher import Watcher
from connectors.errors import ConfigError
from federation.operations import state
from views.notifier_file import Notifier
from views.watch_file import WatchFile
from views.watches import file_of

LOOK = 1.0  # seconds between two looks at the lock, the project and its secrets
LIVE = 5.0  # seconds between two looks whether secrets of notifiers have changed
AT_ONCE = 4  # watches that ask at once
PRUNE, KEPT = 3_600.0, 30 * 86_400.0  # seconds between two clearings, and for which what is over is kept

log = logging.getLogger("vdw.watches")


def channel(notifier: Notifier, folder: Path) -> Channel:
    """What speaks for a notifier; ConfigError where a secret or file of it is not to be had."""
    return MailChannel(notifier, folder) if notifier.kind == "smtp" else HttpChannel(notifier, folder)


class Alerts:
    """Of one runtime. `leads`: whether this server is the one that asks and sends; `watchers` and `couriers` are then
    those of the project as it is; `faults` says why a notifier has none; `figures` are a second old at most."""

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self.folder: Path = runtime.project.folder / runtime.project.file.state
        self.watchers: dict[str, Watcher] = {}
        self.couriers: dict[str, Courier] = {}
        self.faults: dict[str, str] = {}
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._desk, self._turns = Desk(), asyncio.Semaphore(AT_ONCE)
        self._lock: Lock | None = None
        self._store: Store | None = None
        self._project: Any = None
        self._pruned = self._looked = 0.0
        self.figures = Figures()

    @property
    def leads(self) -> bool:
        """See the class."""
        return self._store is not None

    async def run(self) -> None:
        """Until cancelled."""
        trouble = ""
        try:
            while True:
                try:
                    await self._look()
                    trouble = ""
                except (OSError, sqlite3.Error) as error:
                    if str(error) != trouble:
                        log.error("alerts are not served, and tried again: %s", error)
                    trouble = str(error)
                await asyncio.sleep(LOOK)
        finally:
            await self._close()

    async def _look(self) -> None:
        if not self.leads and not (self._wanted() and await self._lead()):
            return
        await self._fit()
        if self._store is not None:
            self.figures = await self._desk.call(figures, self._store)
        if time.time() - self._pruned > PRUNE and self._store is not None:
            self._pruned = time.time()
            await self._desk.call(self._store.prune, time.time() - KEPT, self._runtime.project.watches)

    def _wanted(self) -> bool:
        """Whether there is anything to do: a project without watches leaves no file behind."""
        return bool(self._runtime.project.watches) or (self.folder / NAME).exists()

    async def _lead(self) -> bool:
        """Become the one that asks and sends, if no other server is."""
        self._lock = self._lock or Lock(await asyncio.to_thread(state.folder, self.folder))
        if not self._lock.take():
            return False
        store = await self._desk.call(Store, self.folder)
        notifiers = self._runtime.project.file.notifiers.items()
        hold = [name for name, one in notifiers if one.kind == "smtp" and one.unsure == "hold"]
        again = await self._desk.call(Outbox(store.connection).recover, time.time(), hold)
        if again:
            log.warning(
                "%d alerts were being sent when the last server ended: they are sent again under their ids", again
            )
        self._store, self._desk.connection = store, store.connection
        return True

    async def _fit(self) -> None:
        """Watchers and couriers as the project has them now."""
        project = self._runtime.project
        rotated = await self._rotated()
        if project is self._project and not self.faults and not rotated:
            return
        await self._keep("watch", self.watchers, project.watches)
        await self._keep("notifier", self.couriers, project.file.notifiers)
        self._project = project

    async def _keep(self, kind: str, running: dict[str, Any], wanted: Mapping[str, Any]) -> None:
        for name in [name for name, one in running.items() if getattr(one, kind) != wanted.get(name)]:
            del running[name]
            await _ended(self._tasks.pop((kind, name)))
        self.faults = {name: why for name, why in self.faults.items() if kind == "watch" or name in wanted}
        for name in [name for name in wanted if name not in running]:
            made = self._watcher(name, wanted[name]) if kind == "watch" else await self._courier(name, wanted[name])
            if made is not None:
                running[name] = made
                self._begin(kind, name, made.run())

    def _begin(self, kind: str, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"vdw-{kind}-{name}")
        task.add_done_callback(partial(_told, kind, name))
        self._tasks[kind, name] = task

    def _watcher(self, name: str, watch: WatchFile) -> Watcher:
        assert self._store is not None  # noqa: S101 -- only who leads has any
        fault = partial(self._fault, name)
        return Watcher(name, watch, self._runtime, self._store, self._desk, self._turns, self._wake, fault)

    async def _rotated(self) -> bool:
        """End the couriers whose secrets are others now: they begin anew with those."""
        if time.monotonic() < self._looked + LIVE:
            return False
        channels = {name: one.channel for name, one in self.couriers.items()}
        found = await asyncio.to_thread(lambda: [name for name, one in channels.items() if one.rotated()])
        self._looked = time.monotonic()
        for name in found:
            del self.couriers[name]
            await _ended(self._tasks.pop(("notifier", name)))
            log.info("notifier %s has a new secret", name)
        return bool(found)

    async def _courier(self, name: str, notifier: Notifier) -> Courier | None:
        assert self._store is not None  # noqa: S101
        try:
            made = await asyncio.to_thread(channel, notifier, self._runtime.project.folder)  # a program may tell
        except ConfigError as error:
            if self.faults.get(name) != error.message:
                log.error("alerts of notifier %s wait: %s", name, error.message)
            self.faults[name] = error.message
            return None
        self.faults.pop(name, None)
        return Courier(name, notifier, made, Outbox(self._store.connection), self._desk)

    def _fault(self, name: str) -> str:
        """What is wrong with the file of a watch, as the last load found it."""
        found = (one for one in self._runtime.diagnostics if one.severity == "error" and one.file == file_of(name))
        return next((str(one) for one in found), "")

    def _wake(self, notifiers: set[str]) -> None:
        for name in notifiers & self.couriers.keys():
            self.couriers[name].wake.set()

    async def _close(self) -> None:
        """Let what is being sent end, and give up the lock."""
        tasks = [self._tasks.pop(key) for key in list(self._tasks)]
        await asyncio.gather(*map(_ended, tasks))
        self._desk.connection = None
        if self._store is not None:
            store, self._store = self._store, None
            await self._desk.call(store.close)
        await asyncio.to_thread(self._desk.close)
        if self._lock is not None:
            self._lock.release()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _told(kind: str, name: str, task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s %s has ended by an error of our own", kind, name, exc_info=task.exception())


@contextlib.asynccontextmanager
async def alerting(runtime: Any) -> AsyncIterator[Alerts]:
    """Watch and alert for the time of the block."""
    alerts = runtime.alerts = Alerts(runtime)
    task = asyncio.create_task(alerts.run(), name="vdw-alerts")
    try:
        yield alerts
    finally:
        runtime.alerts = None
        await _ended(task)
