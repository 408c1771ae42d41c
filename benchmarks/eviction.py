"""Which values a cache of bounded bytes had best let go: the sources' work saved, by policy and trace."""

from __future__ import annotations

import itertools
import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from cachetools import LFUCache, LRUCache

from benchmarks import figures
from benchmarks.figures import show
from cache.entries import Entries, Entry
from cache.keep import Counters

REQUESTS = 60_000
LIVES = 8_000  # requests for which a value is fresh
SHARES = (0.01, 0.05, 0.20)  # of the bytes of all values
OURS = "gdsf"
WORSE = 0.01  # of all work; so much another policy may save more, on average


@dataclass(frozen=True, slots=True)
class Value:
    """What is asked for: its key, the bytes of its rows, the ms that its source takes."""

    key: int
    size: int
    cost: float


Trace = Sequence[Value]


class Policy(Protocol):
    """A cache of keys."""

    def get(self, key: int) -> bool:
        """Whether it is there; counts as a use."""
        ...

    def put(self, value: Value) -> None:
        """Keep it, whatever has to go for that."""
        ...


class Ours:
    """The cache's own: cost x uses / size, over the rank of what went last."""

    def __init__(self, room: int) -> None:
        self._entries = Entries(room, lambda: 0.0, Counters())

    def get(self, key: int) -> bool:
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.use(entry)
        return entry is not None

    def put(self, value: Value) -> None:
        self._entries.put(value.key, Entry(None, 0.0, math.inf, math.inf, value.size, value.cost, frozenset()))


class Known:
    """One of cachetools'."""

    def __init__(self, kind: type[LRUCache[int, Value]] | type[LFUCache[int, Value]], room: int) -> None:
        self._cache = kind(room, lambda value: value.size)

    def get(self, key: int) -> bool:
        return self._cache.get(key) is not None

    def put(self, value: Value) -> None:
        self._cache[value.key] = value


class Sieve:
    """First in, first out, but for what was used since the hand passed it."""

    def __init__(self, room: int) -> None:
        self._room, self._bytes = room, 0
        self._order: OrderedDict[int, Value] = OrderedDict()
        self._used: set[int] = set()
        self._hand: Iterator[int] = iter(())

    def get(self, key: int) -> bool:
        if key in self._order:
            self._used.add(key)
        return key in self._order

    def put(self, value: Value) -> None:
        old = self._order.pop(value.key, None)
        self._bytes += value.size - (old.size if old is not None else 0)
        self._order[value.key] = value
        while self._bytes > self._room:
            self._evict()

    def _evict(self) -> None:
        for key in self._hand:
            if key not in self._order:
                continue
            if key in self._used:
                self._used.discard(key)
                continue
            self._bytes -= self._order.pop(key).size
            return
        self._hand = iter(tuple(self._order))


