"""Expressions of one argument by the kind of column, for random queries: `{0}` stands for the argument."""

from __future__ import annotations

from connectors.types import PgType

TEXT = (
    *("upper({0})", "lower({0})", "length({0})", "coalesce({0}, '?')", "{0} || '!'", "left({0}, 2)", "nullif({0}, '')"),
    *("right({0}, 2)", "substr({0}, 2, 2)", "position('a' IN {0})", "replace({0}, 'a', 'Z')", "trim({0})", "md5({0})"),
    *(
        "initcap({0})",
        "{0}::char(4)",
        "{0}::varchar(2)",
        "concat({0}, '-', {0})",
        "{0} = 'a'",
        "{0} < 'b'",
        "{0}::text",
    ),
    *(
        "{0} LIKE 'a%'",
        "ascii({0})",
        "reverse({0})",
        "split_part({0}, ' ', 1)",
        "octet_length({0})",
        "rpad({0}, 3, '*')",
    ),
    *("({0} IN ('a', 'B', 'é'))", "repeat({0}, 2)", "({0} IS NULL)", "regexp_replace({0}, '[aeiou]', '', 'g')"),
)
INTEGER = (
    *(
        "{0} + 1",
        "{0} % 7",
        "{0}::text",
        "{0}::numeric / 3",
        "-{0}",
        "abs({0}::numeric)",
        "{0} = 3",
        "{0} / 2",
        "{0} > 5",
    ),
    *("{0} * 2::bigint", "mod({0}, 5)", "coalesce({0}, 0)", "{0}::int8", "greatest({0}, 3)", "round({0}::numeric, -1)"),
    *("{0} - 1.5", "({0} BETWEEN 2 AND 40)", "nullif({0}, 1)", "{0}::float8 / 4", "{0} & 3"),
)
NUMERIC = (
    *("round({0}, 1)", "{0} * 2", "-{0}", "abs({0})", "coalesce({0}, 0)", "{0} / 3", "ceil({0})", "floor({0})"),
    *("trunc({0}, 1)", "{0}::text", "{0} > 100", "{0}::numeric(38, 1)", "greatest({0}, 10)", "sign({0})", "{0} % 7"),
    *("round({0})", "{0} * 1.5", "{0} + 1", "({0} BETWEEN 0 AND 100)", "nullif({0}, 0)"),
)
DATE = (
    *("{0} + 1", "{0} - date '2024-01-01'", "extract(dow FROM {0})", "extract(week FROM {0})", "{0}::text"),
    *("date_trunc('month', {0})::date", "to_char({0}, 'YYYY-MM')", "{0} + interval '1 month'", "{0}::timestamp"),
    *("{0} > date '2024-03-01'", "extract(year FROM {0})", "date_trunc('week', {0})", "({0} IS NULL)"),
)
INSTANT = (
    *("date_trunc('month', {0})", "date_trunc('week', {0})", "date_trunc('day', {0})", "{0}::date", "{0}::text"),
    *("extract(year FROM {0})", "extract(hour FROM {0})", "extract(second FROM {0})", "extract(epoch FROM {0})"),
    *("{0} AT TIME ZONE 'America/New_York'", "{0} + interval '1 day'", "{0} - interval '1 month'"),
    *("to_char({0}, 'HH24:MI')", "{0} >= '2024-03-10 07:00:00'", "{0}::time", "extract(isodow FROM {0})"),
)
FORMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("text", "varchar", "bpchar"), TEXT),
    **dict.fromkeys(("int2", "int4", "int8"), INTEGER),
    **dict.fromkeys(("timestamptz", "timestamp"), INSTANT),
    "numeric": NUMERIC,
    "date": DATE,
    "bool": ("NOT {0}", "{0}::int", "{0}::text", "({0} IS TRUE)", "coalesce({0}, false)", "{0} = true"),
    "time": ("{0}::text", "extract(hour FROM {0})", "{0} + interval '1 hour'"),
    "uuid": ("{0}::text", "({0} IS NULL)"),
    "bytea": ("length({0})", "encode({0}, 'hex')"),
}
_OF_NUMBERS = ("sum({0})", "avg({0})", "min({0})", "max({0})", "count({0})", "sum(DISTINCT {0})", "stddev({0})")
_OF_TEXT = (
    *("min({0})", "max({0})", "count(DISTINCT {0})", "count({0})", "array_agg({0} ORDER BY {0})"),
    *("string_agg(DISTINCT {0}::text, ',' ORDER BY {0}::text)", "mode() WITHIN GROUP (ORDER BY {0})"),
)
_OF_TIMES = (
    "min({0})",
    "max({0})",
    "count(DISTINCT {0})",
    "count({0})",
    "percentile_disc(0.5) WITHIN GROUP (ORDER BY {0})",
)


def aggregates(kind: PgType) -> tuple[str, ...]:
    """Aggregates of one argument whose answer does not depend on the order of rows."""
    if kind.name in ("int2", "int4", "int8", "numeric"):
        return _OF_NUMBERS
    if kind.name == "bool":
        return ("bool_and({0})", "bool_or({0})", "count({0})", "count(DISTINCT {0})")
    if kind.name in ("text", "varchar", "bpchar"):
        return _OF_TEXT
    return _OF_TIMES if kind.name in ("date", "timestamp", "timestamptz", "time") else ("count({0})",)
