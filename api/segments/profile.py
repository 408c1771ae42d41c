"""What the segments are like: sizes, each attribute's figures, and what sets a segment apart from all customers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from api.segments.encode import EPOCH, Column, Floats, Rule, numbers, texts
from api.segments.model import Ints, Model

TELLING = 0.5  # standard deviations (or the like) from all customers, from which on it is part of a segment's name
SHOWN = 8  # categories of a profile
MOST = 200  # segments that are described one by one


def profiles(model: Model, columns: Mapping[str, Column], segment: Ints) -> list[dict[str, Any]]:
    """One for each segment; figures are of values that are there, before gaps are filled."""
    total = int((segment > 0).sum())
    figures = {rule.name: _Figures(rule, columns[rule.name], segment > 0) for rule in model.rules}
    found = []
    for number in range(1, min(len(model.centers), MOST) + 1):
        rows = segment == number
        size = int(rows.sum())
        profile = {name: one.of(rows) for name, one in figures.items()}
        apart = sorted(profile, key=lambda name: -abs(profile[name]["apart"]))
        found.append(
            {
                "segment": number,
                "label": model.labels[number - 1] if model.labels else _label(profile, apart),
                "size": size,
                "share": size / total if total else 0.0,
                "profile": profile,
                "distinguishing": [name for name in apart if profile[name]["apart"]][:3],
            }
        )
    return found


def _label(profile: Mapping[str, Mapping[str, Any]], apart: list[str]) -> str:
    """Of what sets it apart, such as "high spent, low age"."""
    telling = [name for name in apart if abs(profile[name]["apart"]) >= TELLING][:2]
    words = [profile[name]["word"] for name in telling]
    return ", ".join(words) or "average"


class _Figures:
    """One attribute's, for any part of the rows."""

    def __init__(self, rule: Rule, column: Column, rows: Any) -> None:
        self._rule, self._category = rule, rule.kind == "category"
        self._texts = np.array(texts(column), object) if self._category else np.empty(0, object)
        self._values = np.empty(0) if self._category else numbers(rule, column)
        if self._category:
            self._all = _shares(self._texts[rows])
        else:
            present = _present(self._values[rows])
            self._mean, self._spread = (float(present.mean()), float(present.std())) if len(present) else (0.0, 0.0)

    def of(self, rows: Any) -> dict[str, Any]:
        """`apart`: by how many standard deviations of all customers the segment's mean is off theirs."""
        return self._of_texts(self._texts[rows]) if self._category else self._of_numbers(self._values[rows])

    def _of_numbers(self, values: Floats) -> dict[str, Any]:
        present = _present(values)
        missing = len(values) - len(present)
        if not len(present):
            return {"missing": missing, "apart": 0.0, "word": ""}
        mean = float(present.mean())
        apart = (mean - self._mean) / self._spread if self._spread else 0.0
        figures = {
            "mean": mean,
            "median": float(np.median(present)),
            "min": float(present.min()),
            "max": float(present.max()),
        }
        told = {name: self._shown(value) for name, value in figures.items()}
        return {**told, "missing": missing, "apart": apart, "word": self._word(mean, apart)}

    def _word(self, mean: float, apart: float) -> str:
        if self._rule.kind == "boolean":
            return self._rule.name if mean > self._mean else f"not {self._rule.name}"
        early, late = ("early", "late") if self._rule.kind == "date" else ("low", "high")
        return f"{late if apart > 0 else early} {self._rule.name}"

    def _shown(self, value: float) -> Any:
        if self._rule.kind != "date":
            return value
        return str(np.datetime64(0, "D") + np.timedelta64(int(np.floor(value)), "D")) if abs(value) < EPOCH else None

    def _of_texts(self, values: Any) -> dict[str, Any]:
        shares = _shares(values)
        apart, most = 0.0, ""
        for name in {*shares, *self._all}:
            whole = self._all.get(name, 0.0)
            spread = (whole * (1 - whole)) ** 0.5
            off = (shares.get(name, 0.0) - whole) / spread if spread else 0.0
            if abs(off) > abs(apart) or (abs(off) == abs(apart) and name < most):
                apart, most = off, name
        ranked = sorted(shares, key=lambda one: (-shares[one], one))[:SHOWN]
        word = f"{self._rule.name} {most}" if apart > 0 else f"{self._rule.name} not {most}"
        missing = sum(value is None for value in values)
        return {"shares": {one: shares[one] for one in ranked}, "missing": missing, "apart": apart, "word": word}


def _present(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _shares(values: Any) -> dict[str, float]:
    counts = Counter(value for value in values if value is not None)
    total = sum(counts.values())
    return {name: count / total for name, count in counts.items()}
