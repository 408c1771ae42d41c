"""Values that their type cannot hold, under the policies of a source's file: as if NULL, or text, stood there."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import SourceError
from federation.session import Session
from tests.folders import read, write
from tests.folders import told as messages
from tests.servers import Server
from tests.serving import Serving

TABLES = """
CREATE TABLE t (id INTEGER PRIMARY KEY, d {d}, n {n}, b {b}, s TEXT UNIQUE NOT NULL);
CREATE TABLE u (id INTEGER PRIMARY KEY, t_id INTEGER, day DATE);
INSERT INTO u VALUES (1, 1, '2024-01-02'), (2, 2, '2024-01-02'), (3, 4, NULL), (4, 9, '2023-05-05');
INSERT INTO t VALUES {rows};
"""
DIRTY = """(1, '2024-01-02', 5, 1, 'a'), (2, '0000-00-00', 'abc', 0, 'b'), (3, NULL, 1.5, 7, 'c'),
(4, '2024-02-30', x'00ff', 1, 'd'), (5, '2023-05-05', 5, 'yes', 'e'), (6, '2024-01-02', NULL, 0, 'f')"""
CLEAN = """(1, '2024-01-02', '5', 1, 'a'), (2, NULL, 'abc', 0, 'b'), (3, NULL, '1.5', NULL, 'c'),
(4, NULL, '\\x00ff', 1, 'd'), (5, '2023-05-05', '5', NULL, 'e'), (6, '2024-01-02', NULL, 0, 'f')"""
FILES = {
    "sources/clean.yml": "kind: sqlite\nconnection: {path: clean.db}\n",
    "sources/dirty.yml": """
        kind: sqlite
        connection: {path: dirty.db}
        ttl: 60s
        unfit: {t.d: null, t.b: "null", t.n: text}
        """,
    "sources/strict.yml": "kind: sqlite\nconnection: {path: dirty.db}\n",
}
QUERIES = (
    "SELECT * FROM {s}.t ORDER BY id",
    "SELECT id FROM {s}.t WHERE d IS NULL ORDER BY id",
    "SELECT id FROM {s}.t WHERE d IS NOT NULL ORDER BY id",
    "SELECT id FROM {s}.t WHERE d = '2024-01-02' ORDER BY id",
    "SELECT id FROM {s}.t WHERE d <> '2024-01-02' ORDER BY id",
    "SELECT id FROM {s}.t WHERE d NOT IN ('2024-01-02', '2020-01-01') ORDER BY id",
    "SELECT id FROM {s}.t WHERE d < '2024-01-01' OR id = 2 ORDER BY id",
    "SELECT id FROM {s}.t WHERE b ORDER BY id",
    "SELECT id FROM {s}.t WHERE NOT b ORDER BY id",
    "SELECT id FROM {s}.t WHERE b IS UNKNOWN ORDER BY id",
    "SELECT id FROM {s}.t WHERE b AND id > 1 ORDER BY id",
    "SELECT id FROM {s}.t WHERE b OR id = 2 ORDER BY id",
    "SELECT id FROM {s}.t WHERE n = '5' ORDER BY id",
    "SELECT id FROM {s}.t WHERE n > '1' ORDER BY id",
    "SELECT id FROM {s}.t WHERE n LIKE '%a%' ORDER BY id",
    "SELECT id FROM {s}.t WHERE n IS NULL ORDER BY id",
    "SELECT count(*), count(d), count(b), count(n), count(DISTINCT d), count(DISTINCT n) FROM {s}.t",
    "SELECT min(d), max(d), min(n), max(n), bool_and(b) FROM {s}.t",
    "SELECT count(*) FILTER (WHERE b), count(*) FILTER (WHERE d IS NULL) FROM {s}.t",
    "SELECT d, count(*) FROM {s}.t GROUP BY d ORDER BY d",
    "SELECT n, count(*) FROM {s}.t GROUP BY n ORDER BY n",
    "SELECT DISTINCT b FROM {s}.t ORDER BY b",
    "SELECT id, d FROM {s}.t ORDER BY d DESC NULLS LAST, id LIMIT 2",
    "SELECT id, d FROM {s}.t ORDER BY d NULLS FIRST, id LIMIT 3",
    "SELECT coalesce(d, '1999-01-01'), CASE WHEN b THEN 'y' ELSE 'n' END, n || '!' FROM {s}.t ORDER BY id",
    "SELECT t.id, u.id FROM {s}.t t JOIN {s}.u u ON u.day = t.d ORDER BY 1, 2",
    "SELECT t.id, u.id FROM {s}.t t LEFT JOIN {s}.u u ON u.day = t.d AND t.b ORDER BY 1, 2",
    "SELECT u.id, t.d FROM {s}.u u LEFT JOIN {s}.t t ON t.id = u.t_id WHERE t.d IS NULL ORDER BY 1",
    "SELECT u.id FROM {s}.u u WHERE EXISTS (SELECT 1 FROM {s}.t t WHERE t.id = u.t_id AND t.d IS NULL) ORDER BY 1",
    "SELECT u.id FROM {s}.u u WHERE u.day NOT IN (SELECT d FROM {s}.t WHERE id < 2) ORDER BY 1",
    "SELECT u.id FROM {s}.u u WHERE u.day IN (SELECT d FROM {s}.t) ORDER BY 1",
    "SELECT d FROM {s}.t UNION SELECT day FROM {s}.u ORDER BY 1",
    "SELECT d FROM {s}.t UNION ALL SELECT day FROM {s}.u ORDER BY 1",
    "SELECT d FROM {s}.t EXCEPT SELECT day FROM {s}.u ORDER BY 1",
    "SELECT id, row_number() OVER (ORDER BY d, id), count(d) OVER () FROM {s}.t ORDER BY id",
    "SELECT DISTINCT ON (b) b, id FROM {s}.t ORDER BY b, id",
    "SELECT extract(year FROM d), sum(id) FROM {s}.t GROUP BY 1 ORDER BY 1",
    "SELECT id FROM {s}.t t WHERE (SELECT count(d) FROM {s}.t v WHERE v.id <= t.id) = 1 ORDER BY id",
)


def database(path: Path, rows: str, **types: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(TABLES.format(rows=rows, **types))


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = write(tmp_path_factory.mktemp("unfit"), {**FILES, "sources/shop.yml": FILES["sources/clean.yml"]})
    database(folder / "dirty.db", DIRTY, d="DATE", n="INTEGER", b="BOOLEAN")
    database(folder / "clean.db", CLEAN, d="DATE", n="TEXT", b="BOOLEAN")
    made = Serving(folder, 60)
    yield made
    made.close()


def rows(serving: Serving, sql: str) -> tuple[list[Any], dict[str, int]]:
    """The answer's rows, and what was left out of it by the account of its parts."""

    async def work() -> tuple[list[Any], dict[str, int]]:
        result = await serving.runtime.engine.query(sql, Session("ann"))
        table = await result.table()
        left: dict[str, int] = {}
        for part in result.parts:
            for column, count in part.left_out.items():
                left[column] = left.get(column, 0) + count
        return [
            tuple(row.values()) for row in table.rename_columns([str(i) for i in range(table.num_columns)]).to_pylist()
        ], left

    return serving.wait(work())


