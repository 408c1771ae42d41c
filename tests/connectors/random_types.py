# ruff: noqa: E501 - types are a table
"""Columns of random types with random values, hostile ones among them: for each engine, as its own SQL writes them."""

from __future__ import annotations

import datetime as dt
import json
import math
import struct
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from connectors.conformance import Sample

Texts = Callable[[], str]
_NASTY = (
    "", " ", "  x  ", "NULL", "null", "'", '"', "''", "\\", "\\n", "%", "_", "{}", "{a,b}", "a,b", "(1,2)", "[1,2)", "\t",
    "\n", "\r\n", "🎉", "👨\u200d👩", "é", "e\u0301", "İ", "ß", "漢字", "\u00a0", "\ufeff", "\u2028", "\x7f", "\x01", "NaN",
    "-0", "0x1", "1e400", "infinity", "--", "/*", ";", "$1", "$$", ":p", "?", "%s", "%%", "&amp;", "<a>", "a\u0000"[:1],
    "true", "0000-00-00", "Straße", "ﬀ", "\U0010ffff", "\ud7ff", "x" * 300, "é" * 130,
)  # fmt: skip


def quoted(text: str) -> str:
    """A text as a literal of standard SQL."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Made(Sample):
    """A column of a random table: its own name, and SQL of its values one by one."""

    name: str = ""
    literals: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """Its name, which needs no quotes."""
        return self.name


class Draw:
    """What is drawn of one seed."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.one = random.choice

    def text(self, most: int = 40) -> str:
        """A text of at most so many characters, without NUL."""
        if self.random.random() < 0.6:
            found = self.one(_NASTY)
        else:
            spans = ((32, 126), (32, 126), (160, 591), (0x4E00, 0x4E80), (0x1F300, 0x1F5FF), (1, 31))
            picked = [self.one(spans) for _ in range(self.random.randint(0, 12))]
            found = "".join(chr(self.random.randint(*span)) for span in picked)
        return found[:most]

    def integer(self, low: int, high: int) -> int:
        """A whole number, often at an edge."""
        edges = [n for n in (low, high, low + 1, high - 1, 0, 1, -1, 2**53 + 1, -(2**53) - 1) if low <= n <= high]
        if self.random.random() < 0.5:
            return self.one(edges)
        span = 1 << self.random.randint(1, max((high - low).bit_length(), 1))
        return max(low, min(high, self.random.randint(-span, span)))

    def decimal(self, precision: int, scale: int) -> str:
        """A decimal in plain digits."""
        number = self.integer(1 - 10**precision, 10**precision - 1)
        sign, digits = "-" if number < 0 else "", str(abs(number)).rjust(scale + 1, "0")
        return sign + (digits[: len(digits) - scale] + "." + digits[len(digits) - scale :] if scale else digits)

    def real(self, single: bool = False) -> float:
        """Any finite number, subnormal ones and both zeros among them."""
        while True:
            if self.random.random() < 0.3:
                found = self.one(
                    (0.0, -0.0, 0.1, 1e15, 1e16, 123456789012345680.0, 1e-5, 1e-4, 999999.5, 1e6, 1 / 3, 2.5)
                )
            else:
                form, size = ("f", 4) if single else ("d", 8)
                (found,) = struct.unpack(form, self.random.randbytes(size))
            if math.isfinite(found):
                return float(found)

    def day(self) -> dt.date:
        """A day of the years that Python has."""
        edges = (
            dt.date.min,
            dt.date.max,
            dt.date(1582, 10, 10),
            dt.date(1900, 2, 28),
            dt.date(2024, 2, 29),
            dt.date(1970, 1, 1),
        )
        drawn = dt.date.fromordinal(self.random.randint(1, dt.date.max.toordinal()))
        return self.one((*edges, drawn, drawn))

    def clock(self, digits: int = 6) -> str:
        """A time of day with at most so many digits of a second."""
        h, m, s = self.one(((0, 0, 0), (23, 59, 59), tuple(self.random.randint(0, n) for n in (23, 59, 59))))
        fraction = self.one(("", "", ".5", ".000001", ".999999", f".{self.random.randint(0, 999999):06d}"))
        return f"{h:02d}:{m:02d}:{s:02d}{fraction[: digits + 1] if digits else ''}".rstrip(".")

    def moment(self, digits: int = 6) -> str:
        """A date and time."""
        gaps = ("2024-03-31 02:30:00", "2024-10-27 02:30:00", "1883-11-18 12:03:58", "2016-12-31 23:59:59")
        return self.one(gaps) if self.random.random() < 0.2 else f"{self.day().isoformat()} {self.clock(digits)}"

    def zone(self) -> str:
        """An offset."""
        return self.one(("+00", "-00", "+05:30", "-15:59:59", "+15:59", "+00:00:01", "-03:30", "+14"))

    def hexadecimal(self, most: int) -> str:
        """Bytes."""
        return self.random.randbytes(self.random.randint(0, most)).hex()


