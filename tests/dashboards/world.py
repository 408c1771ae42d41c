"""A project with awkward data behind its dashboards: two users, a file as a source, and a PostgreSQL to be stopped."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import yaml

from api.serve import Serving, serving
from tests.servers import Server
from tests.serving import Serving as InThread

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
EXACT = "12345678901234567890.123456789012345678"
PASSWORDS = {"ada": "lovelace", "guest": "visitor"}
PROJECT = """\
name: world
listen:
  http: {port: 0}
  postgresql: {enabled: false}
users:
  ada: {password: {env: ADA_SECRET}, reads: ["*"]}
  guest: {password: {env: GUEST_SECRET}, reads: ["desk.*", "file.*"]}
"""
VIEWS = {
    "people": "select person_id, name, balance::numeric as balance, born from file.people",
    "sales": "select day, kind, amount from file.sales",
    "calls": "select call_id, person_id, topic from live.calls",
}
GUESTS = "/*---\nview: private.pay\ndescription: Not for guests.\n---*/\nselect person_id, balance from file.people\n"
HEADER = "/*---\nview: desk.{0}\ndescription: Rows of {0}.\nfreshness: {{ttl: {1}}}\n---*/\n{2}\n"
BOARDS: dict[str, Any] = {
    "main": {
        "title": "Main board",
        "description": "All kinds of panels.",
        "audience": "everybody",
        "refresh": "1s",
        "parameters": {
            "kind": {"title": "Kind", "optional": True, "choices": "select distinct kind from desk.sales order by 1"},
            "least": {"type": "numeric", "title": "Least", "default": "0"},
        },
        "panels": [
            {
                "title": "Total",
                "kind": "number",
                "unit": "EUR",
                "compare": "before",
                "better": "up",
                "state": "state",
                "sql": "select sum(amount) as total, 50.00 as before, 'warning' as state from desk.sales "
                "where (:kind is null or kind = :kind) and amount >= :least",
            },
            {
                "title": "By day",
                "kind": "line",
                "x": "day",
                "y": "amount",
                "series": "kind",
                "unit": "EUR",
                "sql": "select day, kind, amount from desk.sales where :kind is null or kind = :kind "
                "order by day, kind",
            },
            {
                "title": "By kind",
                "kind": "bar",
                "x": "kind",
                "y": "amount",
                "link": {"dashboard": "person", "parameters": {"person_id": "first"}},
                "sql": "select kind, sum(amount) as amount, min(1) as first "
                "from desk.sales group by kind order by kind",
            },
            {
                "title": "Shares",
                "kind": "pie",
                "x": "kind",
                "y": "amount",
                "sql": "select kind, sum(amount) as amount from desk.sales group by kind order by kind",
            },
            {
                "title": "Stack",
                "kind": "stacked",
                "x": "day",
                "y": "amount",
                "series": "kind",
                "sql": "select day, kind, amount from desk.sales order by day, kind",
            },
            {
                "title": "People",
                "kind": "table",
                "link": {
                    "dashboard": "person",
                    "parameters": {"person_id": "person_id", "kind": ":kind"},
                    "column": "name",
                },
                "columns": {"person_id": {"title": "Number"}},
                "sql": "select * from desk.people order by person_id",
            },
            {"title": "Nobody", "kind": "table", "sql": "select * from desk.people where person_id < 0"},
        ],
    },
    "person": {
        "title": "One person",
        "parameters": {
            "person_id": {"type": "int8", "title": "Person number"},
            "kind": {"title": "Came from kind", "optional": True},
        },
        "panels": [
            {"title": "Card", "kind": "detail", "sql": "select * from desk.people where person_id = :person_id"},
            {"title": "Calls", "kind": "table", "sql": "select * from desk.calls where person_id = :person_id"},
        ],
    },
    "slow": {
        "title": "Slow",
        "panels": [{"title": "Sleeps", "kind": "number", "sql": "select count(*) from desk.calls, pg_sleep(20)"}],
    },
    "faults": {
        "title": "Faults",
        "panels": [
            {"title": "Right", "kind": "number", "sql": "select count(*) as n from desk.people"},
            {"title": "Wrong column", "kind": "table", "state": "mood", "sql": "select name from desk.people"},
            {"title": "Wrong name", "kind": "table", "sql": "select nmae\nfrom desk.people\n"},
            {"title": "Wrong kind", "kind": "gauge", "sql": "select 1"},
            {"title": "Divided", "kind": "number", "sql": "select 1 / (count(*) - 40) from desk.people"},
            {"title": "Private", "kind": "number", "sql": "select count(*) as n from private.pay"},
            {
                "title": "Slow",
                "kind": "number",
                "timeout": "300ms",
                "sql": "select count(*) from desk.calls, pg_sleep(3)",
            },
            {"title": "Cut", "kind": "table", "rows": 5, "sql": "select * from desk.people order by person_id"},
        ],
    },
}


def write(folder: Path, live: Server) -> Path:
    """The project's files and data."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vdw.yml").write_text(PROJECT)
    for name in ("sources", "views/desk", "views/private", "dashboards"):
        (folder / name).mkdir(parents=True)
    (folder / "sources/file.yml").write_text("kind: sqlite\nconnection: {path: file.db}\nttl: 1s\n")
    options = yaml.safe_dump({**live.options, "password": {"env": "LIVE_SECRET"}}, default_flow_style=True)
    (folder / "sources/live.yml").write_text(f"kind: postgresql\nconnection: {options}breaker: {{enabled: false}}\n")
    for name, sql in VIEWS.items():
        (folder / f"views/desk/{name}.view.sql").write_text(HEADER.format(name, "1s", sql))
    (folder / "views/private/pay.view.sql").write_text(GUESTS)
    for name, board in BOARDS.items():
        (folder / f"dashboards/{name}.yml").write_text(yaml.safe_dump(board, sort_keys=False))
    (folder / "dashboards/broken.yml").write_text("title: Broken\npanels: [\n")
    _data(folder / "file.db", live)
    return folder


