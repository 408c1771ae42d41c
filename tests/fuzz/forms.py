"""Expressions and aggregates whose answer PostgreSQL defines: none raises, none depends on the order of rows."""

from __future__ import annotations

from connectors.types import PgType
from tests.differential import forms
from tests.differential.scalars import Ref

# Over values at the edge of their types these raise, and which row is met first is nobody's promise.
_RAISING = frozenset(
    ("{0} + 1", "-{0}", "{0} * 2::bigint", "{0}::numeric(38, 1)", "{0} - date '2024-01-01'", "{0} % 7::numeric")
)
_INTEGER = (
    *("{0}::numeric * 3", "{0}::numeric + 1", "(CASE WHEN {0} = 0 THEN NULL ELSE 100 / {0} END)", "{0}::float8"),
    *("sign({0}::numeric)", "coalesce({0}::text, 'none')", "{0}::numeric(30, 2)", "to_char({0}, 'FM999')"),
    *(
        "(CASE {0} WHEN 1 THEN 'one' WHEN 2 THEN 'two' END)",
        "least({0}, 3)",
        "{0}::int8 / 2 + 1",
        "10 % nullif({0}, 0)",
    ),
    *("{0} = ANY (ARRAY[1, 2, 7])", "({0} IN (1, 2, NULL))", "({0} NOT IN (1, NULL))", "({0} IS DISTINCT FROM 2)"),
)
_FLOAT = (
    *(
        "abs({0})",
        "coalesce({0}, 0)",
        "{0}::text",
        "({0} > 1)",
        "({0} = 'NaN')",
        "floor({0})",
        "round({0})",
        "trunc({0})",
    ),
    *("({0} IS NULL)", "{0}::float8", "greatest({0}, 1)", "({0} BETWEEN -1 AND 2.5)"),
)
_MORE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("int2", "int4", "int8"), _INTEGER),
    "numeric": ("{0}::float8", "sqrt(abs({0}))", "width_bucket({0}, 0, 10, 4)", "scale({0})", "trim_scale({0})"),
    **dict.fromkeys(("float4", "float8"), _FLOAT),
    **dict.fromkeys(
        ("text", "varchar", "bpchar"),
        (
            *('{0} COLLATE "C"', "strpos({0}, 'a')", "lpad({0}, 2)", "({0} ~ '^a')", "({0} SIMILAR TO 'a%')"),
            *("({0} LIKE '%\\%' ESCAPE '\\')", "({0} IN ('a', NULL))", "translate({0}, 'ab', 'ba')", "({0} > 'B')"),
            *("({0} NOT LIKE 'a%')", "({0} ILIKE 'A%')", "substring({0} FROM 2)", "btrim({0}, ' a')"),
        ),
    ),
    "date": (
        *("({0} >= date '2024-01-01' AND {0} < date '2024-05-01')", "date_trunc('year', {0})", "{0} - 7"),
        *("({0} BETWEEN '2024-01-01' AND '2024-12-31')", "isfinite({0})", "extract(quarter FROM {0})"),
        *("({0} < current_date)", "({0} <= now())"),
    ),
    **dict.fromkeys(
        ("timestamptz", "timestamp"),
        (
            *("date_trunc('year', {0})", "({0} < now())", "date_trunc('hour', {0})", "to_char({0}, 'YYYY-MM-DD')"),
            *("({0} < '2024-05-01')", "extract(dow FROM {0})", "{0} - interval '24 hours'", "date_part('week', {0})"),
            *("{0}::timestamp", "date_bin('15 minutes', {0}, '2001-01-01')", "({0} >= date '2024-01-01')"),
        ),
    ),
    "interval": (
        "{0}::text",
        "({0} * 2)",
        "({0} = interval '1 month')",
        "extract(epoch FROM {0})",
        "justify_days({0})",
    ),
    "jsonb": ("({0} ->> 'p')", "({0} -> 'q' -> 0)", "jsonb_typeof({0})", "{0}::text", "({0} @> '{{\"p\": 1}}')"),
    "_int4": ("cardinality({0})", "({0})[1]", "(3 = ANY ({0}))", "array_to_string({0}, ',', '-')", "({0} && ARRAY[1])"),
    "_text": ("cardinality({0})", "({0})[2]", "('a' = ANY ({0}))", "array_to_string({0}, ',', '-')"),
}
SAFE: dict[str, tuple[str, ...]] = {
    kind: (*(f for f in forms.FORMS.get(kind, ()) if f not in _RAISING), *_MORE.get(kind, ()))
    for kind in {*forms.FORMS, *_MORE}
}
# One kind of error each, at the first row that has a value; only in a select list that all rows reach.
RAISING: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("int2", "int4", "int8"), ("1 / ({0} - {0})", "{0} % 0", "('x' || {0}::text)::int")),
    "numeric": ("1 / ({0} * 0)", "ln(-abs({0}) - 1)", "{0}::text::date"),
    **dict.fromkeys(("text", "varchar"), ("('x' || {0})::int", "substring({0}, 1, -1)", "chr(0 * length({0}))")),
    "date": ("to_timestamp({0}::text, 'YYYY-MM')::text::int", "({0}::text || 'z')::date"),
}
# Wrong on their face, so raised when the statement is analysed.
MALFORMED = (
    *("SELECT {0} FROM {1} WHERE nothing = 1", "SELECT {0}, count(*) FROM {1}", "SELECT no_function({0}) FROM {1}"),
    *("SELECT sum({0}::text) FROM {1}", "SELECT {0} FROM {1} WHERE {0}", "SELECT {0} FROM {1} GROUP BY 7"),
    *("SELECT {0} FROM {1} LIMIT -1", "SELECT {0} FROM {1} WHERE (SELECT 1, 2) = 1", "SELECT 1 / 0, {0} FROM {1}"),
    *(
        "SELECT 'x'::int, {0} FROM {1}",
        "SELECT {0} FROM {1} UNION SELECT 1, 2",
        "SELECT (SELECT {0} FROM {1}) FROM {1}",
    ),
    *("SELECT {0} FROM {1} OFFSET -3", "SELECT * FROM {1} JOIN {1} USING (nothing)", "SELECT {0} FROM missing.table_"),
)
_DISCRETE = (
    "text",
    "varchar",
    "bpchar",
    "bool",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "uuid",
    "int2",
    "int4",
    "int8",
)


