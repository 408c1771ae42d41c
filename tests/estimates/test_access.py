"""What real servers do with our statements: no end-to-end read of a table whose index serves; EXPLAIN read right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from api.project import Runtime, open_project
from connectors.base import SourceQuery
from connectors.errors import LimitExceeded
from connectors.reading import Reading
from connectors.registry import connect
from connectors.statistics import Estimate
from connectors.types import PgType
from federation import bind
from federation.session import Session
from planner.plan import Fragment
from tests.folders import write
from tests.servers import Server

pytestmark = pytest.mark.service

SESSION = Session("access")
ROWS = 30_000
CUSTOMERS, ORDERS = 3_000, ROWS
# over `orders` (big) and `customers` (small) of the server under test, and `regions` of a file
QUERIES = (
    "SELECT * FROM shop.customers WHERE id = 17",
    "SELECT * FROM shop.customers WHERE email = 'c17@example.com'",
    "SELECT name FROM shop.customers WHERE id IN (1, 2, 3, 99)",
    "SELECT * FROM shop.orders WHERE customer_id = 17 ORDER BY placed DESC LIMIT 5",
    "SELECT count(*), sum(amount) FROM shop.orders WHERE customer_id = 17",
    "SELECT * FROM shop.orders WHERE customer_id = 17 AND placed >= date '2024-01-01'",
    "SELECT * FROM shop.orders WHERE placed >= date '2024-03-01' AND placed < date '2024-03-02'",
    "SELECT c.name, o.id, o.amount FROM shop.customers c JOIN shop.orders o ON o.customer_id = c.id WHERE c.id = 17",
    "SELECT name, (SELECT max(placed) FROM shop.orders WHERE customer_id = c.id) FROM shop.customers c WHERE c.id = 8",
    "SELECT c.name FROM shop.customers c WHERE id < 20 AND EXISTS (SELECT 1 FROM shop.orders WHERE customer_id = c.id)",
    "SELECT c.name, r.title FROM shop.customers c LEFT JOIN files.regions r ON r.code = c.region WHERE c.id = 3",
    "SELECT f.n, o.amount FROM files.wanted f JOIN shop.orders o ON o.id = f.n",
    "SELECT f.n, c.name FROM files.wanted f LEFT JOIN shop.customers c ON c.id = f.n",
    "SELECT * FROM v.customer_orders WHERE id = 17",
    "SELECT name, orders FROM v.customer_360 WHERE email = 'c17@example.com'",
)
VIEWS = {
    "v.customer_orders": "select c.id, c.name, o.id as order_id, o.amount from shop.customers c"
    " left join shop.orders o on o.customer_id = c.id",
    "v.customer_360": "select c.id, c.name, c.email, (select count(*) from shop.orders o where o.customer_id = c.id) as"
    " orders from shop.customers c",
}
_DDL = (
    "CREATE TABLE customers (id int PRIMARY KEY, email varchar(60) NOT NULL, name varchar(60), region char(2))",
    "CREATE UNIQUE INDEX c_email ON customers (email)",
    "CREATE TABLE orders (id int PRIMARY KEY, customer_id int NOT NULL, amount int, placed date, note varchar(20))",
    "CREATE INDEX o_customer ON orders (customer_id, placed)",
    "CREATE INDEX o_placed ON orders (placed)",
)
_FILL = {
    "postgresql": (
        "INSERT INTO customers SELECT g, 'c' || g || '@example.com', 'name ' || g, 'r' || g % 5"
        f" FROM generate_series(0, {CUSTOMERS - 1}) g",
        "INSERT INTO orders SELECT g, g % 3000, g % 97, date '2023-01-01' + g % 700, 'n' || g % 9"
        f" FROM generate_series(0, {ORDERS - 1}) g",
        "ANALYZE customers, orders",
    ),
    "mariadb": (
        "INSERT INTO customers SELECT seq, concat('c', seq, '@example.com'), concat('name ', seq), concat('r', seq % 5)"
        f" FROM seq_0_to_{CUSTOMERS - 1}",
        "INSERT INTO orders SELECT seq, seq % 3000, seq % 97, date '2023-01-01' + interval (seq % 700) day,"
        f" concat('n', seq % 9) FROM seq_0_to_{ORDERS - 1}",
        "ANALYZE TABLE customers, orders",
    ),
}


class World:
    def __init__(self, server: Server, runner: asyncio.Runner, runtime: Runtime) -> None:
        self.server, self.runner, self.runtime = server, runner, runtime

    def asked(self, sql: str) -> list[tuple[Fragment, SourceQuery]]:
        """What the server would get, with a few keys where another fragment would give them."""
        prepared = self.runner.run(self.runtime.engine.prepare(sql, SESSION))
        given = bind.Given(prepared.given(()))
        keys = pa.table({f"c{n}": [3, 17, 2999] for n in range(8)})
        fragments = [fragment for fragment in prepared.plan.fragments if fragment.source == "shop"]
        tables = {fragment.id: keys for fragment in prepared.plan.fragments}
        return [(fragment, query) for fragment in fragments for query in bind.queries(fragment, given, tables)]

    def explained(self, query: SourceQuery) -> Reading:
        """The server's plan."""
        connector: Any = self.runtime.engine.connectors["shop"]
        reading: Reading = connector.explain(query, timeout=5.0)
        return reading

    def rows(self, sql: str) -> list[dict[str, Any]]:
        async def ask() -> list[dict[str, Any]]:
            rows: list[dict[str, Any]] = (await (await self.runtime.engine.query(sql, SESSION)).table()).to_pylist()
            return rows

        return self.runner.run(ask())


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The CRM in a server of each kind, a file beside it."""
    server: Server = request.getfixturevalue(request.param)
    server.run("DROP DATABASE IF EXISTS access", "CREATE DATABASE access")
    if request.param == "mariadb":
        server.run("GRANT ALL ON access.* TO vdw@'%'")
    server.run(*_DDL, *_FILL[request.param], database="access")
    folder = tmp_path_factory.mktemp("access")
    (folder / "files").mkdir()
    duckdb.execute(
        f"COPY (SELECT 'r' || i AS code, 'T' AS title FROM range(5) t(i)) TO '{folder}/files/regions.parquet'"
    )
    duckdb.execute(f"COPY (SELECT (i * 7)::int AS n FROM range(40) t(i)) TO '{folder}/files/wanted.parquet'")
    password = {"file": "password"}
    options = {**server.options, "database": "access", "password": password}
    text = ", ".join(f"{key}: {{file: password}}" if key == "password" else f"{key}: {v}" for key, v in options.items())
    files: dict[str, str | bytes] = {
        "password": server.password.encode(),
        "sources/shop.yml": f"kind: {request.param}\nconnection: {{{text}}}\n"
        "limits: {examined_rows: 20000, on_budget: error}\n",
        "sources/files.yml": "kind: files\nconnection: {folder: files}\n",
    }
    for name, query in VIEWS.items():
        schema, view = name.split(".")
        files[f"views/{schema}/{view}.view.sql"] = f"/*---\nview: {name}\n---*/\n{query}\n"
    write(folder, files)
    with asyncio.Runner() as runner:
        opened = open_project(folder)
        runtime = runner.run(_enter(opened))
        assert [d.message for d in runtime.diagnostics if d.severity == "error"] == []
        yield World(server, runner, runtime)
        runner.run(_leave(opened))


async def _enter(opened: Any) -> Runtime:
    runtime: Runtime = await opened.__aenter__()
    return runtime


async def _leave(opened: Any) -> None:
    await opened.__aexit__(None, None, None)


@pytest.mark.parametrize("sql", QUERIES)
def test_no_table_is_read_from_end_to_end_where_an_index_serves(world: World, sql: str) -> None:
    """By the server's own EXPLAIN of every statement that it would get, and by our own estimate of it."""
    asked = world.asked(sql)
    assert asked
    for fragment, query in asked:
        reading = world.explained(query)
        assert reading.steps
        whole = [step.table for step in reading.steps if not step.index]
        assert whole == [], f"{bind.text(fragment.text)}\n{reading.text}"
        assert fragment.expected.sequential == ()
        if world.server.kind == "postgresql":  # MariaDB keeps nothing of ranges
            assert fragment.expected.examined.likely < ROWS / 10


