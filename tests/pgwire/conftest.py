"""A whole project behind the PostgreSQL protocol, in a thread of its own, for real clients."""
# ruff: noqa: E501  (statements as they are sent)

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
import uvloop

from api.pgwire.server import Server
from api.project import Runtime, open_project
from federation.canon.server import Canon
from tests.folders import write
from views.catalog import SYSTEM, SourceTable

CRM = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, region TEXT, since DATE, score DOUBLE PRECISION,
  active BOOLEAN);
INSERT INTO customers VALUES (1, 'Ann', 'north', '2020-01-02', 1.5, true), (2, 'Bob', NULL, '2021-03-04', 100.0, false),
  (3, 'Zoë', 'south', NULL, NULL, NULL), (4, 'O''Neil', 'north', '2019-12-31', -0.25, true);
CREATE TABLE many (id INTEGER PRIMARY KEY, label TEXT NOT NULL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO many SELECT i, 'row ' || i FROM n;
"""
SHOP = """
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id BIGINT NOT NULL, amount NUMERIC(10,2), placed TIMESTAMP);
INSERT INTO orders VALUES (10, 1, 12.5, '2024-01-01 10:00:00'), (11, 1, 7.25, '2024-02-01 11:30:00.5'),
  (12, 2, 99.99, NULL), (13, 4, 0.01, '2023-12-31 23:59:59.999999');
"""
FILES = {
    "vdw.yml": "name: test\nlisten: {http: {enabled: false}, postgresql: {port: 0}}\n",
    "sources/crm.yml": "kind: sqlite\nconnection: {path: crm.db}\n",
    "sources/shop.yml": "kind: sqlite\nconnection: {path: shop.db}\n",
    "sources/dwh.yml": "kind: files\nconnection: {folder: dwh}\nlimits: {rows: 20000000, timeout: 300s}\n",
    "views/sales/spending.view.sql": """
        /*---
        view: sales.spending
        description: What each customer spent.
        ---*/
        select c.id as customer_id, c.name, count(o.id) as orders, sum(o.amount) as total
        from crm.customers c left join shop.orders o on o.customer_id = c.id
        group by c.id, c.name
        """,
    "views/sales/people.view.sql": """
        /*---
        view: sales.people
        description: The customers as they are.
        ---*/
        select id, name, region, since, score, active from crm.customers
        """,
}


class Front:
    """A project that serves on a free port."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder, self.options = folder, options
        self.runtime: Runtime
        self.server: Server
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Front:
        self._thread.start()
        self._ready.wait(60)
        if self._fault is not None:
            raise self._fault
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with open_project(self.folder) as self.runtime:
                faults = [str(one) for one in self.runtime.diagnostics if one.severity == "error"]
                assert not faults, faults
                self.server = Server(self.runtime.canon, self.runtime.engine, **self.options)
                await self.server.start("127.0.0.1", 0)
                self._ready.set()
                await self._stop.wait()
                await self.server.stop()
        except BaseException as error:
            self._fault = error
            self._ready.set()
            raise

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    @property
    def port(self) -> int:
        return self.server.address[1]

    def dsn(self, **more: object) -> str:
        """How clients connect."""
        given = {"host": "127.0.0.1", "port": self.port, "user": "anonymous", "dbname": "vdw", **more}
        return " ".join(f"{name}={value}" for name, value in given.items())


def make(folder: Path, files: dict[str, str] | None = None) -> Path:
    """The project's files and data."""
    write(folder, {**FILES, **(files or {})})
    for name, script in (("crm", CRM), ("shop", SHOP)):
        with contextlib.closing(sqlite3.connect(folder / f"{name}.db")) as connection:
            connection.executescript(script)
    (folder / "dwh").mkdir(exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(
            f"""COPY (SELECT i AS id, 'name ' || i AS name, i * 0.5::DOUBLE AS value, (i / 100)::DECIMAL(18,2) AS price,
            DATE '2020-01-01' + (i % 1000)::INTEGER AS day, TIMESTAMP '2020-01-01' + INTERVAL 1 SECOND * i AS at,
            i % 2 = 0 AS even, i % 7 AS seven, 'abc' AS abc, i * 10 AS ten FROM range(300000) AS t(i))
            TO '{folder}/dwh/facts.parquet' (FORMAT parquet)"""
        )
    return folder


@pytest.fixture(scope="session")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """The project, without users."""
    with Front(make(tmp_path_factory.mktemp("project"))) as served:
        yield served


@pytest.fixture
def pg(front: Front) -> Iterator[psycopg.Connection]:
    """A psycopg connection in autocommit."""
    with psycopg.connect(front.dsn(), autocommit=True) as connection:
        yield connection


class Oracle:
    """One PostgreSQL that holds all the data: what it does is right."""

    def __init__(self, canon: Canon, database: str) -> None:
        self.canon, self.database = canon, database

    def dsn(self, **more: object) -> str:
        """How clients connect, as its owner."""
        given = {"host": self.canon.socket_dir, "port": self.canon.port, "user": "vdw", "dbname": self.database}
        return " ".join(f"{name}={value}" for name, value in {**given, **more}.items())


@pytest.fixture(scope="session")
def oracle(front: Front, canon: Canon) -> Oracle:
    """The same relations as real tables and views."""
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE pgwire_oracle")
    made = Oracle(canon, "pgwire_oracle")
    catalog = front.runtime.engine.catalog
    with psycopg.connect(made.dsn(), autocommit=True) as connection:
        relations = [relation for relation in catalog.relations if relation.schema != SYSTEM]
        for schema in {relation.schema for relation in relations}:
            connection.execute(f'CREATE SCHEMA "{schema}"')
        for table in (one for one in relations if isinstance(one, SourceTable)):
            columns = ", ".join(f'"{name}" {kind.sql}' for name, kind in table.columns)
            connection.execute(f'CREATE TABLE "{table.schema}"."{table.name}" ({columns})')
            if table.schema not in ("dwh", SYSTEM):
                _load(connection, front.folder / f"{table.schema}.db", table)
        for view in catalog.views.values():
            connection.execute(f'CREATE VIEW "{view.schema}"."{view.name}" AS {view.query}')
    return made


def _load(connection: psycopg.Connection, file: Path, table: SourceTable) -> None:
    with contextlib.closing(sqlite3.connect(file)) as source:
        rows = source.execute(f'SELECT * FROM "{table.name}"').fetchall()
    marks = ", ".join(f"%s::text::{kind.sql}" for _, kind in table.columns)
    with connection.cursor() as cursor:
        given = [tuple(None if value is None else str(value) for value in row) for row in rows]
        cursor.executemany(f'INSERT INTO "{table.schema}"."{table.name}" VALUES ({marks})', given)
