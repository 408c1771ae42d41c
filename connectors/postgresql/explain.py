"""PostgreSQL's EXPLAIN (FORMAT JSON), read for what it would examine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.reading import Reading, Step

_SCANS = frozenset(("Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Seq Scan", "Sample Scan", "Tid Scan"))


def read(plan: Any) -> Reading:
    """The reading of what EXPLAIN gave: a list of one mapping with "Plan"."""
    top = plan[0]["Plan"]
    return Reading(tuple(_steps(top, 1.0, 1.0)), _told(top))


def _steps(node: Mapping[str, Any], times: float, share: float) -> Iterator[Step]:
    """Each scan; `times` it is begun, and the share of its rows that a LIMIT above lets be read."""
    kind = str(node["Node Type"])
    if kind in _SCANS:
        yield _scan(node, kind, times, share)
        return
    inner = node.get("Plans", ())
    if kind == "Limit" and inner and inner[0]["Total Cost"] > 0:
        share *= min(1.0, node["Total Cost"] / inner[0]["Total Cost"])
    elif kind in ("Sort", "Incremental Sort", "Aggregate", "Hash", "Materialize", "Memoize"):
        share = 1.0 if kind != "Incremental Sort" else share  # all of the input comes before any of the output
    for at, below in enumerate(inner):
        again = node["Plans"][0]["Plan Rows"] if kind == "Nested Loop" and at else 1.0
        once = 1.0 if below["Node Type"] == "Materialize" else max(float(again), 1.0)
        yield from _steps(below, times * once, share)


def _scan(node: Mapping[str, Any], kind: str, times: float, share: float) -> Step:
    name = str(node.get("Relation Name", node.get("Alias", "")))
    rows = float(node["Plan Rows"])
    workers = float(node.get("Workers Planned", 1))
    if kind == "Seq Scan":
        return Step(name, None, "", times * share)  # "Plan Rows" are those that pass its filter: it reads all
    if kind == "Bitmap Heap Scan":
        rows = sum(float(below["Plan Rows"]) for below in node.get("Plans", ())) or rows
        index = next((str(below["Index Name"]) for below in node.get("Plans", ()) if "Index Name" in below), "bitmap")
        return Step(name, rows * times * share, index, times)
    if "Filter" in node:  # rows that the filter drops are not told, but paid for
        rows = max(rows, (float(node["Total Cost"]) - float(node["Startup Cost"])) / 4)
    if "Index Cond" not in node and kind in ("Index Scan", "Index Only Scan"):
        return Step(name, None, "", times * share)  # the whole index, in its order
    return Step(name, rows * times * share * workers, str(node.get("Index Name", "ctid")), times)


def _told(node: Mapping[str, Any], depth: int = 0) -> str:
    words = [str(node["Node Type"])]
    words += [f"on {node['Relation Name']}"] if "Relation Name" in node else []
    words += [f"by {node['Index Name']}"] if "Index Name" in node else []
    line = "  " * depth + " ".join(words) + f", {float(node['Plan Rows']):,.0f} rows"
    return "\n".join([line, *(_told(below, depth + 1) for below in node.get("Plans", ()))])
