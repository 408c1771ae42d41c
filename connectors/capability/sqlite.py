"""SQLite: exact on integers, binary text and times in their one spelling; decimals are not its."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from connectors.capability.rules import (
    ALWAYS,
    BYTES_ONLY,
    RELATIONAL,
    SET_OPERATIONS,
    Arg,
    Build,
    Capability,
    Rule,
    Signature,
    V,
    aggregate,
    case,
    coalesce,
    compare,
    counts,
    function,
    identities,
    is_test,
    logic,
    not_empty,
    nulls_ordered,
    texts,
    wrap,
)  # fmt: skip

# Exact columns of these hold one spelling, which is also the one that parameters are bound in (sqlite_types.py).
_EXACT = ("int", "date", "bool", "timestamp", "timestamptz", "time")
# NOCASE and RTRIM columns: equality finds more, never less.
_EQUAL = (V.EXACT, V.NO, V.SUPERSET)


def _any(args: Sequence[exp.Expr]) -> exp.Expr:
    each = exp.Anonymous(this="json_each", expressions=[args[1]])
    values = exp.select("value").from_(exp.Table(this=each))
    return exp.In(this=wrap(args[0]), query=exp.Subquery(this=values))


def _any_row(args: Sequence[exp.Expr]) -> exp.Expr:
    """(a, b) among the arrays of a JSON array."""
    *columns, keys = args
    places = (exp.Literal.string(f"$[{at}]") for at in range(len(columns)))
    items = [exp.Anonymous(this="json_extract", expressions=[exp.column("value"), place]) for place in places]
    rows = exp.select(*items).from_(exp.Table(this=exp.Anonymous(this="json_each", expressions=[keys])))
    return exp.In(this=exp.Tuple(expressions=columns), query=exp.Subquery(this=rows))


def _scalars() -> dict[Signature, Rule]:
    # The session sets case_sensitive_like, which makes LIKE byte-exact.
    rules = logic() | identities() | compare(_EXACT) | texts(_EQUAL)
    for kind in ("int", "text", "date"):
        rules["any", kind, f"array of {kind}"] = Rule(_any, _EQUAL)
    rules["any", "rows"] = Rule(_any_row)
    for kind in (*_EXACT, "text"):
        verdicts = BYTES_ONLY if kind == "text" else ALWAYS
        rules["is not distinct", kind, kind] = Rule(template("{0} IS {1}"), verdicts, note="IS")
        rules["is distinct", kind, kind] = Rule(template("{0} IS NOT {1}"), verdicts, note="IS NOT")
        rules["coalesce", kind, "..."] = Rule(coalesce, verdicts)
        rules["case", kind, "..."] = Rule(case, verdicts)
        rules["nullif", kind, kind] = Rule(function("nullif"), verdicts)
    for word in ("true", "false", "not true", "not false"):
        rules[f"is {word}", "bool"] = Rule(is_test(word))
    return rules | _numbers() | _texts() | _times()


def template(text: str) -> Build:
    """SQL with {0}, {1} ... for the arguments."""
    return lambda args: exp.Paren(this=exp.Var(this=text.format(*(wrap(a).sql("sqlite") for a in args))))


def _divisor(args: Sequence[Arg]) -> str:
    return "" if args[1].literal not in (None, "0", "-1") else "a divisor that may be 0 or -1"


def _numbers() -> dict[Signature, Rule]:
    return {
        ("/", "int", "int"): Rule(template("{0} / {1}"), guard=_divisor, note="by a constant"),
        ("%", "int", "int"): Rule(template("{0} % {1}"), guard=_divisor, note="by a constant"),
        ("cast", "int", "to text"): Rule(template("CAST({0} AS TEXT)")),
        ("cast", "bool", "to int4"): Rule(template("{0} + 0")),
    }


def _texts() -> dict[Signature, Rule]:
    return {
        ("||", "text", "text"): Rule(template("{0} || {1}"), BYTES_ONLY),
        ("length", "text"): Rule(function("length")),
        ("substring", "text", "int"): Rule(function("substr"), guard=counts((1, 1)), note="constants from 1"),
        ("substring", "text", "int", "int"): Rule(
            function("substr"), guard=counts((1, 1), (2, 0)), note="constants from 1"
        ),
        ("left", "text", "int"): Rule(template("substr({0}, 1, {1})"), guard=counts((1, 0)), note="substr"),
        ("strpos", "text", "text"): Rule(function("instr"), BYTES_ONLY, note="instr"),
        ("replace", "text", "text", "text"): Rule(function("replace"), BYTES_ONLY, guard=not_empty),
        **{(f"{side}trim", "text"): Rule(template(f"{side.strip('b')}trim({{0}}, ' ')")) for side in ("b", "l", "r")},
        **{(f"{side}trim", "text", "text"): Rule(function(f"{side.strip('b')}trim")) for side in ("b", "l", "r")},
    }


# Dates and times are kept as texts of one spelling, so their parts stand at fixed places.
_DAY_PARTS = {
    "year": "CAST(substr({0}, 1, 4) AS INTEGER)", "month": "CAST(substr({0}, 6, 2) AS INTEGER)",
    "day": "CAST(substr({0}, 9, 2) AS INTEGER)", "quarter": "(CAST(substr({0}, 6, 2) AS INTEGER) + 2) / 3",
    "dow": "CAST(strftime('%w', substr({0}, 1, 10)) AS INTEGER)",
    "isodow": "(CAST(strftime('%w', substr({0}, 1, 10)) AS INTEGER) + 6) % 7 + 1",
    "doy": "CAST(strftime('%j', substr({0}, 1, 10)) AS INTEGER)",
}  # fmt: skip
_TIME_PARTS = {
    "hour": "CAST(substr({0}, 12, 2) AS INTEGER)", "minute": "CAST(substr({0}, 15, 2) AS INTEGER)",
}  # fmt: skip
_TRUNCATED = {
    "year": "substr({0}, 1, 4) || '-01-01 00:00:00'", "month": "substr({0}, 1, 7) || '-01 00:00:00'",
    "quarter": "substr({0}, 1, 5) || printf('%02d', (CAST(substr({0}, 6, 2) AS INTEGER) - 1) / 3 * 3 + 1)"
    " || '-01 00:00:00'",
    "week": "date(substr({0}, 1, 10), 'weekday 0', '-6 days') || ' 00:00:00'",
    "day": "substr({0}, 1, 10) || ' 00:00:00'", "hour": "substr({0}, 1, 13) || ':00:00'",
    "minute": "substr({0}, 1, 16) || ':00'", "second": "substr({0}, 1, 19)",
}  # fmt: skip


def _times() -> dict[Signature, Rule]:
    made: dict[Signature, Rule] = {
        ("-", "date", "date"): Rule(template("CAST(julianday({0}) - julianday({1}) AS INTEGER)"), note="julianday"),
        ("cast", "date", "to timestamp"): Rule(template("{0} || ' 00:00:00'")),
        ("cast", "timestamp", "to date"): Rule(template("substr({0}, 1, 10)")),
        ("cast", "date", "to timestamptz"): Rule(template("{0} || ' 00:00:00+00:00'"), note="in UTC"),
        ("cast", "timestamp", "to timestamptz"): Rule(template("{0} || '+00:00'"), note="in UTC"),
        ("cast", "timestamptz", "to timestamp"): Rule(template("substr({0}, 1, length({0}) - 6)"), note="in UTC"),
        ("cast", "timestamptz", "to date"): Rule(template("substr({0}, 1, 10)"), note="in UTC"),
        ("timezone_utc", "timestamp"): Rule(template("{0} || '+00:00'")),
        ("timezone_utc", "timestamptz"): Rule(template("substr({0}, 1, length({0}) - 6)")),
    }
    for kind in ("date", "timestamp", "timestamptz"):
        note = "in UTC" if kind == "timestamptz" else ""
        for name, text in (_DAY_PARTS if kind == "date" else _DAY_PARTS | _TIME_PARTS).items():
            made[f"extract {name}", kind] = Rule(template(text), note=note)
            made[f"date_part {name}", kind] = Rule(template(f"CAST({text} AS REAL)"), note=note)
    for kind, zone in (("timestamp", ""), ("timestamptz", " || '+00:00'")):
        for unit, text in _TRUNCATED.items():
            note = "in UTC" if kind == "timestamptz" else ""
            made[f"date_trunc {unit}", kind] = Rule(template(text + zone), note=note)
    return made


def _aggregates() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {("count",): Rule(aggregate("count"))}
    for kind in (*_EXACT, "text", "numeric", "float"):
        rules["count", kind] = Rule(aggregate("count"))
    for kind in (*(k for k in _EXACT if k != "bool"), "text"):
        verdicts = BYTES_ONLY if kind == "text" else ALWAYS
        rules["count distinct", kind] = Rule(aggregate("count", distinct=True), verdicts)
        for name in ("min", "max"):
            rules[name, kind] = Rule(aggregate(name), verdicts)
    rules["sum", "int4"] = Rule(aggregate("sum"))
    rules["sum distinct", "int4"] = Rule(aggregate("sum", distinct=True))
    rules["bool_and", "bool"] = Rule(aggregate("min"), note="min")
    rules["bool_or", "bool"] = Rule(aggregate("max"), note="max")
    return rules


CAPABILITY = Capability(
    engine="sqlite",
    dialect="sqlite",
    scalars=_scalars(),
    aggregates=_aggregates(),
    keys={**dict.fromkeys(_EXACT, ALWAYS), "text": BYTES_ONLY},
    order={**dict.fromkeys(_EXACT, ALWAYS), "text": BYTES_ONLY},
    sort=nulls_ordered("sqlite"),
    features=frozenset(("keys as json", *RELATIONAL, *SET_OPERATIONS, "distinct", "filter", "hashes in", "ranks")),
)
