"""Forms of one argument that people seldom write: each defined by PostgreSQL for every value of its type."""
# ruff: noqa: E501 -- a template of SQL reads best on one line

from __future__ import annotations

INTEGER = (
    *("{0} | 5", "{0} # 3", "~ {0}", "{0} >> 1", "to_hex({0}::int8)", "{0} % -3"),
    *("({0} BETWEEN SYMMETRIC 5 AND 1)", "num_nulls({0}, 1)", "{0}::text::int8", "({0} = 1.0)", "({0} < 2.5)"),
    *(
        "({0} = 1e0::float8)",
        "div({0}::numeric, 3)",
        "width_bucket({0}, 0, 10, 5)",
        "{0}::float8::text",
        "{0}::numeric",
    ),
    *(
        "({0} <> ALL (ARRAY[1, 2]))",
        "({0} < ANY ('{{1,5,NULL}}'::int8[]))",
        "{0}::text::varchar(2)",
        "{0}::text::char(3)",
    ),
    *(
        "lpad({0}::text, 4, '0')",
        "array[{0}]",
        "jsonb_build_array({0})",
        "{0}::numeric(40, 2)",
        "({0} IS NOT NULL)::int",
    ),
    *("coalesce({0}, 1.5)", "greatest({0}, 2.5)", "nullif({0}, 1.0)", "CASE WHEN {0} > 1 THEN {0} ELSE 0.5 END"),
)
NUMERIC = (
    *("({0} = 1.00)", "round({0}, -1)", "min_scale({0})", "({0} = 0.1::float8)", "{0} % 0.3", "({0} = 'NaN')"),
    *(
        "to_char({0}, 'FM9990.00')",
        "({0} < 'Infinity'::numeric)",
        "div({0}, 3)",
        "{0} + 0.001",
        "{0} * 1.10",
        "{0} - 1",
    ),
    *("{0} / 7.00", "coalesce({0}, 0.000)", "least({0}, 1)", "{0}::text::numeric", "({0} <> ALL (ARRAY[1, 2.50]))"),
)
FLOAT = (
    *("({0} = -0.0)", "({0} < 'NaN')", "({0} IN ('NaN', 0))", "sign({0})", "- {0}", "{0} * 2", "({0} = 0.1::float4)"),
    *("({0} <> 'Infinity')", "({0} = ANY (ARRAY[0.5, NULL]))", "({0} IS DISTINCT FROM 'NaN')", "nullif({0}, 0)"),
)
TEXT = (
    *('({0} COLLATE "C" < \'b\')', "({0} < 'B' COLLATE \"POSIX\")", "format('%s-%L', {0}, 1)", "quote_literal({0})"),
    *("({0} ~* 'A')", "({0} !~ '[aeiou]$')", "starts_with({0}::text, 'a')", "({0}::text ^@ 'a')", "left({0}, -1)"),
    *("string_to_array({0}, ' ')", "convert_to({0}, 'UTF8')", "char_length({0})", "bit_length({0})", "right({0}, -1)"),
    *("concat_ws('-', {0}, NULL, {0})", "({0} BETWEEN SYMMETRIC 'b' AND 'A')", "greatest({0}, 'b')", "least({0}, 'B')"),
    *("ltrim({0})", "rtrim({0})", "trim(LEADING 'a' FROM {0})", "substring({0} FROM 'a(.)')", "substring({0}, 0, 2)"),
    *("({0} || NULL)", "{0}::char(10)::text", "{0}::name", "({0} = 'a'::char(3))", "({0} = 'a '::varchar)"),
    *("({0} LIKE ANY (ARRAY['a%', '_B']))", "({0} NOT LIKE ALL (ARRAY['a%', 'é_']))", "({0} LIKE '_')", "({0} LIKE '%?%')"),
    *("({0} <> ALL (ARRAY['a', 'B', NULL]))", "({0} = ANY ('{{a,\"a \",ss}}'))", "({0} > ALL (ARRAY['A', 'ä']))"),
    *("({0} LIKE 'a!_%' ESCAPE '!')", "({0} NOT ILIKE '%É%')", "({0} IN (':a', '%s', '?', '%(x)s', '$x', '{{0}}', 'a'))"),
    *("overlay({0} PLACING 'xx' FROM 2 FOR 1)", "({0} = E'a\\nb')", "({0} = U&'\\00e9')", "(lower({0}) = lower('ÁB'))"),
    *("({0} = '')", "(length({0}) = 0)", "(upper({0}) LIKE 'A%')", "(trim({0}) = 'a')", "coalesce(nullif({0}, ''), '-')"),
)  # fmt: skip
BOOL = (
    *("({0} < true)", "({0} IS UNKNOWN)", "({0} = ANY (ARRAY[true, NULL]))", "({0} IN (true, NULL))", "({0} AND NULL)"),
    *("({0} OR NULL)", "({0} IS NOT FALSE)", "({0}::text = 'true')", "(NOT {0} IS TRUE)", "({0} <> false)"),
    *("CASE {0} WHEN true THEN 'y' WHEN false THEN 'n' ELSE '?' END", "{0}::int + 1", "greatest({0}, false)"),
)
DATE = (
    *("({0} BETWEEN SYMMETRIC '2024-05-01' AND '2024-01-01')", "to_char({0}, 'IYYY-IW-ID')", "({0} = ANY (ARRAY[date '2024-02-29', NULL]))"),
    *("extract(isodow FROM {0})", "extract(doy FROM {0})", "extract(century FROM {0})", "date_part('month', {0})"),
    *("extract(isoyear FROM {0})", "({0} < timestamp '2024-02-29 12:00')", "({0} = timestamptz '2024-02-29 00:00+00')"),
    *("date_trunc('quarter', {0})", "date_trunc('decade', {0}::timestamp)", "({0} + time '12:30')", "({0}, {0}) OVERLAPS (date '2024-01-01', date '2024-03-01')"),
    *("{0} - interval '1 day'", "{0} + interval '1 month - 1 day'", "({0} > current_date - 400)", "({0} <> 'infinity')"),
)  # fmt: skip
MOMENT = (
    *("date_trunc('quarter', {0})", "extract(milliseconds FROM {0})", "extract(isoyear FROM {0})", "extract(week FROM {0})"),
    *("extract(julian FROM {0})", "to_char({0}, 'IYYY-IW Day HH12 AM US')", "({0}::date = date '2024-02-29')"),
    *("({0} BETWEEN '2024-01-01' AND '2024-06-30 23:59:59.999999')", "({0} < date '2024-03-01')", "{0}::time > '12:00'"),
    *("{0} - interval '1 month 3 days 04:05:06.5'", "({0} = ANY (ARRAY[timestamp '2024-03-10 07:00', NULL]))"),
    *("date_trunc('second', {0})", "date_trunc('milliseconds', {0})", "{0}::timestamp(0)", "{0}::date + 1"),
    "extract(dow FROM {0})",
    *("({0} AT TIME ZONE 'Asia/Kathmandu')", "({0} AT TIME ZONE 'UTC')::date", "({0} > now() - interval '3 years')"),
    *("date_trunc('month', {0}) = timestamp '2024-03-01'", "(extract(year FROM {0}) = 2024)", "date_part('hour', {0})"),
)  # fmt: skip
FORMS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("int2", "int4", "int8"), INTEGER),
    **dict.fromkeys(("text", "varchar", "bpchar"), TEXT),
    **dict.fromkeys(("float4", "float8"), FLOAT),
    **dict.fromkeys(("timestamp", "timestamptz"), MOMENT),
    "numeric": NUMERIC,
    "bool": BOOL,
    "date": DATE,
    "time": ("({0} < '12:00')", "{0} - time '01:00'", "{0}::interval", "date '2024-01-01' + {0}", "{0}::time(0)"),
    "uuid": (
        *("({0} < '80000000-0000-0000-0000-000000000000')", "({0}::text LIKE '%a%')", "left({0}::text, 3)"),
        "replace({0}::text, '-', '')",
    ),
    "bytea": ("({0} < '\\x61')", "substring({0} FROM 1 FOR 1)", "{0} || '\\x00'", "encode({0}, 'base64')", "md5({0})"),
    "interval": (
        *("{0} + interval '1 day'", "({0} > '30 days')", "justify_interval({0})", "{0} / 2", "- {0}"),
        "extract(hour FROM {0})",
    ),
    "jsonb": (
        *("({0} ? 'p')", "({0} ?| ARRAY['p', 'x'])", "({0} <@ '{{\"p\": 1, \"q\": 2}}')", "({0} #>> '{{q,0}}')"),
        *("jsonb_path_exists({0}, '$.p')", "({0} = '{{\"p\": 1}}')", "({0} ->> 'p' = '1')", "({0} ->> 'p' IS NULL)"),
        *("({0} -> 'p')::text", "jsonb_path_query_first({0}, '$.q[*]')", "({0} -> 'q' ->> 1)", "({0} @@ '$.p == 1')"),
    ),
    "_int4": (
        *("({0} = '{{1,2,3}}')", "{0} || 4", "array_position({0}, 2)", "({0})[1:2]", "({0} @> '{{1}}')", "array_length({0}, 1)"),
        *("({0} < ARRAY[2])", "(2 <> ALL ({0}))", "array_remove({0}, NULL)", "({0} IS NULL)"),
    ),
    "_text": ("({0} = '{{a}}')", "{0} || 'x'::text", "array_position({0}, 'b')", "({0} @> '{{a}}')", "('A' <> ALL ({0}))"),
}  # fmt: skip
# Values that a driver may take for its own marks.
MARKS = ("?", ":a", "%s", "%(x)s", "$x", "{0}", "a?b", "100%%", "--", "/*", "`", '"', "\\", "'")
CASTS = (
    *("text", "varchar(3)", "char(4)", "int2", "int4", "int8", "numeric", "numeric(10,2)", "float4", "float8", "bool"),
    *(
        "date",
        "timestamp",
        "timestamptz",
        "timestamp(0)",
        "time",
        "interval",
        "uuid",
        "bytea",
        "jsonb",
        "text[]",
        "int4[]",
    ),
)
ORDERED = (
    *(
        "percentile_cont(0.5) WITHIN GROUP (ORDER BY {0})",
        "percentile_disc(ARRAY[0.1, 0.9]) WITHIN GROUP (ORDER BY {0})",
    ),
    *("mode() WITHIN GROUP (ORDER BY {0})", "percentile_disc(0.25) WITHIN GROUP (ORDER BY {0} DESC)"),
)
