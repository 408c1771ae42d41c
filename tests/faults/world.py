"""A whole project on real servers, asked over both protocols, with a look at what its sources and process still do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import sqlite3
import struct
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import uvloop

from api.project import Runtime, open_project
from api.serve import Serving, serving
from tests.folders import write
from tests.servers import Server

DATABASE = "faults"
READER = "faulty_reader"
SECRET = "s3cret pa'ss w\\rd"  # awkward on purpose, and in no message
PLACES = 2  # statements at once at each server
SLOW = 90  # seconds that the slow views take, if nobody stops them

POSTGRESQL = (
    "CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL)",
    "INSERT INTO customers SELECT i, 'customer ' || i FROM generate_series(1, 1000) AS i",
    "CREATE VIEW orders AS SELECT i AS id, i % 1000 AS customer_id, repeat('x', 2000) AS label "
    "FROM generate_series(1, 200000) AS i",
    f"CREATE VIEW slow AS SELECT id, name, pg_sleep({SLOW})::text AS pause FROM customers WHERE id = 1",
    "CREATE TABLE prices (id int PRIMARY KEY, price numeric(10,2))",
    "INSERT INTO prices VALUES (1, 1.25), (2, 'NaN')",
    f"GRANT USAGE ON SCHEMA public TO {READER}",
    f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}",
)
MARIADB = (
    "CREATE TABLE tickets (id int PRIMARY KEY, customer_id int NOT NULL, subject varchar(40) NOT NULL)",
    "INSERT INTO tickets SELECT seq, seq, CONCAT('ticket ', seq) FROM seq_1_to_1000",
    "CREATE VIEW notes AS SELECT seq AS id, REPEAT('x', 2000) AS body FROM seq_1_to_200000",
    f"CREATE VIEW slow AS SELECT id, subject, SLEEP({SLOW}) AS pause FROM tickets WHERE id = 1",
    "CREATE TABLE visits (id int PRIMARY KEY, day date)",
    "SET sql_mode = ''",
    "INSERT INTO visits VALUES (1, '2024-01-02'), (2, '0000-00-00')",
)
SQLITE = """
CREATE TABLE events (id INT4 PRIMARY KEY, what TEXT NOT NULL);
INSERT INTO events VALUES (1, 'call'), (2, 'mail');
CREATE TABLE loose (id INTEGER PRIMARY KEY, amount INTEGER);
INSERT INTO loose VALUES (1, 5), (2, 'five');
"""
VIEWS = {
    "crm/people": "select id, name from shop.customers",
    "crm/tickets": "select id, customer_id, subject from desk.tickets",
    "crm/events": "select id, what from side.events",
    "crm/opened": "select t.id, p.name, t.subject from crm.tickets t join crm.people p on p.id = t.customer_id",
    "crm/known": "/*---\non_source_down: {desk: nulls}\n---*/\nselect p.id, p.name, t.subject from crm.people p "
    "left join crm.tickets t on t.customer_id = p.id",
    "crm/all": "/*---\non_source_down: {shop: partial, desk: partial}\n---*/\n"
    "select id, name as what from shop.customers union all select id, subject from desk.tickets",
    "crm/orders": "select id, customer_id, label from shop.orders",
    "crm/notes": "select id, body from desk.notes",
    "crm/prices": "select id, price from shop.prices",
    "crm/visits": "select id, day from desk.visits",
    "crm/loose": "select id, amount from side.loose",
    "crm/slow_shop": "select id, name, pause from shop.slow",
    "crm/slow_desk": "select id, subject as name, pause from desk.slow",
    "crm/hasty_shop": "/*---\nguard: {timeout: 1s}\n---*/\nselect id, name, pause from shop.slow",
    "crm/hasty_desk": "/*---\nguard: {timeout: 1s}\n---*/\nselect id, subject as name, pause from desk.slow",
    "crm/quick_shop": "/*---\nguard: {timeout: 1s}\n---*/\nselect id, name from shop.customers",
    "crm/quick_desk": "/*---\nguard: {timeout: 1s}\n---*/\nselect id, subject as name from desk.tickets",
}


@dataclass(frozen=True)
class Said:
    """What a client was told: rows, or an error's code and all of its words."""

    rows: list[tuple[Any, ...]] | None = None
    code: str = ""
    text: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class Question:
    """The same question in both languages; GraphQL's one field is `name`."""

    view: str
    columns: tuple[str, ...]
    where: tuple[str, int] | None = None

    @property
    def sql(self) -> str:
        condition = f" where {self.where[0]} = {self.where[1]}" if self.where else ""
        return f"select {', '.join(self.columns)} from {self.view}{condition}"

    @property
    def graphql(self) -> str:
        condition = f"(where: {{{camel(self.where[0])}: {{_eq: {self.where[1]}}}}})" if self.where else ""
        return f"{{ {camel(self.view)}{condition} {{ {' '.join(map(camel, self.columns))} }} }}"


