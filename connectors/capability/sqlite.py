"""SQLite: exact on integers, binary text and times in their one spelling; decimals are not its."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from connectors.capability.rules import (
    ALWAYS,
    BYTES_ONLY,
    SET_OPERATIONS,
    Capability,
    Rule,
    Signature,
    V,
    aggregate,
    compare,
    identities,
    logic,
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
    return rules


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
    return rules


CAPABILITY = Capability(
    engine="sqlite",
    dialect="sqlite",
    scalars=_scalars(),
    aggregates=_aggregates(),
    keys={**dict.fromkeys(_EXACT, ALWAYS), "text": BYTES_ONLY},
    order={**dict.fromkeys(_EXACT, ALWAYS), "text": BYTES_ONLY},
    sort=nulls_ordered("sqlite"),
    features=frozenset(("keys as json", *SET_OPERATIONS, "distinct", "filter", "hashes in")),
)
