"""DuckDB, as the warehouse's engine and as the merge engine: binary text, decimals up to 38 digits.

What it refuses (overflow, a width beyond 38 digits), PostgreSQL refuses too, or the canon merges instead. Missing on
purpose: upper and lower of ß, reverse by graphemes, trims of more than blanks, averages and divisions as doubles,
products of doubles, whose underflow is no error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

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
    is_test,
    logic,
    not_empty,
    nulls_ordered,
    padding,
    texts,
    wrap,
)
from connectors.capability.signatures import DATE_FIELDS, TIME_FIELDS, TRUNCATIONS

_TYPES = ("int", "numeric", "float", "date", "timestamp", "timestamptz", "time", "bool", "text")
_KEYS = ("int", "numeric", "date", "timestamp", "timestamptz", "time", "bool", "text")
DIGITS = 38
WIDE = 19  # from so many digits on, DuckDB's decimals are of 128 bits

# A column declared COLLATE NOCASE, NOACCENT or ICU finds more by =, and orders otherwise.
_EQUAL = (V.EXACT, V.SUPERSET, V.SUPERSET)


def _by_bytes(kind: str) -> tuple[V, V, V]:
    return BYTES_ONLY if kind == "text" else ALWAYS


def any_of(args: Sequence[exp.Expr]) -> exp.Expr:
    """One of a list's elements."""
    values = exp.Select(expressions=[exp.Anonymous(this="unnest", expressions=[args[1]])])
    return exp.In(this=wrap(args[0]), query=exp.Subquery(this=values))


