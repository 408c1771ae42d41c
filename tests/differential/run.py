"""The suite as a command: python -m tests.differential.run --seed S --placements N [--json]; one verdict at its end."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from federation.canon.server import Canon
from tests.differential.cases import Case, load
from tests.differential.data import Table, tables
from tests.differential.generate import random_cases
from tests.differential.loaders import drop_all, load_all, needed, started
from tests.differential.oracle import Answer, Oracle, deep_views, filled
from tests.differential.placements import ENGINES, USUAL, Placement, draw, write_project
from tests.differential.suite import Difference, Running, compare
from tests.servers import Server

MOST_ROWS = 20_000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.differential.run", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="first placement; the next ones count up")
    parser.add_argument("--placements", type=int, default=3)
    parser.add_argument("--data-seed", type=int, default=1)
    parser.add_argument("--engines", default=",".join(USUAL), help=f"of {', '.join(ENGINES)}")
    parser.add_argument("--only", default="", help="only queries whose name or group contains this")
    parser.add_argument("--zone", default="UTC", help="time zone of the session")
    parser.add_argument("--rules", action="store_true", help="also with each rule of the planner left out")
    parser.add_argument("--random", type=int, default=0, help="as many random queries besides")
    parser.add_argument("--report", type=Path, help="append what differs to this file, as JSON lines")
    parser.add_argument("--json", action="store_true", help="print nothing but the one object")
    return parser.parse_args()


@contextlib.contextmanager
def oracle(data: tuple[Table, ...], shuffle: int | None = None) -> Iterator[Oracle]:
    """An oracle in a canon of its own."""
    with Canon() as canon:
        with psycopg.connect(canon.dsn(), autocommit=True) as connection:
            connection.execute("CREATE DATABASE oracle")
        holder = filled(canon.dsn(dbname="oracle"), data, shuffle)
        try:
            yield holder
        finally:
            holder.close()


def _one(case: Case, variant: str, served: Running, wanted: Answer) -> Difference | None:
    try:
        return compare(case, wanted, served.ask(case, variant))
    except Exception as error:  # a query that hangs or breaks the harness must not end the run
        return Difference("refused", f"harness: {type(error).__name__}: {error}")


def _useful(case: Case, answer: Answer, again: Oracle) -> bool:
    """Random queries that raise prove nothing (which row is met first decides), nor do huge answers, nor those that
    PostgreSQL itself answers otherwise when rows stand in another order (which of two equal values is shown)."""
    if answer.error or len(answer.rows) > MOST_ROWS:
        return False
    return compare(case, answer, again.ask(case)) is None


def _tell(case: Case, placement: Placement, found: Difference, served: Running, arguments: argparse.Namespace) -> None:
    if not arguments.json:
        print(f"{found.kind} {case.name} [{placement.seed}]: {found.text}", file=sys.stderr)
    if arguments.report:
        entry = {"kind": found.kind, "name": case.name, "group": case.group, "seed": placement.seed, "text": found.text}
        entry |= {"sql": case.sql, "placement": str(placement), "plan": served.explain(case)}
        with arguments.report.open("a") as report:
            report.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _placement(
    number: int, cases: list[Case], wanted: dict[str, Answer], servers: dict[str, Server], arguments: argparse.Namespace
) -> dict[str, int]:
    counts = {"executions": 0, "equal": 0, "wrong": 0, "refused": 0}
    placement = draw(number, tables(arguments.data_seed), arguments.engines.split(","))
    with tempfile.TemporaryDirectory(prefix="vdw-differential-") as name:
        folder = Path(name)
        connections = load_all(folder, placement.all, servers, str(number))
        try:
            write_project(folder, f"differential-{number}", connections, (*placement.views, *deep_views()))
            served = Running(folder, arguments.zone)
            for line in served.diagnostics:
                print(f"[{number}] {line}", file=sys.stderr)
            for case in cases:
                for variant in served.variants(case, arguments.rules):
                    found = _one(case, variant, served, wanted[case.name])
                    counts["executions"] += 1
                    counts[found.kind if found else "equal"] += 1
                    if found:
                        _tell(case, placement, replace(found, text=f"({variant}) {found.text}"), served, arguments)
            served.close()
        finally:
            drop_all(connections, servers)
    return counts


def main() -> int:
    """0 only if every answer was equal."""
    arguments = _arguments()
    data = tables(arguments.data_seed)
    cases = [*load(), *random_cases(arguments.seed, arguments.random, data)]
    cases = [case for case in cases if arguments.only in f"{case.group} {case.name}"]
    start = time.monotonic()
    totals: dict[str, Any] = {}
    with contextlib.ExitStack() as stack:
        holder = stack.enter_context(oracle(data))
        again = stack.enter_context(oracle(data, shuffle=7)) if arguments.random else holder
        for each in (holder, again):
            each.zone(arguments.zone)
        wanted = {case.name: holder.ask(case) for case in cases}
        cases = [case for case in cases if case.group != "random" or _useful(case, wanted[case.name], again)]
        servers = {kind: stack.enter_context(started(kind)) for kind in needed(arguments.engines.split(","))}
        for number in range(arguments.seed, arguments.seed + arguments.placements):
            for key, value in _placement(number, cases, wanted, servers, arguments).items():
                totals[key] = totals.get(key, 0) + value
    totals |= {"queries": len(cases), "placements": arguments.placements}
    totals["seconds"] = round(time.monotonic() - start, 1)
    print(json.dumps(totals))
    return 0 if totals.get("equal") == totals.get("executions") else 1


if __name__ == "__main__":
    sys.exit(main())
