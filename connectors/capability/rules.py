"""What an engine computes as PostgreSQL does: a verdict and a builder for each typed signature.

A signature is an operator and the families of its arguments' types. Nothing that is not listed is pushed, so an
entry must only be right in what it claims.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from sqlglot import exp

from connectors.base import Collation
from connectors.types import PgType


class V(IntEnum):
    """EXACT: the source's answer is the canon's. SUPERSET: it holds it, so check again. NO: it stays here."""

    NO = 0
    SUPERSET = 1
    EXACT = 2


Build = Callable[[Sequence[exp.Expr]], exp.Expr]
Signature = tuple[str, ...]
Sort = Callable[[exp.Expr, str, bool, bool], list[exp.Expr]]

FAMILIES = {
    "int2": "int", "int4": "int", "int8": "int", "numeric": "numeric", "float8": "float", "float4": "float4",
    "text": "text", "varchar": "text", "bpchar": "bpchar", "bool": "bool", "date": "date", "timestamp": "timestamp",
    "timestamptz": "timestamptz", "time": "time", "uuid": "uuid", "bytea": "bytea", "interval": "interval",
    "json": "json", "jsonb": "jsonb",
}  # fmt: skip
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
ORDERINGS = ("<", "<=", ">", ">=")


def family(kind: PgType | None) -> str:
    """The family of a type: int, numeric, float, text ...; 'array of x' for arrays, '?' for what no rule knows."""
    if kind is None:
        return "?"
    if kind.name.startswith("_"):
        return f"array of {FAMILIES.get(kind.name[1:], '?')}"
    return FAMILIES.get(kind.name, "?")


class Digits(NamedTuple):
    """A numeric's digits before the point, at most, and after it, in every value."""

    whole: int
    scale: int

    @property
    def all(self) -> int:
        """The digits that a decimal type must have."""
        return self.whole + self.scale


@dataclass(frozen=True, slots=True)
class Arg:
    """What a guard may know of an argument: its type, its text where it is a constant, a numeric's digits."""

    type: PgType | None
    literal: str | None = None
    digits: Digits | None = None
    null: bool = False  # the constant NULL


Guard = Callable[[Sequence[Arg]], str]


@dataclass(frozen=True, slots=True)
class Rule:
    """`verdict` by the coarsest collation among the arguments (EXACT where none is text), and the builder.

    `guard` says why the claim does not hold for just these arguments, '' where it does; for a cast, its target's type
    is the last argument. `note` is the footnote in the table: what is rewritten, or what the guard asks for.
    """

    build: Build
    verdicts: tuple[V, V, V] = (V.EXACT, V.EXACT, V.EXACT)  # Collation.BYTES, EQUAL, LOOSE
    reason: str = ""
    guard: Guard | None = None
    note: str = ""

    def verdict(self, collation: Collation) -> V:
        """The verdict when the arguments compare under `collation`."""
        return self.verdicts[{Collation.BYTES: 0, Collation.EQUAL: 1, Collation.LOOSE: 2}[collation]]


@dataclass(frozen=True, slots=True)
class Capability:
    """One engine's table. `keys`: families whose equality, `order`: families whose order is the canon's,
    by collation as in Rule; `sort` builds one ORDER BY term from (expression, family, desc, nulls_first)."""

    engine: str
    dialect: str
    scalars: dict[Signature, Rule]
    aggregates: dict[Signature, Rule]
    keys: dict[str, tuple[V, V, V]]
    order: dict[str, tuple[V, V, V]]
    sort: Sort
    sum_digits: int | None = None  # the most digits of a decimal that may be summed without overflow
    features: frozenset[str] = field(default_factory=frozenset)  # full join, intersect, except, filter ...
    orderly: bool = True  # its answers come in the order that was asked for, whatever a connector wraps around

    def scalar(self, op: str, args: Sequence[PgType | None]) -> Rule | None:
        """The rule for an operator or function over arguments of those types."""
        return self.scalars.get((op, *(family(a) for a in args)))

    def cast(self, source: PgType | None, target: PgType) -> Rule | None:
        """The rule for a cast that is more than another name of the same values."""
        name = target.name + ("(n)" if target.mod >= 0 else "")
        return self.scalars.get(("cast", family(source), f"to {name}"))

    def variadic(self, op: str, args: Sequence[PgType | None]) -> Rule | None:
        """The rule for IN, COALESCE ... over any number of arguments of one family."""
        found = {family(a) for a in args}
        return self.scalars.get((op, found.pop(), "...")) if len(found) == 1 else None


