"""A PostgreSQL source: the canon's own semantics, save collation, LC_CTYPE and what its settings change."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from connectors.capability.rules import (
    ALWAYS,
    BAGS,
    EQUALITY,
    INEQUALITY,
    ORDERINGS,
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
    function,
    identities,
    is_test,
    logic,
    membership,
    negation,
    no_membership,
    ordered,
    wrap,
)  # fmt: skip

_TYPES = ("int", "numeric", "float", "float4", "date", "timestamp", "timestamptz", "time", "bool", "uuid", "bytea")
# A nondeterministic collation is LOOSE: LIKE is an error under it, and COLLATE "C" would hide that.
_TEXT_ORDER = (V.EXACT, V.EXACT, V.NO)


def _c(e: exp.Expr) -> exp.Expr:
    return exp.Collate(this=wrap(e), expression=exp.to_identifier("C", quoted=True))


def _compare_c(op: str) -> Rule:
    build = binary(op)
    return Rule(lambda args: build([_c(args[0]), args[1]]), _TEXT_ORDER)


def _any(args: Sequence[exp.Expr]) -> exp.Expr:
    return exp.EQ(this=wrap(args[0]), expression=exp.Any(this=exp.Paren(this=args[1])))


def _any_row(args: Sequence[exp.Expr]) -> exp.Expr:
    """(a, b) among the rows of two arrays side by side."""
    columns, arrays = args[: len(args) // 2], args[len(args) // 2 :]
    rows = exp.select("*").from_(exp.Table(this=exp.Anonymous(this="unnest", expressions=list(arrays))))
    return exp.In(this=exp.Tuple(expressions=list(columns)), query=exp.Subquery(this=rows))


def _not_like(op: str) -> Rule:
    build = binary(op)
    return Rule(lambda args: negation([build(args)]), INEQUALITY)


def _sort(e: exp.Expr, kind: str, desc: bool, nulls_first: bool) -> list[exp.Expr]:
    return [ordered(_c(e) if kind in ("text", "bpchar") else e, desc, nulls_first, "postgres")]


def _scalars() -> dict[Signature, Rule]:
    rules = logic() | identities() | compare(_TYPES)
    for op in ("=", "<>"):
        rules[op, "text", "text"] = Rule(binary(op), EQUALITY if op == "=" else INEQUALITY)
    rules["=", "bpchar", "bpchar"] = Rule(binary("="), EQUALITY)
    for op in ORDERINGS:
        rules[op, "text", "text"] = _compare_c(op)
    rules["in", "text", "..."] = Rule(membership, EQUALITY)
    rules["in", "bpchar", "..."] = Rule(membership, EQUALITY)
    rules["notin", "text", "..."] = Rule(no_membership, INEQUALITY)
    for op in ("like", "ilike"):
        # ILIKE folds case by LC_CTYPE, which need not be the canon's.
        verdicts = (V.EXACT, V.EXACT, V.NO) if op == "like" else (V.NO, V.NO, V.NO)
        rules[op, "text", "text"] = Rule(binary(op), verdicts)
    rules["notlike", "text", "text"] = _not_like("like")
    for kind in (*_TYPES, "text"):
        for op in ("is distinct", "is not distinct"):
            rules[op, kind, kind] = Rule(binary(op), INEQUALITY)
        rules["any", kind, f"array of {kind}"] = Rule(_any, EQUALITY)
        rules["coalesce", kind, "..."] = Rule(coalesce)
        rules["case", kind, "..."] = Rule(case)
        rules["nullif", kind, kind] = Rule(function("nullif"), INEQUALITY)
    rules["any", "rows"] = Rule(_any_row, EQUALITY)
    for word in ("true", "false", "not true", "not false"):
        rules[f"is {word}", "bool"] = Rule(is_test(word))
    for kind in ("int", "numeric", "float"):
        for op in ("+", "-", "*"):
            rules[op, kind, kind] = Rule(binary(op))
    rules["||", "text", "text"] = Rule(binary("||"))
    rules["length", "text"] = Rule(function("length"))
    return rules


def _aggregates() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {("count",): Rule(aggregate("count"))}
    for kind in (*_TYPES, "text"):
        rules["count", kind] = Rule(aggregate("count"))
        rules["count distinct", kind] = Rule(aggregate("count", distinct=True), INEQUALITY)
        if kind not in ("bool", "bytea", "uuid", "text"):
            for name in ("min", "max"):
                rules[name, kind] = Rule(aggregate(name))
    for name in ("min", "max"):
        build = aggregate(name)
        rules[name, "text"] = Rule(lambda args, build=build: build([_c(args[0])]), _TEXT_ORDER)  # type: ignore[misc]
    for kind in ("int", "numeric"):
        rules["sum", kind] = Rule(aggregate("sum"))
        rules["avg", kind] = Rule(aggregate("avg"))
    for name in ("bool_and", "bool_or"):
        rules[name, "bool"] = Rule(aggregate(name))
    return rules


_EXACT_KEYS = ("int", "numeric", "date", "timestamp", "timestamptz", "time", "bool", "uuid")

CAPABILITY = Capability(
    engine="postgresql",
    dialect="postgres",
    scalars=_scalars(),
    aggregates=_aggregates(),
    keys={**dict.fromkeys(_EXACT_KEYS, ALWAYS), "text": (V.EXACT, V.EXACT, V.NO)},
    order={**dict.fromkeys((*_EXACT_KEYS, "float"), ALWAYS), "text": _TEXT_ORDER},
    sort=_sort,
    features=frozenset(
        ("full join", *SET_OPERATIONS, *BAGS, "distinct", "filter", "in", "grouping sets", "casts parameters")
    ),
)
