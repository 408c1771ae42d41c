"""What each source was asked, for whom, how often and at what cost, minute by minute; receipts are made of it.

Counted in memory on the event loop, written by a thread every few seconds: who kills the process loses those at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from connectors.tally import SESSION, Counted
from federation.operations import state
from federation.operations.ledger_store import Page, Peak, Record, Shape, Spent, Store
from federation.operations.masked import masked

EVERY = 2.0  # seconds between two writings
PRUNED = 600.0  # seconds between two looks for what is too old
MOST_SHAPES = 10_000  # of a page; what comes beyond is counted under the fingerprint OTHER
MOST_TEXTS = 20_000  # fingerprints whose text and cost are remembered
MOST_PAGE = 100_000  # lines that are held while the file cannot be written
OTHER = "(other)"
SAVED = {"hit": "hits", "shared": "shared", "stale": "stale", "contained": "contained"}

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Second:
    """Statements that began within the last second that had any."""

    at: int = 0
    count: int = 0


class Ledger:
    """One process's entries. Everything but the writing runs on the event loop's thread. `folder`: where ledger.db
    stands; None, or one that cannot be written, keeps it in memory. `peaks` is asked at each flush for what sources'
    gates have counted since: (source, most in flight, most waiting); `told` for their own reports; `chores` for what
    connectors have asked by themselves: (source, what for, how much)."""

    def __init__(
        self,
        folder: Path | None,
        *,
        clock: Callable[[], float] = time.time,
        peaks: Callable[[], Iterable[tuple[str, int, int]]] = tuple,
        told: Callable[[], Iterable[tuple[str, str, Any]]] = tuple,
        chores: Callable[[], Iterable[tuple[str, str, Counted]]] = tuple,
    ) -> None:
        self._folder, self._clock, self._peaks, self._told, self._chores = folder, clock, peaks, told, chores
        self._page = Page()
        self._unwritten = Page()
        self._minute, self._ends = 0, 0.0
        self._seconds: dict[str, _Second] = {}
        self._costs: dict[str, float] = {}  # ms of one statement, by fingerprint
        self._known: set[str] = set()  # fingerprints whose text is written
        self._store: Store | None = None
        self._pruned = 0.0
        self._warned = False
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="vdw-ledger")
        self._flushing = asyncio.Lock()

    # -- entries, on the hot path

    def statement(
        self, shape: Shape, text: str, rows: int, size: int, ms: float, waited: float, failed: bool, started: float
    ) -> None:
        """One statement that was sent to a source (shape[0]); `size` in bytes, `started` in seconds since the epoch.
        `text` is its SQL, whose literals nobody will see."""
        spent = self._line(shape, text)
        spent.statements += 1
        spent.rows += rows
        spent.bytes += size
        spent.ms += ms
        spent.waited += waited
        if failed:
            spent.errors += 1
        else:
            known = self._costs.get(shape[4])
            if known is not None:
                self._costs[shape[4]] = known + (ms - known) / 8
            elif len(self._costs) < MOST_TEXTS:
                self._costs[shape[4]] = ms
        self._began(shape[0], int(started))

    def saved(self, shape: Shape, text: str, how: str, cost: float | None = None) -> None:
        """One that was not sent, since its answer was at hand (`how`: hit | shared | stale | contained); `cost`: the ms
        that it would have taken, or what such statements took lately."""
        spent = self._line(shape, text)
        name = SAVED[how]
        setattr(spent, name, getattr(spent, name) + 1)
        spent.saved_ms += self._costs.get(shape[4], 0.0) if cost is None else cost

    def refused(self, shape: Shape, text: str, why: str) -> None:
        """One that was not let through."""
        self._line(shape, text)
        key = (self._minute, self._kept(shape), why)
        self._page.refused[key] = self._page.refused.get(key, 0) + 1

    def _chore(self, source: str, what: str, counted: Counted) -> None:
        shape = (source, "", "", "", f"({what})", SESSION if what == SESSION else "chore")
        spent = self._line(shape, f"({what})")
        spent.statements += counted.statements
        spent.rows += counted.rows
        spent.ms += counted.ms

    def _line(self, shape: Shape, text: str) -> Spent:
        now = self._clock()
        if now >= self._ends:
            self._minute = int(now) // 60 * 60
            self._ends = self._minute + 60.0
        spent = self._page.spent.get((self._minute, shape))
        return self._opened(shape, text) if spent is None else spent

    def _opened(self, shape: Shape, text: str) -> Spent:
        kept = self._kept(shape)
        fingerprint = kept[4]
        if fingerprint not in self._known and fingerprint != OTHER:
            self._page.texts[fingerprint] = text
        return self._page.spent.setdefault((self._minute, kept), Spent())

    def _kept(self, shape: Shape) -> Shape:
        """The shape, or where there are too many, the one under which it counts."""
        if (self._minute, shape) in self._page.spent or len(self._page.spent) < MOST_SHAPES:
            return shape
        return (shape[0], "", "", shape[3], OTHER, shape[5])

    def _began(self, source: str, second: int) -> None:
        last = self._seconds.get(source)
        if last is None:
            last = self._seconds[source] = _Second()
        if last.at != second:
            last.at, last.count = second, 0
        last.count += 1
        peak = self._page.peaks.get((self._minute, source))
        if peak is None:
            peak = self._page.peaks[self._minute, source] = Peak()
        if last.count > peak.rate:
            peak.rate = last.count

    # -- writing

    async def run(self) -> None:
        """Write every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(EVERY)
            await self.flush()

    async def flush(self) -> None:
        """Write what happened until now; what cannot be written is kept for the next time."""
        async with self._flushing:
            page = self._taken()
            # whoever waits may be cancelled; the page must be written all the same
            await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._writer, self._write, page))

    async def read(self, since: float, until: float) -> Record:
        """All minutes that began between both, this moment included."""
        await self.flush()
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._read, since, until)

    async def close(self) -> None:
        """Write what is left."""
        await self.flush()
        with contextlib.suppress(sqlite3.Error):
            if self._store is not None:
                await asyncio.get_running_loop().run_in_executor(self._writer, self._store.close)
        self._writer.shutdown()

    def _taken(self) -> Page:
        """The page, and a fresh one in its place; within one turn of the loop, so that no entry falls between."""
        for source, what, counted in self._chores():
            self._chore(source, what, counted)
        minute = int(self._clock()) // 60 * 60
        for source, in_flight, waiting in self._peaks():
            if in_flight or waiting:
                self._page.peaks.setdefault((minute, source), Peak()).raise_to(in_flight, waiting, 0)
        for source, what, facts in self._told():
            self._page.told[source, what] = facts
        page, self._page = self._page, Page()
        if len(self._known) > MOST_TEXTS:
            self._known.clear()
            self._costs.clear()
        self._known.update(page.texts)
        return page

    # -- in the writer's thread

    def _write(self, page: Page) -> None:
        page.texts = {fingerprint: masked(text) for fingerprint, text in page.texts.items()}
        self._unwritten.add(page)
        if not self._unwritten:
            return
        try:
            store = self._opened_store()
            store.add(self._unwritten)
            self._unwritten, self._warned = Page(), False
            if self._clock() - self._pruned > PRUNED:
                self._pruned = self._clock()
                store.prune(self._pruned)
        except sqlite3.Error as error:
            self._failed(error)

    def _read(self, since: float, until: float) -> Record:
        return self._opened_store().read(since, until)

    def _opened_store(self) -> Store:
        if self._store is None:
            server = f"{socket.gethostname()}:{os.getpid()}"
            try:
                self._store = Store(None if self._folder is None else state.folder(self._folder), server)
            except (OSError, sqlite3.Error) as error:
                told = "the ledger cannot be kept in %s (%s): receipts tell of this process alone, until it ends"
                log.warning(told, self._folder, error)
                self._store = Store(None, server)
        return self._store

    def _failed(self, error: sqlite3.Error) -> None:
        """Once, and the page is tried again; past a bound the oldest lines go."""
        if not self._warned:
            log.warning("the ledger cannot be written now, and will be tried again: %s", error)
        self._warned = True
        excess = len(self._unwritten.spent) - MOST_PAGE
        if excess > 0:
            for key in sorted(self._unwritten.spent)[:excess]:
                del self._unwritten.spent[key]