RELATIONAL = ("limit", "join", "half join")  # LIMIT and OFFSET; inner and left joins; EXISTS, NOT EXISTS
SET_OPERATIONS = ("union all", "union", "intersect", "except")
BAGS = ("intersect all", "except all")


def fits(op: str, most: int) -> Guard:
    """Decimals of known digits whose sum, difference or product has at most so many."""

    def guard(args: Sequence[Arg]) -> str:
        a, b = args[0].digits, args[1].digits
        if a is None or b is None:
            return "a numeric of no fixed scale"
        product = Digits(a.whole + b.whole, a.scale + b.scale)
        total = Digits(max(a.whole, b.whole) + 1, max(a.scale, b.scale))
        return "" if (product if op == "*" else total).all <= most else "more digits than its decimals have"

    return guard


def decimal(most: int, *places: int) -> Guard:
    """Digits known and few enough; of the constant arguments at `places`, none above the scale."""

    def guard(args: Sequence[Arg]) -> str:
        digits = args[0].digits
        if digits is None:
            return "a numeric of no fixed scale"
        for at in places:
            text = args[at].literal
            if text is None or not text.isdigit() or int(text) > digits.scale:
                return "not a constant number of digits within the scale"
        return "" if digits.all <= most else "more digits than its decimals have"

    return guard


def counts(*places: tuple[int, int]) -> Guard:
    """Constants at these places that are at least so much; else PostgreSQL counts otherwise."""

    def guard(args: Sequence[Arg]) -> str:
        for at, least in places:
            text = args[at].literal
            if text is None or not text.isdigit() or int(text) < least:
                return f"not a constant of at least {least}"
        return ""

    return guard


def not_empty(args: Sequence[Arg]) -> str:
    """A constant to look for that is not ''."""
    return "" if args[1].literal else "no constant to look for, or an empty one"


def padding(args: Sequence[Arg]) -> str:
    """lpad and rpad by a constant that is not empty."""
    return counts((1, 0))(args) or ("" if args[2].literal else "no constant to pad with")


def bigint(args: Sequence[Arg]) -> str:
    """A bigint among them: engines that compute narrower integers as bigint do not see these overflow."""
    wide = any(a.type is not None and a.type.name == "int8" for a in args)
    return "" if wide else "an overflow of less than 64 bits, which it would not see"


def alike(most: int) -> Guard:
    """Decimals that have one type which holds all of them: of another, an engine has an error for values too long."""

    def guard(args: Sequence[Arg]) -> str:
        numerics = [a for a in args if a.type is None or a.type.name == "numeric"]
        known = [a.digits for a in numerics if a.digits is not None]
        if len(known) < len(numerics):
            return "a numeric of no fixed scale"
        wide = max((d.whole for d in known), default=0) + max((d.scale for d in known), default=0)
        return "" if wide <= most else "more digits than its decimals have"

    return guard


def equal_scales(args: Sequence[Arg]) -> str:
    """Numerics of one scale: the engine gives all values that of the widest, PostgreSQL each its own."""
    numerics = [a for a in args if not a.null and (a.type is None or a.type.name == "numeric")]
    known = {a.digits.scale if a.digits is not None else None for a in numerics}
    return "" if len(known) == 1 and None not in known else "numerics of unlike scales"


ALWAYS = (V.EXACT, V.EXACT, V.EXACT)
BYTES_ONLY = (V.EXACT, V.NO, V.NO)
EQUALITY = (V.EXACT, V.EXACT, V.SUPERSET)
INEQUALITY = (V.EXACT, V.EXACT, V.NO)