def crisp(kind: PgType | None) -> bool:
    """Whether equal values of the type are the same value to the eye."""
    if kind is None or kind.name in ("jsonb", "json", "interval", "float4", "float8", "_numeric"):
        return False
    return kind.name != "numeric" or kind.mod >= 0


def tame(ref: Ref) -> bool:
    """Whether sums of the column's floats are exact, whatever their order."""
    return all(abs(v) < 1e6 and float(v * 4).is_integer() for v in ref.values if v is not None)


def aggregates(ref: Ref) -> tuple[str, ...]:
    """Aggregates of one column."""
    kind = ref.type
    counts = ("count({0})", "count({0})", "count(*)")
    if kind.name in ("float4", "float8"):
        return (*counts, "sum({0})", "avg({0})", "max({0})") if ref.values and tame(ref) else counts
    if kind.name == "numeric" and not crisp(kind):
        return (*counts, "sum({0})", "avg({0})")
    if not crisp(kind) or kind.name.startswith("_"):
        return counts
    more = ("count(DISTINCT {0})", "array_agg({0} ORDER BY {0} DESC NULLS LAST)", "array_agg(DISTINCT {0})")
    if kind.name in ("bool", "bytea"):
        return (*counts, *more, *(("bool_and({0})", "bool_or({0})", "every({0})") if kind.name == "bool" else ()))
    if kind.name in ("int2", "int4", "int8", "numeric"):
        return (
            *(*counts, *more, "sum({0})", "avg({0})", "sum(DISTINCT {0})", "stddev({0})", "var_pop({0})", "bit_or(7)"),
            *("min({0})", "max({0})", "percentile_disc(0.5) WITHIN GROUP (ORDER BY {0})"),
            *("mode() WITHIN GROUP (ORDER BY {0})", "rank(1) WITHIN GROUP (ORDER BY {0}::numeric)"),
        )
    if kind.name in _DISCRETE and kind.name != "uuid":
        ordered = ("percentile_disc(0.5) WITHIN GROUP (ORDER BY {0})", "mode() WITHIN GROUP (ORDER BY {0} DESC)")
        text = ("string_agg({0}::text, '|' ORDER BY {0}::text COLLATE \"C\")",)
        return (*counts, *more, "min({0})", "max({0})", *ordered, *text)
    return (*counts, *more)
