"""The suite that vdw ships, over DataFusion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest

from connectors.conformance import Case, Sample, Site, cases, nul
from connectors.conformance.suite import *  # noqa: F403 -- the tests and their fixtures
from connectors.types import PgType as T
from connectors.types import numeric

DAY = 86_400_000_000
SAMPLES = (
    Sample("boolean", T("bool"), nul(("true", True), ("false", False))),
    Sample("smallint", T("int2"), nul(("-32768", -32768), ("32767", 32767))),
    Sample("integer", T("int4"), nul(("-2147483648", -(2**31)))),
    Sample("bigint", T("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    Sample("ubigint", numeric(20, 0), nul(("18446744073709551615", str(2**64 - 1)))),
    Sample("float", T("float4"), nul(("1.2345678", 1.2345678), ("'-0'", -0.0), ("'inf'", float("inf")))),
    Sample("double", T("float8"), nul(("0.1", 0.1), ("1e308", 1e308), ("'nan'", float("nan")))),
    Sample("decimal(10,2)", numeric(10, 2), nul(("12345678.90", "12345678.90"), ("-0.01", "-0.01"))),
    Sample("decimal(38,10)", numeric(38, 10), nul(("9999999999999999999999999999.9999999999",) * 2)),
    Sample("varchar", T("text"), nul(("''", ""), ("'a  '", "a  "), ("'Ünï 漢字 🎉'", "Ünï 漢字 🎉"))),
    Sample("blob", T("bytea"), nul(("''", b""), ("'\\x00\\xFF\\x27'", b"\x00\xff'"))),
    Sample("date", T("date"), nul(("'1969-12-31'", -1), ("'9999-12-31'", 2932896))),
    Sample("time", T("time"), nul(("'00:00:00'", 0), ("'23:59:59.999999'", DAY - 1))),
    Sample("timestamp", T("timestamp"), nul(("'1969-12-31 23:59:59.999999'", -1))),
    Sample("timestamp_ns", T("timestamp"), nul(("'1970-01-01 00:00:00.5'", 500_000))),
    Sample("timestamptz", T("timestamptz"), nul(("'1970-01-01 02:00:00.5+02'", 500_000))),
    Sample("integer[]", T("json"), nul(("[1, NULL]", "[1, null]")), equal=False),
    Sample("struct(a integer)", T("json"), nul(("{'a': 1}", '{"a": 1}')), equal=False),
)


@contextmanager
def written(_: pytest.FixtureRequest) -> Iterator[Site]:
    """Tables of a DuckDB in memory, written as Parquet after each statement."""
    with TemporaryDirectory() as folder, duckdb.connect() as writer:
        writer.execute("SET TimeZone = 'UTC'")

        def run(*statements: str) -> list[tuple[Any, ...]]:
            rows = [writer.execute(statement).fetchall() for statement in statements]
            for (table,) in writer.execute("SELECT table_name FROM duckdb_tables()").fetchall():
                part = Path(folder, f"{table}.part")
                writer.execute(f"COPY {table} TO '{part}' (FORMAT parquet)")
                part.replace(part.with_suffix(".parquet"))
            return rows[-1]

        yield Site({"folder": folder}, run)


case = cases(
    Case(
        kind="datafusion",
        open=written,
        samples=SAMPLES,
        unfit=(("timestamp_ns", "'2024-01-01 00:00:00.123456789'", T("timestamp")),),
        schema="public",
        numbers="SELECT g FROM generate_series(1, {n}) AS s(g)",
        slow="SELECT count(*) FROM generate_series(1, 1000000000000) AS s(g)",
        writes=("INSERT INTO guarded VALUES (2)", "CREATE TABLE other (id int)", "COPY guarded TO 'out.csv'"),
        marks=(),
    )
)
