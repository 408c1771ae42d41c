"""What sources know of their data without looking at it: numbers of rows, values and their spread, as frozen values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from connectors.base import Collation
from connectors.types import PgType

Key = tuple[str, str]  # a table by the source's own schema and name
Position = float | str  # where a value lies in its type's order: numbers and times as a float, text as itself

_NUMBERS = frozenset(("int2", "int4", "int8", "oid", "float4", "float8", "numeric"))
_TEXTS = frozenset(("text", "varchar", "bpchar", "uuid"))
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number of rows (or a share of them): surely within [low, high] if the statistics are true, `likely` inside."""

    low: float
    likely: float
    high: float

    @classmethod
    def exactly(cls, number: float) -> Estimate:
        """A number that is known."""
        return cls(number, number, number)

    @classmethod
    def of(cls, low: float, likely: float, high: float) -> Estimate:
        """The three in order: `likely` is drawn into the interval, and `low` below `high`."""
        low = max(0.0, min(low, high))
        return cls(low, min(max(likely, low), high), high)

    def times(self, other: Estimate) -> Estimate:
        """The product; 0 times anything, however unbounded, is 0."""
        return Estimate(
            self.low * other.low,
            self.likely * other.likely,
            self.high * other.high if self.high and other.high else 0.0,
        )

    def plus(self, other: Estimate) -> Estimate:
        """The sum."""
        return Estimate(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def at_most(self, most: float) -> Estimate:
        """The same, bounded from above."""
        return Estimate(min(self.low, most), min(self.likely, most), min(self.high, most))

    def within(self, other: Estimate) -> Estimate:
        """The same, bounded by the other's high: of what the other counts, this is a part."""
        return self.at_most(other.high)

    def straddles(self, border: float) -> bool:
        """Whether the number may lie on either side of `border`."""
        return self.low <= border < self.high


ANY = Estimate(0.0, 100_000.0, math.inf)  # a table of which nothing is known


@dataclass(frozen=True, slots=True)
class Bucket:
    """`share` of the table's rows have values from `low` to `high`, both included; buckets may overlap."""

    low: Position
    high: Position
    share: float


@dataclass(frozen=True, slots=True)
class ColumnStatistics:
    """One column. Shares are of all rows of the table, NULLs included; None and empty: not known.

    `distinct`: non-null values. `low`, `high`: bounds of all values. `most_common`: each value's share, the greatest
    first; any other value is rarer than the last. `buckets` have the values that are not among these; where they are
    empty nothing is known of the spread. `correlation`: 1 or -1 where the rows lie in the column's order. `width`:
    bytes.
    """

    nulls: float | None = None
    distinct: Estimate = Estimate(0.0, math.inf, math.inf)
    low: Position | None = None
    high: Position | None = None
    most_common: Mapping[Position, float] = field(default_factory=dict)
    buckets: tuple[Bucket, ...] = ()
    correlation: float | None = None
    width: float | None = None


@dataclass(frozen=True, slots=True)
class TableStatistics:
    """One table. `distinct`: combinations of several columns, their names sorted. `sample`: rows that the shares were
    computed from, inf where it was all of them, 0 where the source only guesses. `stale`: rows that changed since.
    `revision` changes when the source has computed them anew."""

    rows: Estimate
    columns: Mapping[str, ColumnStatistics] = field(default_factory=dict)
    distinct: Mapping[tuple[str, ...], Estimate] = field(default_factory=dict)
    sample: float = 0.0
    stale: float = 0.0
    revision: str = ""

    @property
    def exact(self) -> bool:
        """Whether the shares are those of all rows as they are now."""
        return math.isinf(self.sample) and not self.stale


def position(value: Any, kind: PgType) -> Position | None:
    """Where a value (Python's, or PostgreSQL's text of it) lies in its type's order; None where it has no place.

    >>> position("1970-01-02", PgType("date"))
    1.0
    """
    try:
        return _position(value, kind.name)
    except (ValueError, OverflowError, ArithmeticError):
        return None


def _position(value: Any, name: str) -> Position | None:
    if value is None:
        return None
    if name in _TEXTS:
        return value.rstrip(" ") if name == "bpchar" else str(value)
    if name == "bool":
        return float(value in (True, "t", "true", 1, "1"))
    if name in _NUMBERS:
        number = float(Decimal(value)) if isinstance(value, str) else float(value)
        return number if math.isfinite(number) else None
    if name == "date":
        day = date.fromisoformat(value[:10]) if isinstance(value, str) else value
        return float(day.toordinal() - _EPOCH)
    if name in ("timestamp", "timestamptz"):
        return _moment(datetime.fromisoformat(value) if isinstance(value, str) else value)
    if name == "time":
        clock = time.fromisoformat(value) if isinstance(value, str) else value
        return float(clock.hour * 3600 + clock.minute * 60 + clock.second + clock.microsecond / 1e6)
    return None


def _moment(value: date) -> float:
    if not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).timestamp()


def fold(at: Position, collation: Collation) -> Position:
    """Texts that a loose collation takes for equal become one."""
    return at.rstrip(" ").casefold() if isinstance(at, str) and collation is Collation.LOOSE else at
