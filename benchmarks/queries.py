"""Three shapes of queries over several sources, against the slowest of their sub-queries run natively."""

from __future__ import annotations

import argparse
import contextlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import duckdb
import MySQLdb
import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks import stage, tpch_data
from benchmarks.figures import MS, arguments, machine, percentile, show
from benchmarks.sides import Ours
from benchmarks.tools import Tools, cache_folder
from connectors.base import Bound
from connectors.types import PgType
from tests.servers import Server

Native = Callable[[Sequence[int]], float]  # runs one sub-query with the query's parameters; seconds that it took


@dataclass(frozen=True, slots=True)
class Shape:
    """A query with its parameters drawn anew each time, the ratio to aim at, and its sub-queries run natively."""

    name: str
    aim: float
    sql: str
    natives: tuple[Native, ...]
    draw: Callable[[], tuple[int, ...]]


LAST_ORDERS = """SELECT c_name, c_phone, o_orderkey, o_orderdate, o_totalprice
FROM customer JOIN orders ON o_custkey = c_custkey WHERE c_custkey = {}
ORDER BY o_orderdate DESC, o_orderkey DESC LIMIT 10"""
SUPPLIER = "SELECT s_name, s_phone FROM supplier WHERE s_suppkey = {}"
POINT = f"SELECT * FROM ({LAST_ORDERS}) o CROSS JOIN ({SUPPLIER}) s ORDER BY o_orderdate DESC, o_orderkey DESC"
QUARTER = "o_orderdate >= DATE '1994-01-01' AND o_orderdate < DATE '1994-04-01'"
REVENUE = f"""SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue
FROM customer, orders, lineitem, supplier, nation, region
WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey AND c_nationkey = s_nationkey
AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'ASIA' AND {QUARTER}
GROUP BY n_name ORDER BY revenue DESC"""
ASIA = "8, 9, 12, 18, 21"
SOLD = f"""SELECT c_nationkey, l_suppkey, l_extendedprice::text, l_discount::text
FROM customer JOIN orders ON c_custkey = o_custkey JOIN lineitem ON l_orderkey = o_orderkey
WHERE c_nationkey IN ({ASIA}) AND {QUARTER}"""
ASIAN = f"SELECT s_suppkey, s_nationkey FROM supplier WHERE s_nationkey IN ({ASIA})"
NATIONS = "SELECT n_nationkey, n_name FROM '{0}/nation.parquet' JOIN '{0}/region.parquet' ON n_regionkey = r_regionkey"
PARTS = "SELECT ps_partkey, ps_supplycost FROM partsupp WHERE ps_suppkey = {}"
LINES = """SELECT l_partkey, l_orderkey, l_quantity::text, l_extendedprice::text FROM lineitem
WHERE l_partkey = ANY ({})"""
KEYED = f"""SELECT ps_partkey, ps_supplycost, l_orderkey, l_quantity, l_extendedprice
FROM ({PARTS}) p JOIN lineitem ON l_partkey = ps_partkey"""


def main() -> None:
    """Each shape for so many seconds, the natives and ours in turns."""
    told = _arguments()
    tools = Tools(told.cache)
    with contextlib.ExitStack() as stack:
        placed = stack.enter_context(tpch_data.placed(told.cache, told.sf, tools))
        folder = stack.enter_context(stage.folder())
        ours = stack.enter_context(contextlib.closing(Ours(folder, placed.sources, {})))
        show(told.json, "queries", sf=told.sf, **machine())
        for shape in stack.enter_context(_shapes(placed, told.sf)):
            if not told.only or shape.name[0] in told.only:
                show(told.json, shape.name, aim=shape.aim, **_measure(shape, ours, told.seconds))
        show(told.json, "end", **machine())


def _arguments() -> argparse.Namespace:
    parser = arguments(__doc__, 10)
    parser.add_argument("--sf", type=float, default=1.0, help="TPC-H's scale factor (default 1)")
    parser.add_argument("--only", default="", help="some, as AC")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="where loaded servers stay")
    return parser.parse_args()