def wrap(e: exp.Expr) -> exp.Expr:
    """Parentheses around what is not a single term."""
    if isinstance(e, exp.Binary | exp.Unary | exp.Connector | exp.Not | exp.Is | exp.In | exp.Between | exp.Escape):
        return exp.Paren(this=e)
    return e


_BINARY: dict[str, type[exp.Binary]] = {
    "=": exp.EQ, "<>": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT, ">=": exp.GTE, "+": exp.Add, "-": exp.Sub,
    "*": exp.Mul, "/": exp.Div, "%": exp.Mod, "||": exp.DPipe, "like": exp.Like, "ilike": exp.ILike,
    "is distinct": exp.NullSafeNEQ, "is not distinct": exp.NullSafeEQ,
}  # fmt: skip


def binary(op: str) -> Build:
    """A binary operator in standard form."""
    kind = _BINARY[op]

    def build(args: Sequence[exp.Expr]) -> exp.Expr:
        made = kind(this=wrap(args[0]), expression=wrap(args[1]))
        if isinstance(made, exp.Div):  # else sqlglot takes it for a division of floats and casts
            made.set("typed", True)
        return made

    return build


def junction(op: str) -> Build:
    """AND or OR of any number."""

    def build(args: Sequence[exp.Expr]) -> exp.Expr:
        made = wrap(args[0])
        for arg in args[1:]:
            made = (exp.And if op == "and" else exp.Or)(this=made, expression=wrap(arg))
        return made

    return build


def negation(args: Sequence[exp.Expr]) -> exp.Expr:
    """NOT x."""
    return exp.Not(this=wrap(args[0]))


def is_test(word: str) -> Build:
    """IS [NOT] NULL, TRUE, FALSE."""
    negate = word.startswith("not ")
    target = word.removeprefix("not ")

    def build(args: Sequence[exp.Expr]) -> exp.Expr:
        right = exp.Null() if target == "null" else exp.Boolean(this=target == "true")
        test = exp.Is(this=wrap(args[0]), expression=right)
        return exp.Not(this=test) if negate else test

    return build


def membership(args: Sequence[exp.Expr]) -> exp.Expr:
    """x IN (a, b ...)."""
    return exp.In(this=wrap(args[0]), expressions=list(args[1:]))


def no_membership(args: Sequence[exp.Expr]) -> exp.Expr:
    """x NOT IN (a, b ...)."""
    return exp.Not(this=membership(args))


# Raw, since sqlglot doubles the backslash for MySQL, whose session has no escapes in strings where it is ours.
RAW_BACKSLASH = exp.Var(this="'\\'")


def like_escaped(op: str, backslash: exp.Expr = RAW_BACKSLASH) -> Build:
    """LIKE with PostgreSQL's default escape written out, for engines that have none or another."""
    negate = op.startswith("not")
    kind = exp.ILike if op.endswith("ilike") else exp.Like

    def build(args: Sequence[exp.Expr]) -> exp.Expr:
        like = kind(this=wrap(args[0]), expression=wrap(args[1]))
        made = exp.Escape(this=like, expression=backslash.copy())
        return exp.Not(this=exp.Paren(this=made)) if negate else made

    return build


def infix(op: str) -> Build:
    """A binary operator as it stands, in parentheses; for what only PostgreSQL has."""

    def build(args: Sequence[exp.Expr]) -> exp.Expr:
        left, right = (wrap(a).sql("postgres") for a in args)
        return exp.Paren(this=exp.Var(this=f"{left} {op} {right}"))

    return build


def function(name: str) -> Build:
    """A function by its own name."""

    def build(args: Sequence[exp.Expr]) -> exp.Expr:
        return exp.Anonymous(this=name, expressions=list(args))

    return build


def field_of(op: str) -> Build:
    """EXTRACT, date_part or date_trunc of the field that stands in the operator's name, as PostgreSQL writes it."""
    name, _, field_name = op.partition(" ")
    head = f"EXTRACT({field_name} FROM " if name == "extract" else f"{name}('{field_name}', "
    return lambda args: exp.Var(this=f"{head}{args[0].sql('postgres')})")


