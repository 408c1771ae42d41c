"""A lookup by key through vdw against the same statements run natively, in turns: what vdw adds."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import asyncpg
import MySQLdb
import psycopg
import uvloop

from benchmarks import figures, stage
from benchmarks.crm import CUSTOMERS, Crm, crm
from benchmarks.figures import MS, percentile, show

WARM = 150  # lookups before it counts
COLUMNS = {
    "customer": ("id", "name", "email", "region", "since", "credit", "active"),
    "customer_360": ("id", "name", "region", "orders", "last_order", "tickets", "last_ticket"),
}
CUSTOMER = "SELECT id, name, email, region, since, credit, active FROM customers WHERE id = {}"
CUSTOMER_360 = "SELECT id, name, region FROM customers WHERE id = {}"
ORDERS = "SELECT customer_id, count(*), max(placed) FROM orders WHERE customer_id = %s GROUP BY customer_id"
TICKETS = "SELECT customer_id, count(*), max(opened) FROM tickets WHERE customer_id = ? GROUP BY customer_id"
NATIVE = {"customer": CUSTOMER, "customer_360": CUSTOMER_360}


class Client(Protocol):
    """Asks one question, or the part of it that a source answers."""

    def ask(self, key: int) -> list[tuple[Any, ...]]:
        """The rows for a key."""
        ...


@dataclass
class Psycopg:
    """psycopg 3, prepared, binary results."""

    connection: psycopg.Connection[Any]
    text: str

    def ask(self, key: int) -> list[tuple[Any, ...]]:
        return self.connection.execute(self.text, (key,), prepare=True, binary=True).fetchall()


@dataclass
class Asyncpg:
    """asyncpg, prepared; its loop is entered for each question, natively as through vdw."""

    runner: asyncio.Runner
    statement: Any

    def ask(self, key: int) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.runner.get_loop().run_until_complete(self.statement.fetch(key))]


@dataclass
class Mysqlclient:
    """mysqlclient."""

    connection: Any

    def ask(self, key: int) -> list[tuple[Any, ...]]:
        cursor = self.connection.cursor()
        cursor.execute(ORDERS, (key,))
        return list(cursor.fetchall())


@dataclass
class Sqlite:
    """The standard library's sqlite3."""

    connection: sqlite3.Connection

    def ask(self, key: int) -> list[tuple[Any, ...]]:
        return self.connection.execute(TICKETS, (key,)).fetchall()


@dataclass
class Graphql:
    """GraphQL over one kept HTTP connection; by the socket itself, as Python's HTTP clients take longer than vdw."""

    address: tuple[str, int]
    query: str
    line: socket.socket = field(init=False)

    def __post_init__(self) -> None:
        self.line = socket.create_connection(self.address)
        self.line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, key: int) -> list[tuple[Any, ...]]:
        body = json.dumps({"query": self.query, "variables": {"id": key}}).encode()
        head = f"POST /graphql HTTP/1.1\r\nHost: {self.address[0]}\r\nContent-Type: application/json\r\n"
        self.line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        (row,) = json.loads(self._body())["data"].values()
        return [tuple(row.values())]

    def _body(self) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.line.recv(65_536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        while len(body) < length:
            body += self.line.recv(65_536)
        return body


@dataclass
class Times:
    """Seconds of each lookup: natively by source, and through vdw."""

    native: list[list[float]] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)

    def figures(self) -> dict[str, float | int]:
        """p50 and p99; the floor is the slowest of the native statements of each lookup, as they could run at once."""
        slowest = [max(each) for each in self.native]
        told: dict[str, float | int] = {"lookups": len(self.ours)}
        for name, share in (("p50", 0.5), ("p99", 0.99)):
            ours, floor = percentile(self.ours, share) * MS, percentile(slowest, share) * MS
            told |= {f"{name}_ms": ours, f"{name}_floor_ms": floor, f"{name}_added_ms": ours - floor}
            told[f"{name}_ratio"] = ours / floor
            if len(self.native[0]) > 1:
                told[f"{name}_sum_ms"] = percentile([sum(each) for each in self.native], share) * MS
        return told


