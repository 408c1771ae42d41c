"""The suite that vdw ships, over this engine: its types with their extremes, and that no harm is done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from connectors.conformance import Case, Sample, Site, cases, nul
from connectors.conformance.suite import *  # noqa: F403 -- the tests and their fixtures
from connectors.types import PgType

# HERE: each type of the engine with its extremes: a literal of the engine's, and what Arrow must hold
SAMPLES = (
    Sample("integer", PgType("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    Sample("real", PgType("float8"), nul(("0.1", 0.1), ("9e999", float("inf")), ("-1e308", -1e308))),
    Sample("text", PgType("text"), nul(("''", ""), ("'a  '", "a  "), ("'Ünï 漢字 🎉'", "Ünï 漢字 🎉"))),
    Sample("blob", PgType("bytea"), nul(("x''", b""), ("x'00ff27'", b"\x00\xff'"))),
    Sample("anything", PgType("text"), nul(("'what is not known is text'", "what is not known is text"))),
)


@contextmanager
def opened(_: pytest.FixtureRequest) -> Iterator[Site]:
    """HERE: a source to test with, and how to write to it. A server is given too, so that it can be watched."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "data.db")

        def run(*statements: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(path, isolation_level=None)) as writer:
                return [writer.execute(statement).fetchall() for statement in statements][-1]

        run("PRAGMA user_version = 1")
        yield Site({"path": str(path)}, run)


case = cases(
    Case(
        kind="template",
        open=opened,
        samples=SAMPLES,
        unfit=(  # HERE: a column, a literal in it, and a type that cannot hold it
            ("integer", "1.5", PgType("int8")),
            ("text", "x'6100'", PgType("text")),
            ("integer", "3000000000", PgType("int4")),
        ),
        schema="main",
        numbers="WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < {n}) SELECT g FROM s",
        slow="WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s) SELECT count(*) FROM s",
        writes=("INSERT INTO guarded VALUES (2)", "DELETE FROM guarded", "CREATE TABLE other (id int)"),
        wide="printf('%.*c', {width}, 'x')",
        marks=(),
    )
)
