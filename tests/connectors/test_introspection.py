"""What PostgreSQL and MariaDB tell of their tables: keys, indexes, collations, comments, in few queries."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.base import Collation, ForeignKey
from connectors.registry import connect
from tests.servers import Server

pytestmark = pytest.mark.service


def fresh(server: Server, name: str, *statements: str) -> Any:
    server.run(f"DROP DATABASE IF EXISTS {name}", f"CREATE DATABASE {name}")
    if server.kind != "postgresql":
        server.run(f"GRANT ALL ON {name}.* TO vdw@'%'")
    server.run(*statements, database=name)
    return connect(server.kind, "shop", {**server.options, "database": name})


def test_postgresql_tables(postgresql: Server) -> None:
    connector = fresh(
        postgresql,
        "facts",
        "CREATE SCHEMA sales",
        "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
        """CREATE TABLE sales.orders (id int PRIMARY KEY, code text COLLATE "C" NOT NULL UNIQUE, note text UNIQUE,
           icu text COLLATE "de-x-icu", ci text COLLATE loose, "Odd ""name\"\"\" int)""",
        "CREATE TABLE sales.items (order_id int REFERENCES sales.orders, n int, PRIMARY KEY (n, order_id))",
        "CREATE TABLE public.parts (id int) PARTITION BY RANGE (id)",
        "CREATE TABLE public.parts_1 PARTITION OF public.parts FOR VALUES FROM (0) TO (9)",
        "CREATE INDEX ON sales.orders (note, code)",
        "CREATE VIEW sales.latest AS SELECT id FROM sales.orders",
        "COMMENT ON TABLE sales.orders IS 'what was bought'",
        "COMMENT ON COLUMN sales.orders.code IS 'as printed'",
        "INSERT INTO sales.orders SELECT g, g::text FROM generate_series(1, 100) g",
        "ANALYZE sales.orders",
    )
    tables = {(table.schema, table.name): table for table in connector.tables()}
    assert set(tables) == {("sales", "orders"), ("sales", "items"), ("sales", "latest"), ("public", "parts")}
    orders = tables["sales", "orders"]
    assert orders.keys == (("id",), ("code",))
    assert ("note", "code") in orders.indexes
    assert orders.row_count == 100
    assert (orders.comment, orders.column("code").comment) == ("what was bought", "as printed")
    collations = {name: orders.column(name).collation for name in ("id", "code", "note", "icu", "ci")}
    assert collations == {
        "id": Collation.BYTES,
        "code": Collation.BYTES,
        "note": Collation.EQUAL,
        "icu": Collation.EQUAL,
        "ci": Collation.LOOSE,
    }
    assert not orders.column("code").nullable
    assert orders.column("note").nullable
    assert orders.column('Odd "name"').type.name == "int4"
    assert tables["sales", "items"].keys == (("n", "order_id"),)
    assert tables["sales", "items"].foreign_keys == (ForeignKey(("order_id",), "orders", ("id",), enforced=True),)
    assert [table.name for table in connector.tables(schemas=("public",))] == ["parts"]
    assert [table.name for table in connector.tables(tables=("items",))] == ["items"]
    connector.close()


def test_mariadb_tables(mariadb: Server) -> None:
    connector = fresh(
        mariadb,
        "facts",
        """CREATE TABLE orders (id int PRIMARY KEY, code varchar(9) COLLATE utf8mb4_nopad_bin NOT NULL UNIQUE,
           note varchar(9) UNIQUE, seen int, KEY unseen (seen) IGNORED,
           padded varchar(9) COLLATE utf8mb4_bin, kind enum('a'), doc json COMMENT 'as sent')
           COMMENT 'what was bought'""",
        "CREATE TABLE items (order_id int REFERENCES orders (id), n int, PRIMARY KEY (n, order_id), KEY (order_id))",
        "CREATE VIEW latest AS SELECT id FROM orders",
    )
    tables = {table.name: table for table in connector.tables()}
    assert set(tables) == {"orders", "items", "latest"}
    orders = tables["orders"]
    assert orders.keys == (("id",), ("code",))
    assert set(orders.indexes) == {("id",), ("code",), ("note",)}, "an ignored index serves nobody"
    assert orders.comment == "what was bought"
    assert tables["latest"].comment == ""
    assert orders.column("doc").comment == "as sent"
    assert orders.column("doc").type.name == "json"
    collations = {name: orders.column(name).collation for name in ("id", "code", "note", "padded", "kind")}
    assert collations == {
        "id": Collation.BYTES,
        "code": Collation.BYTES,
        "note": Collation.LOOSE,
        "padded": Collation.LOOSE,
        "kind": Collation.LOOSE,
    }
    assert tables["items"].keys == (("n", "order_id"),)
    assert tables["items"].foreign_keys == (ForeignKey(("order_id",), "orders", ("id",)),)
    connector.close()


def test_a_thousand_tables_take_few_queries(postgresql: Server) -> None:
    connector = fresh(
        postgresql,
        "many",
        """DO $$ BEGIN FOR i IN 1..1000 LOOP
           EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, v text)', i); END LOOP; END $$""",
    )
    count = """SELECT coalesce(sum(calls), 0)::int FROM pg_stat_statements s
        JOIN pg_database d ON d.oid = s.dbid WHERE datname = 'many'"""
    before = postgresql.run(count, database="shop")[0][0]
    assert len(connector.tables()) == 1000
    assert postgresql.run(count, database="shop")[0][0] - before < 15
    connector.close()
