"""What MySQL tells of its tables and itself, where it differs from MariaDB."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.base import Bound, Cancel, Collation, ForeignKey, Replication
from connectors.conformance.asking import INT8, ask, statement
from connectors.registry import connect
from connectors.types import PgType
from tests.connectors.test_introspection import fresh
from tests.servers import Server

pytestmark = pytest.mark.service
Open = Callable[..., Any]


@pytest.fixture
def open_(mysql: Server) -> Iterator[Open]:
    """Makes a database with these statements, and a connector to it."""
    with contextlib.ExitStack() as stack:

        def make(name: str, *statements: str) -> Any:
            return stack.enter_context(contextlib.closing(fresh(mysql, name, *statements)))

        yield make


def test_tables(open_: Open) -> None:
    connector = open_(
        "facts",
        """CREATE TABLE orders (id int PRIMARY KEY, code varchar(9) COLLATE utf8mb4_0900_bin NOT NULL UNIQUE,
           note varchar(9) UNIQUE, padded varchar(9) COLLATE utf8mb4_bin, kind enum('a'), doc json COMMENT 'as sent',
           twice int GENERATED ALWAYS AS (id * 2) STORED NOT NULL, hidden int NOT NULL DEFAULT 7 INVISIBLE,
           UNIQUE KEY functional ((id + 1)), UNIQUE KEY (twice), UNIQUE KEY prefixed (padded(3)),
           KEY partly ((upper(code)), id), KEY unseen (hidden) INVISIBLE) COMMENT 'what was bought'""",
        "CREATE TABLE items (order_id int, n int, PRIMARY KEY (n, order_id), KEY (order_id DESC), "
        "FOREIGN KEY (order_id) REFERENCES orders (id))",
        "CREATE TABLE parts (id int) PARTITION BY HASH (id) PARTITIONS 3",
        "CREATE VIEW latest AS SELECT id FROM orders",
        "INSERT INTO orders (id, code) VALUES (1, 'a'), (2, 'A')",
    )
    tables = {table.name: table for table in connector.tables()}
    assert set(tables) == {"orders", "items", "parts", "latest"}
    orders = tables["orders"]
    assert orders.keys == (("id",), ("code",), ("twice",)), "neither of expressions nor of the start of a text"
    assert set(orders.indexes) == {("id",), ("code",), ("note",), ("twice",)}, "what the optimizer may use"
    assert (orders.comment, tables["latest"].comment) == ("what was bought", "")
    assert [column.name for column in orders.columns][-2:] == ["twice", "hidden"]
    assert orders.column("doc").type.name == "json" and orders.column("doc").comment == "as sent"
    collations = {name: orders.column(name).collation for name in ("id", "code", "note", "padded", "kind", "doc")}
    loose = dict.fromkeys(("note", "padded", "kind", "doc"), Collation.LOOSE)
    assert collations == {"id": Collation.BYTES, "code": Collation.BYTES, **loose}
    assert tables["items"].foreign_keys == (ForeignKey(("order_id",), "orders", ("id",)),)
    assert tables["parts"].partitions is not None and tables["parts"].partitions.count == 3
    hidden = ask(connector, "SELECT CAST(sum(hidden) AS SIGNED) FROM facts.orders")
    assert hidden.column(0).to_pylist() == [14]


def test_statistics_are_not_of_yesterday(mysql: Server, open_: Open) -> None:
    """MySQL keeps what it read of a table's statistics for a day, unless it is told otherwise."""
    connector = open_("young", "CREATE TABLE t (id int PRIMARY KEY, v int, KEY (v))", "ANALYZE TABLE t")
    (empty,) = connector.tables(tables=("t",))
    assert empty.row_count == 0
    numbers = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 900) SELECT n, n % 7 FROM r"
    mysql.run(f"INSERT INTO t {numbers}", "ANALYZE TABLE t", database="young")
    (table,) = connector.tables(tables=("t",))
    assert table.row_count == 900
    told = connector.statistics((table,), {})["young", "t"]
    assert told.rows.low <= 900 <= told.rows.high
    assert told.columns["v"].distinct.likely == 7


