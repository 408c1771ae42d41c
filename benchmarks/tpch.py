"""TPC-H over three sources, beside one PostgreSQL that holds everything and DuckDB with the same sources attached."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import stage, tpch_data
from benchmarks.figures import MS, machine, show
from benchmarks.meter import Meter, Processor
from benchmarks.sides import One, Ours, Told, differs
from benchmarks.tools import Peer, Tools, Unavailable, cache_folder

PEERS = ("ours", "one", "attach")


@dataclass(slots=True)
class Sides:
    """Who is asked; None for who is not, or cannot be had."""

    ours: Ours | None = None
    one: One | None = None
    attach: Peer | None = None
    meters: Mapping[str, Meter] = field(default_factory=dict)
    processors: dict[str, Processor] = field(default_factory=dict)


@dataclass(slots=True)
class Line:
    """A query's figures: ms of each side that answered, by the clock and of all processors, sources' included; and the
    rows that ours and DuckDB fetched, by source."""

    query: str
    ms: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    rows: dict[str, Counter[str]] = field(default_factory=dict)
    statements: dict[str, Counter[str]] = field(default_factory=dict)
    equal: bool | None = None
    engine: str = ""
    why: str = ""
    spent: dict[str, float] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        """Ours to the best peer's."""
        peers = [ms for side, ms in self.ms.items() if side != "ours"]
        return self.ms["ours"] / min(peers) if peers and "ours" in self.ms else None

    @property
    def figures(self) -> dict[str, Any]:
        """As they are shown."""
        told: dict[str, Any] = {f"{side}_ms": ms for side, ms in self.ms.items()}
        told |= {f"{side}_cpu_ms": ms for side, ms in self.cpu.items()}
        told |= {"ratio": self.ratio, "equal": self.equal, "engine": self.engine}
        told |= {f"{side}_rows": dict(rows) for side, rows in self.rows.items()}
        told |= {f"{side}_statements": dict(statements) for side, statements in self.statements.items()}
        told["spent"] = {what: round(ms, 1) for what, ms in self.spent.items()}
        return told | ({"why": self.why} if self.why else {}) | ({"errors": self.errors} if self.errors else {})


def main() -> int:
    """0 only if every answer was equal."""
    told = _arguments()
    tools = Tools(told.cache)
    lines = []
    with tpch_data.placed(told.cache, told.sf, tools) as placed, _sides(placed, tools, told) as sides:
        show(told.json, "tpch", sf=told.sf, **machine())
        for query, sql in texts(tools).items():
            if not told.only or query in told.only.split(","):
                lines.append(_query(query, sql, sides, told))
                show(told.json, query, **lines[-1].figures)
                if told.explain and sides.ours is not None:
                    print(sides.ours.explain(sql), file=sys.stderr)
    show(told.json, "sum", sf=told.sf, **total(lines), **machine())
    return 0 if all(line.equal is not False for line in lines) else 1


def texts(tools: Tools) -> dict[str, str]:
    """TPC-H's 22 queries with their validation parameters, as "q1" to "q22"."""
    peer = tools.peer()
    try:
        rows = peer.ask(do="rows", sql="SELECT query_nr, query FROM tpch_queries() ORDER BY 1")["rows"]
    finally:
        peer.close()
    return {f"q{number}": text.strip().rstrip(";") for number, text in rows}


def total(lines: list[Line]) -> dict[str, Any]:
    """Sums over the queries that all sides answered; the rest is counted."""
    sides = {side for line in lines for side in line.ms}
    whole = [line for line in lines if sides <= line.ms.keys()]
    told: dict[str, Any] = {"queries": len(lines), "summed": len(whole)}
    told["equal"] = sum(bool(line.equal) for line in lines)
    told["not_equal"] = [line.query for line in lines if line.equal is False]
    told |= {f"{side}_ms": sum(line.ms[side] for line in whole) for side in PEERS if side in sides}
    if {"ours", "one"} <= sides and whole:
        told["ratio_to_one"] = told["ours_ms"] / told["one_ms"]
    told |= {f"{side}_cpu_ms": sum(line.cpu[side] for line in whole) for side in PEERS if side in sides}
    if {"ours", "one"} <= sides and whole:
        told["cpu_ratio_to_one"] = told["ours_cpu_ms"] / told["one_cpu_ms"]
    ratios = {line.query: line.ratio for line in lines if line.ratio is not None}
    if ratios:
        worst = max(ratios, key=lambda query: ratios[query])
        told |= {"worst": worst, "worst_ratio": ratios[worst]}
        told["over_twice_the_best"] = [query for query, ratio in ratios.items() if ratio > 2]
    told |= {f"{side}_rows": sum(sum(line.rows[side].values()) for line in whole) for side in _fetchers(whole)}
    told["more_rows_than_attach"] = [
        line.query
        for line in lines
        if {"ours", "attach"} <= line.rows.keys() and line.rows["ours"].total() > line.rows["attach"].total()
    ]
    return told


