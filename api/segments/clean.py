"""From columns to rules: what fills a gap, what is out of bounds, how an attribute is scaled; and what that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from api.segments.encode import MISSING, OTHER, Column, Floats, Rule, common, encode, numbers, shaped, texts
from api.segments.request import By, Request
from connectors.errors import QueryError

NUMBERS = frozenset(("int2", "int4", "int8", "oid", "numeric", "float4", "float8", "money"))
DAYS = frozenset(("date", "timestamp", "timestamptz"))


@dataclass(slots=True)
class Cleaned:
    """The rules, and what they did: told for each attribute, and how many rows were left out."""

    rules: tuple[Rule, ...] = ()
    told: list[dict[str, Any]] = field(default_factory=list)
    dropped: int = 0


def clean(request: Request, columns: Mapping[str, Column], types: Mapping[str, str]) -> Cleaned:
    """Fit the rules to the rows; QueryError where an attribute cannot be segmented by."""
    cleaned = Cleaned()
    drafts = [_drafted(request, by, columns[by.name], types[by.name], cleaned.told) for by in request.by]
    kept = encode(drafts, columns).kept
    cleaned.dropped = int((~kept).sum())
    if not kept.any():
        hint = "Choose another rule for missing values or outliers."
        raise QueryError("no row is left to segment", sqlstate="22004", hint=hint)
    cleaned.rules = tuple(_scaled(request, rule, columns[rule.name], kept) for rule in drafts)
    return cleaned


def kind_of(by: By, type_: str) -> str:
    """How an attribute is taken, unless it is said: by its PostgreSQL type."""
    if by.kind is not None:
        return by.kind
    if type_ in NUMBERS:
        return "number"
    return "date" if type_ in DAYS else "boolean" if type_ == "bool" else "category"


def _drafted(request: Request, by: By, column: Column, type_: str, told: list[dict[str, Any]]) -> Rule:
    kind, asked = kind_of(by, type_), request.rule(by)
    if kind == "category":
        return _category(request, by, column, told)
    rule = Rule(by.name, kind, asked.rule, transform=by.transform, weight=by.weight)
    values = numbers(rule, column)
    present = values[~np.isnan(values)]
    if not len(present):
        raise QueryError(
            f'attribute "{by.name}" has no value in any row', sqlstate="22004", hint="Leave it out of `by`."
        )
    rule = _bounded(request, rule, present)
    inner = np.clip(present, rule.low, rule.high) if rule.outliers else present
    out = int((inner != present).sum())
    rule = replace(rule, fill=_fill(by.name, asked.rule, asked.value, inner))
    did = {"clip": "moved to the bounds", "drop": "rows left out"}.get(rule.outliers, "")
    gaps = len(values) - len(present)
    one: dict[str, Any] = {"attribute": by.name, "kind": kind, **_gaps(rule, gaps)}
    if rule.outliers:
        one |= {"outliers": out, "outlier_bounds": [rule.low, rule.high], "outliers_were": did}
    told.append(one)
    return rule


def _gaps(rule: Rule, count: int) -> dict[str, Any]:
    return {"missing": count, "missing_rule": rule.missing, "filled_with": rule.fill}


def _bounded(request: Request, rule: Rule, present: Floats) -> Rule:
    if request.outliers is None or rule.kind == "boolean":
        return rule
    low, high = np.quantile(present, [request.outliers.low, request.outliers.high])
    return replace(rule, low=float(low), high=float(high), outliers=request.outliers.rule)


def _fill(name: str, rule: str, value: float | str | None, present: Floats) -> float | None:
    if rule == "drop":
        return None
    if rule == "constant":
        try:
            return float(value or 0)
        except ValueError:
            raise QueryError(f'the constant for "{name}" is not a number', sqlstate="22P02") from None
    if rule == "mean":
        return float(present.mean())
    if rule == "mode":
        found, counts = np.unique(present, return_counts=True)
        return float(found[int(np.argmax(counts))])
    return float(np.median(present))


def _category(request: Request, by: By, column: Column, told: list[dict[str, Any]]) -> Rule:
    values, asked = texts(column), request.rule(by)
    if request.method == "quantiles":
        raise QueryError(f'attribute "{by.name}" is a category, and has no quantiles', sqlstate="42804")
    names, others = common(values, by.categories)
    gaps = sum(value is None for value in values)
    if not names:
        raise QueryError(
            f'attribute "{by.name}" has no value in any row', sqlstate="22004", hint="Leave it out of `by`."
        )
    fill = {"drop": None, "constant": str(asked.value)}.get(asked.rule, names[0])
    if asked.rule == "flag":
        fill = MISSING
    listed = [
        *names,
        *([fill] if fill is not None and gaps and fill not in names else []),
        *([OTHER] if others else []),
    ]
    rule = Rule(by.name, "category", asked.rule, fill, weight=by.weight, categories=tuple(listed))
    told.append({"attribute": by.name, "kind": "category", **_gaps(rule, gaps), "in_other_categories": others})
    return rule


def _scaled(request: Request, rule: Rule, column: Column, kept: Any) -> Rule:
    """With centre and scale as scikit-learn's scaler of that name has them for the rows that are kept."""
    if rule.kind == "category" or request.scaling == "none":
        return rule
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    values = numbers(rule, column)
    if isinstance(rule.fill, int | float):
        values = np.where(np.isnan(values), float(rule.fill), values)
    points = shaped(rule, values[kept])[:, None]
    if request.scaling == "standard":
        standard = StandardScaler().fit(points)
        return replace(rule, center=float(standard.mean_[0]), scale=float(standard.scale_[0]))
    if request.scaling == "robust":
        robust = RobustScaler().fit(points)
        return replace(rule, center=float(robust.center_[0]), scale=float(robust.scale_[0]))
    minmax = MinMaxScaler().fit(points)
    return replace(rule, center=float(minmax.data_min_[0]), scale=float(minmax.data_range_[0]) or 1.0)


def names_of(rules: Sequence[Rule]) -> list[str]:
    """What the numbers of a point are."""
    return [name for rule in rules for name in rule.names]
