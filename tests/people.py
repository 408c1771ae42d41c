"""Made-up people in a SQLite file, about whom rules are written in tests."""

from __future__ import annotations

import contextlib
import sqlite3
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

COLUMNS = {"id": "int8", "paid": "numeric(8,2)", "orders": "int4", "mark": "int4", "since": "date", "kind": "text"}
SCRIPT = """
CREATE TABLE people (id bigint PRIMARY KEY, paid numeric(8,2), orders integer, mark integer, since date, kind text);
CREATE TABLE pets (pet bigint PRIMARY KEY, owner bigint);
"""
TOP = "subject: shop.people\nkey: [id]\n"


def rows(count: int = 60) -> list[tuple[Any, ...]]:
    random = Random(3)
    return [
        (
            number,
            Decimal(random.randrange(-500, 90_000)).scaleb(-2) if random.random() < 0.8 else None,
            random.choice((0, 1, 2, 9, None)),
            random.choice((1, 2, 3, None)),
            f"202{random.randint(4, 6)}-0{random.randint(1, 9)}-1{random.randint(0, 9)}"
            if random.random() < 0.8
            else None,
            random.choice(("a", "b", "it's {x}", "", None)),
        )
        for number in range(1, count + 1)
    ]


def fill(folder: Path) -> None:
    with contextlib.closing(sqlite3.connect(folder / "shop.sqlite")) as connection, connection:
        connection.executescript(SCRIPT)
        written = [tuple(str(value) if isinstance(value, Decimal) else value for value in row) for row in rows()]
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)", written)
        connection.execute("INSERT INTO pets VALUES (1, 1), (2, 1), (3, 2)")
