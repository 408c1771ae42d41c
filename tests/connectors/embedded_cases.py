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
from connectors.types import PgType, bpchar, numeric, varchar
from tests.connectors.cases import INF_DAYS, INF_US

T = PgType
_US = 1_000_000
_MIDNIGHT = 1_711_843_200 * _US  # 2024-03-31 00:00 UTC
_TEXTS = (
    ("''", ""),
    ("'a  '", "a  "),
    ("'Ünï ß 漢字 🎉'", "Ünï ß 漢字 🎉"),
    ("'it''s \"q\" \\x %s'", 'it\'s "q" \\x %s'),
)
_UUID = "123e4567-e89b-12d3-a456-426655440000"

SQLITE = (
    Sample("boolean", T("bool"), nul(("1", True), ("0", False))),
    Sample("smallint", T("int2"), nul(("-32768", -32768), ("32767", 32767))),
    Sample("int4", T("int4"), nul(("-2147483648", -(2**31)))),
    Sample("integer", T("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    Sample("real", T("float8"), nul(("0.1", 0.1), ("9e999", float("inf")), ("1", 1.0))),
    Sample("decimal(10,2)", numeric(10, 2), nul(("'12345678.90'", "12345678.90"), ("-0.01", "-0.01"), ("7", "7.00"))),
    Sample("numeric", T("numeric"), nul(("12.5", "12.5"), ("-7", "-7"), ("9007199254740993", "9007199254740993"))),
    Sample("text", T("text"), nul(*_TEXTS)),
    Sample("varchar(40)", varchar(40), nul(*_TEXTS)),
    Sample("char(5)", bpchar(5), nul(("'ab'", "ab   "), ("''", "     "), ("'é 漢'", "é 漢  ")), equal=False),
    Sample("blob", T("bytea"), nul(("x''", b""), ("x'00ff27'", b"\x00\xff'")), equal=False),
    Sample("date", T("date"), nul(("'1969-12-31'", -1), ("'9999-12-31'", 2932896), ("'0101-01-01'", -682638))),
    Sample("time", T("time"), nul(("'00:00:00'", 0), ("'23:59:59.999999'", 86_400 * _US - 1))),
    Sample(
        "datetime",
        T("timestamp"),
        nul(("'2024-03-31 02:30:00'", _MIDNIGHT + 9000 * _US), ("'1969-12-31 23:59:59.999999'", -1)),
    ),
    Sample("timestamptz", T("timestamptz"), nul(("'2024-03-31 01:30:00.5+00:00'", _MIDNIGHT + 5_400_500_000))),
    Sample("uuid", T("uuid"), nul((f"'{_UUID}'", _UUID))),
    Sample("json", T("json"), nul(("'{\"a\":  1}'", '{"a":  1}')), equal=False),
)

_COMMON = (
    Sample("boolean", T("bool"), nul(("true", True), ("false", False))),
    Sample("smallint", T("int2"), nul(("-32768", -32768), ("32767", 32767))),
    Sample("integer", T("int4"), nul(("-2147483648", -(2**31)))),
    Sample("bigint", T("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    Sample("utinyint", T("int2"), nul(("255", 255))),
    Sample("usmallint", T("int4"), nul(("65535", 65535))),
    Sample("uinteger", T("int8"), nul(("4294967295", 2**32 - 1))),
    Sample("ubigint", numeric(20, 0), nul(("18446744073709551615", str(2**64 - 1)))),
    Sample("float", T("float4"), nul(("1.2345678", 1.2345678), ("'-0'", -0.0), ("'inf'", float("inf")))),
    Sample("double", T("float8"), nul(("0.1", 0.1), ("1e308", 1e308), ("'nan'", float("nan")))),
    Sample("decimal(10,2)", numeric(10, 2), nul(("12345678.90", "12345678.90"), ("-0.01", "-0.01"))),
    Sample("decimal(38,10)", numeric(38, 10), nul(("9999999999999999999999999999.9999999999",) * 2)),
    Sample("varchar", T("text"), nul(*_TEXTS)),
    Sample("blob", T("bytea"), nul(("''", b""), ("'\\x00\\xFF\\x27'", b"\x00\xff'"))),
    Sample("date", T("date"), nul(("'infinity'", INF_DAYS), ("'-infinity'", -INF_DAYS), ("'1969-12-31'", -1))),
    Sample(
        "time", T("time"), nul(("'00:00:00'", 0), ("'24:00:00'", 86_400 * _US), ("'23:59:59.999999'", 86_400 * _US - 1))
    ),
    Sample(
        "timestamp",
        T("timestamp"),
        nul(("'infinity'", INF_US), ("'-infinity'", -INF_US), ("'2024-03-31 02:30:00'", _MIDNIGHT + 9000 * _US)),
    ),
    Sample(
        "timestamp with time zone",
        T("timestamptz"),
        nul(
            ("'2024-03-31 01:30:00.5+00'", _MIDNIGHT + 5_400_500_000),
            ("'2024-03-31 03:30:00+02'", _MIDNIGHT + 5400 * _US),
        ),
    ),
    Sample("uuid", T("uuid"), nul((f"'{_UUID.upper()}'", _UUID))),
    Sample("json", T("json"), nul(("'{\"a\":  1}'", '{"a":  1}')), equal=False),
    Sample("integer[]", T("text"), nul(("[1, NULL]", "[1, NULL]")), equal=False),
    Sample("struct(a integer)", T("text"), nul(("{'a': 1}", "{'a': 1}")), equal=False),
    Sample("timestamp_ms", T("timestamp"), nul(("'2024-03-31 02:30:00.5'", _MIDNIGHT + 9_000_500_000))),
    Sample("timestamp_ns", T("timestamp"), nul(("'2024-03-31 02:30:00.5'", _MIDNIGHT + 9_000_500_000))),
)
DUCKDB = (
    *_COMMON,
    Sample("hugeint", numeric(39, 0), nul(("-170141183460469231731687303715884105728",) * 2), equal=False),
    Sample("enum('x', 'Y')", T("text"), nul(("'Y'", "Y"))),
    Sample("interval", T("text"), nul(("INTERVAL 3 MONTH", "3 months")), equal=False),
    Sample("bit", T("text"), nul(("'101'", "101")), equal=False),
    Sample("time with time zone", T("text"), nul(("'10:00:00+02'", "10:00:00+02")), equal=False),
)
_NESTED = {"integer[]": ("json", "[1,null]"), "struct(a integer)": ("json", '{"a":1}')}
PARQUET = tuple(
    replace(sample, type=T(_NESTED[sample.ddl][0]), values=nul((sample.values[0][0], _NESTED[sample.ddl][1])))
    if sample.ddl in _NESTED
    else sample
    for sample in _COMMON
)
_UNFIT = (
    ("varchar", "'abc'", T("int4")),
    ("varchar", "'a' || chr(0)", T("text")),
    ("bigint", "70000", T("int2")),
    ("timestamp_ns", "'2024-01-01 00:00:00.123456789'", T("timestamp")),
)


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="vdw-conform-") as folder:
        yield Path(folder)


@contextmanager
def _sqlite(_: pytest.FixtureRequest) -> Iterator[Site]:
    with _folder() as folder:

        def run(*statements: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(folder / "data.db", isolation_level=None)) as connection:
                cursor = connection.cursor()
                for statement in statements:
                    cursor.execute(statement)
                return cursor.fetchall()

        run("VACUUM")
        yield Site({"path": "data.db", "base_folder": str(folder)}, run)


def _run_on(file: Path, statements: tuple[str, ...]) -> list[tuple[Any, ...]]:
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
    with _folder() as folder:
        file = folder / "data.duckdb"
        _run_on(file, ("SELECT 1",))
        yield Site({"path": "data.duckdb", "base_folder": str(folder)}, lambda *statements: _run_on(file, statements))


@contextmanager
def _parquet(_: pytest.FixtureRequest) -> Iterator[Site]:
    """Tables of a DuckDB file, written as Parquet after each statement."""
    with _folder() as folder:
        (folder / "warehouse").mkdir()

        def run(*statements: str) -> list[tuple[Any, ...]]:
            rows = _run_on(folder / "data.duckdb", statements)
            with duckdb.connect(str(folder / "data.duckdb")) as connection:
                for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                    part = folder / "warehouse" / f"{table}.part"
                    connection.execute(f"COPY {table} TO '{part}' (FORMAT parquet)")
                    part.replace(part.with_suffix(".parquet"))
            return rows

        yield Site({"folder": "warehouse", "base_folder": str(folder)}, run)


def _analytical(
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
        unfit=(
            ("integer", "1.5", T("int8")),
            ("integer", "'abc'", T("int8")),
            ("smallint", "40000", T("int2")),
            ("boolean", "2", T("bool")),
            ("decimal(10,2)", "12.345", numeric(10, 2)),
            ("decimal(20,2)", "'1234567890123456.7'", numeric(20, 2)),
            ("decimal(4,2)", "123", numeric(4, 2)),
            ("date", "'2024-02-30'", T("date")),
            ("date", "20240101", T("date")),
            ("datetime", "'2024-01-01 10:00:00Z'", T("timestamp")),
            ("time", "'25:00:00'", T("time")),
            ("varchar(2)", "'abc'", varchar(2)),
            ("text", "x'6100'", T("text")),
            ("text", "'a' || char(0)", T("text")),
            ("text", "CAST(x'ff' AS TEXT)", T("text")),
            ("blob", "'a'", T("bytea")),
            ("json", "'{'", T("json")),
            ("uuid", "'x'", T("uuid")),
        ),
        schema="main",
        numbers="WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s WHERE g < {n}) SELECT g FROM s",
        slow="WITH RECURSIVE s(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM s) SELECT count(*) FROM s",
        writes=("INSERT INTO guarded VALUES (2)", "DELETE FROM guarded", "CREATE TABLE other (id int)"),
        wide="printf('%.*c', {width}, 'x')",
        printing=PRINTED_BY_SQLITE,
        marks=(),
    ),
    _analytical("duckdb", _duckdb, DUCKDB),
    replace(_analytical("files", _parquet, PARQUET), label="parquet", printing=PRINTED_BY_PARQUET),
)
