"""Asks one watch again and again, and enters what its answers say."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from api.watches.asking import Seen, ask
from api.watches.desk import Desk
from api.watches.machine import Row
from api.watches.store import Store
from connectors.errors import Error
from views.watch_file import WatchFile

LONGEST_REASON = 500  # characters
THOROUGH = 5.0  # seconds after which the same answer is entered again

log = logging.getLogger("vdw.watches")


@dataclass(slots=True)
class Watcher:
    """Of one watch. `planned` is called with the notifiers for which there is something new; `turns` bounds how many
    watches ask at once; `counts` are of answers by what they were good for."""

    name: str
    watch: WatchFile
    runtime: Any
    store: Store
    desk: Desk
    turns: asyncio.Semaphore
    planned: Callable[[set[str]], None]
    fault: Callable[[], str]
    counts: Counter[str] = field(default_factory=Counter)
    state: str = ""
    entered: tuple[Sequence[Row], float] | None = None  # the answer that was entered last, and when

    async def run(self) -> None:
        """Until cancelled: never more often than `every`, restarts notwithstanding."""
        last = await self.desk.call(self.store.last, self.name)
        due = time.time() + min(max(0.0, last + self.watch.every - time.time()), self.watch.every)
        while True:
            await asyncio.sleep(max(0.0, due - time.time()))
            async with self.turns:
                due = time.time() + self.watch.every
                try:
                    await self.look()
                except sqlite3.Error as error:
                    log.error("watch %s: what it saw cannot be written: %s", self.name, error)
                except Exception:
                    log.exception("watch %s: an error of our own", self.name)

    async def look(self) -> None:
        """Ask once; not as a file said that a reload has replaced, as another watcher will soon stand here."""
        if self.runtime.project.watches.get(self.name) != self.watch:
            return
        began = time.perf_counter()
        state, reason, seen = await self._asked()
        if state == "ok" and not self._same(seen):
            room = {name: one.pending for name, one in self.runtime.project.file.notifiers.items()}
            take, now = self.store.take, time.time()
            changes = await self.desk.call(take, self.name, self.watch, seen.rows, now, room)
            self.planned({one.whom[0] for one in changes.planned})
            self.entered = (seen.rows, now)
        if seen.twice:
            reason = f"the key does not identify rows: {seen.twice} have that of another, and are left out"
        ms = (time.perf_counter() - began) * 1000
        await self.desk.call(self.store.asked, self.name, time.time(), state, reason, ms)
        self.counts[state] += 1
        if state != self.state and (state != "ok" or self.state):
            level = logging.INFO if state == "ok" else logging.WARNING
            log.log(level, "watch %s: %s %s", self.name, state, reason)
        self.state = state

    def _same(self, seen: Seen) -> bool:
        """Whether nothing can follow from the answer, as it is the last one again and nothing hangs on time. Silence
        that ends, and room that there is again, are seen a little later."""
        timed = self.watch.remind is not None or self.watch.clears_after or any(to.after for to in self.watch.to)
        if self.entered is None or timed or time.time() - self.entered[1] >= THOROUGH:
            return False
        return self.entered[0] == seen.rows

    async def _asked(self) -> tuple[str, str, Seen]:
        fault = self.fault()
        if fault:
            return "failed", fault, Seen()
        try:
            async with asyncio.timeout(self.watch.timeout + 5.0):
                seen = await ask(self.runtime, self.watch)
        except Error as error:
            return "failed", error.message[:LONGEST_REASON], Seen()
        except TimeoutError:
            return "failed", "no answer in time", Seen()
        except Exception as error:
            log.exception("watch %s: an error of our own", self.name)
            return "failed", f"internal error: {type(error).__name__}", Seen()
        return ("partial", seen.lacks[:LONGEST_REASON], seen) if seen.lacks else ("ok", "", seen)
