"""Where an answer came from and how old it is, as `extensions.provenance` and the HTTP cache tell it."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from federation.result import Part


@dataclass(frozen=True, slots=True)
class Provenance:
    """One root field's: `age` and `ttl` in seconds, the oldest part's and the shortest's; see `of`."""

    path: str
    cache: str
    age: float
    ttl: float
    sources: tuple[tuple[str, str], ...]

    def extension(self) -> dict[str, Any]:
        """As GraphQL's extensions have it."""
        return {
            "path": [self.path],
            "cache": self.cache,
            "ageMs": round(self.age * 1000),
            "ttlMs": round(self.ttl * 1000),
            "sources": [{"source": source, "asOf": as_of} for source, as_of in self.sources],
        }


def of(path: str, parts: Sequence[Part]) -> Provenance:
    """Provenance of a field from its answer's parts: HIT when every part was kept, STALE when one was past its time."""
    now = time.time()
    age = max((now - part.read_at for part in parts if part.read_at), default=0.0)
    states = {part.cache for part in parts}
    cache = "STALE" if "stale" in states else "HIT" if states == {"hit"} else "MISS"
    oldest: dict[str, str] = {}
    for part in sorted(parts, key=lambda p: p.read_at, reverse=True):
        oldest[part.source] = part.as_of or _iso(part.read_at or now)
    ttl = min((part.ttl for part in parts), default=0.0)
    return Provenance(path, cache, max(age, 0.0), ttl, tuple(sorted(oldest.items())))


def _iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")


def remaining(fields: Sequence[Provenance]) -> int:
    """Whole seconds for which an answer made of these fields may still be kept."""
    return max(0, int(min((field.ttl - field.age for field in fields), default=0.0)))
