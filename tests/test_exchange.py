"""Lookups on the loop: the same answers and errors as by a thread, and nothing left running or lent out."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from cache.results import ResultCache
from connectors import registry
from connectors.base import Bound, Cancel, SourceQuery, Stale
from connectors.errors import Error, LimitExceeded
from connectors.postgresql.connector import PostgresqlConnector
from connectors.postgresql.prompt import KEPT, PostgresqlPrompt
from connectors.types import PgType, numeric
from federation.bind import Given
from federation.deadline import Deadline
from federation.fetch import Fetcher
from federation.query import Query
from federation.session import Session
from federation.steps import Asked, Step
from planner.plan import ParamRef
from tests.servers import Server
from tests.sources import catalog, fragment, wait_for
from views.catalog import Limits

pytestmark = pytest.mark.service
INT4, INT8, TEXT = PgType("int4"), PgType("int8"), PgType("text")
SLOW = "SELECT 1::bigint FROM pg_sleep(30)"


@pytest.fixture
def connector(postgresql: Server) -> Iterator[PostgresqlConnector]:
    made = registry.connect("postgresql", "crm", {**postgresql.options, "pool_size": 2})
    assert isinstance(made, PostgresqlConnector)
    yield made
    made.close()


def small(text: str, *columns: PgType, params: tuple[Bound, ...] = ()) -> SourceQuery:
    """A statement in which `?` stands for the parameters in order."""
    parts: list[str | int] = []
    for index, piece in enumerate(text.split("?")):
        parts += [piece] if not index else [index - 1, piece]
    return SourceQuery(tuple(parts), params, columns, small=True)


def by_thread(connector: PostgresqlConnector, query: SourceQuery) -> pa.Table:
    return pa.Table.from_batches(list(connector.execute(query, timeout=30, cancel=Cancel())))


def prompt(connector: PostgresqlConnector, query: SourceQuery, timeout: float = 30) -> PostgresqlPrompt:
    made = connector.prompt(query, timeout=timeout)
    assert isinstance(made, PostgresqlPrompt)
    return made


def answer(given: PostgresqlPrompt) -> pa.RecordBatch:
    """What the loop does, by hand."""
    try:
        while given.poll() is None:
            assert select.select([given.descriptor], [], [], 10)[0]
        return given.rows()
    finally:
        given.close()


def ask(connector: PostgresqlConnector, query: SourceQuery) -> pa.Table:
    return pa.Table.from_batches([answer(prompt(connector, query))])


def test_nothing_is_sent_where_no_connection_is_idle(connector: PostgresqlConnector) -> None:
    query = small("SELECT 1::bigint", INT8)
    assert connector.prompt(query, timeout=30) is None
    by_thread(connector, query)
    first = prompt(connector, query)
    assert connector.prompt(query, timeout=30) is None
    assert answer(first).to_pylist() == [{"c0": 1}]
    assert ask(connector, query).num_rows == 1


def test_the_same_rows_as_by_a_thread(connector: PostgresqlConnector) -> None:
    given = (Bound(INT4, 7), Bound(TEXT, "O'Neil \\ ü"), Bound(PgType("_int4"), [1, None, 7]), Bound(TEXT, None))
    columns = (INT4, TEXT, numeric(10, 2), PgType("numeric"), PgType("date"), PgType("bpchar", 9), TEXT)
    text = (
        "SELECT ?, ?, 1.25::numeric(10,2), 1.50::numeric, date 'infinity', 'ab'::char(5), ? "
        "WHERE 7 = ANY (?) UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL ORDER BY 1"
    )
    query = small(text, *columns, params=(given[0], given[1], given[3], given[2]))
    expected = by_thread(connector, query)
    assert expected.num_rows == 2
    assert ask(connector, query).equals(expected)
    assert ask(connector, query).equals(expected)  # prepared by now
    none = small("SELECT 1::bigint WHERE false", INT8)
    assert ask(connector, none).equals(by_thread(connector, none))


@pytest.mark.parametrize("rows", [0, 1, 100, 101, 5000])
def test_any_number_of_rows(connector: PostgresqlConnector, rows: int) -> None:
    query = small(f"SELECT g::bigint, 'row ' || g FROM generate_series(1, {rows}) g", INT8, TEXT)
    by_thread(connector, query)
    table = ask(connector, query)
    assert table.column(0).to_pylist() == list(range(1, rows + 1))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SELECT 1 / (g - 1)::bigint FROM generate_series(1, 1) g", INT8),
        ("SELECT 1 FROM nowhere", INT8),
        ("SELECT 'NaN'::numeric", numeric(10, 2)),
        ("SELECT 1.239::numeric", numeric(10, 2)),
    ],
)
def test_the_same_errors_as_by_a_thread(connector: PostgresqlConnector, text: str, kind: PgType) -> None:
    query = small(text, kind)
    with pytest.raises(Error) as expected:
        by_thread(connector, query)
    by_thread(connector, small("SELECT 1::bigint", INT8))
    with pytest.raises(Error) as caught:
        ask(connector, query)
    assert (str(caught.value), caught.value.sqlstate) == (str(expected.value), expected.value.sqlstate)
    by_thread(connector, small("SELECT 1::bigint", INT8))
    assert ask(connector, small("SELECT 2::bigint", INT8)).num_rows == 1


def test_statements_that_are_prepared_do_not_pile_up(connector: PostgresqlConnector) -> None:
    by_thread(connector, small("SELECT 1::bigint", INT8))
    for number in range(KEPT + 5):
        assert ask(connector, small(f"SELECT {number}::bigint", INT8)).column(0).to_pylist() == [number]
    count = small("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'vdw%'", INT8)
    assert ask(connector, count).column(0).to_pylist() == [KEPT]


def test_a_connection_that_died_is_stale(connector: PostgresqlConnector, postgresql: Server) -> None:
    query = small("SELECT pg_backend_pid()::bigint", INT8)
    (pid,) = by_thread(connector, query).column(0).to_pylist()
    started = prompt(connector, small(SLOW, INT8))
    postgresql.run(f"SELECT pg_terminate_backend({pid})")
    with pytest.raises(Stale):
        answer(started)
    by_thread(connector, query)


def test_values_that_could_block_or_be_cut_go_by_a_thread(connector: PostgresqlConnector) -> None:
    by_thread(connector, small("SELECT 1::bigint", INT8))
    for value in ("x" * 100_000, "a\0b"):
        assert connector.prompt(small("SELECT ?", TEXT, params=(Bound(TEXT, value),)), timeout=30) is None
    assert ask(connector, small("SELECT 1::bigint", INT8)).num_rows == 1


@asynccontextmanager
async def fetching(connector: PostgresqlConnector, limits: Limits | None = None) -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(ResultCache(1 << 20))
    fetcher.swap(catalog({"crm": limits or Limits(1)}), {"crm": connector})
    try:
        yield fetcher
    finally:
        await fetcher.close()


def lookup(text: str, *params: Any) -> Step:
    return Step(replace(fragment(0, "crm", text, {"c0": INT8}, params), small=True), 0.0, "1")


async def rows(fetcher: Fetcher, step: Step, *params: Bound, seconds: float = 30) -> list[Any]:
    asked = Asked(Query("q", Session("ann"), Cancel()), Given(params), Deadline.after(seconds), Cancel())
    fetched = await fetcher.gather([step], asked)
    return list(fetched.tables[0].column(0).to_pylist())


def asleep(postgresql: Server) -> int:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep%'"
    return int(postgresql.run(f"{asked} AND pid <> pg_backend_pid()")[0][0])


def test_lookups_leave_no_place_taken(connector: PostgresqlConnector) -> None:
    async def run() -> None:
        async with fetching(connector) as fetcher:
            step = lookup("SELECT ?", ParamRef(0, INT8))
            found = await asyncio.gather(*(rows(fetcher, step, Bound(INT8, i)) for i in range(50)))
            assert found == [[i] for i in range(50)]
            load = fetcher.loads["crm"]
            assert (load.in_flight, load.statements, load.rows, load.errors) == (0, 50, 50, 0)

    asyncio.run(run())


def test_whoever_leaves_stops_the_statement_and_gives_its_place_back(
    connector: PostgresqlConnector, postgresql: Server
) -> None:
    async def run() -> None:
        async with fetching(connector) as fetcher:
            await rows(fetcher, lookup("SELECT 1::bigint"))
            slow = asyncio.create_task(rows(fetcher, lookup(SLOW)))
            await asyncio.to_thread(wait_for, lambda: asleep(postgresql) == 1)
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            assert await rows(fetcher, lookup("SELECT 2::bigint"), seconds=10) == [2]
            assert asleep(postgresql) == 0

    asyncio.run(run())


def test_a_server_that_hangs_is_given_up(connector: PostgresqlConnector, postgresql: Server) -> None:
    async def run() -> None:
        async with fetching(connector, Limits(2, timeout=0.5)) as fetcher:
            await rows(fetcher, lookup("SELECT 1::bigint"))
            with postgresql.paused():
                with pytest.raises(LimitExceeded) as caught:
                    await rows(fetcher, lookup("SELECT 2::bigint"))
                assert caught.value.sqlstate == "57014"
            assert await rows(fetcher, lookup("SELECT 3::bigint"), seconds=20) == [3]

    asyncio.run(run())


def test_a_restart_in_between_is_not_noticed(connector: PostgresqlConnector, postgresql: Server) -> None:
    async def run() -> None:
        async with fetching(connector) as fetcher:
            assert await rows(fetcher, lookup("SELECT 1::bigint")) == [1]
            await asyncio.to_thread(postgresql.restart)
            assert await rows(fetcher, lookup("SELECT 2::bigint")) == [2]
            assert fetcher.loads["crm"].in_flight == 0

    asyncio.run(run())


def test_more_rows_than_the_owner_allows(connector: PostgresqlConnector) -> None:
    async def run() -> None:
        async with fetching(connector, Limits(rows=10)) as fetcher:
            await rows(fetcher, lookup("SELECT 1::bigint"))
            with pytest.raises(LimitExceeded, match="more than 10 rows"):
                await rows(fetcher, lookup("SELECT g::bigint FROM generate_series(1, 11) g"))
            assert await rows(fetcher, lookup("SELECT 1::bigint")) == [1]

    asyncio.run(run())
