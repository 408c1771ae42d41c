"""PostgreSQL's types, and the one Arrow type in which each travels between our parts.

The Arrow forms are a contract that connectors, merge engines and encoders share:

=====================  =======================================================================
PostgreSQL             Arrow
=====================  =======================================================================
bool                   bool
int2 / int4 / int8     int16 / int32 / int64
oid                    int64
float4 / float8        float32 / float64
numeric(p,s), p<=38    decimal128(p, s) when 0 <= s <= p
numeric (others)       string: PostgreSQL's own text ("NaN" and "Infinity" included)
text varchar bpchar    string; bpchar(n) is padded with blanks to n characters, as PostgreSQL has it
bytea                  binary
date                   date32; 'infinity' is 2**31-1, '-infinity' is -(2**31-1)
timestamp              timestamp[us]; infinities are +-(2**63-1)
timestamptz            timestamp[us, tz=UTC]; infinities as above
time                   time64[us] ('24:00:00' is 86_400_000_000)
uuid                   string, canonical lower-case text
anything else          string: PostgreSQL's own text output (interval with IntervalStyle=postgres,
                       json, jsonb, arrays, inet, ranges, enums as text ...)
=====================  =======================================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import pyarrow as pa

# typname -> (oid, oid of its array, name as format_type prints it); from pg_type, where built-in oids are fixed.
BUILTIN: dict[str, tuple[int, int, str]] = {
    "bool": (16, 1000, "boolean"),
    "bytea": (17, 1001, "bytea"),
    "char": (18, 1002, '"char"'),
    "name": (19, 1003, "name"),
    "int8": (20, 1016, "bigint"),
    "int2": (21, 1005, "smallint"),
    "int4": (23, 1007, "integer"),
    "text": (25, 1009, "text"),
    "oid": (26, 1028, "oid"),
    "json": (114, 199, "json"),
    "xml": (142, 143, "xml"),
    "float4": (700, 1021, "real"),
    "float8": (701, 1022, "double precision"),
    "unknown": (705, 0, "unknown"),
    "money": (790, 791, "money"),
    "macaddr": (829, 1040, "macaddr"),
    "inet": (869, 1041, "inet"),
    "cidr": (650, 651, "cidr"),
    "bpchar": (1042, 1014, "character"),
    "varchar": (1043, 1015, "character varying"),
    "date": (1082, 1182, "date"),
    "time": (1083, 1183, "time without time zone"),
    "timestamp": (1114, 1115, "timestamp without time zone"),
    "timestamptz": (1184, 1185, "timestamp with time zone"),
    "interval": (1186, 1187, "interval"),
    "timetz": (1266, 1270, "time with time zone"),
    "bit": (1560, 1561, "bit"),
    "varbit": (1562, 1563, "bit varying"),
    "numeric": (1700, 1231, "numeric"),
    "uuid": (2950, 2951, "uuid"),
    "jsonb": (3802, 3807, "jsonb"),
}

_SIMPLE: dict[str, pa.DataType] = {
    "bool": pa.bool_(),
    "bytea": pa.binary(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "oid": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True)
class PgType:
    """One PostgreSQL type: `name` is pg_type.typname ("int4", "_text" for text[]), `mod` its typmod (-1: none)."""

    name: str
    mod: int = -1
    oid: int = 0

    @property
    def sql(self) -> str:
        """The type as SQL prints it, e.g. numeric(10,2)."""
        if self.name.startswith("_"):
            return PgType(self.name[1:], self.mod).sql + "[]"
        text = BUILTIN[self.name][2] if self.name in BUILTIN else f'"{self.name}"'
        if self.mod < 0:
            # "character" and "bit" alone mean one of them; the quoted names mean any length
            return f'"{self.name}"' if self.name in ("bpchar", "bit") else text
        if self.name in ("bit", "varbit"):
            return f"{text}({self.mod})"
        if self.name == "numeric":
            precision, scale = self.precision_scale
            return f"numeric({precision},{scale})"
        if self.name in ("varchar", "bpchar"):
            return f"{text}({self.mod - 4})"
        if self.name in ("timestamp", "timestamptz", "time", "timetz"):
            head, _, tail = text.partition(" ")
            return f"{head}({self.mod}) {tail}"
        return text

    @property
    def precision_scale(self) -> tuple[int, int]:
        """Precision and scale of a numeric that has a typmod."""
        bits = self.mod - 4
        scale = bits & 0x7FF
        return (bits >> 16) & 0xFFFF, scale - 2048 if scale > 1024 else scale

    @property
    def type_oid(self) -> int:
        """pg_type.oid; built-in types know theirs by name."""
        if self.oid:
            return self.oid
        if self.name.startswith("_"):
            return BUILTIN[self.name[1:]][1]
        return BUILTIN[self.name][0]

    @property
    def array(self) -> PgType:
        """The array type of this type, without typmod."""
        return PgType("_" + self.name)

    @property
    def bare(self) -> PgType:
        """The same type without its typmod."""
        return self if self.mod < 0 else PgType(self.name, -1, self.oid)

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type in which values of this type travel; see the table above."""
        return _arrow(self.name, self.mod)


@cache
def _arrow(name: str, mod: int) -> pa.DataType:
    if name == "numeric" and mod >= 0:
        precision, scale = PgType(name, mod).precision_scale
        if precision <= 38 and 0 <= scale <= precision:
            return pa.decimal128(precision, scale)
    return _SIMPLE.get(name, pa.string())


def numeric(precision: int, scale: int) -> PgType:
    """numeric(precision, scale)."""
    return PgType("numeric", ((precision << 16) | (scale & 0x7FF)) + 4)


def varchar(length: int) -> PgType:
    """character varying(length)."""
    return PgType("varchar", length + 4)


def bpchar(length: int) -> PgType:
    """character(length)."""
    return PgType("bpchar", length + 4)


_SPELLED = {full: name for name, (_, _, full) in BUILTIN.items()} | {
    "int": "int4", "decimal": "numeric", "string": "text", "float": "float8", "double": "float8", "char": "bpchar",
    "timestamp with time zone": "timestamptz", "datetime": "timestamp",
}  # fmt: skip
_SPELLING = re.compile(r"([a-z_0-9 ]+?)\s*(?:\(\s*(\d+)\s*(?:,\s*(-?\d+)\s*)?\))?\s*(\[\])?")


def named(text: str) -> PgType | None:
    """The type that a person means by its name in SQL, or by a common other; None for a name that is none.

    >>> named("numeric(10,2)").sql, named("varchar(40)").sql, named("text[]").sql
    ('numeric(10,2)', 'character varying(40)', 'text[]')
    """
    match = _SPELLING.fullmatch(text.strip().lower())
    if match is None:
        return None
    name = _SPELLED.get(match[1], match[1])
    if name not in BUILTIN:
        return None
    mod = -1 if match[2] is None else _mod(name, int(match[2]), match[3])
    return None if mod is None else PgType(("_" if match[4] else "") + name, mod)


def known(text: str) -> PgType:
    """`named`, of a name that was checked; ValueError for any other."""
    found = named(text)
    if found is None:
        raise ValueError(f"{text} is no type")
    return found


def _mod(name: str, first: int, second: str | None) -> int | None:
    if name == "numeric":
        return numeric(first, int(second or 0)).mod
    if name in ("varchar", "bpchar") and second is None:
        return first + 4
    return first if name in ("bit", "varbit") and second is None else None
