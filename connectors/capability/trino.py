"""Trino: exact on integers, decimals up to 38 digits, binary text and times in UTC; its own ways are written around.

Missing on purpose: division and averages of decimals (other scales), arithmetic of floats (infinite where PostgreSQL
has an error), rounding of floats, sums with intervals, LIKE with a pattern that is no constant (another escape).
GROUPING SETS, which are over columns alone there. Columns of timestamps finer than microseconds are for the connector
to call inexact.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from connectors.capability.rules import (
    ALWAYS,
    BAGS,
    BYTES_ONLY,
    COMPARISONS,
    RELATIONAL,
    SET_OPERATIONS,
    Arg,
    Build,
    Capability,
    Rule,
    Signature,
    V,
    aggregate,
    alike,
    binary,
    case,
    coalesce,
    compare,
    counts,
    decimal,
    equal_scales,
    fits,
    function,
    identities,
    like_escaped,
    logic,
    membership,
    no_membership,
    not_empty,
    nulls_ordered,
    padding,
    texts,
    wrap,
)

DIGITS = 38
_PLAIN = ("int", "date", "timestamp", "timestamptz", "time", "bool", "uuid", "bytea")
_TYPES = (*_PLAIN, "numeric", "text")
_SORTED = ("int", "numeric", "date", "timestamp", "timestamptz", "time", "text")
_UTC = "({0} AT TIME ZONE 'UTC')"


def _by_bytes(kind: str) -> tuple[V, V, V]:
    return BYTES_ONLY if kind == "text" else ALWAYS


def template(text: str) -> Build:
    """SQL with {0}, {1} ... for the arguments."""
    return lambda args: exp.Paren(this=exp.Var(this=text.format(*(wrap(a).sql("trino") for a in args))))


_alike = alike(DIGITS)


def _one_scale(args: Sequence[Arg]) -> str:
    return equal_scales(args) or _alike([a for a in args if not a.null])


def _pattern(args: Sequence[Arg]) -> str:
    """A constant pattern whose escapes stand before %, _ and themselves, else Trino has an error."""
    text = args[1].literal
    if text is None:
        return "no constant pattern"
    at = 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
            if text[at : at + 1] not in ("%", "_", "\\"):
                return "a pattern that escapes what needs none"
        at += 1
    return ""


def _finite(args: Sequence[Arg]) -> str:
    constants = all(a.literal not in (None, "NaN") for a in args[1:])
    return "" if constants else "a list of floats that may have NaN"


def _divisor(args: Sequence[Arg]) -> str:
    """The least smallint and integer by -1 are an error only where the value leaves Trino."""
    return "" if args[1].literal not in (None, "-1") else "a divisor that may be -1"


# PostgreSQL's NaN equals itself and is above all numbers.
_NAN = "is_nan({0})", "is_nan({1})"
_FLOATS = {
    "=": f"{{0}} = {{1}} OR ({_NAN[0]} AND {_NAN[1]})",
    "<>": f"NOT ({{0}} = {{1}} OR ({_NAN[0]} AND {_NAN[1]}))",
    "<": f"{{0}} < {{1}} OR ({_NAN[1]} AND NOT {_NAN[0]})",
    "<=": f"{{0}} <= {{1}} OR ({_NAN[1]} AND {{0}} IS NOT NULL)",
    ">": f"{{0}} > {{1}} OR ({_NAN[0]} AND NOT {_NAN[1]})",
    ">=": f"{{0}} >= {{1}} OR ({_NAN[0]} AND {{1}} IS NOT NULL)",
}


def _any(args: Sequence[exp.Expr]) -> exp.Expr:
    """The driver writes the keys out as a list."""
    return exp.In(this=wrap(args[0]), expressions=[args[1]])


def _extreme(name: str) -> Build:
    """GREATEST and LEAST leave NULLs out, Trino's are NULL then."""
    own = {"greatest": "array_max", "least": "array_min"}[name]

    def build(args: Sequence[exp.Expr]) -> exp.Expr:
        listed = ", ".join(a.sql("trino") for a in args)
        return exp.Var(this=f"{own}(filter(ARRAY[{listed}], x -> x IS NOT NULL))")

    return build


