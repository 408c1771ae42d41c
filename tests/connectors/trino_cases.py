# ruff: noqa: E501 - samples are a table
"""Trino in the conformance suite: its own types in its memory, and those of a PostgreSQL behind it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connectors.conformance import PRINTED, Case, Sample, Site, nul
from connectors.conformance.case import Printing
from connectors.conformance.printing import POSTGRESQL as PRINTED_BY_POSTGRESQL
from connectors.conformance.texts import float_text
from connectors.types import PgType, bpchar, numeric, varchar
from tests.servers import Server
from tests.trino_server import TrinoServer

T = PgType
_US = 1_000_000
_MIDNIGHT = 1_711_843_200 * _US  # 2024-03-31 00:00 UTC
_TEXTS = nul(
    ("''", ""), ("'a  '", "a  "), ("'Ünï ß 漢字 🎉'", "Ünï ß 漢字 🎉"), ("'it''s \"q\" \\x %s'", 'it\'s "q" \\x %s')
)
_FINER = "a time between two microseconds"

# equal=False of floats: Trino's NaN equals nothing; the capability table writes around that
TRINO = (
    Sample("boolean", T("bool"), nul(("true", True), ("false", False))),
    Sample("tinyint", T("int2"), nul(("tinyint '-128'", -128), ("tinyint '127'", 127))),
    Sample("smallint", T("int2"), nul(("smallint '-32768'", -32768), ("smallint '32767'", 32767))),
    Sample("integer", T("int4"), nul(("-2147483648", -(2**31)), ("2147483647", 2**31 - 1))),
    Sample("bigint", T("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    Sample("real", T("float4"), nul(("real '1.2345678'", 1.2345678), ("real 'Infinity'", float("inf")), ("real 'NaN'", float("nan")), ("real '-0'", -0.0), ("real '1.4E-45'", 1.401298464324817e-45)), equal=False),
    Sample("double", T("float8"), nul(("0.1e0", 0.1), ("1e308", 1e308), ("-infinity()", float("-inf")), ("nan()", float("nan")), ("1.0000000000000002e0", 1.0000000000000002), ("-0e0", -0.0)), equal=False),
    Sample("decimal(10,2)", numeric(10, 2), nul(("decimal '12345678.90'", "12345678.90"), ("decimal '-0.01'", "-0.01"))),
    Sample("decimal(38,10)", numeric(38, 10), nul(("decimal '9999999999999999999999999999.9999999999'", "9" * 28 + "." + "9" * 10))),
    Sample("decimal(38,0)", numeric(38, 0), nul(("decimal '-99999999999999999999999999999999999999'", "-" + "9" * 38))),
    Sample("varchar", T("text"), _TEXTS),
    Sample("varchar(40)", varchar(40), _TEXTS),
    Sample("char(5)", bpchar(5), nul(("CAST('ab' AS char(5))", "ab   "), ("CAST('' AS char(5))", "     "), ("CAST('é 漢' AS char(5))", "é 漢  ")), equal=False),
    Sample("varbinary", T("bytea"), nul(("X''", b""), ("X'00ff27'", b"\x00\xff'"))),
    Sample("date", T("date"), nul(("date '1969-12-31'", -1), ("date '9999-12-31'", 2932896), ("date '-0043-03-15'", PRINTED), ("date '0000-01-01'", -719528), ("date '10000-01-01'", 2932897))),
    Sample("time(0)", T("time"), nul(("time '00:00:00'", 0), ("time '23:59:59'", 86_399 * _US)), equal=False),  # compared with midnight: an internal error
    Sample("time(6)", T("time"), nul(("time '00:00:00.000001'", 1), ("time '23:59:59.999999'", 86_400 * _US - 1))),
    Sample("time(12)", T("time"), nul(("time '12:00:00.500000000000'", 43_200_500_000)), unfit=(("time '12:00:00.000000000001'", _FINER),)),
    Sample("time(3) with time zone", T("timetz"), nul(("time '12:00:00.100+05:30'", "12:00:00.1+05:30"), ("time '12:00:00.000-08:00'", "12:00:00-08")), equal=False),
    Sample("timestamp(0)", T("timestamp"), nul(("timestamp '2024-03-31 02:30:00'", _MIDNIGHT + 9000 * _US))),
    Sample("timestamp(3)", T("timestamp"), nul(("timestamp '2024-03-31 02:30:00.500'", _MIDNIGHT + 9_000_500_000))),
    Sample("timestamp(6)", T("timestamp"), nul(("timestamp '1969-12-31 23:59:59.999999'", -1), ("timestamp '0001-01-01 00:00:00.000000'", -62_135_596_800 * _US), ("timestamp '-0043-03-15 01:02:03.000004'", PRINTED), ("timestamp '73326-09-11 20:14:45.247000'", 2_251_799_813_685_247_000))),
    Sample("timestamp(12)", T("timestamp"), nul(("timestamp '2024-03-31 02:30:00.500000000000'", _MIDNIGHT + 9_000_500_000)), unfit=(("timestamp '2024-03-31 02:30:00.000000000001'", _FINER),)),
    Sample("timestamp(3) with time zone", T("timestamptz"), nul(("timestamp '2024-03-31 01:30:00.500 UTC'", _MIDNIGHT + 5_400_500_000), ("timestamp '2024-03-31 01:30:00.000 +05:30'", _MIDNIGHT - 14_400 * _US))),
    Sample("timestamp(6) with time zone", T("timestamptz"), nul(("timestamp '2024-03-31 01:30:00.000001 Europe/Berlin'", _MIDNIGHT + 1800 * _US + 1)), unfit=(("timestamp '2024-10-27 02:30:00.000000 Europe/Berlin'", "a local time that two instants have"),)),
    Sample("interval day to second", T("interval"), nul(("interval '-36' hour", "-1 days -12:00:00"), ("interval '1.5' second", "00:00:01.5"), ("interval '1' day", "1 day"), ("interval '0' second", "00:00:00")), equal=False),
    Sample("interval year to month", T("interval"), nul(("interval '-15' month", "-1 years -3 mons"), ("interval '12' month", "1 year"), ("interval '0' month", "00:00:00")), equal=False),
    Sample("uuid", T("uuid"), nul(("uuid '123E4567-E89B-12D3-A456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"))),
    Sample("json", T("json"), nul(("json '{\"b\":  1.0, \"a\": [1, null]}'", '{"a":[1,null],"b":1.0}')), equal=False),
    Sample("ipaddress", T("inet"), nul(("ipaddress '10.0.0.1'", "10.0.0.1"), ("ipaddress '2001:db8:0:0::1'", "2001:db8::1")), equal=False),
    Sample("array(varchar)", T("json"), nul(("ARRAY['a', 'b,\"c', NULL, '']", '["a","b,\\"c",null,""]'), ("ARRAY[]", "[]")), equal=False),
    Sample("array(decimal(3,2))", T("json"), nul(("ARRAY[decimal '1.50', NULL]", "[1.50,null]")), equal=False),
    Sample("array(double)", T("json"), nul(("ARRAY[1e22, nan(), 0.1e0]", '[1e+22,"NaN",0.1]')), equal=False),
    Sample("array(array(integer))", T("json"), nul(("ARRAY[ARRAY[1], ARRAY[2, NULL]]", "[[1],[2,null]]")), equal=False),
    Sample("array(timestamp(3))", T("json"), nul(("ARRAY[timestamp '2024-01-01 00:00:00.100']", '["2024-01-01 00:00:00.100"]')), equal=False),
    Sample("map(varchar, decimal(3,2))", T("json"), nul(("MAP(ARRAY['a', 'b'], ARRAY[decimal '1.50', NULL])", '{"a":1.50,"b":null}')), equal=False),
    Sample("row(a integer, b varchar)", T("json"), nul(("ROW(1, 'x\"y')", '{"a":1,"b":"x\\"y"}')), equal=False),
    Sample("HyperLogLog", T("text"), nul(("CAST(X'020C0100034400' AS HyperLogLog)", "AgwBAANEAA==")), equal=False),
)  # fmt: skip

# What Trino's connector for PostgreSQL gives: its own types where it has them, texts of the rest (with the session
# property that this connector sets; without, such columns are not there).
OVER_POSTGRESQL = (
    Sample("boolean", T("bool"), nul(("true", True))),
    Sample("smallint", T("int2"), nul(("-32768", -32768))),
    Sample("integer", T("int4"), nul(("2147483647", 2**31 - 1))),
    Sample("bigint", T("int8"), nul(("-9223372036854775808", -(2**63)))),
    Sample("real", T("float4"), nul(("'1.2345678'", 1.2345678), ("'NaN'", float("nan")))),
    Sample("double precision", T("float8"), nul(("0.1", 0.1), ("'-Infinity'", float("-inf")))),
    Sample("numeric(10,2)", numeric(10, 2), nul(("12345678.90", "12345678.90"))),
    Sample("numeric", T("text"), nul(("'NaN'", "NaN"), ("1." + "0" * 49 + "1",) * 2), equal=False),
    Sample("text", T("text"), _TEXTS),
    Sample("varchar(40)", varchar(40), _TEXTS),
    Sample("char(5)", bpchar(5), nul(("'ab'", "ab   ")), equal=False),
    Sample("bytea", T("bytea"), nul(("'\\x00ff27'", b"\x00\xff'"))),
    Sample("date", T("date"), nul(("'1969-12-31'", -1))),
    Sample("time", T("time"), nul(("'23:59:59.999999'", 86_400 * _US - 1))),
    Sample("timestamp", T("timestamp"), nul(("'2024-03-31 02:30'", _MIDNIGHT + 9000 * _US), ("'1969-12-31 23:59:59.999999'", -1))),
    Sample("timestamptz", T("timestamptz"), nul(("'2024-03-31 03:30:00 Europe/Berlin'", _MIDNIGHT + 5400 * _US))),
    Sample("uuid", T("uuid"), nul(("'123E4567-E89B-12D3-A456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"))),
    Sample("json", T("json"), nul(("'{\"a\":1.0}'", '{"a":1.0}')), equal=False),
    Sample("inet", T("text"), nul(("'10.0.0.1/8'", "10.0.0.1/8")), equal=False),
    Sample("interval", T("text"), nul(("'1 mon -2 days 03:00'", "1 mon -2 days +03:00:00")), equal=False),
    Sample("int4range", T("text"), nul(("'[1,5)'", "[1,5)")), equal=False),
    Sample("integer[]", T("text"), nul(("'{{1,2},{3,NULL}}'", "{{1,2},{3,NULL}}")), equal=False),
)  # fmt: skip


def _text(sample: Sample) -> str:
    column = sample.column
    if sample.type.name == "bytea":
        return f"to_hex({column})"
    if sample.ddl == "json":
        return f"json_format({column})"
    if sample.type.name == "json":
        return f"json_format(CAST({column} AS json))"
    if sample.ddl == "HyperLogLog":
        return f"to_base64(CAST({column} AS varbinary))"
    if sample.type.name == "float4":  # of which it prints seven digits
        return f"CAST(CAST({column} AS double) AS varchar)"
    if sample.type.name == "timestamptz":
        return f"CAST({column} AT TIME ZONE 'UTC' AS varchar)"
    return f"CAST({column} AS varchar)"


def _canonical(sample: Sample, given: Any) -> str:
    text = str(given)
    match sample.type.name:
        case "bytea":
            return "\\x" + text.lower()
        case "bool":
            return text[0]
        case "float4" | "float8":
            return float_text(float(text), single=sample.type.name == "float4")
        case "date" | "time" | "timestamp" | "timestamptz":
            return _era(_trimmed(text.removesuffix(" UTC")), "+00" if sample.type.name == "timestamptz" else "")
        case "timetz":
            return _trimmed(text[:-6]) + text[-6:].removesuffix(":00")
        case "interval" if sample.ddl.endswith("month"):
            years, months = re.fullmatch(r"(-?\d+)-(\d+)", text).groups()  # type: ignore[union-attr]
            return _spans((int(years), "year"), (int("-" * text.startswith("-") + months), "mon"))
        case "interval":
            days, clock = text.split(" ")
            sign = "-" * days.startswith("-")
            spans = _spans((int(days), "day")) if days not in ("0", "-0") else ""
            there = clock != "00:00:00.000" or not spans
            return " ".join(filter(None, (spans, f"{sign}{_trimmed(clock)}" if there else "")))
        case "json" if sample.ddl != "json":
            return _NUMBER.sub(_shortest, text)
        case _:
            return text


def _spans(*parts: tuple[int, str]) -> str:
    return " ".join(f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in parts if n) or "00:00:00"


_NUMBER = re.compile(r"(?<=[\[,])-?\d+\.\d+(E-?\d+)?(?=[\],])")  # in an array of doubles


def _shortest(found: re.Match[str]) -> str:
    return repr(float(found[0])) if "E" in found[0] else found[0]


def _trimmed(text: str) -> str:
    return re.sub(r"(\.\d*?)0+$", r"\1", text).removesuffix(".")


def _era(text: str, zone: str) -> str:
    """Years before Christ as PostgreSQL counts them."""
    year = re.match(r"[+-]?\d{4,}", text)
    if year is None:
        return text + zone
    number = int(year[0])
    rest = text[year.end() :] + zone
    return f"{number:04d}{rest}" if number > 0 else f"{1 - number:04d}{rest} BC"


@contextmanager
def _memory(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A schema of the catalog `memory`."""
    server: TrinoServer = request.getfixturevalue("trino_server")
    server.run("CREATE SCHEMA IF NOT EXISTS memory.conform")

    def run(*statements: str) -> list[tuple[Any, ...]]:
        plain = (text.replace(" PRIMARY KEY", "") for text in statements)  # Trino has none
        return [tuple(row) for row in server.run(*plain, database="conform")]

    yield Site({**server.options, "schemas": ["conform"], "source": "conform"}, run, server)
    if not server.run("SHOW SCHEMAS FROM memory LIKE 'conform'"):
        return  # its memory went with a restart
    for (table,) in server.run("SHOW TABLES FROM memory.conform"):
        server.run(f"DROP TABLE memory.conform.{table}")