def _any_row(args: Sequence[exp.Expr]) -> exp.Expr:
    """(a, b) among the rows of two lists side by side."""
    columns, lists = args[: len(args) // 2], args[len(args) // 2 :]
    rows = exp.Select(expressions=[exp.Anonymous(this="unnest", expressions=[each]) for each in lists])
    return exp.In(this=exp.Tuple(expressions=list(columns)), query=exp.Subquery(this=rows))


def template(text: str) -> Build:
    """SQL with {0}, {1} ... for the arguments."""
    return lambda args: exp.Paren(this=exp.Var(this=text.format(*(wrap(a).sql("duckdb") for a in args))))


def _as_type(args: Sequence[exp.Expr]) -> exp.Expr:
    return exp.Cast(this=args[0], to=args[1])


def _days(args: Sequence[Arg]) -> str:
    text = args[1].literal
    few = text is not None and text.lstrip("-").isdigit() and abs(int(text)) <= 1_000_000
    return "" if few else "no constant number of days"


def _divisor(args: Sequence[Arg]) -> str:
    return "" if args[1].literal not in (None, "0", "-1") else "a divisor that may be 0 or -1"


def _comparisons() -> dict[Signature, Rule]:
    rules = logic() | identities() | compare(_TYPES) | texts(_EQUAL)
    for op in COMPARISONS:
        for pair in (("date", "timestamp"), ("timestamp", "date")):
            rules[op, *pair] = Rule(binary(op))
    for kind in _TYPES:
        guard = equal_scales if kind == "numeric" else None
        for op in ("is distinct", "is not distinct"):
            rules[op, kind, kind] = Rule(binary(op), _by_bytes(kind))
        for name, build in (("coalesce", coalesce), ("case", case)):
            rules[name, kind, "..."] = Rule(build, guard=guard, note="of one scale" if guard else "")
        one = decimal(DIGITS) if guard else None
        rules["nullif", kind, kind] = Rule(function("nullif"), _by_bytes(kind), guard=one)
        if kind not in ("bool", "text"):
            for name in ("greatest", "least"):
                rules[name, kind, "..."] = Rule(function(name), guard=guard, note="of one scale" if guard else "")
        if kind != "time":
            rules["any", kind, f"array of {kind}"] = Rule(any_of, _EQUAL if kind == "text" else ALWAYS)
    rules["any", "rows"] = Rule(_any_row)
    for word in ("true", "false", "not true", "not false"):
        rules[f"is {word}", "bool"] = Rule(is_test(word))
    return rules


def _numbers() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {}
    for op in ("+", "-", "*"):
        # as functions: of the operators DuckDB moves constants across a comparison, and an overflow is hidden
        named = {"+": "add", "-": "subtract", "*": "multiply"}[op]
        rules[op, "int", "int"] = Rule(function(named), note=f"{named}()")
        rules[op, "numeric", "numeric"] = Rule(binary(op), guard=_small(op), note="up to 18 digits")
    rules["/", "int", "int"] = Rule(template("{0} // {1}"), note="//")
    rules["%", "int", "int"] = Rule(binary("%"), guard=_divisor, note="by a constant")
    for kind in ("int", "float"):
        rules["abs", kind] = Rule(function("abs"))
    rules["neg", "int"] = Rule(template("subtract(0, {0})"), note="subtract()")
    rules["neg", "float"] = Rule(lambda args: exp.Neg(this=wrap(args[0])))
    rules["neg", "numeric"] = Rule(lambda args: exp.Neg(this=wrap(args[0])), guard=decimal(DIGITS))
    rules["abs", "numeric"] = Rule(function("abs"), guard=decimal(DIGITS))
    for name in ("round", "ceil", "floor", "trunc"):
        rules[name, "numeric"] = Rule(function(name), guard=decimal(DIGITS), note="of known scale")
    fewer = decimal(DIGITS, 1)
    rules["round", "numeric", "int"] = Rule(function("round"), guard=fewer, note="to fewer digits than the scale")
    for name in ("ceil", "floor", "trunc"):
        rules[name, "float"] = Rule(function(name))
    rules["round", "float"] = Rule(template("round_even({0}, 0)"), note="round_even")
    for op in ("&", "bit_or"):
        rules[op, "int", "int"] = Rule(template("{0} & {1}" if op == "&" else "{0} | {1}"))
    rules["#", "int", "int"] = Rule(function("xor"))
    return rules


def _small(op: str) -> Callable[[Sequence[Arg]], str]:
    """Decimals that overflow neither in 64 bits, which DuckDB stays in where its arguments are, nor in 38 digits."""
    total = fits(op, DIGITS)
    narrow = fits(op, WIDE - 1)

    def guard(args: Sequence[Arg]) -> str:
        wide = any(a.digits is not None and a.digits.all >= WIDE for a in args)
        return total(args) if wide else narrow(args)

    return guard


def _texts() -> dict[Signature, Rule]:
    made: dict[Signature, Rule] = {
        ("||", "text", "text"): Rule(binary("||")),
        ("length", "text"): Rule(function("length")),
        ("octet_length", "text"): Rule(function("strlen"), note="strlen"),
        ("md5", "text"): Rule(function("md5")),
        ("ascii", "text"): Rule(template("CASE WHEN {0} = '' THEN 0 ELSE unicode({0}) END"), note="unicode"),
        ("substring", "text", "int"): Rule(function("substring"), guard=counts((1, 1)), note="constants from 1"),
        ("substring", "text", "int", "int"): Rule(
            function("substring"), guard=counts((1, 1), (2, 0)), note="constants from 1"
        ),
        ("left", "text", "int"): Rule(function("left"), guard=counts((1, 0)), note="a constant from 0"),
        ("right", "text", "int"): Rule(function("right"), guard=counts((1, 0)), note="a constant from 0"),
        ("strpos", "text", "text"): Rule(function("strpos"), BYTES_ONLY),
        ("replace", "text", "text", "text"): Rule(function("replace"), BYTES_ONLY, guard=not_empty),
        ("split_part", "text", "text", "int"): Rule(
            function("split_part"), BYTES_ONLY, guard=lambda args: not_empty(args) or counts((2, 1))(args)
        ),
        ("starts_with", "text", "text"): Rule(function("starts_with"), BYTES_ONLY),
        ("translate", "text", "text", "text"): Rule(function("translate"), BYTES_ONLY),
        ("repeat", "text", "int"): Rule(function("repeat"), guard=counts((1, 0))),
        ("concat", "text", "..."): Rule(function("concat")),
        ("concat_ws", "text", "..."): Rule(function("concat_ws")),
        ("btrim", "text"): Rule(template("trim({0}, ' ')"), note="trim(x, ' ')"),
        ("ltrim", "text"): Rule(template("ltrim({0}, ' ')"), note="ltrim(x, ' ')"),
        ("rtrim", "text"): Rule(template("rtrim({0}, ' ')"), note="rtrim(x, ' ')"),
        ("btrim", "text", "text"): Rule(function("trim"), BYTES_ONLY),
        ("ltrim", "text", "text"): Rule(function("ltrim"), BYTES_ONLY),
        ("rtrim", "text", "text"): Rule(function("rtrim"), BYTES_ONLY),
    }
    for name in ("lpad", "rpad"):
        made[name, "text", "int", "text"] = Rule(
            function(name),
            BYTES_ONLY,
            guard=padding,
        )
        made[name, "text", "int"] = Rule(template(f"{name}({{0}}, {{1}}, ' ')"), guard=counts((1, 0)))
    return made


def _casts() -> dict[Signature, Rule]:
    made: dict[Signature, Rule] = {
        ("cast", "int", "to numeric"): Rule(template("CAST({0} AS DECIMAL(19,0))"), note="DECIMAL(19,0)"),
        ("cast", "numeric", "to text"): Rule(_as_type, guard=decimal(DIGITS)),
        ("cast", "bool", "to text"): Rule(_as_type),
        ("cast", "bool", "to int4"): Rule(_as_type),
        ("cast", "int", "to bool"): Rule(_as_type),
        ("cast", "int", "to text"): Rule(_as_type),
        ("cast", "int", "to float8"): Rule(_as_type),
        ("cast", "float", "to int8"): Rule(_as_type),
        ("cast", "date", "to timestamp"): Rule(_as_type),
        ("cast", "timestamp", "to date"): Rule(_as_type),
        ("cast", "date", "to timestamptz"): Rule(_as_type, note="in UTC"),
        ("cast", "timestamp", "to timestamptz"): Rule(_as_type, note="in UTC"),
        ("cast", "timestamptz", "to timestamp"): Rule(_as_type, note="in UTC"),
        ("cast", "timestamptz", "to date"): Rule(_as_type, note="in UTC"),
    }
    for name in ("int2", "int4", "int8"):
        made["cast", "int", f"to {name}"] = Rule(_as_type)
        made["cast", "numeric", f"to {name}"] = Rule(_as_type, guard=decimal(DIGITS))
        made["cast", "float", f"to {name}"] = Rule(_as_type)
    for source in ("int", "numeric"):
        made["cast", source, "to numeric(n)"] = Rule(_as_type, guard=_to_decimal)
    return made


def _to_decimal(args: Sequence[Arg]) -> str:
    kind = args[1].type
    precision, scale = kind.precision_scale if kind is not None else (0, 0)
    if not 0 <= scale <= precision <= DIGITS:
        return "a decimal that DuckDB has not"
    return decimal(DIGITS)(args) if args[0].type is not None and args[0].type.name == "numeric" else ""


_NAMES = {"microseconds": "microsecond", "dow": "dayofweek", "doy": "dayofyear"}
_MICROS = {"second": "0.000001", "milliseconds": "0.001"}


def _field(name: str, kind: str) -> str:
    """The field as an integer or a decimal of the digits that PostgreSQL has."""
    if name == "epoch":
        return "epoch_us(CAST({0} AS TIMESTAMP)) // 1000000" if kind == "date" else "epoch_us({0}) * 0.000001"
    if name in _MICROS:
        return f"microsecond({{0}}) * {_MICROS[name]}"
    return f"{_NAMES.get(name, name)}({{0}})"


def _fields(guarded: Callable[[str, str], str]) -> dict[Signature, Rule]:
    """Fields and truncations; `guarded` sees to infinities, of which DuckDB has no year."""
    made: dict[Signature, Rule] = {}
    every = (*DATE_FIELDS, *TIME_FIELDS)
    for kind, names in (("date", DATE_FIELDS), ("timestamp", every), ("timestamptz", every), ("time", TIME_FIELDS)):
        for name in (*names, *(("epoch",) if kind != "time" else ())):
            if name in ("century", "millennium", "decade"):
                continue
            text = guarded(_field(name, kind), kind)
            made[f"extract {name}", kind] = Rule(template(text))
            made[f"date_part {name}", kind] = Rule(template(f"CAST({text} AS DOUBLE)"))
    return made


def _finite(text: str, kind: str) -> str:
    """The expression; an infinity raises, and the canon then merges."""
    if kind == "time":
        return text
    first, last = ("0001-01-01", "9999-12-31") if kind == "date" else ("0001-01-01", "9999-12-31 23:59:59.999999")
    known = f"{{0}} BETWEEN {kind} '{first}' AND {kind} '{last}'"
    return f"CASE WHEN NOT {known} THEN error('before Christ, or an infinity') ELSE {text} END"


def _times() -> dict[Signature, Rule]:
    made: dict[Signature, Rule] = {
        ("isfinite", "date"): Rule(function("isfinite")),
        ("isfinite", "timestamp"): Rule(function("isfinite")),
        ("timezone_utc", "timestamp"): Rule(template("CAST({0} AS TIMESTAMPTZ)"), note="the session is in UTC"),
        ("timezone_utc", "timestamptz"): Rule(template("CAST({0} AS TIMESTAMP)"), note="the session is in UTC"),
    }
    for op in ("+", "-"):
        for kind in ("date", "timestamp"):
            made[op, kind, "interval"] = Rule(
                template(f"CAST({{0}} {op} CAST({{1}} AS INTERVAL) AS TIMESTAMP)"), guard=_constant
            )
    for name in TRUNCATIONS:
        if name not in ("century", "millennium", "decade"):
            for kind in ("timestamp", "timestamptz"):
                note = "in UTC" if kind == "timestamptz" else ""
                made[f"date_trunc {name}", kind] = Rule(template(f"date_trunc('{name}', {{0}})"), note=note)
    return made


def _constant(args: Sequence[Arg]) -> str:
    return "" if args[1].literal is not None else "no constant interval"


def _aggregates() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {("count",): Rule(aggregate("count"))}
    for kind in _TYPES:
        rules["count", kind] = Rule(aggregate("count"))
        if kind in _KEYS:
            rules["count distinct", kind] = Rule(aggregate("count", distinct=True), _by_bytes(kind))
        if kind != "bool":
            for name in ("min", "max"):
                rules[name, kind] = Rule(aggregate(name), _by_bytes(kind))
    for kind in ("int4", "int8"):
        rules["sum", kind] = Rule(aggregate("sum"), note="HUGEINT")
        rules["sum distinct", kind] = Rule(aggregate("sum", distinct=True), note="HUGEINT")
    for name in ("sum", "sum distinct"):
        rules[name, "numeric"] = Rule(
            aggregate("sum", distinct=name != "sum"), guard=decimal(DIGITS), note="DECIMAL(38, s)"
        )
    for name in ("bool_and", "bool_or"):
        rules[name, "bool"] = Rule(aggregate(name))
    for name in ("bit_and", "bit_or", "bit_xor"):
        rules[name, "int"] = Rule(aggregate(name))
    return rules


CAPABILITY = Capability(
    engine="duckdb",
    dialect="duckdb",
    scalars=_comparisons() | _numbers() | _texts() | _casts() | _times(),
    aggregates=_aggregates(),
    keys={kind: _by_bytes(kind) for kind in _KEYS},
    order={kind: _by_bytes(kind) for kind in (*_KEYS, "float")},
    sort=nulls_ordered("duckdb"),
    sum_digits=28,  # of 38, which leaves room for ten thousand million rows
    features=frozenset(
        (
            *RELATIONAL,
            "full join",
            *SET_OPERATIONS,
            *BAGS,
            "distinct",
            "filter",
            "typed",
            "in",
            "grouping sets",
            "ranks",
        )
    ),
)


def _merging() -> dict[Signature, Rule]:
    """As the merge engine it may overflow: what DuckDB refuses, the canon then answers. Arrays do not come there."""
    rules = {key: rule for key, rule in CAPABILITY.scalars.items() if key[0] != "any"} | _fields(_finite)
    for op in ("+", "-", "*"):
        rules[op, "numeric", "numeric"] = Rule(binary(op), guard=fits(op, DIGITS), note="up to 38 digits")
    days = "CASE WHEN isinf({0}) OR isinf({1}) THEN error('an infinity') ELSE CAST({0} - {1} AS INTEGER) END"
    rules["-", "date", "date"] = Rule(template(days))
    rules["%", "int", "int"] = Rule(binary("%"))
    for op, named in (("+", "add"), ("-", "subtract")):
        far = "CASE WHEN {0} > DATE '5000000-01-01' AND isfinite({0}) THEN error('a far date') ELSE "
        rules[op, "date", "int"] = Rule(template(far + named + "({0}, {1}) END"), guard=_days, note="few days")
    return rules


# any_value stands only where the planner counts beside it and raises for more than one row.
_ANY = {("any_value", kind): Rule(aggregate("any_value")) for kind in _TYPES}
MERGE = replace(
    CAPABILITY,
    scalars=_merging(),
    aggregates=CAPABILITY.aggregates | _ANY,
    sum_digits=None,
    features=CAPABILITY.features | {"boundaries"},
)
