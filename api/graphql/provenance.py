"""Where an answer came from and how old it is, as `extensions.provenance` and the HTTP cache tell it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from federation.freshness import provenance
from federation.freshness.provenance import Fact
from federation.result import Part


@dataclass(frozen=True, slots=True)
class Provenance:
    """One root field's: `age` and `ttl` in seconds, the oldest part's and the shortest's; see `of`."""

    path: str
    cache: str
    age: float
    ttl: float
    sources: tuple[Fact, ...]
    parts: tuple[Part, ...] = ()

    def extension(self) -> dict[str, Any]:
        """As GraphQL's extensions have it."""
        return {
            "path": [self.path],
            "cache": self.cache,
            "ageMs": round(self.age * 1000),
            "ttlMs": round(self.ttl * 1000),
            "sources": [_source(fact) for fact in self.sources],
        }

    def warnings(self) -> list[dict[str, Any]]:
        """What the field lacks, or has past its time."""
        lacking = [fact for fact in self.sources if fact.warning]
        return [
            {"path": [self.path], "source": fact.source, "message": fact.warning, "why": fact.why or None}
            for fact in lacking
        ]


def _source(fact: Fact) -> dict[str, Any]:
    """The account that every protocol gives, under GraphQL's names and in milliseconds."""
    told = fact.json()
    times = {f"{name}Ms": _milliseconds(told.pop(name)) for name in ("age", "ttl")}
    renamed = {"asOf": told.pop("as_of"), "readAt": told.pop("read_at")}
    return {"source": told.pop("source"), "origin": told.pop("origin"), **renamed, **times, **told}


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def of(path: str, parts: Sequence[Part]) -> Provenance:
    """Provenance of a field from its answer's parts: PARTIAL where a source was left out, STALE when one was past its
    time, HIT when every part was kept, else MISS."""
    now = time.time()
    facts = provenance.facts(parts, now)
    read = [part for part in parts if part.origin != "missing"]
    age = max((now - part.read_at for part in read if part.read_at), default=0.0)
    ttl = min((part.ttl for part in read), default=0.0)
    return Provenance(path, _cache(facts, read), max(age, 0.0), ttl, facts, tuple(parts))


def _cache(facts: Sequence[Fact], read: Sequence[Part]) -> str:
    if any(fact.missing for fact in facts):
        return "PARTIAL"
    if any(fact.origin == "stale" for fact in facts):
        return "STALE"
    return "HIT" if read and {part.cache for part in read} <= {"hit", "contained"} else "MISS"


def remaining(fields: Sequence[Provenance]) -> int:
    """Whole seconds for which an answer made of these fields may still be kept; none where a source was left out."""
    if any(field.cache == "PARTIAL" for field in fields):
        return 0
    return max(0, int(min((field.ttl - field.age for field in fields), default=0.0)))


def account(fields: Sequence[Provenance]) -> tuple[Fact, ...]:
    """What each source gave to an answer of several fields."""
    return provenance.facts(part for field in fields for part in field.parts)