# -- PostgreSQL: texts that its types' input functions take
def _json(draw: Draw, depth: int = 3) -> str:
    kind = draw.random.randint(0, 8 if depth else 5)
    if kind <= 1:
        return json.dumps(draw.text(), ensure_ascii=draw.random.random() < 0.5)
    if kind == 2:
        return draw.one(("1e400", "-0", "-0.0", "1.50", "1E5", "12345678901234567890.123456789", "0", "1e-7"))
    if kind <= 5:
        return draw.one(("null", "true", "false", "{}", "[]", " [ ] "))
    parts = [_json(draw, depth - 1) for _ in range(draw.random.randint(0, 3))]
    if kind == 6:
        return "[" + draw.one((",", " , ", ",\n")).join(parts) + "]"
    return "{" + ",".join(f"{json.dumps(draw.text(8))}: {part}" for part in parts) + "}"


def _interval(draw: Draw) -> str:
    n = [draw.integer(-99_999, 99_999) for _ in range(3)]
    micros = draw.one((0, 1, -1, 500_000, -999_999, draw.integer(-(10**15), 10**15)))
    return f"{n[0]} years {n[1]} mons {n[2]} days {micros} microseconds"


def _pg_date(draw: Draw) -> str:
    return draw.one(
        (*(draw.day().isoformat(),) * 4, "infinity", "-infinity", "0044-03-15 BC", "12345-06-07", "5874897-12-31")
    )


def _pg_moment(draw: Draw) -> str:
    far = (
        "infinity",
        "-infinity",
        "0044-03-15 12:00:00.000001 BC",
        "4713-01-01 00:00:00 BC",
        "294246-12-31 23:59:59.999999",
    )
    return draw.moment() if draw.random.random() < 0.7 else draw.one(far)


def _number(draw: Draw) -> str:
    if draw.random.random() < 0.2:
        return draw.one(
            ("NaN", "Infinity", "-Infinity", "1e-100", "1e100", "-0.000", "0.0000001", "1e-16383", "9e131071")
        )
    return draw.decimal(draw.random.randint(1, 60), draw.random.randint(0, 25))


def _float(draw: Draw, single: bool) -> str:
    return draw.one(("NaN", "Infinity", "-Infinity")) if draw.random.random() < 0.15 else repr(draw.real(single))


def _address(draw: Draw) -> str:
    four = ".".join(str(draw.random.randint(0, 255)) for _ in range(4))
    six = draw.one(("::", "::1", "fe80::1", "::ffff:1.2.3.4", "2001:db8::8:800:200c:417a", "1:0:0:2:0:0:0:3"))
    return draw.one((four, f"{four}/{draw.random.randint(0, 32)}", six, f"{six}/{draw.random.randint(0, 128)}"))


def _bits(draw: Draw, count: int) -> str:
    return "".join(draw.one("01") for _ in range(count))


def _xml(draw: Draw) -> str:
    escaped = "".join(c for c in draw.text(10) if c >= " " and c != "\x7f").replace("&", "&amp;").replace("<", "&lt;")
    return draw.one(
        (f"<a b='1'>{escaped}</a>", "<?xml version='1.0' encoding='latin1'?><a/>", "text<b/>", "<a><![CDATA[x]]></a>")
    )