def measure(natives: list[Client], ours: Client, seconds: float, keys: Callable[[], int]) -> Times:
    """In turns: the native statements of a key, then vdw with the same key."""
    times = Times()
    end = None
    while end is None or time.perf_counter() < end:
        key = keys()
        parts = [_timed(native, key) for native in natives]
        mine = _timed(ours, key)
        times.native.append(parts)
        times.ours.append(mine)
        if end is None and len(times.ours) == WARM:
            times, end = Times(), time.perf_counter() + seconds
    return times


def _timed(client: Client, key: int) -> float:
    began = time.perf_counter()
    rows = client.ask(key)
    took = time.perf_counter() - began
    assert len(rows) == 1 and rows[0][0] == key, rows
    return took


def keys(count: int) -> Callable[[], int]:
    """Keys in an order without locality; `count` different ones."""
    state = [1]

    def one() -> int:
        state[0] = (state[0] * 48_271) % 2_147_483_647
        return 1 + state[0] % count

    return one


Pair = tuple[list[Client], Client]


@contextlib.contextmanager
def clients(made: Crm, served: stage.Served, view: str, schema: str) -> Iterator[dict[str, Pair]]:
    """By protocol: the native clients of each source, and vdw's."""
    server = made.postgresql.options
    native = {"host": server["host"], "port": server["port"], "user": server["user"], "password": server["password"]}
    with contextlib.ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        text = f"SELECT {', '.join(COLUMNS[view])} FROM {schema}.{view} WHERE id = {{}}"

        def by_psycopg(options: dict[str, Any], text: str) -> Client:
            connection = stack.enter_context(psycopg.connect(**options, autocommit=True))
            return Psycopg(connection, text.format("%s"))

        def by_asyncpg(options: dict[str, Any], text: str) -> Client:
            connection = runner.run(asyncpg.connect(**options))
            stack.callback(lambda: runner.run(connection.close()))
            return Asyncpg(runner, runner.run(connection.prepare(text.format("$1"))))

        others: list[Client] = []
        if view == "customer_360":
            others = list(_others(made, stack))
        ours = dict(served.options)
        async_ours = {**ours, "database": ours["dbname"]}
        del async_ours["dbname"]
        source = by_psycopg({**native, "dbname": server["database"]}, NATIVE[view])
        yield {
            "psycopg": ([source, *others], by_psycopg(ours, text)),
            "asyncpg": (
                [by_asyncpg({**native, "database": server["database"]}, NATIVE[view]), *others],
                by_asyncpg(async_ours, text),
            ),
            "GraphQL": ([source, *others], Graphql(served.http, _query(schema, view))),
        }


def _others(made: Crm, stack: contextlib.ExitStack) -> Iterator[Client]:
    connection = MySQLdb.connect(**made.mariadb.options, charset="utf8mb4", autocommit=True)
    stack.callback(connection.close)
    yield Mysqlclient(connection)
    yield Sqlite(stack.enter_context(contextlib.closing(sqlite3.connect(made.tickets, isolation_level=None))))


def _query(schema: str, view: str) -> str:
    words = [name.split("_") for name in COLUMNS[view]]
    fields = " ".join(first + "".join(word.capitalize() for word in rest) for first, *rest in words)
    name = schema + "".join(word.capitalize() for word in view.split("_"))
    return f"query ($id: Int!) {{{name}ByKey(id: $id) {{{fields}}}}}"


def main() -> None:
    """The lines of benchmarks/README.md."""
    parser = figures.arguments(__doc__, 5)
    parser.add_argument("--only", default="", help="only lines whose name contains this")
    given = parser.parse_args()
    with crm() as made, stage.served(made.folder) as served:
        for name, view, schema, count in (
            ("one source", "customer", "live", CUSTOMERS),
            ("three sources", "customer_360", "live", CUSTOMERS),
            ("one source, cache hit", "customer", "kept", 100),
            ("three sources, cache hit", "customer_360", "kept", 100),
        ):
            with clients(made, served, view, schema) as found:
                for protocol, (natives, ours) in found.items():
                    if given.only in (line := f"{name}, {protocol}"):
                        before = served.processor()
                        times = measure(natives, ours, given.seconds, keys(count))
                        spent = (served.processor() - before) / (len(times.ours) + WARM) * MS
                        show(given.json, line, **times.figures(), server_cpu_ms=spent, **figures.machine())


if __name__ == "__main__":
    main()
