"""Builds the example, serves it, walks through it and goes on serving: python -m examples.crm.demo [--into FOLDER].

With DEMO_ONCE=1 it ends after the tour, with 0 only if every answer was right.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime as dt
import hashlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import uvloop
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from api.project import Runtime, open_project
from api.serve import serving
from connectors.errors import Error
from examples.crm import build, cdnow
from examples.crm.oracle import holding
from examples.crm.questions import questions
from examples.crm.receivers import Inbox, receiving
from examples.crm.scenes import SCENES
from examples.crm.tour import Server, tour
from examples.crm.witness import Witness
from views.files import Listener

ROOT = build.HERE.parent.parent
FOLDER = ROOT / ".vdw" / "demo"
STAMP = ".built-from"  # in the built folder
SOURCES = ("build.py", "cdnow.py", "data", "sqlite_files.py", "parquet_files.py", *build.PROJECT)
USER = "analyst"
FIRST = "How an answer comes about: three questions, their plans, and what the sources were asked"


def main(arguments: list[str] | None = None) -> int:
    """The command: 0; 1 for a wrong answer or something that is missing; 130 for Ctrl-C during the tour."""
    parser = argparse.ArgumentParser(prog="python -m examples.crm.demo", description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=FOLDER, metavar="FOLDER", help="where to build (.vdw/demo)")
    folder: Path = parser.parse_args(arguments).into.resolve()
    once = os.environ.get("DEMO_ONCE", "") not in ("", "0")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 110)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        built(console, folder)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_demo(console, folder, once))
    except (cdnow.Unavailable, Error) as problem:
        console.print(Text(f"demo: {problem}", style="bold red"))
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        console.print("interrupted", style="dim")
        return 130


def built(console: Console, folder: Path) -> None:
    """The example in `folder`, unless it stands there as this code would build it. Raises cdnow.Unavailable."""
    stamp, current = folder / STAMP, fingerprint()
    if stamp.exists() and stamp.read_text() == current:
        console.print(f"The example stands built in {folder}", style="dim", soft_wrap=True)
        return
    console.print(f"Building the example in {folder}", style="dim", soft_wrap=True)
    stamp.unlink(missing_ok=True)
    for source, tables in build.build(folder).items():
        listed = ", ".join(f"{table.name} {len(table.rows):,}" for table in tables)
        console.print(f"  {source:8} {listed}", style="dim")
    stamp.write_text(current)


def fingerprint() -> str:
    """Of every file that decides what is built, and of the day, as the data ends now."""
    found = hashlib.sha256(dt.datetime.now(dt.UTC).date().isoformat().encode())
    for place in filter(Path.exists, (build.HERE / name for name in SOURCES)):
        for file in sorted(place.rglob("*.*")) if place.is_dir() else [place]:
            found.update(f"{file.relative_to(build.HERE).as_posix()}\0".encode() + file.read_bytes())
    return found.hexdigest()


async def _demo(console: Console, folder: Path, once: bool) -> int:
    task = asyncio.current_task()
    assert task is not None
    _on_signals(task.cancel)
    async with contextlib.AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(open_project(folder))
        _avoid_taken_ports(console, runtime)
        inbox = await stack.enter_async_context(receiving())
        deliver_to(runtime, inbox)
        witness = Witness(runtime.engine)
        runtime.engine = witness  # type: ignore[assignment]
        where = await stack.enter_async_context(serving(runtime, explore=True))
        assert where.postgresql is not None and where.http is not None
        password = (folder / "secrets" / USER).read_text().strip()
        server = Server(where.postgresql, where.http, USER, password, witness, inbox)
        console.print(f"Serving SQL on {_printed(where.postgresql)} and GraphQL on {_printed(where.http)}\n")
        wrong = await _walk(console, folder, server)
        if not once:
            stop = asyncio.Event()
            _on_signals(stop.set)
            _connect(console, server)
            await stop.wait()
            console.print("stopping", style="dim")
    return 1 if wrong else 0


async def _walk(console: Console, folder: Path, server: Server) -> int:
    """The tour, with the PostgreSQL that knows the right answers; how many were wrong."""
    wrong = count = 0
    with contextlib.ExitStack() as stack:
        console.print("Loading all data into one PostgreSQL, to check the answers by", style="dim")
        oracle = await asyncio.to_thread(stack.enter_context, holding(folder))
        for title, asked, brief in ((FIRST, questions, False), *((one.TITLE, one.questions, True) for one in SCENES)):
            console.print(Panel(title, style="bold"))
            found = asked(oracle)
            wrong += await tour(console, server, oracle, folder, found, brief)
            count += len(found)
    console.rule(f"[bold {'red' if wrong else 'green'}]{count - wrong} of {count} answers are right", align="left")
    return wrong


def _on_signals(do: Callable[[], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, do)


def _avoid_taken_ports(console: Console, runtime: Runtime) -> None:
    """Another free port for each listener whose own is taken."""
    listen = runtime.project.file.listen
    listen_at(runtime, {name: _free(console, name, getattr(listen, name)) for name in ("http", "postgresql")})


def listen_at(runtime: Runtime, moved: Mapping[str, Listener]) -> None:
    """Other listeners than the project's file has, by name."""
    file = runtime.project.file
    listen = file.listen.model_copy(update=dict(moved))
    runtime.project = replace(runtime.project, file=file.model_copy(update={"listen": listen}))


def deliver_to(runtime: Runtime, inbox: Inbox) -> None:
    """Alerts go to these receivers, which are on free ports."""
    file = runtime.project.file
    moved = {
        name: one.model_copy(update={"port": inbox.smtp} if one.kind == "smtp" else {"url": inbox.url(one.kind)})
        for name, one in file.notifiers.items()
    }
    runtime.project = replace(runtime.project, file=file.model_copy(update={"notifiers": moved}))


def _free(console: Console, name: str, listener: Listener) -> Listener:
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just left is free
            probe.bind((listener.host, listener.port))
        except OSError:
            console.print(f"Port {listener.port} of {name} is taken here; another one takes its place")
            return listener.model_copy(update={"port": 0})
    return listener


def _connect(console: Console, server: Server) -> None:
    """What to connect with."""
    host, port = server.postgresql
    url = f"postgresql+psycopg://{server.user}:{server.password}@{host}:{port}/vdw"
    lines = (
        ("psql", f'PGPASSWORD={server.password} psql "host={host} port={port} dbname=vdw user={server.user}"'),
        (
            "Python",
            f'psycopg.connect("host={host} port={port} dbname=vdw user={server.user} password={server.password}")',
        ),
        ("SQLAlchemy", f'create_engine("{url}")'),
        ("BI tools", f"PostgreSQL at {host}, port {port}, database vdw"),
        ("GraphQL", f"{server.url}/graphql"),
        ("GraphiQL", f"{server.url}/graphiql   (in a browser)"),
        ("Dashboards", f"{server.url}/dashboards   (in a browser)"),
        ("user", server.user),
        ("password", server.password),
        ("in psql", r"\dv customers.*   and   SELECT * FROM sales.monthly_revenue ORDER BY month;"),
    )
    for label, text in lines:
        console.print(Text.assemble(("  " + label.ljust(12), "bold"), text), soft_wrap=True)
    console.print("Serving; Ctrl-C ends it", style="dim")


def _printed(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


if __name__ == "__main__":
    sys.exit(main())
