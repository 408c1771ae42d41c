"""A small project with a watch: tickets in SQLite, whose hours are over or not."""

from __future__ import annotations

import json
import sqlite3
import textwrap
from collections.abc import Iterable
from pathlib import Path

import yaml

from tests.folders import write

LATE = """
    description: Tickets past their time.
    query: |
      select ticket_id, customer, phone, mail, hours_late, hours_late >= 10 as grave
      from support.tickets
      where status = 'open' and hours_late > 0
    key: [ticket_id]
    every: 100ms
    alert:
      subject: "Ticket {ticket_id} is late"
      text: "{customer}: {hours_late} h late."
    to:
      - {notifier: desk}
"""
SOURCE = "kind: sqlite\nconnection: {path: data.db}\nttl: 0s\n"


def made(folder: Path, notifiers: object, watch: str = LATE, **more: object) -> Path:
    """The project's folder, with a watch `late`."""
    listen = {"http": {"port": 0}, "postgresql": {"port": 0}}
    file = {"name": "alarm", "listen": listen, "notifiers": notifiers, **more}
    told = yaml.safe_dump(json.loads(json.dumps(file)), sort_keys=False)  # nothing stands in it twice: no aliases
    write(folder, {"vdw.yml": told, "sources/support.yml": SOURCE, "watches/late.yml": textwrap.dedent(watch)})
    (folder / "sources" / "shop.yml").unlink()
    with sqlite3.connect(folder / "data.db") as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(
            "CREATE TABLE tickets (ticket_id INTEGER PRIMARY KEY, customer TEXT, phone TEXT, mail TEXT, "
            "hours_late INTEGER NOT NULL, status TEXT NOT NULL)"
        )
    database.close()
    return folder


def opened(folder: Path, ids: Iterable[int], hours: int = 1) -> None:
    """Open tickets that are late."""
    rows = [(i, f"Customer {i}", f"+4670000{i:04}", f"c{i}@example.com", hours, "open") for i in ids]
    with sqlite3.connect(folder / "data.db") as database:
        database.executemany("INSERT OR REPLACE INTO tickets VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.close()


def closed(folder: Path, ids: Iterable[int]) -> None:
    """Close them."""
    with sqlite3.connect(folder / "data.db") as database:
        database.executemany("UPDATE tickets SET status = 'closed' WHERE ticket_id = ?", [(i,) for i in ids])
    database.close()
