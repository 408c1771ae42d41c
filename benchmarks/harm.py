"""What a source's own users feel of us: its latency and throughput under their load, with our clients and without.

The source works at about 60% of what it can; meanwhile 1 to 1,000 clients ask us dashboards and lookups, once behind
what a sensible owner would grant (the gate) and once without any limit. Windows with our clients stand between windows
without them.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks import cores, figures, stage
from benchmarks.askers import VIEWS, Crowd, Tally
from benchmarks.figures import MS, percentile, show
from benchmarks.oltp import READER, SECRET, Oltp, Transactions, oltp
from benchmarks.watching import Watch, in_flight
from tests.servers import Server

FLIGHT = 10.0  # seconds: an answer under way, that others wait for too, may have been read so long before
SHARE = 0.6  # of its capacity that the source is busy with its own work
SETTLE = 2.0  # seconds that our clients ask before the window opens
WARM = 1.0  # seconds of each window that do not count
PROBE = 4.0  # seconds in which the capacity is measured
TTL = 30  # seconds that the owner allows answers to be kept, and as many again while a new one is fetched
AIM, AIM_CLIENTS = 5.0, 100  # per cent that the p99 may rise with so many clients
GRANTED: dict[str, Any] = {
    "limits": {"concurrency": 2, "rate": 100, "burst": 20, "timeout": "5s"},
    "adaptive": {"enabled": True},
    "breaker": {"enabled": True},
}
UNLIMITED: dict[str, Any] = {
    "limits": {"concurrency": 150, "queue": 100_000},
    "ttl": "0s",
    "adaptive": {"enabled": False},
    "breaker": {"enabled": False},
}
CACHE = ("hits", "misses", "shared", "stale_revalidate", "refreshed")
GATES = ("with", "without")


Window = list[Transactions]  # a second each


@dataclass(slots=True)
class Step:
    """Windows with so many clients and without, in turns, and what was seen meanwhile."""

    clients: int
    grant: dict[str, Any]
    without: list[Window]
    with_us: list[Window]
    tally: Tally
    seen: Sequence[int]
    counted: dict[str, float] = field(default_factory=dict)

    @property
    def gated(self) -> bool:
        """Whether it is what a sensible owner grants."""
        return self.grant is not UNLIMITED

    def harm(self, seed: int) -> dict[str, Any]:
        """The source's own figures without us and with us, ms, from when a transaction is due (`own`: from when it
        begins); `p99_change_low` and `_high` are the bounds of 95% of the outcomes when seconds are drawn again."""
        told: dict[str, Any] = {}
        seconds = {}
        for label, windows in (("without_us", self.without), ("with_us", self.with_us)):
            seconds[label] = [Transactions.joined(same) for same in zip(*windows, strict=True)]
            some = Transactions.joined(seconds[label])
            told |= {
                f"p50_ms_{label}": _quantile(some.took, 0.5),
                f"p99_ms_{label}": _quantile(some.took, 0.99),
                f"p99_ms_own_{label}": _quantile(some.took - some.lagged, 0.99),
                f"tps_{label}": len(some.ended) / len(windows) / len(windows[0]),
            }
        drawn = _drawn(seconds["without_us"], seconds["with_us"], seed)
        first, last = (_quantile(Transactions.joined(each).took, 0.99) for each in (self.without[0], self.without[-1]))
        return {
            **told,
            "p50_change_pct": _change(told["p50_ms_without_us"], told["p50_ms_with_us"]),
            "p99_change_pct": _change(told["p99_ms_without_us"], told["p99_ms_with_us"]),
            "p99_change_low": _quantile(drawn, 0.025),
            "p99_change_high": _quantile(drawn, 0.975),
            "tps_change_pct": _change(told["tps_without_us"], told["tps_with_us"]),
            "p99_drift_pct": _change(first, last),
            "rounds": len(self.with_us),
        }


@dataclass(slots=True)
class Site:
    """One server with its own load, and what is measured there."""

    server: Server
    load: Oltp
    given: argparse.Namespace
    rate: float = 0.0
    failed: list[str] = field(default_factory=list)

    async def run(self, place: Path) -> None:
        """Capacity, then both configurations."""
        ran = await self.load.run(0, PROBE, self.given.seed)
        capacity = len(ran.ended) / (ran.ended.max() - ran.ended.min())
        self.rate = capacity * SHARE
        told = {"capacity_tps": capacity, "rate_tps": self.rate, "pinned": cores.told()}
        show(self.given.json, f"{self.server.kind}: its own load", **told, **figures.machine())
        kept = f"{self.given.ttl}s"
        gates = {"with": {**GRANTED, "ttl": kept, "stale_while_revalidate": kept}, "without": UNLIMITED}
        for name, grant in gates.items():
            if self.given.gate not in (None, name):
                continue
            folder = place / name
            _project(folder, self.server, grant, max(self.given.clients))
            with stage.served(folder) as served, Watch(self.server) as watch:
                await self._steps(name, grant, served, watch)
            if self.failed:
                _say(stage.complaint(folder))

    async def _steps(self, name: str, grant: dict[str, Any], served: stage.Served, watch: Watch) -> None:
        most = max(self.given.clients)
        crowd = await Crowd.connect(served, most, self.given.scale, self.given.think, self.given.seed)
        last = await self._window(self.given.seconds)
        for clients in self.given.clients:
            _say(f"{self.server.kind}, {name} the gate, {clients} clients")
            step = Step(clients, grant, [last], [], Tally(), [])
            aimed = step.gated and clients == AIM_CLIENTS
            seconds = self.given.steady if aimed else self.given.seconds
            if seconds != len(last):
                step.without = [await self._window(seconds)]
            began, counted = time.time(), await served.metrics()
            for _ in range(self.given.rounds if aimed else 1):
                await self._round(step, crowd, seconds)
            last = step.without[-1]
            step.seen = watch.between(began, time.time())
            step.counted = {key: value - counted.get(key, 0) for key, value in (await served.metrics()).items()}
            self._tell(f"{self.server.kind}, {name} the gate, {clients} clients", step)
        await crowd.close()

    async def _round(self, step: Step, crowd: Crowd, seconds: int) -> None:
        """A window with our clients, then one without."""
        stop = asyncio.Event()
        asking = asyncio.create_task(crowd.ask(step.clients, step.tally, stop))
        await asyncio.sleep(SETTLE)
        step.with_us.append(await self._window(seconds))
        stop.set()
        await asking
        await self._quiet()
        step.without.append(await self._window(seconds))

    async def _window(self, seconds: int) -> Window:
        """The transactions, second by second; they are due at the same moments in each window."""
        start = time.time() + WARM
        ran = await self.load.run(self.rate, WARM + seconds, self.given.seed)
        return [ran.between(start + second, start + second + 1) for second in range(seconds)]

    async def _quiet(self) -> None:
        """Until the source does nothing for us any more."""
        end = time.monotonic() + 30
        while in_flight(self.server) and time.monotonic() < end:  # noqa: ASYNC110  (it has no event to wait for)
            await asyncio.sleep(0.1)

    def _tell(self, what: str, step: Step) -> None:
        step.tally.judge(self.load, 0, FLIGHT + (2 * self.given.ttl if step.gated else 0))
        harm = step.harm(self.given.seed)
        cap = step.grant["limits"]["concurrency"]
        flight = {"in_flight_max": max(step.seen, default=0), "cap": cap, "looks": len(step.seen)}
        show(self.given.json, what, **harm, **flight, **_answers(step.tally, step.counted), **figures.machine())
        if flight["in_flight_max"] > cap:
            self.failed.append(f"{what}: {flight['in_flight_max']} statements in flight, {cap} are allowed")
        self.failed += [f"{what}: {wrong}" for wrong in step.tally.wrong]
        if step.gated and step.clients == AIM_CLIENTS:
            rise = harm["p99_change_pct"]
            verdict = {"p99_change_pct": rise, "met": bool(rise <= AIM)}
            show(self.given.json, f"{self.server.kind}: aim, p99 up by at most {AIM:g}%", **verdict)


def _quantile(values: np.ndarray, share: float) -> float:
    return float(np.quantile(values, share)) if len(values) else float("inf")


def _change(before: float, after: float) -> float:
    return (after / before - 1) * 100 if before else 0.0


def _drawn(without: list[Transactions], during: list[Transactions], seed: int, draws: int = 200) -> np.ndarray:
    """The p99's changes when whole seconds are drawn anew, the same ones of both sides: neighbours are alike."""
    chance = np.random.default_rng(seed)
    changes = []
    for _ in range(draws):
        drawn = chance.integers(0, len(without), len(without))
        sides = [np.concatenate([side[i].took for i in drawn]) for side in (without, during)]
        changes.append(_change(*(_quantile(values, 0.99) for values in sides)))
    return np.array(changes)


