"""What is fitted equals what the libraries give, called by hand; ties, gaps and outliers by their rules."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from api.segments.classify import classify
from api.segments.clean import clean
from api.segments.encode import encode, numbers
from api.segments.fit import fit
from api.segments.model import Model, cuts
from api.segments.profile import profiles
from api.segments.request import Request
from api.uploads.describe import read
from connectors.errors import QueryError

TYPES = {"a": "numeric", "b": "float8", "c": "text", "d": "date", "e": "bool"}
Columns = dict[str, list[Any]]


def request(**given: Any) -> Request:
    return read(Request, {"from": {"view": "x.y"}, "by": ["a", "b"], "segments": 3, **given}, "segmentation")


@pytest.fixture(scope="module")
def columns() -> Columns:
    random = np.random.RandomState(3)
    group = random.randint(0, 3, 400)
    return {
        "a": [float(random.normal((0, 10, 20)[one], 1)) for one in group],
        "b": [float(random.normal((5, 50, 5)[one], 4)) for one in group],
        "c": [("x", "y", "z")[one] if random.rand() < 0.9 else None for one in group],
    }


@pytest.mark.parametrize(
    ("scaling", "scaler"), [("standard", StandardScaler()), ("minmax", MinMaxScaler()), ("robust", RobustScaler())]
)
def test_kmeans_is_scikit_learns(columns: Columns, scaling: str, scaler: Any) -> None:
    points = scaler.fit_transform(np.array([columns["a"], columns["b"]]).T)
    by_hand = KMeans(3, n_init=10, random_state=7).fit(points)
    fitted = fit(request(scaling=scaling, seed=7), columns, TYPES)
    ours = fitted.model.place(columns).segment
    assert len({(int(one), int(other)) for one, other in zip(ours, by_hand.labels_, strict=True)}) == 3
    assert fitted.quality["silhouette"] == pytest.approx(silhouette_score(points, by_hand.labels_), abs=1e-12)
    sizes = np.bincount(ours)[1:].tolist()
    assert sizes == sorted(sizes, reverse=True)


def test_the_number_of_segments_with_the_best_silhouette(columns: Columns) -> None:
    fitted = fit(request(segments={"from": 2, "to": 5}), columns, TYPES)
    tried = fitted.quality["tried"]
    assert [one["segments"] for one in tried] == [2, 3, 4, 5]
    assert max(tried, key=lambda one: one["silhouette"])["segments"] == len(fitted.model.centers) == 3
    sampled = fit(request(sample=100, seed=4), columns, TYPES).quality
    assert (sampled["sampled"], sampled["of"], sampled["seed"]) == (True, 100, 4)


@pytest.mark.parametrize("method", ["kmeans", "som", "quantiles"])
def test_the_same_again_and_each_customer_in_its_segment(columns: Columns, method: str) -> None:
    by = ["a", "b", "c"] if method != "quantiles" else ["a", {"name": "b", "lower_is_better": True}]
    asked = request(method=method, by=by, missing="median", segments=4)
    first, again = fit(asked, columns, TYPES), fit(asked, columns, TYPES)
    assert first.model == again.model
    kept = Model.of(json.loads(json.dumps(first.model.json())))
    assert {**kept.json(), "labels": ()} == first.model.json() | {"labels": ()}
    labels = first.model.labels or tuple("abcd"[: len(first.model.centers)])
    model = Model.of({**kept.json(), "labels": labels})
    placed = model.place(columns)
    rows = [{name: columns[name][i] for name in [rule.name for rule in model.rules]} for i in range(0, 400, 7)]
    found = [classify(model, [row], None)[0] for row in rows]
    assert [one["segment"] for one in found] == placed.segment[::7].tolist()
    assert [one["distance"] for one in found] == placed.distance[::7].tolist()
    assert all(0 <= one["confidence"] <= 1 for one in found)
    told = profiles(model, columns, placed.segment)
    assert sum(one["size"] for one in told) == 400
    assert math.isclose(sum(one["share"] for one in told), 1)
    members = [value for value, own in zip(columns["a"], placed.segment, strict=True) if own == 1]
    assert told[0]["profile"]["a"]["mean"] == pytest.approx(np.mean(members))
    assert told[0]["profile"]["a"]["median"] == pytest.approx(np.median(members))


@settings(max_examples=80)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=60), st.integers(2, 7), st.integers(-2, 8))
def test_equal_values_have_the_same_quantile(values: list[int], count: int, new: int) -> None:
    """By the rule, word for word: 1 + floor(count * share of smaller values)."""
    found = cuts(np.array(values, float), count)
    for value in {*values, new}:
        assert 1 + sum(value > cut for cut in found) == min(
            1 + count * sum(v < value for v in values) // len(values), count
        )


GAPS: Columns = {"a": [1, None, 3, 5, 100], "b": [1.0, 2.0, math.nan, 4.0, 5.0], "c": ["x", "x", None, "y", "w"]}


@pytest.mark.parametrize(
    ("missing", "filled", "left_out"),
    [
        ("median", 4.0, 0),
        ("mean", 27.25, 0),
        ("mode", 1.0, 0),
        ({"rule": "constant", "value": 7}, 7.0, 0),
        ("drop", None, 2),
    ],
)
def test_gaps_are_filled_by_the_rule_and_told(missing: Any, filled: float | None, left_out: int) -> None:
    cleaned = clean(request(missing=missing, scaling="none"), GAPS, TYPES)
    assert (cleaned.told[0]["missing"], cleaned.told[0]["filled_with"], cleaned.dropped) == (1, filled, left_out)
    points = encode(cleaned.rules, GAPS)
    assert points.kept.sum() == 5 - left_out
    assert points.filled == [(), ("a",), ("b",), (), ()]
    if filled is not None:
        assert points.points[1, 0] == filled


def test_flags_categories_and_outliers() -> None:
    asked = request(
        by=[{"name": "a", "missing": "flag"}, {"name": "c", "missing": "flag", "categories": 1}], scaling="none"
    )
    cleaned = clean(asked, GAPS, TYPES)
    assert [name for rule in cleaned.rules for name in rule.names] == [
        "a",
        "a is missing",
        "c=x",
        "c=(missing)",
        "c=(other)",
    ]
    assert encode(cleaned.rules, GAPS).points[1].tolist()[:2] == [4.0, 1.0]
    assert cleaned.told[1]["in_other_categories"] == 2
    new = encode(cleaned.rules, {"a": [2], "c": ["never seen"]}).points[0]
    assert new[4] > 0 and new[2] == new[3] == 0
    clipped = clean(request(by=["a"], outliers="clip", scaling="none"), {"a": [*range(100), 10_000]}, TYPES)
    assert (clipped.told[0]["outliers"], clipped.told[0]["outliers_were"], clipped.dropped) == (
        2,
        "moved to the bounds",
        0,
    )
    dropped = clean(request(by=["a"], outliers="drop", scaling="none"), {"a": [*range(100), 10_000]}, TYPES)
    assert (dropped.told[0]["outliers"], dropped.dropped) == (2, 2)
    with pytest.raises(QueryError, match="log1p cannot take"):
        fit(request(by=[{"name": "a", "transform": "log1p"}]), {"a": [1, -5, 3]}, TYPES)


def test_days_and_truth_values() -> None:
    import datetime as dt

    rule = clean(
        request(by=["d", "e"], scaling="none"), {"d": [dt.date(1970, 1, 2)] * 3, "e": [True, False, None]}, TYPES
    )
    assert numbers(rule.rules[0], ["1970-01-03", dt.datetime(1970, 1, 1, 12, tzinfo=dt.UTC), None])[:2].tolist() == [
        2.0,
        0.5,
    ]
    assert numbers(rule.rules[1], [True, "false", "t"]).tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(QueryError, match="not a day"):
        numbers(rule.rules[0], ["soon"])


def test_a_cell_that_nobody_was_in_is_told() -> None:
    fitted = fit(
        request(method="quantiles", quantiles=2, silhouette=False), {"a": [1, 2, 3, 4], "b": [1.0, 2, 3, 4]}, TYPES
    )
    assert fitted.model.codes == ("2-2", "1-1")
    found = classify(fitted.model, [{"a": 1, "b": 4}, {"a": 9, "b": 9}], None)
    assert (found[0]["segment"], found[1]["cell"]) == (None, "2-2")
    assert "nobody was in the cell 1-2" in found[0]["why"]


@settings(max_examples=60)
@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b", "c", "z"]),
            st.none() | st.text(max_size=5) | st.integers() | st.floats() | st.booleans(),
        ),
        max_size=4,
    )
)
def test_any_customer_is_classified_or_a_clear_error(customers: list[dict[str, Any]]) -> None:
    model = fit(request(by=["a", "b"], method="quantiles", silhouette=False, scaling="none"), GAPS, TYPES).model
    try:
        assert len(classify(model, customers, None)) == len(customers)
    except QueryError as error:
        assert error.place
