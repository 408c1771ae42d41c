# ruff: noqa: E501 - samples are a table
"""Every type of DuckDB with its extremes; COMMON are those that Parquet files have too."""

from __future__ import annotations

from connectors.conformance import Sample, Types, nul, printed
from connectors.types import PgType, numeric
from tests.connectors.texts import INF_DAYS, INF_US, MIDNIGHT, TEXTS, US, UUID

T = PgType
_TEXT = T("text")
_NANO = "'2024-01-01 00:00:00.123456789'"
_FAR = "before 4714 BC"

COMMON = (
    Sample("boolean", T("bool"), nul(("true", True), ("false", False))),
    Sample("tinyint", T("int2"), nul(("-128", -128), ("127", 127))),
    Sample("smallint", T("int2"), nul(("-32768", -32768))),
    Sample("integer", T("int4"), nul(("-2147483648", -(2**31)))),
    Sample("bigint", T("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    Sample("utinyint", T("int2"), nul(("255", 255))),
    Sample("usmallint", T("int4"), nul(("65535", 65535))),
    Sample("uinteger", T("int8"), nul(("4294967295", 2**32 - 1))),
    Sample("ubigint", numeric(20, 0), nul(("18446744073709551615", str(2**64 - 1)))),
    Sample("float", T("float4"), nul(("1.2345678", 1.2345678), ("'-0'", -0.0), ("'inf'", float("inf")), ("'1e-45'", 1e-45))),
    Sample("double", T("float8"), nul(("0.1", 0.1), ("1e308", 1e308), ("'nan'", float("nan")), ("'-inf'", float("-inf")), ("5e-324", 5e-324), ("1e15", 1e15))),
    Sample("decimal(4,1)", numeric(4, 1), nul(("999.9", "999.9"), ("-0.1", "-0.1"))),
    Sample("decimal(10,2)", numeric(10, 2), nul(("12345678.90", "12345678.90"), ("-0.01", "-0.01"))),
    Sample("decimal(38,10)", numeric(38, 10), nul(("9999999999999999999999999999.9999999999",) * 2)),
    Sample("decimal(38,38)", numeric(38, 38), printed("'0." + "9" * 38 + "'", "0")),
    Sample("varchar", _TEXT, nul(*TEXTS, ("repeat('é', 100000)", "é" * 100_000)), unfit=(("'a' || chr(0) || 'b'", "text with a NUL character"),)),
    Sample("blob", T("bytea"), nul(("''", b""), ("'\\x00\\xFF\\x27'", b"\x00\xff'"))),
    Sample("date", T("date"), nul(("'infinity'", INF_DAYS), ("'-infinity'", -INF_DAYS), ("'1969-12-31'", -1), ("'4714-11-24 (BC)'", -2440588), ("'0044-03-15 (BC)'", -735160), ("'5874897-12-31'", 2145042905)), unfit=(("'4714-11-23 (BC)'", _FAR), ("'5881580-07-10'", "after the year 5874897"))),
    Sample("time", T("time"), nul(("'00:00:00'", 0), ("'24:00:00'", 86_400 * US), ("'23:59:59.999999'", 86_400 * US - 1))),
    Sample("timestamp", T("timestamp"), (("'infinity'", INF_US), ("'-infinity'", -INF_US), ("'2024-03-31 02:30:00'", MIDNIGHT + 9000 * US), *printed("'0044-03-15 (BC) 12:00:00.5'", "'294247-01-10 04:00:54.775806'", "'4714-11-24 (BC) 00:00:00'")), unfit=(("'4714-11-23 (BC) 23:59:59'", _FAR),)),
    Sample("timestamp with time zone", T("timestamptz"), (("'2024-03-31 01:30:00.5+00'", MIDNIGHT + 5_400_500_000), ("'2024-03-31 03:30:00+02'", MIDNIGHT + 5400 * US), *printed("'infinity'", "'0044-03-15 (BC) 12:00:00+00'")), unfit=(("'4714-11-23 (BC) 23:59:59+00'", _FAR),)),
    Sample("uuid", T("uuid"), nul((f"'{UUID.upper()}'", UUID), ("'ffffffff-ffff-ffff-ffff-ffffffffffff'", "ffffffff-ffff-ffff-ffff-ffffffffffff"))),
    Sample("json", T("json"), nul(("'{\"a\":  1, \"a\": 2}'", '{"a":  1, "a": 2}'), ("'[1e400, 1.50]'", "[1e400, 1.50]")), equal=False),
    Sample("integer[]", _TEXT, printed("[1, NULL]", "[]"), equal=False),
    Sample("struct(a integer)", _TEXT, printed("{'a': 1}", "{'a': NULL}"), equal=False),
    Sample("timestamp_ms", T("timestamp"), nul(("'2024-03-31 02:30:00.5'", MIDNIGHT + 9_000_500_000), ("'1969-12-31 23:59:59.999'", -1000))),
    Sample("timestamp_ns", T("timestamp"), nul(("'2024-03-31 02:30:00.5'", MIDNIGHT + 9_000_500_000)), unfit=((_NANO, "a value of more digits"),)),
)  # fmt: skip
DUCKDB = (
    *COMMON,
    Sample("hugeint", numeric(39, 0), nul(("-170141183460469231731687303715884105728",) * 2, ("170141183460469231731687303715884105727",) * 2), equal=False),
    Sample("uhugeint", numeric(39, 0), nul(("340282366920938463463374607431768211455",) * 2), equal=False),
    Sample("bignum", T("numeric"), nul(("'" + "9" * 1000 + "'", "9" * 1000), ("'-1'", "-1")), equal=False),
    Sample("enum('x', 'Y', 'é')", _TEXT, nul(("'Y'", "Y"), ("'é'", "é"))),
    Sample("interval", _TEXT, printed("INTERVAL 3 MONTH", "INTERVAL '-1 month 3 days -00:00:01.5'", "INTERVAL 0 DAY"), equal=False),
    Sample("bit", _TEXT, printed("'101'", "repeat('10', 100)"), equal=False),
    Sample("time with time zone", _TEXT, printed("'10:00:00+02'", "'10:00:00+15:59:59'", "'24:00:00-15:59:59'"), equal=False),
    Sample("time_ns", T("time"), nul(("'12:00:00.123456'", 43_200_123_456), ("'24:00:00'", 86_400 * US)), equal=False, unfit=(("'12:00:00.123456789'", "a value of more digits"),)),
    Sample("timestamp_s", T("timestamp"), nul(("'2024-03-31 02:30:00'", MIDNIGHT + 9000 * US), ("'1969-12-31 23:59:59'", -US))),
    Sample("timestamptz_ns", T("timestamptz"), printed("'2024-03-31 02:30:00.5+00'"), equal=False, unfit=(("'2024-01-01 00:00:00.123456789+00'", "a value of more digits"),)),
    Sample("integer[3]", _TEXT, printed("[1, NULL, 3]"), equal=False),
    Sample("varchar[][]", _TEXT, printed("[['a', NULL], [], ['it''s, [x]', '🎉']]"), equal=False),
    Sample("map(varchar, integer)", _TEXT, printed("MAP {'a': 1, 'b c': NULL}", "MAP {}"), equal=False),
    Sample("struct(a integer[], b struct(c varchar, d timestamp))", _TEXT, printed("{'a': [1, NULL], 'b': {'c': 'x''y', 'd': '2024-01-01'}}"), equal=False),
    Sample("union(a integer, b varchar)", _TEXT, printed("1", "'x'"), equal=False),
    Sample("geometry", _TEXT, printed("'POINT (1 2)'"), equal=False),
    Sample("variant", _TEXT, printed("42::variant", "'x'::variant", "[1, 2]::variant"), equal=False),
)  # fmt: skip
# names of duckdb_types() -> beginnings of the names that columns then have, where these are others
TYPES = Types(
    """SELECT DISTINCT t.logical_type FROM duckdb_types() AS t WHERE NOT EXISTS (
    SELECT 1 FROM duckdb_columns() AS c WHERE c.table_name = '{table}' AND (
      starts_with(c.data_type, t.logical_type) OR (t.logical_type = 'LIST' AND c.data_type = 'INTEGER[]')
      OR (t.logical_type = 'ARRAY' AND c.data_type = 'INTEGER[3]')))""",
    {
        "NULL": "a column of it becomes an integer",
        "TUPLE": "a struct without names, which a column cannot be declared as",
        "TYPE": "types of the binder itself",
    },
)
