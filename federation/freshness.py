"""How old an answer may be: what whoever asks says of it, in a text such as "5s, dwh=1d, erp=live"."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

from connectors.errors import LimitExceeded, QueryError
from federation.canon.lex import comments
from views.catalog import CLASSES
from views.validate import did_you_mean

TOO_OLD = "72000"  # PostgreSQL's snapshot_too_old
INVALID = "22023"  # invalid_parameter_value
REMEDY = (
    'Write a number and a unit ("5s", "250ms", "10m"), "live", a class ("real_time", "near_real_time", "batch") or '
)
REMEDY += '"none"; for single sources "5s, dwh=1d".'
LONGEST = 1_000  # characters of a contract
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(us|ms|s|min|m|h|d)")
_HINT = re.compile(r"\s*vdw\s*:(.*)", re.DOTALL | re.IGNORECASE)
_SAID = re.compile(r"\s*max_age\s*=(.*)", re.DOTALL | re.IGNORECASE)


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
        """What the text says; None where it says nothing ("", "none"). QueryError 22023 for what is no bound."""
        found = _parsed(text)
        return found if found != cls() else None

    def of(self, source: str) -> float | None:
        """What is allowed of this source's data."""
        for name, bound in self.sources:
            if name == source:
                return bound
        return self.general

    def within(self, sources: Iterable[str]) -> float:
        """The least that is allowed of any of these sources' data; infinity where nothing is."""
        return min((bound for bound in map(self.of, sources) if bound is not None), default=math.inf)

    def check(self, sources: Collection[str]) -> None:
        """QueryError 22023 where it names a source that is not there: what was meant would not be kept."""
        for name, _ in self.sources:
            if name not in sources:
                hint = did_you_mean(name, sources)
                raise QueryError(f'max_age: there is no source "{name}"', sqlstate=INVALID, hint=hint or None)

    def __str__(self) -> str:
        said = [_written(self.general)] if self.general is not None or not self.sources else []
        return ", ".join([*said, *(f"{name}={_written(bound)}" for name, bound in self.sources)])


@lru_cache(256)
def _parsed(text: str) -> MaxAge:
    if not text.strip():
        return MaxAge()
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
    return round(float(found[1]) * _UNITS[found[2]], 6)


def _wrong(text: str, why: str) -> QueryError:
    return QueryError(f'max_age "{text[:100]}": {why}', sqlstate=INVALID, hint=REMEDY)


def _written(bound: float | None) -> str:
    if bound is None or not bound:
        return "none" if bound is None else "live"
    if math.isinf(bound):
        return "batch"
    whole = next((u for u in ("d", "h", "m", "s", "ms", "us") if round(bound / _UNITS[u], 9).is_integer()), "us")
    return f"{round(bound / _UNITS[whole])}{whole}"


def hint(sql: str, standard: bool = True) -> MaxAge | None:
    """What a comment of the statement says: /* vdw: max_age=5s */; MaxAge() where it says "none", which counts too.

    QueryError 22023 for a comment that begins so and says something else.
    """
    if "vdw" not in sql and "VDW" not in sql:
        return None
    said = [found[1] for found in map(_HINT.match, comments(sql, standard)) if found is not None]
    if not said:
        return None
    if len(said) > 1:
        raise QueryError("the statement has more than one /* vdw: ... */", sqlstate=INVALID, hint="Write one.")
    found = _SAID.fullmatch(said[0])
    if found is None:
        remedy = "Write /* vdw: max_age=5s */."
        raise QueryError(f'the comment "vdw:{said[0][:100]}" says nothing known', sqlstate=INVALID, hint=remedy)
    return _parsed(found[1].strip().strip("'\""))


def of_headers(contract: str | None, cache_control: str | None) -> MaxAge | None:
    """What a request's headers say: Vdw-Max-Age, else Cache-Control (max-age, no-cache); QueryError 22023."""
    if contract is not None:
        return _parsed(contract)
    if not cache_control:
        return None
    found: list[float] = []
    for directive in cache_control.lower().split(","):
        name, _, value = (part.strip().strip('"') for part in directive.partition("="))
        if name == "no-cache":
            found.append(0.0)
        elif name == "max-age" and value.isdecimal():  # another form is none, and ignored as HTTP wants it
            found.append(float(value[:9]))
    return MaxAge(min(found), kept=True) if found else None


def spoken(seconds: float) -> str:
    """An age for people: its two largest units."""
    if seconds < 1:
        return f"{max(seconds, 0.0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    left, words = round(seconds), []
    for name, size in (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        words += [f"{count} {name}" + ("s" if name == "day" and count > 1 else "")] if count else []
    return " ".join(words[:2])


def too_old(what: str, age: float | None, allowed: float, source: str, detail: str | None = None) -> LimitExceeded:
    """The error that data is older than whoever asks allows; `what` names it, `age` None where nobody knows it."""
    bound = "read after the question" if not allowed else f"at most {spoken(allowed)} old"
    if age is None:
        message = f"{what} does not tell how old its data is, and it may be {bound}"
        return LimitExceeded(message, sqlstate=TOO_OLD, detail=detail, hint=f"Correct as_of of source {source}.")
    message = f"the best data of {what} is {spoken(age)} old, and it may be {bound}"
    enough = _roomy(age)
    remedy = f"Allow more, for all sources (SET vdw.max_age = '{enough}') or for this one ('..., {source}={enough}')."
    return LimitExceeded(message, sqlstate=TOO_OLD, detail=detail, hint=remedy)


def _roomy(age: float) -> str:
    """A bound that such data keeps for a while."""
    for unit in ("s", "m", "h"):
        count = math.ceil(max(age, 0.0) / _UNITS[unit]) + 1
        if count < 100:
            return f"{count}{unit}"
    return f"{math.ceil(age / 86_400) + 1}d"
