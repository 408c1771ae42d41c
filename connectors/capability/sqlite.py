"""SQLite: exact on integers and binary text; dates are text, so only what text order proves; decimals are not its."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from connectors.capability.rules import (
    ALWAYS,
    BYTES_ONLY,
    COMPARISONS,
    ORDERINGS,
    Capability,
    Rule,
    Signature,
    V,
    aggregate,
    binary,
    compare,
    identities,
    like_escaped,
    logic,
    membership,
    no_membership,
    nulls_ordered,
    wrap,
)  # fmt: skip

_EXACT = ("int", "date", "bool")
# NOCASE and RTRIM columns: equality finds more, never less.
_EQUAL = (V.EXACT, V.NO, V.SUPERSET)


def _day(e: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this="substr", expressions=[e, exp.Literal.number(1), exp.Literal.number(10)])


def _from_day(args: Sequence[exp.Expr]) -> exp.Expr:
    """ts >= x: whatever the width of the fraction, its text is not below that of x's day."""
    return exp.GTE(this=wrap(args[0]), expression=_day(args[1]))


def _to_day(args: Sequence[exp.Expr]) -> exp.Expr:
    """ts <= x: its text is below that of the day after x."""
    after = exp.Anonymous(this="date", expressions=[_day(args[1]), exp.Literal.string("+1 day")])
    return exp.LT(this=wrap(args[0]), expression=after)


def _any(args: Sequence[exp.Expr]) -> exp.Expr:
    each = exp.Anonymous(this="json_each", expressions=[args[1]])
    values = exp.select("value").from_(exp.Table(this=each))
    return exp.In(this=wrap(args[0]), query=exp.Subquery(this=values))


def _scalars() -> dict[Signature, Rule]:
    rules = logic() | identities() | compare(_EXACT)
    for op in COMPARISONS:
        rules[op, "text", "text"] = Rule(binary(op), _EQUAL if op == "=" else BYTES_ONLY)
    rules["in", "text", "..."] = Rule(membership, _EQUAL)
    rules["notin", "text", "..."] = Rule(no_membership, BYTES_ONLY)
    for op in ("like", "notlike"):
        # The session sets case_sensitive_like, which makes LIKE byte-exact.
        rules[op, "text", "text"] = Rule(like_escaped(op), BYTES_ONLY)
    for kind in ("timestamp", "timestamptz"):
        superset = (V.SUPERSET, V.SUPERSET, V.SUPERSET)
        for op in ORDERINGS:
            rules[op, kind, kind] = Rule(_from_day if op[0] == ">" else _to_day, superset, "fraction width differs")
    for kind in ("int", "text", "date"):
        rules["any", kind, f"array of {kind}"] = Rule(_any, _EQUAL)
    return rules


def _aggregates() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {("count",): Rule(aggregate("count"))}
    for kind in ("int", "date", "bool", "text", "timestamp", "timestamptz", "numeric", "float"):
        rules["count", kind] = Rule(aggregate("count"))
    for kind in ("int", "date", "text"):
        verdicts = BYTES_ONLY if kind == "text" else ALWAYS
        rules["count distinct", kind] = Rule(aggregate("count", distinct=True), verdicts)
        for name in ("min", "max"):
            rules[name, kind] = Rule(aggregate(name), verdicts)
    rules["sum", "int4"] = Rule(aggregate("sum"))
    return rules


CAPABILITY = Capability(
    engine="sqlite",
    dialect="sqlite",
    scalars=_scalars(),
    aggregates=_aggregates(),
    keys={"int": ALWAYS, "date": ALWAYS, "bool": ALWAYS, "text": BYTES_ONLY},
    order={"int": ALWAYS, "date": ALWAYS, "bool": ALWAYS, "text": BYTES_ONLY},
    sort=nulls_ordered("sqlite"),
    features=frozenset(("union all", "distinct", "filter")),
)
