"""Merging: which engine, exact types, DuckDB's locked doors, and that both engines say the same."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.base import Bound, Cancel
from connectors.errors import Error, LimitExceeded, QueryError
from connectors.types import PgType, bpchar, numeric
from federation import duck as duck_module
from federation.canon import residual
from federation.canon.server import Canon
from federation.duck import Duck, MergeLimits, Unfit
from federation.merge import SMALL, Merged, Merger, compute, why_canon
from federation.session import Session
from federation.steps import Fetched
from planner.plan import Fragment, Plan, SourceText, Stage
from tests.sources import INT8, TEXT, wait_for

ANN = Session("ann")
FLOAT8, BOOL, DATE, ZONED = PgType("float8"), PgType("bool"), PgType("date"), PgType("timestamptz")


def plan(
    columns: Mapping[str, PgType],
    sql: str,
    tables: Mapping[int, Mapping[str, PgType]] | None = None,
    params: tuple[PgType, ...] = (),
    canon_sql: str = "",
) -> Plan:
    fragments = tuple(
        Fragment(number, "crm", SourceText(("",), ()), tuple(kinds.items())) for number, kinds in (tables or {}).items()
    )
    stage = Stage(len(fragments), sql, tuple(columns.values()), tuple(tables or {}))
    return Plan(fragments, tuple(columns.items()), params, canon_sql or sql, (stage,))


def numbers(rows: int) -> pa.Table:
    return pa.table({"c0": pa.array(range(rows), pa.int64())})


NUMBERS = {0: {"id": INT8}}


async def rows_of(merged: Merged) -> list[tuple[object, ...]]:
    batches = list(merged.batches)
    rest = merged.claim()
    while rest is not None:
        try:
            batches.append(await rest.__anext__())
        except StopAsyncIteration:
            break
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


@asynccontextmanager
async def merging(canon: Canon, limits: MergeLimits | None = None) -> AsyncIterator[Merger]:
    mergers = residual.Mergers(canon)

    async def in_canon(
        plan: Plan, tables: Mapping[int, pa.Table], params: Sequence[Bound], session: Session, cancel: Cancel
    ) -> AsyncGenerator[pa.RecordBatch, None]:
        async for batch in residual.run(mergers, plan, tables, params, session, cancel):
            yield batch

    duck = Duck(limits or MergeLimits())
    try:
        yield Merger(duck, in_canon)
    finally:
        await duck.close()
        await mergers.close()


async def duck_table(duck: Duck, asked: Plan, tables: Mapping[int, pa.Table], params: Sequence[Bound] = ()) -> pa.Table:
    channel = await duck.run(asked.stages[0], tables, params)
    head = await channel.head()
    batches = [*head.batches, *([] if head.complete else [batch async for batch in channel])]
    return pa.Table.from_batches(batches)


def in_duck(asked: Plan, tables: Mapping[int, pa.Table], params: Sequence[Bound] = ()) -> pa.Table:
    async def run() -> pa.Table:
        duck = Duck(MergeLimits())
        try:
            return await duck_table(duck, asked, tables, params)
        finally:
            await duck.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("asked", "rows", "session", "why"),
    [
        (plan({"a": INT8}, "SELECT 1", NUMBERS), SMALL, ANN, "rows are few"),
        (plan({"a": INT8}, "SELECT 1", NUMBERS), SMALL + 1, ANN, ""),
        (Plan((), (), residual="x", why_canon="lower() is not proven"), 9999, ANN, "lower"),
        (replace(plan({"a": INT8}, "x", NUMBERS), session=True), 9999, ANN, "session itself"),
        (
            plan({"a": PgType("timestamptz")}, "x", NUMBERS),
            9999,
            Session("a", {"TimeZone": "Europe/Paris"}),
            "time zone is Europe",
        ),
        (plan({"a": PgType("timestamptz")}, "x", NUMBERS), 9999, Session("a", {"TimeZone": "Etc/UTC"}), ""),
        (plan({"a": INT8}, "x", NUMBERS), 9999, Session("a", {"TimeZone": "Europe/Paris"}), ""),
        (plan({"a": INT8}, "x", NUMBERS), 9999, Session("a", {"DateStyle": "German"}), "DateStyle is German"),
    ],
)
def test_which_engine_merges(asked: Plan, rows: int, session: Session, why: str) -> None:
    said = why_canon(asked, Fetched({0: numbers(rows)}, []), session)
    assert (why in said) if why else not said


@pytest.mark.parametrize(
    ("sql", "kind", "expected"),
    [
        ("SELECT sum(c0) FROM f0", PgType("numeric"), "499500"),
        ("SELECT sum(c0) FROM f0", INT8, 499500),
        ("SELECT sum(c0)::decimal(30,2) FROM f0", numeric(30, 2), Decimal("499500.00")),
        ("SELECT sum(c0)::decimal(30,0) FROM f0", numeric(30, 2), Decimal("499500.00")),
        ("SELECT 1.50::decimal(5,2)", PgType("numeric"), "1.50"),
        ("SELECT 0.0000001::decimal(9,7)", PgType("numeric"), "0.0000001"),
        ("SELECT count(*) > 5 FROM f0", BOOL, True),
        ("SELECT NULL", PgType("uuid"), None),
        ("SELECT NULL", numeric(5, 2), None),
        ("SELECT NULL", DATE, None),
        ("SELECT '6f1c1c6e-0f0e-4f0e-8f0e-6f1c1c6e0f0e'::uuid", PgType("uuid"), "6f1c1c6e-0f0e-4f0e-8f0e-6f1c1c6e0f0e"),
        ("SELECT 7::tinyint", PgType("int2"), 7),
        ("SELECT count(*)::int FROM f0", PgType("int4"), 1000),
        ("SELECT 1.5::double", FLOAT8, 1.5),
        ("SELECT date '2024-02-29'", DATE, dt.date(2024, 2, 29)),
        ("SELECT timestamp '2024-02-29 01:02:03.000004'", PgType("timestamp"), dt.datetime(2024, 2, 29, 1, 2, 3, 4)),
        ("SELECT time '01:02:03'", PgType("time"), dt.time(1, 2, 3)),
        ("SELECT 'aé'", TEXT, "aé"),
        ("SELECT '\\x01'::blob", PgType("bytea"), b"\x01"),
    ],
)
def test_answers_come_in_exactly_the_plan_s_types(sql: str, kind: PgType, expected: object) -> None:
    table = in_duck(plan({"a": kind}, sql, NUMBERS), {0: numbers(1000)})
    assert table.schema == pa.schema([pa.field("c0", kind.arrow)])
    assert table.column(0).to_pylist() == [expected]


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("SELECT 1.5::double", PgType("numeric")),  # its text is not PostgreSQL's
        ("SELECT 1.5::double", PgType("float4")),
        ("SELECT 1.567::decimal(5,3)", numeric(5, 2)),
        ("SELECT interval 1 day", PgType("interval")),
        ("SELECT 'a'", bpchar(3)),
        ("SELECT [1]", PgType("_int4")),
        ("SELECT 40000", PgType("int2")),
        ("SELECT 1::bool", INT8),
        ("SELECT 1; SELECT 2", INT8),
        ("CREATE TABLE x(i int)", INT8),
        ("SELECT nonsense", INT8),
        ("SELECT * FROM read_csv('/etc/passwd')", TEXT),
        ("SELECT * FROM '/etc/passwd'", TEXT),
        ("SELECT content FROM read_text('/etc/passwd')", TEXT),
        ("SELECT * FROM glob('/*')", TEXT),
        ("SELECT * FROM read_parquet('http://127.0.0.1:1/x')", TEXT),
        ("SELECT * FROM held_in_python", TEXT),
        ("SELECT getenv('HOME')", TEXT),
    ],
)
def test_what_duckdb_is_not_trusted_with(sql: str, kind: PgType) -> None:
    held_in_python = pa.table({"c0": ["secret"]})
    assert held_in_python.num_rows
    with pytest.raises(Unfit):
        in_duck(plan({"a": kind}, sql, NUMBERS), {0: numbers(10)})


def test_a_sum_of_39_digits_is_refused() -> None:
    """A stage's decimals have 38: one more would be cut on its way into the canon."""
    large = pa.table({"c0": pa.array([Decimal("9e37"), Decimal("5e37")], pa.decimal128(38, 0))})
    asked = plan({"a": numeric(38, 0)}, "SELECT sum(c0) FROM f0", {0: {"n": numeric(38, 0)}})
    with pytest.raises(Unfit, match="does not fit"):
        in_duck(asked, {0: large})
    assert in_duck(asked, {0: large.slice(1)}).column(0).to_pylist() == [Decimal("5e37")]


