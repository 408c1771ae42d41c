"""PostgreSQL's own operators and functions that planning knows: over which types, what they give, what may raise.

A signature is an operator's or function's name and its arguments' type names. Names are those of pg_proc and
pg_operator, save that a field stands in the name ("date_trunc month", "extract year"), since it decides what is
computed. Text stands for varchar too: canonical text casts one to the other. A test holds every line against the
catalogs of the canon: the result's type, that the function is strict, and that it is not volatile.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

Signature = tuple[str, ...]


class Overload(NamedTuple):
    """`result`: a type's name. `raises`: whether some values of these types are an error."""

    result: str
    raises: bool


INTEGERS = ("int2", "int4", "int8")
# What depends on the session's time zone carries this mark, until planning knows that the zone is UTC.
ZONED = " by zone"

DATE_FIELDS = ("century", "day", "decade", "dow", "doy", "isodow", "isoyear", "millennium", "month", "quarter",
               "week", "year")  # fmt: skip
TIME_FIELDS = ("hour", "microseconds", "milliseconds", "minute", "second")
TRUNCATIONS = ("microseconds", "milliseconds", "second", "minute", "hour", "day", "week", "month", "quarter", "year",
               "decade", "century", "millennium")  # fmt: skip

# One a line: name, argument types, ->, result; ! where it may raise. `int` is each integer type, and `same` the
# argument's own; a | b are alternatives.
_FUNCTIONS = """
neg int -> same !
neg numeric|float8|float4 -> same
abs int -> same !
abs numeric|float8|float4 -> same
sign|ceil|floor|round|trunc numeric|float8 -> same
round|trunc numeric int4 -> numeric
power numeric numeric -> numeric !
power float8 float8 -> float8 !
sqrt|exp|ln|log numeric|float8 -> same !
cbrt float8 -> float8
degrees|radians float8 -> float8 !
sin|cos|tan|asin|acos|atan float8 -> float8 !
atan2 float8 float8 -> float8
pi -> float8
log numeric numeric -> numeric !
div numeric numeric -> numeric !
gcd|lcm int4|int8 same -> same !
+|-|* numeric numeric -> numeric !
/|% numeric numeric -> numeric !
+|-|*|/ float8 float8 -> float8 !
+|-|*|/ float4 float4 -> float4 !
+|-|*|/ float4 float8 -> float8 !
+|-|*|/ float8 float4 -> float8 !
& int same -> same
bit_or int same -> same
# int same -> same
~ int -> same
<<|>> int int4 -> same
+ date int4 -> date !
+ int4 date -> date !
- date int4 -> date !
- date date -> int4 !
+|- date interval -> timestamp !
+|- timestamp interval -> timestamp !
- timestamp timestamp -> interval !
- timestamptz timestamptz -> interval !
+|- interval interval -> interval !
* interval float8 -> interval !
lower|upper|initcap|reverse|md5 text -> text
length text|bpchar|bytea -> int4
octet_length text|bpchar|bytea -> int4
bit_length text|bytea -> int4
ascii text -> int4
chr int4 -> text !
|| text text -> text !
substring text int4 -> text
substring text int4 int4 -> text !
substring text text -> text !
left|right text int4 -> text
strpos text text -> int4
replace text text text -> text !
translate text text text -> text !
btrim|ltrim|rtrim text -> text
btrim|ltrim|rtrim text text -> text
lpad|rpad text int4 -> text !
lpad|rpad text int4 text -> text !
repeat text int4 -> text !
split_part text text int4 -> text !
starts_with text text -> bool
to_hex int4|int8 -> text
regexp_replace text text text -> text !
regexp_replace text text text text -> text !
regexp_like text text -> bool !
regexp_count text text -> int4 !
regexp_substr text text -> text !
similar_to_escape text -> text !
like_escape text text -> text !
~|~*|!~|!~* text text -> bool !
encode bytea text -> text !
decode text text -> bytea !
to_char timestamp|interval|numeric|int4|int8|float8 text -> text !
to_date text text -> date !
make_date int4 int4 int4 -> date !
make_timestamp int4 int4 int4 int4 int4 float8 -> timestamp !
age timestamp timestamp -> interval !
date_bin interval timestamp timestamp -> timestamp !
isfinite date|timestamp|timestamptz -> bool
justify_days|justify_hours interval -> interval !
timezone_utc timestamp -> timestamptz !
timezone_utc timestamptz -> timestamp !
-> jsonb|json text -> same
-> jsonb|json int4 -> same
->> jsonb|json text -> text
->> jsonb|json int4 -> text
#> jsonb|json _text -> same
#>> jsonb|json _text -> text
@> jsonb jsonb -> bool
? jsonb text -> bool
jsonb_typeof jsonb -> text
jsonb_array_length jsonb -> int4 !
"""


