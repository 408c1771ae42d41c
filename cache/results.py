"""Answers kept within bounds of age and bytes; identical runs at once are one; old ones serve where that is allowed."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from cache.entries import Entries, Entry
from cache.flights import Flight, Flights, Work, nothing
from cache.keep import Counters, Found, How, Keep, Kept
from connectors.errors import Error, LimitExceeded, QueryError, SourceError

__all__ = ["Counters", "Found", "How", "Keep", "Kept", "ResultCache", "Work"]

T = TypeVar("T")
Spare = Callable[[Work], bool]
PAUSE = 1.0  # seconds, at least, between two attempts to renew a value
ERRORS = 1024  # statements whose own error is remembered
ERROR_KEPT = 1.0  # seconds, at most
AT_ONCE = 2  # runs of one `refresh`
# Of errors of the statement itself: not down (08), cancelled or stopped (57), limits (53, 54), conflicts (40, 55).
_PASSING = ("08", "40", "53", "54", "55", "57", "58", "XX")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Failed:
    error: Error
    asked: float  # nothing was read before
    failed: float
    tags: frozenset[str]
    order: int


@dataclass(slots=True)
class ResultCache:
    """At most `max_bytes` of values, none larger than `max_entry` (default: an eighth of it).

    `clock` gives seconds. `jitter` is the share by which a ttl may be cut, by each key differently, so that what came
    together does not end together. To be used from one event loop.
    """

    max_bytes: int
    max_entry: int = 0
    clock: Callable[[], float] = time.monotonic
    jitter: float = 0.1
    counters: Counters = field(default_factory=Counters)
    _entries: Entries = field(init=False, repr=False)
    _flights: Flights = field(init=False, repr=False)
    _failed: dict[Hashable, _Failed] = field(default_factory=dict, repr=False)
    _invalidations: int = 0
    _invalid: dict[str, int] = field(default_factory=dict, repr=False)  # by tag, the number of its last one

    def __post_init__(self) -> None:
        self.max_entry = min(self.max_entry or self.max_bytes // 8, self.max_bytes)
        self._entries = Entries(self.max_bytes, self.clock, self.counters)
        self._flights = Flights(self._fly)

    @property
    def bytes(self) -> int:
        """Bytes of the values kept now."""
        return self._entries.bytes

    @property
    def entries(self) -> int:
        """How many values are kept now."""
        return len(self._entries)

    @property
    def invalidations(self) -> int:
        """How many times something was invalidated."""
        return self._invalidations

    def peek(self, key: Hashable, keep: Keep) -> Found[Any] | None:
        """The stored value if it is fresh by these terms; never runs anything."""
        entry = self._entry(key, keep)
        return None if entry is None else self._fresh(key, entry, keep, self.clock())

    async def get_or_run(
        self,
        key: Hashable,
        keep: Keep,
        run: Callable[[], Awaitable[T]],
        size: Callable[[T], int],
        *,
        born: Callable[[T], float] | None = None,
        dispose: Callable[[T], None] | None = None,
        cost: Callable[[T], float] | None = None,
        forgives: Callable[[BaseException], bool] = nothing,
        until: Callable[[T], float] | None = None,
        floor: Callable[[], float] | None = None,
        patience: float = math.inf,
        renewable: bool = True,
    ) -> Found[T]:
        """The stored value, or that of a run under way, or of a run that this call starts.

        A value is fresh for `keep.ttl` seconds from `born(value)` (default: when its run began), and kept if
        `size(value)` bytes are allowed. A run's error goes to everybody who waits for it, unless it `forgives` that and
        an old value is within bounds; the same where a run takes longer than `patience` (seconds). An error of the
        statement itself is told again for a second at most, within the ttl; no other is kept.

        What was read before this call by more than `keep.max_age` is never given: a run under way is joined only if
        its `floor()` (default: when it began) is later. A caller that is cancelled leaves the run to the others; the
        last one to leave cancels it. `dispose` is called with a value that was delivered, after its last waiter has
        left (in the next turn of the loop), so that what nobody took is freed. `renewable`: `refresh` may run it again.
        """
        now = self.clock()
        entry = self._entry(key, keep)
        if entry is not None:
            found = self._fresh(key, entry, keep, now)
            if found is not None:
                return found
        work = Work(keep, run, size, born, dispose, cost, forgives, until, floor, renewable)
        if entry is not None:
            found = self._old(key, entry, work, now)
            if found is not None:
                return found
        self._raise_again(key, keep, now)
        return await self._run(key, work, now, patience)

    def invalidate(self, tag: str, spare: Spare | None = None) -> int:
        """Forget what is kept of this tag, but for what to `spare` by how it was made; says how many values. What is
        being read now reaches those who wait for it, and is neither kept nor shared with anybody who asks from now on.
        """
        self._invalidations += 1
        self._invalid[tag] = self._invalidations
        entries = self._outdated(tag, spare)
        for key in entries:
            self._entries.drop(key)
        self._flights.outdate(tag, spare)
        for key in [key for key, each in self._failed.items() if tag in each.tags]:
            del self._failed[key]
        self.counters.invalidated += len(entries)
        return len(entries)

    def refresh(self, tag: str, spare: Spare | None = None) -> int:
        """As `invalidate`, and what was kept is read again at once, a few at a time, what took longest first; says how
        many values are read."""
        todo = [(entry.cost, key, entry.renew) for key, entry in self._outdated(tag, spare).items() if entry.renew]
        todo.sort(key=lambda each: each[0])
        self.invalidate(tag, spare)
        left = [(key, work) for _, key, work in todo]
        for _ in range(min(AT_ONCE, len(todo))):
            self._flights.add(asyncio.get_running_loop().create_task(self._renew(left)))
        return len(todo)

    def _outdated(self, tag: str, spare: Spare | None) -> dict[Hashable, Entry]:
        kept = ((key, self._entries.get(key)) for key in self._entries.tagged(tag))
        return {
            key: entry
            for key, entry in kept
            if entry is not None and (spare is None or entry.renew is None or not spare(entry.renew))
        }

    def kept(self) -> Iterator[Kept]:
        """All values that are kept now."""
        now = self.clock()
        for entry in self._entries.all():
            if now < entry.expires:
                age, work = now - entry.born, entry.renew
                stale = now >= entry.until or (work is not None and age >= work.keep.ttl * entry.part)
                yield Kept(entry.tags, entry.size, entry.uses - 1, age, stale, entry.cost)

    def clear(self) -> None:
        """Forget what is kept; what is being read now is not kept either."""
        self._entries.clear()
        self._failed.clear()
        self._flights.outdate(None)

    async def close(self) -> None:
        """Cancel every run and wait until each has ended."""
        await self._flights.close()
        self.clear()

    def _fresh(self, key: Hashable, entry: Entry, keep: Keep, now: float) -> Found[Any] | None:
        age = now - entry.born
        if age >= keep.ttl * entry.part or now >= entry.until or age > keep.max_age:
            return None
        self._use(key, entry, keep)
        self.counters.hits += 1
        return Found(entry.value, "hit", age)

    def _old(self, key: Hashable, entry: Entry, work: Work, now: float) -> Found[Any] | None:
        """A value past its ttl, where it may serve without anybody's waiting: one run behind the scenes renews it."""
        keep, age = work.keep, now - entry.born
        if age > keep.max_age:
            return None
        failing = entry.error is not None and entry.forgiven and age < keep.ttl + keep.on_error
        if age >= keep.ttl + keep.revalidate and not failing:
            return None
        if now >= entry.again and self._joinable(key, work.keep, -math.inf) is None:
            self._launch(key, work, behind=True)
        return self._stale(key, entry, keep, age)

    def _instead(self, key: Hashable, work: Work, error: Error) -> Found[Any] | None:
        """An old value in the place of an error."""
        entry = self._entry(key, work.keep) if work.keep.on_error > 0 and work.forgives(error) else None
        if entry is None or self._flights.closing:
            return None
        age, keep = self.clock() - entry.born, work.keep
        if age > keep.max_age or age >= keep.ttl + keep.on_error:
            return None
        self._failing(entry, work, error)
        return self._stale(key, entry, keep, age)

    def _stale(self, key: Hashable, entry: Entry, keep: Keep, age: float) -> Found[Any]:
        self._use(key, entry, keep)
        if entry.error is None:
            self.counters.stale_revalidate += 1
        else:
            self.counters.stale_error += 1
        return Found(entry.value, "stale", age, entry.error)

    def _use(self, key: Hashable, entry: Entry, keep: Keep) -> None:
        self._entries.use(entry)
        if not keep.tags <= entry.tags:
            self._entries.tag(key, entry, keep.tags)
        entry.expires = max(entry.expires, entry.born + keep.reach)
        self.counters.saved_ms += entry.cost

    def _raise_again(self, key: Hashable, keep: Keep, now: float) -> None:
        """The statement's own error, where it was told a moment ago."""
        failed = self._failed.get(key)
        if failed is None:
            return
        if now >= failed.failed + ERROR_KEPT or self._invalidated(keep.tags - failed.tags, failed.order):
            del self._failed[key]
        elif now < failed.failed + keep.ttl and now - failed.asked <= keep.max_age:
            self.counters.negative += 1
            raise failed.error.with_traceback(None)

    def _joinable(self, key: Hashable, keep: Keep, oldest: float) -> Flight | None:
        flight = self._flights.get(key)
        if flight is None or self._invalidated(keep.tags - flight.tags, flight.order):
            return None
        return flight if flight.open_to(oldest) else None

    def _entry(self, key: Hashable, keep: Keep) -> Entry | None:
        """What is kept of that key, unless it is from before an invalidation of something that only now it is of."""
        entry = self._entries.get(key)
        if entry is None or keep.tags <= entry.tags:
            return entry
        if self._invalidated(keep.tags - entry.tags, entry.order):
            self._entries.drop(key)
            self.counters.invalidated += 1
            return None
        return entry

    def _invalidated(self, tags: frozenset[str], order: int) -> bool:
        """Whether one of these was invalidated after the invalidation of that number."""
        return any(self._invalid.get(tag, 0) > order for tag in tags)

    async def _run(self, key: Hashable, work: Work, now: float, patience: float) -> Found[Any]:
        flight = self._joinable(key, work.keep, now - work.keep.max_age)
        if flight is None:
            how: How = "miss"
            self.counters.misses += 1
            flight = self._launch(key, work)
        else:
            how = "shared"
            self.counters.shared += 1
            self._flights.tag(flight, work.keep.tags)
        try:
            value = await self._wait(key, flight, work, patience)
        except Error as error:
            found = self._instead(key, work, error)
            if found is None:
                raise
            return found
        born = flight.born(value)
        if how == "shared":
            if born < now - work.keep.max_age:  # it was made of what had been kept
                return await self._run(key, work, self.clock(), patience)
            self.counters.saved_ms += flight.cost(value)
        return Found(value, how, self.clock() - born)

    async def _wait(self, key: Hashable, flight: Flight, work: Work, patience: float) -> Any:
        """The flight's value; where an old one could serve instead, only for so long."""
        if work.keep.on_error <= 0 or self._entries.get(key) is None:
            return await self._flights.wait(flight)
        try:
            return await self._flights.wait(flight, patience)
        except TimeoutError:
            raise LimitExceeded(f"there was no answer within {patience:.3g} s", sqlstate="57014") from None

    def _launch(self, key: Hashable, work: Work, behind: bool = False) -> Flight:
        flight = Flight(key, work, self.clock(), work.keep.tags, behind, self._invalidations)
        self._flights.launch(flight)
        return flight

    async def _fly(self, flight: Flight) -> Any:
        try:
            value = await flight.work.run()
        except Exception as error:
            self._fell(flight, error)
            raise
        self._arrived(flight, value)
        return value

    def _arrived(self, flight: Flight, value: Any) -> None:
        """Keep it, if it may be kept and nothing younger is; for as long as any reader so far could use it."""
        self.counters.refreshed += flight.behind
        work, key, born, old = flight.work, flight.key, flight.born(value), self._entries.get(flight.key)
        reach = max(work.keep.reach, 0.0 if old is None else old.expires - old.born)
        if flight.outdated or not self.clock() < born + reach or (old is not None and old.born > born):
            return
        size, until = work.size(value), math.inf if work.until is None else work.until(value)
        if size > self.max_entry:
            self.counters.refused += 1
            self._entries.drop(key)  # what there was is out of date
            return
        if self.clock() >= until and reach <= work.keep.ttl:
            return
        again = work if work.renewable else None
        entry = Entry(value, born, born + reach, until, size, flight.cost(value), flight.tags, again)
        entry.order, entry.part = flight.order, self._part(key)
        self._entries.put(key, entry)
        self.counters.stored += 1

    def _part(self, key: Hashable) -> float:
        """The share of its ttl that a value of this key lives."""
        return 1.0 - self.jitter * (hash(key) & 0xFFFF) / 0x10000

    def _fell(self, flight: Flight, error: Exception) -> None:
        self.counters.refresh_failed += flight.behind
        if flight.behind:
            state = error.sqlstate if isinstance(error, Error) else type(error).__name__
            log.warning("a value kept could not be renewed: %s", state)  # the message may hold data
        if flight.outdated:
            return
        entry, work = self._entries.get(flight.key), flight.work
        if entry is not None:
            self._failing(entry, work, error)
        if work.keep.ttl > 0 and isinstance(error, Error) and _own(error) and not work.forgives(error):
            while len(self._failed) >= ERRORS:
                del self._failed[next(iter(self._failed))]
            asked = flight.began if work.floor is None else work.floor()
            self._failed[flight.key] = _Failed(error, asked, self.clock(), flight.tags, flight.order)

    def _failing(self, entry: Entry, work: Work, error: Exception) -> None:
        entry.error = error if isinstance(error, Error) else Error(type(error).__name__)
        entry.forgiven = work.forgives(error)
        entry.again = self.clock() + max(PAUSE, work.keep.ttl / 10)

    async def _renew(self, todo: list[tuple[Hashable, Work]]) -> None:
        """Run what is neither kept nor under way already; the last first."""
        while todo:
            key, work = todo.pop()
            if self._entries.get(key) is None and self._joinable(key, work.keep, -math.inf) is None:
                flight = self._launch(key, work, behind=True)
                assert flight.task is not None  # noqa: S101  (for the type checker)
                await asyncio.wait([flight.task])


def _own(error: Error) -> bool:
    """Whether the statement is at fault, and would be again."""
    return isinstance(error, QueryError | SourceError) and not error.sqlstate.startswith(_PASSING)