@contextmanager
def _over_postgresql(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A catalog over the tests' PostgreSQL, which is written to without Trino."""
    server: TrinoServer = request.getfixturevalue("trino_server")
    behind: Server = request.getfixturevalue("postgresql")
    behind.run("DROP DATABASE IF EXISTS conform_trino WITH (FORCE)", "CREATE DATABASE conform_trino")
    with server.catalog("behind", behind, "conform_trino") as catalog:

        def run(*statements: str) -> list[tuple[Any, ...]]:
            return behind.run(*statements, database="conform_trino")

        yield Site({**server.options, "catalog": catalog, "schemas": ["public"]}, run)


MEMORY = Case(
    kind="trino",
    open=_memory,
    samples=TRINO,
    unfit=(
        ("timestamp(9)", "timestamp '2024-01-01 00:00:00.123456789'", T("timestamp")),
        ("date", "date '5881580-07-11'", T("date")),
        ("varchar", "'abc'", T("int4")),
        ("varchar", "chr(0)", T("text")),
    ),
    schema="conform",
    numbers="SELECT sequential_number AS g FROM TABLE(sequence(1, {n}))",
    slow="SELECT count(*) FROM TABLE(sequence(1, 100000000000)) WHERE sequential_number % 7 = 8",
    writes=("INSERT INTO guarded VALUES (2)", "DELETE FROM guarded", "CREATE TABLE other (id int)", "CALL x.y()"),
    active="SELECT count(*) FROM system.runtime.queries WHERE source = 'conform' "
    "AND state IN ('QUEUED', 'PLANNING', 'STARTING', 'RUNNING', 'FINISHING')",
    connected="SELECT count(*) FROM system.runtime.queries WHERE source = 'conform' "
    "AND state IN ('QUEUED', 'PLANNING', 'STARTING', 'RUNNING', 'FINISHING')",
    wide="rpad('x', {width}, 'x')",
    printing=Printing(_text, _canonical),
    marks=(pytest.mark.service, pytest.mark.slow),
)
BEHIND = Case(
    kind="trino",
    label="trino over postgresql",
    open=_over_postgresql,
    samples=OVER_POSTGRESQL,
    unfit=(),
    schema="public",
    numbers=MEMORY.numbers,
    slow=MEMORY.slow,
    writes=(),
    printing=PRINTED_BY_POSTGRESQL,
    marks=(pytest.mark.service, pytest.mark.slow),
)
