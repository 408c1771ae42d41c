"""What planning takes: a lookup, TPC-H's Q5 and Q21, a customer 360 of ten views; and with how many views it grows."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import stage, tpch_data
from benchmarks.figures import MS, arguments, machine, percentile, show
from benchmarks.sides import Ours
from benchmarks.tools import Tools, cache_folder
from benchmarks.tpch import texts

Took = tuple[float, float]  # seconds by the clock, and of the processor
SCALE = 0.01  # of the data, which planning does not read
GROWTH = (10, 100, 1_000)  # views in the catalog

STACK = {
    "v.customer": """SELECT c_custkey, c_name, c_address, c_nationkey, c_phone, c_acctbal, c_mktsegment
        FROM pg.customer""",
    "v.active": "SELECT * FROM v.customer WHERE c_acctbal > 0",
    "v.account": "SELECT a.*, n.n_name AS nation FROM v.active a JOIN pq.nation n ON n.n_nationkey = a.c_nationkey",
}
PARTS = {
    "v.c_home": "SELECT n_nationkey AS nationkey, n_name AS nation, r_name AS region, n_comment, r_comment"
    " FROM pq.nation JOIN pq.region ON r_regionkey = n_regionkey",
    "v.c_contact": "SELECT c_custkey AS custkey, c_name AS name, c_address AS address, c_phone AS phone,"
    " substring(c_phone, 1, 2) AS country_code, c_nationkey AS nationkey, c_comment AS note FROM pg.customer",
    "v.c_money": "SELECT c_custkey AS custkey, c_acctbal AS balance, c_mktsegment AS segment,"
    " CASE WHEN c_acctbal < 0 THEN 'owes' ELSE 'even' END AS state, c_acctbal * 1.1 AS credit FROM pg.customer",
    "v.c_orders": "SELECT o_custkey AS custkey, count(*) AS orders, sum(o_totalprice) AS ordered, min(o_orderdate)"
    " AS first_order, max(o_orderdate) AS last_order, max(o_orderpriority) AS worst_priority,"
    " count(*) FILTER (WHERE o_orderstatus = 'O') AS open_orders FROM pg.orders GROUP BY o_custkey",
    "v.c_lines": "SELECT o_custkey AS custkey, sum(l_quantity) AS pieces, sum(l_extendedprice) AS list_price,"
    " sum(l_extendedprice * (1 - l_discount)) AS revenue, max(l_shipdate) AS last_shipped, max(l_commitdate)"
    " AS last_committed, max(l_receiptdate) AS last_received FROM pg.orders JOIN pg.lineitem ON l_orderkey = o_orderkey"
    " GROUP BY o_custkey",
    "v.c_returns": "SELECT o_custkey AS custkey, count(*) AS returned_lines, sum(l_quantity) AS returned_pieces,"
    " sum(l_extendedprice) AS returned_price, max(l_receiptdate) AS last_return FROM pg.orders JOIN pg.lineitem"
    " ON l_orderkey = o_orderkey WHERE l_returnflag = 'R' GROUP BY o_custkey",
    "v.c_urgent": "SELECT o_custkey AS custkey, count(*) AS urgent_orders, max(o_totalprice) AS dearest_urgent,"
    " min(o_orderdate) AS first_urgent, max(o_orderdate) AS last_urgent FROM pg.orders"
    " WHERE o_orderpriority = '1-URGENT' GROUP BY o_custkey",
    "v.c_late": "SELECT o_custkey AS custkey, count(*) AS late_lines, max(l_receiptdate) AS last_late,"
    " min(l_receiptdate) AS first_late, count(DISTINCT l_suppkey) AS late_suppliers FROM pg.orders JOIN pg.lineitem"
    " ON l_orderkey = o_orderkey WHERE l_receiptdate > l_commitdate GROUP BY o_custkey",
    "v.c_supply": "SELECT s_nationkey AS nationkey, count(*) AS suppliers, max(s_acctbal) AS best_balance,"
    " min(s_acctbal) AS worst_balance, min(s_name) AS first_supplier FROM maria.supplier GROUP BY s_nationkey",
    "v.c_dearest": "SELECT DISTINCT ON (o_custkey) o_custkey AS custkey, o_orderkey AS dearest_order, o_totalprice"
    " AS dearest_price, o_orderdate AS dearest_date, o_clerk AS dearest_clerk, o_shippriority AS dearest_priority"
    " FROM pg.orders ORDER BY o_custkey, o_totalprice DESC, o_orderkey",
}
KEYED = ("money", "orders", "lines", "returns", "urgent", "late", "dearest")
C360 = "SELECT * FROM v.c_contact JOIN v.c_home USING (nationkey) LEFT JOIN v.c_supply USING (nationkey) " + " ".join(
    f"LEFT JOIN v.c_{name} USING (custkey)" for name in KEYED
)
POINT = "SELECT c_name AS {alias}, c_phone, nation FROM v.account WHERE c_custkey = {key}"
WHOLE = "SELECT *, 1 AS {alias} FROM v.c360 WHERE custkey = {key}"


def main() -> None:
    """Everything over the small catalog, the lookup over larger ones."""
    told = _arguments()
    tools = Tools(told.cache)
    queries = texts(tools)
    with tpch_data.placed(told.cache, SCALE, tools) as placed:
        show(told.json, "planning", **machine())
        with _served(placed, 0) as ours:
            shapes = {"point": (POINT, 2.0), "customer 360": (WHOLE, 6.0)}
            shapes |= {name: (_aliased(queries[name]), 0.0) for name in ("q5", "q21")}
            for name, (sql, aim) in shapes.items():
                show(told.json, name, **({"aim_uncached_ms": aim} if aim else {}), **_measure(ours, sql, told.seconds))
        for count in GROWTH:
            began = time.perf_counter()
            with _served(placed, count) as ours:
                opened = time.perf_counter() - began
                show(told.json, f"point, {count} more views", open_s=opened, **_measure(ours, POINT, told.seconds))
        show(told.json, "end", **machine())


def _arguments() -> Any:
    parser = arguments(__doc__, 3)
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="where loaded servers stay")
    return parser.parse_args()


def _aliased(sql: str) -> str:
    """The query with a column name that can be made new each time, so that nothing of it is known."""
    return f"SELECT t.*, 1 AS {{alias}} FROM ({sql.replace('{', '{{').replace('}', '}}')}) t"


@contextlib.contextmanager
def _served(placed: tpch_data.Placed, more: int) -> Iterator[Ours]:
    views = {**STACK, **PARTS, "v.c360": C360}
    views |= {f"more.v{i}": f"SELECT c_custkey, c_name, {i} AS i FROM pg.customer" for i in range(more)}
    with stage.folder() as folder:
        files = {name: stage.view(name, query) for name, query in views.items()}
        with contextlib.closing(Ours(folder, placed.sources, files)) as ours:
            yield ours


def _measure(ours: Ours, sql: str, seconds: float) -> dict[str, float]:
    """p50 in ms: of a statement never seen (analysed and planned), of the same text again, of another literal in it.

    `analyse` and `plan` are the parts of the first; `cpu` is processor time of the loop's thread, which moves less.
    """
    engine, session, number = ours.runtime.engine, ours.session, itertools.count(1)
    analyse = engine.analyser.analyse

    def text(alias: int, key: int) -> str:
        return sql.format(alias=f"x{alias}", key=key)

    async def prepared(sql: str) -> None:
        (await engine.prepare(sql, session)).for_values((), session)

    async def uncached() -> Took:
        return await _timed(lambda: prepared(text(next(number), 7)))

    async def cached() -> Took:
        return await _timed(lambda: prepared(text(0, 7)))

    async def other() -> Took:
        return await _timed(lambda: prepared(text(0, next(number))))

    async def analysed() -> Took:
        new = text(next(number), 7)
        return await _timed(
            partial(analyse, new, session.search_path, settings=session.settings, declared=(), user=None)
        )

    runs = {"uncached": uncached, "cached": cached, "analyse": analysed}
    if "{key}" in sql:
        runs["other_literal"] = other
    told: dict[str, float] = {}
    for name, run in runs.items():
        ours.wait(run())
        walls, processor = zip(*(ours.wait(run()) for _ in _until(seconds)), strict=True)
        told |= {f"{name}_ms": percentile(walls, 0.5) * MS, f"{name}_cpu_ms": percentile(processor, 0.5) * MS}
    return {**told, "plan_ms": told["uncached_ms"] - told["analyse_ms"]}


async def _timed(run: Callable[[], Any]) -> Took:
    began, worked = time.perf_counter(), time.thread_time()
    await run()
    return time.perf_counter() - began, time.thread_time() - worked


def _until(seconds: float) -> Iterator[int]:
    end = time.monotonic() + seconds
    for turn in itertools.count():
        if turn > 5 and time.monotonic() > end:
            return
        yield turn


if __name__ == "__main__":
    main()