@pytest.mark.parametrize("sql", QUERIES)
def test_statements_and_rows_keep_within_the_budgets(world: World, sql: str) -> None:
    async def ask() -> list[tuple[int, int, Estimate]]:
        result = await world.runtime.engine.query(sql, SESSION)
        await result.table()
        expected = {fragment.id: fragment.expected.rows for fragment in result.plan.fragments}
        parts = [part for part in result.parts if part.source == "shop"]
        return [(part.rows, part.statements, expected[part.fragment]) for part in parts]

    for rows, statements, _ in world.runner.run(ask()):
        assert rows <= 1_000
        assert statements <= 1


def test_a_scan_is_told_as_such_by_estimate_and_server(world: World) -> None:
    ((fragment, query),) = world.asked("SELECT id FROM shop.orders WHERE note = 'n3'")
    assert fragment.expected.sequential == ("shop.orders",)
    (step,) = world.explained(query).steps
    assert (step.table, step.index) == ("orders", "")
    with pytest.raises(LimitExceeded, match=r"its owner allows 20,000"):
        world.rows("SELECT id FROM shop.orders WHERE note = 'n3'")


def test_the_server_s_word_counts_where_we_know_no_index(world: World) -> None:
    """An index that introspection leaves out (partial, on an expression, made since) is the server's to know."""
    world.server.run("CREATE INDEX o_note_amount ON orders (note, amount)", database="access")
    if world.server.kind == "postgresql":
        world.server.run("ANALYZE orders", database="access")
    world.runtime.engine.statistician._readings.clear()
    rows = world.rows("SELECT id FROM shop.orders WHERE note = 'n3' AND amount = 5")
    assert len(rows) == sum(g % 9 == 3 and g % 97 == 5 for g in range(ORDERS))