POSTGRES: dict[str, Callable[[Draw], str]] = {
    "boolean": lambda d: d.one(("t", "f")),
    "smallint": lambda d: str(d.integer(-(2**15), 2**15 - 1)),
    "integer": lambda d: str(d.integer(-(2**31), 2**31 - 1)),
    "bigint": lambda d: str(d.integer(-(2**63), 2**63 - 1)),
    "oid": lambda d: str(d.integer(0, 2**32 - 1)),
    "real": lambda d: _float(d, True),
    "double precision": lambda d: _float(d, False),
    "numeric": _number,
    "money": lambda d: d.decimal(18, 2),
    "text": lambda d: d.text(),
    "varchar": lambda d: d.text(),
    "varchar(7)": lambda d: d.text(7),
    "bpchar": lambda d: d.text(),
    "char(3)": lambda d: d.text(3),
    '"char"': lambda d: d.one(("", "a", "\\377", "\\001", "é")),
    "name": lambda d: d.text(),
    'text COLLATE "C"': lambda d: d.text(),
    'text COLLATE "en_US.utf8"': lambda d: d.text(),
    'text COLLATE "und-x-icu"': lambda d: d.text(),
    "bytea": lambda d: "\\x" + d.hexadecimal(40),
    "bit(5)": lambda d: _bits(d, 5),
    "bit varying": lambda d: _bits(d, d.random.randint(0, 90)),
    "bit varying(9)": lambda d: _bits(d, d.random.randint(0, 9)),
    "uuid": lambda d: str(uuid.UUID(bytes=d.random.randbytes(16))),
    "json": _json,
    "jsonb": _json,
    "xml": _xml,
    "date": _pg_date,
    "time": lambda d: d.one((d.clock(), d.clock(), "24:00:00")),
    "time(0)": lambda d: d.clock(),
    "timetz": lambda d: d.one((d.clock(), "24:00:00")) + d.zone(),
    "timetz(3)": lambda d: d.clock() + d.zone(),
    "timestamp": _pg_moment,
    "timestamp(3)": _pg_moment,
    "timestamptz": _pg_moment,
    "timestamptz(0)": _pg_moment,
    "interval": _interval,
    "interval year to month": _interval,
    "interval second(2)": _interval,
    "inet": _address,
    "cidr": _address,
    "macaddr": lambda d: d.random.randbytes(6).hex(),
    "macaddr8": lambda d: d.random.randbytes(8).hex(),
    "tsvector": lambda d: d.one(("a:1A b:2", "'it''s':3", "", "x y z:16383")),
    "tsquery": lambda d: d.one(("a & !b", "a <2> b", "'x y':*A", "")),
    "pg_lsn": lambda d: f"{d.integer(0, 2**32 - 1):X}/{d.integer(0, 2**32 - 1):X}",
    "xid8": lambda d: str(d.integer(0, 2**64 - 1)),
    "tid": lambda d: f"({d.integer(0, 2**32 - 1)},{d.integer(0, 65535)})",
    "point": lambda d: f"({d.real()!r},{d.real()!r})",
    "circle": lambda d: f"<({d.real()!r},0),{abs(d.real())!r}>",
    "path": lambda d: d.one(("[(0,0),(1,1e-300)]", "((0,-0),(1,1))")),
    "regtype": lambda d: d.one(("integer", "public.mood", "timestamp with time zone", "4294967295", "-")),
    "regclass": lambda d: d.one(("pg_class", "4294967295", "-")),
    "regproc": lambda d: d.one(("now", "-", "4294967295")),
    "mood": lambda d: d.one(("sad", "so so", "glad")),
    "weird": lambda d: d.one(("", "a,b", "it''s", '"q"', "\\", "🎉", "NULL", "{")).replace("''", "'"),
    "pair": lambda d: f"({d.integer(-9, 9)},{_in_quotes(d.text())})",
    "nested": lambda d: f'("({d.integer(-9, 9)},x)",{_in_quotes(_array(d, POSTGRES["text"]))})',
    "cents": lambda d: d.decimal(8, 2).lstrip("-"),
    "moods": lambda d: _array(d, POSTGRES["mood"]),
    "tags": lambda d: _array(d, POSTGRES["text"]),
    "short": lambda d: d.text(4),
    "hstore": lambda d: f"{_in_quotes(d.text())}=>{d.one(('NULL', _in_quotes(d.text())))}",
    "citext": lambda d: d.text(),
    "ltree": lambda d: d.one(("Top.Science", "", "a_1")),
    "int4range": lambda d: _range(d, lambda: str(d.integer(-99, 99))),
    "numrange": lambda d: _range(d, lambda: d.decimal(6, 2)),
    "daterange": lambda d: _range(d, lambda: d.day().isoformat()),
    "tstzrange": lambda d: _range(d, lambda: d.moment()),
    "floatrange": lambda d: _range(d, lambda: repr(d.real())),
    "int8multirange": lambda d: "{" + _range(d, lambda: str(d.integer(-99, 99))) + "}",
    "datemultirange": lambda d: "{" + _range(d, lambda: d.day().isoformat()) + "}",
}
POSTGRES_SETUP = (
    "CREATE TYPE weird AS ENUM ('', 'a,b', 'it''s', '\"q\"', E'\\\\', '🎉', 'NULL', '{')",
    "CREATE TYPE nested AS (p pair, t text[])",
    "CREATE DOMAIN short AS varchar(4)",
    "CREATE DOMAIN shorter AS short NOT NULL DEFAULT ''",
)
_UNARRAYED = frozenset(
    ('text COLLATE "C"', 'text COLLATE "en_US.utf8"', 'text COLLATE "und-x-icu"', "interval year to month")
)


