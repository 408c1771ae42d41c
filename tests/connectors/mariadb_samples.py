# ruff: noqa: E501 - samples are a table
"""Every type of MariaDB with its extremes, and values that no type of PostgreSQL holds."""

from __future__ import annotations

from connectors.conformance import Sample, Types, nul, printed
from connectors.types import PgType, bpchar, numeric, varchar
from tests.connectors.texts import MIDNIGHT, TEXTS, US, UUID

T = PgType
_TEXT, _BYTES = T("text"), T("bytea")
_POINT = bytes(4) + bytes.fromhex("0101000000000000000000f03f0000000000000040")
_NUL = (("'a\0b'", "text with a NUL character"),)
_ZERO = ("'0000-00-00'", "a zero date")
_YEAR_0 = ("'0000-01-01'", "a date of the year 0")
_PARTIAL = (("'2024-02-00'", "an invalid date"), ("'2024-00-10'", "an invalid date"))
_DURATIONS = tuple((literal, "a duration that is no time of day") for literal in ("'-12:00:00'", "'100:00:00'", "'838:59:59'", "'-00:00:01'"))  # fmt: skip

NUMBERS = (
    Sample("bit(1)", T("bool"), nul(("b'1'", True), ("b'0'", False))),
    Sample("bit(12)", _BYTES, nul(("b'100000001111'", b"\x08\x0f"), ("b'0'", b"\0\0")), equal=False),
    Sample("bit(64)", _BYTES, nul((f"b'{'1' * 64}'", b"\xff" * 8), ("b'1'", bytes(7) + b"\1")), equal=False),
    Sample("tinyint(1)", T("int2"), nul(("-128", -128), ("2", 2))),
    Sample("boolean", T("int2"), nul(("TRUE", 1), ("FALSE", 0), ("7", 7))),
    Sample("tinyint", T("int2"), nul(("-128", -128), ("127", 127))),
    Sample("tinyint unsigned", T("int2"), nul(("255", 255), ("0", 0))),
    Sample("smallint", T("int2"), nul(("-32768", -32768), ("32767", 32767))),
    Sample("smallint unsigned", T("int4"), nul(("65535", 65535))),
    Sample("mediumint", T("int4"), nul(("-8388608", -8388608), ("8388607", 8388607))),
    Sample("mediumint unsigned", T("int4"), nul(("16777215", 16777215))),
    Sample("int", T("int4"), nul(("-2147483648", -(2**31)), ("2147483647", 2**31 - 1))),
    Sample("int unsigned", T("int8"), nul(("4294967295", 2**32 - 1))),
    Sample("int(9) zerofill", T("int8"), nul(("42", 42), ("4294967295", 2**32 - 1))),
    Sample("bigint", T("int8"), nul(("-9223372036854775808", -(2**63)), ("9223372036854775807", 2**63 - 1))),
    Sample("bigint unsigned", numeric(20, 0), nul(("18446744073709551615", str(2**64 - 1)), ("0", "0"))),
    Sample("bigint(20) zerofill", numeric(20, 0), nul(("7", "7"))),
    Sample("float", T("float4"), nul(("1.2345678", 1.2345678), ("16777217", 16777216.0), ("-3.4028234e38", -3.4028234e38), ("1e-38", 1e-38))),
    Sample("float(7,2)", T("float4"), printed("12345.68", "-0.005")),
    Sample("double", T("float8"), nul(("0.1e0", 0.1), ("1e308", 1e308), ("1.0000000000000002e0", 1.0000000000000002), ("-2.2250738585072014e-308", -2.2250738585072014e-308))),
    Sample("double(20,3)", T("float8"), printed("123456789.1235", "0.0005")),
    Sample("decimal(10,2)", numeric(10, 2), nul(("12345678.90", "12345678.90"), ("-0.01", "-0.01"))),
    Sample("decimal(5,2) zerofill", numeric(5, 2), nul(("1.5", "1.50"))),
    Sample("decimal(65,30)", numeric(65, 30), nul(("9" * 35 + "." + "1" * 30,) * 2, ("-" + "0" * 0 + "1." + "0" * 29 + "1",) * 2)),
    Sample("decimal(65,0)", numeric(65, 0), nul(("-" + "9" * 65,) * 2)),
    Sample("year", T("int2"), nul(("2024", 2024), ("'0000'", 0), ("1901", 1901), ("2155", 2155))),
)  # fmt: skip
TEXTUAL = (
    Sample("text", _TEXT, nul(*TEXTS), unfit=_NUL),
    Sample("tinytext", _TEXT, nul(*TEXTS)),
    Sample("mediumtext", _TEXT, nul(*TEXTS)),
    Sample("longtext", _TEXT, nul(*TEXTS, ("repeat('é', 100000)", "é" * 100_000))),
    Sample("varchar(40)", varchar(40), nul(*TEXTS), unfit=_NUL),
    Sample("varchar(40) collate utf8mb4_nopad_bin", varchar(40), nul(*TEXTS)),
    Sample("varchar(41) character set latin1", varchar(41), nul(("'Ünï ß €'", "Ünï ß €"), ("X'809f'", "€Ÿ"))),
    Sample("varchar(42) character set utf8mb3", varchar(42), nul(("'漢字'", "漢字"))),
    Sample("varchar(43) character set utf16", varchar(43), nul(("'漢字 🎉'", "漢字 🎉"))),
    Sample("varchar(44) character set ascii", varchar(44), nul(("'abc'", "abc"))),
    Sample("char(5)", bpchar(5), nul(("'ab'", "ab   "), ("''", "     "), ("'é 漢'", "é 漢  "), ("'🎉'", "🎉    "))),
    Sample("char(0)", _TEXT, nul(("''", ""))),
    Sample("enum('x','Y','é')", _TEXT, nul(("'Y'", "Y"), ("'é'", "é"), ("'nonsense'", ""))),
    Sample("set('x','y','z')", _TEXT, nul(("'x,y'", "x,y"), ("''", ""), ("7", "x,y,z"))),
    Sample("json", T("json"), nul(("'{\"a\":  1, \"a\": 2}'", '{"a":  1, "a": 2}'), ("'[1e400, 12345678901234567890.5]'", "[1e400, 12345678901234567890.5]"), ("'\"\\u0000\"'", '"\\u0000"')), equal=False),
    Sample("uuid", T("uuid"), nul((f"'{UUID.upper()}'", UUID), ("'00000000-0000-0000-0000-000000000000'", "00000000-0000-0000-0000-000000000000"))),
    Sample("inet4", _TEXT, printed("'1.2.3.4'", "'255.255.255.255'"), equal=False),
    Sample("inet6", _TEXT, printed("'::ffff:1.2.3.4'", "'fe80::1'", "'::'"), equal=False),
)  # fmt: skip
BINARY = (
    Sample("varbinary(9)", _BYTES, nul(("X''", b""), ("X'00ff27'", b"\x00\xff'"))),
    Sample("binary(3)", _BYTES, nul(("X'00ff27'", b"\x00\xff'"), ("X''", bytes(3)))),
    Sample("tinyblob", _BYTES, nul(("X'00ff27'", b"\x00\xff'"))),
    Sample("blob", _BYTES, nul(("X''", b""), ("X'c328'", b"\xc3("))),
    Sample("mediumblob", _BYTES, nul(("X'00ff27'", b"\x00\xff'"))),
    Sample("longblob", _BYTES, nul(("X'00ff27'", b"\x00\xff'"), ("REPEAT(X'00', 70000)", bytes(70_000)))),
    Sample("point", _BYTES, nul(("ST_GeomFromText('POINT(1 2)')", _POINT)), equal=False),
    Sample("geometry", _BYTES, nul(("ST_GeomFromText('POINT(1 2)', 4326)", bytes.fromhex("e6100000") + _POINT[4:])), equal=False),
    Sample("linestring", _BYTES, printed("ST_GeomFromText('LINESTRING(0 0, 1 1)')"), equal=False),
    Sample("polygon", _BYTES, printed("ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))')"), equal=False),
    Sample("multipoint", _BYTES, printed("ST_GeomFromText('MULTIPOINT(0 0, 1 1)')"), equal=False),
    Sample("multilinestring", _BYTES, printed("ST_GeomFromText('MULTILINESTRING((0 0, 1 1))')"), equal=False),
    Sample("multipolygon", _BYTES, printed("ST_GeomFromText('MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))')"), equal=False),
    Sample("geometrycollection", _BYTES, printed("ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 2))')"), equal=False),
)  # fmt: skip
TIMES = (
    Sample("date", T("date"), nul(("'1969-12-31'", -1), ("'9999-12-31'", 2932896), ("'0001-01-01'", -719162)), unfit=(_ZERO, *_PARTIAL, _YEAR_0)),
    Sample("time", T("time"), nul(("'00:00'", 0), ("'24:00:00'", 86_400 * US), ("'23:59:59'", 86_399 * US)), unfit=_DURATIONS),
    Sample("time(6)", T("time"), nul(("'00:00'", 0), ("'24:00:00'", 86_400 * US), ("'23:59:59.999999'", 86_400 * US - 1)), unfit=(("'24:00:00.000001'", "a duration that is no time of day"),)),
    Sample("datetime", T("timestamp"), nul(("'2024-03-31 02:30'", MIDNIGHT + 9000 * US), ("'0001-01-01 00:00:00'", -62135596800000000)), unfit=(("'0000-00-00 00:00:00'", "a zero date"), ("'2024-02-00 01:02:03'", "an invalid date"))),
    Sample("datetime(6)", T("timestamp"), nul(("'2024-03-31 02:30'", MIDNIGHT + 9000 * US), ("'1969-12-31 23:59:59.999999'", -1), ("'9999-12-31 23:59:59.999999'", 253402300799999999))),
    Sample("timestamp NULL", T("timestamptz"), printed("'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'"), unfit=(("0", "a zero date"),)),
    Sample("timestamp(3) NULL", T("timestamptz"), nul(("'2024-03-31 01:30:00.5'", MIDNIGHT + 5_400_500_000))),
    Sample("timestamp(6) NULL", T("timestamptz"), printed("'2038-01-19 03:14:07.999999'")),
)  # fmt: skip
MARIADB = (*NUMBERS, *TEXTUAL, *BINARY, *TIMES)

# All that MariaDB's manual lists; it has no catalog of its types. `json` is longtext with a check there.
_DOCUMENTED = (
    "bigint", "binary", "bit", "blob", "char", "date", "datetime", "decimal", "double", "enum", "float", "geometry",
    "geometrycollection", "inet4", "inet6", "int", "linestring", "longblob", "longtext", "mediumblob", "mediumint",
    "mediumtext", "multilinestring", "multipoint", "multipolygon", "point", "polygon", "set", "smallint", "text", "time",
    "timestamp", "tinyblob", "tinyint", "tinytext", "uuid", "varbinary", "varchar", "year", "vector", "xmltype",
)  # fmt: skip
TYPES = Types(
    f"""SELECT d.name FROM ({" UNION ALL ".join(f"SELECT '{name}' AS name" for name in _DOCUMENTED)}) AS d
    WHERE d.name NOT IN (SELECT data_type FROM information_schema.columns
    WHERE table_schema = DATABASE() AND table_name = '{{table}}')""",
    {"vector": "MariaDB has it from 11.7 on; it is read as bytea", "xmltype": "MariaDB has it from 12.3 on"},
)