def test_its_configuration_is_locked_and_cursors_inherit_it() -> None:
    sql = """SELECT current_setting('TimeZone') || ' ' || current_setting('lock_configuration') || ' '
             || current_setting('enable_external_access') || ' ' || current_setting('default_null_order') || ' '
             || current_setting('ieee_floating_point_ops')"""
    table = in_duck(plan({"a": TEXT}, sql), {})
    assert table.column(0).to_pylist() == ["UTC true false NULLS_LAST_ON_ASC_FIRST_ON_DESC false"]


def test_parameters_are_bound_with_their_types() -> None:
    kinds = (INT8, numeric(10, 2), TEXT, DATE, PgType("bool"), FLOAT8, PgType("int2"))
    values = (2**40, "12.50", "it's", dt.date(2024, 1, 31), True, 0.5, None)
    params = [Bound(kind, value) for kind, value in zip(kinds, values, strict=True)]
    sql = "SELECT typeof($1) || typeof($2) || typeof($3) || typeof($4) || typeof($5) || typeof($6) || ($7 IS NULL)"
    (row,) = in_duck(plan({"a": TEXT}, sql, params=kinds), {}, params).column(0).to_pylist()
    assert row == "BIGINTDECIMAL(4,2)VARCHARDATEBOOLEANDOUBLEtrue"
    one = in_duck(plan({"a": TEXT}, "SELECT $3 || '$1'", params=kinds), {}, params)
    assert one.column(0).to_pylist() == ["it's$1"], "only those that are used are bound"


