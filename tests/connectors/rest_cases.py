# ruff: noqa: E501 - samples are a table
"""The conformance case of REST: JSON as a service writes it, over a SQLite file in which each value is JSON's own text."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.conformance import Case, Sample, Site
from connectors.conformance.case import Unproven, Values
from connectors.types import PgType, bpchar, numeric, varchar
from tests.rest_server import RestServer

T = PgType
_US = 1_000_000
_MIDNIGHT = 1_711_843_200 * _US  # 2024-03-31 00:00 UTC
_ID = "123e4567-e89b-12d3-a456-426655440000"


def _json(*values: tuple[str, Any]) -> Values:
    """JSON's text as the service's SQLite file holds it; null at the end."""
    return (*((_literal(text), value) for text, value in values), ("NULL", None))


def _literal(text: str) -> str:
    return "'=" + text.replace("'", "''") + "'"


SAMPLES = (
    Sample("bool", T("bool"), _json(("true", True), ("false", False), ('"true"', True), ("0", False)), unfit=((_literal('"maybe"'), "text of 5 characters that is no value of the type"),)),
    Sample("int2", T("int2"), _json(("-32768", -32768), ('"32767"', 32767)), unfit=((_literal("32768"), "a number out of range"),)),
    Sample("int4", T("int4"), _json(("-2147483648", -(2**31)), ("1.0", 1), ("1e3", 1000))),
    Sample("int8", T("int8"), _json(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1), ("9007199254740993", 2**53 + 1)), unfit=((_literal("1.5"), "a value in another spelling"),)),
    Sample("numeric", T("numeric"), _json(("1.50", "1.50"), ("1." + "0" * 99 + "1",) * 2, ("9" * 1000,) * 2, ("1e-3", "0.001"), ('"12.5"', "12.5"))),
    Sample("numeric(10,2)", numeric(10, 2), _json(("12345678.90", "12345678.90"), ("-0.01", "-0.01"), ("1E+3", "1000.00")), unfit=((_literal("0.001"), "a number with too many digits"),)),
    Sample("numeric(38,10)", numeric(38, 10), _json(("9999999999999999999999999999.9999999999",) * 2)),
    Sample("float8", T("float8"), _json(("0.1", 0.1), ("1e308", 1e308), ("5e-324", 5e-324), ("-0.0", -0.0), ('"Infinity"', float("inf"))), unfit=((_literal("1e400"), "a number with too many digits"),)),
    Sample("float4", T("float4"), _json(("1.2345678", 1.2345677614212036), ("16777217", 16777216.0))),
    Sample("text", T("text"), _json(('""', ""), ('"a  "', "a  "), ('"\\u00dcn\\u00ef \\ud83c\\udf89"', "Ünï 🎉"), ('"it\'s \\"q\\" \\\\x"', 'it\'s "q" \\x'), ("1.50", "1.50"), ('{"a":  1.0}', '{"a":  1.0}'))),
    Sample("varchar(40)", varchar(40), _json(('"Ünï ß 漢字 🎉"', "Ünï ß 漢字 🎉"))),
    Sample("char(5)", bpchar(5), _json(('"ab"', "ab   "), ('"é 漢"', "é 漢  ")), equal=False),
    Sample("bytea", T("bytea"), _json(('""', b""), ('"AP8n"', b"\x00\xff'")), unfit=((_literal('"*"'), "text that is not base64"),)),
    Sample("date", T("date"), _json(('"1969-12-31"', -1), ('"9999-12-31"', 2932896), ('"2024-03-31T00:00:00"', 19813)), unfit=((_literal('"2024-02-30"'), "an invalid date"),)),
    Sample("time", T("time"), _json(('"00:00:00"', 0), ('"23:59:59.999999"', 86_400 * _US - 1), ('"24:00:00"', 86_400 * _US))),
    Sample("timestamp", T("timestamp"), _json(('"2024-03-31T02:30:00"', _MIDNIGHT + 9000 * _US), ('"1969-12-31 23:59:59.999999"', -1)), unfit=((_literal('"2024-03-31T02:30:00Z"'), "a value in another spelling"),)),
    Sample("timestamptz", T("timestamptz"), _json(('"2024-03-31T01:30:00.5Z"', _MIDNIGHT + 5_400_500_000), ('"2024-03-31T03:30:00+02:00"', _MIDNIGHT + 5400 * _US)), unfit=((_literal('"2024-03-31T02:30:00"'), "a value in another spelling"),)),
    Sample("uuid", T("uuid"), _json((f'"{_ID.upper()}"', _ID)), unfit=((_literal('"1234"'), "text that is not a UUID"),)),
    Sample("interval", T("interval"), _json(('"P2DT3H4M5.5S"', "2 days 03:04:05.5"), ('"-PT1H"', "-01:00:00")), equal=False),
    Sample("json", T("json"), _json(('{"a":  1.0}', '{"a":  1.0}'), ("[1, null]", "[1, null]"), ('"x"', '"x"')), equal=False),
    Sample("int4[]", T("_int4"), _json(("[1, null]", "{1,NULL}"), ("[]", "{}"), ("[[1,2],[3,null]]", "{{1,2},{3,NULL}}")), equal=False),
    Sample("text[]", T("_text"), _json(('["a,b", "\\"", null, "NULL", ""]', '{"a,b","\\"",NULL,"NULL",""}')), equal=False),
)  # fmt: skip


@contextmanager
def _service(_: pytest.FixtureRequest) -> Iterator[Site]:
    """A service whose endpoints are the tables that were made, with the types that these were declared with."""
    with tempfile.TemporaryDirectory(prefix="vdw-rest-") as folder, RestServer(Path(folder) / "data.db") as server:
        tables: dict[str, Any] = {}

        def run(*statements: str) -> list[tuple[Any, ...]]:
            with closing(sqlite3.connect(server.path, isolation_level=None)) as connection:
                cursor = connection.cursor()
                for statement in statements:
                    cursor.execute(_as_text(statement, tables))
                return cursor.fetchall()

        run("CREATE TABLE one (id int)")
        yield Site({"url": server.url, "tables": tables}, run)


_MADE = re.compile(r"CREATE TABLE (\w+) \((.*)\)", re.DOTALL)


def _as_text(statement: str, tables: dict[str, Any]) -> str:
    """A CREATE TABLE for SQLite, whose columns keep texts as they are; the endpoint is described with its types."""
    match = _MADE.fullmatch(statement)
    if match is None:
        return statement
    columns = [one.partition(" ")[::2] for one in re.split(r", (?![^(]*\))", match[2])]
    kinds = {name: kind.removesuffix(" PRIMARY KEY") for name, kind in columns}
    described = {name: {"type": "int4" if name == "id" else kind} for name, kind in kinds.items()}
    tables[match[1]] = {"path": f"/plain/{match[1]}", "columns": described}
    return f"CREATE TABLE {match[1]} (" + ", ".join(f"{n} {'INT' if n == 'id' else 'BLOB'}" for n in kinds) + ")"


REST = Case(
    kind="rest",
    open=_service,
    samples=SAMPLES,
    unfit=(),
    schema=None,
    numbers="",
    slow="",
    writes=(),
)
ODATA = Unproven(
    "odata",
    ("Edm.Binary", "Edm.Boolean", "Edm.Byte", "Edm.Date", "Edm.DateTimeOffset", "Edm.Decimal", "Edm.Double",
     "Edm.Duration", "Edm.Guid", "Edm.Int16", "Edm.Int32", "Edm.Int64", "Edm.SByte", "Edm.Single", "Edm.String",
     "Edm.TimeOfDay", "enumerations", "complex types", "collections"),
    "SAP CAP takes no tables from the suite; tests/connectors/test_odata.py reads its types, JSON is read as REST's",
)  # fmt: skip
