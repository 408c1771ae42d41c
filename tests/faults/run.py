"""A random sequence of faults under a mixed load: every answer is compared with the oracle, every error looked at."""

from __future__ import annotations

import bisect
import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.network import LIMIT, SOON, Wired
from tests.faults.proxy import Proxy
from tests.faults.world import DATABASE, SECRET, Question, Said, World, camel, told
from tests.servers import Server

LATE = 1.0  # seconds past its deadline that an answer may come
LONGEST = 4.0  # seconds that a fault lasts
RECOVERY = 30.0  # seconds after a fault in which everything has to be answered again
TICK = "crm.tick_soon"
LEAKS = ("Traceback", 'File "', ".py", "object at 0x", "internal error", "KeyError", SECRET, "s3cret")
# What the project's views are to the oracle, a PostgreSQL that holds all the data.
ORACLE = """
CREATE SCHEMA crm;
CREATE TABLE people AS SELECT i AS id, 'customer ' || i AS name FROM generate_series(1, 1000) AS i;
CREATE TABLE tickets AS SELECT i AS id, i AS customer_id, 'ticket ' || i AS subject FROM generate_series(1, 1000) AS i;
CREATE VIEW crm.people_soon AS SELECT * FROM people;
CREATE VIEW crm.tickets_soon AS SELECT * FROM tickets;
CREATE VIEW crm.opened_soon AS SELECT t.id, p.name, t.subject FROM tickets t JOIN people p ON p.id = t.customer_id;
CREATE VIEW crm.orders_soon AS SELECT i AS id, i % 1000 AS customer_id, repeat('x', 2000) AS label
  FROM generate_series(1, 200000) AS i;
CREATE VIEW crm.notes_soon AS SELECT i AS id, repeat('x', 2000) AS body FROM generate_series(1, 200000) AS i;
CREATE VIEW crm.events AS SELECT * FROM (VALUES (1, 'call'), (2, 'mail')) AS e(id, what);
"""
FIELDS = {
    "crm.people_soon": ("id", "name"),
    "crm.tickets_soon": ("id", "subject"),
    "crm.opened_soon": ("id", "name", "subject"),
    "crm.events": ("id", "what"),
}
STATEMENTS = (
    "select count(*), max(name) from crm.people_soon where id < {}",
    "select count(*), max(subject) from crm.tickets_soon where id < {}",
    "select p.id, p.name, t.subject from crm.people_soon p left join crm.tickets_soon t on t.customer_id = p.id "
    "and t.id < {} where p.id < 60",
    "select id, name from crm.people_soon where id in (select customer_id from crm.tickets_soon where id < {})",
    "select id, customer_id, label from crm.orders_soon where id < {}",
    "select id, body from crm.notes_soon where id < {}",
    "select id, name from crm.people_soon where id < {} "
    "union all select id, subject from crm.tickets_soon where id < 50",
)


