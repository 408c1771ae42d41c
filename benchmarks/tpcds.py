"""TPC-DS's 99 queries over four kinds of sources: how many are answered, and as one PostgreSQL answers them."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path
from typing import Any

from benchmarks import stage, tpcds_data
from benchmarks.figures import show
from benchmarks.sides import One, Ours, differs
from benchmarks.tools import Tools, cache_folder


def main() -> int:
    """0 only if every query that PostgreSQL answers is answered, and equally."""
    told = _arguments()
    tools = Tools(told.cache)
    found: dict[str, list[str]] = {"equal": [], "wrong": [], "refused": [], "not_postgresql": []}
    times, empty = {"ours": 0.0, "one": 0.0}, 0
    with contextlib.ExitStack() as stack:
        placed = stack.enter_context(tpcds_data.placed(told.cache, told.sf, tools))
        folder = stack.enter_context(stage.folder())
        ours = stack.enter_context(contextlib.closing(Ours(folder, placed.sources, {})))
        one = stack.enter_context(contextlib.closing(One(placed.postgresql, tpcds_data.ONE)))
        for query, sql in texts(tools).items():
            if told.only and query not in told.only.split(","):
                continue
            verdict, figures = _query(query, sql, ours, one, told.seconds)
            found[verdict].append(query)
            empty += figures.get("rows") == 0
            for side in times:
                times[side] += figures.get(f"{side}_ms", 0.0) if verdict == "equal" else 0.0
            show(told.json, query, verdict=verdict, **figures)
            if told.explain:
                print(ours.explain(sql), file=sys.stderr)
    counts: dict[str, Any] = {name: len(queries) for name, queries in found.items()}
    counts |= {f"which_{name}": queries for name, queries in found.items() if name != "equal"}
    answered = counts["equal"] + counts["wrong"]
    summed = {f"{side}_ms": ms for side, ms in times.items()}
    whole = sum(map(len, found.values()))
    show(told.json, "sum", sf=told.sf, queries=whole, answered=answered, empty=empty, **counts, **summed)
    return 0 if not found["wrong"] and not found["refused"] else 1


def texts(tools: Tools) -> dict[str, str]:
    """The 99 queries with their validation parameters, as "q1" to "q99"; PostgreSQL reads all of them as they are."""
    peer = tools.peer()
    try:
        rows = peer.ask(do="rows", sql="SELECT query_nr, query FROM tpcds_queries() ORDER BY 1")["rows"]
    finally:
        peer.close()
    return {f"q{number}": text.strip().rstrip(";") for number, text in rows}


def _query(query: str, sql: str, ours: Ours, one: One, seconds: float) -> tuple[str, dict[str, Any]]:
    wanted = one.ask(sql, seconds)
    if wanted.answer.error:
        return "not_postgresql", {"error": wanted.answer.message.strip()}
    got = ours.ask(sql, seconds)
    figures: dict[str, Any] = {"one_ms": wanted.ms, "ours_ms": got.ms, "rows": len(wanted.answer.rows)}
    figures |= {"fetched": dict(got.fetched), "statements": dict(got.statements)}
    figures |= {"engine": got.engine, "why": got.why}
    difference = differs(query, sql, wanted, got)
    if not difference:
        return "equal", figures
    return ("refused" if got.answer.error else "wrong"), figures | {"error": difference}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tpcds", description=__doc__)
    parser.add_argument("--sf", type=float, default=0.01, help="scale factor (default 0.01)")
    parser.add_argument("--only", default="", help="some queries, as q1,q5")
    parser.add_argument("--seconds", type=float, default=60.0, help="that a query may take")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="where loaded servers and tools stay")
    parser.add_argument("--explain", action="store_true", help="plans of ours, to standard error")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
