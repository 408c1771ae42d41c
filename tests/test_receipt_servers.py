"""Receipts of PostgreSQL and MariaDB sources say what the servers say themselves, to the statement and the row."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.session import Session
from tests.counts import counted, forget
from tests.servers import Server
from tests.serving import Serving

pytestmark = pytest.mark.service
READER = "receipts"


def _users(postgresql: Server, mariadb: Server) -> None:
    connection = postgresql.admin(postgresql.database)
    for text in (
        f"CREATE ROLE {READER} LOGIN PASSWORD 'secret'",
        "CREATE SCHEMA receipts",
        "CREATE TABLE receipts.customers AS SELECT g AS id, 'name ' || g AS name FROM generate_series(1, 5000) g",
        "ALTER TABLE receipts.customers ADD PRIMARY KEY (id)",
        "CREATE VIEW receipts.busy AS SELECT 1 AS id FROM pg_sleep(50)",
        f"GRANT USAGE ON SCHEMA receipts TO {READER}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA receipts TO {READER}",
    ):
        connection.execute(text)
    connection.close()
    mariadb.run(
        f"CREATE USER {READER}@'%' IDENTIFIED BY 'secret'",
        "CREATE TABLE receipt_orders (id INT PRIMARY KEY, customer INT, KEY (customer))",
        "INSERT INTO receipt_orders SELECT seq, 1 + seq % 500 FROM seq_1_to_3000",
        f"GRANT SELECT ON {mariadb.database}.receipt_orders TO {READER}@'%'",
        database=mariadb.database,
    )


def _removed(postgresql: Server, mariadb: Server) -> None:
    postgresql.run("DROP SCHEMA receipts CASCADE", f"DROP ROLE {READER}", database=postgresql.database)
    mariadb.run("DROP TABLE receipt_orders", f"DROP USER {READER}@'%'", database=mariadb.database)


@pytest.fixture
def project(tmp_path: Path, postgresql: Server, mariadb: Server) -> Iterator[Path]:
    """A project over both, as a user of its own there."""
    _users(postgresql, mariadb)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "sources").mkdir()
    (tmp_path / "vdw.yml").write_text("name: receipts\n")
    for name, server, exposed in (("crm", postgresql, {"schemas": ["receipts"]}), ("shop", mariadb, {})):
        connection = {**server.options, "user": READER, "password": {"file": "secret"}}
        file = {"kind": server.kind, "connection": connection, "expose": exposed, "ttl": "60s"}
        (tmp_path / "sources" / f"{name}.yml").write_text(yaml.safe_dump(file))
    yield tmp_path
    _removed(postgresql, mariadb)


def receipt(served: Serving, source: str) -> dict[str, Any]:
    control = served.runtime.control
    told: dict[str, Any] = served.wait(control.receipt(source, 3600, control.visitor("ada"))).json()
    return told


def test_to_the_statement_and_the_row(project: Path, postgresql: Server, mariadb: Server) -> None:
    servers = {"crm": postgresql, "shop": mariadb}
    for server in servers.values():
        forget(server)
    served = Serving(project, 60)
    try:

        async def ask(text: str) -> int:
            result = await served.runtime.engine.query(text, Session("ada", timeout=60))
            return (await result.table()).num_rows

        texts = [
            *(f"SELECT name FROM crm.customers WHERE id = {n}" for n in (1, 2, 2, 3)),
            "SELECT * FROM crm.customers",
            "SELECT count(*) FROM shop.receipt_orders WHERE customer < 400",
            "SELECT c.name, o.id FROM crm.customers c JOIN shop.receipt_orders o ON o.customer = c.id WHERE c.id < 40",
            "SELECT c.id, o.n FROM crm.customers c LEFT JOIN (SELECT customer, count(*) AS n FROM shop.receipt_orders "
            "GROUP BY customer) o ON o.customer = c.id WHERE c.id BETWEEN 100 AND 3000",
        ]
        for text in texts:
            served.wait(ask(text))
        served.wait(served.runtime.engine.refresh_statistics())
        for source, server in servers.items():
            ours, theirs = receipt(served, source), counted(server, READER)
            assert (ours["total"]["statements"], ours["total"]["rows"]) == (theirs.statements, theirs.rows), ours
            assert ours["sessions"]["statements"] == theirs.sessions, source
            assert {one["kind"] for one in ours["by_kind"]} >= {"chore", "lookup" if source == "crm" else "report"}
            assert ours["contract"]["used"]["peak_in_flight"] >= 1
            assert ours["total"]["errors"] == 0 and "name 1" not in json.dumps(ours)
        assert receipt(served, "crm")["saved"]["statements"] >= 1
    finally:
        served.close()


def test_a_source_is_switched_off_in_the_middle(project: Path) -> None:
    served = Serving(project, 60)
    try:
        control, engine = served.runtime.control, served.runtime.engine

        async def ask() -> None:
            await (await engine.query("SELECT id FROM crm.busy", Session("ada", timeout=60))).table()

        async def work() -> BaseException | None:
            asking = asyncio.create_task(ask())
            while not engine.gates.of("crm").load.in_flight and not asking.done():  # noqa: ASYNC110  (nothing tells of it)
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            await control.disable("source", "crm", "restore", "eve", 60)
            (error,) = await asyncio.gather(asking, return_exceptions=True)
            assert await control.enable("source", "crm") and engine.gates.of("crm").closed is None
            return error if isinstance(error, BaseException) else None

        error = served.wait(work())
        assert getattr(error, "sqlstate", "") == "57P03" and "restore" in str(error)
    finally:
        served.close()
