"""A small CRM on three live sources: customers in PostgreSQL, orders in MariaDB, tickets in SQLite."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import stage
from tests.servers import Server

CUSTOMERS, ORDERS, TICKETS = 20_000, 200_000, 40_000
SLOW = 1.0  # seconds; all clients of a herd are there before it answers
KEPT = {"freshness": {"ttl": "60s"}}
LIVE = {"freshness": {"ttl": "0s"}}

CUSTOMER = "SELECT id, name, email, region, since, credit, active FROM crm.customers"
ORDER_SUMS = "SELECT customer_id, count(*) AS orders, max(placed) AS last_order FROM shop.orders GROUP BY customer_id"
TICKET_SUMS = (
    "SELECT customer_id, count(*) AS tickets, max(opened) AS last_ticket FROM help.tickets GROUP BY customer_id"
)
CUSTOMER_360 = f"""SELECT c.id, c.name, c.region, o.orders, o.last_order, t.tickets, t.last_ticket
FROM crm.customers c
LEFT JOIN ({ORDER_SUMS}) o ON o.customer_id = c.id
LEFT JOIN ({TICKET_SUMS}) t ON t.customer_id = c.id"""


@dataclass(frozen=True)
class Crm:
    """The sources and the project folder over them."""

    postgresql: Server
    mariadb: Server
    tickets: Path
    folder: Path


@contextlib.contextmanager
def crm(**more: Any) -> Iterator[Crm]:
    """Everything filled and written, nothing served yet; `more` is what vdw.yml says besides."""
    with stage.folder() as place, stage.servers("postgresql", "mariadb") as servers:
        made = Crm(servers["postgresql"], servers["mariadb"], place / "tickets.db", place)
        _fill(made)
        stage.write(place, sources(made), _views(), **more)
        yield made


def _fill(made: Crm) -> None:
    made.postgresql.run(
        "CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, email text, region text, since date, "
        "credit numeric(10,2), active boolean)",
        "INSERT INTO customers SELECT g, 'customer ' || g, 'c' || g || '@example.com', (ARRAY['north', 'south', NULL])"
        f"[1 + g % 3], date '2015-01-01' + g % 3000, g % 1000 + 0.25, g % 7 > 0 FROM generate_series(1, {CUSTOMERS}) g",
        f"CREATE VIEW slow AS SELECT count(*) AS customers, pg_sleep({SLOW})::text AS slept FROM customers",
        "ANALYZE",
        database=made.postgresql.database,
    )
    made.mariadb.run(
        "CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT NOT NULL, amount DECIMAL(10,2), placed DATETIME, "
        "KEY (customer_id))",
        f"INSERT INTO orders SELECT seq, 1 + seq * 7919 % {CUSTOMERS}, seq % 500 + 0.5, "
        f"'2024-01-01' + INTERVAL seq % 40000 MINUTE FROM seq_1_to_{ORDERS}",
        f"CREATE VIEW slow AS SELECT count(*) AS orders, sleep({SLOW}) AS slept FROM orders",
        "ANALYZE TABLE orders",
        database=made.mariadb.database,
    )
    rows = ((i, 1 + i * 104729 % CUSTOMERS, f"2024-0{1 + i % 9}-01 10:00:00", f"subject {i}") for i in range(TICKETS))
    with contextlib.closing(sqlite3.connect(made.tickets)) as connection:
        connection.executescript(
            # STRICT: else any row could hold text in place of a number, and no predicate would be pushed
            "CREATE TABLE tickets (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, opened TEXT, "
            "subject TEXT) STRICT; CREATE INDEX by_customer ON tickets (customer_id);"
        )
        connection.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?)", rows)
        connection.executescript("ANALYZE")
        connection.commit()


def sources(made: Crm, concurrency: int = 8) -> dict[str, dict[str, Any]]:
    """The files of the three, in the owners' hand."""
    common = {"limits": {"concurrency": concurrency}, "ttl": "60s"}
    crm = {**made.postgresql.options}
    return {
        "crm": {"kind": "postgresql", "connection": crm, "expose": {"schemas": ["public"]}, **common},
        "shop": {"kind": "mariadb", "connection": dict(made.mariadb.options), **common},
        "help": {"kind": "sqlite", "connection": {"path": "tickets.db"}, **common},
    }


def _views() -> dict[str, str]:
    """Each once without a cache (`live`) and once with one (`kept`); `slow` takes its sources SLOW seconds."""
    slow = "SELECT c.customers, o.orders FROM crm.slow c CROSS JOIN shop.slow o"
    made = {}
    for schema, header in (("live", LIVE), ("kept", KEPT)):
        made[f"{schema}.customer"] = stage.view(f"{schema}.customer", CUSTOMER, key=["id"], **header)
        made[f"{schema}.customer_360"] = stage.view(f"{schema}.customer_360", CUSTOMER_360, key=["id"], **header)
        made[f"{schema}.slow"] = stage.view(f"{schema}.slow", slow, **header)
    return made
