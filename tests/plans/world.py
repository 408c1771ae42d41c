"""The world of the golden plans: three small sources, views over them, and one PostgreSQL that holds it all."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from tests.folders import write

_ORDER = (("id", "BIGINT"), ("customer_id", "BIGINT"), ("amount", "BIGINT"), ("placed", "DATE"), ("status", "TEXT"))
_LIVE = ("open", "paid", "Paid", None)
_COLD = ("paid", "paid", "returned")

# source -> table -> (columns as (name, SQL type), constraint or index DDL, rows)
Rows = Sequence[tuple[Any, ...]]
_NAMES = ("Ann", "ann", "Bo ", "Bo", "Zoë", "Zoe", None, "", "Ünal", "O'Neil")

TABLES: dict[str, dict[str, tuple[tuple[tuple[str, str], ...], str, Rows]]] = {
    "crm": {
        "customers": (
            (("id", "BIGINT"), ("name", "TEXT"), ("region", "TEXT"), ("since", "DATE"), ("account_id", "BIGINT")),
            "PRIMARY KEY (id)",
            [(i, _NAMES[i % 10], ("north", "south", None)[i % 3], f"2024-0{1 + i % 9}-1{i % 10}", i % 4 or None)
             for i in range(1, 41)],
        ),
        "accounts": (
            (("id", "BIGINT"), ("title", "TEXT")), "PRIMARY KEY (id)", [(1, "Acme"), (2, "acme"), (3, "Beta")],
        ),
    },
    "shop": {
        "orders": (
            _ORDER,
            "PRIMARY KEY (id)",
            [(i, (i * 7) % 43 or None, (i * 37) % 500, f"2024-0{1 + i % 6}-0{1 + i % 9}", _LIVE[i % 4])
             for i in range(1, 2001)],
        ),
    },
    "dwh": {
        "orders": (
            _ORDER,
            "",
            [(1000 + i, (i * 5) % 41, (i * 13) % 700, f"2023-0{1 + i % 9}-1{i % 9}", _COLD[i % 3])
             for i in range(1, 4001)],
        ),
        # until when each table is loaded; what nobody should do stands in it twice
        "load_manifest": (
            (("table_name", "TEXT"), ("loaded_until", "DATE")),
            "",
            [("orders", "2024-02-01"), ("twice", "2024-02-01"), ("twice", "2024-03-01")],
        ),
    },
    "mart": {
        "stores": ((("id", "BIGINT"), ("city", "TEXT")), "PRIMARY KEY (id)", [(1, "Rom"), (2, "rom"), (3, None)]),
        "sales": (
            (("id", "BIGINT"), ("store_id", "BIGINT"), ("amount", "BIGINT"), ("day", "DATE")),
            "PRIMARY KEY (id), FOREIGN KEY (store_id) REFERENCES stores (id)",
            [(i, (i % 4) or None, i * 11 % 90, f"2024-03-{1 + i % 28:02}") for i in range(1, 301)],
        ),
    },
}  # fmt: skip

VIEWS = {
    "v.people": "select c.id, c.name, c.region, a.title as account from crm.customers c "
    "left join crm.accounts a on a.id = c.account_id",
    "v.orders": "select o.id, o.customer_id, o.amount, o.placed, o.status, 'live' as origin from shop.orders o "
    "where o.placed >= date '2024-01-01' union all "
    "select w.id, w.customer_id, w.amount, w.placed, w.status, 'cold' from dwh.orders w "
    "where w.placed < date '2024-01-01'",
    "v.spending": "select o.customer_id, count(*) as orders, sum(o.amount) as spent from v.orders o "
    "group by o.customer_id",
    # hot and cold, the boundary from the manifest: for max() one row is certain, else it is not
    "v.moving": "select o.id, o.customer_id, o.amount, o.placed from shop.orders o "
    "where o.placed >= (select max(m.loaded_until) from dwh.load_manifest m where m.table_name = 'orders') "
    "or o.placed is null union all select w.id, w.customer_id, w.amount, w.placed from dwh.orders w "
    "where w.placed < (select max(m.loaded_until) from dwh.load_manifest m where m.table_name = 'orders')",
    "v.unsure": "select o.id, o.customer_id, o.amount, o.placed from shop.orders o "
    "where o.placed >= (select m.loaded_until from dwh.load_manifest m where m.table_name = 'orders') "
    "or o.placed is null union all select w.id, w.customer_id, w.amount, w.placed from dwh.orders w "
    "where w.placed < (select m.loaded_until from dwh.load_manifest m where m.table_name = 'orders')",
    "v.people_360": "select p.id, p.name, p.region, s.orders, s.spent from v.people p "
    "left join v.spending s on s.customer_id = p.id",
}


def _ddl(name: str, columns: tuple[tuple[str, str], ...], constraint: str) -> str:
    parts = [f"{column} {kind}{' NOT NULL' if constraint and column == 'id' else ''}" for column, kind in columns] + (
        [constraint] if constraint else []
    )
    return f"CREATE TABLE {name} ({', '.join(parts)})"


def build(folder: Path) -> Path:
    """The project folder with its files."""
    for source in ("crm", "shop"):
        connection = sqlite3.connect(folder / f"{source}.sqlite")
        for name, (columns, constraint, rows) in TABLES[source].items():
            connection.execute(_ddl(name, columns, constraint))
            connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
        connection.execute("CREATE INDEX orders_customer ON orders (customer_id)") if source == "shop" else None
        connection.commit()
        connection.close()
    with duckdb.connect(folder / "mart.duckdb") as mart:
        for name, (columns, constraint, rows) in TABLES["mart"].items():
            mart.execute(_ddl(name, columns, constraint))
            mart.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
    (folder / "warehouse").mkdir()
    with duckdb.connect() as warehouse:
        for name, (columns, constraint, rows) in TABLES["dwh"].items():
            warehouse.execute(_ddl(name, columns, constraint))
            warehouse.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", rows)
            warehouse.execute(f"COPY {name} TO '{folder / 'warehouse' / (name + '.parquet')}' (FORMAT parquet)")
    files = {
        "sources/crm.yml": "kind: sqlite\nconnection: {path: crm.sqlite}\n",
        "sources/shop.yml": "kind: sqlite\nconnection: {path: shop.sqlite}\n",
        "sources/mart.yml": "kind: duckdb\nconnection: {path: mart.duckdb}\n",
        "sources/dwh.yml": "kind: files\nconnection: {folder: warehouse}\n",
    }
    for name, query in VIEWS.items():
        schema, view = name.split(".")
        files[f"views/{schema}/{view}.view.sql"] = f"/*---\nview: {name}\n---*/\n{query}\n"
    return write(folder, files)


def fill(connection: psycopg.Connection[Any]) -> None:
    """The same tables and views in one PostgreSQL."""
    for source, tables in TABLES.items():
        connection.execute(f"CREATE SCHEMA {source}")  # type: ignore[call-overload]
        for name, (columns, constraint, rows) in tables.items():
            constraint = constraint.replace("REFERENCES ", f"REFERENCES {source}.")
            connection.execute(_ddl(f"{source}.{name}", columns, constraint))  # type: ignore[call-overload]
            with connection.cursor() as cursor:
                marks = ", ".join(["%s"] * len(columns))
                cursor.executemany(f"INSERT INTO {source}.{name} VALUES ({marks})", rows)  # type: ignore[arg-type]
    connection.execute("CREATE SCHEMA v")
    for name, query in VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {query}")  # type: ignore[call-overload]
