"""Engine invariance: the canon, DuckDB, and DuckDB before the canon give the same rows in the same types."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from unittest.mock import patch

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.project import Runtime, open_project
from connectors.errors import Error
from federation import merge
from federation.result import Result
from federation.session import Session
from tests.folders import write

SESSION = Session("stages")
ROWS = 60
EXAMPLES = 120
_TEXTS = ("a", "A", "a ", "", None, "ß", "ss", "é", "e\u0301", "\U0001f600", "\uffff", "%", "b\\", "10", "9")
_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("k", pa.int32()),
        ("n", pa.decimal128(12, 2)),
        ("m", pa.decimal128(9, 4)),
        ("s", pa.string()),
        ("d", pa.date32()),
        ("b", pa.bool_()),
        ("f", pa.float64()),
        ("at", pa.timestamp("us")),
    ]
)


def _row(i: int, salt: int) -> dict[str, object]:
    at = i * 7919 + salt
    return {
        "id": i,
        "k": None if at % 11 == 0 else at % 9 - 2,
        "n": None if at % 13 == 0 else Decimal(at % 2000 - 500).scaleb(-2),
        "m": None if at % 7 == 0 else Decimal(at % 99 - 40).scaleb(-(at % 3) - 2).quantize(Decimal("0.0001")),
        "s": _TEXTS[at % len(_TEXTS)],
        "d": None if at % 17 == 0 else dt.date(2024, 2, 28) + dt.timedelta(days=at % 40 - 20),
        "b": (True, False, None)[at % 3],
        "f": None if at % 5 == 0 else (at % 8) / 4 - 0.5,
        "at": dt.datetime(2024, 3, 31, 1, 59, 59, 999_999) + dt.timedelta(hours=at % 30),
    }


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Runtime]:
    async with open_project(folder) as runtime:
        yield runtime


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Runtime]]:
    """Tables shop.t and b.u of two sources, so that whatever has both is merged."""
    folder = tmp_path_factory.mktemp("stages")
    for name, table, salt in (("shop", "t", 1), ("b", "u", 4711)):
        (folder / name).mkdir()
        rows = pa.Table.from_pylist([_row(i, salt) for i in range(ROWS)], _SCHEMA)
        pq.write_table(rows, folder / name / f"{table}.parquet")
    write(folder, {f"sources/{name}.yml": f"kind: files\nconnection: {{folder: {name}}}\n" for name in ("shop", "b")})
    with asyncio.Runner() as runner:
        opened = _opened(folder)
        runtime = runner.run(opened.__aenter__())
        assert not [d for d in runtime.diagnostics if d.severity == "error"]
        yield runner, runtime
        runner.run(opened.__aexit__(None, None, None))


# Values of rows of x (shop.t) and y (b.u); some are proven in DuckDB and some are not.
_VALUES = (
    "x.k", "y.k", "x.n", "y.n", "x.m", "x.s", "y.s", "x.d", "y.b", "x.at", "x.n * y.n", "x.n - x.m", "x.n * (1 - y.m)",
    "x.n + x.k", "upper(x.s)", "x.s || y.s", "md5(y.s)", "coalesce(x.n, 0)", "coalesce(x.k, y.k)", "x.n / 3",
    "case when x.b then x.n else 0 end", "case when y.k > 0 then x.k end", "extract(year from x.d)",
    "date_trunc('month', x.at)", "x.k + y.k", "x.n::text", "x.d + 1", "length(x.s)", "nullif(x.k, y.k)", "-x.m",
    "round(x.n, 1)", "substring(x.s from 1 for 1)", "x.n % 3", "abs(x.n)", "x.k::numeric", "x.m::numeric(6,1)",
)  # fmt: skip
_CONDITIONS = (
    "x.k > 1", "y.n <= 3.5", "x.n > y.n", "x.s = y.s", "x.s < 'b'", "x.s like 'a%'", "x.d < date '2024-03-01'", "x.b",
    "y.b is not true", "x.k in (1, 2, null)", "x.k not in (1, 3)", "md5(x.s) < 'a'", "x.n * y.m > 0.05", "x.n is null",
    "x.s is distinct from y.s", "x.f > 0.1", "x.k between -1 and 4", "x.n > (select avg(n) from b.u)",
    "exists (select from b.u z where z.k = x.k)", "x.k not in (select k from b.u where k is not null)",
    "x.k in (select k from b.u where n > 0)", "x.at >= timestamp '2024-03-31 12:00:00'", "not (x.k = 2 and y.k = 2)",
)  # fmt: skip
_AGGREGATES = (
    "count(*)", "count(x.s)", "sum(x.k)", "sum(x.n)", "avg(x.n)", "avg(x.k)", "min(x.s)", "max(y.n)", "sum(x.id)",
    "count(distinct x.s)", "sum(x.n * y.m)", "avg(x.n * (1 - y.m))", "sum(case when x.b then x.n * y.m else 0 end)",
    "string_agg(x.s, ',' order by x.s, x.id)", "sum(x.n) filter (where x.k > 0)", "avg(x.m) filter (where y.b)",
    "max(x.d)", "bool_or(x.b)", "min(x.at)", "sum(coalesce(x.n, 0))", "100 * sum(x.n) / nullif(sum(y.m), 0)",
    "sum(x.n) / 7", "stddev(x.k)", "count(*) filter (where x.s like '%a%')", "avg(distinct x.k)",
)  # fmt: skip
_KEYS = ("x.k", "x.s", "y.b", "x.d", "x.n", "upper(x.s)", "extract(year from x.d)", "x.k, x.s", "rollup (x.k, y.b)")
_FROM = (
    "shop.t x join b.u y on y.k = x.k",
    "shop.t x left join b.u y on y.k = x.k and y.n > 0",
    "shop.t x join b.u y on y.id = x.id",
    "shop.t x full join b.u y on y.id = x.k",
    "shop.t x left join b.u y on y.id = x.k",
    "shop.t x join b.u y on y.s = x.s and md5(y.s) < md5(x.s || 'z')",
    "shop.t x join (select distinct on (k) * from b.u order by k, id) y on y.k = x.k",
    "(select * from shop.t union all select * from b.u) x join b.u y on y.id = x.id",
    "shop.t x left join (select k, avg(n) as n, sum(m) as m, max(s) as s, bool_and(b) as b from b.u group by k) y "
    "on y.k = x.k",
)


@st.composite
def queries(draw: st.DrawFn) -> str:
    """A statement over both sources."""
    base = draw(st.sampled_from(_FROM))
    conditions = draw(st.lists(st.sampled_from(_CONDITIONS), max_size=2, unique=True))
    where = f" where {' and '.join(conditions)}" if conditions else ""
    if draw(st.booleans()):
        return _grouped(draw, base, where)
    items = draw(st.lists(st.sampled_from(_VALUES), min_size=1, max_size=4, unique=True))
    listed = ", ".join(items)
    distinct = draw(st.sampled_from(("", "", "distinct ")))
    sql = f"select {distinct}{listed} from {base}{where}"
    kind = draw(st.sampled_from(("", "", "", "except", "intersect all", "union")))
    if kind:
        return f"{sql} {kind} select {listed} from {base} where x.k > 0"
    if not distinct and draw(st.booleans()):
        places = ", ".join(str(i + 1) for i in range(len(items)))
        return f"{sql} order by {places} limit {draw(st.integers(0, 30))}"
    return sql


def _grouped(draw: st.DrawFn, base: str, where: str) -> str:
    keys = draw(st.sampled_from(("", *_KEYS)))
    aggregates = ", ".join(draw(st.lists(st.sampled_from(_AGGREGATES), min_size=1, max_size=3, unique=True)))
    if not keys:
        return f"select {aggregates} from {base}{where}"
    shown = keys.removeprefix("rollup (").rstrip(")") if "rollup" in keys else keys
    having = draw(st.sampled_from(("", " having count(*) > 2", " having avg(x.n) > 1")))
    return f"select {shown}, {aggregates} from {base}{where} group by {keys}{having}"


Answer = tuple[str, object]


async def _asked(runtime: Runtime, sql: str, small: int) -> tuple[str, Answer]:
    """The engine, and the rows with their types, or the error's state."""
    with patch.object(merge, "SMALL", small):
        try:
            result: Result = await runtime.engine.query(sql, SESSION)
            table = await result.table()
        except Error as error:
            return "error", (error.sqlstate, None)
    rows = [tuple(str(v) for v in row.values()) for row in table.rename_columns(_numbered(table)).to_pylist()]
    kept: object = rows if " order by 1" in sql else Counter(rows)
    return result.engine, (str(table.schema.types), kept)


def _numbered(table: pa.Table) -> list[str]:
    return [str(i) for i in range(table.num_columns)]


@pytest.mark.slow
def test_every_engine_gives_the_same_answer(served: tuple[asyncio.Runner, Runtime]) -> None:
    runner, runtime = served
    engines: Counter[str] = Counter()

    @given(queries())
    @settings(max_examples=EXAMPLES, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
    def check(sql: str) -> None:
        canon, wanted = runner.run(_asked(runtime, sql, 1 << 60))
        engine, got = runner.run(_asked(runtime, sql, -1))
        assert canon in ("canon", "stream", "error")
        engines[engine] += 1
        assert got == wanted, f"{sql}\n{engine}"

    check()
    assert engines["staged"] > EXAMPLES // 5 and engines["duckdb"] > EXAMPLES // 10, engines
