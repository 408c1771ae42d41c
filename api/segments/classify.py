"""New customers in a fitted segmentation's segments, at once, in the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from api.segments.model import Model, Placed, squares
from connectors.errors import QueryError
from views.validate import did_you_mean


def classify(model: Model, customers: Sequence[Mapping[str, Any]], key: str | None) -> list[dict[str, Any]]:
    """One answer for each, in order; QueryError 22023 for what is no customer of this segmentation."""
    names = [rule.name for rule in model.rules]
    for number, customer in enumerate(customers, 1):
        _checked(customer, number, names, key)
    columns = {name: [customer.get(name) for customer in customers] for name in names}
    for rule in model.rules:
        for number, value in enumerate(columns[rule.name], 1):
            if isinstance(value, list | dict):
                raise _wrong(number, f'"{rule.name}" must be a single value')
    placed = _placed(model, columns)
    return [_told(model, placed, row, customer, key) for row, customer in enumerate(customers)]


def _placed(model: Model, columns: Mapping[str, Sequence[Any]]) -> Placed:
    try:
        return model.place(columns)
    except QueryError as error:
        for row in range(len(next(iter(columns.values())))):
            try:
                model.place({name: column[row : row + 1] for name, column in columns.items()})
            except QueryError as one:
                one.place = f"customer {row + 1}"
                raise one from None
        raise error


def _checked(customer: Any, number: int, names: Sequence[str], key: str | None) -> None:
    if not isinstance(customer, Mapping):
        raise _wrong(number, "must be an object of attributes")
    strange = sorted(customer.keys() - {*names, key})
    if strange:
        raise _wrong(
            number, f'"{strange[0][:60]}" is no attribute of this segmentation', did_you_mean(strange[0], names)
        )


def _wrong(number: int, message: str, hint: str = "") -> QueryError:
    return QueryError(message, sqlstate="22023", place=f"customer {number}", hint=hint or None)


def _told(model: Model, placed: Placed, row: int, customer: Mapping[str, Any], key: str | None) -> dict[str, Any]:
    number = int(placed.segment[row])
    answer: dict[str, Any] = {key: customer[key]} if key is not None and key in customer else {}
    filled = list(placed.encoded.filled[row])
    if not number:
        return {**answer, "segment": None, "why": _why(placed, row), "missing": filled}
    apart = np.sqrt(squares(placed.encoded.points[row : row + 1], model.centers))[0]
    ranked = sorted(range(len(apart)), key=lambda one: (apart[one], one))[:5]
    return {
        **answer,
        "segment": number,
        "label": model.labels[number - 1],
        "distance": float(placed.distance[row]),
        "confidence": float(placed.confidence[row]),
        "nearest": [{"segment": one + 1, "label": model.labels[one], "distance": float(apart[one])} for one in ranked],
        "missing": filled,
        **({"cell": placed.cells[row]} if placed.cells else {}),
    }


def _why(placed: Placed, row: int) -> str:
    if not placed.encoded.kept[row]:
        return "the rules of this segmentation leave out whoever lacks a value or is an outlier"
    return f"nobody was in the cell {placed.cells[row]} when the segmentation was fitted"
