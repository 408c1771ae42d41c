"""What joins ask of the sources: statements and rows, by keys in batches, combinations, chains, through views."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.project import open_project
from federation.session import Session
from tests.folders import write

SESSION = Session("joins")
TABLES = {
    "crm": """
        CREATE TABLE people (id INTEGER PRIMARY KEY, code TEXT, team BIGINT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
        INSERT INTO people SELECT i, CASE WHEN i % 2 THEN 'k' ELSE 'K' END || (i / 2), NULLIF(i % 7, 0) FROM n;
    """,
    "shop": """
        CREATE TABLE orders (id INTEGER PRIMARY KEY, person BIGINT, code TEXT COLLATE NOCASE, team BIGINT);
        CREATE INDEX by_person ON orders (person);
        CREATE INDEX by_code ON orders (code);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
        INSERT INTO orders SELECT i, NULLIF(1 + i % 20000, 5), 'k' || ((1 + i % 20000) / 2), NULLIF(i % 5, 0) FROM n;
    """,
    "logs": """
        CREATE TABLE visits (person BIGINT, order_id BIGINT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
        INSERT INTO visits SELECT 1 + i % 15000, i FROM n;
    """,
}
# Five deep: a union, groups, a window, DISTINCT and a projection stand between a key and its table.
VIEWS = {
    "v.all_orders": "SELECT o.id, o.person, o.team FROM shop.orders o UNION ALL SELECT -o.id, o.person, o.team "
    "FROM shop.orders o",
    "v.totals": "SELECT o.person, count(*) AS n FROM v.all_orders o GROUP BY o.person",
    "v.ranked": "SELECT t.person, t.n, rank() OVER (PARTITION BY t.person ORDER BY t.n) AS r FROM v.totals t",
    "v.once": "SELECT DISTINCT r.person, r.n + r.r AS score FROM v.ranked r",
    "v.scores": "SELECT s.score * 2 AS double, s.person AS who FROM v.once s",
}

# (statements, rows) that each source is asked for and sends
CASES = [
    (
        "a chain: each step is asked for the keys of the one before",
        "SELECT p.id, o.id, v.order_id FROM crm.people p JOIN shop.orders o ON o.person = p.id "
        "JOIN logs.visits v ON v.order_id = o.id WHERE p.code IN ('k3', 'K4')",
        {"crm": (1, 2), "shop": (1, 4), "logs": (1, 4)},
    ),
    (
        "no keys, no statement, down the chain",
        "SELECT p.id, o.id, v.order_id FROM crm.people p JOIN shop.orders o ON o.person = p.id "
        "JOIN logs.visits v ON v.order_id = o.id WHERE p.code = 'none'",
        {"crm": (1, 0), "shop": (0, 0), "logs": (0, 0)},
    ),
    (
        "what bounds the keys bounds the other side as well, and both are asked at once",
        "SELECT p.id, o.id FROM crm.people p JOIN shop.orders o ON o.person = p.id WHERE p.id BETWEEN 101 AND 2600",
        {"crm": (1, 2500), "shop": (1, 5000)},
    ),
    (
        "a thousand keys a statement where an index serves each",
        "SELECT p.id, o.id FROM crm.people p JOIN shop.orders o ON o.person = p.id WHERE p.team = 3",
        {"crm": (1, 1714), "shop": (2, 3428)},
    ),
    (
        "one statement where no index serves",
        "SELECT p.id, v.order_id FROM crm.people p JOIN logs.visits v ON v.person = p.id WHERE p.team = 3",
        {"crm": (1, 1714), "logs": (1, 3428)},
    ),
    (
        "keys past the most that pay: everything",
        "SELECT p.id, o.id FROM crm.people p JOIN shop.orders o ON o.person = p.id",
        {"crm": (1, 12000), "shop": (1, 40000)},
    ),
    (
        "texts that a source takes for equal are asked for in one statement, and each row comes once",
        "SELECT p.id, o.id FROM crm.people p JOIN shop.orders o ON o.code = p.code WHERE p.team = 3",
        {"crm": (1, 1714), "shop": (1, 6856)},
    ),
    (
        "combinations of keys, in which NULL never is",
        "SELECT p.id, o.id FROM crm.people p JOIN shop.orders o ON o.person = p.id AND o.team = p.team "
        "WHERE p.code IN ('K11', 'k11', 'k2', 'k3')",
        {"crm": (1, 4), "shop": (1, 4)},
    ),
    (
        "a left join binds the side that may be NULL",
        "SELECT p.id, o.id FROM crm.people p LEFT JOIN shop.orders o ON o.person = p.id WHERE p.code IN ('k2', 'K2')",
        {"crm": (1, 2), "shop": (1, 2)},
    ),
    (
        "an anti join binds its right side",
        "SELECT p.id FROM crm.people p WHERE NOT EXISTS (SELECT 1 FROM shop.orders o WHERE o.person = p.id) "
        "AND p.code IN ('k2', 'K2')",
        {"crm": (1, 2), "shop": (1, 2)},
    ),
    (
        "a semi join binds the larger side",
        "SELECT v.order_id FROM logs.visits v WHERE v.person IN (SELECT p.id FROM crm.people p WHERE p.code = 'k4')",
        {"crm": (1, 1), "logs": (1, 2)},
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("joins")
    files = {f"sources/{name}.yml": f"kind: sqlite\nconnection: {{path: {name}.sqlite}}\n" for name in TABLES}
    for name, script in TABLES.items():
        with sqlite3.connect(made / f"{name}.sqlite") as connection:
            connection.executescript(script)
        connection.close()
    for name, query in VIEWS.items():
        schema, view = name.split(".")
        files[f"views/{schema}/{view}.view.sql"] = f"/*---\nview: {name}\n---*/\n{query}\n"
    return write(made, files)


@pytest.fixture(scope="module")
def together(folder: Path) -> Iterator[sqlite3.Connection]:
    """One database with every table."""
    connection = sqlite3.connect(":memory:")
    for name in TABLES:
        connection.execute(f"ATTACH '{folder / name}.sqlite' AS {name}")
    yield connection
    connection.close()


def _ask(folder: Path, *statements: str) -> list[tuple[Counter[tuple[object, ...]], dict[str, tuple[int, int]]]]:
    async def run() -> list[tuple[Counter[tuple[object, ...]], dict[str, tuple[int, int]]]]:
        told = []
        async with open_project(folder) as runtime:
            for sql in statements:
                result = await runtime.engine.query(sql, SESSION)
                table = await result.table()
                sent: dict[str, tuple[int, int]] = {}
                for part in result.parts:
                    asked, rows = sent.get(part.source, (0, 0))
                    sent[part.source] = asked + part.statements, rows + part.rows
                told.append((Counter(zip(*(c.to_pylist() for c in table.columns), strict=True)), sent))
        return told

    return asyncio.run(run())


@pytest.mark.slow
def test_sources_are_asked_for_what_is_needed(folder: Path, together: sqlite3.Connection) -> None:
    told = _ask(folder, *(sql for _, sql, _ in CASES))
    for (title, sql, wanted), (answer, sent) in zip(CASES, told, strict=True):
        exact = sql.replace("= p.code", "= p.code COLLATE BINARY")
        assert answer == Counter(together.execute(exact).fetchall()), title
        assert sent == wanted, title


def test_keys_go_through_views_five_deep(folder: Path) -> None:
    sql = "SELECT p.id, s.double FROM crm.people p JOIN v.scores s ON s.who = p.id WHERE p.id IN (7, 8)"
    ((answer, sent),) = _ask(folder, sql)
    assert answer == Counter({(7, 10): 1, (8, 10): 1})
    statements, rows = sent["shop"]
    assert (statements, rows <= 8) == (1, True), "the union reads one table twice, in one statement"