def test_statistics_of_the_server(world: World) -> None:
    found = world.runtime.engine.catalog.statistics.tables
    orders, customers = found["shop", "orders"], found["shop", "customers"]
    assert orders.rows.low <= ORDERS <= orders.rows.high
    assert customers.rows.low <= CUSTOMERS <= customers.rows.high
    assert 1_000 <= orders.columns["customer_id"].distinct.likely <= 9_000
    if world.server.kind == "postgresql":
        assert orders.columns["placed"].buckets or orders.columns["placed"].most_common
        assert orders.columns["customer_id"].distinct == Estimate.exactly(3_000)


def test_mariadb_s_histograms_where_we_may_read_them(mariadb: Server) -> None:
    """ANALYZE TABLE ... PERSISTENT, and a user who may read mysql.column_stats."""
    mariadb.run("DROP DATABASE IF EXISTS told", "CREATE DATABASE told", "GRANT ALL ON told.* TO vdw@'%'")
    mariadb.run("GRANT SELECT ON mysql.column_stats TO vdw@'%'")
    mariadb.run(
        "CREATE TABLE t (id int PRIMARY KEY, a int)",
        "INSERT INTO t SELECT seq, if(seq % 10 = 0, NULL, seq % 400) FROM seq_1_to_4000",
        "ANALYZE TABLE t PERSISTENT FOR ALL",
        database="told",
    )
    connector: Any = connect("mariadb", "s", {**mariadb.options, "database": "told"})
    try:
        (table,) = connector.tables()
        column = connector.statistics([table], {})["told", "t"].columns["a"]
    finally:
        connector.close()
        mariadb.run("REVOKE SELECT ON mysql.column_stats FROM vdw@'%'")
    assert column.nulls == pytest.approx(0.1, abs=0.01)
    assert (column.low, column.high) == (1.0, 399.0)
    assert column.distinct.likely == pytest.approx(360, rel=0.05)


def test_refreshing_asks_only_what_changed(postgresql: Server) -> None:
    """Columns are read again only after an ANALYZE; sizes always."""
    postgresql.run("DROP DATABASE IF EXISTS again", "CREATE DATABASE again")
    postgresql.run(
        "CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t SELECT generate_series(1, 500)", "ANALYZE t",
        database="again",
    )  # fmt: skip
    connector: Any = connect("postgresql", "s", {**postgresql.options, "database": "again"})
    asked: list[str] = []
    ask = connector._ask

    def counted(text: str, values: Any, **more: Any) -> Any:
        asked.append(text)
        return ask(text, values, **more)

    connector._ask = counted
    try:
        tables = connector.tables()
        asked.clear()
        first = connector.statistics(tables, {})
        assert len(asked) == 3
        second = connector.statistics(tables, first)
        assert len(asked) == 4
        key = ("public", "t")
        assert second[key].columns is first[key].columns
        postgresql.run("INSERT INTO t SELECT generate_series(501, 900)", "ANALYZE t", database="again")
        third = connector.statistics(tables, second)
        assert len(asked) == 7
        assert third[key].rows.likely == 900.0  # the counter of changes lags behind
        assert third[key].columns["id"].distinct == Estimate.exactly(900)
        assert PgType("int4") == tables[0].columns[0].type
    finally:
        connector.close()
