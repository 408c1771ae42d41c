"""A fitted segmentation: nothing but numbers and names, kept as JSON; and which segment a customer is in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from api.segments.encode import Column, Encoded, Floats, Rule, encode, numbers

CHUNK = 2048  # rows whose distances are computed at once
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Placed:
    """Where rows belong: `segment` from 1, 0 for none; `distance` to its centre and `confidence` are NaN there. The
    confidence is 1 - distance / distance to the nearest other centre: 0 on the border, 1 at the centre."""

    encoded: Encoded
    segment: Ints
    distance: Floats
    confidence: Floats
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """`centers` are points, one a segment. For quantiles `cuts` say from which value on each next quantile begins, and
    `codes` which cell or sum each segment is."""

    method: str
    rules: tuple[Rule, ...]
    centers: tuple[tuple[float, ...], ...]
    labels: tuple[str, ...]
    cuts: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    reversed: tuple[str, ...] = ()
    combine: str = "cells"
    codes: tuple[str, ...] = ()

    def json(self) -> dict[str, Any]:
        """What `of` reads."""
        return asdict(self)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Model:
        """The model that was written so."""
        rules = tuple(Rule(**{**rule, "categories": tuple(rule["categories"])}) for rule in given["rules"])
        centers = tuple(tuple(center) for center in given["centers"])
        cuts = {name: tuple(values) for name, values in given["cuts"].items()}
        listed = {name: tuple(given[name]) for name in ("labels", "reversed", "codes")}
        return cls(**{**given, "rules": rules, "centers": centers, "cuts": cuts, **listed})

    def place(self, columns: Mapping[str, Column]) -> Placed:
        """The segments of rows, given as columns."""
        encoded = encode(self.rules, columns)
        if self.method == "quantiles":
            cells = tuple(self.cells(columns, encoded))
            known = {code: i + 1 for i, code in enumerate(self.codes)}
            segment = np.array([known.get(cell, 0) for cell in cells], np.int64)
            return Placed(encoded, segment, *self._apart(encoded.points, segment), cells)
        nearest = np.concatenate(
            [*(near(part, self.centers) for part in _chunks(encoded.points)), np.empty(0, np.int64)]
        )
        segment = np.where(encoded.kept, nearest + 1, 0)
        return Placed(encoded, segment, *self._apart(encoded.points, segment))

    def _apart(self, points: Floats, segment: Ints) -> tuple[Floats, Floats]:
        """Distance to the own centre, and confidence."""
        distance, confidence = np.full(len(points), np.nan), np.full(len(points), np.nan)
        for start in range(0, len(points), CHUNK):
            rows = np.nonzero(segment[start : start + CHUNK])[0] + start
            if len(rows):
                apart, mine = np.sqrt(squares(points[rows], self.centers)), segment[rows] - 1
                own = apart[np.arange(len(rows)), mine]
                apart[np.arange(len(rows)), mine] = np.inf
                other = apart.min(axis=1)
                with np.errstate(divide="ignore", invalid="ignore"):
                    sure = np.where(np.isinf(other), 1.0, np.where(other > 0, 1 - own / other, 0.0))
                distance[rows], confidence[rows] = own, np.clip(sure, 0.0, 1.0)
        return distance, confidence

    def cells(self, columns: Mapping[str, Column], encoded: Encoded) -> list[str]:
        """For each row its quantiles, such as 5-1-3, or their sum; '' where it has none."""
        parts = [self.quantile(rule, columns[rule.name]) for rule in self.rules]
        rows = zip(*(part.tolist() for part in parts), strict=True)
        total = self.combine == "total"
        made = [str(sum(row)) if total else "-".join(map(str, row)) for row in rows]
        return [cell if kept else "" for cell, kept in zip(made, encoded.kept.tolist(), strict=True)]

    def quantile(self, rule: Rule, column: Column) -> Ints:
        """Of each value of a column, from 1; equal values always have the same."""
        values = numbers(rule, column)
        if isinstance(rule.fill, int | float):
            values = np.where(np.isnan(values), float(rule.fill), values)
        cuts = np.array(self.cuts[rule.name])
        sign = -1.0 if rule.name in self.reversed else 1.0
        found: Ints = 1 + (sign * values[:, None] > cuts[None, :]).sum(axis=1)
        return found


def cuts(values: Floats, count: int) -> tuple[float, ...]:
    """Where quantiles begin: value v is in quantile 1 + floor(count * share of smaller values), so that equal values
    have the same and n distinct ones are spread evenly, as by ntile.

    >>> cuts(np.array([1.0, 1.0, 1.0, 2.0, 3.0]), 5)
    (1.0, 1.0, 1.0, 2.0)
    """
    ordered = np.sort(values)
    places = [-(-len(ordered) * number // count) - 1 for number in range(1, count)]
    return tuple(float(ordered[place]) for place in places)


def squares(points: Floats, centers: Sequence[Sequence[float]]) -> Floats:
    """Squared distances, a row for each point; the same whichever points come together."""
    found: Floats = ((points[:, None, :] - np.array(centers)[None, :, :]) ** 2).sum(axis=2)
    return found


def near(points: Floats, centers: Sequence[Sequence[float]]) -> Ints:
    """The nearest centre of each point; of equally near ones the first."""
    found: Ints = np.argmin(np.nan_to_num(squares(points, centers), nan=0.0), axis=1)
    return found


def _chunks(points: Floats) -> list[Floats]:
    return [points[start : start + CHUNK] for start in range(0, len(points), CHUNK)]
