"""Customers as points: missing values, outliers, categories and scales by rules that are fitted once and kept.

numpy alone: what classifies one customer in the server is the very code that encoded those of the fit.
"""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from connectors.errors import QueryError

Floats = NDArray[np.float64]
Column = Sequence[Any]  # of Python values; None: missing
EPOCH = dt.date(1970, 1, 1).toordinal()
MISSING, OTHER = "(missing)", "(other)"


@dataclass(frozen=True, slots=True)
class Rule:
    """One attribute as it was fitted. Numbers: `fill` stands for what is missing, values are moved into
    [`low`, `high`], then transformed, then (x - center) / scale * weight. Categories: one number each."""

    name: str
    kind: str  # number | category | boolean | date
    missing: str
    fill: float | str | None = None
    transform: str = "none"
    low: float | None = None
    high: float | None = None
    outliers: str = ""
    center: float = 0.0
    scale: float = 1.0
    weight: float = 1.0
    categories: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers it becomes."""
        return (len(self.categories) if self.kind == "category" else 1) + (
            self.missing == "flag" and self.kind != "category"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Of these numbers."""
        if self.kind == "category":
            return tuple(f"{self.name}={one}" for one in self.categories)
        return (self.name, f"{self.name} is missing") if self.missing == "flag" else (self.name,)


@dataclass(slots=True)
class Encoded:
    """Rows as points. `kept` tells which rows have one; `filled` which attributes of a row had no value."""

    points: Floats  # of all rows; those that are not kept are NaN
    kept: NDArray[np.bool_]
    filled: list[tuple[str, ...]] = field(default_factory=list)


def numbers(rule: Rule, column: Column) -> Floats:
    """A column of numbers, days or truth values as floats, NaN where it is missing; QueryError 22P02 for what is
    none."""
    return np.array([_number(rule, value) for value in column], np.float64)


def _number(rule: Rule, value: Any) -> float:
    if value is None or value == "":
        return math.nan
    if rule.kind == "date":
        return _day(rule, value)
    if rule.kind == "boolean" and isinstance(value, str) and value.lower() in _TRUTH:
        return _TRUTH[value.lower()]
    try:
        found = float(value) if isinstance(value, bool | int | float | str | Decimal) else None
    except (ValueError, OverflowError):
        found = None
    if found is None:
        raise _wrong(rule, "a number")
    return found if math.isfinite(found) else math.nan


_TRUTH = {"true": 1.0, "t": 1.0, "yes": 1.0, "false": 0.0, "f": 0.0, "no": 0.0}


def _day(rule: Rule, value: Any) -> float:
    """Days since 1970, with their part for a moment."""
    try:
        given = dt.datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(given, dt.datetime):
            aware = given.replace(tzinfo=dt.UTC) if given.tzinfo is None else given
            return aware.timestamp() / 86_400
        if isinstance(given, dt.date):
            return float(given.toordinal() - EPOCH)
    except (ValueError, OverflowError):
        pass
    raise _wrong(rule, "a day, written YYYY-MM-DD")


def _wrong(rule: Rule, what: str) -> QueryError:
    return QueryError(f'attribute "{rule.name}" holds what is not {what}', sqlstate="22P02")


def texts(column: Column) -> list[str | None]:
    """A column of categories."""
    return [None if value is None or value == "" else _text(value) for value in column]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def encode(rules: Sequence[Rule], columns: Mapping[str, Column]) -> Encoded:
    """Rows by the fitted rules."""
    count = len(next(iter(columns.values()), ()))
    kept, parts, missing = np.ones(count, bool), [], []
    for rule in rules:
        part, absent, out = (
            _category(rule, columns[rule.name]) if rule.kind == "category" else _plain(rule, columns[rule.name])
        )
        parts.append(part)
        missing.append(absent)
        kept &= ~out
        if rule.missing == "drop":
            kept &= ~absent
    points = np.concatenate(parts, axis=1) if parts else np.empty((count, 0))
    points[~kept] = np.nan
    return Encoded(points, kept, _filled([rule.name for rule in rules], missing, count))


def _filled(names: Sequence[str], missing: Sequence[NDArray[np.bool_]], count: int) -> list[tuple[str, ...]]:
    """Of each row the attributes that had no value."""
    found: list[tuple[str, ...]] = [()] * count
    holes = np.array(missing)
    for row in np.nonzero(holes.any(axis=0))[0].tolist() if missing else ():
        found[row] = tuple(name for name, hole in zip(names, holes[:, row].tolist(), strict=True) if hole)
    return found


def _plain(rule: Rule, column: Column) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    values = numbers(rule, column)
    absent = np.isnan(values)
    out = np.zeros(len(values), bool)
    if rule.outliers == "drop":
        out = ~absent & (values != np.clip(values, rule.low, rule.high))
    if isinstance(rule.fill, int | float):
        values = np.where(absent, float(rule.fill), values)
    scaled = (shaped(rule, values) - rule.center) / rule.scale * rule.weight
    parts = [scaled[:, None]]
    if rule.missing == "flag":
        parts.append((absent.astype(np.float64) * rule.weight)[:, None])
    return np.concatenate(parts, axis=1), absent, out


def shaped(rule: Rule, values: Floats) -> Floats:
    """Within the bounds, and transformed; QueryError 2201E for a logarithm that there is not."""
    if rule.outliers == "clip":
        values = np.clip(values, rule.low, rule.high)
    if rule.transform == "log1p":
        with np.errstate(invalid="ignore"):
            if bool((values <= -1).any()):
                message = f'attribute "{rule.name}" has values of -1 and below, which log1p cannot take'
                raise QueryError(message, sqlstate="2201E", hint="Leave the transform out for it.")
            values = np.log1p(values)
    return values


def _category(rule: Rule, column: Column) -> tuple[Floats, NDArray[np.bool_], NDArray[np.bool_]]:
    values = texts(column)
    absent = np.array([value is None for value in values], bool)
    place = {name: i for i, name in enumerate(rule.categories)}
    other = place.get(OTHER)
    part = np.zeros((len(values), len(rule.categories)))
    for row, value in enumerate(values):
        known = str(rule.fill) if value is None and rule.fill is not None else value
        at = place.get(known, other) if known is not None else None
        if at is not None:
            part[row, at] = rule.weight * math.sqrt(0.5)  # two customers of different ones are 1 apart
    return part, absent, np.zeros(len(values), bool)


def common(values: Sequence[str | None], most: int) -> tuple[list[str], int]:
    """The most frequent categories, and how many rows have one of the others; ties by name."""
    counts = Counter(value for value in values if value is not None)
    ordered = sorted(counts, key=lambda one: (-counts[one], one))
    return ordered[:most], sum(counts[one] for one in ordered[most:])