class S3Fifo:
    """A tenth for newcomers; who is asked for again there, or soon after, moves to the main queue."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._small: OrderedDict[int, Value] = OrderedDict()
        self._main: OrderedDict[int, Value] = OrderedDict()
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._uses: dict[int, int] = {}
        self._bytes = {id(self._small): 0, id(self._main): 0}

    def get(self, key: int) -> bool:
        there = key in self._small or key in self._main
        if there:
            self._uses[key] = min(self._uses.get(key, 0) + 1, 3)
        return there

    def put(self, value: Value) -> None:
        for queue in (self._small, self._main):
            if value.key in queue:
                self._take(queue, value.key)
        known = self._ghosts.pop(value.key, 0) is None
        self._add(self._main if known else self._small, value)
        while sum(self._bytes.values()) > self._room:
            self._evict()

    def _evict(self) -> None:
        if self._small and (self._bytes[id(self._small)] > self._room // 10 or not self._main):
            value = self._take(self._small, next(iter(self._small)))
            if self._uses.get(value.key, 0) > 1:
                self._add(self._main, value)
            else:
                self._ghosts[value.key] = None
                if len(self._ghosts) > len(self._main) + 100:
                    self._ghosts.popitem(last=False)
            return
        value = self._take(self._main, next(iter(self._main)))
        if self._uses.get(value.key, 0) > 0:
            self._uses[value.key] -= 1
            self._add(self._main, value)

    def _take(self, queue: OrderedDict[int, Value], key: int) -> Value:
        value = queue.pop(key)
        self._bytes[id(queue)] -= value.size
        return value

    def _add(self, queue: OrderedDict[int, Value], value: Value) -> None:
        queue[value.key] = value
        self._bytes[id(queue)] += value.size


POLICIES: dict[str, Callable[[int], Policy]] = {
    OURS: Ours,
    "lru": lambda room: Known(LRUCache, room),
    "lfu": lambda room: Known(LFUCache, room),
    "sieve": Sieve,
    "s3-fifo": S3Fifo,
}


def _zipf(chance: random.Random, values: Sequence[Value], count: int, power: float) -> list[Value]:
    weights = list(itertools.accumulate(1 / (rank + 1) ** power for rank in range(len(values))))
    return chance.choices(values, cum_weights=weights, k=count)


def lookups(chance: random.Random, count: int, first: int = 0) -> Trace:
    """Rows by their key: small and cheap, a few much more often than the rest."""
    keys = [Value(first + n, chance.randint(1_100, 4_000), chance.uniform(1, 6)) for n in range(20_000)]
    return _zipf(chance, keys, count, 0.9)


def dashboards(chance: random.Random, count: int, first: int = 100_000) -> Trace:
    """Eight panels at a time: aggregates that are dear to compute, of a few rows or some thousand."""
    boards = [
        [
            Value(first + 8 * n + i, int(2_000 * 10 ** chance.uniform(0, 2)), 20 * 10 ** chance.uniform(0, 2))
            for i in range(8)
        ]
        for n in range(100)
    ]
    asked = _zipf(chance, [board[0] for board in boards], count // 8, 0.8)
    by_first = {board[0].key: board for board in boards}
    return [panel for one in asked for panel in by_first[one.key]]


def scans(chance: random.Random, count: int) -> Trace:
    """Extracts that nobody asks for again."""
    return [Value(1_000_000 + n, chance.randint(500_000, 6_000_000), chance.uniform(200, 2_000)) for n in range(count)]


def mixed(chance: random.Random, first: int = 0) -> Trace:
    """Lookups and dashboards by many, and an extract now and then."""
    some = REQUESTS if not first else REQUESTS // 2
    parts = [
        lookups(chance, some * 6 // 10, first),
        dashboards(chance, some * 4 // 10, first + 100_000),
        scans(chance, 150),
    ]
    order = [at for at, part in enumerate(parts) for _ in part]
    chance.shuffle(order)
    each = [iter(part) for part in parts]
    return [next(each[at]) for at in order]


def shifting(chance: random.Random) -> Trace:
    """What is asked for in the first half is not asked for in the second."""
    return [*mixed(chance, 2_000_000), *mixed(chance, 4_000_000)]


TRACES: dict[str, Callable[[random.Random], Trace]] = {
    "lookups": lambda chance: lookups(chance, REQUESTS),
    "dashboards": lambda chance: dashboards(chance, REQUESTS),
    "lookups, dashboards, scans": mixed,
    "the same, and other ones later": shifting,
}


def saved(trace: Trace, policy: Policy, most: int) -> tuple[float, float]:
    """Shares of the sources' ms saved, and of requests answered; nothing above `most` bytes is kept."""
    read: dict[int, int] = {}
    hits, spared = 0, 0.0
    for at, value in enumerate(trace):
        if policy.get(value.key) and at < read[value.key] + LIVES:
            hits, spared = hits + 1, spared + value.cost
            continue
        read[value.key] = at
        if value.size <= most:
            policy.put(value)
    return spared / sum(value.cost for value in trace), hits / len(trace)


def main() -> None:
    """Exits with 1 where another policy than the cache's own saves more on average."""
    given = figures.arguments(__doc__, 0).parse_args()
    sums = dict.fromkeys(POLICIES, 0.0)
    for name, make in TRACES.items():
        trace = make(random.Random(7))
        footprint = sum({value.key: value.size for value in trace}.values())
        for share in SHARES:
            room = int(footprint * share)
            told = {policy: saved(trace, POLICIES[policy](room), room // 8) for policy in POLICIES}
            for policy, (work, hits) in told.items():
                sums[policy] += work / len(SHARES) / len(TRACES)
                show(given.json, name, cache=share, mb=room / 1e6, policy=policy, work_saved=work, hits=hits)
    for policy, work in sums.items():
        show(given.json, "on average", policy=policy, work_saved=work)
    raise SystemExit(max(sums.values()) > sums[OURS] + WORSE)


if __name__ == "__main__":
    main()
