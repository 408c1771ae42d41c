"""How old data may be, as whoever asks for it says: "5s", "real_time", "live", "5s, dwh=1d, erp=live"."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from connectors.errors import QueryError
from views.catalog import CLASSES

INVALID = "22023"  # invalid_parameter_value
REMEDY = (
    'Write a number and a unit ("5s", "250ms", "10m"), "live", a class ("real_time", "near_real_time", "batch") or '
)
REMEDY += '"none"; for single sources "5s, dwh=1d".'
LONGEST = 1_000  # characters of a contract
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(us|ms|s|min|m|h|d)")


@dataclass(frozen=True, slots=True)
class MaxAge:
    """Seconds that data may be old when it is asked for: `general`, and for `sources` of their own; 0: read after the
    question was asked; infinity: of any age, copies too; None: nothing is said, and originals are read.

    `kept`: said of the time since the data was read alone, not of how old it was then (HTTP's Cache-Control).
    """

    general: float | None = None
    sources: tuple[tuple[str, float | None], ...] = ()
    kept: bool = False

    @classmethod
    def parse(cls, text: str) -> MaxAge | None:
        """What the text says, None where it is empty; QueryError 22023 for what is no bound."""
        return _parsed(text) if text.strip() else None

    def of(self, source: str) -> float | None:
        """What is allowed of this source's data."""
        for name, bound in self.sources:
            if name == source:
                return bound
        return self.general

    def within(self, sources: Iterable[str]) -> float:
        """The least that is allowed of any of these sources' data; infinity where nothing is."""
        return min((bound for bound in map(self.of, sources) if bound is not None), default=math.inf)

    def __str__(self) -> str:
        said = [_written(self.general)] if self.general is not None or not self.sources else []
        return ", ".join([*said, *(f"{name}={_written(bound)}" for name, bound in self.sources)])


@lru_cache(256)
def _parsed(text: str) -> MaxAge:
    general: float | None = None
    bare = 0
    sources: dict[str, float | None] = {}
    for item in text.split(",") if len(text) <= LONGEST else ["..."]:
        name, equals, value = (part.strip() for part in item.partition("="))
        if equals and (not name or name in sources):
            raise _wrong(text, f'"{name}" stands twice' if name else "a source has no name")
        if equals:
            sources[name] = _bound(value, text)
        else:
            general, bare = _bound(name, text), bare + 1
    if bare > 1:
        raise _wrong(text, "there is more than one general bound")
    return MaxAge(general, tuple(sorted(sources.items())))


def _bound(text: str, whole: str) -> float | None:
    word = text.lower()
    if word in ("live", "0"):
        return 0.0
    if word == "none":
        return None
    if word in CLASSES:
        return CLASSES[word]
    found = _DURATION.fullmatch(word)
    if found is None:
        raise _wrong(whole, f'"{text[:50]}" is no bound')
    return round(float(found[1]) * UNITS[found[2]], 6)


def _wrong(text: str, why: str) -> QueryError:
    return QueryError(f'max_age "{text[:100]}": {why}', sqlstate=INVALID, hint=REMEDY)


def _written(bound: float | None) -> str:
    if bound is None or not bound:
        return "none" if bound is None else "live"
    if math.isinf(bound):
        return "batch"
    total = round(bound * 1_000_000)
    unit = next(unit for unit in ("d", "h", "m", "s", "ms", "us") if not total % round(UNITS[unit] * 1_000_000))
    return f"{total // round(UNITS[unit] * 1_000_000)}{unit}"