def _data(file: Path, live: Server) -> None:
    people = [(n, f"Person {n}", "1.50", f"19{50 + n % 50}-02-03") for n in range(2, 41)]
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("create table people (person_id integer primary key, name text, balance text, born date)")
        connection.execute("create table sales (day date, kind text, amount integer)")
        connection.executemany("insert into people values (?, ?, ?, ?)", [(1, HOSTILE, EXACT, None), *people])
        rows = [
            (f"2026-{month:02}-01", kind, month * 7 + len(kind)) for month in range(1, 13) for kind in ("web", "shop")
        ]
        connection.executemany("insert into sales values (?, ?, ?)", rows)
    live.run(
        "drop table if exists calls",
        "create table calls (call_id int primary key, person_id int, topic text)",
        "insert into calls values (1, 1, '<b>bold</b>'), (2, 2, 'return')",
        "grant select on calls to public",
        database=live.database,
    )


class World:
    """The project, served in a thread of this process."""

    def __init__(self, folder: Path, live: Server) -> None:
        self.folder, self.live = folder, live
        self.project = InThread(folder, 60)
        self.stack = contextlib.AsyncExitStack()
        entered = self.stack.enter_async_context(serving(self.project.runtime, explore=True))
        self.where: Serving = self.project.wait(entered)

    @property
    def address(self) -> str:
        """Of the dashboards."""
        assert self.where.http is not None
        return "http://{}:{}/dashboards/".format(*self.where.http)

    def client(self, user: str = "ada") -> httpx.Client:
        """Asks as that user."""
        return httpx.Client(base_url=self.address, auth=(user, PASSWORDS[user]), timeout=60)

    def reload(self) -> list[str]:
        """Read the folder again; what is wrong with it."""
        return [str(one) for one in self.project.wait(self.project.runtime.reload())]

    def close(self) -> None:
        self.project.wait(self.stack.aclose())
        self.project.close()
