"""MariaDB and MySQL: exact on integers, decimals and dates; text compares coarsely, so with a second look by bytes.

Both are proven, MariaDB 10.11 and MySQL 9.7; MySQL's table is for servers that have the collation of its second look,
8.0.17 and later. Missing on purpose: sums that must overflow (integers widen), division (four digits), casts that cut
silently, GREATEST (NULL), upper and lower, functions of two texts, whose collation decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlglot import exp

from connectors.capability.rules import (
    ALWAYS,
    BYTES_ONLY,
    COMPARISONS,
    RELATIONAL,
    Arg,
    Build,
    Capability,
    Rule,
    Signature,
    V,
    aggregate,
    bigint,
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
    like_escaped,
    logic,
    membership,
    no_membership,
    not_empty,
    padding,
    same,
    wrap,
)

_EXACT = ("int", "numeric", "date", "timestamp", "timestamptz")
# Even utf8mb4_bin pads with blanks, so no collation but NOPAD binary (BYTES) is exact.
_EQUAL = (V.EXACT, V.SUPERSET, V.SUPERSET)
DIGITS = 65
_BYTES = "CONVERT({0} USING utf8mb4) COLLATE "
PADLESS = {"mariadb": "utf8mb4_nopad_bin", "mysql": "utf8mb4_0900_bin"}  # compare by code points, blanks too
MYSQL_SINCE = (8, 0, 17)


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


def template(text: str) -> Build:
    """SQL with {0}, {1} ... for the arguments."""
    return lambda args: exp.Paren(this=exp.Var(this=text.format(*(wrap(a).sql("mysql") for a in args))))


def _signed(name: str, distinct: bool = False) -> Rule:
    build = aggregate(name, distinct)
    return Rule(lambda args: exp.Anonymous(this="CONVERT", expressions=[build(args), exp.Var(this="SIGNED")]))


def _bytewise(build: Build, how: str) -> Build:
    """The comparison byte by byte, which no index serves. LIKE needs that: through an index, MariaDB's 'a%' misses what
    goes on with a control character or one beyond U+FFFF (utf8mb4_bin, utf8mb4_unicode_ci, utf8mb4_nopad_bin)."""
    return lambda args: build([exp.Var(this=how.format(args[0].sql("mysql"))), *args[1:]])


def _again(build: Build, how: str) -> Build:
    """The comparison by the column's collation, which may use its index, and once more byte by byte."""

    def twice(args: Sequence[exp.Expr]) -> exp.Expr:
        first = build([a.copy() for a in args])
        return exp.Paren(this=exp.And(this=wrap(first), expression=wrap(_bytewise(build, how)(args))))

    return twice


def _divisor(args: Sequence[Arg]) -> str:
    text = args[1].literal
    return "" if text is not None and text.strip("-0.") and text != "-1" else "a divisor that may be 0 or -1"


def _comparisons(how: str) -> dict[Signature, Rule]:
    rules = logic() | identities() | compare(_EXACT)
    twice = "and again by bytes"
    rules["=", "text", "text"] = Rule(_again(binary("="), how), note=twice)
    rules["in", "text", "..."] = Rule(_again(membership, how), note=twice)
    rules["like", "text", "text"] = Rule(_bytewise(like_escaped("like"), how), note="by bytes, without an index")
    rules["<>", "text", "text"] = Rule(binary("<>"), BYTES_ONLY)
    for kind in (*_EXACT, "text"):
        rules["any", kind, f"array of {kind}"] = Rule(_any, _EQUAL)
    for op in ("=", "<>"):
        rules[op, "bool", "bool"] = Rule(binary(op))
    return rules | _more_comparisons()


def _more_comparisons() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {}
    rules["notin", "text", "..."] = Rule(no_membership, BYTES_ONLY)
    rules["notlike", "text", "text"] = Rule(like_escaped("notlike"), BYTES_ONLY)
    for op in COMPARISONS:
        rules[op, "time", "time"] = Rule(binary(op))
        for pair in (("date", "timestamp"), ("timestamp", "date")):
            rules[op, *pair] = Rule(binary(op))
        if op not in ("=", "<>"):
            rules[op, "text", "text"] = Rule(binary(op), BYTES_ONLY)
    for kind in (*_EXACT, "bool", "time", "text"):
        verdicts = BYTES_ONLY if kind == "text" else ALWAYS
        guard = equal_scales if kind == "numeric" else None
        rules["is not distinct", kind, kind] = Rule(template("{0} <=> {1}"), verdicts, note="<=>")
        rules["is distinct", kind, kind] = Rule(template("NOT ({0} <=> {1})"), verdicts, note="<=>")
        rules["coalesce", kind, "..."] = Rule(coalesce, verdicts, guard=guard, note="of one scale" if guard else "")
        rules["case", kind, "..."] = Rule(case, verdicts, guard=guard, note="of one scale" if guard else "")
        if kind not in ("bool", "time"):
            rules["nullif", kind, kind] = Rule(function("nullif"), verdicts, guard=decimal(DIGITS) if guard else None)
    for word in ("true", "false", "not true", "not false"):
        rules[f"is {word}", "bool"] = Rule(is_test(word))
    return rules


