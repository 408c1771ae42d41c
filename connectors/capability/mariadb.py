"""MariaDB and MySQL: exact on integers, decimals and dates; text compares coarsely, so only as a superset."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from connectors.capability.rules import (
    ALWAYS,
    BYTES_ONLY,
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
    wrap,
)  # fmt: skip

_EXACT = ("int", "numeric", "date", "timestamp", "timestamptz")
# Even utf8mb4_bin pads with blanks, so no collation but NOPAD binary (BYTES) is exact.
_EQUAL = (V.EXACT, V.SUPERSET, V.SUPERSET)


def _any(args: Sequence[exp.Expr]) -> exp.Expr:
    """The driver writes the keys out as a list."""
    return exp.In(this=wrap(args[0]), expressions=[args[1]])


def _sort(e: exp.Expr, _: str, desc: bool, nulls_first: bool) -> list[exp.Expr]:
    """NULLs come first ascending and last descending; another order needs a term of its own."""
    plain = exp.Var(this=e.sql("mysql") + (" DESC" if desc else ""))
    if nulls_first != desc:
        return [plain]
    nulls = exp.Is(this=wrap(e.copy()), expression=exp.Null()).sql("mysql")
    return [exp.Var(this=nulls + (" DESC" if nulls_first else "")), plain]


def _signed(name: str) -> Rule:
    build = aggregate(name)
    return Rule(lambda args: exp.Anonymous(this="CONVERT", expressions=[build(args), exp.Var(this="SIGNED")]))


def _scalars() -> dict[Signature, Rule]:
    rules = logic() | identities() | compare(_EXACT)
    for op in ("=", "<>"):
        rules[op, "bool", "bool"] = Rule(binary(op))
        rules[op, "text", "text"] = Rule(binary(op), _EQUAL if op == "=" else BYTES_ONLY)
    rules["in", "text", "..."] = Rule(membership, _EQUAL)
    rules["like", "text", "text"] = Rule(like_escaped("like"), (V.SUPERSET, V.SUPERSET, V.SUPERSET))
    for kind in (*_EXACT, "text"):
        rules["any", kind, f"array of {kind}"] = Rule(_any, _EQUAL)
    return rules


def _aggregates() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {("count",): Rule(aggregate("count"))}
    for kind in (*_EXACT, "text", "bool"):
        rules["count", kind] = Rule(aggregate("count"))
    for kind in _EXACT:
        rules["count distinct", kind] = Rule(aggregate("count", distinct=True))
        for name in ("min", "max"):
            rules[name, kind] = Rule(aggregate(name))
    rules["sum", "int4"] = _signed("sum")
    rules["sum", "int8"] = Rule(aggregate("sum"))
    rules["sum", "numeric"] = Rule(aggregate("sum"))
    return rules


CAPABILITY = Capability(
    engine="mariadb",
    dialect="mysql",
    scalars=_scalars(),
    aggregates=_aggregates(),
    keys={**dict.fromkeys(("int", "numeric", "date", "timestamp", "timestamptz"), ALWAYS), "text": BYTES_ONLY},
    order={**dict.fromkeys(("int", "numeric", "date", "timestamp", "timestamptz"), ALWAYS), "text": BYTES_ONLY},
    sort=_sort,
    sum_digits=55,  # of 65
    features=frozenset(("union all", "distinct")),
)
