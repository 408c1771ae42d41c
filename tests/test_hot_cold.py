"""Hot and cold in one view, with late changes: whatever was loaded, wherever the boundary lies, the answer stays."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from federation.session import Session
from tests.folders import write
from tests.pgwire.conftest import Front

VIEW = """
/*---
view: v.orders
---*/
select id, customer_id, amount, placed
from shop.orders
where placed >= (select max(boundary) from dwh.load_manifest where table_name = 'orders') or placed is null
union all
select id, customer_id, amount, placed
from shop.orders
where placed < (select max(boundary) from dwh.load_manifest where table_name = 'orders')
  and changed > (select max(loaded) from dwh.load_manifest where table_name = 'orders')
union all
select id, customer_id, amount, placed
from dwh.orders c
where placed < (select max(boundary) from dwh.load_manifest where table_name = 'orders')
  and not exists (select 1 from shop.orders h
                  where h.id = c.id and h.changed > (select max(loaded) from dwh.load_manifest where table_name = 'orders'))
  and not exists (select 1 from shop.removed r
                  where r.id = c.id and r.changed > (select max(loaded) from dwh.load_manifest where table_name = 'orders'))
"""  # noqa: E501
TABLES = {
    "shop": """CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id BIGINT, amount BIGINT, placed DATE,
          changed BIGINT);
        CREATE INDEX changes ON orders (changed); CREATE INDEX days ON orders (placed);
        CREATE TABLE removed (id INTEGER PRIMARY KEY, changed BIGINT)""",
    "dwh": """CREATE TABLE orders (id INTEGER PRIMARY KEY, customer_id BIGINT, amount BIGINT, placed DATE);
        CREATE TABLE load_manifest (table_name TEXT PRIMARY KEY, boundary DATE, loaded BIGINT)""",
}  # fmt: skip
FILES = {
    "views/v/orders.view.sql": VIEW.lstrip("\n"),
    "sources/dwh.yml": "kind: sqlite\nconnection: {path: dwh.sqlite}\n",
    "sources/shop.yml": "kind: sqlite\nconnection: {path: shop.sqlite}\n",
}
# each with what Python makes of the true rows (id, customer, amount, day)
Row = tuple[int, int | None, int, str | None]
QUERIES = (
    ("select id, customer_id, amount, placed::text from v.orders", lambda row: True),
    ("select id, customer_id, amount, placed::text from v.orders where placed >= '2024-05-01'",
     lambda row: row[3] is not None and row[3] >= "2024-05-01"),
    ("select id, customer_id, amount, placed::text from v.orders where placed < '2024-02-01'",
     lambda row: row[3] is not None and row[3] < "2024-02-01"),
    ("select id, customer_id, amount, placed::text from v.orders where date_trunc('month', placed) = '2024-03-01'",
     lambda row: row[3] is not None and row[3][:7] == "2024-03"),
    ("select id, customer_id, amount, placed::text from v.orders where placed is null", lambda row: row[3] is None),
    ("select id, customer_id, amount, placed::text from v.orders where id in (3, 40, 77)",
     lambda row: row[0] in (3, 40, 77)),
    ("select id, customer_id, amount, placed::text from v.orders where customer_id = 4", lambda row: row[1] == 4),
)  # fmt: skip


@dataclass(slots=True)
class History:
    """Orders as they change; `at` keeps what the table held after each change that a warehouse loads."""

    rows: dict[int, Row] = field(default_factory=dict)
    changed: dict[int, int] = field(default_factory=dict)
    removed: dict[int, int] = field(default_factory=dict)
    at: dict[int, list[Row]] = field(default_factory=dict)

    @classmethod
    def drawn(cls, seed: int, changes: int = 400) -> History:
        chance, made = random.Random(seed), cls()
        for number in range(1, changes + 1):
            kind = chance.random()
            key = (
                chance.choice(list(made.rows)) if made.rows and kind > 0.45 else len(made.rows) + len(made.removed) + 1
            )
            if kind > 0.9:
                if key in made.rows:
                    del made.rows[key]
                    made.removed[key] = number
            elif key not in made.removed:
                day = None if chance.random() < 0.1 else f"2024-0{chance.randint(1, 6)}-{chance.randint(10, 28)}"
                made.rows[key] = (key, chance.choice([None, *range(9)]), chance.randint(0, 500), day)
                made.changed[key] = number
            if number % 50 == 0:
                made.at[number] = list(made.rows.values())
        return made

    def store(self, folder: Path, loaded: int, boundary: str | None) -> None:
        """The live table as it is now, the warehouse as it was when change `loaded` was its last."""
        live = [(*row, self.changed[row[0]]) for row in self.rows.values()]
        manifest = [] if boundary is None else [("orders", boundary, loaded)]
        held: dict[str, dict[str, Sequence[tuple[object, ...]]]] = {
            "shop": {"orders": live, "removed": list(self.removed.items())},
            "dwh": {"orders": self.at[loaded], "load_manifest": manifest},
        }
        for source, tables in held.items():
            with sqlite3.connect(folder / f"{source}.sqlite") as connection:
                for name, rows in tables.items():
                    connection.execute(f"DELETE FROM {name}")
                    marks = ", ".join("?" * len(rows[0])) if rows else ""
                    if rows:
                        connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)
            connection.close()


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = write(tmp_path_factory.mktemp("hotcold"), FILES)
    for source, script in TABLES.items():
        with sqlite3.connect(folder / f"{source}.sqlite") as connection:
            connection.executescript(script)
        connection.close()
    with Front(folder) as served:
        yield served


async def rows(front: Front, sql: str) -> list[Row]:
    result = await front.runtime.engine.query(sql, Session("ann"))
    return [tuple(row.values()) async for batch in result.batches for row in batch.to_pylist()]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_the_answer_depends_neither_on_the_boundary_nor_on_what_was_loaded(front: Front, seed: int) -> None:
    history = History.drawn(seed)
    assert history.removed
    assert any(row[3] is None for row in history.rows.values())
    for loaded in (50, 250, 400):
        for boundary in ("2024-01-01", "2024-03-15", "2024-09-01"):
            history.store(front.folder, loaded, boundary)
            for sql, kept in QUERIES:
                wanted = sorted((row for row in history.rows.values() if kept(row)), key=str)
                assert sorted(front.call(rows(front, sql)), key=str) == wanted, (loaded, boundary, sql)


def test_recent_days_are_not_asked_of_the_warehouse(front: Front) -> None:
    history = History.drawn(3)
    history.store(front.folder, 250, "2024-03-15")
    loads = front.runtime.engine.loads
    for sql, dwh, shop in (
        ("select id from v.orders where placed >= '2024-05-01'", 2, 1),  # the two facts of the manifest, hot rows
        ("select id from v.orders where placed is null", 0, 1),
        ("select id from v.orders where placed < '2024-02-01'", 3, 3),  # cold rows, late ones, two lists of keys
        ("select id from v.orders where placed < '2024-02-01' and placed > '2024-05-01'", 0, 0),
    ):
        before = {name: load.statements for name, load in loads.items()}
        front.call(rows(front, sql))
        asked = {name: load.statements - before[name] for name, load in loads.items()}
        assert asked == {"dwh": dwh, "shop": shop}, sql


def test_without_a_boundary_only_rows_without_a_day_are_seen(front: Front) -> None:
    """As PostgreSQL has it: nothing is before or behind NULL."""
    history = History.drawn(4)
    history.store(front.folder, 250, None)
    found = front.call(rows(front, QUERIES[0][0]))
    assert sorted(found, key=str) == sorted((row for row in history.rows.values() if row[3] is None), key=str)
