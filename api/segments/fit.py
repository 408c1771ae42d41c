"""Finds the segments: scikit-learn's k-means, minisom's map, or quantiles; and how well they are apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from api.segments.clean import clean
from api.segments.encode import Column, Floats, Rule, encode, numbers
from api.segments.model import Ints, Model, cuts, near
from api.segments.request import Request
from connectors.errors import QueryError


@dataclass(slots=True)
class Fitted:
    """A model, and what is told of how it came to be."""

    model: Model
    quality: dict[str, Any]
    cleaning: list[dict[str, Any]]
    dropped: int
    notes: list[str] = field(default_factory=list)


def fit(request: Request, columns: Mapping[str, Column], types: Mapping[str, str]) -> Fitted:
    """The same rows and request give the same model."""
    cleaned = clean(request, columns, types)
    encoded = encode(cleaned.rules, columns)
    points, notes = encoded.points[encoded.kept], [_repeats(request)]
    if request.method == "quantiles":
        model, quality = _quantiles(request, cleaned.rules, columns, encoded.kept)
        labels = model.place(columns).segment[encoded.kept]
        quality = _silhouette(request, points, labels, quality)
    else:
        centers, quality = _chosen(request, points, notes)
        model = Model(request.method, cleaned.rules, _tuples(centers), ())
    return Fitted(model, quality, cleaned.told, cleaned.dropped, [note for note in notes if note])


def _repeats(request: Request) -> str:
    return "" if request.method == "quantiles" else f"random choices were made with the seed {request.seed}"


def _tuples(centers: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(one) for one in center) for center in centers)


def _chosen(request: Request, points: Floats, notes: list[str]) -> tuple[Floats, dict[str, Any]]:
    """The centres for the number of segments with the best silhouette; of equal ones for the least."""
    distinct = len(np.unique(points, axis=0))
    if distinct < 2:
        raise QueryError("all customers are the same in what they are segmented by", sqlstate="22023")
    least, most = min(request.segments.from_, distinct), min(request.segments.to, distinct)
    if (least, most) != (request.segments.from_, request.segments.to):
        notes.append(f"there are only {distinct} different customers, and no more segments")
    find = _METHODS[request.method]
    best: tuple[Floats, dict[str, Any]] = points[:0], {"silhouette": -2.0}
    tried = []
    for count in range(least, most + 1):
        centers = ordered(points, find(request, points, count))
        quality = _silhouette(request, points, near_all(points, centers), {})
        tried.append({"segments": count, "silhouette": quality.get("silhouette")})
        if not len(best[0]) or _score(quality) > _score(best[1]):
            best = centers, quality
    if len(tried) > 1:
        best[1]["tried"] = tried
    if len(best[0]) < least:
        notes.append(f"{least} segments were asked for; {least - len(best[0])} of them had nobody in them")
    return best


def _score(quality: dict[str, Any]) -> float:
    found = quality.get("silhouette")
    return -2.0 if found is None else float(found)


def _kmeans(request: Request, points: Floats, count: int) -> Floats:
    from sklearn.cluster import KMeans

    found = KMeans(count, n_init=request.starts, random_state=request.seed).fit(points)
    centers: Floats = found.cluster_centers_
    return centers


def _som(request: Request, points: Floats, count: int) -> Floats:
    """The nodes of a map of that many, as near to a square as can be."""
    from minisom import MiniSom

    rows = max(number for number in range(1, int(count**0.5) + 1) if count % number == 0)
    width = max(rows, count // rows) / 2
    som = MiniSom(rows, count // rows, points.shape[1], sigma=max(width / 2, 0.5), random_seed=request.seed)
    som.random_weights_init(points)
    som.train(points, request.iterations or int(np.clip(5 * len(points), 1_000, 50_000)), random_order=True)
    nodes: Floats = som.get_weights().reshape(count, -1)
    return nodes


_METHODS: dict[str, Callable[[Request, Floats, int], Floats]] = {"kmeans": _kmeans, "som": _som}


def near_all(points: Floats, centers: Floats) -> Ints:
    """The nearest centre of each point, a part at a time."""
    parts = [near(points[start : start + 2048], centers) for start in range(0, len(points), 2048)]  # type: ignore[arg-type]
    return np.concatenate(parts)


def ordered(points: Floats, centers: Floats) -> Floats:
    """Largest segment first; what nobody is nearest to goes."""
    while True:
        sizes = np.bincount(near_all(points, centers), minlength=len(centers))
        order = sorted(range(len(centers)), key=lambda one: (-sizes[one], tuple(centers[one])))
        found: Floats = centers[[one for one in order if sizes[one]]]
        if len(found) == len(centers):
            return found
        centers = found


def _silhouette(request: Request, points: Floats, labels: Ints, quality: dict[str, Any]) -> dict[str, Any]:
    """Adds the mean silhouette: from -1 to 1, the more the better the segments are apart."""
    found = len(np.unique(labels))
    if not request.silhouette:
        return quality
    if not 2 <= found < len(points):
        return {**quality, "silhouette": None, "why": f"{found} segments of {len(points)} customers have no silhouette"}
    from sklearn import config_context
    from sklearn.metrics import silhouette_score

    size = request.sample if len(points) > request.sample else None
    try:
        with config_context(working_memory=128):
            score = float(silhouette_score(points, labels, sample_size=size, random_state=request.seed))
    except ValueError as error:  # a sample of one segment alone, or of as many as rows
        return {**quality, "silhouette": None, "why": str(error)}
    told: dict[str, Any] = {**quality, "silhouette": score, "of": len(points) if size is None else size}
    return told if size is None else {**told, "sampled": True, "seed": request.seed}


def _quantiles(
    request: Request, rules: tuple[Rule, ...], columns: Mapping[str, Column], kept: Any
) -> tuple[Model, dict[str, Any]]:
    backwards = tuple(by.name for by in request.by if by.lower_is_better)
    found = {rule.name: cuts(_filled(rule, columns, backwards)[kept], request.quantiles) for rule in rules}
    bare = Model("quantiles", rules, (), (), found, backwards, request.combine)
    encoded = encode(rules, columns)
    cells = bare.cells(columns, encoded)
    codes = sorted({cell for cell in cells if cell}, key=_best_first)
    place = np.array(cells)
    centers = np.array([encoded.points[place == code].mean(axis=0) for code in codes])
    model = Model("quantiles", rules, _tuples(centers), tuple(codes), found, backwards, request.combine, tuple(codes))
    return model, {}


def _best_first(code: str) -> tuple[int, ...]:
    return tuple(-int(part) for part in code.split("-"))


def _filled(rule: Rule, columns: Mapping[str, Column], backwards: tuple[str, ...]) -> Floats:
    values = numbers(rule, columns[rule.name])
    if isinstance(rule.fill, int | float):
        values = np.where(np.isnan(values), float(rule.fill), values)
    return -values if rule.name in backwards else values


def together(model: Model, labels: tuple[str, ...]) -> Model:
    """The model with names for its segments."""
    return Model.of({**model.json(), "labels": labels})


def counted(labels: Ints, count: int) -> Iterator[int]:
    """How many are in each segment, from 1."""
    yield from (int(number) for number in np.bincount(labels, minlength=count + 1)[1:])
