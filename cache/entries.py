"""The values kept: bounded by bytes, found by key and by tag, and which of them goes first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cache.flights import Work
from cache.keep import Counters
from connectors.errors import Error


@dataclass(slots=True, eq=False)
class Entry:
    """A value, `born` when its data was read and useless from `expires` on (the cache's clock).

    It is not fresh past `until`, whatever a reader's ttl; `cost` is the ms that its source took. `error` is the last
    attempt's to renew it, `forgiven` whether that allows the old value; none is made before `again`.
    """

    value: Any
    born: float
    expires: float
    until: float
    size: int
    cost: float
    tags: frozenset[str]
    renew: Work | None = None  # how to read it again
    order: int = 0  # how many invalidations there had been when it was asked for
    part: float = 1.0  # of a reader's ttl: values that came together shall not end together
    error: Error | None = None
    forgiven: bool = False
    again: float = 0.0
    uses: int = 1
    rank: float = 0.0
    number: int = 0  # by which the heaps know it: they must not hold the values of entries that are gone


_Mark = tuple[float, int, Hashable]  # a rank or a time, an entry's number, its key


@dataclass(slots=True, eq=False)
class Entries:
    """At most `max_bytes`. What saved the least work a byte goes first, counted from when it was last used (GDSF).

    The measure is uses x cost / size, on top of the rank of what was evicted last: so what was once popular ages.
    """

    max_bytes: int
    clock: Callable[[], float]
    counters: Counters
    bytes: int = 0
    _kept: dict[Hashable, Entry] = field(default_factory=dict)
    _tagged: dict[str, set[Hashable]] = field(default_factory=dict)
    _ranks: list[_Mark] = field(default_factory=list)
    _ends: list[_Mark] = field(default_factory=list)
    _floor: float = 0.0
    _count: int = 0

    def __len__(self) -> int:
        return len(self._kept)

    def all(self) -> tuple[Entry, ...]:
        """Every entry, expired ones too."""
        return tuple(self._kept.values())

    def get(self, key: Hashable) -> Entry | None:
        """The entry of that key, unless it has expired."""
        entry = self._kept.get(key)
        if entry is not None and self.clock() >= entry.expires:
            self.drop(key)
            self.counters.expired += 1
            return None
        return entry

    def use(self, entry: Entry) -> None:
        """An entry served somebody."""
        entry.uses += 1
        entry.rank = self._rank(entry)

    def put(self, key: Hashable, entry: Entry) -> None:
        """Keep it, in the place of the key's old one, and let others go until all fit; it may be the one that goes."""
        old = self.drop(key)
        if old is not None:
            entry.uses += old.uses
        self._kept[key] = entry
        self.bytes += entry.size
        self.tag(key, entry, entry.tags)
        entry.rank = self._rank(entry)
        self._count += 1
        entry.number = self._count
        heapq.heappush(self._ranks, (entry.rank, entry.number, key))
        heapq.heappush(self._ends, (entry.expires, entry.number, key))
        self._expire()
        while self.bytes > self.max_bytes:
            self._evict()

    def tag(self, key: Hashable, entry: Entry, tags: Iterable[str]) -> None:
        """Let an entry be found by these too."""
        for tag in tags:
            self._tagged.setdefault(tag, set()).add(key)
        if not entry.tags.issuperset(tags):  # else the set stays that which many entries share
            entry.tags = entry.tags.union(tags)

    def tagged(self, tag: str) -> Collection[Hashable]:
        """The keys of the entries of a tag."""
        return tuple(self._tagged.get(tag, ()))

    def drop(self, key: Hashable) -> Entry | None:
        """Forget the key's entry, and return it."""
        entry = self._kept.pop(key, None)
        if entry is None:
            return None
        self.bytes -= entry.size
        for tag in entry.tags:
            keys = self._tagged[tag]
            keys.discard(key)
            if not keys:
                del self._tagged[tag]
        if len(self._ranks) + len(self._ends) > 4 * len(self._kept) + 128:
            self._sweep()
        return entry

    def clear(self) -> None:
        """Forget everything."""
        for key in tuple(self._kept):
            self.drop(key)

    def _rank(self, entry: Entry) -> float:
        return self._floor + entry.uses * entry.cost / max(entry.size, 1)

    def _expire(self) -> None:
        now = self.clock()
        while self._ends and self._ends[0][0] <= now:
            mark = heapq.heappop(self._ends)
            entry = self._marked(mark)
            if entry is None:
                continue
            if entry.expires > now:  # a reader with a longer reach came
                heapq.heappush(self._ends, (entry.expires, *mark[1:]))
                continue
            self.drop(mark[2])
            self.counters.expired += 1

    def _evict(self) -> None:
        """The entry of the least rank; ranks in the heap are those of when an entry was put there or passed over."""
        while True:
            mark = heapq.heappop(self._ranks)
            entry = self._marked(mark)
            if entry is None:
                continue
            if entry.rank > mark[0]:
                heapq.heappush(self._ranks, (entry.rank, *mark[1:]))
                continue
            self._floor = entry.rank
            self.drop(mark[2])
            self.counters.evicted += 1
            return

    def _marked(self, mark: _Mark) -> Entry | None:
        entry = self._kept.get(mark[2])
        return entry if entry is not None and entry.number == mark[1] else None

    def _sweep(self) -> None:
        """Forget what the heaps still hold of entries that are gone."""
        self._ranks = [mark for mark in self._ranks if self._marked(mark) is not None]
        self._ends = [mark for mark in self._ends if self._marked(mark) is not None]
        heapq.heapify(self._ranks)
        heapq.heapify(self._ends)