def _comparisons() -> dict[Signature, Rule]:
    rules = logic() | identities() | compare(_PLAIN) | texts(BYTES_ONLY)
    for op in ("like", "notlike"):
        rules[op, "text", "text"] = Rule(like_escaped(op), BYTES_ONLY, guard=_pattern, note="a constant pattern")
    for op in COMPARISONS:
        rules[op, "numeric", "numeric"] = Rule(binary(op), guard=_alike, note="up to 38 digits")
        rules[op, "float", "float"] = Rule(template(_FLOATS[op]), note="is_nan")
        for pair in (("date", "timestamp"), ("timestamp", "date")):
            rules[op, *pair] = Rule(binary(op))
    for name, build in (("in", membership), ("notin", no_membership)):
        rules[name, "numeric", "..."] = Rule(build, guard=_alike, note="up to 38 digits")
        rules[name, "float", "..."] = Rule(build, guard=_finite, note="of constants other than NaN")
    for kind in _TYPES:
        guard = _one_scale if kind == "numeric" else None
        note = "of one scale" if guard else ""
        for op in ("is distinct", "is not distinct"):
            rules[op, kind, kind] = Rule(binary(op), _by_bytes(kind), guard=_alike if guard else None)
        for name, built in (("coalesce", coalesce), ("case", case)):
            rules[name, kind, "..."] = Rule(built, guard=guard, note=note)
        rules["nullif", kind, kind] = Rule(function("nullif"), _by_bytes(kind), guard=guard, note=note)
        if kind in _SORTED and kind != "text":
            for name in ("greatest", "least"):
                rules[name, kind, "..."] = Rule(_extreme(name), guard=guard, note=note or "without NULLs")
        if kind not in ("numeric", "bool", "bytea"):
            rules["any", kind, f"array of {kind}"] = Rule(_any, _by_bytes(kind), note="IN")
    for word in ("true", "false"):
        rules[f"is {word}", "bool"] = Rule(template(f"{{0}} IS NOT DISTINCT FROM {word}"), note="IS NOT DISTINCT FROM")
        rules[f"is not {word}", "bool"] = Rule(template(f"{{0}} IS DISTINCT FROM {word}"), note="IS DISTINCT FROM")
    return rules


def _numbers() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {}
    for op in ("+", "-", "*"):
        rules[op, "int", "int"] = Rule(binary(op))
        rules[op, "numeric", "numeric"] = Rule(binary(op), guard=fits(op, DIGITS), note="up to 38 digits")
    rules["/", "int", "int"] = Rule(binary("/"), guard=_divisor, note="by a constant")
    rules["%", "int", "int"] = Rule(binary("%"))
    rules["%", "numeric", "numeric"] = Rule(binary("%"), guard=_alike, note="up to 38 digits")
    known = decimal(DIGITS)
    for kind in ("int", "float", "numeric"):
        guard = known if kind == "numeric" else None
        rules["abs", kind] = Rule(function("abs"), guard=guard)
        rules["neg", kind] = Rule(lambda args: exp.Neg(this=wrap(args[0])), guard=guard)
    for name, own in (("ceil", "ceil"), ("floor", "floor"), ("trunc", "truncate")):
        rules[name, "float"] = Rule(function(own))
        rules[name, "numeric"] = Rule(function(own), guard=known, note="of known scale")
    rules["round", "numeric"] = Rule(function("round"), guard=known, note="of known scale")
    for op, own in (("&", "bitwise_and"), ("bit_or", "bitwise_or"), ("#", "bitwise_xor")):
        rules[op, "int", "int"] = Rule(function(own), note=own)
    rules["~", "int"] = Rule(function("bitwise_not"), note="bitwise_not")
    return rules