def _kinds(word: str, same: str = "") -> list[str]:
    return (
        [same] if word == "same" else [k for part in word.split("|") for k in (INTEGERS if part == "int" else (part,))]
    )


def _line(line: str) -> Iterable[tuple[Signature, Overload]]:
    head, _, tail = line.rpartition(" -> ")
    result, raises = tail.split()[0], tail.endswith("!")
    names, *rest = head.split()
    for name in ("||",) if names == "||" else names.split("|"):
        for first in _kinds(rest[0]) if rest else ("",):
            args = [first] if rest else []
            for word in rest[1:]:
                args += _kinds(word, first)
            yield (name, *args), Overload(first if result == "same" else result, raises)


def _arithmetic() -> Iterable[tuple[Signature, Overload]]:
    for a, left in enumerate(INTEGERS):
        for b, right in enumerate(INTEGERS):
            for op in ("+", "-", "*", "/", "%"):
                yield (op, left, right), Overload(INTEGERS[max(a, b)], True)


def _fields() -> Iterable[tuple[Signature, Overload]]:
    for name, result in (("extract", "numeric"), ("date_part", "float8")):
        for field in (*DATE_FIELDS, "epoch"):
            yield (f"{name} {field}", "date"), Overload(result, False)
        for field in (*DATE_FIELDS, *TIME_FIELDS, "epoch"):
            yield (f"{name} {field}", "timestamp"), Overload(result, False)
            yield (f"{name} {field}", "timestamptz"), Overload(result, False)
        for field in (*TIME_FIELDS, "epoch"):
            yield (f"{name} {field}", "time"), Overload(result, False)
        for field in (*TIME_FIELDS, "epoch", "day", "month", "year"):
            yield (f"{name} {field}", "interval"), Overload(result, False)
    for field in TRUNCATIONS:
        yield (f"date_trunc {field}", "timestamp"), Overload("timestamp", True)
        yield (f"date_trunc {field}", "timestamptz"), Overload("timestamptz", True)


# Casts by (source, target): whether some value may be refused. A target with a modifier may round or cut.
CASTS: dict[tuple[str, str], bool] = {
    **{(a, b): INTEGERS.index(a) > INTEGERS.index(b) for a in INTEGERS for b in INTEGERS},
    **{(a, b): False for a in INTEGERS for b in ("numeric", "float8", "float4", "text")},
    **{("numeric", b): True for b in (*INTEGERS, "float8", "float4")},
    **{(a, b): True for a in ("float8", "float4") for b in INTEGERS},
    ("numeric", "numeric"): True, ("numeric", "text"): False, ("float8", "numeric"): False,
    ("float4", "numeric"): False, ("float4", "float8"): False, ("float8", "float4"): True,
    ("float8", "float8"): False, ("float4", "float4"): False, ("float8", "text"): False, ("float4", "text"): False,
    ("text", "text"): False, ("bpchar", "text"): False, ("text", "bpchar"): False, ("bpchar", "bpchar"): False,
    ("bool", "text"): False, ("bool", "int4"): False, ("int4", "bool"): False, ("bool", "bool"): False,
    ("date", "timestamp"): True, ("timestamp", "date"): False, ("date", "text"): False, ("timestamp", "text"): False,
    ("date", "date"): False, ("timestamp", "timestamp"): False, ("timestamptz", "timestamptz"): False,
    ("timestamp", "time"): False, ("time", "text"): False, ("time", "time"): False, ("uuid", "text"): False,
    ("uuid", "uuid"): False, ("interval", "text"): False, ("jsonb", "text"): False, ("json", "text"): False,
    ("date", "timestamptz"): True, ("timestamptz", "date"): False, ("timestamp", "timestamptz"): True,
    ("timestamptz", "timestamp"): False, ("timestamptz", "text"): False, ("timestamptz", "time"): False,
    **{("text", b): True for b in (*INTEGERS, "numeric", "float8", "date", "timestamp", "bool", "uuid")},
}  # fmt: skip
ZONED_CASTS = frozenset(
    (("date", "timestamptz"), ("timestamptz", "date"), ("timestamp", "timestamptz"), ("timestamptz", "timestamp"),
     ("timestamptz", "text"), ("timestamptz", "time"))
)  # fmt: skip

