"""Statements over copies: each answers as PostgreSQL does over the copies' data, and no original is asked."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest

from federation.canon.server import Canon
from tests.folders import write
from tests.pgwire.conftest import Front

Rows = dict[str, list[tuple[Any, ...]]]
COLUMNS = {
    "crm.customers": "id BIGINT PRIMARY KEY, name TEXT NOT NULL, region TEXT, since DATE",
    "crm.orders": "id BIGINT PRIMARY KEY, customer_id BIGINT, amount NUMERIC(10,2), placed DATE",
    "erp.stock": "sku TEXT PRIMARY KEY, customer_id BIGINT, pieces BIGINT",
}
# The copies have their columns in another order, and one more.
COPIES = {
    "crm.customers": (
        "dwh", "customers", "more VARCHAR, since DATE, region VARCHAR, id BIGINT, name VARCHAR", (None, 3, 2, 0, 1),
    ),
    "crm.orders": ("dwh", "orders", "placed DATE, amount DECIMAL(10,2), id BIGINT, customer_id BIGINT", (3, 2, 0, 1)),
    "erp.stock": ("replica", "held", "pieces BIGINT, sku TEXT PRIMARY KEY, customer_id BIGINT", (2, 0, 1)),
}  # fmt: skip
FILES = {
    "sources/crm.yml": "kind: sqlite\nconnection: {path: crm.sqlite}\n",
    "sources/erp.yml": "kind: sqlite\nconnection: {path: erp.sqlite}\n",
    "sources/dwh.yml": "kind: duckdb\nconnection: {path: dwh.duckdb}\nas_of: {kind: file}\ncopy_of: crm\n",
    "sources/replica.yml": "kind: sqlite\nconnection: {path: replica.sqlite}\nas_of: {kind: file}\n"
    "copies: {held: erp.stock}\n",
    "views/v/spent.view.sql": "select c.id, c.name, c.region, coalesce(sum(o.amount), 0) as spent from crm.customers c "
    "left join crm.orders o on o.customer_id = c.id group by c.id, c.name, c.region",
}
QUERIES = (
    "select * from crm.customers",
    "select c.* from crm.customers c where c.region = 'north' and c.since >= date '2021-01-01'",
    "select name from crm.customers order by id desc limit 3",
    "select region, count(*), min(since), max(name) from crm.customers group by region",
    "select * from v.spent",
    "select region, sum(spent) from v.spent where region is not null group by region having sum(spent) > 50",
    "select s.name, k.sku, k.pieces from v.spent s join erp.stock k on k.customer_id = s.id where s.spent > 100",
    "select c.name, (select max(o.amount) from crm.orders o where o.customer_id = c.id) from crm.customers c",
    "select name from crm.customers c where exists (select from crm.orders o where customer_id = c.id and amount > 90)",
    "select id from crm.customers where id not in (select customer_id from crm.orders where customer_id is not null)",
    "select id from crm.customers union all select customer_id from erp.stock",
    "select id from crm.customers intersect select customer_id from crm.orders",
    "with big as (select * from crm.orders where amount > 50) "
    "select a.id, b.id from big a join big b using (customer_id)",
    "select id, row_number() over (partition by region order by since nulls last, id) from crm.customers",
    "select distinct on (customer_id) customer_id, id from crm.orders order by customer_id, placed desc, id",
    "select c.name, l.id from crm.customers c, lateral "
    "(select id from crm.orders o where o.customer_id = c.id order by amount desc, id limit 1) l",
    "select c.region, k.sku from crm.customers c full join erp.stock k on k.customer_id = c.id",
    "select date_trunc('month', placed), avg(amount) from crm.orders group by 1",
    "with recursive r(i) as (select 1 union all select i + 1 from r where i < 5) "
    "select i, name from r left join crm.customers on id = i",
    "select region, name, count(*) from crm.customers group by grouping sets ((region), (name), ())",
    "select c, c.name from crm.customers c where id < 9",
    "select count(*) from crm.customers c where (select count(*) from erp.stock k where k.customer_id = c.id) > 1",
)


def drawn(seed: int) -> Rows:
    """Rows of all tables, in the order of the originals' columns."""
    chance = random.Random(seed)
    day = lambda: f"202{chance.randint(0, 4)}-0{chance.randint(1, 9)}-1{chance.randint(0, 9)}"  # noqa: E731
    return {
        "crm.customers": [
            (i, f"name {chance.randint(0, 99)}", chance.choice(["north", "south", None]), chance.choice([day(), None]))
            for i in chance.sample(range(60), 40)
        ],
        "crm.orders": [
            (i, chance.choice([None, *range(60)]), chance.randint(0, 9999) / 100, day())
            for i in chance.sample(range(900), 150)
        ],
        "erp.stock": [
            (f"s{i}", chance.randint(0, 60), chance.choice([None, *range(9)])) for i in chance.sample(range(99), 50)
        ],
    }