@dataclass
class Totals:
    """What came of it; `late` are answers and errors past their deadline, `bad` errors that no client should see."""

    asked: int = 0
    equal: int = 0
    stale: int = 0
    partial: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    late: int = 0
    bad: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    recovered_within_s: float = 0.0
    examples: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def json(self) -> dict[str, Any]:
        """One object."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "lock"}
        return {**found, "errors": dict(self.errors), "faults": dict(self.faults)}

    @property
    def good(self) -> bool:
        """Whether nothing was wrong, late, indecent, or stayed broken."""
        return not (self.wrong or self.late or self.bad) and self.recovered_within_s < RECOVERY

    def note(self, kind: str, text: str) -> None:
        """Keep a few examples."""
        if len(self.examples) < 20:
            self.examples.append(f"{kind}: {text[:600]}")


class Oracle:
    """The right answers, by the text of the question: a database of all the data, asked before."""

    def __init__(self, server: Server) -> None:
        server.run("DROP DATABASE IF EXISTS oracle", "CREATE DATABASE oracle")
        self._connection = server.admin("oracle")
        self._connection.execute(ORACLE)
        self._known: dict[str, list[tuple[Any, ...]]] = {}

    def learn(self, sql: str) -> None:
        """Ask it while its server is well."""
        if sql not in self._known:
            self._known[sql] = sorted(self._connection.execute(sql).fetchall(), key=repr)

    def close(self) -> None:
        """It is known by heart now; its server may die."""
        self._connection.close()

    def says(self, sql: str, rows: list[tuple[Any, ...]]) -> bool:
        """Whether these are its rows."""
        return self._known[sql] == sorted(rows, key=repr)


class Ticker:
    """A row at a source that goes up all the time, where it can; so that an old answer shows."""

    def __init__(self, server: Server) -> None:
        self._server, self._over = server, threading.Event()
        self._history: list[tuple[float, int]] = [(0.0, 0)]
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Ticker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._over.wait(0.1):
            with contextlib.suppress(psycopg.Error), self._server.admin(DATABASE) as connection:
                while not self._over.wait(0.05):
                    row = connection.execute("UPDATE tick SET n = n + 1 RETURNING n").fetchone()
                    self._history.append((time.monotonic(), row[0]))

    def at(self, moment: float) -> int:
        """What it certainly was at that time."""
        return self._history[bisect.bisect_right(self._history, (moment, 1 << 62)) - 1][1]


class Run:
    """A project over proxied servers, clients in threads, and one fault after the other."""

    def __init__(
        self,
        postgresql: Server,
        mariadb: Server,
        folder: Path,
        seed: int,
        clients: int = 4,
        only: Set[str] = frozenset(),
    ) -> None:
        """Of the faults, those `only`; none said: all."""
        self._servers, self._folder = (postgresql, mariadb), folder
        self._chance, self._clients = random.Random(seed), clients
        self.totals = Totals()
        self.meanwhile: list[str] = []
        self._only = only
        self._over = threading.Event()
        self._pairs: list[tuple[str, Question | None]] = []

    def go(self, seconds: float, quiet: bool = True) -> Totals:
        """Faults are begun for so long; afterwards everything has to be well again."""
        postgresql, mariadb = self._servers
        with contextlib.ExitStack() as stack:
            proxies = {
                name: stack.enter_context(Proxy(server.host, server.port))
                for name, server in (("shop", postgresql), ("desk", mariadb))
            }
            self._site = Wired(postgresql, mariadb, self._folder, proxies)
            self._site.create()
            self._learn(postgresql)
            self._world = stack.enter_context(World(self._site, self._folder))
            with Ticker(postgresql) as self._ticker:
                self._recovered()
                self._load(seconds, quiet)
            self._world.quiet()
        return self.totals

    def _load(self, seconds: float, quiet: bool) -> None:
        threads = [threading.Thread(target=self._client, args=(i,), daemon=True) for i in range(self._clients)]
        for thread in threads:
            thread.start()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._fault(quiet)
        self._over.set()
        for thread in threads:
            thread.join(60)
            if thread.is_alive():
                self._wrong("late", "a client never came back")

    # -- faults

    def _fault(self, quiet: bool) -> None:
        source = self._chance.choice(("shop", "desk"))
        faults = self._site.faults(source, self._chance)
        name = self._chance.choice(sorted(faults.keys() & self._only) or sorted(faults))
        lasts = self._chance.uniform(0.2, LONGEST)
        if not quiet:
            print(f"{source}: {name} for {lasts:.1f} s", flush=True)
        self.totals.faults[name] += 1
        with faults[name]():
            time.sleep(lasts)
        took = self._recovered()
        if not quiet:
            print(f"  answered again after {took:.1f} s", *self.meanwhile[-3:], sep="\n    ", flush=True)
        self.meanwhile.clear()
        self.totals.recovered_within_s = round(max(self.totals.recovered_within_s, took), 2)

    def _recovered(self) -> float:
        """Seconds until every kind of question is answered over both protocols."""
        began = time.monotonic()
        for sql, question in self._pairs[:: max(1, len(self._pairs) // 12)]:
            for protocol in ("postgresql", "graphql") if question is not None else ("postgresql",):
                while (said := self._answer(protocol, sql, question, 5.0)).rows is None:
                    self.meanwhile.append(f"{time.monotonic() - began:.1f} s {said.code} {said.text[:200]}")
                    if time.monotonic() - began > RECOVERY:
                        self.totals.note("not recovered", sql)
                        return time.monotonic() - began
                    time.sleep(0.05)
        return time.monotonic() - began

    # -- clients

    def _learn(self, server: Server) -> None:
        oracle = self._oracle = Oracle(server)
        for number in (2, 7, 40, 400):
            for text in STATEMENTS:
                self._pairs.append((text.format(number), None))
            for view, columns in FIELDS.items():
                question = Question(view, columns, ("id", number))
                self._pairs.append((question.sql, question))
        for sql, _ in self._pairs:
            oracle.learn(sql)
        oracle.close()

    def _client(self, number: int) -> None:
        chance = random.Random(f"{self._chance.random()} {number}")
        while not self._over.is_set():
            if chance.random() < 0.2:
                self._tick(chance.choice(("postgresql", "graphql")))
                continue
            sql, question = chance.choice(self._pairs)
            protocol = "graphql" if question is not None and chance.random() < 0.6 else "postgresql"
            patience = chance.choice((0.5, 1.0, 2.0)) if protocol == "postgresql" else SOON
            said = self._answer(protocol, sql, question, patience)
            with self.totals.lock:
                self._judge(sql, said, patience, said.rows is not None and self._oracle.says(sql, said.rows))

    def _tick(self, protocol: str) -> None:
        # Whoever asks what another asked before shares its statement, which may have been under way for so long.
        before = self._ticker.at(time.monotonic() - LIMIT - LATE)
        question = Question(TICK, ("id", "n"))
        said = self._answer(protocol, question.sql, question, SOON)
        with self.totals.lock:
            self._judge(question.sql, said, SOON, said.rows is not None and said.rows[0][1] >= before)

    def _answer(self, protocol: str, sql: str, question: Question | None, patience: float) -> Said:
        if protocol == "postgresql" or question is None:
            return self._sql(sql, patience)
        began = time.monotonic()
        said = self._graphql(question)
        return Said(said.rows, said.code, said.text, time.monotonic() - began)

    def _sql(self, sql: str, patience: float) -> Said:
        began = 0.0
        try:
            with self._world.connect() as connection:
                connection.execute(f"SET statement_timeout = {patience * 1000:.0f}")
                began = time.monotonic()
                rows = connection.execute(sql).fetchall()
                return Said(rows, seconds=time.monotonic() - began)
        except psycopg.Error as error:
            said = told(error)
            return Said(None, said.code, said.text, time.monotonic() - began if began else 0.0)

    def _graphql(self, question: Question) -> Said:
        answer = self._world.web.post("/graphql", json={"query": question.graphql})
        body = answer.json()
        if body.get("errors"):
            return Said(None, str(body["errors"][0].get("extensions", {}).get("code", "invalid")), answer.text)
        rows = body["data"][camel(question.view)]
        return Said([tuple(row[camel(column)] for column in question.columns) for row in rows])

    def _judge(self, sql: str, said: Said, patience: float, right: bool) -> None:
        totals = self.totals
        totals.asked += 1
        allowed = min(patience, SOON) if "soon" in sql else patience
        if said.seconds > min(allowed, LIMIT) + LATE:
            self._wrong("late", f"{said.seconds:.1f} s for {sql} (allowed {allowed}): {said.code} {said.text}")
        if right:
            totals.equal += 1
        elif said.rows is not None:
            self._wrong("wrong", f"{sql}: {said.rows!r}")
        else:
            totals.errors[said.code] += 1
            indecent = not said.code or said.code in ("XX000", "INTERNAL_SERVER_ERROR", "invalid")
            if indecent or any(leak in said.text for leak in LEAKS):
                self._wrong("bad", f"{sql}: {said.code} {said.text}")

    def _wrong(self, kind: str, text: str) -> None:
        setattr(self.totals, kind, getattr(self.totals, kind) + 1)
        self.totals.note(kind, text)
