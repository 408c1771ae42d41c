"""Each system of the CRM example: what its questions take and what they ask of the sources, in files and on servers."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from api.project import open_project
from api.serve import serving
from benchmarks import stage
from benchmarks.figures import MS, machine, percentile, show
from examples.crm import build, cdnow, data, servers
from examples.crm.demo import listen_at
from examples.crm.oracle import holding
from examples.crm.questions import questions
from examples.crm.scenes import SCENES
from examples.crm.tour import Desk, Graphql, Oracle, Question, Server, Sql
from examples.crm.witness import Seen, Witness
from tests.servers import Server as DatabaseServer
from views.catalog import Catalog

DATABASE, BEGIN, END = "example", "<!-- figures: begin -->", "<!-- figures: end -->"
PAGE = build.HERE.parent.parent / "docs" / "crm" / "README.md"


@dataclass(slots=True)
class Measured:
    """One question: seconds of each asking with an empty cache (analysed and planned before) and with a full one."""

    system: str
    heading: str
    seen: Seen
    sent: dict[str, int]
    first: float
    wrong: str
    empty: list[float] = field(default_factory=list)
    kept: list[float] = field(default_factory=list)

    def figures(self, catalog: Catalog) -> dict[str, Any]:
        """As they are shown; milliseconds, statements and rows."""
        relations = self.seen.prepared.statement.relations
        rows: dict[str, int] = {}
        for part in self.seen.parts:
            rows[part.source] = rows.get(part.source, 0) + part.rows
        return {
            "system": self.system,
            "views": sorted(".".join(key) for key in relations if key in catalog.views),
            "sources": sorted(rows),
            "first_ms": self.first * MS,
            "p50_ms": percentile(self.empty, 0.5) * MS,
            "p95_ms": percentile(self.empty, 0.95) * MS,
            "kept_p50_ms": percentile(self.kept, 0.5) * MS,
            "statements": self.sent,
            "rows": rows,
            "right": not self.wrong,
        }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--rounds", type=int, default=15, help="askings of each question (15)")
    parser.add_argument("--only", choices=("files", "servers"), help="one of the two placements")
    parser.add_argument("--write", action="store_true", help=f"put the figures into {PAGE.name} of docs/crm")
    said = parser.parse_args(arguments)
    show(said.json, "machine", **machine())
    purchases = cdnow.purchases(cdnow.default_cache())
    now = dt.datetime.now(dt.UTC)
    found: dict[str, list[dict[str, Any]]] = {}
    with stage.folder() as files, stage.folder() as place:
        build.write(files, data.build(purchases, now))
        with holding(files) as oracle:
            for kind in [said.only] if said.only else ["files", "servers"]:
                with _placed(kind, files, place, purchases, now) as folder:
                    found[kind] = asyncio.run(_measured(folder, oracle, said.rounds))
                for one in found[kind]:
                    show(said.json, one["heading"], placement=kind, **{k: v for k, v in one.items() if k != "heading"})
    if said.write:
        _written(found)
    wrong = [one["heading"] for each in found.values() for one in each if not one["right"]]
    for heading in wrong:
        print(f"wrong: {heading}", file=sys.stderr)
    return 1 if wrong else 0


@contextlib.contextmanager
def _placed(
    kind: str, files: Path, place: Path, purchases: Sequence[cdnow.Purchase], now: dt.datetime
) -> Iterator[Path]:
    """The project with its live sources in files, or in a PostgreSQL and a MariaDB of its own."""
    if kind == "files":
        yield files
        return
    with stage.servers("postgresql", "mariadb") as found:
        found["postgresql"].run(f"CREATE DATABASE {DATABASE} OWNER vdw")
        found["mariadb"].run(f"CREATE DATABASE {DATABASE}", f"GRANT ALL ON {DATABASE}.* TO vdw@'%'")
        _told(servers.POSTGRESQL, found["postgresql"])
        _told(servers.MARIADB, found["mariadb"])
        build.write(place, data.build(purchases, now), on_servers=True)
        yield place


def _told(prefix: str, server: DatabaseServer) -> None:
    for part, value in {**server.options, "database": DATABASE}.items():
        os.environ[f"{prefix}_{part.upper()}"] = str(value)


async def _measured(folder: Path, oracle: Oracle, rounds: int) -> list[dict[str, Any]]:
    """All questions that are asked in SQL or GraphQL, through clients of their own."""
    console = Console(file=io.StringIO())
    async with open_project(folder) as runtime, contextlib.AsyncExitStack() as stack:
        witness = Witness(runtime.engine)
        runtime.engine = witness  # type: ignore[assignment]
        listen = runtime.project.file.listen
        listeners = {"http": listen.http, "postgresql": listen.postgresql}
        listen_at(runtime, {name: one.model_copy(update={"port": 0}) for name, one in listeners.items()})
        runtime.project = replace(runtime.project, watches={})  # what they ask is none of these figures
        where = await stack.enter_async_context(serving(runtime, explore=True))
        assert where.postgresql is not None and where.http is not None
        password = (folder / "secrets" / "analyst").read_text().strip()
        server = Server(where.postgresql, where.http, "analyst", password, witness)
        connection = await stack.enter_async_context(await server.connection())
        desk = Desk(console, server, connection, folder, True)
        scenes: list[tuple[str, Callable[[Oracle], Sequence[Question]]]] = [("the first three", questions)]
        scenes += [(scene.TITLE, scene.questions) for scene in SCENES]
        told = []
        for system, asked in scenes:
            for question in asked(oracle):
                if isinstance(question, Sql | Graphql):
                    one = await _question(system, question, desk, witness, oracle, rounds)
                    told.append({"heading": question.heading, **one.figures(runtime.engine.catalog)})
        return told


async def _question(
    system: str, question: Sql | Graphql, desk: Desk, witness: Witness, oracle: Oracle, rounds: int
) -> Measured:
    truth = question.truth(oracle)
    witness.cache.clear()
    witness.seen.clear()
    before = witness.statements()
    started = time.perf_counter()
    answer = await question.ask(desk)
    first = time.perf_counter() - started
    sent = {source: count - before.get(source, 0) for source, count in witness.statements().items()}
    sent = {source: count for source, count in sent.items() if count}
    found = Measured(system, question.heading, witness.seen[-1], sent, first, answer.differs(truth))
    for _ in range(rounds):
        witness.cache.clear()
        for times in (found.empty, found.kept):
            started = time.perf_counter()
            await question.ask(desk)
            times.append(time.perf_counter() - started)
    return found


def _written(found: dict[str, list[dict[str, Any]]]) -> None:
    """The table of docs/crm, between its marks."""
    servers_ = {one["heading"]: one for one in found.get("servers", [])}
    load = os.getloadavg()[0]
    lines = [
        f"Measured {dt.datetime.now(dt.UTC).date()} on 2 cores (load {load:.1f}), all 23,570 customers, by",
        "`python -m benchmarks.systems --write`. p50 with an empty cache, the plan being kept: live sources in SQLite",
        "files / in a PostgreSQL and a MariaDB; `kept` is from the cache. Statements and rows are those of one asking",
        "with an empty cache, on servers.",
        "",
        "| system | question | views | sources: statements (rows) | p50 ms files / servers | kept ms |",
        "|---|---|---|---|---|---|",
    ]
    for one in found.get("files", found.get("servers", [])):
        there = servers_.get(one["heading"], one)
        asked = ", ".join(
            f"{source} {there['statements'].get(source, 0)} ({there['rows'].get(source, 0):,})"
            for source in there["sources"]
        )
        views = ", ".join(f"`{name}`" for name in one["views"])
        lines.append(
            f"| {one['system']} | {one['heading']} | {views} | {asked} | {one['p50_ms']:.1f} / {there['p50_ms']:.1f} | "
            f"{one['kept_p50_ms']:.1f} |"
        )
    text = PAGE.read_text("utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    PAGE.write_text(head + BEGIN + "\n" + "\n".join(lines) + "\n" + END + tail, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
