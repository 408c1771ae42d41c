"""A hundred clients ask at once, the same or what overlaps, as things expire, and while we are restarted: how often is
each source asked, and how much at once, by its own account?"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import crm as sources
from benchmarks import figures, stage
from benchmarks.callers import FAILURES, Caller, SqlCaller, WebCaller, code
from benchmarks.crm import Crm, crm
from benchmarks.figures import MS, percentile, show
from benchmarks.watching import Watch, in_flight
from benchmarks.web import Web
from tests.servers import free_port

CLIENTS = 100  # half of them asyncpg, half GraphQL
USERS = ("ann", "bob", "cy")
SECRET = "only-for-the-herd"
NAP = 2.0  # seconds that a statement takes while we are restarted
CAP = 2  # statements at once then
FEW = 20  # clients then, each with a question of its own
LONGEST = 6.0  # seconds that the owners allow a statement then
BRIEF = 2.0  # seconds that the brief answers are kept
PAUSE = 0.02  # seconds between two questions of a client


@dataclass(frozen=True, slots=True)
class Question:
    """In both languages; `right` is its only answer."""

    sql: str
    graphql: str
    right: tuple[float, ...] = ()


def dashboards(schema: str) -> list[Question]:
    """Different ones over the same two sub-queries."""
    return [
        Question(
            f"SELECT customers, orders FROM {schema}.slow",
            f"{{rows: {schema}Slow {{customers orders}}}}",
            (sources.CUSTOMERS, sources.ORDERS),
        ),
        Question(
            f"SELECT share FROM {schema}.ratio",
            f"{{rows: {schema}Ratio {{share}}}}",
            (sources.ORDERS / sources.CUSTOMERS,),
        ),
        Question(
            f"SELECT total FROM {schema}.total",
            f"{{rows: {schema}Total {{total}}}}",
            (sources.ORDERS + sources.CUSTOMERS,),
        ),
    ]


def nap(source: str) -> Question:
    """One row by its key, which takes its source NAP seconds."""
    name = source.capitalize()
    return Question(
        f"SELECT id FROM naps.{source} WHERE id = $1 AND nap IS NOT NULL",
        f"query($n: Int!) {{rows: naps{name}(where: {{id: {{_eq: $n}}, nap: {{_is_null: false}}}}) {{id}}}}",
    )


class Statistics:
    """What the two servers say that they were asked; views and tables of ours only."""

    def __init__(self, made: Crm) -> None:
        self._made = made

    def forget(self) -> None:
        """Count from now on."""
        self._made.postgresql.run("SELECT pg_stat_statements_reset()", database=self._made.postgresql.database)
        self._made.mariadb.run("TRUNCATE performance_schema.events_statements_summary_by_digest")

    def calls(self) -> dict[str, int]:
        """Executions of statements about `slow`, by source; EXPLAIN executes nothing."""
        crm = self._made.postgresql.run(
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE query ~ 'slow' "
            "AND query !~* 'pg_stat|^explain'",
            database=self._made.postgresql.database,
        )
        shop = self._made.mariadb.run(
            "SELECT coalesce(sum(count_star), 0) FROM performance_schema.events_statements_summary_by_digest "
            "WHERE digest_text LIKE '%slow%' AND digest_text NOT LIKE '%performance_schema%' "
            "AND digest_text NOT LIKE 'EXPLAIN%'"
        )
        return {"crm": int(crm[0][0]), "shop": int(shop[0][0])}


@dataclass(slots=True)
class Told:
    """What the clients were told, and how long each question took (s)."""

    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    async def ask(self, caller: Caller, question: Question, *values: int) -> None:
        """One question, whatever becomes of it."""
        began = time.perf_counter()
        try:
            rows = await caller.ask(question, *values)
        except FAILURES as error:
            self.errors[code(error)] += 1
            return
        self.seconds.append(time.perf_counter() - began)
        wanted = question.right or tuple(map(float, values))
        found = tuple(float(value) for row in rows for value in row.values())
        if found != wanted:
            self.wrong.append(f"{question.sql}: {found} and not {wanted}")

    @property
    def figures(self) -> dict[str, Any]:
        """For a line."""
        told: dict[str, Any] = {"answered": len(self.seconds), "wrong": len(self.wrong), "errors": dict(self.errors)}
        if self.seconds:
            told |= {"p50_ms": percentile(self.seconds, 0.5) * MS, "p99_ms": percentile(self.seconds, 0.99) * MS}
        return told


@contextlib.asynccontextmanager
async def callers(served: stage.Served, count: int = CLIENTS) -> AsyncIterator[list[Caller]]:
    """Half of each protocol, of all users, with connections that stand."""
    made: list[Caller] = [
        (WebCaller if number % 2 else SqlCaller)(served, USERS[number % len(USERS)], SECRET) for number in range(count)
    ]
    await asyncio.gather(*(one.connect() for one in made))
    warm = Question("SELECT 1 AS one", "{rows: __schema {types {name}}}", (1.0,))
    await asyncio.gather(*(one.ask(warm) for one in made if isinstance(one, SqlCaller)))
    yield made
    for one in made:
        await one.close()


@dataclass(slots=True)
class Herd:
    """The stage, how results are shown, and what was not as it should be."""

    made: Crm
    json: bool
    failed: list[str] = field(default_factory=list)

    async def bursts(self, served: stage.Served, what: str, asked: Sequence[Question], count: int, most: int) -> None:
        """So many times all at once, each a question of its own turn; at most so many statements at each source."""
        statistics, told = Statistics(self.made), Told()
        async with callers(served) as all_:
            statistics.forget()
            for _ in range(count):
                turns = itertools.cycle(asked)
                await asyncio.gather(*(told.ask(one, question) for one, question in zip(all_, turns, strict=False)))
        self._tell(
            what, told, statistics.calls(), dict.fromkeys(("crm", "shop"), most), questions=len(asked), users=len(USERS)
        )

    async def expiry(self, served: stage.Served, seconds: float) -> None:
        """They ask on and on for what is kept for a second: it is read once a second."""
        statistics, told = Statistics(self.made), Told()
        stop = time.monotonic() + seconds
        questions = itertools.cycle(dashboards("brief"))
        async with callers(served) as all_:
            statistics.forget()
            began = time.monotonic()
            await asyncio.gather(*(_on_and_on(one, told, lambda: (next(questions),), stop) for one in all_))
            most = math.ceil((time.monotonic() - began) / BRIEF) + 1
        self._tell(
            f"expiry after {BRIEF:g} s, under load", told, statistics.calls(), dict.fromkeys(("crm", "shop"), most)
        )

    async def invalidation(self, served: stage.Served, do: str) -> None:
        """They ask on and on for what is kept; what is made of one source is forgotten, or read anew, three times."""
        statistics, told, times = Statistics(self.made), Told(), 3
        stop = time.monotonic() + (times + 1) * 2 * sources.SLOW
        questions = itertools.cycle(dashboards("kept"))
        async with callers(served) as all_:
            statistics.forget()
            asking = asyncio.gather(*(_on_and_on(one, told, lambda: (next(questions),), stop) for one in all_))
            for _ in range(times):
                await asyncio.sleep(2 * sources.SLOW)
                await self._administer(served, do)
            await asking
        most = {"crm": times + 1, "shop": 1}
        self._tell(f"{do} of one source, three times, under load", told, statistics.calls(), most)

    async def _administer(self, served: stage.Served, do: str) -> None:
        web = await Web.connect(*served.http, (USERS[0], SECRET))
        status, body = await web.post("/admin/cache", json.dumps({"do": do, "source": "crm"}).encode())
        web.close()
        if status != 200:
            self.failed.append(f"{do}: HTTP {status} {body!r}")

    async def restart(self, folder: Path, how: signal.Signals) -> None:
        """They ask on and on for what is slow; meanwhile we end and start again: the cap is kept throughout."""
        told, chance = Told(), random.Random(1)
        ports = _ports()
        views = {f"naps.{each}": _nap_view(each) for each in ("crm", "shop")}
        servers = {"crm": self.made.postgresql, "shop": self.made.mariadb}
        granted = {name: each for name, each in sources.sources(self.made, CAP).items() if name in servers}
        for each in granted.values():
            each["limits"] = {**each["limits"], "timeout": f"{LONGEST:g}s"}
        stage.write(folder, granted, views, users=_users(folder), listen=_listen(*ports))
        questions = [nap("crm"), nap("shop")]

        def question() -> tuple[Question, int]:
            return chance.choice(questions), chance.randrange(1, sources.CUSTOMERS)

        with contextlib.ExitStack() as stack:
            watches = {name: stack.enter_context(Watch(one, one.user)) for name, one in servers.items()}
            with stage.served(folder) as served:
                async with callers(served, FEW) as all_:
                    stop = time.monotonic() + 4 * NAP + LONGEST
                    asking = asyncio.gather(*(_on_and_on(one, told, question, stop) for one in all_))
                    await asyncio.sleep(NAP)
                    left = await asyncio.to_thread(self._end, served, how)
                    began = time.monotonic()
                    await asyncio.to_thread(stack.enter_context, stage.served(folder, whole=False))
                    started = time.monotonic() - began
                    back = await asyncio.gather(*(_back(served, began, question) for question in questions))
                    await asking
            seen = {name: [count for _, count in watch.seen] for name, watch in watches.items()}
        most = {name: max(counts) for name, counts in seen.items()}
        show(
            self.json,
            f"restart by {how.name}, under load",
            clients=FEW,
            cap=CAP,
            **{f"most_{k}": v for k, v in most.items()},
            left_running=left,
            start_s=started,
            **{f"back_s_{name}": at for name, at in zip(servers, back, strict=True)},
            looks=len(seen["crm"]),
            **told.figures,
        )
        self.failed += [f"{how.name}: {count} at {name}" for name, count in most.items() if count > CAP]
        self.failed += told.wrong

    def _end(self, served: stage.Served, how: signal.Signals) -> int:
        """End our process; statements that the sources still work on for it."""
        served.process.send_signal(how)
        served.process.wait(30)
        return sum(in_flight(server, server.user) for server in (self.made.postgresql, self.made.mariadb))

    def _tell(self, what: str, told: Told, calls: dict[str, int], most: dict[str, int], **more: int) -> None:
        asked = {f"asked_{source}": count for source, count in calls.items()}
        show(self.json, what, clients=CLIENTS, **more, **asked, at_most=most, **told.figures, **figures.machine())
        self.failed += [
            f"{what}: {source} was asked {count} times" for source, count in calls.items() if count > most[source]
        ]
        self.failed += [*told.wrong, *(f"{what}: {error}" for error in told.errors)]


async def _back(served: stage.Served, began: float, question: Question) -> float:
    """Seconds until the question is answered again."""
    caller, told = SqlCaller(served, USERS[0], SECRET), Told()
    while not told.seconds and time.monotonic() - began < 60:
        await told.ask(caller, question, 1)
        await asyncio.sleep(PAUSE)
    await caller.close()
    return time.monotonic() - began


async def _on_and_on(caller: Caller, told: Told, question: Callable[[], tuple[Any, ...]], stop: float) -> None:
    while time.monotonic() < stop:
        await told.ask(caller, *question())
        await asyncio.sleep(PAUSE)


def _users(folder: Path) -> dict[str, Any]:
    (folder / "herd").write_text(SECRET)
    return {user: {"password": {"file": "herd"}, "reads": ["*"], "admin": user == USERS[0]} for user in USERS}


def _ports() -> tuple[int, int]:
    return free_port(), free_port()


def _listen(http: int, postgresql: int) -> dict[str, Any]:
    return {"http": {"port": http}, "postgresql": {"port": postgresql, "connections": 3 * CLIENTS}}


def _nap_view(source: str) -> str:
    return stage.view(f"naps.{source}", f"SELECT id, nap FROM {source}.naps", key=["id"], freshness={"ttl": "0s"})


def _prepare(made: Crm) -> None:
    """Rows that take their source NAP seconds each; what overlaps; and answers that are kept for a moment."""
    made.postgresql.run(
        f"CREATE FUNCTION nap(id int) RETURNS text STABLE LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep({NAP}); "
        "RETURN 'nap'; END $$",
        "CREATE VIEW naps AS SELECT id, nap(id) AS nap FROM customers",
        database=made.postgresql.database,
    )
    made.mariadb.run(
        f"CREATE VIEW naps AS SELECT id, CONCAT('nap', SLEEP({NAP})) AS nap FROM orders",
        database=made.mariadb.database,
    )
    pair = "FROM crm.slow c CROSS JOIN shop.slow o"
    texts = {
        "slow": f"SELECT c.customers, o.orders {pair}",
        "ratio": f"SELECT o.orders::float8 / c.customers AS share {pair}",
        "total": f"SELECT c.customers + o.orders AS total {pair}",
    }
    for schema, ttl in (("live", "0s"), ("kept", "60s"), ("brief", f"{BRIEF:g}s")):
        for name, text in texts.items():
            path = made.folder / "views" / schema / f"{name}.view.sql"
            path.parent.mkdir(exist_ok=True)
            path.write_text(stage.view(f"{schema}.{name}", text, freshness={"ttl": ttl}))


async def _all(given: argparse.Namespace, made: Crm, folder: Path) -> list[str]:
    herd = Herd(made, given.json)
    with stage.served(made.folder) as served:
        for what, schema, count, most in (
            ("ttl 0: one burst", "live", 1, 1),
            ("ttl 0: three bursts", "live", 3, 3),
            ("ttl 60 s: three bursts", "kept", 3, 1),
        ):
            await herd.bursts(served, what, dashboards(schema)[:1], count, most)
        await herd.bursts(served, "overlapping, ttl 0: three bursts", dashboards("live"), 3, 3)
    with stage.served(made.folder) as served:  # an empty cache
        await herd.bursts(served, "overlapping, ttl 60 s: three bursts", dashboards("kept"), 3, 1)
        await herd.expiry(served, given.seconds)
        for do in ("clear", "refresh"):
            await herd.invalidation(served, do)
    for how in (signal.SIGTERM, signal.SIGKILL):
        await herd.restart(folder, how)
    return herd.failed


def main() -> None:
    """Exits with 1 where a source was asked more often, or more at once, than it may be, or an answer was wrong."""
    given = figures.arguments(__doc__, 5).parse_args()
    with crm() as made, stage.folder() as folder:
        _prepare(made)
        stage.write(made.folder, sources.sources(made), {}, connections=3 * CLIENTS, users=_users(made.folder))
        failed = asyncio.run(_all(given, made, folder))
    for line in failed[:20]:
        print(f"FAILED: {line}", file=sys.stderr)
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