def originals(folder: Path, rows: Rows) -> None:
    for name, columns in COLUMNS.items():
        source, _, table = name.partition(".")
        with contextlib.closing(sqlite3.connect(folder / f"{source}.sqlite")) as connection:
            connection.execute(f"CREATE TABLE {table} ({columns})")
            connection.executemany(f"INSERT INTO {table} VALUES ({_marks(rows[name])})", rows[name])
            connection.commit()


def copies(folder: Path, rows: Rows) -> None:
    for name, (source, table, columns, places) in COPIES.items():
        moved = [tuple("more" if at is None else row[at] for at in places) for row in rows[name]]
        if source == "dwh":
            with duckdb.connect(folder / "dwh.duckdb") as warehouse:
                warehouse.execute(f"CREATE TABLE {table} ({columns})")
                warehouse.executemany(f"INSERT INTO {table} VALUES ({_marks(moved)})", moved)
            continue
        with contextlib.closing(sqlite3.connect(folder / f"{source}.sqlite")) as connection:
            connection.execute(f"CREATE TABLE {table} ({columns})")
            connection.executemany(f"INSERT INTO {table} VALUES ({_marks(moved)})", moved)
            connection.commit()


def _marks(rows: Sequence[tuple[Any, ...]]) -> str:
    return ", ".join("?" * len(rows[0]))


@contextlib.contextmanager
def postgresql(canon: Canon, name: str, rows: Rows) -> Iterator[psycopg.Connection[Any]]:
    """A PostgreSQL database with these rows under the originals' names."""
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    try:
        with psycopg.connect(canon.dsn(dbname=name), autocommit=True) as connection:
            for schema in ("crm", "erp", "v"):
                connection.execute(f"CREATE SCHEMA {schema}")  # type: ignore[call-overload]
            for table, columns in COLUMNS.items():
                connection.execute(f"CREATE TABLE {table} ({columns})")  # type: ignore[call-overload]
                marks = ", ".join(["%s"] * len(rows[table][0]))
                connection.cursor().executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table])  # type: ignore[arg-type]
            connection.execute(f"CREATE VIEW v.spent AS {FILES['views/v/spent.view.sql']}")  # type: ignore[call-overload]
            yield connection
    finally:
        with psycopg.connect(canon.dsn(), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


def answer(connection: psycopg.Connection[Any], sql: str) -> list[str]:
    return sorted(map(repr, connection.execute(sql).fetchall()))  # type: ignore[call-overload]


def _explained(connection: psycopg.Connection[Any], sql: str) -> str:
    return "\n".join([sql, *(row[0] for row in connection.execute(f"EXPLAIN ANALYZE {sql}"))])  # type: ignore[call-overload]


@pytest.mark.service
def test_copies_answer_as_postgresql_does_over_their_data(tmp_path: Path, canon: Canon) -> None:
    folder = write(tmp_path, FILES)
    (folder / "sources/shop.yml").unlink()
    live, old = drawn(1), drawn(2)
    originals(folder, live)
    copies(folder, old)
    with (
        Front(folder) as front,
        postgresql(canon, "copies_live", live) as now,
        postgresql(canon, "copies_old", old) as then,
        psycopg.connect(front.dsn(), autocommit=True) as connection,
    ):
        loads = front.runtime.engine.loads
        for sql in QUERIES:
            connection.execute("SET vdw.max_age = 'batch'")
            before = loads["crm"].statements, loads["erp"].statements
            assert answer(connection, sql) == answer(then, sql), _explained(connection, sql)
            assert (loads["crm"].statements, loads["erp"].statements) == before, sql
            connection.execute("RESET vdw.max_age")
            assert answer(connection, sql) == answer(now, sql), sql
        assert loads["dwh"].statements and loads["replica"].statements
