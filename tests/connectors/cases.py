# ruff: noqa: E501 - samples are a table
"""What the conformance suite knows of each connector: one `Case` each, in CASES. A new connector adds one entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from connectors.conformance import Case, Sample, Site, nul
from connectors.conformance.printing import MARIADB as PRINTED_BY_MARIADB
from connectors.conformance.printing import POSTGRESQL as PRINTED_BY_POSTGRESQL
from connectors.types import PgType, bpchar, numeric, varchar
from tests.servers import Server

INF_DAYS, INF_US = 2**31 - 1, 2**63 - 1
_US = 1_000_000
_MIDNIGHT = 1_711_843_200 * _US  # 2024-03-31 00:00 UTC, the day on which clocks change in Europe


T = PgType
_TEXTS = (
    ("''", ""),
    ("'a  '", "a  "),
    ("'Ünï ß 漢字 🎉'", "Ünï ß 漢字 🎉"),
    ("'it''s \"q\" \\x %s'", 'it\'s "q" \\x %s'),
)

POSTGRESQL = (
    Sample("boolean", T("bool"), nul(("true", True), ("false", False))),
    Sample("smallint", T("int2"), nul(("-32768", -32768), ("32767", 32767))),
    Sample("integer", T("int4"), nul(("-2147483648", -(2**31)), ("2147483647", 2**31 - 1))),
    Sample("bigint", T("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    Sample("oid", T("oid"), nul(("4294967295", 2**32 - 1), ("0", 0))),
    Sample("real", T("float4"), nul(("'1.2345678'", 1.2345678), ("'Infinity'", float("inf")), ("'-0'", -0.0))),
    Sample("double precision", T("float8"), nul(("0.1", 0.1), ("1e308", 1e308), ("'-Infinity'", float("-inf")), ("'NaN'", float("nan")))),
    Sample("numeric(10,2)", numeric(10, 2), nul(("12345678.90", "12345678.90"), ("-0.01", "-0.01"))),
    Sample("numeric(38,10)", numeric(38, 10), nul(("9999999999999999999999999999.9999999999",) * 2)),
    Sample("numeric(5,-2)", numeric(5, -2), nul(("1234567", "1234600"))),
    Sample("numeric", T("numeric"), nul(("'NaN'", "NaN"), ("'Infinity'", "Infinity"), ("1." + "0" * 49 + "1",) * 2, ("1.50", "1.50"))),
    Sample("numeric(60,20)", numeric(60, 20), nul(("'" + "9" * 40 + "." + "1" * 20 + "'", "9" * 40 + "." + "1" * 20))),
    Sample("text", T("text"), nul(*_TEXTS)),
    Sample("varchar(40)", varchar(40), nul(*_TEXTS)),
    Sample("char(5)", bpchar(5), nul(("'ab'", "ab   "), ("''", "     "), ("'é 漢'", "é 漢  "))),
    Sample("bytea", T("bytea"), nul(("'\\x'", b""), ("'\\x00ff27'", b"\x00\xff'"))),
    Sample("date", T("date"), nul(("'infinity'", INF_DAYS), ("'-infinity'", -INF_DAYS), ("'1969-12-31'", -1), ("'4713-01-01 BC'", -2440550), ("'5874897-12-31'", 2145042905))),
    Sample("time", T("time"), nul(("'00:00'", 0), ("'24:00'", 86_400 * _US), ("'23:59:59.999999'", 86_400 * _US - 1))),
    Sample("timestamp", T("timestamp"), nul(("'infinity'", INF_US), ("'-infinity'", -INF_US), ("'2024-03-31 02:30'", _MIDNIGHT + 9000 * _US), ("'1969-12-31 23:59:59.999999'", -1), ("'4713-01-01 00:00 BC'", -210863520000000000))),
    Sample("timestamptz", T("timestamptz"), nul(("'infinity'", INF_US), ("'-infinity'", -INF_US), ("'2024-03-31 01:30:00+01'", _MIDNIGHT + 1800 * _US), ("'2024-03-31 03:30:00 Europe/Berlin'", _MIDNIGHT + 5400 * _US))),
    Sample("uuid", T("uuid"), nul(("'123E4567-E89B-12D3-A456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"))),
    Sample("interval", T("interval"), nul(("'1 mon -2 days 03:00:00.5'", "1 mon -2 days +03:00:00.5"))),
    Sample("json", T("json"), nul(("'{\"a\":  1}'", '{"a":  1}')), equal=False),
    Sample("jsonb", T("jsonb"), nul(("'{\"a\":  1.0}'", '{"a": 1.0}'))),
    Sample("integer[]", T("_int4"), nul(("'{{1,2},{3,NULL}}'", "{{1,2},{3,NULL}}")), equal=False),
    Sample("text[]", T("_text"), nul(("ARRAY['a,b','\"',NULL]", '{"a,b","\\"",NULL}')), equal=False),
    Sample("timetz", T("timetz"), nul(("'12:00:00+05:30'", "12:00:00+05:30"))),
    Sample("inet", T("inet"), nul(("'10.0.0.1/8'", "10.0.0.1/8"))),
    Sample("bit(3)", T("bit", 3), nul(("B'101'", "101"))),
    Sample("money", T("money"), nul(("12.5", "$12.50")), equal=False),
    Sample("int4range", T("text"), nul(("'[1,5)'", "[1,5)")), equal=False),
    Sample("point", T("text"), nul(("'(1,2)'", "(1,2)")), equal=False),
    Sample("mood", T("text"), nul(("'glad'", "glad")), equal=False),
    Sample("pair", T("text"), nul(("ROW(1,'x y')", '(1,"x y")')), equal=False),
    Sample("cents", numeric(12, 2), nul(("1.5", "1.50"))),
)  # fmt: skip

MARIADB = (
    Sample("bit(1)", T("bool"), nul(("b'1'", True), ("b'0'", False))),
    Sample("bit(12)", T("bytea"), nul(("b'100000001111'", b"\x08\x0f")), equal=False),
    Sample("tinyint(1)", T("int2"), nul(("-128", -128), ("2", 2))),
    Sample("tinyint unsigned", T("int2"), nul(("255", 255))),
    Sample("smallint", T("int2"), nul(("-32768", -32768))),
    Sample("smallint unsigned", T("int4"), nul(("65535", 65535))),
    Sample("mediumint unsigned", T("int4"), nul(("16777215", 16777215))),
    Sample("int", T("int4"), nul(("-2147483648", -(2**31)))),
    Sample("int unsigned", T("int8"), nul(("4294967295", 2**32 - 1))),
    Sample("bigint", T("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    Sample("bigint unsigned", numeric(20, 0), nul(("18446744073709551615", str(2**64 - 1)))),
    Sample("float", T("float4"), nul(("1.2345678", 1.2345678), ("16777217", 16777216.0))),
    Sample("double", T("float8"), nul(("0.1e0", 0.1), ("1e308", 1e308), ("1.0000000000000002e0", 1.0000000000000002))),
    Sample("decimal(10,2)", numeric(10, 2), nul(("12345678.90", "12345678.90"), ("-0.01", "-0.01"))),
    Sample("decimal(65,30)", numeric(65, 30), nul(("9" * 35 + "." + "1" * 30,) * 2)),
    Sample("text", T("text"), nul(*_TEXTS)),
    Sample("varchar(40)", varchar(40), nul(*_TEXTS)),
    Sample("char(5)", bpchar(5), nul(("'ab'", "ab   "), ("''", "     "), ("'é 漢'", "é 漢  "))),
    Sample("varbinary(9)", T("bytea"), nul(("X''", b""), ("X'00ff27'", b"\x00\xff'"))),
    Sample("binary(3)", T("bytea"), nul(("X'00ff27'", b"\x00\xff'"))),
    Sample("longblob", T("bytea"), nul(("X'00ff27'", b"\x00\xff'"))),
    Sample("date", T("date"), nul(("'1969-12-31'", -1), ("'9999-12-31'", 2932896))),
    Sample("time(6)", T("time"), nul(("'00:00'", 0), ("'24:00:00'", 86_400 * _US), ("'23:59:59.999999'", 86_400 * _US - 1))),
    Sample("datetime(6)", T("timestamp"), nul(("'2024-03-31 02:30'", _MIDNIGHT + 9000 * _US), ("'1969-12-31 23:59:59.999999'", -1))),
    Sample("timestamp(3) NULL", T("timestamptz"), nul(("'2024-03-31 01:30:00.5'", _MIDNIGHT + 5_400_500_000))),
    Sample("year", T("int2"), nul(("2024", 2024))),
    Sample("enum('x','Y')", T("text"), nul(("'Y'", "Y"))),
    Sample("set('x','y')", T("text"), nul(("'x,y'", "x,y"))),
    Sample("json", T("json"), nul(("'{\"a\":  1}'", '{"a":  1}')), equal=False),
    Sample("uuid", T("uuid"), nul(("'123E4567-E89B-12D3-A456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"))),
    Sample("point", T("bytea"), nul(("ST_GeomFromText('POINT(1 2)')", bytes(4) + bytes.fromhex("0101000000000000000000f03f0000000000000040"))), equal=False),
)  # fmt: skip


def _serving(fixture: str, *setup: str) -> Callable[[pytest.FixtureRequest], AbstractContextManager[Site]]:
    @contextmanager
    def open_site(request: pytest.FixtureRequest) -> Iterator[Site]:
        server: Server = request.getfixturevalue(fixture)
        database = f"conform_{fixture}"
        # neither strict nor escaping: literals are written as elsewhere, and zero dates can be stored
        prologue = ("SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",) if fixture == "mariadb" else ()
        server.run(f"DROP DATABASE IF EXISTS {database}", f"CREATE DATABASE {database}")
        if fixture == "mariadb":
            server.run(f"GRANT ALL ON {database}.* TO vdw@'%'")

        def run(*statements: str) -> list[tuple[Any, ...]]:
            return server.run(*prologue, *statements, database=database)

        if setup:
            run(*setup)
        yield Site({**server.options, "database": database}, run, server)

    return open_site


CASES = (
    Case(
        kind="postgresql",
        open=_serving(
            "postgresql",
            "CREATE TYPE mood AS ENUM ('sad', 'glad')",
            "CREATE TYPE pair AS (a int, b text)",
            "CREATE DOMAIN money_amount AS numeric(12,2)",
            "CREATE DOMAIN cents AS money_amount CHECK (value > 0)",
            "CREATE SEQUENCE counter",
        ),
        samples=POSTGRESQL,
        unfit=(
            ("numeric(10,2)", "'NaN'", numeric(10, 2)),
            ("timestamp", "'294276-12-31 23:59:59'", T("timestamp")),
            ("text", "'abc'", T("int4")),
        ),
        schema="public",
        numbers="SELECT generate_series(1, {n})::int8 AS g",
        slow="SELECT count(*) FROM generate_series(1, 1000000000) AS g",
        writes=(
            "INSERT INTO public.guarded VALUES (2) RETURNING 1::int8",
            "DELETE FROM public.guarded RETURNING 1::int8",
            "SELECT nextval('public.counter')",
        ),
        active="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vdw' AND state = 'active'",
        connected="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'vdw'",
        printing=PRINTED_BY_POSTGRESQL,
    ),
    Case(
        kind="mariadb",
        open=_serving("mariadb", "CREATE TABLE hundred AS SELECT seq FROM seq_1_to_100"),
        samples=MARIADB,
        unfit=(
            ("date", "'0000-00-00'", T("date")),
            ("datetime", "'2024-00-10 00:00:00'", T("timestamp")),
            ("time", "'-12:00:00'", T("time")),
            ("time", "'100:00:00'", T("time")),
            ("varchar(9)", "'a\0b'", varchar(9)),
            ("text", "'abc'", T("int4")),
        ),
        schema="conform_mariadb",
        numbers="SELECT seq FROM seq_1_to_{n}",
        # a join of seq_... tables is deaf to KILL
        slow="SELECT count(*) FROM hundred a, hundred b, hundred c, hundred d, hundred e, hundred f",
        writes=("INSERT INTO guarded VALUES (2)", "DELETE FROM guarded", "CREATE TABLE other (id int)"),
        active="SELECT count(*) FROM information_schema.processlist WHERE user = 'vdw' AND command = 'Query'",
        connected="SELECT count(*) FROM information_schema.processlist WHERE user = 'vdw'",
        number="seq",
        printing=PRINTED_BY_MARIADB,
    ),
)
