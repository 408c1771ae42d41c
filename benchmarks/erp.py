"""The example's views on Tryton's database: how long introspection takes, what questions take and what they ask of the
ERP, beside the same statement run natively on a copy with the views in it."""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from api.project import Runtime, open_project
from benchmarks import stage
from benchmarks.figures import MS, machine, percentile, show
from examples.tryton import build
from federation.session import Session
from tests import tryton_server
from tests.servers import Server
from views.load import load

ORACLE = "oracle"
OURS = "query NOT ILIKE '%pg_stat%' AND query !~* '^(begin|commit|rollback|set|reset|show|deallocate|discard|analyze)'"
CALLS = f"SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = dbid WHERE {OURS}"
QUESTIONS = {
    "a customer, whole": "SELECT * FROM customers.customer_360 WHERE customer_id = {customer}",
    "a customer's orders": "SELECT * FROM sales.orders WHERE customer_id = {customer}",
    "who is on the line": "SELECT * FROM desk.caller WHERE customer_id = {customer}",
    "what to offer": "SELECT * FROM desk.cross_sell WHERE customer_id = {customer} ORDER BY score DESC LIMIT 5",
    "who waits for what": "SELECT * FROM desk.allocation",
    "revenue by month": "SELECT * FROM sales.monthly_revenue ORDER BY month",
    "the best customers": "SELECT * FROM sales.top_customers ORDER BY place, customer_id LIMIT 10",
    "open complaints": "SELECT * FROM support.open_complaints ORDER BY priority, opened_at",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 where an answer was not PostgreSQL's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--rounds", type=int, default=15, help="askings of each question (15)")
    said = parser.parse_args(arguments)
    show(said.json, "machine", **machine())
    with stage.folder() as folder, tryton_server.filled() as server:
        build.compose(folder)
        for part, value in {**server.options, "database": tryton_server.DATABASE}.items():
            os.environ[f"VDW_TRYTON_{part.upper()}"] = str(value)
        return asyncio.run(_measured(folder, server, said.json, said.rounds))


async def _measured(folder: Path, server: Server, as_json: bool, rounds: int) -> int:
    wrong = 0
    for start in ("first", "second"):
        _reset(server)
        began = time.perf_counter()
        async with open_project(folder) as runtime:
            tables = sum(schema == "tryton" for schema, _ in runtime.engine.catalog.tables)
            seconds, asked = time.perf_counter() - began, _calls(server)
            show(as_json, f"the project opens, {start} time", seconds=seconds, tables=tables, statements=asked)
            if start == "second":
                for what, sql in QUESTIONS.items():
                    wrong += await _question(runtime, server, as_json, what, sql, rounds)
    return 1 if wrong else 0


async def _question(runtime: Runtime, server: Server, as_json: bool, what: str, sql: str, rounds: int) -> int:
    with server.admin(_oracle(server, runtime)) as connection:
        connection.execute("SET timezone TO 'UTC'")
        customer = connection.execute(
            "SELECT customer_id FROM shop.orders GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
        )
        sql = sql.format(customer=customer.fetchone()[0])
        want = connection.execute(sql).fetchall()
        native = [_timed(connection, sql) for _ in range(rounds)]
    await _ask(runtime, sql)
    _reset(server)
    taken, rows = [], []
    for _ in range(rounds):
        runtime.engine.cache.clear()
        began = time.perf_counter()
        rows = await _ask(runtime, sql)
        taken.append(time.perf_counter() - began)
    same = sorted(map(_texts, rows)) == sorted(map(_texts, want))
    show(
        as_json, what, rows=len(rows), p50_ms=percentile(taken, 0.5) * MS, native_ms=percentile(native, 0.5) * MS,
        statements=_calls(server) / rounds, right=same,
    )  # fmt: skip
    return not same


async def _ask(runtime: Runtime, sql: str) -> list[tuple[Any, ...]]:
    answer = await (await runtime.engine.query(sql, Session(user="analyst", timeout=60))).table()
    return [tuple(row.values()) for row in answer.to_pylist()]


def _texts(row: Sequence[Any]) -> tuple[str, ...]:
    """Numbers without a scale come as text; they are compared digit by digit."""
    return tuple(map(str, row))


def _timed(connection: Any, sql: str) -> float:
    began = time.perf_counter()
    connection.execute(sql).fetchall()
    return time.perf_counter() - began


def _oracle(server: Server, runtime: Runtime) -> str:
    """A copy of the database with the views in it, made at the first call."""
    if not server.run(f"SELECT 1 FROM pg_database WHERE datname = '{ORACLE}'"):
        tryton_server.restore(server, ORACLE)
        tryton_server.with_views(server, ORACLE, load(runtime.project.folder).views)
    return ORACLE


def _reset(server: Server) -> None:
    server.run("SELECT pg_stat_statements_reset()", database="shop")


def _calls(server: Server) -> int:
    """Statements that the ERP's database has been asked since."""
    return int(server.run(f"{CALLS} AND datname = '{tryton_server.DATABASE}'", database="shop")[0][0])


if __name__ == "__main__":
    raise SystemExit(main())
