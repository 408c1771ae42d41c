# ruff: noqa: E501 - samples are a table
"""Every type of PostgreSQL with its extremes; arrays of all of them; what extensions and users add."""

from __future__ import annotations

from connectors.conformance import Sample, Types, nul, printed
from connectors.types import BUILTIN, PgType, bpchar, numeric, varchar
from tests.connectors.texts import INF_DAYS, INF_US, MIDNIGHT, TEXTS, US

T = PgType
_TEXT = T("text")
_INTERVALS = (
    "'1 mon -2 days 03:00:00.5'", "'178000000 years'", "'-178000000 years'", "'1 day -25:00:00'", "'00:00:00'",
    "'-1 year -1 mon -1 day -00:00:00.000001'", "'P1Y2M3DT4H5M6.7S'", "'2562047788:00:54.775807'",
)  # fmt: skip
_JSONS = (
    "'{\"a\":  1, \"a\": 2}'", "'[1.50, 1E400, -0, 12345678901234567890123456789012345678901234567890.5]'",
    "'\"\\ud83c\\udf89 \\n é\"'", "' null '", "'{}'", "'[]'", "'\"🎉\"'",
)  # fmt: skip

NUMBERS = (
    Sample("boolean", T("bool"), nul(("true", True), ("false", False))),
    Sample("smallint", T("int2"), nul(("-32768", -32768), ("32767", 32767))),
    Sample("integer", T("int4"), nul(("-2147483648", -(2**31)), ("2147483647", 2**31 - 1))),
    Sample("bigint", T("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    Sample("oid", T("oid"), nul(("4294967295", 2**32 - 1), ("2147483648", 2**31), ("0", 0))),
    Sample("real", T("float4"), nul(("'1.2345678'", 1.2345678), ("'Infinity'", float("inf")), ("'-0'", -0.0), ("'NaN'", float("nan")), ("'1e-45'", 1e-45), ("'3.4028235e38'", 3.4028235e38))),
    Sample("double precision", T("float8"), nul(("0.1", 0.1), ("1e308", 1e308), ("'-Infinity'", float("-inf")), ("'NaN'", float("nan")), ("'-0'", -0.0), ("5e-324", 5e-324), ("1.7976931348623157e308", 1.7976931348623157e308))),
    Sample("numeric(10,2)", numeric(10, 2), nul(("12345678.90", "12345678.90"), ("-0.01", "-0.01")), unfit=(("'NaN'", "NaN"),)),
    Sample("numeric(38,10)", numeric(38, 10), nul(("9999999999999999999999999999.9999999999",) * 2)),
    Sample("numeric(5,-2)", numeric(5, -2), nul(("1234567", "1234600"), ("'NaN'", "NaN"))),
    Sample("numeric(3,5)", numeric(3, 5), nul(("0.00123", "0.00123"), ("-0.00999", "-0.00999"))),
    Sample("numeric(60,20)", numeric(60, 20), nul(("'" + "9" * 40 + "." + "1" * 20 + "'", "9" * 40 + "." + "1" * 20), ("'NaN'", "NaN"))),
    Sample(
        "numeric", T("numeric"),
        nul(
            ("'NaN'", "NaN"), ("'Infinity'", "Infinity"), ("'-Infinity'", "-Infinity"), ("1." + "0" * 49 + "1",) * 2, ("1.50", "1.50"),
            ("repeat('7', 1000)::numeric", "7" * 1000), ("('0.' || repeat('3', 1000))::numeric", "0." + "3" * 1000),
            ("-repeat('9', 131072)::numeric", "-" + "9" * 131072), ("('1.' || repeat('1', 16383))::numeric", "1." + "1" * 16383), ("0.00", "0.00"),
        ),
    ),
    Sample("money", T("money"), printed("12.5", "'-92233720368547758.08'", "'92233720368547758.07'", "0"), equal=False),
)  # fmt: skip
TEXTUAL = (
    Sample("text", _TEXT, nul(*TEXTS, ("repeat('é', 100000)", "é" * 100_000), ("E'\\t\\n\\r\\x01\\x7f'", "\t\n\r\x01\x7f"), ("U&'\\+01F468\\200D\\+01F469'", "👨\u200d👩"))),
    Sample("varchar(40)", varchar(40), nul(*TEXTS)),
    Sample("varchar", T("varchar"), nul(*TEXTS)),
    Sample("char(5)", bpchar(5), nul(("'ab'", "ab   "), ("''", "     "), ("'é 漢'", "é 漢  "), ("'🎉'", "🎉    "))),
    Sample("bpchar", T("bpchar"), nul(("'ab  '", "ab  "), ("''", ""))),
    Sample("\"char\"", T("char"), printed("'a'", "''", "'\\377'"), equal=False),
    Sample("name", T("name"), printed("'Ünï'", "''", "repeat('x', 80)")),
    Sample("text COLLATE \"C\"", _TEXT, nul(*TEXTS)),
    Sample("bytea", T("bytea"), nul(("'\\x'", b""), ("'\\x00ff27'", b"\x00\xff'"), ("decode(repeat('00', 70000), 'hex')", bytes(70_000)))),
    Sample("bit(3)", T("bit", 3), nul(("B'101'", "101"))),
    Sample("bit(64)", T("bit", 64), nul(("B'" + "10" * 32 + "'", "10" * 32), ("~B'" + "0" * 64 + "'", "1" * 64))),
    Sample("varbit", T("varbit"), nul(("B''", ""), ("B'1'", "1"), ("repeat('01', 1000)::varbit", "01" * 1000))),
    Sample("varbit(7)", T("varbit", 7), nul(("B'0110'", "0110"))),
    Sample("uuid", T("uuid"), nul(("'123E4567-E89B-12D3-A456-426655440000'", "123e4567-e89b-12d3-a456-426655440000"), ("'{ffffffff-ffff-ffff-ffff-ffffffffffff}'", "ffffffff-ffff-ffff-ffff-ffffffffffff"))),
    Sample("json", T("json"), printed(*_JSONS, "'\"\\u0000\"'"), equal=False),
    Sample("jsonb", T("jsonb"), printed(*_JSONS)),
    Sample("xml", T("xml"), printed("'<?xml version=\"1.0\"?><a b=\"1\">é 🎉<!-- x --></a>'", "xmlparse(content 'a<b/>')"), equal=False),
    Sample("jsonpath", _TEXT, printed("'$.a[*] ? (@ > 1)'", "'strict $'"), equal=False),
)  # fmt: skip
TIMES = (
    Sample("date", T("date"), nul(("'infinity'", INF_DAYS), ("'-infinity'", -INF_DAYS), ("'1969-12-31'", -1), ("'4713-01-01 BC'", -2440550), ("'5874897-12-31'", 2145042905), ("'0001-01-01'", -719162), ("'0001-12-31 BC'", -719163))),
    Sample("time", T("time"), nul(("'00:00'", 0), ("'24:00'", 86_400 * US), ("'23:59:59.999999'", 86_400 * US - 1))),
    Sample("time(2)", T("time", 2), nul(("'23:59:59.999'", 86_400 * US), ("'00:00:00.005'", 10_000))),
    Sample("timestamp", T("timestamp"), nul(("'infinity'", INF_US), ("'-infinity'", -INF_US), ("'2024-03-31 02:30'", MIDNIGHT + 9000 * US), ("'1969-12-31 23:59:59.999999'", -1), ("'4713-01-01 00:00 BC'", -210863520000000000), ("'0044-03-15 12:00 BC'", -63517780800000000)), unfit=(("'294276-12-31 23:59:59'", "an instant after the year 294246"),)),
    Sample("timestamp(0)", T("timestamp", 0), printed("'2024-01-01 00:00:00.5'", "'2024-01-01 00:00:01.5'")),
    Sample("timestamptz", T("timestamptz"), (("'2024-03-31 01:30:00+01'", MIDNIGHT + 1800 * US), ("'2024-03-31 03:30:00 Europe/Berlin'", MIDNIGHT + 5400 * US), *printed("'infinity'", "'-infinity'", "'1890-01-01 00:00 Europe/Amsterdam'", "'2024-01-01 00:00:00-15:59:59'", "'4713-01-01 00:00+00 BC'")), unfit=(("'294276-12-31 23:59:59+00'", "an instant after the year 294246"),)),
    Sample("timetz", T("timetz"), printed("'12:00:00+05:30'", "'24:00:00-15:59:59'", "'00:00:00+15:59:59'", "'23:59:59.999999-00:00:01'")),
    Sample("interval", T("interval"), printed(*_INTERVALS)),
    Sample("interval day to second(3)", T("interval", 470286339), printed("'1 12:00:00.1236'"), equal=False),
)  # fmt: skip
NETS = (
    Sample("inet", T("inet"), printed("'10.0.0.1/8'", "'::ffff:1.2.3.4/96'", "'fe80::1'", "'0.0.0.0/0'", "'1.2.3.4'")),
    Sample("cidr", T("cidr"), printed("'10.0.0.0/8'", "'2001:db8::/32'", "'1.2.3.4'")),
    Sample("macaddr", T("macaddr"), printed("'08-00-2B-01-02-03'", "'ffffff:ffffff'")),
    Sample("macaddr8", _TEXT, printed("'08:00:2b:01:02:03:04:05'", "'08:00:2b:01:02:03'"), equal=False),
)  # fmt: skip
OTHERS = (
    Sample("int4range", _TEXT, printed("'[1,5)'", "'empty'", "'(,)'", "'[-2147483648,2147483646]'"), equal=False),
    Sample("int8range", _TEXT, printed("'(1,5]'", "'[9223372036854775806,]'"), equal=False),
    Sample("numrange", _TEXT, printed("'[1.50,NaN)'", "'(-Infinity,Infinity]'"), equal=False),
    Sample("daterange", _TEXT, printed("'[2024-02-28,2024-02-29]'", "'[4713-01-01 BC,infinity)'"), equal=False),
    Sample("tsrange", _TEXT, printed("'[2024-01-01 00:00:00.000001,infinity]'"), equal=False),
    Sample("tstzrange", _TEXT, printed("'[2024-01-01 00:00+05,294276-12-31 23:59:59+00)'"), equal=False),
    Sample("int4multirange", _TEXT, printed("'{[1,3),[5,9)}'", "'{}'"), equal=False),
    Sample("int8multirange", _TEXT, printed("'{(,3),[5,)}'"), equal=False),
    Sample("nummultirange", _TEXT, printed("'{[1.0,2.00]}'"), equal=False),
    Sample("datemultirange", _TEXT, printed("'{[2024-01-01,2024-01-02],[2025-01-01,)}'"), equal=False),
    Sample("tsmultirange", _TEXT, printed("'{[2024-01-01,2024-01-02)}'"), equal=False),
    Sample("tstzmultirange", _TEXT, printed("'{[2024-01-01 00:00+01,)}'"), equal=False),
    Sample("point", _TEXT, printed("'(1,2)'", "'(1e-300,NaN)'", "'(Infinity,-0)'"), equal=False),
    Sample("line", _TEXT, printed("'{1,-1,0}'"), equal=False),
    Sample("lseg", _TEXT, printed("'[(0,0),(1.5,1)]'"), equal=False),
    Sample("box", _TEXT, printed("'(0,0),(1,1)'"), equal=False),
    Sample("path", _TEXT, printed("'((0,0),(1,1))'", "'[(0,0),(1,1)]'"), equal=False),
    Sample("polygon", _TEXT, printed("'((0,0),(1,1),(1,0))'"), equal=False),
    Sample("circle", _TEXT, printed("'<(0,0),1e10>'"), equal=False),
    Sample("tsvector", _TEXT, printed("'fat:2A cat:3 ''q x'':1'", "''"), equal=False),
    Sample("tsquery", _TEXT, printed("'fat & (rat | !cat:*) <-> x'", "''"), equal=False),
    Sample("pg_lsn", _TEXT, printed("'0/0'", "'FFFFFFFF/FFFFFFFF'"), equal=False),
    Sample("pg_snapshot", _TEXT, printed("'10:20:10,14,15'"), equal=False),
    Sample("txid_snapshot", _TEXT, printed("'10:20:10,14,15'"), equal=False),
    Sample("xid", _TEXT, printed("'4294967295'", "'0'"), equal=False),
    Sample("xid8", _TEXT, printed("'18446744073709551615'"), equal=False),
    Sample("cid", _TEXT, printed("'4294967295'"), equal=False),
    Sample("tid", _TEXT, printed("'(4294967295,65535)'", "'(0,1)'"), equal=False),
    Sample("aclitem", _TEXT, printed("makeaclitem(10, 10, 'SELECT', true)"), equal=False),
    Sample("refcursor", _TEXT, printed("'a \"b\"'"), equal=False),
    Sample("int2vector", _TEXT, printed("'1 2 -3'", "''"), equal=False),
    Sample("oidvector", _TEXT, printed("'1 4294967295'"), equal=False),
    Sample("regclass", _TEXT, printed("'pg_catalog.pg_class'", "'public.counter'", "'4294967295'"), equal=False),
    Sample("regcollation", _TEXT, printed("'pg_catalog.\"C\"'"), equal=False),
    Sample("regconfig", _TEXT, printed("'pg_catalog.simple'"), equal=False),
    Sample("regdictionary", _TEXT, printed("'pg_catalog.simple'"), equal=False),
    Sample("regnamespace", _TEXT, printed("'pg_catalog'"), equal=False),
    Sample("regoper", _TEXT, printed("'pg_catalog.||/'"), equal=False),
    Sample("regoperator", _TEXT, printed("'pg_catalog.+(integer,integer)'"), equal=False),
    Sample("regproc", _TEXT, printed("'pg_catalog.now'"), equal=False),
    Sample("regprocedure", _TEXT, printed("'pg_catalog.abs(integer)'"), equal=False),
    Sample("regrole", _TEXT, printed("'vdw'"), equal=False),
    Sample("regtype", _TEXT, printed("'integer'", "'public.mood'", "'numeric'"), equal=False),
)  # fmt: skip
# Their input functions refuse every value, so that NULL is all that a column of them can hold.
EMPTY = tuple(
    Sample(name, _TEXT, (("NULL", None),), equal=False)
    for name in ("gtsvector", "pg_node_tree", "pg_ndistinct", "pg_dependencies", "pg_mcv_list", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary")
)  # fmt: skip
OWN = (
    Sample("mood", _TEXT, printed("'glad'", "'sad'", "'so so'"), equal=False),
    Sample("pair", _TEXT, printed("ROW(1,'x y')", "ROW(NULL,NULL)", "ROW(2,'\"\\')"), equal=False),
    Sample("cents", numeric(12, 2), nul(("1.5", "1.50"))),
    Sample("moods", _TEXT, printed("'{glad,NULL}'"), equal=False),
    Sample("tags", T("_text"), printed("ARRAY['a', NULL, '{}']"), equal=False),
    Sample("floatrange", _TEXT, printed("'[1.5,2.5)'"), equal=False),
    Sample("floatmultirange", _TEXT, printed("'{[1.5,2.5)}'"), equal=False),
    Sample("hstore", _TEXT, printed("'a=>1, \"b c\"=>NULL'", "''"), equal=False),
    Sample("citext", _TEXT, printed("'Abc'", "''"), equal=False),
    Sample("ltree", _TEXT, printed("'Top.Science'", "''"), equal=False),
)  # fmt: skip
SETUP = (
    "CREATE EXTENSION hstore",
    "CREATE EXTENSION citext",
    "CREATE EXTENSION ltree",
    "CREATE TYPE mood AS ENUM ('sad', 'so so', 'glad')",
    "CREATE TYPE pair AS (a int, b text)",
    "CREATE DOMAIN money_amount AS numeric(12,2)",
    "CREATE DOMAIN cents AS money_amount CHECK (value > 0)",
    "CREATE DOMAIN moods AS mood[]",
    "CREATE DOMAIN tags AS text[]",
    "CREATE TYPE floatrange AS RANGE (subtype = float8)",
    "CREATE SEQUENCE counter",
)
_NO_ARRAY = frozenset(('text COLLATE "C"', "moods", "tags", "numeric", "text", "bytea"))


def array(sample: Sample) -> Sample:
    """An array with all values of the sample, unfit ones too, and NULL; one of two dimensions; one that is empty; and
    one whose subscripts do not begin with 1."""
    known = sample.ddl != "cents" and sample.type.name in BUILTIN and (sample.type != _TEXT or sample.ddl == "text")
    values = [f"CAST({literal} AS {sample.ddl})" for literal, _ in (*sample.values, *sample.unfit)]
    row = f"ARRAY[{', '.join(values)}]"
    two, shifted = f"ARRAY[{row}, {row}]", f"array_fill({values[0]}, ARRAY[2], ARRAY[-3])"
    kind = sample.type.bare.array if known else _TEXT
    return Sample(f"{sample.ddl}[]", kind, printed(row, two, shifted, "'{}'"), equal=False)


SCALARS = (*NUMBERS, *TEXTUAL, *TIMES, *NETS, *OTHERS, *OWN)
_LONG = (
    Sample("numeric[]", T("_numeric"), printed("'{NaN,Infinity,1.50,NULL}'", "'{{1,2},{3,NULL}}'", "'[-1:0]={1,2}'", "'{}'"), equal=False),
    Sample("text[]", T("_text"), printed("ARRAY['a,b','\"',NULL,'NULL','','{}','\\', ' x ']", "'{{a,b},{c,NULL}}'", "'[0:1]={a,b}'", "'{}'"), equal=False),
    Sample("bytea[]", T("_bytea"), printed("'{\"\\\\x00ff\",NULL}'", "'{}'"), equal=False),
)  # fmt: skip
ARRAYS = (*(array(sample) for sample in SCALARS if sample.ddl not in _NO_ARRAY), *_LONG)
POSTGRESQL = (*SCALARS, *EMPTY, *ARRAYS, Sample("gtsvector[]", _TEXT, printed("'{NULL}'"), equal=False))

TYPES = Types(
    """SELECT typname FROM pg_type AS t WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')
    AND NOT EXISTS (SELECT FROM pg_type AS e WHERE e.oid = t.typelem AND e.typtype = 'c')
    AND NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = '{table}'::regclass AND atttypid = t.oid)""",
    {"_cstring": "an array of a pseudo-type"},
)
