"""Everything at once for long, with faults: is each answer right, and do memory, threads, handles and sessions stay?"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import psutil
import uvloop

from benchmarks import figures, stage
from benchmarks.callers import FAILURES, Both, Caller, Rows, SqlCaller, WebCaller, code
from benchmarks.crm import CUSTOMERS, ORDERS, TICKETS, Crm, crm
from benchmarks.figures import show
from benchmarks.watching import connected
from tests.servers import Server

LOOK = 2.0  # seconds between two samples
ROUND = 12.0  # seconds from one fault to the next
FROZEN = 3.0  # seconds that a source stands still
THINK = 0.2  # seconds between two actions of a client, on average
# What a client may be told while sources fail: connections, time, limits. Anything else is a bug.
EXPECTED = ("08", "57", "53", "HV000", "HV00N")
ROW = {"orders": ORDERS // CUSTOMERS, "tickets": TICKETS // CUSTOMERS}
REGIONS = {None: 6_667, "north": 6_666, "south": 6_667}


@dataclass(frozen=True, slots=True)
class Question:
    """In both languages, with what it must give for a number."""

    name: str
    sql: str
    graphql: str
    right: Callable[[Rows, int], bool]


def _customer(rows: Rows, number: int) -> bool:
    return [(int(row["id"]), row["name"]) for row in rows] == [(number, f"customer {number}")]


def _whole(rows: Rows, number: int) -> bool:
    found = [(int(row["id"]), int(row["orders"]), int(row["tickets"])) for row in rows]
    return found == [(number, ROW["orders"], ROW["tickets"])]


def _regions(rows: Rows, _: int) -> bool:
    return {row["region"]: int(row["n"]) for row in rows} == REGIONS


def _totals(rows: Rows, _: int) -> bool:
    return [(int(row["n"]), int(row["o"])) for row in rows] == [(CUSTOMERS, ORDERS)]


def _extract(rows: Rows, _: int) -> bool:
    return len(rows) == CUSTOMERS and sum(int(row["id"]) for row in rows) == CUSTOMERS * (CUSTOMERS + 1) // 2


LOOKUPS = [
    Question(
        "lookup",
        "SELECT id, name FROM {}.customer WHERE id = $1",
        "query($n: Int!) {{ rows: {}Customer(where: {{id: {{_eq: $n}}}}) {{ id name }} }}",
        _customer,
    ),
    Question(
        "customer 360",
        "SELECT id, orders, tickets FROM {}.customer_360 WHERE id = $1",
        "query($n: Int!) {{ rows: {}Customer360(where: {{id: {{_eq: $n}}}}) {{ id orders tickets }} }}",
        _whole,
    ),
]
DASHBOARDS = [
    Question(
        "regions",
        "SELECT region, count(*) AS n FROM {}.customer WHERE 0 < $1::int4 GROUP BY region",
        "{{ rows: {}Regions {{ region n }} }}",
        _regions,
    ),
    Question(
        "totals",
        "SELECT count(*) AS n, sum(orders) AS o FROM {}.customer_360 WHERE 0 < $1::int4",
        "{{ rows: {}Totals {{ n o }} }}",
        _totals,
    ),
]
EXTRACT = Question(
    "extract",
    "SELECT id, name, region, credit FROM {}.customer WHERE 0 < $1::int4",
    "{{ rows: {}Customer(limit: 20000) {{ id name }} }}",
    _extract,
)
WRONG = Question(
    "wrong", "SELECT nothing FROM {}.customer WHERE id = $1", "{{ rows: {}Customer {{ nothing }} }}", _extract
)
SLOW = Question(
    "slow", "SELECT customers FROM {}.slow WHERE 0 < $1::int4", "{{ rows: {}Slow {{ customers orders }} }}", _extract
)


def of(question: Question, schema: str) -> Both:
    """The question for one of the schemas: with a cache or without."""
    return Question(question.name, question.sql.format(schema), question.graphql.format(schema), question.right)


@dataclass(slots=True)
class Tally:
    """What was done and what became of it; `wrong` must stay empty."""

    done: Counter[str] = field(default_factory=Counter)
    right: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def failed(self, what: str, error: BaseException) -> None:
        """An error: one that faults explain, or a bug."""
        told = code(error)
        self.errors[told] += 1
        if not (isinstance(error, OSError) and not isinstance(error, ConnectionError)) and not told.startswith(
            EXPECTED
        ):
            self.wrong.append(f"{what}: {told} {error}")


class Client:
    """One of a few dozen, each of which does everything in turns."""

    def __init__(self, served: stage.Served, number: int, tally: Tally) -> None:
        self._served, self._tally = served, tally
        self._chance = random.Random(number)
        self._kind = WebCaller if number % 2 else SqlCaller
        self._caller: Caller = self._kind(served)

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        doings: list[tuple[int, Callable[[], Awaitable[None]]]] = [
            (60, lambda: self._ask(self._chance.choice(LOOKUPS))),
            (20, lambda: self._ask(self._chance.choice(DASHBOARDS))),
            (2, lambda: self._ask(EXTRACT)),
            (6, self._wrong),
            (6, self._cancelled),
            (6, self._leaves),
        ]
        weights = [weight for weight, _ in doings]
        while not stop.is_set():
            ((_, do),) = self._chance.choices(doings, weights)
            await do()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._chance.expovariate(1 / THINK))
        await self._caller.close()

    def _schema(self) -> str:
        return self._chance.choice(("live", "kept"))

    async def _ask(self, question: Question) -> None:
        number = self._chance.randrange(CUSTOMERS) + 1
        self._tally.done[question.name] += 1
        try:
            rows = await self._caller.ask(of(question, self._schema()), number)
        except FAILURES as error:
            self._tally.failed(question.name, error)
            return
        if question.right(rows, number):
            self._tally.right += 1
        else:
            self._tally.wrong.append(f"{question.name} {number}: {str(rows)[:200]}")

    async def _wrong(self) -> None:
        self._tally.done["wrong SQL"] += 1
        try:
            await self._caller.ask(of(WRONG, self._schema()), 1)
        except FAILURES as error:
            self._tally.errors[code(error)] += 1
        else:
            self._tally.wrong.append("what is wrong was answered")

    async def _cancelled(self) -> None:
        """Asks what takes long, and thinks better of it: the protocol's cancel, or the request's connection closes."""
        self._tally.done["cancel"] += 1
        with contextlib.suppress(*FAILURES):
            await asyncio.wait_for(self._caller.ask(of(SLOW, self._schema()), 1), self._chance.random())

    async def _leaves(self) -> None:
        """A client of its own that vanishes in the middle of its question."""
        self._tally.done["disconnect"] += 1
        other: Caller = self._kind(self._served)
        question = self._chance.choice((SLOW, EXTRACT, *DASHBOARDS))
        asking = asyncio.ensure_future(other.ask(of(question, self._schema()), 1))
        await asyncio.wait({asking}, timeout=self._chance.random() / 2)
        await other.close()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)


@dataclass(slots=True)
class Faults:
    """One after the other, on real servers."""

    made: Crm
    chance: random.Random
    count: Counter[str] = field(default_factory=Counter)

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), ROUND)
                return
            server = self.chance.choice((self.made.postgresql, self.made.mariadb))
            name, fault = self.chance.choice((("restarted", _restart), ("frozen", _freeze), ("cut", _cut)))
            self.count[f"{server.kind} {name}"] += 1
            await asyncio.to_thread(fault, server)


def _restart(server: Server) -> None:
    server.restart()


def _freeze(server: Server) -> None:
    with server.paused():
        time.sleep(FROZEN)


def _cut(server: Server) -> None:
    if server.kind == "postgresql":
        mine = f"usename = '{server.user}' AND pid <> pg_backend_pid()"
        server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {mine}")
    else:
        server.run(f"KILL CONNECTION USER {server.user}")


@dataclass(slots=True)
class Samples:
    """What our process takes, every few seconds."""

    made: Crm
    served: stage.Served
    at: list[float] = field(default_factory=list)
    seen: dict[str, list[float]] = field(default_factory=dict)

    async def run(self, stop: asyncio.Event) -> None:
        """Until told to stop."""
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK)
                return
            await self._look()

    async def _look(self) -> None:
        try:
            found = await asyncio.to_thread(self._now)
            found["tasks"] = (await self.served.metrics())["vdw_tasks"]
        except Exception as error:  # a source that is down right now
            print(f"no sample: {type(error).__name__} {error}", file=sys.stderr)
            return
        self.at.append(time.monotonic())
        for name, value in found.items():
            self.seen.setdefault(name, []).append(value)

    def _now(self) -> dict[str, float]:
        process = psutil.Process(self.served.process.pid)
        canon = [child for child in process.children(recursive=True) if child.name().startswith("postgres")]
        return {
            "rss_mb": process.memory_info().rss / 2**20,
            "threads": process.num_threads(),
            "handles": process.num_fds(),
            "canon_processes": len(canon),
            "canon_mb": sum(_own(child) for child in canon) / 2**20,
            "connections_postgresql": connected(self.made.postgresql, self.made.postgresql.user),
            "connections_mariadb": connected(self.made.mariadb, self.made.mariadb.user),
        }

    def verdicts(self) -> dict[str, dict[str, Any]]:
        """The slope of each over the second half (least squares), an hour; `flat` where over that half it makes less
        than 5% of the mean, than what single samples differ from the line, or than one."""
        half = len(self.at) // 2
        at = np.array(self.at[half:])
        told = {}
        for name, values in self.seen.items():
            some = np.array(values[half:])
            slope, base = np.polyfit(at - at[0], some, 1)
            grown = slope * (at[-1] - at[0])
            spread = float(np.std(some - (base + slope * (at - at[0]))))
            flat = grown <= max(0.05 * some.mean(), spread, 1.0)
            numbers = {
                "first": some[0],
                "last": some[-1],
                "mean": some.mean(),
                "most": max(values),
                "grown": grown,
                "spread": spread,
                "slope_per_hour": slope * 3600,
            }
            told[name] = {**{key: float(value) for key, value in numbers.items()}, "flat": bool(flat)}
        return told


def _own(process: psutil.Process) -> int:
    """Bytes that are its alone."""
    with contextlib.suppress(psutil.Error):
        memory = process.memory_info()
        return int(memory.rss - memory.shared)
    return 0


def _views(made: Crm) -> None:
    for schema, ttl in (("live", "0s"), ("kept", "3s")):
        texts = {
            "regions": f"SELECT region, count(*) AS n FROM {schema}.customer GROUP BY region",
            "totals": f"SELECT count(*) AS n, sum(orders) AS o FROM {schema}.customer_360",
        }
        for name, text in texts.items():
            path = made.folder / "views" / schema / f"{name}.view.sql"
            path.write_text(stage.view(f"{schema}.{name}", text, freshness={"ttl": ttl}))


async def _soak(given: argparse.Namespace, made: Crm, served: stage.Served) -> list[str]:
    tally, stop = Tally(), asyncio.Event()
    faults, samples = Faults(made, random.Random(given.seed)), Samples(made, served)
    clients = [Client(served, number, tally) for number in range(given.clients)]
    works = [*(client.run(stop) for client in clients), samples.run(stop)]
    if given.faults:
        works.append(faults.run(stop))
    tasks = [asyncio.ensure_future(work) for work in works]
    end = time.monotonic() + given.seconds
    while time.monotonic() < end and not any(task.done() for task in tasks):
        await asyncio.sleep(min(30, max(end - time.monotonic(), 0)))
        last = {name: round(values[-1], 1) for name, values in samples.seen.items()}
        print(f"{time.strftime('%H:%M:%S')} {tally.right} right {last}", file=sys.stderr, flush=True)
    stop.set()
    await asyncio.gather(*tasks)
    verdicts = samples.verdicts()
    for name, told in verdicts.items():
        show(given.json, name, **told, samples=len(samples.at))
    doings = {"done": dict(tally.done), "right": tally.right, "wrong": len(tally.wrong), "errors": dict(tally.errors)}
    show(given.json, "answers", **doings, faults=dict(faults.count), seconds=given.seconds, **figures.machine())
    rising = [f"{name} is not flat: {told}" for name, told in verdicts.items() if not told["flat"]]
    return [*tally.wrong, *rising]


def main() -> None:
    """Exits with 1 where an answer was wrong, an error was none that a fault explains, or something grew."""
    parser = figures.arguments(__doc__, 60)
    parser.add_argument("--clients", type=int, default=30, help="half of each protocol (default 30)")
    parser.add_argument("--no-faults", dest="faults", action="store_false", help="leave the sources alone")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    # A cache that is full long before the second half, in which nothing may grow any more.
    with crm(cache={"size": "8MB"}) as made:
        _views(made)
        with stage.served(made.folder) as served:
            failed = uvloop.run(_soak(given, made, served))
    for line in failed[:20]:
        print(f"FAILED: {line[:500]}", file=sys.stderr)
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
