"""Columns of types of extensions and users of PostgreSQL: text here, and compared as text, not as there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from federation.session import Session
from tests.folders import write
from tests.servers import Server
from tests.serving import Serving

pytestmark = pytest.mark.service
SETUP = (
    "CREATE EXTENSION citext",
    "CREATE TYPE mood AS ENUM ('sad', 'glad')",
    "CREATE TABLE t (id int PRIMARY KEY, m mood, c citext UNIQUE, r int4range, p point)",
    "INSERT INTO t VALUES (1, 'glad', 'Abc', '[1,5)', '(1,2)'), (2, 'sad', 'x', '[2,5)', NULL)",
    "CREATE TABLE u (id int PRIMARY KEY, c citext)",
    "INSERT INTO u VALUES (1, 'abc'), (2, 'Abc'), (3, 'ABC')",
)
ANSWERS: tuple[tuple[str, list[tuple[Any, ...]]], ...] = (
    ("SELECT id FROM shop.t WHERE m = 'glad'", [(1,)]),
    ("SELECT id FROM shop.t WHERE m IN ('glad', 'no such label') ORDER BY id", [(1,)]),
    ("SELECT id, m FROM shop.t ORDER BY m", [(1, "glad"), (2, "sad")]),
    ("SELECT max(m) FROM shop.t", [("sad",)]),
    ("SELECT coalesce(m, 'none') FROM shop.t ORDER BY id", [("glad",), ("sad",)]),
    ("SELECT id FROM shop.t WHERE r = '[1,5)'", [(1,)]),
    ("SELECT id FROM shop.t WHERE p = '(1,2)'", [(1,)]),
    ("SELECT id FROM shop.t WHERE m IS NOT NULL AND p IS NULL", [(2,)]),
    ("SELECT id FROM shop.u WHERE c = 'abc'", [(1,)]),
    ("SELECT id FROM shop.u WHERE c <> 'abc' ORDER BY id", [(2,), (3,)]),
    ("SELECT count(*) FROM (SELECT c FROM shop.u GROUP BY c) AS g", [(3,)]),
    ("SELECT count(DISTINCT c) FROM shop.u", [(3,)]),
    ("SELECT u.id FROM shop.u JOIN shop.t USING (c)", [(2,)]),
    ("SELECT id FROM shop.u WHERE c LIKE 'A%' ORDER BY id", [(2,), (3,)]),
)


@pytest.fixture(scope="module")
def serving(postgresql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    postgresql.run("CREATE DATABASE foreign_types")
    postgresql.run(*SETUP, database="foreign_types")
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "secret").write_text(postgresql.password)
    shop = f"""
        kind: postgresql
        connection:
          host: {postgresql.host}
          port: {postgresql.port}
          database: foreign_types
          user: {postgresql.user}
          password: {{file: secret}}
        """
    made = Serving(write(folder, {"sources/shop.yml": shop}), 60)
    yield made
    made.close()


@pytest.mark.parametrize(("sql", "expected"), ANSWERS, ids=[sql for sql, _ in ANSWERS])
def test_they_compare_as_text(serving: Serving, sql: str, expected: list[tuple[Any, ...]]) -> None:
    async def work() -> list[tuple[Any, ...]]:
        table = await (await serving.runtime.engine.query(sql, Session("ann"))).table()
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    assert serving.diagnostics == []
    assert serving.wait(work()) == expected