def _numbers() -> dict[Signature, Rule]:
    rules: dict[Signature, Rule] = {}
    for op in ("+", "-", "*"):
        if op != "-":  # 0 - -9223372036854775808 is no error there; UNSIGNED columns would make all unsigned
            signed = template(f"CAST({{0}} AS SIGNED) {op} CAST({{1}} AS SIGNED)")
            rules[op, "int", "int"] = Rule(signed, guard=bigint, note="of bigint")
        rules[op, "numeric", "numeric"] = Rule(binary(op), guard=_few(op), note="up to 65 digits")
    rules["/", "int", "int"] = Rule(template("CAST({0} AS SIGNED) DIV {1}"), guard=_divisor, note="DIV by a constant")
    rules["%", "int", "int"] = Rule(template("CAST({0} AS SIGNED) % {1}"), guard=_divisor, note="by a constant")
    known = decimal(DIGITS)
    rules["neg", "numeric"] = Rule(lambda args: exp.Neg(this=wrap(args[0])), guard=known)
    for name in ("abs", "round", "ceil", "floor"):
        rules[name, "numeric"] = Rule(function(name), guard=known, note="of known scale")
    rules["trunc", "numeric"] = Rule(template("TRUNCATE({0}, 0)"), guard=known, note="TRUNCATE")
    for name, own in (("round", "ROUND"), ("trunc", "TRUNCATE")):
        rules[name, "numeric", "int"] = Rule(
            template(f"{own}({{0}}, {{1}})"), guard=decimal(DIGITS, 1), note="to fewer digits than the scale"
        )
    rules["cast", "int", "to numeric"] = Rule(template("CAST({0} AS DECIMAL(20,0))"), note="DECIMAL(20,0)")
    rules["cast", "bool", "to int4"] = Rule(template("{0} + 0"), note="+ 0")
    return rules


def _few(op: str) -> Callable[[Sequence[Arg]], str]:
    digits = fits(op, DIGITS)

    def guard(args: Sequence[Arg]) -> str:
        scale = sum(a.digits.scale for a in args if a.digits is not None)
        return digits(args) or ("" if scale <= 30 else "more digits behind the point than it keeps")

    return guard


def _texts(how: str) -> dict[Signature, Rule]:
    made: dict[Signature, Rule] = {
        ("||", "text", "text"): Rule(function("concat"), note="CONCAT"),
        ("length", "text"): Rule(function("char_length"), note="CHAR_LENGTH"),
        ("octet_length", "text"): Rule(template("LENGTH(CONVERT({0} USING utf8mb4))"), note="LENGTH of utf8mb4"),
        ("md5", "text"): Rule(template(how.format("MD5(CONVERT({0} USING utf8mb4))"))),
        ("substring", "text", "int"): Rule(function("substring"), guard=counts((1, 1)), note="constants from 1"),
        ("substring", "text", "int", "int"): Rule(
            function("substring"), guard=counts((1, 1), (2, 0)), note="constants from 1"
        ),
        ("left", "text", "int"): Rule(function("left"), guard=counts((1, 0)), note="a constant from 0"),
        ("right", "text", "int"): Rule(function("right"), guard=counts((1, 0)), note="a constant from 0"),
        ("repeat", "text", "int"): Rule(function("repeat"), guard=counts((1, 0))),
        ("reverse", "text"): Rule(function("reverse")),
        ("btrim", "text"): Rule(function("trim"), note="TRIM"),
        ("ltrim", "text"): Rule(function("ltrim")),
        ("rtrim", "text"): Rule(function("rtrim")),
        ("strpos", "text", "text"): Rule(template(f"LOCATE({{1}}, {how})"), note="LOCATE by bytes"),
        ("starts_with", "text", "text"): Rule(template(f"LOCATE({{1}}, {how}) = 1"), note="LOCATE by bytes"),
        ("replace", "text", "text", "text"): Rule(function("replace"), BYTES_ONLY, guard=not_empty),
    }
    for name in ("lpad", "rpad"):
        made[name, "text", "int", "text"] = Rule(function(name), BYTES_ONLY, guard=padding)
        made[name, "text", "int"] = Rule(template(f"{name}({{0}}, {{1}}, ' ')"), guard=counts((1, 0)))
    return made


