"""DuckDB, as the warehouse's engine and as the merge engine: binary text, decimals up to 38 digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from connectors.capability.rules import (
    ALWAYS,
    BAGS,
    BYTES_ONLY,
    SET_OPERATIONS,
    Capability,
    Rule,
    Signature,
    V,
    aggregate,
    binary,
    case,
    coalesce,
    compare,
    identities,
    is_test,
    logic,
    nulls_ordered,
    texts,
    wrap,
)  # fmt: skip

_TYPES = ("int", "numeric", "float", "date", "timestamp", "timestamptz", "time", "bool", "text")
_KEYS = ("int", "numeric", "date", "timestamp", "timestamptz", "time", "bool", "text")


# A column declared COLLATE NOCASE, NOACCENT or ICU finds more by =, and orders otherwise.
_EQUAL = (V.EXACT, V.SUPERSET, V.SUPERSET)


def _by_bytes(kind: str) -> tuple[V, V, V]:
    return BYTES_ONLY if kind == "text" else ALWAYS


def _any(args: Sequence[exp.Expr]) -> exp.Expr:
    values = exp.Select(expressions=[exp.Anonymous(this="unnest", expressions=[args[1]])])
    return exp.In(this=wrap(args[0]), query=exp.Subquery(this=values))


def _any_row(args: Sequence[exp.Expr]) -> exp.Expr:
    """(a, b) among the rows of two lists side by side."""
    columns, lists = args[: len(args) // 2], args[len(args) // 2 :]
    rows = exp.Select(expressions=[exp.Anonymous(this="unnest", expressions=[each]) for each in lists])
    return exp.In(this=exp.Tuple(expressions=list(columns)), query=exp.Subquery(this=rows))


def _scalars() -> dict[Signature, Rule]:
    rules = logic() | identities() | compare(_TYPES) | texts(_EQUAL)
    for kind in _TYPES:
        for op in ("is distinct", "is not distinct"):
            rules[op, kind, kind] = Rule(binary(op), BYTES_ONLY if kind == "text" else ALWAYS)
        if kind != "numeric":  # a DECIMAL gives all values one scale; PostgreSQL's 0 stays 0 beside 1.50
            rules["coalesce", kind, "..."] = Rule(coalesce)
            rules["case", kind, "..."] = Rule(case)
        if kind != "time":
            rules["any", kind, f"array of {kind}"] = Rule(_any, _EQUAL if kind == "text" else ALWAYS)
    rules["any", "rows"] = Rule(_any_row)
    for word in ("true", "false", "not true", "not false"):
        rules[f"is {word}", "bool"] = Rule(is_test(word))
    rules["||", "text", "text"] = Rule(binary("||"))
    return rules


def _aggregates() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {("count",): Rule(aggregate("count"))}
    for kind in _TYPES:
        rules["count", kind] = Rule(aggregate("count"))
        if kind in _KEYS:
            rules["count distinct", kind] = Rule(aggregate("count", distinct=True), _by_bytes(kind))
        if kind != "bool":
            for name in ("min", "max"):
                rules[name, kind] = Rule(aggregate(name), _by_bytes(kind))
    for kind in ("int4", "int8", "numeric"):
        rules["sum", kind] = Rule(aggregate("sum"))  # HUGEINT or DECIMAL(38, s), which the reader casts
    return rules


CAPABILITY = Capability(
    engine="duckdb",
    dialect="duckdb",
    scalars=_scalars(),
    aggregates=_aggregates(),
    keys={kind: _by_bytes(kind) for kind in _KEYS},
    order={kind: _by_bytes(kind) for kind in (*_KEYS, "float")},
    sort=nulls_ordered("duckdb"),
    sum_digits=28,  # of 38, which leaves room for ten thousand million rows
    features=frozenset(("full join", *SET_OPERATIONS, *BAGS, "distinct", "filter", "in", "grouping sets")),
)

# As the merge engine it may overflow: what DuckDB refuses, the canon then answers.
# any_value stands only where the planner counts beside it and raises for more than one row.
_ANY = {("any_value", kind): Rule(aggregate("any_value")) for kind in _TYPES}
MERGE = replace(
    CAPABILITY, aggregates=CAPABILITY.aggregates | _ANY, sum_digits=None, features=CAPABILITY.features | {"boundaries"}
)
