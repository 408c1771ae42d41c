"""A project with uploads and segmentations, served over real sockets by an event loop of a thread of its own."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import psycopg

from api.project import Runtime, open_project
from api.serve import serving
from tests.folders import write

USERS = ("ada", "bob", "root")
PROJECT = """
name: segments
listen: {http: {port: 0}, postgresql: {port: 0}}
uploads: {size: 200kB, rows: 3000, per_user: 3, columns: 20}
segmentations: {rows: 5000, classify: 500, versions: 2}
users:
  ada: {password: {env: VDW_TEST_SECRET}, reads: ["*"]}
  bob: {password: {env: VDW_TEST_SECRET}, reads: ["*"]}
  root: {password: {env: VDW_TEST_SECRET}, reads: ["shop.*"], admin: true}
"""
VIEW = """
/*---
view: sales.spending
key: [customer_id]
---*/
select customer_id, count(*) as orders, sum(amount) as spent, max(ordered_on) as last_on from shop.orders group by 1
"""


def project(folder: Path) -> Path:
    """A shop of 40 customers, two kinds of them."""
    write(folder, {"vdw.yml": PROJECT, "views/sales/spending.view.sql": VIEW})
    with sqlite3.connect(folder / "shop.sqlite") as connection:
        connection.execute(
            "CREATE TABLE orders "
            "(order_id INTEGER PRIMARY KEY, customer_id BIGINT, amount NUMERIC(10,2), ordered_on DATE)"
        )
        rows = [
            (None, customer, (5 if customer % 2 else 500) + order + customer / 4, f"2026-0{1 + order}-1{customer % 10}")
            for customer in range(1, 41)
            for order in range(1 if customer % 2 else 6)
        ]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", rows)
    connection.close()
    return folder


class Served:
    """Where it listens; `client` asks it as a user."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()
        self._ready.result(timeout=300)

    def _main(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)

    async def _serve(self) -> None:
        async with open_project(self.folder) as runtime, serving(runtime) as where:
            assert where.http is not None and where.postgresql is not None
            self.runtime: Runtime = runtime
            self.http, self.postgresql = where.http, where.postgresql
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            self._ready.set_result(None)
            await self._stop.wait()

    def client(self, user: str = "ada") -> httpx.Client:
        """An HTTP client of that user."""
        host, port = self.http
        return httpx.Client(base_url=f"http://{host}:{port}", auth=(user, "secret"), timeout=120)

    def sql(self, text: str, user: str = "ada") -> list[tuple[Any, ...]]:
        """Rows, over the PostgreSQL protocol."""
        host, port = self.postgresql
        with psycopg.connect(host=host, port=port, user=user, password="secret", dbname="vdw") as connection:
            return connection.execute(text.encode()).fetchall()

    def wait(self, work: Any) -> Any:
        """What a coroutine gives, run by the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=120)

    def close(self) -> None:
        """Stop serving."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=60)
