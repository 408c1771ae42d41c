"""Whether two answers to a query are the same: order where ORDER BY decides it, ties modulo, floats to 1e-12."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby

from tests.differential.oracle import Answer
from tests.differential.suite import Difference, Row, compare
from tests.fuzz.queries import Query


def differs(query: Query, wanted: Answer, got: Answer, whole: Callable[[], Answer]) -> Difference | None:
    """None where both are the same; `whole` gives the answer without the LIMIT, for rows that tie."""
    if wanted.error:
        return _errors(wanted, got)
    case = replace(query.case, ordered=query.sorted < 0, approx=query.approx)
    if query.unlimited and not got.error:
        found = compare(case, replace(wanted, rows=()), replace(got, rows=()))
        return found or _limited(query.sorted, wanted.rows, got.rows, lambda: whole().rows)
    return compare(case, wanted, got) or _sorted(query.sorted, wanted.rows, got.rows)


def _errors(wanted: Answer, got: Answer) -> Difference | None:
    if wanted.error == got.error:
        return None
    said = got.error or f"{len(got.rows)} rows"
    return Difference("wrong", f"error {wanted.error} expected ({wanted.message.strip()}), got {said} {got.message}")


def _sorted(keys: int, wanted: tuple[Row, ...], got: tuple[Row, ...]) -> Difference | None:
    """The leading columns row by row; what ties may stand in any order."""
    if keys <= 0:
        return None
    pairs = [(w[:keys], g[:keys]) for w, g in zip(wanted, got, strict=False) if w[:keys] != g[:keys]]
    return Difference("wrong", f"order of the first {keys} columns: {pairs[:4]}") if pairs else None


def _limited(
    keys: int, wanted: tuple[Row, ...], got: tuple[Row, ...], whole: Callable[[], tuple[Row, ...]]
) -> Difference | None:
    """Groups of ties at either end may be cut anywhere, those between are whole."""
    if len(wanted) != len(got):
        return Difference("wrong", f"{len(wanted)} rows wanted, {len(got)} got")
    found = _sorted(keys, wanted, got)
    if found is not None or Counter(wanted) == Counter(got):
        return found
    every = {key: Counter(rows) for key, rows in groupby(whole(), key=lambda row: row[:keys])}
    groups = {key: list(rows) for key, rows in groupby(got, key=lambda row: row[:keys])}
    for at, (key, rows) in enumerate(groups.items()):
        extra = Counter(rows) - every.get(key, Counter())
        if extra or (0 < at < len(groups) - 1 and Counter(rows) != every[key]):
            return Difference("wrong", f"rows of {key}: {rows[:4]} are not those of the whole answer")
    return None