OVERLOADS: dict[Signature, Overload] = dict(
    (
        *(pair for line in _FUNCTIONS.strip().splitlines() for pair in _line(line)),
        *_arithmetic(),
        *_fields(),
    )
)
# Names that `PostgreSQL` has twice, as the one that stands for both here.
SAME = {
    "ceiling": "ceil", "char_length": "length", "character_length": "length", "substr": "substring", "mod": "%",
    "pow": "power", "^": "power", "^@": "starts_with", "position": "strpos",
}  # fmt: skip

# Always NULL where one argument is, besides all of OVERLOADS.
_STRICT_OPERATORS = frozenset("= <> < <= > >= like notlike ilike notilike cast not".split())
STRICT = frozenset(op for op, *_ in OVERLOADS) | _STRICT_OPERATORS
# Never an error for any values, given arguments that are none.
HARMLESS = frozenset(
    "= <> < <= > >= and or not in notin any like notlike ilike notilike case coalesce nullif greatest least".split()
) | {"is null", "is not null", "is true", "is false", "is not true", "is not false", "is distinct", "is not distinct"}
VARIADIC = frozenset(("concat", "concat_ws"))

# Aggregates of one argument: name -> argument -> result; `same` as above.
AGGREGATES: dict[tuple[str, str], str] = {
    **{(name, kind): "numeric" for name in ("avg",) for kind in (*INTEGERS, "numeric")},
    ("sum", "int2"): "int8", ("sum", "int4"): "int8", ("sum", "int8"): "numeric", ("sum", "numeric"): "numeric",
    ("sum", "float8"): "float8", ("sum", "float4"): "float4", ("avg", "float8"): "float8", ("avg", "float4"): "float8",
    ("sum", "interval"): "interval", ("avg", "interval"): "interval",
    ("bool_and", "bool"): "bool", ("bool_or", "bool"): "bool",
    **{(name, kind): kind for name in ("bit_and", "bit_or", "bit_xor") for kind in INTEGERS},
    **{
        (name, kind): "numeric" if kind in (*INTEGERS, "numeric") else "float8"
        for name in ("stddev_samp", "stddev_pop", "var_samp", "var_pop")
        for kind in (*INTEGERS, "numeric", "float8", "float4")
    },
    **{
        (name, kind): kind
        for name in ("min", "max")
        for kind in (*INTEGERS, "numeric", "float8", "float4", "text", "bpchar", "date", "timestamp", "timestamptz",
                     "time", "interval")
    },
}  # fmt: skip
AGGREGATE_SAME = {"every": "bool_and", "stddev": "stddev_samp", "variance": "var_samp"}


def result(op: str, names: Iterable[str]) -> str | None:
    """The name of the result's type; None where no such operator is known here."""
    found = OVERLOADS.get((op.removesuffix(ZONED), *names))
    return found.result if found is not None else None