@pytest.mark.parametrize(
    "bound",
    [Bound(PgType("numeric"), "NaN"), Bound(PgType("numeric"), "0." + "1" * 39), Bound(PgType("interval"), "1 day")],
)
def test_parameters_that_duckdb_does_not_know(bound: Bound) -> None:
    with pytest.raises(Unfit):
        in_duck(plan({"a": TEXT}, "SELECT $1::text", params=(bound.type,)), {}, [bound])


def test_the_order_of_a_large_answer_is_kept() -> None:
    sql = "SELECT c0 * 7919 % 300007 AS k FROM f0 ORDER BY k DESC"
    values = in_duck(plan({"k": PgType("numeric")}, sql, NUMBERS), {0: numbers(300_000)}).column(0).to_pylist()
    assert [int(value) for value in values] == sorted((i * 7919 % 300_007 for i in range(300_000)), reverse=True)


@pytest.mark.parametrize(
    ("sql", "sqlstate"),
    [
        ("SELECT sum(9223372036854775807 + c0)::bigint FROM f0", "22003"),
        ("SELECT sum(c0 / nullif(c0 - c0, 1))::bigint FROM f0", "22012"),
    ],
)
def test_errors_on_data_are_postgresql_s(canon: Canon, sql: str, sqlstate: str) -> None:
    async def run() -> None:
        async with merging(canon) as merger:
            with pytest.raises(Error) as caught:
                await merger.run(plan({"a": INT8}, sql, NUMBERS), Fetched({0: numbers(3000)}, []), (), ANN)
            assert caught.value.sqlstate == sqlstate

    asyncio.run(run())


def test_where_duckdb_fails_and_postgresql_does_not_the_answer_is_postgresql_s(canon: Canon) -> None:
    async def run() -> None:
        async with merging(canon) as merger:
            asked = plan({"a": INT8}, "SELECT nonsense", NUMBERS, canon_sql="SELECT max(c0) FROM f0")
            merged = await merger.run(asked, Fetched({0: numbers(3000)}, []), (), ANN)
            assert (merged.engine, await rows_of(merged)) == ("canon", [(2999,)])
            assert "nonsense" in merged.why

    asyncio.run(run())


