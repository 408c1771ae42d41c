"""A merged answer: kept and shared as one value, shown to each client as its own `Result`."""

from __future__ import annotations

import sys
from dataclasses import InitVar, dataclass, field, replace

from connectors.base import Cancel
from federation.channel import Stream
from federation.deadline import Deadline
from federation.merge import Merged
from federation.result import Part, Result
from federation.steps import OVERHEAD, Fetched
from planner.plan import Plan


@dataclass(slots=True)
class Answer:
    """What the merge gave, and what is known of the rows that it was given; not these themselves, they may be large.

    `oldest` is the cache's clock when the oldest of them was read, `until` when the first stop to be fresh.
    """

    merged: Merged
    fetched: InitVar[Fetched]
    parts: list[Part] = field(init=False)
    oldest: float = field(init=False)
    until: float = field(init=False)

    def __post_init__(self, fetched: Fetched) -> None:
        self.parts, self.oldest, self.until = fetched.parts, fetched.born, fetched.until

    @property
    def whole(self) -> bool:
        """Whether all its rows are here, so that it can be kept, and shared by any number."""
        return self.merged.complete

    def size(self) -> int:
        """Bytes that keeping it costs; one with rows still to come is never kept."""
        return self.merged.size + OVERHEAD if self.whole else sys.maxsize

    def born(self) -> float:
        """The cache's clock when the oldest of its rows was read."""
        return self.oldest

    def fresh_until(self) -> float:
        """The cache's clock when it stops to be fresh: with the first of its parts; a stale one makes it stale."""
        return self.until

    def cost(self) -> float:
        """The ms that it took."""
        return self.merged.ms

    def drop(self) -> None:
        """Stop the rest, where nobody claimed it."""
        rest = self.merged.claim()
        if rest is not None:
            rest.close()


def result(plan: Plan, answer: Answer, how: str, deadline: Deadline, cancel: Cancel) -> Result:
    """The answer for one client, who found it so (hit | miss | shared)."""
    merged = answer.merged
    names = [name for name, _ in plan.columns]
    batches = Stream(merged.batches, merged.claim(), deadline=deadline, cancel=cancel, names=names)
    parts = [_seen(part, how) for part in answer.parts]
    return Result(plan.columns, batches, plan, merged.engine, how == "hit", parts, merged.ms, merged.why, merged.stages)


def _seen(part: Part, how: str) -> Part:
    """The part as this client sees it; when its rows were read stays what it was."""
    if how == "miss" or part.cache == "none":
        return replace(part)
    origin = "cache" if how == "hit" and part.origin == "live" else part.origin
    cache, spared = part.cache if part.cache == "stale" else how, part.statements + part.spared
    return replace(part, cache=cache, statements=0, ms=0.0, waited=0.0, origin=origin, spared=spared)