def test_the_project_is_sound(serving: Serving) -> None:
    assert serving.diagnostics == []


@pytest.mark.parametrize("sql", QUERIES)
def test_it_is_as_if_the_source_had_null_or_text(serving: Serving, sql: str) -> None:
    got, _ = rows(serving, sql.format(s="dirty"))
    assert got == rows(serving, sql.format(s="clean"))[0]


def test_the_account_tells_what_was_left_out_of_kept_rows_too(serving: Serving) -> None:
    asked = "SELECT id, d, b FROM dirty.t WHERE id > 1"
    for _ in ("read", "kept"):
        assert rows(serving, asked)[1] == {"t.d": 2, "t.b": 2}
    assert rows(serving, "SELECT id FROM dirty.t")[1] == {}
    assert rows(serving, "SELECT d FROM dirty.t WHERE id = 1")[1] == {}


def test_without_a_policy_it_is_an_error(serving: Serving) -> None:
    with pytest.raises(SourceError) as error:
        rows(serving, "SELECT d FROM strict.t")
    assert error.value.sqlstate == "HV004"
    assert 'column "d"' in error.value.message
    assert "unfit" in str(error.value.hint)


def test_columns_that_may_be_null_are_no_keys(serving: Serving) -> None:
    table = serving.runtime.engine.catalog.tables["dirty", "t"].table
    assert table is not None
    assert [(column.name, column.type.name, column.exact, column.unfit) for column in table.columns] == [
        ("id", "int8", True, "error"), ("d", "date", False, "null"), ("n", "text", False, "text"),
        ("b", "bool", False, "null"), ("s", "text", True, "error"),
    ]  # fmt: skip
    assert table.keys == (("id",), ("s",))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{t.d: nul}", "`unfit.t.d`: input should be 'error', 'null' or 'text'"),
        ("{d: text}", "`unfit.d` is no column"),
        ("{default: text}", "`unfit.default` cannot be text"),
    ],
)
def test_a_policy_that_is_none_is_an_error_of_the_file(tmp_path: Path, written: str, message: str) -> None:
    project = read(tmp_path, {"sources/shop.yml": f"kind: sqlite\nconnection: {{path: a.db}}\nunfit: {written}\n"})
    (error,) = messages(project)
    assert error.startswith(f"sources/shop.yml:3: {message}"), error


