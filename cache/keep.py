"""On which terms an answer is kept and may be taken, how one was found, and what became of them all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from connectors.errors import Error

T = TypeVar("T")
How = Literal["hit", "miss", "shared", "stale"]


@dataclass(frozen=True, slots=True)
class Keep:
    """An asker's terms, in seconds of the value's age: fresh within `ttl`; for `revalidate` past it the old value
    serves while one refresh runs behind the scenes; for `on_error` past it, where the run fails.

    Nothing older than `max_age` is served whatever the rest says. `tags` name what the value is made of:
    "source:crm", "table:crm.customers", "view:sales.big".
    """

    ttl: float
    revalidate: float = 0.0
    on_error: float = 0.0
    max_age: float = math.inf
    tags: frozenset[str] = frozenset()

    @property
    def reach(self) -> float:
        """The greatest age at which these terms could still serve a value."""
        return self.ttl + max(self.revalidate, self.on_error)


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A value and how it was found: stored before (hit), run for us (miss), run for others and us (shared), or kept
    past its ttl (stale). `age` is in seconds; `error` is why a stale one could not be renewed."""

    value: T
    how: How
    age: float = 0.0
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """A value that is kept, for those who list them: bytes, how often it has served, seconds since its data was read,
    whether it is past its ttl, and the ms that its source took."""

    tags: frozenset[str]
    size: int
    hits: int
    age: float
    stale: bool
    cost: float


@dataclass(slots=True)
class Counters:
    """What the cache did since it was made. `stale_*` by why an old value served; `negative` counts answers that were
    a statement's own error, told again; `refused` values too large to keep; `saved_ms` the source's time that hits,
    stale and shared answers would have taken."""

    hits: int = 0
    misses: int = 0
    shared: int = 0
    stale_revalidate: int = 0
    stale_error: int = 0
    refreshed: int = 0
    refresh_failed: int = 0
    stored: int = 0
    evicted: int = 0
    expired: int = 0
    refused: int = 0
    invalidated: int = 0
    negative: int = 0
    saved_ms: float = 0.0