def _answers(tally: Tally, counted: dict[str, float]) -> dict[str, Any]:
    """What our clients got; cache figures are of fetches and of answers together."""
    cache = {name: round(counted.get(f"vdw_cache_{name}_total", 0)) for name in CACHE}
    asked = sum(value for key, value in counted.items() if key.startswith("vdw_source_statements_total"))
    return {
        "asked": tally.asked,
        "answered": len(tally.seconds),
        "errors": dict(tally.errors),
        "wrong": len(tally.wrong),
        "client_p50_ms": percentile(tally.seconds, 0.5) * MS if tally.seconds else None,
        "client_p99_ms": percentile(tally.seconds, 0.99) * MS if tally.seconds else None,
        "source_statements": round(asked),
        **{f"cache_{name}": value for name, value in cache.items()},
    }


def _project(folder: Path, server: Server, grant: dict[str, Any], clients: int) -> None:
    connection = {**server.options, "user": READER, "password": SECRET}
    if grant is not UNLIMITED and server.kind == "postgresql":
        connection["parallel_workers"] = 0  # one statement of ours is one process of the server's
    source = {"kind": server.kind, "connection": connection, **grant}
    header = {"freshness": {"ttl": grant["ttl"]}}
    views = {
        name: stage.view(name, text, **({"key": key} if key else {}), **header) for name, (key, text) in VIEWS.items()
    }
    stage.write(folder, {"till": source}, views, connections=max(clients, 10))


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