def test_small_merges_run_in_the_canon_and_large_ones_in_duckdb(canon: Canon) -> None:
    async def run() -> None:
        async with merging(canon) as merger:
            asked = plan({"a": INT8, "b": PgType("numeric")}, "SELECT count(*), sum(c0) FROM f0", NUMBERS)
            for rows, engine in ((SMALL, "canon"), (SMALL + 1, "duckdb")):
                merged = await merger.run(asked, Fetched({0: numbers(rows)}, []), (), ANN)
                assert merged.engine == engine
                assert await rows_of(merged) == [(rows, str(rows * (rows - 1) // 2))]
                assert merged.batches[0].schema.types == [pa.int64(), pa.string()]

    asyncio.run(run())


def staged(sql: str, rest: str) -> Plan:
    """A sum by DuckDB, and what the canon makes of its rows."""
    made = Fragment(1, "", SourceText((sql,), ()), (("c0", INT8),))
    left = Plan((made,), (("a", INT8),), (), rest)
    whole = Plan(plan({"a": INT8}, sql, NUMBERS).fragments, (("a", INT8),), (), "SELECT -max(c0) FROM f0")
    return replace(whole, stages=(Stage(1, sql, (INT8,), (0,)),), rest=left, why_canon="negation")


@pytest.mark.parametrize(
    ("sql", "rows", "engine", "why"),
    [
        ("SELECT max(c0) FROM f0", SMALL, "canon", "rows are few"),
        ("SELECT max(c0) FROM f0", 3000, "staged", "3,000 rows became 1 in DuckDB, the rest is not proven there: neg"),
        ("SELECT nonsense FROM f0", 3000, "canon", "nonsense"),
        ("SELECT a.c0 FROM f0 a JOIN f0 b ON a.c0 % 100 = b.c0 % 100", 30_000, "canon", "gave more than 122,000 rows"),
    ],
)
def test_stages_run_first_where_rows_are_many_and_they_help(
    canon: Canon, sql: str, rows: int, engine: str, why: str
) -> None:
    async def run() -> None:
        async with merging(canon) as merger:
            asked = staged(sql, "SELECT -c0 FROM f1")
            merged = await merger.run(asked, Fetched({0: numbers(rows)}, []), (), ANN)
            assert (merged.engine, await rows_of(merged)) == (engine, [(1 - rows,)])
            assert why in merged.why
            assert [(one.stage, one.read, one.rows) for one in merged.stages] == (
                [(1, rows, 1)] if engine == "staged" else []
            )

    asyncio.run(run())


def test_an_error_after_rows_were_given_away_is_still_postgresql_s(
    canon: Canon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duck_module, "HEAD", 1000)

    async def run() -> None:
        async with merging(canon) as merger:
            # Only the last row divides by zero; mostly the rows before it have been delivered by then, though one of
            # DuckDB's threads may be there first.
            asked = plan({"a": INT8}, "SELECT 10 // (199999 - c0) FROM f0", NUMBERS,
                         canon_sql="SELECT 10 / (199999 - c0) FROM f0")  # fmt: skip
            with pytest.raises(QueryError, match="division by zero") as caught:
                merged = await merger.run(asked, Fetched({0: numbers(200_000)}, []), (), ANN)
                assert (merged.engine, merged.complete) == ("duckdb", False)
                await rows_of(merged)
            assert caught.value.sqlstate == "22012"

    asyncio.run(run())


ENDLESS = "SELECT count(*) FROM f0 a, f0 b, f0 c WHERE (a.c0 * b.c0 + c.c0) % 7 = 3"


def test_a_merge_that_nobody_waits_for_is_interrupted_and_its_place_is_free_again(canon: Canon) -> None:
    async def run() -> None:
        async with merging(canon, MergeLimits(at_once=1)) as merger:
            asked = plan({"n": INT8}, ENDLESS, NUMBERS)
            task = asyncio.create_task(merger.run(asked, Fetched({0: numbers(30_000)}, []), (), ANN))
            await asyncio.to_thread(wait_for, lambda: merger.duck._running)
            await asyncio.sleep(0.05)
            task.cancel()
            await asyncio.wait([task])
            await asyncio.to_thread(wait_for, lambda: not merger.duck._running)
            asked = plan({"n": INT8}, "SELECT count(*) FROM f0", NUMBERS)
            merged = await merger.run(asked, Fetched({0: numbers(5000)}, []), (), ANN)
            assert (merged.engine, await rows_of(merged)) == ("duckdb", [(5000,)])

    asyncio.run(run())


def test_a_merge_in_the_canon_that_nobody_waits_for_is_stopped_there(canon: Canon) -> None:
    async def run() -> None:
        async with merging(canon) as merger:
            asked = Plan((), (("a", TEXT),), residual="SELECT pg_sleep(60)::text || 'x'")
            task = asyncio.create_task(merger.run(asked, Fetched({}, []), (), ANN))
            busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active'"

            async def running() -> int:
                look = Plan((), (("n", INT8),), residual=busy + " AND pid <> pg_backend_pid()")
                merged = await merger.run(look, Fetched({}, []), (), Session("vdw"))
                return int(str((await rows_of(merged))[0][0]))

            while not await running():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])
            for _ in range(500):
                if not await running():
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("it sleeps on")

    asyncio.run(run())


def test_a_merge_past_its_memory_says_what_to_do(tmp_path: Path) -> None:
    async def run() -> None:
        duck = Duck(MergeLimits(memory="40MB", threads=1, spill=tmp_path / "spill", spill_limit="1MB"))
        try:
            sql = "SELECT max(t) FROM (SELECT DISTINCT repeat('x', 100) || c0 AS t FROM f0) s"
            with pytest.raises(LimitExceeded, match="40MB") as caught:
                await duck_table(duck, plan({"t": TEXT}, sql, NUMBERS), {0: numbers(2_000_000)})
            assert caught.value.sqlstate == "53400"
            assert "vdw.yml" in str(caught.value.hint)
        finally:
            await duck.close()

    asyncio.run(run())


def test_many_merges_at_once_keep_apart(canon: Canon) -> None:
    async def run() -> None:
        async with merging(canon, MergeLimits(at_once=3)) as merger:
            asked = plan({"n": INT8, "m": INT8}, "SELECT count(*), max(c0) FROM f0", NUMBERS)
            sizes = [SMALL + 1 + i for i in range(12)]
            answers = await asyncio.gather(
                *(merger.run(asked, Fetched({0: numbers(size)}, []), (), ANN) for size in sizes)
            )
            assert [await rows_of(answer) for answer in answers] == [[(size, size - 1)] for size in sizes]

    asyncio.run(run())


def test_computed_values_are_the_canon_s(canon: Canon) -> None:
    async def run() -> None:
        async with merging(canon) as merger:
            moment = "date '2024-03-31' - interval '1 month'"
            computed = (("$1 + 1", INT8), (moment, PgType("timestamp")), ("1.50", PgType("numeric")))
            asked = Plan((), (), params=(INT8,), residual="", computed=computed)
            bounds = await compute(merger.in_canon, asked, [Bound(INT8, 41)], ANN)
            assert bounds == [
                Bound(INT8, 42),
                Bound(PgType("timestamp"), dt.datetime(2024, 2, 29)),
                Bound(PgType("numeric"), "1.50"),
            ]

    asyncio.run(run())


# Engine invariance: one text, both engines, any rows.
INVARIANT = [
    ({"k": TEXT, "n": INT8, "s": PgType("numeric")}, "SELECT c1, count(*), sum(c0) FROM f0 GROUP BY c1 ORDER BY c1"),
    ({"a": INT8, "b": TEXT}, "SELECT c0, c1 FROM f0 ORDER BY c0 DESC, c1 LIMIT 7"),
    ({"a": INT8, "b": TEXT}, "SELECT DISTINCT c0, c1 FROM f0 WHERE c0 IS NOT NULL OR c1 > 'a' ORDER BY c0, c1"),
    (
        {"a": INT8, "b": INT8},
        "SELECT x.c0, count(y.c0) FROM f0 x LEFT JOIN f0 y ON x.c1 = y.c1 GROUP BY x.c0 ORDER BY x.c0",
    ),
    ({"a": TEXT, "b": TEXT}, "SELECT min(c1), max(c1) FROM f0 WHERE c0 NOT IN (SELECT c0 FROM f0 WHERE c1 = 'a')"),
    ({"a": BOOL, "b": BOOL}, "SELECT c0 = 1 OR c1 = 'A', c0 IN (1, NULL) FROM f0 ORDER BY 1, 2"),
]
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(-3, 3), st.integers(-(2**62), 2**62)),
        st.one_of(st.none(), st.sampled_from(["a", "A", "á", "a ", "", "ß", "ss", "\U0001f600", "￿"])),
    ),
    max_size=30,
)