def cast_to(args: Sequence[exp.Expr]) -> exp.Expr:
    """A cast under PostgreSQL's names of types: the second argument is the type."""
    return exp.Cast(this=args[0], to=args[1])


def same(args: Sequence[exp.Expr]) -> exp.Expr:
    """The argument itself: a cast that changes nothing that the engine could see."""
    return args[0]


def case(args: Sequence[exp.Expr]) -> exp.Expr:
    """CASE WHEN c THEN v ... ELSE v END from (c, v, ..., [v])."""
    pairs = [exp.If(this=args[i], true=args[i + 1]) for i in range(0, len(args) - 1, 2)]
    return exp.Case(ifs=pairs, default=args[-1] if len(args) % 2 else None)


def coalesce(args: Sequence[exp.Expr]) -> exp.Expr:
    """COALESCE of any number."""
    return exp.Coalesce(this=args[0], expressions=list(args[1:]))


def aggregate(name: str, distinct: bool = False) -> Build:
    """name([DISTINCT] x), or name(*)."""

    def build(args: Sequence[exp.Expr]) -> exp.Expr:
        inner: list[exp.Expr] = list(args) if args else [exp.Star()]
        return exp.Anonymous(this=name, expressions=[exp.Distinct(expressions=inner)] if distinct else inner)

    return build


def ordered(e: exp.Expr, desc: bool, nulls_first: bool, dialect: str) -> exp.Expr:
    """An ORDER BY term with its NULLS clause written out always: sqlglot leaves out what it takes for the default,
    which a session setting may have changed."""
    words = f"{' DESC' if desc else ''} NULLS {'FIRST' if nulls_first else 'LAST'}"
    return exp.Var(this=e.sql(dialect, copy=False) + words)


def nulls_ordered(dialect: str) -> Sort:
    """ORDER BY as `ordered` in that dialect."""

    def sort(e: exp.Expr, _: str, desc: bool, nulls_first: bool) -> list[exp.Expr]:
        return [ordered(e, desc, nulls_first, dialect)]

    return sort


def logic() -> dict[Signature, Rule]:
    """AND, OR, NOT and NULL tests, which every engine has as PostgreSQL does."""
    rules: dict[Signature, Rule] = {
        ("and", "bool", "..."): Rule(junction("and")),
        ("or", "bool", "..."): Rule(junction("or")),
        ("not", "bool"): Rule(negation),
    }
    for kind in (*set(FAMILIES.values()), "?"):
        rules["is null", kind] = Rule(is_test("null"))
        rules["is not null", kind] = Rule(is_test("not null"))
    return rules


def identities() -> dict[Signature, Rule]:
    """Casts between types that one engine's type stands for; the cast's own target decides (see `place`)."""
    return {("cast", kind, kind): Rule(same) for kind in ("int", "text", "date", "timestamp", "timestamptz", "bool")}


def compare(kinds: Sequence[str], ops: Sequence[str] = COMPARISONS) -> dict[Signature, Rule]:
    """Comparisons and IN lists within each family that is not text."""
    rules: dict[Signature, Rule] = {}
    for kind in kinds:
        for op in ops:
            rules[op, kind, kind] = Rule(binary(op))
        if "=" in ops:
            rules["in", kind, "..."] = Rule(membership)
            rules["notin", kind, "..."] = Rule(no_membership)
    return rules


def texts(equal: tuple[V, V, V]) -> dict[Signature, Rule]:
    """Comparisons, IN and LIKE of text in engines whose binary order is the canon's; `equal` is what = and IN claim."""
    rules: dict[Signature, Rule] = {
        (op, "text", "text"): Rule(binary(op), equal if op == "=" else BYTES_ONLY) for op in COMPARISONS
    }
    rules["in", "text", "..."] = Rule(membership, equal)
    rules["notin", "text", "..."] = Rule(no_membership, BYTES_ONLY)
    for op in ("like", "notlike"):
        rules[op, "text", "text"] = Rule(like_escaped(op), BYTES_ONLY)
    return rules