def test_a_policy_for_no_column_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    database(tmp_path / "shop.sqlite", CLEAN, d="DATE", n="TEXT", b="BOOLEAN")
    shop = 'kind: sqlite\nconnection: {path: shop.sqlite}\nunfit:\n  t.d: "null"\n  t.dd: text\n  z.d: text\n'
    serving = Serving(write(tmp_path, {"sources/shop.yml": shop}), 60)
    try:
        first, second = serving.diagnostics
        assert first.startswith('sources/shop.yml:5:3: error: `unfit`: there is no column "t.dd" (did you mean `t.d`?')
        assert second.startswith('sources/shop.yml:6:3: error: `unfit`: there is no column "z.d" (')
    finally:
        serving.close()


@pytest.mark.service
def test_zero_dates_of_mariadb_need_the_policy(
    mariadb: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mariadb.run("DROP DATABASE IF EXISTS zeros", "CREATE DATABASE zeros", "GRANT ALL ON zeros.* TO vdw@'%'")
    mariadb.run(
        "SET SESSION sql_mode = ''",
        "CREATE TABLE t (id int PRIMARY KEY, d date, m datetime, s timestamp NULL)",
        "INSERT INTO t VALUES (1, '0000-00-00', '0000-00-00 00:00:00', 0), (2, '2024-01-02', '2024-01-02', NULL)",
        database="zeros",
    )
    monkeypatch.setenv("ZEROS_PASSWORD", mariadb.password)
    options = {**mariadb.options, "database": "zeros", "password": {"env": "ZEROS_PASSWORD"}}
    said = f"kind: mariadb\nconnection: {json.dumps(options)}\n"
    policy = "unfit: {t.d: null, t.m: text, t.s: null}\n"
    serving = Serving(write(tmp_path, {"sources/strict.yml": said, "sources/loose.yml": said + policy}), 60)
    try:
        with pytest.raises(SourceError, match='column "d" holds a zero date, which date cannot hold') as error:
            rows(serving, "SELECT d FROM strict.t")
        assert "write unfit: {t.d: null} in the source's file" in str(error.value.hint)
        got, left = rows(serving, "SELECT d::text, m, s FROM loose.t ORDER BY id")
        assert got == [(None, "0000-00-00 00:00:00", None), ("2024-01-02", "2024-01-02 00:00:00", None)]
        assert left == {"t.d": 1, "t.s": 1}
        assert rows(serving, "SELECT id FROM loose.t WHERE d IS NULL")[0] == [(1,)]
    finally:
        serving.close()
