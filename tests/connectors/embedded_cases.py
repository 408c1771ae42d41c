"""The conformance cases of SQLite, DuckDB and Parquet: their sites are files in a temporary folder."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from connectors.conformance import Case, Sample, Site, nul
from connectors.conformance.printing import DUCKDB as PRINTED_BY_DUCKDB
from connectors.conformance.printing import PARQUET as PRINTED_BY_PARQUET
from connectors.conformance.printing import SQLITE as PRINTED_BY_SQLITE
from connectors.types import PgType
from tests.connectors.duckdb_samples import COMMON, DUCKDB
from tests.connectors.duckdb_samples import TYPES as DUCKDB_TYPES
from tests.connectors.sqlite_samples import SQLITE
from tests.connectors.sqlite_samples import TYPES as SQLITE_TYPES

T = PgType
# Nested values of Parquet files are JSON.
_NESTED = {
    "integer[]": Sample("integer[]", T("json"), nul(("[1, NULL]", "[1,null]"), ("[]", "[]")), equal=False),
    "struct(a integer)": Sample("struct(a integer)", T("json"), nul(("{'a': 1}", '{"a":1}')), equal=False),
}
PARQUET = tuple(_NESTED.get(sample.ddl, sample) for sample in COMMON)
_UNFIT = (
    ("varchar", "'abc'", T("int4")),
    ("bigint", "70000", T("int2")),
)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vdw-conform-") as folder:
        yield Path(folder)


@contextmanager
def _sqlite(_: pytest.FixtureRequest) -> Iterator[Site]:
    with temporary_folder() as folder:

        def run(*statements: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(folder / "data.db", isolation_level=None)) as connection:
                cursor = connection.cursor()
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall()

        run("VACUUM")
        yield Site({"path": "data.db", "base_folder": str(folder)}, run)


def run_on(file: Path, statements: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """On a copy that then takes the file's place, as its name is open read only in this very process."""
    copy = file.with_suffix(".copy")
    if file.exists():
        shutil.copyfile(file, copy)
    with duckdb.connect(str(copy)) as connection:
        rows: list[tuple[Any, ...]] = []
        for statement in statements:
            connection.execute("SET timezone = 'UTC'")
            rows = connection.execute(statement).fetchall()
    copy.replace(file)
    return rows


@contextmanager
def _duckdb(_: pytest.FixtureRequest) -> Iterator[Site]:
    with temporary_folder() as folder:
        file = folder / "data.duckdb"
        run_on(file, ("SELECT 1",))
        yield Site({"path": "data.duckdb", "base_folder": str(folder)}, lambda *statements: run_on(file, statements))


@contextmanager
def _parquet(_: pytest.FixtureRequest) -> Iterator[Site]:
    """Tables of a DuckDB file, written as Parquet after each statement."""
    with temporary_folder() as folder:
        (folder / "warehouse").mkdir()

        def run(*statements: str) -> list[tuple[Any, ...]]:
            rows = run_on(folder / "data.duckdb", statements)
            with duckdb.connect(str(folder / "data.duckdb")) as connection:
                for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                    part = folder / "warehouse" / f"{table}.part"
                    connection.execute(f"COPY {table} TO '{part}' (FORMAT parquet)")
                    part.replace(part.with_suffix(".parquet"))
            return rows

        yield Site({"folder": "warehouse", "base_folder": str(folder)}, run)


def analytical(
    kind: str, opened: Callable[[pytest.FixtureRequest], AbstractContextManager[Site]], samples: Any
) -> Case:
    return Case(
        kind=kind,
        open=opened,
        samples=samples,
        unfit=_UNFIT,
        schema="main",
        numbers="SELECT g FROM generate_series(1, {n}) AS s(g)",
        slow="SELECT count(*) FROM range(1000000) AS a(x), range(1000000) AS b(y) WHERE (x * y) % 7 = 3",
        writes=("INSERT INTO guarded VALUES (2)", "DELETE FROM guarded", "COPY guarded TO 'out.csv'"),
        printing=PRINTED_BY_DUCKDB,
        marks=(),
    )


EMBEDDED = (
    Case(
        kind="sqlite",
        open=_sqlite,
        samples=SQLITE,
        unfit=(("text", "'abc'", T("int4")),),
        schema="main",
        numbers="WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < {n}) SELECT g FROM s",
        slow="WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s) SELECT count(*) FROM s",
        writes=("INSERT INTO guarded VALUES (2)", "DELETE FROM guarded", "CREATE TABLE other (id int)"),
        wide="printf('%.*c', {width}, 'x')",
        printing=PRINTED_BY_SQLITE,
        types=SQLITE_TYPES,
        marks=(),
    ),
    replace(analytical("duckdb", _duckdb, DUCKDB), types=DUCKDB_TYPES),
    replace(analytical("files", _parquet, PARQUET), label="parquet", printing=PRINTED_BY_PARQUET),
)
