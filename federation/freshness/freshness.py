"""Where it is said how old an answer may be (comments, headers), and what is said where data is older."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from connectors.errors import LimitExceeded, QueryError
from federation.canon.lex import comments
from views.max_age import INVALID, UNITS, MaxAge
from views.validate import did_you_mean

TOO_OLD = "72000"  # PostgreSQL's snapshot_too_old
MAX_AGE = "Vdw-Max-Age"  # the header of a request
_HINT = re.compile(r"\s*vdw\s*:(.*)", re.DOTALL | re.IGNORECASE)
_SAID = re.compile(r"\s*max_age\s*=(.*)", re.DOTALL | re.IGNORECASE)


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
    return MaxAge.parse(found[1].strip().strip("'\"")) or MaxAge()


def check(said: MaxAge, sources: Collection[str]) -> None:
    """QueryError 22023 where it names a source that is not there: what was meant would not be kept."""
    for name, _ in said.sources:
        if name not in sources:
            remedy = did_you_mean(name, sources)
            raise QueryError(f'max_age: there is no source "{name}"', sqlstate=INVALID, hint=remedy)


def of_headers(contract: str | None, cache_control: str | None) -> MaxAge | None:
    """What a request's headers say: Vdw-Max-Age, else Cache-Control (max-age, no-cache); QueryError 22023."""
    if contract is not None:
        return MaxAge.parse(contract)
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


def said(allowed: MaxAge) -> str:
    """A contract for people: at most 5s old (dwh: 1d)."""
    general = bounded(allowed.general)
    own = "; ".join(f"{name}: {bounded(bound)}" for name, bound in allowed.sources)
    return f"{general} ({own})" if own else general


def bounded(bound: float | None) -> str:
    """What a bound allows, for people."""
    if bound is None or math.isinf(bound):
        return "of any age" if bound is not None else "originals only"
    return "read after the question" if not bound else f"at most {MaxAge(bound)} old"


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
    bound = bounded(allowed)
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
        count = math.ceil(max(age, 0.0) / UNITS[unit]) + 1
        if count < 100:
            return f"{count}{unit}"
    return f"{math.ceil(age / 86_400) + 1}d"