def test_explain_is_read_whatever_its_form_is_by_default(mysql: Server, open_: Open) -> None:
    connector = open_(
        "plans",
        "CREATE TABLE t (id int PRIMARY KEY, v int)",
        "INSERT INTO t WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 500) "
        "SELECT n, n FROM r",
        "ANALYZE TABLE t",
    )
    key = connector.explain(statement("SELECT id FROM plans.t WHERE id = ", Bound(INT8, 7)), timeout=10)
    whole = connector.explain(statement("SELECT id FROM plans.t WHERE v > ", Bound(INT8, 7)), timeout=10)
    assert [(step.index, step.rows) for step in key.steps] == [("PRIMARY", 1)]
    assert [(step.index, step.rows) for step in whole.steps] == [("", 500)]


def test_facts(mysql: Server, open_: Open) -> None:
    connector = open_("shop_facts", "CREATE TABLE t (id int)")
    profile = connector.profile()
    assert profile.engine == "mysql" and profile.version >= (8, 0)
    assert profile.facts["replica"] is None, "who may not see it does not know"
    assert profile.facts["read_only_login"] is False
    told = connector.replication()
    assert told.lag is None and "REPLICATION CLIENT" in str(told)
    mysql.run("CREATE USER watcher@'%' IDENTIFIED BY 'w'", "GRANT REPLICATION CLIENT ON *.* TO watcher@'%'")
    given = {**mysql.options, "database": None, "user": "watcher", "password": "w"}
    try:
        with contextlib.closing(connect("mysql", "shop", given)) as watcher:
            assert watcher.profile().facts["replica"] is False
            assert watcher.replication() == Replication(False, 0.0)  # type: ignore[attr-defined]
            assert watcher.pressure().lag is None  # type: ignore[attr-defined]
    finally:
        mysql.run("DROP USER watcher@'%'")


@pytest.mark.parametrize("role", [False, True], ids=["granted", "by a role"])
def test_a_reader_is_known_unless_a_role_says_what_it_may(mysql: Server, open_: Open, role: bool) -> None:
    open_("readable", "CREATE TABLE t (id int)")
    mysql.run("CREATE USER reader@'%' IDENTIFIED BY 'r'", "CREATE ROLE writers", "GRANT SELECT ON readable.* TO reader")
    try:
        if role:
            mysql.run("GRANT INSERT ON readable.* TO writers", "GRANT writers TO reader")
        given = {**mysql.options, "database": "readable", "user": "reader", "password": "r"}
        with contextlib.closing(connect("mysql", "shop", given)) as connector:
            assert connector.profile().facts["read_only_login"] is not role
    finally:
        mysql.run("DROP USER reader@'%'", "DROP ROLE writers")


def test_a_snapshot_is_of_one_state(mysql: Server, open_: Open) -> None:
    connector = open_("still", "CREATE TABLE t (n bigint)", "INSERT INTO t VALUES (1)")
    count = statement("SELECT count(*) FROM still.t", small=True)
    snapshot = connector.snapshot(timeout=10)
    try:
        for rows in (1, 1):
            (batch,) = snapshot.execute(count, timeout=10, cancel=Cancel())
            assert batch.column(0).to_pylist() == [rows]
            mysql.run("INSERT INTO t VALUES (2)", database="still")
    finally:
        snapshot.close()
    assert ask(connector, "SELECT count(*) FROM still.t").column(0).to_pylist() == [3]


def test_texts_of_no_column_compare_by_bytes(open_: Open) -> None:
    connector = open_("texts", "CREATE TABLE t (v varchar(9))", "INSERT INTO t VALUES ('a')")
    for left, right, equal in (("a", "A", 0), ("a", "a ", 0), ("é", "e", 0), ("ß", "ss", 0), ("a", "a", 1)):
        parts = ("SELECT CAST(", Bound(PgType("text"), left), " = ", Bound(PgType("text"), right), " AS SIGNED)")
        assert ask(connector, *parts).column(0).to_pylist() == [equal], (left, right)