SHOP = Question("crm.people", ("id", "name"), ("id", 7))
DESK = Question("crm.tickets", ("id", "subject"), ("id", 7))
SIDE = Question("crm.events", ("id", "what"), ("id", 2))
BOTH = Question("crm.opened", ("id", "name", "subject"), ("id", 7))
RIGHT = {
    SHOP: [(7, "customer 7")],
    DESK: [(7, "ticket 7")],
    SIDE: [(2, "mail")],
    BOTH: [(7, "customer 7", "ticket 7")],
}


def camel(name: str) -> str:
    return re.sub(r"[._](.)", lambda found: found[1].upper(), name)


@dataclass
class Site:
    """The servers and their databases, and what they say of us."""

    postgresql: Server
    mariadb: Server
    folder: Path

    def server(self, source: str) -> Server:
        return {"shop": self.postgresql, "desk": self.mariadb}[source]

    def create(self) -> None:
        """The data, and a user who may only read it."""
        self.postgresql.run(f"DROP DATABASE IF EXISTS {DATABASE}", f"DROP ROLE IF EXISTS {READER}")
        self.postgresql.run(f"CREATE DATABASE {DATABASE}", f"CREATE ROLE {READER} LOGIN")
        self.password("shop", SECRET)
        self.postgresql.run(*POSTGRESQL, database=DATABASE)
        self.mariadb.run(f"DROP DATABASE IF EXISTS {DATABASE}", f"CREATE DATABASE {DATABASE}")
        self.mariadb.run(f"CREATE OR REPLACE USER {READER}@'%'", f"GRANT SELECT ON {DATABASE}.* TO {READER}@'%'")
        self.password("desk", SECRET)
        self.mariadb.run(*MARIADB, database=DATABASE)
        (self.folder / "shop.secret").write_text(SECRET)
        (self.folder / "desk.secret").write_text(SECRET)
        with contextlib.closing(sqlite3.connect(self.folder / "side.db")) as connection:
            connection.executescript(SQLITE)
        write(self.folder, self.files())

    def password(self, source: str, secret: str) -> None:
        """Change the reader's password at a server."""
        quoted = "'" + secret.replace("'", "''") + "'"
        if source == "shop":
            self.postgresql.run(f"ALTER ROLE {READER} PASSWORD {quoted}")
        else:
            text = quoted.replace("\\", "\\\\")
            self.mariadb.run(f"ALTER USER {READER}@'%' IDENTIFIED BY {text}")

    def files(self) -> dict[str, str | bytes]:
        limits = f"limits: {{concurrency: {PLACES}, timeout: 20s}}\nbreaker: {{pause: 200ms, longest: 1s}}\n"
        found: dict[str, str | bytes] = {
            "vdw.yml": "name: faults\nlisten: {http: {port: 0}, postgresql: {port: 0}}\n",
            "sources/side.yml": "kind: sqlite\nconnection: {path: side.db}\n",
        }
        for name in ("shop", "desk"):
            server = self.server(name)
            connection = f"host: {server.host}, port: {server.port}, database: {DATABASE}, user: {READER}"
            text = f"kind: {server.kind}\nconnection: {{{connection}, password: {{file: {name}.secret}}}}\n{limits}"
            found[f"sources/{name}.yml"] = text
        return {**found, **{f"views/{name}.view.sql": f"{text}\n" for name, text in VIEWS.items()}}

    def running(self, source: str) -> int:
        """Statements of ours that the server runs now, by its own statistics."""
        if source == "shop":
            return self._count(source, f"datname = '{DATABASE}' AND state <> 'idle'", "pg_stat_activity")
        return self._count(source, f"user = '{READER}' AND command <> 'Sleep'", "information_schema.processlist")

    def connected(self, source: str) -> int:
        """Connections of ours that the server has open."""
        if source == "shop":
            return self._count(source, f"datname = '{DATABASE}'", "pg_stat_activity")
        return self._count(source, f"user = '{READER}'", "information_schema.processlist")

    def stop_statements(self, source: str) -> None:
        """Cancel every statement of ours, as an administrator may."""
        if source == "shop":
            sql = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND datname = "
            self.postgresql.run(f"{sql}'{DATABASE}'")
        else:
            self.mariadb.run(f"KILL QUERY USER {READER}")

    def cut(self, source: str) -> None:
        """End every connection of ours, as an administrator may."""
        if source == "shop":
            sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
            self.postgresql.run(f"{sql}'{DATABASE}'")
        else:
            self.mariadb.run(f"KILL CONNECTION USER {READER}")

    def _count(self, source: str, condition: str, table: str) -> int:
        return int(self.server(source).run(f"SELECT count(*) FROM {table} WHERE {condition}")[0][0])