def _measure(shape: Shape, ours: Ours, seconds: float) -> dict[str, Any]:
    """p50 of ours and of the slowest native sub-query, and of their ratio; after a warm-up."""
    floors, sums, mine, rows, engine = [], [], [], 0, ""
    end = time.monotonic() + seconds
    for turn in range(1_000_000):
        if turn > 5 and time.monotonic() > end:
            break
        drawn = shape.draw()
        native = [run(drawn) for run in shape.natives]
        bound = [Bound(PgType("int4"), value) for value in drawn]
        began = time.perf_counter()
        result = ours.wait(_asked(ours, shape.sql, bound))
        took = time.perf_counter() - began
        engine, rows = result[0].engine, result[1].num_rows
        if turn >= 3:  # connections, caches and plans are there by then
            floors.append(max(native) * MS)
            sums.append(sum(native) * MS)
            mine.append(took * MS)
    floor, ms = percentile(floors, 0.5), percentile(mine, 0.5)
    told = {"ratio": ms / floor, "p50_ms": ms, "p50_floor_ms": floor, "p50_sum_ms": percentile(sums, 0.5)}
    return told | {"runs": len(mine), "rows": rows, "engine": engine}


async def _asked(ours: Ours, sql: str, bound: Sequence[Bound]) -> Any:
    result = await ours.runtime.engine.query(sql, ours.session, bound)
    return result, await result.table()


def _timed(run: Callable[[], object]) -> float:
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


@contextlib.contextmanager
def _shapes(placed: tpch_data.Placed, scale: float) -> Iterator[tuple[Shape, ...]]:
    customers, suppliers = int(150_000 * scale), int(10_000 * scale)
    chance = random.Random(1)
    with contextlib.ExitStack() as stack:
        pg = stack.enter_context(psycopg.connect(**_psycopg(placed.postgresql), autocommit=True))
        bulk = stack.enter_context(adbc.connect(make_conninfo("", **_psycopg(placed.postgresql)), autocommit=True))
        maria = stack.enter_context(contextlib.closing(MySQLdb.connect(**placed.mariadb.options)))
        files = stack.enter_context(duckdb.connect())

        def prepared(sql: str, *values: Any) -> float:
            text = sql.format("%s").encode()
            return _timed(lambda: pg.execute(text, values, prepare=True, binary=True).fetchall())

        def mysql(sql: str) -> float:
            return _timed(lambda: _fetched(maria, sql))

        def copied(sql: str) -> float:
            return _timed(lambda: _streamed(bulk, sql))

        def lines(supplier: int) -> float:
            keys = [row[0] for row in _fetched(maria, PARTS.format(supplier))]
            listed = "{" + ",".join(map(str, keys)) + "}"
            return min(copied(LINES.format(f"'{listed}'::int[]")), prepared(LINES, keys))

        nations = NATIONS.format(placed.parquet)
        yield (
            Shape(
                "A: a customer's last 10 orders, a supplier", 1.3, POINT.format("$1", "$2"),
                (lambda at: prepared(LAST_ORDERS, at[0]), lambda at: mysql(SUPPLIER.format(at[1]))),
                lambda: (chance.randrange(1, customers, 3), chance.randrange(1, suppliers + 1)),
            ),
            Shape(
                "B: Q5 over a quarter, three sources", 1.5, REVENUE,
                (
                    lambda _: copied(SOLD),
                    lambda _: mysql(ASIAN),
                    lambda _: _timed(lambda: files.execute(nations).fetchall()),
                ),
                lambda: (),
            ),
            Shape(
                "C: a supplier's 80 parts, their lines", 2.0, KEYED.format("$1"),
                (lambda at: mysql(PARTS.format(at[0])), lambda at: lines(at[0])),
                lambda: (chance.randrange(1, suppliers + 1),),
            ),
        )  # fmt: skip


def _psycopg(server: Server) -> dict[str, Any]:
    return {"dbname" if name == "database" else name: value for name, value in server.options.items()}


def _fetched(connection: Any, sql: str) -> Sequence[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.execute(sql)
    return list(cursor.fetchall())


def _streamed(connection: Any, sql: str) -> int:
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(sql)
        return int(cursor.fetch_arrow_table().num_rows)


if __name__ == "__main__":
    main()
