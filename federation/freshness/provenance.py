"""Where an answer came from, by source: one account of its parts, which every protocol tells in its own form."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from federation.freshness.age import seconds
from federation.result import Part
from views.catalog import CLASSES, SYSTEM

_WORST = ("missing", "stale", "copy", "cache", "live")
WHY = 500  # characters of a reason that are told


@dataclass(frozen=True, slots=True)
class Fact:
    """What one source gave to an answer. `origin`: live | cache | stale | copy | missing, the worst of its parts;
    `as_of` and `read_at` (seconds since the epoch, of the oldest part) are None where nothing is known or was read;
    `age` the data's in seconds at the time of the answer; `freshness`: the class that it meets, real_time |
    near_real_time | batch, '' where its age is not known. Of a missing source `tables` were read as empty, as `policy`
    (nulls | partial) allows; `why` says why it is missing or stale. `views` are those that
    read it, `copies` the tables of others that it stood for; `left_out` the values that are NULL as their types could
    not hold them, their number by table.column."""

    source: str
    origin: str
    as_of: float | None = None
    read_at: float | None = None
    age: float | None = None
    ttl: float = 0.0
    freshness: str = ""
    rows: int = 0
    statements: int = 0
    policy: str = ""
    why: str = ""
    tables: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    left_out: tuple[tuple[str, int], ...] = ()
    servers: tuple[str, ...] = ()  # those that answered, of a source of several

    @property
    def missing(self) -> bool:
        """Whether it was left out."""
        return self.origin == "missing"

    @property
    def warning(self) -> str:
        """What whoever reads the answer has to know; '' where it is whole and within its time."""
        if self.policy == "aside":
            return f"rules {self.source}: not decided is {', '.join(self.tables)}"
        if self.missing:
            done = "its rows are left out" if self.policy == "partial" else "its columns are NULL"
            return f"source {self.source} is down: {done} ({', '.join(self.tables)})"
        return "; ".join(self._lacks())

    def _lacks(self) -> Iterator[str]:
        if self.origin == "stale":
            old = f", {duration(self.age)} old" if self.age is not None else ""
            yield f"source {self.source}: what is shown is past its time{old}"
        if self.left_out_told:
            yield self.left_out_told

    @property
    def left_out_told(self) -> str:
        """Which values are NULL as they did not fit; '' where none is."""
        counted = ", ".join(f"{count} of {column}" for column, count in self.left_out)
        return f"source {self.source}: values that do not fit their type are NULL: {counted}" if counted else ""

    def json(self) -> dict[str, Any]:
        """As JSON-ready values: moments as ISO text in UTC, times in seconds."""
        return {
            "source": self.source,
            "origin": self.origin,
            "as_of": moment(self.as_of),
            "read_at": moment(self.read_at),
            "age": None if self.age is None else round(self.age, 3),
            "ttl": self.ttl,
            "class": self.freshness or None,
            "rows": self.rows,
            "statements": self.statements,
            "missing": self.missing,
            "policy": self.policy or None,
            "why": self.why or None,
            "tables": list(self.tables),
            "views": list(self.views),
            "copies": list(self.copies),
            "left_out": dict(self.left_out),
            **({"servers": list(self.servers)} if self.servers else {}),
        }


def facts(parts: Iterable[Part], now: float | None = None) -> tuple[Fact, ...]:
    """What each source gave to the answer of these parts, by name; those that nothing had to be asked of are not among
    them, nor is what the server knows of itself. `now`: when it was answered, in seconds since the epoch."""
    now = time.time() if now is None else now
    found: dict[str, list[Part]] = {}
    for part in parts:
        if part.source != SYSTEM and (part.origin == "missing" or part.cache != "none"):
            found.setdefault(part.source, []).append(part)
    return tuple(_fact(source, found[source], now) for source in sorted(found))


def _fact(source: str, parts: Sequence[Part], now: float) -> Fact:
    worst = min(parts, key=lambda part: _WORST.index(part.origin))
    if worst.origin == "missing":
        told = {"policy": worst.policy, "tables": worst.tables}
        return Fact(source, "missing", why=worst.why[:WHY], views=worst.views, **told)  # type: ignore[arg-type]
    moments = [seconds(part.as_of) for part in parts]
    known = [at for at in moments if at is not None]
    as_of = min(known) if len(known) == len(parts) else None
    age = None if as_of is None else max(now - as_of, 0.0)
    return Fact(
        source,
        worst.origin,
        as_of,
        min((part.read_at for part in parts if part.read_at), default=None),
        age,
        min(part.ttl for part in parts),
        _class(age),
        sum(part.rows for part in parts),
        sum(part.statements for part in parts),
        why=worst.why[:WHY],
        views=tuple(sorted({name for part in parts for name in part.views})),
        copies=tuple(sorted({name for part in parts for name in part.originals})),
        left_out=tuple(sorted(sum((Counter(part.left_out) for part in parts), Counter[str]()).items())),
        servers=tuple(dict.fromkeys(name for part in parts for name in part.servers)),
    )


def _class(age: float | None) -> str:
    if age is None:
        return ""
    return next(name for name, most in CLASSES.items() if age <= most)


def moment(seconds: float | None) -> str | None:
    """ISO text in UTC, to the millisecond."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def duration(seconds: float) -> str:
    """A time for people: 0.4 s, 12 s, 5 min, 3 h, 2 d."""
    for size, unit in ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
