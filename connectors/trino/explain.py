"""Trino's EXPLAIN (TYPE IO): which tables a statement reads, and how many rows the engine expects of each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from connectors.reading import Reading, Step


def question(statement: str) -> str:
    """The statement that asks how `statement` would run; nothing is run."""
    return f"EXPLAIN (TYPE IO, FORMAT JSON) {statement}"


def read(text: str) -> Reading:
    """The reading of its answer: Trino has no indexes, and says what a scan gives before it is filtered."""
    told = json.loads(text)
    steps = tuple(_step(one) for one in told.get("inputTableColumnInfos", ()))
    lines = (f"{s.table}, from end to end, {_count(s.rows)} rows" for s in steps)
    return Reading(steps, "\n".join(lines))


def _step(one: Mapping[str, Any]) -> Step:
    rows = one.get("estimate", {}).get("outputRowCount")
    known = float(rows) if isinstance(rows, int | float) else None  # "NaN" where nobody has counted
    return Step(one["table"]["schemaTable"]["table"], known)


def _count(rows: float | None) -> str:
    return "?" if rows is None else f"{rows:,.0f}"
