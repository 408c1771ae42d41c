"""DuckDB as a peer: reads one JSON object a line, answers with one. Runs in the tools' environment, without vdw.

{"do": "set", "sql": [...]}             statements to run, as ATTACH
{"do": "rows", "sql": ...}              the rows of a query
{"do": "time", "sql": ..., "seconds"}   milliseconds of a query, its rows, and how many rows each scan read
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import duckdb


def main() -> None:
    """Until standard input ends; the extensions to load are the arguments."""
    connection = duckdb.connect()
    for path in sys.argv[1:]:
        connection.execute(f"LOAD '{path}'")
    for line in sys.stdin:
        try:
            answer = _answer(connection, **json.loads(line))
        except duckdb.Error as error:
            answer = {"error": str(error)}
        print(json.dumps(answer, default=str), flush=True)


def _answer(connection: duckdb.DuckDBPyConnection, do: str, sql: Any, seconds: float = 0.0) -> dict[str, Any]:
    if do == "set":
        for statement in sql:
            connection.execute(statement)
        return {}
    if do == "rows":
        return {"rows": connection.execute(sql).fetchall()}
    return _timed(connection, sql, seconds)


def _timed(connection: duckdb.DuckDBPyConnection, sql: str, seconds: float) -> dict[str, Any]:
    connection.execute("SET enable_profiling = 'no_output'")
    timer = threading.Timer(seconds, connection.interrupt)
    timer.start()
    try:
        began = time.perf_counter()
        rows = connection.execute(sql).fetchall()
        ms = (time.perf_counter() - began) * 1000
    finally:
        timer.cancel()
    scans = list(_scans(json.loads(connection.get_profiling_information(format="json"))))
    connection.execute("PRAGMA disable_profiling")
    return {"ms": ms, "rows": len(rows), "scans": scans}


def _scans(node: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """(function, rows that it gave) of each scan of something outside DuckDB."""
    name = str(node.get("extra_info", {}).get("Function", "")).lower()
    if node.get("operator_type") == "TABLE_SCAN" and name:
        yield name, int(node["operator_cardinality"])
    for child in node.get("children", ()):
        yield from _scans(child)


main()
