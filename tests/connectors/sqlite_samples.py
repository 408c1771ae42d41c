# ruff: noqa: E501 - samples are a table
"""SQLite's declared types, and in each of them every storage class, which SQLite lets stand there."""

from __future__ import annotations

from connectors.conformance import Sample, Types, nul, printed
from connectors.types import PgType, bpchar, numeric, varchar
from tests.connectors.texts import MIDNIGHT, TEXTS, US, UUID

T = PgType
_TEXT = T("text")
_REAL, _BLOB, _WORD = ("1.5", "storage class real"), ("x'00ff'", "storage class blob"), ("'abc'", "storage class text")
_NUL, _BYTES = (
    ("'a' || char(0) || 'b'", "text with a NUL character"),
    ("CAST(x'61ff' AS TEXT)", "text that is not UTF-8"),
)
_HUGE = ("9223372036854775808", "storage class real")  # what is written as an integer is stored as the nearest double

SQLITE = (
    Sample("boolean", T("bool"), nul(("1", True), ("0", False)), unfit=(("2", "an integer other than 0 and 1"), _REAL, _WORD, _BLOB)),
    Sample("smallint", T("int2"), nul(("-32768", -32768), ("32767", 32767)), unfit=(("40000", "storage class integer and of wrong form or size"), _REAL)),
    Sample("tinyint", T("int2"), nul(("-1", -1))),
    Sample("int4", T("int4"), nul(("-2147483648", -(2**31))), unfit=(("2147483648", "wrong form or size"), _WORD)),
    Sample("integer", T("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1), ("'12'", 12), ("7.0", 7)), unfit=(_REAL, _WORD, _BLOB, _HUGE, ("'1e400'", "storage class real"))),
    Sample("bigint", T("int8"), nul(("1", 1))),
    Sample("int unsigned big", T("int8"), nul(("1", 1)), unfit=(("18446744073709551615", "storage class real"),)),
    Sample("real", T("float8"), nul(("0.1", 0.1), ("9e999", float("inf")), ("-9e999", float("-inf")), ("1", 1.0), ("'1e400'", float("inf")), ("5e-324", 5e-324), ("0.1 + 0.2", 0.1 + 0.2)), unfit=(_WORD, _BLOB)),
    Sample("double precision", T("float8"), nul(("1.7976931348623157e308", 1.7976931348623157e308))),
    Sample("float", T("float8"), nul(("0.1", 0.1))),
    Sample("decimal(10,2)", numeric(10, 2), nul(("'12345678.90'", "12345678.90"), ("-0.01", "-0.01"), ("7", "7.00"), ("'1e2'", "100.00")), unfit=(("12.345", "more than 2 digits"), ("'abc'", "text that is no number"), _BLOB, ("9e999", "a real that does not tell its decimal"))),
    Sample("decimal(20,2)", numeric(20, 2), nul(("1.25", "1.25")), unfit=(("'1234567890123456.7'", "a real that does not tell its decimal"),)),
    Sample("numeric(60,10)", numeric(60, 10), nul(("7", "7.0000000000"), ("'1e3'", "1000.0000000000")), unfit=(("1e-20", "more than 10 digits after the point"), ("'١٢'", "text that is no number"))),
    Sample("numeric(5,9)", numeric(5, 9), nul(("0", "0.000000000"),), unfit=(("312719765179", "digits before the point"),)),
    Sample("numeric(2000,1500)", T("numeric"), nul(("12.5", "12.5"))),
    Sample("numeric", T("numeric"), nul(("12.5", "12.5"), ("-7", "-7"), ("9007199254740993", "9007199254740993"), ("9e999", "Infinity"), ("-9e999", "-Infinity")), unfit=(("1e300", "a real that does not tell its decimal"), _BLOB)),
    Sample("text", _TEXT, nul(*TEXTS, ("12", "12"), ("'1e400'", "1e400")), unfit=(_BLOB, _NUL, _BYTES, ("x'6100'", "storage class blob"))),
    Sample("clob", _TEXT, nul(*TEXTS)),
    Sample("varchar(40)", varchar(40), nul(*TEXTS)),
    Sample("varchar(2)", varchar(2), nul(("'éé'", "éé")), unfit=(("'abc'", "text of more than 2 characters"),)),
    Sample("text collate nocase", _TEXT, nul(*TEXTS), equal=False),
    Sample("char(5)", bpchar(5), nul(("'ab'", "ab   "), ("''", "     "), ("'é 漢'", "é 漢  ")), equal=False),
    Sample("blob", T("bytea"), nul(("x''", b""), ("x'00ff27'", b"\x00\xff'"), ("zeroblob(70000)", bytes(70_000))), equal=False, unfit=(("'a'", "storage class text"), ("1", "storage class integer"))),
    Sample("date", T("date"), nul(("'1969-12-31'", -1), ("'9999-12-31'", 2932896), ("'0101-01-01'", -682638)), unfit=(("'2024-02-30'", "wrong form"), ("20240101", "storage class integer"), ("'0000-00-00'", "text of the year 0"), ("'now'", "wrong form"))),
    Sample("time", T("time"), nul(("'00:00:00'", 0), ("'23:59:59.999999'", 86_400 * US - 1)), unfit=(("'25:00:00'", "no time of day"), ("3600", "storage class integer"))),
    Sample("datetime", T("timestamp"), nul(("'2024-03-31 02:30:00'", MIDNIGHT + 9000 * US), ("'1969-12-31 23:59:59.999999'", -1)), unfit=(("'2024-01-01 10:00:00Z'", "wrong form"), ("1704103200", "storage class integer"), ("2460310.5", "storage class real"), ("'0000-05-06 10:00:00'", "text of the year 0"))),
    Sample("timestamptz", T("timestamptz"), nul(("'2024-03-31 01:30:00.5+00:00'", MIDNIGHT + 5_400_500_000))),
    Sample("uuid", T("uuid"), nul((f"'{UUID}'", UUID)), unfit=(("'x'", "text that is no UUID"), _BLOB)),
    Sample("json", T("json"), nul(("'{\"a\":  1, \"a\": 2}'", '{"a":  1, "a": 2}'), ("12", "12")), equal=False, unfit=(("'{'", "text that is no JSON"), _BLOB)),
    # no affinity, and one that SQLite takes for numeric: what stands there is shown as text
    Sample("", _TEXT, (*nul(*TEXTS), *printed("12", "1.5", "-9223372036854775808", "1e21", "0.1 + 0.2", "9e999")), equal=False, unfit=(_BLOB, _NUL, _BYTES)),
    Sample("mytype", _TEXT, printed("12", "1.5", "'abc'", "1e21"), equal=False, unfit=(_BLOB,)),
)  # fmt: skip
TYPES = Types(
    """SELECT s.name FROM (SELECT 'null' AS name UNION SELECT 'integer' UNION SELECT 'real' UNION SELECT 'text'
    UNION SELECT 'blob') AS s WHERE s.name NOT IN (SELECT typeof(v_) FROM {table} UNION SELECT typeof(v_blob) FROM {table})"""
)
