"""Takes the alerts of one notifier to their addresses: no channel waits for another."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
from collections import Counter
from functools import partial

from aiolimiter import AsyncLimiter

from api.watches.channels.base import Channel
from api.watches.desk import Desk
from api.watches.outbox import Delivery, Outbox, Outcome
from views.notifier_file import Notifier

LOOK = 1.0  # seconds between two looks at the outbox, into which commands of other processes write
TURN = 16  # alerts to one address before others have theirs
GRACE = 3.0  # seconds that attempts may take to end when the server stops

log = logging.getLogger("vdw.watches")


class Courier:
    """Of one notifier. `wake` it when there is something new; `counts` are of attempts by how they ended."""

    def __init__(self, name: str, notifier: Notifier, channel: Channel, outbox: Outbox, desk: Desk) -> None:
        self.name, self.notifier, self.channel = name, notifier, channel
        self.counts: Counter[str] = Counter()
        self.wake = asyncio.Event()
        self._outbox, self._desk = outbox, desk
        self._active: dict[str, asyncio.Task[None]] = {}  # by address
        self._limiter = AsyncLimiter(1, 1 / notifier.rate) if notifier.rate is not None else None
        self._ending = False
        self._paused = 0.0  # until then, as the receiver asked

    async def run(self) -> None:
        """Until cancelled; what is under way then gets a moment to end."""
        try:
            while True:
                self.wake.clear()
                pause = LOOK
                try:
                    pause = await self._round()
                except sqlite3.Error as error:
                    log.error("alerts of notifier %s wait: the outbox cannot be read: %s", self.name, error)
                except Exception:
                    log.exception("alerts of notifier %s wait: an error of our own", self.name)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self.wake.wait()
        finally:
            await self._end()

    async def _round(self) -> float:
        """Begin what may be begun; seconds until the next look."""
        now = time.time()
        if now < self._paused:
            return min(LOOK, self._paused - now)
        free = self.notifier.concurrency - len(self._active)
        if free <= 0:
            return LOOK
        for delivery in await self._desk.call(self._outbox.ready, self.name, now, free, tuple(self._active)):
            self._active[delivery.address] = asyncio.create_task(self._lane(delivery))
        due = await self._desk.call(self._outbox.next_due, self.name, now)
        return LOOK if due is None else min(LOOK, due - now)

    async def _lane(self, first: Delivery) -> None:
        """An alert, and those to the same address behind it, for a while: then it is other addresses' turn."""
        following: Delivery | None = first
        try:
            for _ in range(TURN):
                if following is None or self._ending or time.time() < self._paused:
                    break
                if self._limiter is not None:
                    await self._limiter.acquire()
                outcome = await self._attempt(following)
                if outcome.state != "gone":
                    await self._settled(following, outcome)
                following = await self._desk.call(self._outbox.following, self.name, first.address, time.time())
        except sqlite3.Error as error:
            log.error("alerts of notifier %s wait: the outbox cannot be read: %s", self.name, error)
            await asyncio.sleep(LOOK)
        finally:
            del self._active[first.address]
            self.wake.set()

    async def _attempt(self, delivery: Delivery) -> Outcome:
        try:
            return await self.channel.send(delivery, partial(self._desk.call, self._outbox.begin, delivery.id))
        except sqlite3.Error as error:  # it was not begun: nothing was sent
            log.error("alert %s waits: the outbox cannot be written: %s", delivery.id, error)
            await asyncio.sleep(LOOK)
            return Outcome("gone")
        except Exception as error:
            log.exception("alert %s: an error of our own", delivery.id)
            return Outcome("retry", f"internal error: {type(error).__name__}", sure=False)

    async def _settled(self, delivery: Delivery, outcome: Outcome) -> None:
        """Enter how it ended, as soon as that can be written: until then nothing goes to that address."""
        self.counts[outcome.state] += 1
        if outcome.all:
            self._paused = time.time() + outcome.after
        hold = self.notifier.kind == "smtp" and self.notifier.unsure == "hold"
        while True:
            try:
                settle, now = self._outbox.settle, time.time()
                state = await self._desk.call(settle, delivery.id, outcome, now, self.notifier.retry, hold)
                break
            except sqlite3.Error as error:
                log.error("alert %s: how it ended cannot be written yet: %s", delivery.id, error)
                await asyncio.sleep(LOOK)
        if state in ("failed", "held"):
            log.error("alert %s of watch %s by %s is put aside: vdw alerts tells why", *_named(delivery), self.name)
        elif state == "pending":
            log.warning("alert %s of watch %s by %s is tried again later", *_named(delivery), self.name)

    async def _end(self) -> None:
        self._ending = True
        tasks = list(self._active.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=GRACE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self.channel.close()


def _named(delivery: Delivery) -> tuple[str, str]:
    return delivery.id, delivery.watch