@dataclass
class World:
    """The project of a site, served by this process in a thread of its own."""

    site: Site
    folder: Path

    def __enter__(self) -> World:
        self._ready = threading.Event()
        self._fault: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(60)
        if self._fault is not None:
            raise self._fault
        self.web = httpx.Client(base_url="http://{}:{}".format(*self.where.http or ()), timeout=60)
        return self

    def __exit__(self, *_: object) -> None:
        self.web.close()
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        assert not self._thread.is_alive(), "it does not stop"

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            try:
                runner.run(self._serve())
            except BaseException as error:
                self._fault = error
            finally:
                self._ready.set()

    async def _serve(self) -> None:
        self.loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self.runtime: Runtime
        self.where: Serving
        async with open_project(self.folder) as self.runtime, serving(self.runtime) as self.where:
            self._ready.set()
            await self._stop.wait()

    def call(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run something on the server's loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    # -- asking

    def connect(self, **more: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """A client of the PostgreSQL protocol."""
        assert self.where.postgresql is not None
        host, port = self.where.postgresql
        given = {"host": host, "port": port, "user": "anonymous", "dbname": "vdw", "autocommit": True, **more}
        return psycopg.connect(**given)

    def ask(self, protocol: str, question: Question, timeout: float | None = None) -> Said:
        """A client of its own asks; what it was told, and when."""
        began = time.monotonic()
        said = self._sql(question.sql, timeout) if protocol == "postgresql" else self._graphql(question)
        return Said(said.rows, said.code, said.text, time.monotonic() - began)

    def _sql(self, sql: str, timeout: float | None) -> Said:
        try:
            with self.connect() as connection:
                if timeout is not None:
                    connection.execute(f"SET statement_timeout = {timeout * 1000:.0f}")
                return Said(connection.execute(sql).fetchall())
        except psycopg.Error as error:
            return told(error)

    def _graphql(self, question: Question) -> Said:
        answer = self.web.post("/graphql", json={"query": question.graphql})
        body = answer.json()
        if body.get("errors"):
            error = body["errors"][0]
            return Said(None, str(error.get("extensions", {}).get("code", "invalid")), answer.text)
        rows = body["data"][camel(question.view)]
        return Said([tuple(row[camel(column)] for column in question.columns) for row in rows])

    def post(self, path: str, body: bytes, kind: str = "application/json") -> socket.socket:
        """An HTTP request on a socket of its own, for clients that do not wait for the answer."""
        assert self.where.http is not None
        line = socket.create_connection(self.where.http, timeout=30)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        line.sendall(head.encode() + body)
        return line

    # -- looking

    def healthy(self, *sources: str) -> None:
        """Every ordinary question is answered rightly over both protocols; with `sources` only those that read them."""
        for question, rows in RIGHT.items():
            reads = {SHOP: {"shop"}, DESK: {"desk"}, SIDE: {"side"}, BOTH: {"shop", "desk"}}[question]
            if not sources or reads <= set(sources):
                for protocol in ("postgresql", "graphql"):
                    said = self.ask(protocol, question)
                    assert said.rows == rows, (protocol, question.view, said)

    def quiet(self) -> None:
        """Nothing runs at the sources any more, and no more connections are open than their owners allow."""
        for source in ("shop", "desk"):
            assert eventually(lambda name=source: self.site.running(name) == 0), f"{source} still runs a statement"
            assert eventually(lambda name=source: self.site.connected(name) <= PLACES), f"{source}: connections leak"
        loads = self.runtime.engine.loads.values()
        assert eventually(lambda: not any(load.in_flight or load.waiting for load in loads)), "the gate is not free"

    def backends(self) -> int:
        """Sessions of clients in the canon."""
        with psycopg.connect(self.runtime.canon.dsn()) as connection:
            row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'anonymous'").fetchone()
        assert row is not None
        return int(row[0])


@dataclass(frozen=True)
class Footprint:
    """Threads and open files of this process, children of it."""

    threads: int
    files: int

    @classmethod
    def now(cls) -> Footprint:
        return cls(*(len(list(Path("/proc/self", each).iterdir())) for each in ("task", "fd")))

    def within(self, other: Footprint, threads: int, files: int) -> bool:
        return self.threads <= other.threads + threads and self.files <= other.files + files


def told(error: psycopg.Error) -> Said:
    """All that a client is told of an error."""
    diag = error.diag
    parts = (str(error), diag.message_primary, diag.message_detail, diag.message_hint)
    return Said(None, error.sqlstate or "", "\n".join(part for part in parts if part))


def decent(said: Said, *words: str) -> Said:
    """An error that a stranger can act on, and that gives nothing away; it has these words."""
    assert said.rows is None, f"no error, but {said.rows!r:.200}"
    assert said.code and said.code not in ("XX000", "INTERNAL_SERVER_ERROR"), said
    assert SECRET not in said.text and "s3cret" not in said.text, said
    for leak in ("Traceback", 'File "', ".py", "object at 0x", "internal error", "AssertionError", "KeyError"):
        assert leak not in said.text, said
    for word in words:
        assert word in said.text, (word, said)
    return said


def eventually(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


def vanish(line: socket.socket | psycopg.Connection[Any]) -> None:
    """The client's machine is gone: its connection is reset, without a goodbye."""
    descriptor = line.fileno()
    with socket.socket(fileno=os.dup(descriptor)) as own:
        own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if isinstance(line, socket.socket):
            line.close()
        else:
            with Path(os.devnull).open("rb+", buffering=0) as nowhere:
                os.dup2(nowhere.fileno(), descriptor)  # libpq can say no goodbye
            line.close()


@contextlib.contextmanager
def background(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Runs `work` beside the body; its result is in the list afterwards."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    try:
        yield results
    finally:
        thread.join(60)
        assert not thread.is_alive(), "it never came back"
