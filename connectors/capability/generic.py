"""Candidates for engines without a table of their own: what SQL engines often compute as PostgreSQL does.

None of it is used because it stands here: a claim counts once `vdw probe` has proven it on the user's own server, so
what is refuted on most engines may stand here too. `table` is for any dialect; `tsql.py` and `oracle.py` have what
these engines say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlglot import exp

from connectors.capability.rules import (
    ALWAYS,
    BYTES_ONLY,
    COMPARISONS,
    EQUALITY,
    INEQUALITY,
    RELATIONAL,
    SET_OPERATIONS,
    Arg,
    Build,
    Capability,
    Guard,
    Rule,
    Signature,
    Sort,
    V,
    aggregate,
    alike,
    bigint,
    binary,
    case,
    coalesce,
    compare,
    counts,
    decimal,
    equal_scales,
    fits,
    identities,
    is_test,
    like_escaped,
    logic,
    membership,
    no_membership,
    not_empty,
    wrap,
)
from connectors.capability.spellings import types

DIGITS = 38
_BACKSLASH = exp.Literal.string("\\")  # as the dialect writes it
PLAIN = ("int", "date", "timestamp", "timestamptz", "time")
_SUPERSET = (V.EXACT, V.SUPERSET, V.SUPERSET)


def template(text: str, dialect: str) -> Build:
    """SQL with {0}, {1} ... for the arguments."""
    return lambda args: exp.Paren(this=exp.Var(this=text.format(*(wrap(a).sql(dialect) for a in args))))


def emulated(dialect: str) -> Sort:
    """ORDER BY for any engine: NULLs by a term of their own, which leaves no index to it."""

    def sort(e: exp.Expr, _: str, desc: bool, nulls_first: bool) -> list[exp.Expr]:
        text = e.sql(dialect)
        nulls = f"CASE WHEN {text} IS NULL THEN {0 if nulls_first else 1} ELSE {1 if nulls_first else 0} END"
        return [exp.Var(this=nulls), exp.Var(this=text + (" DESC" if desc else ""))]

    return sort


def listed(args: Sequence[exp.Expr]) -> exp.Expr:
    """Keys, which the driver writes out as a list."""
    return exp.In(this=wrap(args[0]), expressions=[args[1]])


def divisor(args: Sequence[Arg]) -> str:
    """A constant to divide by that is neither 0 nor -1, which overflows."""
    text = args[1].literal
    return "" if text is not None and text.strip("-0.") and text != "-1" else "a divisor that may be 0 or -1"


@dataclass(frozen=True, slots=True)
class Words:
    """How a dialect says what dialects say differently: templates with {0}, {1} ... for the arguments. A signature
    whose text is "" is left out."""

    dialect: str
    texts: Mapping[Signature, str] = field(default_factory=dict)
    sort: Callable[[str], Sort] = emulated
    features: frozenset[str] = frozenset((*RELATIONAL, *SET_OPERATIONS, "distinct", "full join"))
    booleans: bool = True  # conditions are values, and boolean columns are conditions
    equal: tuple[V, V, V] = EQUALITY  # what = and IN of texts claim
    like: tuple[V, V, V] = _SUPERSET
    not_null: Callable[[Sequence[Arg]], str] | None = None  # constants of text that may stand in comparisons
    sums: tuple[str, str] = ("CAST(SUM(CAST({0} AS DECIMAL(38,0))) AS BIGINT)", "SUM(CAST({0} AS DECIMAL(38,0)))")


_TEXTS: dict[Signature, str] = {
    ("/", "int", "int"): "{0} / {1}",
    ("%", "int", "int"): "{0} % {1}",
    ("||", "text", "text"): "{0} || {1}",
    ("length", "text"): "CHAR_LENGTH({0})",
    ("substring", "text", "int"): "SUBSTRING({0}, {1})",
    ("substring", "text", "int", "int"): "SUBSTRING({0}, {1}, {2})",
    ("left", "text", "int"): "SUBSTRING({0}, 1, {1})",
    ("btrim", "text"): "TRIM({0})",
    ("ltrim", "text"): "LTRIM({0})",
    ("rtrim", "text"): "RTRIM({0})",
    ("replace", "text", "text", "text"): "REPLACE({0}, {1}, {2})",
    ("-", "date", "date"): "{0} - {1}",
    ("cast", "date", "to timestamp"): "CAST({0} AS TIMESTAMP)",
    ("cast", "timestamp", "to date"): "CAST({0} AS DATE)",
    ("cast", "int", "to numeric"): "CAST({0} AS DECIMAL(19,0))",
    ("cast", "int", "to text"): "CAST({0} AS VARCHAR(20))",
}
_PARTS = {
    "year": "EXTRACT(YEAR FROM {0})", "month": "EXTRACT(MONTH FROM {0})", "day": "EXTRACT(DAY FROM {0})",
    "quarter": "EXTRACT(QUARTER FROM {0})", "hour": "EXTRACT(HOUR FROM {0})", "minute": "EXTRACT(MINUTE FROM {0})",
}  # fmt: skip
_UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
_TIMED = ("hour", "minute")
_CONSTANTS = {("substring", 2): counts((1, 1)), ("substring", 3): counts((1, 1), (2, 0)), ("left", 2): counts((1, 0))}

_GUARDS: dict[tuple[str, str], Guard] = {("/", "int"): divisor, ("%", "int"): divisor, ("replace", "text"): not_empty}


def words() -> dict[Signature, str]:
    """The templates of plain SQL, fields and truncations among them."""
    made = dict(_TEXTS)
    for kind in ("date", "timestamp"):
        for part, text in _PARTS.items():
            if kind == "timestamp" or part not in _TIMED:
                made[f"extract {part}", kind] = text
    for unit in _UNITS:
        made[f"date_trunc {unit}", "timestamp"] = f"DATE_TRUNC('{unit}', {{0}})"
    return made


def table(said: Words) -> Capability:
    """The candidates of a dialect."""
    scalars = _comparisons(said) | _texts(said) | _numbers(said) | _said(said)
    return Capability(
        engine=said.dialect or "SQL",
        dialect=said.dialect,
        scalars=scalars,
        aggregates=_aggregates(said),
        keys={**dict.fromkeys((*PLAIN, "numeric"), ALWAYS), "text": INEQUALITY},
        order={**dict.fromkeys((*PLAIN, "numeric"), ALWAYS), "text": BYTES_ONLY},
        sort=said.sort(said.dialect),
        sum_digits=DIGITS - 10,
        features=said.features if said.booleans else said.features | {"conditions"},
        orderly=False,  # connectors may ask for the rows of a derived table
    )


def _comparisons(said: Words) -> dict[Signature, Rule]:
    rules = logic() | identities() | compare(PLAIN)
    for op in COMPARISONS:
        rules[op, "numeric", "numeric"] = Rule(binary(op), guard=alike(DIGITS), note="up to 38 digits")
        for pair in (("date", "timestamp"), ("timestamp", "date")):
            rules[op, *pair] = Rule(binary(op))
    for name, build in (("in", membership), ("notin", no_membership)):
        rules[name, "numeric", "..."] = Rule(build, guard=alike(DIGITS), note="up to 38 digits")
    for kind in (*PLAIN, "numeric", "text"):
        guard = equal_scales if kind == "numeric" else None
        rules["coalesce", kind, "..."] = Rule(coalesce, guard=guard)
        rules["case", kind, "..."] = Rule(case, guard=guard)
        if kind != "text":
            rules["any", kind, f"array of {kind}"] = Rule(listed)
    if said.booleans:
        rules["=", "bool", "bool"], rules["<>", "bool", "bool"] = Rule(binary("=")), Rule(binary("<>"))
        for word in ("true", "false", "not true", "not false"):
            rules[f"is {word}", "bool"] = Rule(is_test(word))
    return rules


def _texts(said: Words) -> dict[Signature, Rule]:
    guard = said.not_null
    rules: dict[Signature, Rule] = {
        (op, "text", "text"): Rule(binary(op), BYTES_ONLY, guard=guard) for op in ("<", "<=", ">", ">=")
    }
    rules["=", "text", "text"] = Rule(binary("="), said.equal, guard=guard)
    rules["<>", "text", "text"] = Rule(binary("<>"), INEQUALITY, guard=guard)
    rules["in", "text", "..."] = Rule(membership, said.equal, guard=guard)
    rules["notin", "text", "..."] = Rule(no_membership, INEQUALITY, guard=guard)
    rules["any", "text", "array of text"] = Rule(listed, said.equal)
    rules["like", "text", "text"] = Rule(like_escaped("like", _BACKSLASH), said.like, guard=guard)
    rules["notlike", "text", "text"] = Rule(like_escaped("notlike", _BACKSLASH), BYTES_ONLY, guard=guard)
    return rules


def _numbers(said: Words) -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {}
    wide = types(said.dialect)["int8"]  # written out: a driver may bind a bigint as what is just wide enough for it
    for op in ("+", "-", "*"):
        both = f"CAST({{0}} AS {wide}) {op} CAST({{1}} AS {wide})"
        rules[op, "int", "int"] = Rule(template(both, said.dialect), guard=bigint, note="of bigint")
        rules[op, "numeric", "numeric"] = Rule(binary(op), guard=fits(op, DIGITS), note="up to 38 digits")
    rules["neg", "numeric"] = Rule(lambda args: exp.Neg(this=wrap(args[0])), guard=decimal(DIGITS))
    return rules


def _said(said: Words) -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {}
    for signature, text in {**words(), **said.texts}.items():
        if text:
            op, *kinds = signature
            guard = _GUARDS.get((op, kinds[0]), _CONSTANTS.get((op, len(kinds))) if kinds[0] == "text" else None)
            verdicts = BYTES_ONLY if op == "replace" else ALWAYS
            rules[signature] = Rule(template(text, said.dialect), verdicts, guard=guard, note=text)
    return rules


def _aggregates(said: Words) -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {("count",): Rule(aggregate("count"))}
    for kind in (*PLAIN, "numeric"):
        rules["count", kind] = Rule(aggregate("count"))
        rules["count distinct", kind] = Rule(aggregate("count", distinct=True))
        for name in ("min", "max"):
            rules[name, kind] = Rule(aggregate(name))
    rules["count", "text"] = Rule(aggregate("count"))
    rules["count distinct", "text"] = Rule(aggregate("count", distinct=True), INEQUALITY)
    for name in ("min", "max"):
        rules[name, "text"] = Rule(aggregate(name), BYTES_ONLY)
    for kind, text in (("int4", said.sums[0]), ("int8", said.sums[1])):
        rules["sum", kind] = Rule(template(text, said.dialect), note=text)
    rules["sum", "numeric"] = Rule(aggregate("sum"), guard=decimal(DIGITS), note="of known scale")
    return rules


_MYSQL = Words(
    "mysql",
    {
        ("/", "int", "int"): "{0} DIV {1}",
        ("||", "text", "text"): "CONCAT({0}, {1})",
        ("-", "date", "date"): "DATEDIFF({0}, {1})",
        ("cast", "date", "to timestamp"): "CAST({0} AS DATETIME(6))",
        ("cast", "int", "to text"): "CAST({0} AS CHAR(20))",
        **{(f"date_trunc {unit}", "timestamp"): "" for unit in _UNITS},
        ("date_trunc year", "timestamp"): "CAST(MAKEDATE(YEAR({0}), 1) AS DATETIME(6))",
        ("date_trunc month", "timestamp"): "CAST(DATE({0}) - INTERVAL DAYOFMONTH({0}) - 1 DAY AS DATETIME(6))",
        ("date_trunc day", "timestamp"): "CAST(DATE({0}) AS DATETIME(6))",
    },
    features=frozenset((*RELATIONAL, "union all", "union", "distinct")),
    sums=("CAST(SUM({0}) AS SIGNED)", "SUM({0})"),
)
_SQLITE = Words(
    "sqlite",
    {("length", "text"): "LENGTH({0})"},
    sums=("SUM({0})", "SUM({0})"),
)
_DUCKDB = Words(
    "duckdb",
    {("/", "int", "int"): "{0} // {1}", ("length", "text"): "length({0})"},
    features=frozenset((*RELATIONAL, *SET_OPERATIONS, "distinct", "full join", "typed")),
)
_KNOWN = {"duckdb": _DUCKDB, "mysql": _MYSQL, "mariadb": replace(_MYSQL, dialect="mysql"), "sqlite": _SQLITE}


def said_in(dialect: str) -> Words:
    """The words of a dialect that has none of its own file."""
    return _KNOWN.get(dialect) or Words(dialect)
