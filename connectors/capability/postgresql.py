"""A PostgreSQL source: the canon's own semantics, save collation, LC_CTYPE, versions and what its settings change.

The connector pins the session's settings (zone, date style, float digits ...). What is missing here on purpose:
upper, lower, initcap, ILIKE and regular expressions go by LC_CTYPE, which need not be the canon's; sums of floats by
the order of rows; logarithms and powers by the C library, or by a version's own algorithm.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from sqlglot import exp

from connectors.base import Profile
from connectors.capability.rules import (
    ALWAYS,
    BAGS,
    EQUALITY,
    INEQUALITY,
    ORDERINGS,
    RELATIONAL,
    SET_OPERATIONS,
    Arg,
    Build,
    Capability,
    Rule,
    V,
    aggregate,
    binary,
    case,
    cast_to,
    coalesce,
    compare,
    decimal,
    family,
    field_of,
    function,
    identities,
    infix,
    is_test,
    logic,
    membership,
    negation,
    no_membership,
    ordered,
    wrap,
)
from connectors.capability.signatures import CASTS, OVERLOADS, Signature
from connectors.types import PgType

_TYPES = ("int", "numeric", "float", "float4", "date", "timestamp", "timestamptz", "time", "bool", "uuid", "bytea")
# A nondeterministic collation is LOOSE: LIKE is an error under it, and COLLATE "C" would hide that.
_TEXT_ORDER = (V.EXACT, V.EXACT, V.NO)
# Neither by LC_CTYPE nor by the C library nor by a version's algorithm.
_ARITHMETIC = "neg abs sign ceil floor round trunc div gcd lcm + - * / %".split()
_INFIX = {"&": "&", "bit_or": "|", "#": "#", "<<": "<<", ">>": ">>", "->": "->", "->>": "->>",
          "@>": "@>", "?": "?"}  # fmt: skip
_BYTES_OF_TEXT = "length octet_length bit_length ascii chr reverse md5 left right repeat lpad rpad like_escape".split()
_OTHERS = (
    "encode decode make_date age date_bin isfinite justify_days justify_hours jsonb_typeof jsonb_array_length to_hex"
)
# These look for one text in another, which a nondeterministic collation makes an error before PostgreSQL 18.
_SEARCHES = "strpos replace split_part starts_with translate btrim ltrim rtrim".split()
# By name: the first major version that has it as the canon has it.
SINCE = {"extract": 14, "date_bin": 14, "starts_with": 11, "gcd": 13, "lcm": 13, "bit_xor": 14}
# What depends on text being UTF-8.
_UTF8 = frozenset("octet_length bit_length ascii chr md5 encode".split())
_PLAIN_FORMAT = re.compile(r"(?:YYYY|YY|MM|DD|DDD|HH24|HH12|MI|SS|MS|US|Q|IW|IYYY|ID|D|AM|Month|Mon|Day|Dy|[-/:., ])*")


def _c(e: exp.Expr) -> exp.Expr:
    return exp.Collate(this=wrap(e), expression=exp.to_identifier("C", quoted=True))


def _compare_c(op: str) -> Rule:
    build = binary(op)
    return Rule(lambda args: build([_c(args[0]), args[1]]), _TEXT_ORDER, note='compared COLLATE "C"')


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


def _written_out(args: Sequence[Arg]) -> str:
    """A to_char format that neither the locale nor a later version changes."""
    text = args[-1].literal
    return "" if text is not None and _PLAIN_FORMAT.fullmatch(text) else "a format that may follow the locale"


def _comparisons() -> dict[Signature, Rule]:
    rules = logic() | identities() | compare((*_TYPES, "interval"))
    for kind in ("interval",):  # constants of it do not travel
        del rules["in", kind, "..."], rules["notin", kind, "..."]
    for op in ("=", "<>"):
        rules[op, "text", "text"] = Rule(binary(op), EQUALITY if op == "=" else INEQUALITY)
    rules["=", "jsonb", "jsonb"] = Rule(binary("="))
    rules["=", "bpchar", "bpchar"] = Rule(binary("="), EQUALITY)
    for op in ORDERINGS:
        rules[op, "text", "text"] = _compare_c(op)
        for pair in (("date", "timestamp"), ("timestamp", "date")):
            rules[op, *pair] = Rule(binary(op))
    for pair in (("date", "timestamp"), ("timestamp", "date"), ("float", "float4"), ("float4", "float")):
        for op in ("=", "<>", *ORDERINGS):
            rules[op, *pair] = Rule(binary(op))
    rules["in", "text", "..."] = Rule(membership, EQUALITY)
    rules["in", "bpchar", "..."] = Rule(membership, EQUALITY)
    rules["notin", "text", "..."] = Rule(no_membership, INEQUALITY)
    rules["like", "text", "text"] = Rule(binary("like"), INEQUALITY)
    rules["notlike", "text", "text"] = _not_like("like")
    for kind in (*_TYPES, "text"):
        for op in ("is distinct", "is not distinct"):
            rules[op, kind, kind] = Rule(binary(op), INEQUALITY)
        rules["any", kind, f"array of {kind}"] = Rule(_any, EQUALITY)
        rules["coalesce", kind, "..."] = Rule(coalesce)
        rules["case", kind, "..."] = Rule(case)
        rules["nullif", kind, kind] = Rule(function("nullif"), INEQUALITY)
        if kind not in ("text", "bytea", "uuid", "bool"):
            for name in ("greatest", "least"):
                rules[name, kind, "..."] = Rule(function(name))
    rules["any", "rows"] = Rule(_any_row, EQUALITY)
    for word in ("true", "false", "not true", "not false"):
        rules[f"is {word}", "bool"] = Rule(is_test(word))
    return rules


def _by_signature(version: int, utf8: bool) -> dict[Signature, Rule]:
    """One rule for each function's families: its own name, or its operator."""
    rules: dict[Signature, Rule] = {}
    for op, *names in OVERLOADS:
        kinds = tuple(family(PgType(name)) for name in names)
        rule = _rule(op, kinds)
        old = version < SINCE.get(op.split()[0], 0) or (not utf8 and op in _UTF8)
        if rule is not None and not old:
            rules[op, *kinds] = rule
    for name in ("concat", "concat_ws"):
        rules[name, "text", "..."] = Rule(function(name))
    rules["||", "text", "text"] = Rule(binary("||"))
    return rules