def _fetchers(lines: list[Line]) -> list[str]:
    return [side for side in ("ours", "attach") if lines and all(side in line.rows for line in lines)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tpch", description=__doc__)
    parser.add_argument("--sf", type=float, default=1.0, help="scale factor (default 1)")
    parser.add_argument("--only", default="", help="some queries, as q1,q5")
    parser.add_argument("--peers", default=",".join(PEERS), help=f"who is asked, of {', '.join(PEERS)}")
    parser.add_argument("--repeat", type=int, default=1, help="times that each is asked; the fastest counts")
    parser.add_argument("--seconds", type=float, default=300.0, help="that a query may take")
    parser.add_argument("--cache", type=Path, default=cache_folder(), help="where loaded servers and tools stay")
    parser.add_argument("--explain", action="store_true", help="plans of ours, to standard error")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args()


@contextlib.contextmanager
def _sides(placed: tpch_data.Placed, tools: Tools, told: argparse.Namespace) -> Iterator[Sides]:
    wanted = told.peers.split(",")
    meters = {
        "pg": Meter(placed.postgresql, tpch_data.POSTGRESQL),
        "maria": Meter(placed.mariadb, tpch_data.MARIADB),
    }
    sides = Sides(meters=meters)
    with contextlib.ExitStack() as stack:
        if "ours" in wanted:
            sides.ours = stack.enter_context(
                contextlib.closing(Ours(stack.enter_context(stage.folder()), placed.sources, {}))
            )
        if "one" in wanted:
            sides.one = stack.enter_context(contextlib.closing(One(placed.postgresql, tpch_data.ONE)))
        if "attach" in wanted:
            try:
                sides.attach = stack.enter_context(contextlib.closing(attached(placed, tools)))
            except (Unavailable, RuntimeError) as error:
                show(told.json, "attach", unavailable=str(error))
        servers = [server.process.pid for server in (placed.postgresql, placed.mariadb) if server.process]
        sides.processors["one"] = Processor(servers)
        if sides.ours is not None:
            sides.processors["ours"] = Processor([*servers, sides.ours.runtime.canon.pid], [os.getpid()])
        if sides.attach is not None:
            sides.processors["attach"] = Processor(servers, [sides.attach.process_id])
        yield sides


def attached(placed: tpch_data.Placed, tools: Tools) -> Peer:
    """DuckDB with the three sources attached, found by bare names."""
    peer = tools.peer()
    dsn = {
        server.kind: f"host={server.host} port={server.port} user={server.user} password={server.password}"
        for server in (placed.postgresql, placed.mariadb)
    }
    files = [f"CREATE VIEW {name} AS FROM '{placed.parquet}/{name}.parquet'" for name in tpch_data.PARQUET]
    peer.ask(
        do="set",
        sql=[
            f"ATTACH '{dsn['postgresql']} dbname={placed.postgresql.database}' AS pg (TYPE postgres, READ_ONLY)",
            f"ATTACH '{dsn['mariadb']} database={placed.mariadb.database}' AS maria (TYPE mysql, READ_ONLY)",
            *files,
            f"SET search_path = 'memory.main,pg.public,maria.{placed.mariadb.database}'",
            *(f"SELECT 1 FROM {table} LIMIT 1" for table in tpch_data.TABLES),  # it reads catalogs at the first use
        ],
    )
    return peer


def _query(query: str, sql: str, sides: Sides, told: argparse.Namespace) -> Line:
    line = Line(query)
    wanted = got = None
    for _ in range(told.repeat):
        if sides.one is not None:
            with _processor(line, "one", sides):
                wanted = sides.one.ask(sql, told.seconds)
            _note(line, "one", wanted)
        if sides.attach is not None:
            _attach(line, sides.attach, sides, sql, told.seconds)
        if sides.ours is not None:
            with _processor(line, "ours", sides):
                got = sides.ours.ask(sql, told.seconds)
            _note(line, "ours", got)
    if got is not None:
        line.rows["ours"], line.statements["ours"] = got.fetched, got.statements
        line.engine, line.why, line.spent = got.engine, got.why, got.spent
    if wanted is not None and got is not None:
        difference = differs(query, sql, wanted, got)
        line.equal = not difference
        if difference:
            line.errors["ours"] = difference
    return line


@contextlib.contextmanager
def _processor(line: Line, side: str, sides: Sides) -> Iterator[None]:
    """Note the processor time of what runs inside; the least of all repeats."""
    before = sides.processors[side].seconds()
    yield
    took = (sides.processors[side].seconds() - before) * MS
    line.cpu[side] = min(took, line.cpu.get(side, took))


def _note(line: Line, side: str, told: Told) -> None:
    if told.answer.error:
        line.errors[side] = f"{told.answer.error} {told.answer.message}"
    else:
        line.ms[side] = min(told.ms, line.ms.get(side, told.ms))


def _attach(line: Line, peer: Peer, sides: Sides, sql: str, seconds: float) -> None:
    """Its time, and what it read: of servers by their own count, as its scans count after filtering by themselves."""
    for meter in sides.meters.values():
        meter.start()
    try:
        with _processor(line, "attach", sides):
            answer: Mapping[str, Any] = peer.ask(do="time", sql=sql, seconds=seconds)
    except RuntimeError as error:
        line.errors["attach"] = str(error)
        return
    line.ms["attach"] = min(answer["ms"], line.ms.get("attach", answer["ms"]))
    rows, statements = Counter[str](), Counter[str]()
    for name, meter in sides.meters.items():
        statements[name], rows[name] = meter.read()
    for function, count in answer["scans"]:
        if "parquet" in function:
            rows["pq"] += count
    line.rows["attach"], line.statements["attach"] = +rows, +statements


if __name__ == "__main__":
    sys.exit(main())
