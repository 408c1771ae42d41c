"""The dry run: what a source's proposed rules would have done to what it was really asked. It changes nothing."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, fields, replace
from typing import Any

from federation.gate.adaptive import Adaptive
from federation.gate.breaker import Breaker
from federation.gate.shadow_queue import Fate, Queue, Shade
from views.catalog import Limits, Observed, QueryLimits, Source

KEYS = 50_000  # reads that are remembered for a proposed ttl
QUERIES = 1_000  # queries that are counted at once for the budgets of a query


@dataclass(slots=True)
class Effect:
    """What one rule would have done: how often, and the milliseconds it would have cost (waits), cut off (time-outs)
    or saved (answers at hand)."""

    count: int = 0
    ms: float = 0.0
    most: float = 0.0  # ms, of one

    def add(self, ms: float = 0.0) -> None:
        self.count += 1
        self.ms += ms
        self.most = max(self.most, ms)


@dataclass(slots=True)
class _Query:
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    told: set[str] = field(default_factory=set)


# What each rule would do to a statement, by its name.
DOES = {
    "rows": "refuse", "bytes": "refuse", "timeout": "refuse", "examined_rows": "refuse", "statements": "refuse",
    "queue": "refuse", "deadline": "refuse", "concurrency": "wait", "rate": "wait", "ttl": "cached",
    "breaker": "refuse", "adaptive": "limit", "query.rows": "refuse", "query.bytes": "refuse", "query.time": "refuse",
}  # fmt: skip
_QUEUED = frozenset(("concurrency", "rate", "burst", "queue", "share"))


def after(before: Shadow | None, source: Source) -> Shadow | None:
    """The shadow for a source as its owner describes it now: none, that of before where its rules are the same, or a
    new one that counts from now on."""
    if source.observe is None:
        return None
    if before is not None and before.rules == source.observe and before.current == source.limits:
        return before
    return Shadow(source.name, source.observe, source.limits)


class Shadow:
    """Of one source. `limits` and `breaker`'s time-out are those that count now, for what is not proposed otherwise.

    To be used from the event loop; each call takes some microseconds. `clock` gives seconds.
    """

    def __init__(
        self, source: str, rules: Observed, limits: Limits, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.source, self.rules, self.current = source, rules, limits
        self.since = time.time()
        self.statements = 0
        self.proposed = set(rules.limits)
        self._clock = clock
        known = {one.name for one in fields(Limits)}
        self.limits = replace(limits, **{name: value for name, value in rules.limits.items() if name in known})
        self._effects: dict[str, Effect] = {rule: Effect() for rule in self._watched()}
        self._queue = Queue(self.limits, self._settled, clock) if self.proposed & _QUEUED else None
        self.breaker: Breaker | None = None
        if rules.breaker is not None and rules.breaker.enabled:
            self.breaker = Breaker(source, rules.breaker, clock, self.limits.timeout)
        self.adaptive: Adaptive | None = None
        if rules.adaptive is not None and rules.adaptive.enabled:
            self.adaptive = Adaptive(rules.adaptive, max(1, int(self.limits.concurrency * self.limits.share)))
            self._fewest = self.adaptive.most
        self._read_at: OrderedDict[Hashable, float] = OrderedDict()
        self._queries: OrderedDict[str, _Query] = OrderedDict()

    # -- what really happens

    def begun(self, arrived: float, deadline: float = float("inf")) -> Shade:
        """A statement that came at `arrived` and had to end by `deadline` (both by the clock) goes to the source."""
        self.statements += 1
        shade = Shade(arrived, deadline)
        if self.breaker is not None:
            if self.breaker.refuse() is None:
                shade.ticket = self.breaker.admitted()
            else:
                self._effects["breaker"].add()
        if self._queue is not None:
            self._queue.begun(shade)
        return shade

    def ended(self, shade: Shade, seconds: float, rows: int, size: int, error: BaseException | None) -> None:
        """It took the source so long, and so many rows and bytes came."""
        shade.seconds = min(seconds, self.limits.timeout)
        if self.breaker is not None and shade.ticket is not None:
            self.breaker.done(error, shade.ticket)
        if self._queue is not None:
            self._queue.ended()
        self._past("rows", rows, self.limits.rows)
        self._past("bytes", size, self.limits.bytes)
        if "timeout" in self._effects and seconds > self.limits.timeout:
            self._effects["timeout"].add((seconds - self.limits.timeout) * 1000)

    def measured(self, shape: str, started: float, took: float, in_flight: int, lag: float) -> None:
        """Its first rows came after `took` seconds; see Adaptive.measured."""
        if self.adaptive is not None:
            self.adaptive.measured(shape, started, took, in_flight >= self.adaptive.most, lag)
            self._limited(self.adaptive)

    def failed(self, started: float) -> None:
        """It failed in a way that counts against the source."""
        if self.adaptive is not None:
            self.adaptive.failed(started, self._clock())
            self._limited(self.adaptive)

    def query(self, name: str, seconds: float, rows: int, size: int) -> None:
        """What one statement of the query of that name has taken, for the budgets of a query; told once for each."""
        own: QueryLimits = self.limits.query
        if "query" not in self.proposed:
            return
        spent = self._queries.get(name)
        if spent is None:
            spent = self._queries[name] = _Query()
            if len(self._queries) > QUERIES:
                self._queries.popitem(last=False)
        spent.rows, spent.bytes, spent.seconds = spent.rows + rows, spent.bytes + size, spent.seconds + seconds
        for rule, value, most in (
            ("query.rows", spent.rows, own.rows),
            ("query.bytes", spent.bytes, own.bytes),
            ("query.time", spent.seconds, own.time),
        ):
            if most is not None and value > most and rule not in spent.told:
                spent.told.add(rule)
                self._effects[rule].add()

    def examined(self, rows: float) -> None:
        """A statement is likely to make the source read so many rows."""
        self._past("examined_rows", rows, self.limits.examined_rows)

    def asked(self, before: int, wanted: int) -> None:
        """A query that has sent `before` statements sends `wanted` more; told once, when they become too many."""
        most = self.limits.statements
        if "statements" in self._effects and most is not None and before <= most < before + wanted:
            self._effects["statements"].add()

    def read(self, key: Hashable, fresh: bool, ms: float) -> None:
        """An answer was wanted that is kept under `key`; `fresh`: the source was asked for it now, which took `ms`."""
        ttl = self.rules.ttl
        if ttl is None:
            return
        now = self._clock()
        began = now - ms / 1000 if fresh else now
        last = self._read_at.get(key)
        if last is not None and began < last + ttl:
            if fresh:
                self._effects["ttl"].add(ms)
            return
        self._read_at[key] = began
        self._read_at.move_to_end(key)
        if len(self._read_at) > KEYS:
            self._read_at.popitem(last=False)

    # -- what it would have been

    def report(self) -> dict[str, Any]:
        """`since` (epoch), `statements` seen, and for each proposed rule: `proposed` (its value), `does` (refuse, wait,
        cached, limit), `count`, `ms` in all, and `most_ms` of one. Plain values, for JSON."""
        rules = {rule: self._told(rule, effect) for rule, effect in self._effects.items()}
        if self.breaker is not None:
            opened = self.breaker.transitions["open"]
            rules["breaker"] |= {"state": self.breaker.state, "opened": opened, "why": self.breaker.why}
        if self.adaptive is not None:
            own = self.adaptive
            rules["adaptive"] |= {"limit": own.most, "least": self._fewest, "of": own.cap, "why": own.why}
        return {"since": self.since, "statements": self.statements, "rules": rules}

    def _told(self, rule: str, effect: Effect) -> dict[str, Any]:
        return {
            "proposed": self._value(rule),
            "does": DOES[rule],
            "count": effect.count,
            "ms": round(effect.ms, 3),
            "most_ms": round(effect.most, 3),
        }

    def _value(self, rule: str) -> float | int | None:
        if rule == "ttl":
            return self.rules.ttl
        if rule == "breaker":
            return None if self.rules.breaker is None else self.rules.breaker.failures
        if rule == "adaptive":
            return None if self.rules.adaptive is None else self.rules.adaptive.slower
        holder, _, name = rule.rpartition(".")
        found: float | int | None = getattr(self.limits.query if holder else self.limits, name, None)
        return found

    def _watched(self) -> list[str]:
        rules = [rule for rule in DOES if rule in self.proposed]
        if self.proposed & _QUEUED:
            rules += [rule for rule in ("queue", "deadline", "concurrency") if rule not in rules]
            rules += ["rate"] if self.limits.rate is not None and "rate" not in rules else []
        if "query" in self.proposed:
            own = self.limits.query
            rules += [f"query.{name}" for name in ("rows", "bytes", "time") if getattr(own, name) is not None]
        rules += ["ttl"] if self.rules.ttl is not None else []
        rules += ["adaptive"] if self.rules.adaptive is not None and self.rules.adaptive.enabled else []
        return rules + (["breaker"] if self.rules.breaker is not None and self.rules.breaker.enabled else [])

    def _past(self, rule: str, value: float, most: float | None) -> None:
        if rule in self._effects and most is not None and value > most:
            self._effects[rule].add()

    def _limited(self, adaptive: Adaptive) -> None:
        """Count a statement that would have run under a limit that was held back."""
        self._fewest = min(self._fewest, adaptive.most)
        if adaptive.most < adaptive.cap:
            self._effects["adaptive"].add()

    def _settled(self, fate: Fate) -> None:
        if fate.refused:
            self._effects[fate.refused].add()
        if fate.place > 0:
            self._effects["concurrency"].add(fate.place * 1000)
        if fate.rate > 0 and "rate" in self._effects:
            self._effects["rate"].add(fate.rate * 1000)