def _rule(op: str, kinds: tuple[str, ...]) -> Rule | None:
    name = op.partition(" ")[0]
    if (op in ("-", "age") and kinds[0] in ("timestamp", "timestamptz") and kinds[0] == kinds[-1]) or "json" in kinds:
        return None  # of infinities it is an error before PostgreSQL 17; json is tried nowhere
    if name in ("extract", "date_part", "date_trunc"):
        return Rule(field_of(op)) if "interval" not in kinds else None
    if op in _ARITHMETIC and "interval" not in kinds:
        return Rule(_arithmetic(op))
    if op == "~" and len(kinds) == 1:
        return Rule(lambda args: exp.BitwiseNot(this=wrap(args[0])))
    if op in _INFIX:
        return Rule(infix(_INFIX[op]))
    if op == "sqrt":
        return Rule(function("sqrt"))
    if op == "timezone_utc":
        return Rule(lambda args: exp.Anonymous(this="timezone", expressions=[exp.Literal.string("UTC"), args[0]]))
    if op in _SEARCHES:
        return Rule(function(op), INEQUALITY)
    if op == "substring" and kinds[1] == "int":
        return Rule(function("substring"))
    if op == "to_char":
        return Rule(function(op), guard=_written_out, note="a format without TM") if kinds[0] == "timestamp" else None
    return Rule(function(op)) if op in _BYTES_OF_TEXT or op in _OTHERS.split() else None


def _arithmetic(op: str) -> Build:
    if op == "neg":
        return lambda args: exp.Neg(this=wrap(args[0]))
    return binary(op) if op in ("+", "-", "*", "/", "%") else function(op)


def _casts() -> dict[Signature, Rule]:
    """Casts by the catalogs; what goes by the zone comes here only where the client's is UTC."""
    rules: dict[Signature, Rule] = {}
    for source, target in CASTS:
        kind = family(PgType(source))
        if kind in ("jsonb", "json", "interval"):
            continue
        if kind != family(PgType(target)) or kind == "int":
            rules["cast", kind, f"to {target}"] = Rule(cast_to)
    rules["cast", "numeric", "to numeric(n)"] = Rule(cast_to, guard=decimal(1000), note="of known scale: no NaN")
    rules["cast", "int", "to numeric(n)"] = Rule(cast_to)
    rules["cast", "text", "to varchar(n)"] = Rule(cast_to)
    return rules


def _aggregates(version: int) -> dict[Signature, Rule]:
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
        for name in ("sum", "avg", "stddev_samp", "stddev_pop", "var_samp", "var_pop"):
            rules[name, kind] = Rule(aggregate(name))
            rules[f"{name} distinct", kind] = Rule(aggregate(name, distinct=True))
    for name in ("bool_and", "bool_or"):
        rules[name, "bool"] = Rule(aggregate(name))
    for name in ("bit_and", "bit_or", "bit_xor"):
        if version >= SINCE.get(name, 0):
            rules[name, "int"] = Rule(aggregate(name))
    return rules


_EXACT_KEYS = ("int", "numeric", "date", "timestamp", "timestamptz", "time", "bool", "uuid")


@lru_cache
def _table(version: int, utf8: bool, marked: bool) -> Capability:
    scalars = _comparisons() | _by_signature(version, utf8) | _casts()
    if marked:
        scalars = {key: rule for key, rule in scalars.items() if key[0] != "?"}
    return replace(CAPABILITY, scalars=scalars, aggregates=_aggregates(version))


def of(profile: Profile) -> Capability:
    """The table for that server: what its version has, and its encoding; without the operator that a driver takes for
    the mark of a parameter."""
    utf8, marked = profile.facts.get("encoding") == "UTF8", profile.facts.get("question_marks") is True
    return _table(profile.version[0] if profile.version else 0, utf8, marked)


NEWEST = 18
CAPABILITY = Capability(
    engine="postgresql",
    dialect="postgres",
    scalars=_comparisons() | _by_signature(NEWEST, True) | _casts(),
    aggregates=_aggregates(NEWEST),
    keys={**dict.fromkeys(_EXACT_KEYS, ALWAYS), "text": (V.EXACT, V.EXACT, V.NO)},
    order={**dict.fromkeys((*_EXACT_KEYS, "float"), ALWAYS), "text": _TEXT_ORDER},
    sort=_sort,
    features=frozenset(
        (
            *RELATIONAL,
            "full join",
            *SET_OPERATIONS,
            *BAGS,
            "distinct",
            "filter",
            "in",
            "grouping sets",
            "casts parameters",
            "typed",
            "ranks",
        )
    ),
)