async def _measure(kind: str, given: argparse.Namespace) -> list[str]:
    with stage.folder() as place:
        with cores.on(cores.SOURCE):
            running = stage.servers(kind)
            servers = running.__enter__()
        try:
            site = Site(servers[kind], oltp(servers[kind], place, given.scale), given)
            _say(f"{kind}: filling")
            await asyncio.to_thread(site.load.fill)
            await site.run(place)
            return site.failed
        finally:
            running.__exit__(None, None, None)


def main() -> None:
    """Exits with 1 where more statements were in flight than the owner allows, or an answer was wrong."""
    parser = figures.arguments(__doc__, 5)
    parser.add_argument("--clients", type=lambda text: [int(n) for n in text.split(",")], default=[1, 10, 100, 1_000])
    parser.add_argument("--only", choices=("postgresql", "mariadb"), help="one of the two")
    parser.add_argument("--gate", choices=GATES, help="one of the two configurations")
    parser.add_argument(
        "--think", type=float, default=1.0, help="seconds between two questions of a client, on average"
    )
    parser.add_argument("--scale", type=int, default=1, help="branches of 100,000 accounts (default 1)")
    parser.add_argument("--seed", type=int, default=1)
    aim = f"of {AIM_CLIENTS} clients with the gate"
    parser.add_argument("--ttl", type=int, default=TTL, help=f"seconds that the owner lets us keep answers ({TTL})")
    parser.add_argument(
        "--steady", type=int, help=f"seconds of a window {aim} (default: the ttl, so that each expires)"
    )
    parser.add_argument("--rounds", type=int, default=1, help=f"windows {aim} (default 1)")
    given = parser.parse_args()
    given.seconds = max(round(given.seconds), 1)
    given.steady = given.steady or given.ttl
    failed = []
    with cores.on(cores.OWN):
        for kind in [given.only] if given.only else ["postgresql", "mariadb"]:
            failed += uvloop.run(_measure(kind, given))
    for line in failed[:20]:
        _say(f"FAILED: {line}")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