def _in_quotes(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _array(draw: Draw, element: Callable[[Draw], str], depth: int = 1) -> str:
    count = draw.random.randint(0, 3)
    if not count:
        return "{}"

    def level(left: int) -> str:
        if not left:
            return draw.one(("NULL", _in_quotes(element(draw)), _in_quotes(element(draw))))
        return "{" + ",".join(level(left - 1) for _ in range(count)) + "}"

    bounds = "".join(f"[{start}:{start + count - 1}]" for start in [draw.integer(-5, 5) for _ in range(depth)])
    return draw.one(("", "", bounds + "=")) + level(depth)


def _range(draw: Draw, bound: Texts) -> str:
    low, high = draw.one(("", _in_quotes(bound()))), draw.one(("", _in_quotes(bound())))
    return draw.one(("empty", f"{draw.one('[(')}{low},{high}{draw.one('])')}", f"[{low},{high})"))


def postgresql(draw: Draw) -> Iterator[tuple[str, list[str]]]:
    """Declared types, each with literals of it; some of which the server refuses."""
    while True:
        name = draw.one(list(POSTGRES))
        make, ddl = POSTGRES[name], name
        if draw.random.random() < 0.15:
            precision = draw.random.randint(1, 70)
            scale = draw.random.randint(-5, precision + 5)
            ddl, make = (
                f"numeric({precision},{scale})",
                lambda d, p=precision, s=scale: d.one((d.decimal(p, max(min(s, p), 0)), "NaN", "0")),
            )  # type: ignore[misc]
        elif name not in _UNARRAYED and draw.random.random() < 0.3:
            depth = draw.random.randint(1, 2)
            ddl, make = name + "[]" * depth, lambda d, m=make, n=depth: _array(d, m, n)  # type: ignore[misc]
        yield ddl, [quoted(make(draw)) for _ in range(8)]


# -- MariaDB: its own literals
def _hexed(text: str) -> str:
    return f"_utf8mb4 X'{text.encode().hex()}'"


def _scaled(draw: Draw, exact: bool) -> tuple[str, Callable[[], str]]:
    precision = draw.random.randint(1, 65 if exact else 40)
    scale = draw.random.randint(0, min(precision, 38 if exact else 30))
    name = draw.one(("decimal", "numeric")) if exact else draw.one(("float", "double"))
    return f"{name}({precision},{scale})", lambda: draw.decimal(min(precision, 60), scale)


def _duration(draw: Draw) -> str:
    far = ("838:59:59", "-838:59:59", "-00:00:00.000001", "24:00:00", "24:00:01", "100:00:00.5")
    return quoted(draw.one((draw.clock(), draw.clock(), draw.clock(), draw.one(far))))


def _odd_day(draw: Draw) -> str:
    zero = ("0000-00-00", "2024-00-10", "2024-02-00", "0000-01-01", "2024-02-30")
    return draw.one(zero) if draw.random.random() < 0.2 else draw.day().isoformat()


_CHARSETS = (
    "latin1",
    "utf8mb3",
    "sjis",
    "utf16",
    "utf32",
    "ucs2",
    "cp1251",
    "big5",
    "gbk",
    "ascii",
    "utf8mb4",
    "utf16le",
    "koi8r",
    "eucjpms",
)
_COLLATIONS = (
    "utf8mb4_bin",
    "utf8mb4_nopad_bin",
    "utf8mb4_general_ci",
    "utf8mb4_unicode_520_ci",
    "utf8mb4_uca1400_as_cs",
    "latin1_swedish_ci",
)
_INTS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_GEOMETRY = (
    "POINT(1 -0.5)",
    "LINESTRING(0 0, 1e300 1)",
    "POLYGON((0 0, 1 0, 1 1, 0 0))",
    "GEOMETRYCOLLECTION(POINT(1 2))",
)


def _whole(draw: Draw) -> tuple[str, Callable[[], str]]:
    name = draw.one(list(_INTS))
    bits = _INTS[name]
    sign = draw.one(("", " unsigned", " zerofill", " unsigned zerofill"))
    width = draw.one(("", "(1)", "(4)", "(30)"))
    span = (0, 2**bits - 1) if sign else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return f"{name}{width}{sign}", lambda: str(draw.integer(*span))


def _textual(draw: Draw) -> tuple[str, Callable[[], str]]:
    length = draw.random.randint(0, 60)
    base = draw.one((f"varchar({length})", f"char({length})", "text", "tinytext", "longtext"))
    tail = draw.one(
        ("", f" character set {draw.one(_CHARSETS)}", f" collate {draw.one(_COLLATIONS)}", " character set binary")
    )
    return base + tail, lambda: _hexed(draw.text(length))


def _of_list(draw: Draw) -> tuple[str, Callable[[], str]]:
    words = list(dict.fromkeys(draw.text(12).rstrip(" ") for _ in range(draw.random.randint(1, 6))))
    kind = draw.one(("enum", "set"))
    words = [word for word in words if kind == "enum" or "," not in word] or ["x"]
    words = [word for at, word in enumerate(words) if word.lower() not in [w.lower() for w in words[:at]]]
    ddl = f"{kind}({', '.join(quoted(word) for word in words)}) collate utf8mb4_bin"
    return (
        ddl,
        lambda: (
            str(draw.random.randint(0, len(words)))
            if kind == "enum"
            else str(draw.random.randint(0, 2 ** len(words) - 1))
        ),
    )


def _mariadb_real(draw: Draw) -> str:
    value = draw.real()
    return repr(value) if "e" in repr(value) else f"{value!r}e0"


def mariadb(draw: Draw) -> Iterator[tuple[str, list[str]]]:
    """Declared types, each with literals of it; some of which the server refuses or changes."""
    bits, bytes_ = draw.random.randint(1, 64), draw.random.randint(1, 40)
    digits = draw.random.randint(0, 6)
    while True:
        fixed: list[tuple[str, Callable[[], str]]] = [
            (f"bit({bits})", lambda: f"b'{draw.integer(0, 2**bits - 1):b}'"),
            ("float", lambda: _mariadb_real(draw)),
            ("double", lambda: _mariadb_real(draw)),
            ("double unsigned zerofill", lambda: repr(abs(draw.real()))),
            ("decimal(12,4) unsigned zerofill", lambda: draw.decimal(12, 4).lstrip("-")),
            ("date", lambda: quoted(_odd_day(draw))),
            (f"datetime({digits})", lambda: quoted(f"{_odd_day(draw)} {draw.clock(digits)}")),
            (f"time({digits})", lambda: _duration(draw)),
            (f"timestamp({digits}) NULL", lambda: quoted(draw.one((f"{draw.random.randint(1971, 2037)}-03-{draw.random.randint(1, 31):02d} {draw.clock(digits)}", "0000-00-00", "2024-03-31 02:30:00")))),
            ("year", lambda: str(draw.one((0, 1901, 2155, draw.integer(1901, 2155))))),
            ("json", lambda: _hexed(_json(draw))),
            ("uuid", lambda: quoted(str(uuid.UUID(bytes=draw.random.randbytes(16))))),
            ("inet4", lambda: quoted(".".join(str(draw.random.randint(0, 255)) for _ in range(4)))),
            ("inet6", lambda: quoted(draw.one(("::", "::1", "1.2.3.4", "fe80::1", "1:0:0:2:0:0:0:3")))),
            (f"binary({bytes_})", lambda: f"X'{draw.hexadecimal(bytes_)}'"),
            (f"varbinary({bytes_})", lambda: f"X'{draw.hexadecimal(bytes_)}'"),
            (draw.one(("tinyblob", "blob", "longblob")), lambda: f"X'{draw.hexadecimal(60)}'"),
            ("geometry", lambda: f"ST_GeomFromText('{draw.one(_GEOMETRY)}', {draw.one((0, 4326))})"),
            _whole(draw), _whole(draw), _textual(draw), _textual(draw), _of_list(draw), _scaled(draw, True), _scaled(draw, False),
        ]  # fmt: skip
        ddl, make = draw.one(fixed)
        yield ddl, [make() for _ in range(8)]


# -- SQLite: any storage class in any declared type
_DECLARED = (
    "", "INT", "INTEGER", "BIGINT", "UNSIGNED BIG INT", "INT8", "SMALLINT", "TINYINT", "MEDIUMINT", "TEXT", "CLOB", "STRING",
    "VARCHAR(10)", "NVARCHAR(5)", "CHAR(4)", "NATIVE CHARACTER(70)", "CHARACTER(20)", "REAL", "DOUBLE", "DOUBLE PRECISION",
    "FLOAT", "NUMERIC", "DECIMAL", "DECIMAL(10,5)", "DECIMAL(20,2)", "NUMERIC(3)", "NUMERIC(60,30)", "BOOLEAN", "BOOL", "DATE",
    "DATETIME", "TIMESTAMP", "TIMESTAMPTZ", "TIME", "UUID", "JSON", "JSONB", "BLOB", "BYTEA", "VARBINARY(8)", "ANY", "MONEY",
    "POINT", "FLOATING POINT", "CHARINT", "mytype(3, 4)", "timestamp without time zone", "enum('a','b')", "NUMERIC(1000, 400)",
    "NUMERIC(5,9)", "DEC(4,2)", "VARCHAR", "CHAR", "\"quoted type\"", "DATETIME(6)", "VARCHAR(0)", "DECIMAL(0,0)", "DECIMAL(39,0)",
)  # fmt: skip


def _sqlite_value(draw: Draw) -> str:
    wild = ("''", "x''", "x'00ff'", "9e999", "-9e999", "'1e400'", "'0x10'", "' 12 '", "'12abc'", "'١٢'", "1e21", "0.1 + 0.2", "-0.0", "CAST(x'61ff' AS TEXT)",
            "'a' || char(0) || 'b'", "9007199254740993", "9007199254740993.0", "'9007199254740993'", "'2024-02-30'", "'12:00'", "'now'", "2460310.5",
            "'2024-01-01T10:00:00Z'", "'2024-01-01 10:00:00.1234567'", "'2024-01-01 10:00'", "'2024-1-1'", "'0000-01-01'", "'-0001-01-01'", "'10000-01-01'",
            "'24:00:00'", "'23:59:60'", "'{\"a\": 1}'", "'{a: 1}'", "'[1,]'", "'NaN'", "'Infinity'", "'1_000'", "'1.'", "'.5'", "'+5'", "'true'", "'t'", "'YES'",
            "'{6ba7b810-9dad-11d1-80b4-00c04fd430c8}'", "'6ba7b8109dad11d180b400c04fd430c8'", "jsonb('{\"a\": [1, null]}')", "'2024-01-01 10:00:00+25:00'",
            "'2024-01-01 10:00:00-00:30'", "'2024-01-01 24:00:00'", "'2024-12-31 23:59:60'", "'1.10'", "'1e2'", "'-0'", "1e15 + 0.3", "0.1", "12.345", "123456789012345678")  # fmt: skip
    text, kind = draw.text(), draw.random.randint(0, 9)
    if kind <= 3:
        return draw.one(wild)
    if kind == 4:
        return str(draw.integer(1 - 2**63, 2**63 - 1))
    if kind == 5:
        return repr(draw.real())
    if kind == 6:
        return quoted(
            draw.one(
                (
                    draw.day().isoformat(),
                    draw.moment(),
                    draw.clock(),
                    draw.moment() + draw.one(("Z", "+02:00", "-0530")),
                )
            )
        )
    if kind == 7:
        return f"x'{draw.hexadecimal(20)}'"
    return quoted(draw.decimal(25, 10)) if kind == 8 else quoted(text)


def sqlite(draw: Draw) -> Iterator[tuple[str, list[str]]]:
    """Declared types, each with whatever stands in SQLite's cells."""
    while True:
        yield draw.one(_DECLARED), [_sqlite_value(draw) for _ in range(8)]


# -- DuckDB: literals of its own, nested ones too
def _duck_text(draw: Draw) -> str:
    return quoted(draw.text())


def _duck(draw: Draw, depth: int) -> tuple[str, Callable[[], str]]:
    precision = draw.random.randint(1, 38)
    scale = draw.random.randint(0, precision)
    whole = {"tinyint": (-(2**7), 2**7 - 1), "smallint": (-(2**15), 2**15 - 1), "integer": (-(2**31), 2**31 - 1), "bigint": (-(2**63), 2**63 - 1),
             "hugeint": (-(2**127), 2**127 - 1), "utinyint": (0, 255), "usmallint": (0, 65535), "uinteger": (0, 2**32 - 1), "ubigint": (0, 2**64 - 1),
             "uhugeint": (0, 2**128 - 1)}  # fmt: skip
    if depth and draw.random.random() < 0.35:
        return _duck_nested(draw, depth)
    if draw.random.random() < 0.3:
        name = draw.one(list(whole))
        return name, lambda: f"'{draw.integer(*whole[name])}'"
    bc = ("infinity", "-infinity", "0044-03-15 (BC)", "0001-01-01", "290000-01-01")
    found: list[tuple[str, Callable[[], str]]] = [
        ("boolean", lambda: draw.one(("true", "false"))),
        (f"decimal({precision},{scale})", lambda: quoted(draw.decimal(precision, scale))),
        ("float", lambda: quoted(draw.one((repr(draw.real(True)), "nan", "inf", "-inf")))),
        ("double", lambda: quoted(draw.one((repr(draw.real()), repr(draw.real()), "nan", "-inf")))),
        ("varchar", lambda: _duck_text(draw)), ("varchar collate nocase", lambda: _duck_text(draw)),
        ("blob", lambda: f"unhex('{draw.hexadecimal(30)}')"),
        ("bit", lambda: quoted(_bits(draw, draw.random.randint(1, 70)))),
        ("date", lambda: quoted(draw.one((draw.day().isoformat(), draw.day().isoformat(), draw.one(bc))))),
        ("time", lambda: quoted(draw.one((draw.clock(), "24:00:00")))),
        ("time_ns", lambda: quoted(draw.clock() + draw.one(("", "001")))),
        ("timetz", lambda: quoted(draw.clock() + draw.zone())),
        *((name, lambda: quoted(draw.one((draw.moment(), draw.moment(), draw.one(bc))))) for name in ("timestamp", "timestamptz", "timestamp_s", "timestamp_ms", "timestamp_ns")),
        ("interval", lambda: f"INTERVAL '{draw.integer(-9999, 9999)} months {draw.integer(-9999, 9999)} days {draw.integer(-(10**12), 10**12)} microseconds'"),
        ("uuid", lambda: quoted(str(uuid.UUID(bytes=draw.random.randbytes(16))))),
        ("json", lambda: quoted(_json(draw))),
        ("bignum", lambda: quoted(str(draw.integer(-(10**80), 10**80)))),
        ("enum('a', 'b,c', 'it''s', '\"', '🎉', '')", lambda: draw.one(("'a'", "'b,c'", "'it''s'", "'\"'", "'🎉'", "''"))),
    ]  # fmt: skip
    return draw.one(found)


def _duck_nested(draw: Draw, depth: int) -> tuple[str, Callable[[], str]]:
    inner, make = _duck(draw, depth - 1)
    other, make_other = _duck(draw, depth - 1)
    inner, other = inner.replace(" collate nocase", ""), other.replace(" collate nocase", "")
    either = lambda make: draw.one(("NULL", f"{make()}", f"{make()}"))  # noqa: E731
    count = draw.random.randint(0, 3)
    return draw.one((
        (f"{inner}[]", lambda: "[" + ", ".join(either(make) for _ in range(draw.random.randint(0, 3))) + f"]::{inner}[]"),
        (f"{inner}[{count + 1}]", lambda: "[" + ", ".join(either(make) for _ in range(count + 1)) + f"]::{inner}[{count + 1}]"),
        (f'struct(a {inner}, "b ""c" {other})', lambda: f"row({either(make)}, {either(make_other)})"),
        (f"map(varchar, {inner})", lambda: f"map([{_duck_text(draw)}], [{either(make)}::{inner}])"),
        (f"union(a {inner}, b {other})", lambda: f"union_value(a := {make()}::{inner})"),
    ))  # fmt: skip


def duckdb(draw: Draw) -> Iterator[tuple[str, list[str]]]:
    """Declared types, each with literals of it."""
    while True:
        ddl, make = _duck(draw, 2)
        yield ddl, [make() for _ in range(8)]