@pytest.mark.slow
@pytest.mark.parametrize(("columns", "sql"), INVARIANT)
def test_both_engines_say_the_same(canon: Canon, columns: dict[str, PgType], sql: str) -> None:
    schema = pa.schema([("c0", pa.int64()), ("c1", pa.string())])
    asked = plan(columns, sql, {0: {"a": INT8, "b": TEXT}})

    async def same(merger: Merger, rows: list[tuple[int | None, str | None]]) -> None:
        table = pa.Table.from_pylist([{"c0": a, "c1": b} for a, b in rows], schema)
        canonical = await merger.run(asked, Fetched({0: table}, []), (), ANN)
        assert canonical.engine == "canon"
        ducks = await duck_table(merger.duck, asked, {0: table})
        assert [tuple(row.values()) for row in ducks.to_pylist()] == await rows_of(canonical)
        assert ducks.schema.types == canonical.batches[0].schema.types

    with asyncio.Runner() as runner:
        engines = merging(canon)
        merger = runner.run(engines.__aenter__())  # one pair of engines for all examples

        @given(ROWS)
        @settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
        def check(rows: list[tuple[int | None, str | None]]) -> None:
            runner.run(same(merger, rows))

        try:
            check()
        finally:
            runner.run(engines.__aexit__(None, None, None))