def _joined(args: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Anonymous(this="concat_ws", expressions=[exp.Literal.string(""), *args])


def _texts() -> dict[Signature, Rule]:
    made: dict[Signature, Rule] = {
        ("||", "text", "text"): Rule(binary("||")),
        ("length", "text"): Rule(function("length")),
        ("octet_length", "text"): Rule(template("length(to_utf8({0}))"), note="length(to_utf8)"),
        ("md5", "text"): Rule(template("lower(to_hex(md5(to_utf8({0}))))"), note="lower(to_hex(md5(to_utf8)))"),
        ("reverse", "text"): Rule(function("reverse")),
        ("substring", "text", "int"): Rule(function("substr"), guard=counts((1, 1)), note="constants from 1"),
        ("substring", "text", "int", "int"): Rule(
            function("substr"), guard=counts((1, 1), (2, 0)), note="constants from 1"
        ),
        ("left", "text", "int"): Rule(template("substr({0}, 1, {1})"), guard=counts((1, 0)), note="substr"),
        ("right", "text", "int"): Rule(
            template("CASE WHEN length({0}) <= {1} THEN {0} ELSE substr({0}, -{1}) END"),
            guard=counts((1, 0)),
            note="substr",
        ),
        ("strpos", "text", "text"): Rule(function("strpos"), BYTES_ONLY),
        ("starts_with", "text", "text"): Rule(function("starts_with"), BYTES_ONLY),
        ("replace", "text", "text", "text"): Rule(function("replace"), BYTES_ONLY, guard=not_empty),
        ("translate", "text", "text", "text"): Rule(function("translate"), BYTES_ONLY),
        ("split_part", "text", "text", "int"): Rule(
            template("CASE WHEN {0} IS NOT NULL THEN coalesce(split_part({0}, {1}, {2}), '') END"),
            BYTES_ONLY,
            guard=lambda args: not_empty(args) or counts((2, 1))(args),
            note="'' past the last part",
        ),
        ("concat", "text", "..."): Rule(_joined, note="concat_ws"),
        ("concat_ws", "text", "..."): Rule(function("concat_ws")),
    }
    for name, word in (("btrim", "BOTH"), ("ltrim", "LEADING"), ("rtrim", "TRAILING")):
        made[name, "text"] = Rule(template(f"trim({word} ' ' FROM {{0}})"), note="of blanks alone")
        made[name, "text", "text"] = Rule(template(f"trim({word} {{1}} FROM {{0}})"), BYTES_ONLY, note="TRIM(… FROM …)")
    for name in ("lpad", "rpad"):
        made[name, "text", "int", "text"] = Rule(function(name), BYTES_ONLY, guard=padding)
        made[name, "text", "int"] = Rule(template(f"{name}({{0}}, {{1}}, ' ')"), guard=counts((1, 0)))
    return made


def _to_decimal(args: Sequence[Arg]) -> str:
    kind = args[1].type
    precision, scale = kind.precision_scale if kind is not None else (0, 0)
    if not 0 <= scale <= precision <= DIGITS:
        return "a decimal that Trino has not"
    return decimal(DIGITS)(args) if args[0].type is not None and args[0].type.name == "numeric" else ""


def _as_type(args: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Cast(this=args[0], to=args[1])


def _casts() -> dict[Signature, Rule]:
    stamp, zoned = "CAST({0} AS TIMESTAMP(6))", "with_timezone(CAST({0} AS TIMESTAMP(6)), 'UTC')"
    made: dict[Signature, Rule] = {
        ("cast", "int", "to numeric"): Rule(template("CAST({0} AS DECIMAL(19,0))"), note="DECIMAL(19,0)"),
        ("cast", "numeric", "to text"): Rule(_as_type, guard=decimal(DIGITS)),
        ("cast", "text", "to varchar(n)"): Rule(_as_type),
        ("cast", "date", "to timestamp"): Rule(template(stamp)),
        ("cast", "timestamp", "to date"): Rule(_as_type),
        ("cast", "date", "to timestamptz"): Rule(template(zoned), note="in UTC"),
        ("cast", "timestamp", "to timestamptz"): Rule(template(zoned), note="in UTC"),
        ("cast", "timestamptz", "to timestamp"): Rule(template(stamp.format(_UTC)), note="in UTC"),
        ("cast", "timestamptz", "to date"): Rule(template(f"CAST({_UTC} AS DATE)"), note="in UTC"),
        ("timezone_utc", "timestamp"): Rule(template(zoned), note="with_timezone"),
        ("timezone_utc", "timestamptz"): Rule(template(stamp.format(_UTC)), note="AT TIME ZONE 'UTC'"),
    }
    plain = ("int", "text"), ("int", "float8"), ("int", "bool"), ("bool", "text"), ("bool", "int4"), ("uuid", "text")
    for source, target in plain:
        made["cast", source, f"to {target}"] = Rule(_as_type)
    for name in ("int2", "int4", "int8"):
        made["cast", "int", f"to {name}"] = Rule(_as_type)
        made["cast", "numeric", f"to {name}"] = Rule(_as_type, guard=decimal(DIGITS))
    for source in ("int", "numeric"):
        made["cast", source, "to numeric(n)"] = Rule(_as_type, guard=_to_decimal)
    return made


# There is no year 0 before Christ.
_DAY_PARTS = {
    "year": "CASE WHEN year({0}) > 0 THEN year({0}) ELSE year({0}) - 1 END",
    "isoyear": "CASE WHEN year_of_week({0}) > 0 THEN year_of_week({0}) ELSE year_of_week({0}) - 1 END",
    "quarter": "quarter({0})", "month": "month({0})", "day": "day({0})", "week": "week({0})",
    "doy": "day_of_year({0})", "dow": "day_of_week({0}) % 7", "isodow": "day_of_week({0})",
}  # fmt: skip
_SECONDS = "CAST(substr(CAST({0} AS VARCHAR), -9) AS DECIMAL(8,6))"
_TIME_PARTS = {
    "hour": "hour({0})", "minute": "minute({0})", "second": _SECONDS,
    "milliseconds": f"CAST({_SECONDS} * 1000 AS DECIMAL(8,3))",
    "microseconds": f"CAST({_SECONDS} * 1000000 AS INTEGER)",
}  # fmt: skip
_EPOCH = {
    "date": "date_diff('day', DATE '1970-01-01', {0}) * 86400",
    "timestamp": "date_diff('second', TIMESTAMP '1970-01-01 00:00:00', date_trunc('second', {0})) + "
    f"{_SECONDS} % DECIMAL '1'",
}
_UNITS = {
    "year": "year", "quarter": "quarter", "month": "month", "week": "week", "day": "day", "hour": "hour",
    "minute": "minute", "second": "second", "milliseconds": "millisecond",
}  # fmt: skip


def _times() -> dict[Signature, Rule]:
    days = "CAST(date_diff('day', {1}, {0}) AS INTEGER)"
    made: dict[Signature, Rule] = {("-", "date", "date"): Rule(template(days), note="date_diff")}
    instants = ("timestamp", "CAST({0} AS TIMESTAMP(6))"), ("timestamptz", f"CAST({_UTC} AS TIMESTAMP(6))")
    parts = _DAY_PARTS | _TIME_PARTS | {"epoch": _EPOCH["timestamp"]}
    for kind, value, fields in (
        ("date", "{0}", _DAY_PARTS | {"epoch": _EPOCH["date"]}),
        ("time", "CAST({0} AS TIME(6))", _TIME_PARTS),
        *((kind, value, parts) for kind, value in instants),
    ):
        note = "in UTC" if kind == "timestamptz" else ""
        for name, text in fields.items():
            made[f"extract {name}", kind] = Rule(template(text.replace("{0}", value)), note=note)
            made[f"date_part {name}", kind] = Rule(template(f"CAST({text.replace('{0}', value)} AS DOUBLE)"), note=note)
    for unit, own in _UNITS.items():
        made[f"date_trunc {unit}", "timestamp"] = Rule(template(f"date_trunc('{own}', {{0}})"))
        made[f"date_trunc {unit}", "timestamptz"] = Rule(template(f"date_trunc('{own}', {_UTC})"), note="in UTC")
    return made


def _aggregates() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {("count",): Rule(aggregate("count"))}
    for kind in (*_TYPES, "float"):
        rules["count", kind] = Rule(aggregate("count"))
    for kind in _TYPES:
        rules["count distinct", kind] = Rule(aggregate("count", distinct=True), _by_bytes(kind))
    for kind in _SORTED:
        for name in ("min", "max"):
            rules[name, kind] = Rule(aggregate(name), _by_bytes(kind))
    for name, distinct in (("sum", False), ("sum distinct", True)):
        build = aggregate("sum", distinct)
        rules[name, "int4"] = Rule(build)
        rules[name, "int8"] = Rule(_wide(build), note="of DECIMAL(38,0)")
        rules[name, "numeric"] = Rule(build, guard=decimal(DIGITS), note="of known scale")
    for name in ("bool_and", "bool_or"):
        rules[name, "bool"] = Rule(aggregate(name))
    for name, own in (("bit_and", "bitwise_and_agg"), ("bit_or", "bitwise_or_agg"), ("bit_xor", "bitwise_xor_agg")):
        rules[name, "int"] = Rule(aggregate(own), note=own)
    return rules


def _wide(build: Build) -> Build:
    """Over decimals: a sum of bigint is one, and has an error beyond 64 bits."""
    return lambda args: build([exp.Cast(this=args[0], to=exp.DataType.build("DECIMAL(38,0)", dialect="trino"))])


CAPABILITY = Capability(
    engine="trino",
    dialect="trino",
    scalars=_comparisons() | _numbers() | _texts() | _casts() | _times(),
    aggregates=_aggregates(),
    keys={kind: _by_bytes(kind) for kind in _TYPES},
    order={kind: _by_bytes(kind) for kind in _SORTED},
    sort=nulls_ordered("trino"),
    sum_digits=28,  # of 38, which leaves room for ten thousand million rows
    features=frozenset((*RELATIONAL, "full join", *SET_OPERATIONS, *BAGS, "distinct", "filter", "typed")),
)