_DAY_PARTS = {
    "year": "YEAR({0})", "month": "MONTH({0})", "day": "DAYOFMONTH({0})", "quarter": "QUARTER({0})",
    "doy": "DAYOFYEAR({0})", "week": "WEEK({0}, 3)", "isoyear": "YEARWEEK({0}, 3) DIV 100",
    "dow": "DAYOFWEEK({0}) - 1", "isodow": "WEEKDAY({0}) + 1",
}  # fmt: skip
_TIME_PARTS = {
    "hour": "HOUR({0})", "minute": "MINUTE({0})", "second": "(SECOND({0}) * 1000000 + MICROSECOND({0})) * 0.000001",
    "milliseconds": "(SECOND({0}) * 1000000 + MICROSECOND({0})) * 0.001",
    "microseconds": "SECOND({0}) * 1000000 + MICROSECOND({0})",
}  # fmt: skip
_TRUNCATED = {
    "year": "MAKEDATE(YEAR({0}), 1)", "quarter": "MAKEDATE(YEAR({0}), 1) + INTERVAL QUARTER({0}) - 1 QUARTER",
    "month": "DATE({0}) - INTERVAL DAYOFMONTH({0}) - 1 DAY", "week": "DATE({0}) - INTERVAL WEEKDAY({0}) DAY",
    "day": "DATE({0})", "hour": "TIMESTAMP(DATE({0}), MAKETIME(HOUR({0}), 0, 0))",
    "minute": "TIMESTAMP(DATE({0}), MAKETIME(HOUR({0}), MINUTE({0}), 0))",
    "second": "TIMESTAMP(DATE({0}), MAKETIME(HOUR({0}), MINUTE({0}), SECOND({0})))",
}  # fmt: skip


def _times() -> dict[Signature, Rule]:
    made: dict[Signature, Rule] = {
        ("-", "date", "date"): Rule(template("DATEDIFF({0}, {1})"), note="DATEDIFF"),
        ("cast", "date", "to timestamp"): Rule(template("CAST({0} AS DATETIME(6))")),
        ("cast", "timestamp", "to date"): Rule(template("DATE({0})")),
        ("timezone_utc", "timestamp"): Rule(same, note="the session is in UTC"),
        ("timezone_utc", "timestamptz"): Rule(same, note="the session is in UTC"),
        ("cast", "date", "to timestamptz"): Rule(template("CAST({0} AS DATETIME(6))"), note="in UTC"),
        ("cast", "timestamp", "to timestamptz"): Rule(same, note="in UTC"),
        ("cast", "timestamptz", "to timestamp"): Rule(same, note="in UTC"),
        ("cast", "timestamptz", "to date"): Rule(template("DATE({0})"), note="in UTC"),
    }
    parts = {"date": _DAY_PARTS, "time": _TIME_PARTS, "timestamp": _DAY_PARTS | _TIME_PARTS}
    for kind, source in (("date", "date"), ("timestamp", "timestamp"), ("timestamptz", "timestamp"), ("time", "time")):
        note = "in UTC" if kind == "timestamptz" else ""
        for field_name, text in parts[source].items():
            made[f"extract {field_name}", kind] = Rule(template(text), note=note)
            made[f"date_part {field_name}", kind] = Rule(template(f"CAST({text} AS DOUBLE)"), note=note)
    for kind in ("timestamp", "timestamptz"):
        note = "in UTC" if kind == "timestamptz" else ""
        for unit, text in _TRUNCATED.items():
            made[f"date_trunc {unit}", kind] = Rule(template(f"CAST({text} AS DATETIME(6))"), note=note)
    return made


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
    rules["sum distinct", "int4"] = _signed("sum", distinct=True)
    for kind in ("int8", "numeric"):
        rules["sum distinct", kind] = Rule(aggregate("sum", distinct=True))
    rules["bool_and", "bool"] = Rule(aggregate("min"), note="MIN")
    rules["bool_or", "bool"] = Rule(aggregate("max"), note="MAX")
    rules["count distinct", "text"] = Rule(aggregate("count", distinct=True), BYTES_ONLY)
    return rules


def _table(engine: str) -> Capability:
    how = _BYTES + PADLESS[engine]
    return Capability(
        engine=engine,
        dialect="mysql",
        scalars=_comparisons(how) | _numbers() | _texts(how) | _times(),
        aggregates=_aggregates(),
        keys={**dict.fromkeys(_EXACT, ALWAYS), "text": BYTES_ONLY},
        order={**dict.fromkeys(_EXACT, ALWAYS), "text": BYTES_ONLY},
        sort=_sort,
        sum_digits=55,  # of 65
        features=frozenset((*RELATIONAL, "union all", "distinct", "ranks")),
    )


def _mysql() -> Capability:
    """MySQL finds -9223372036854775808 DIV 1 out of range, and has its MD5 in a component from 9.6 on."""
    found = _table("mysql")
    divided = replace(found.scalars["/", "int", "int"], build=template("CAST({0} AS DECIMAL(20,0)) DIV {1}"))
    scalars = {signature: rule for signature, rule in found.scalars.items() if signature != ("md5", "text")}
    return replace(found, scalars={**scalars, ("/", "int", "int"): divided})


CAPABILITY, MYSQL = _table("mariadb"), _mysql()
