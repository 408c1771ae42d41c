"""The three places SQL is written for: the canon, a source, and DuckDB as the merge engine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from functools import cache
from math import isfinite

from sqlglot import exp

from connectors.base import Bound
from connectors.capability import signatures
from connectors.capability.rules import (
    Capability,
    Rule,
    binary,
    case,
    coalesce,
    family,
    is_test,
    junction,
    ordered,
    wrap,
)
from connectors.capability.signatures import ZONED
from connectors.types import PgType, numeric
from planner import ir
from planner.calls import canonical
from planner.canonical import tokens
from planner.digits import of_literal
from planner.plan import BoundaryRef, ComputedRef, KeysRef, ParamRef, SourceText, Value
from planner.scalar import Agg, Boundary, Call, Col, KeyIn, Lit, Once, Param, Scalar, Sub, Verbatim
from planner.types import INT8, harmless_cast
from planner.windows import Ranking, ranking

OPTIONAL = "optional"  # the operator around a predicate for which TRUE may stand
_MARK = re.compile("\x00(\\d+)\x00")
_PIECES = re.compile("(\x00\\d+\x00|[\x01\x02])")
_NAMED = {
    "and": junction("and"), "or": junction("or"), "coalesce": coalesce, "case": case,
    **{op: binary(op) for op in ("=", "<>", "<", "<=", ">", ">=", "+", "-", "*", "/", "%", "||", "like", "ilike",
                                 "is distinct", "is not distinct")},
    **{f"is {word}": is_test(word) for word in ("null", "not null", "true", "false", "not true", "not false")},
}  # fmt: skip


@cache
def _type(sql: str) -> exp.DataType:
    return exp.DataType.build(sql, dialect="postgres", udt=True)


def _cast(e: exp.Expr, kind: PgType) -> exp.Expr:
    return exp.Cast(this=e, to=_type(kind.sql))


# To these an integer's width and a text's name of its type are the same.
_BLIND = signatures.HARMLESS - {"case", "coalesce", "nullif", "greatest", "least"}


class Unwritable(TypeError):
    """What was to be computed there has no rule there."""


class CanonTarget:
    """PostgreSQL's own text: everything can be said. Fragments are relations f0, f1 ... with columns c0, c1 ...

    `cuts` gives the fragment's number by the identity of its Cut node, and boundary i's as -1 - i.
    """

    dialect = "postgres"
    binds_once = False
    hashes_in = False

    def __init__(self, cuts: Mapping[int, int]) -> None:
        self.cuts = cuts

    def table(self, leaf: ir.Scan | ir.Cut) -> tuple[exp.Expr, list[str]]:
        """Fragment i as f{i}."""
        if isinstance(leaf, ir.Scan):
            raise TypeError("a scan outside every fragment")
        at = self.cuts[id(leaf)]
        return exp.to_table(f"f{at}"), [f"c{n}" for n in range(len(leaf.columns))]

    def sort(self, e: exp.Expr, key: ir.SortKey) -> list[exp.Expr]:
        """One term, its NULLS clause written out."""
        return [ordered(wrap(e), key.desc, key.nulls_first, self.dialect)]

    def bound(self, e: Scalar, args: list[exp.Expr], unbounded: int) -> exp.Expr:
        """As any other scalar."""
        del unbounded
        return self.scalar(e, args)

    def scalar(self, e: Scalar, args: list[exp.Expr]) -> exp.Expr:
        """Any scalar."""
        match e:
            case Lit():
                return canon_literal(e)
            case Param():
                number = exp.Parameter(this=exp.Literal.number(e.index + 1))
                return number if e.given is None else _cast(number, e.type)
            case Once():
                return args[0]
            case Boundary():
                return boundary(e, self.cuts)
            case Verbatim():
                return _standing(exp.Var(this="".join(_piece(p, args) for p in e.parts)), e.kind)
            case Agg():
                return _aggregate(e, args)
            case Call():
                return _call(e, args)
            case KeyIn():
                return exp.true()
            case Col() | Sub():
                raise TypeError(f"{type(e).__name__} is the emitter's")


def boundary(e: Boundary, numbers: Mapping[int, int]) -> exp.Expr:
    """A boundary where rows are merged: a scalar sub-query, with PostgreSQL's error for several rows."""
    return exp.Subquery(this=exp.select("c0").from_(exp.to_table(f"f{numbers[-1 - e.index]}")))


def _piece(part: str | int, args: list[exp.Expr]) -> str:
    if isinstance(part, str):
        return part
    arg = args[part]
    return arg.sql("postgres") if isinstance(arg, exp.Column | exp.Paren) else f"({arg.sql('postgres')})"


def _standing(e: exp.Var, kind: str) -> exp.Expr:
    """In parentheses, unless it is one call: what stands around may bind more tightly than its operator."""
    return e if kind != "value" or _one_call(tokens(str(e.this))) else exp.Paren(this=e)


def _one_call(cut: list[str]) -> bool:
    """Whether the text is a name, or a name and the parentheses that close at its end."""
    depth = 0
    for at, token in enumerate(cut[1:], 1):
        depth += (token == "(") - (token == ")")  # noqa: S105 - a token of SQL
        if depth == 0 and at < len(cut) - 1:
            return False
    return bool(cut) and (cut[0][0].isalpha() or cut[0][0] in "_(\x00")


def canon_literal(e: Lit) -> exp.Expr:
    """A constant with its exact type."""
    if e.value is None:
        return exp.Null() if e.type.name == "unknown" else _cast(exp.Null(), e.type)
    if e.type.name == "bool":
        return exp.Boolean(this=e.value in ("true", "t"))
    if e.type.name == "int4" and e.value.isdigit():
        return exp.Literal.number(e.value)
    text = exp.Literal.string(e.value)
    return text if e.type.name == "unknown" else _cast(text, e.type)


def _aggregate(e: Agg, args: list[exp.Expr]) -> exp.Expr:
    args, where = (args[:-1], args[-1]) if e.where is not None else (args, None)
    inner: list[exp.Expr] = [exp.Star()] if not args else list(args)
    made: exp.Expr = exp.Anonymous(this=e.name, expressions=[exp.Distinct(expressions=inner)] if e.distinct else inner)
    return made if where is None else exp.Filter(this=made, expression=exp.Where(this=where))


def _call(e: Call, args: list[exp.Expr]) -> exp.Expr:
    if e.op in _NAMED:
        return _NAMED[e.op](args)
    own = canonical(e.op)
    if own is not None:
        return own(args)
    match e.op.removesuffix(ZONED):
        case "not":
            return exp.Not(this=wrap(args[0]))
        case "cast" if e.type is not None:
            return _cast(args[0], e.type)
        case "in":
            return exp.In(this=wrap(args[0]), expressions=args[1:])
        case "notin":
            return exp.Not(this=exp.In(this=wrap(args[0]), expressions=args[1:]))
        case "any":
            return exp.EQ(this=wrap(args[0]), expression=exp.Any(this=exp.Paren(this=args[1])))
        case "notlike" | "notilike":
            return exp.Not(this=exp.Paren(this=binary(e.op[3:])(args)))
        case "array":
            return exp.Array(expressions=args)
        case "neg":
            return exp.Neg(this=wrap(args[0]))
        case "single":
            return _single(args)
        case _:
            return exp.Anonymous(this=e.op, expressions=args)


def _single(args: list[exp.Expr]) -> exp.Expr:
    """The value where the count says that it is the only one; else PostgreSQL's own error, once that is reached."""
    rows = exp.Values(expressions=[exp.Tuple(expressions=[exp.Literal.number(n)]) for n in (1, 2)])
    rows.set("alias", exp.TableAlias(this=exp.to_identifier("several"), columns=[exp.to_identifier("n")]))
    error = exp.Subquery(this=exp.select(args[1].copy()).from_(rows))
    many = exp.If(this=exp.GT(this=args[0], expression=exp.Literal.number(1)), true=error)
    return exp.Case(ifs=[many], default=args[1])


class SourceTarget:
    """One source's dialect: only what its capability table has; constants and parameters are bound, never inlined."""

    binds_once = True

    def __init__(self, capability: Capability, drivers: Mapping[KeyIn, Sequence[KeysRef]] | None = None) -> None:
        self.capability = capability
        self.dialect = capability.dialect
        self.hashes_in = "hashes in" in capability.features
        self.values: list[Value] = []
        self.drivers = drivers or {}

    def table(self, leaf: ir.Scan | ir.Cut) -> tuple[exp.Expr, list[str]]:
        """The table under the source's own names."""
        if isinstance(leaf, ir.Cut) or leaf.table.table is None:
            raise TypeError("a fragment inside a fragment")
        table = leaf.table.table
        named = exp.Table(this=exp.to_identifier(table.name, quoted=True))
        if table.schema:
            named.set("db", exp.to_identifier(table.schema, quoted=True))
        return named, [table.columns[at].name for _, at in leaf.columns]

    def sort(self, e: exp.Expr, key: ir.SortKey) -> list[exp.Expr]:
        """As the capability table orders that family."""
        return self.capability.sort(e, family(key.expr.type), key.desc, key.nulls_first)

    def bound(self, e: Scalar, args: list[exp.Expr], unbounded: int) -> exp.Expr:
        """A parameter that may be NULL is bound with its default."""
        if isinstance(e, Param):
            return self._bind(ParamRef(e.index, INT8, unbounded), INT8)
        return self.scalar(e, args)

    def scalar(self, e: Scalar, args: list[exp.Expr]) -> exp.Expr:
        """A scalar that `place` proved."""
        match e:
            case Lit():
                return self._bind(Bound(e.type, python_value(e)), e.type)
            case Param():
                return self._bind(ParamRef(e.index, e.type), e.type)
            case KeyIn():
                return self._keys(e, args)
            case Agg():
                return self._aggregate(e, args)
            case Boundary():
                return self._bind(BoundaryRef(e.index, e.type, e.sure), e.type)
            case Once():
                return self._bind(ComputedRef(e.index, e.type), e.type)
            case Call() if e.op == OPTIONAL:
                return self._optional(args[0])
            case Verbatim() if (found := ranking(e)) is not None:
                return self._ranking(found, e, args)
            case Call():
                rule = find(self.capability, e)
                if rule is None:
                    raise Unwritable(e.op)
                if e.op == "cast" and e.type is not None:
                    return rule.build([args[0], _type(e.type.sql).copy()])
                return rule.build(args if e.op in _BLIND else self._widened(e, args))
            case _:
                raise TypeError(f"{type(e).__name__} is the emitter's")

    def _keys(self, e: KeyIn, args: list[exp.Expr]) -> exp.Expr:
        """The predicate, which may be left out when the keys are seen, but where the table must be given them."""
        keys = self.drivers[e]
        several = len(e.args) > 1
        rule = self.capability.scalars.get(("any", "rows")) if several else None
        rule = rule or self.capability.scalar("any", (e.args[0].type, keys[0].type))
        if rule is None:
            raise TypeError("keys of a type that the source cannot compare")
        made = rule.build([*args, *(self._bind(ref, ref.type) for ref in keys)])
        return made if any(ref.must for ref in keys) else self._optional(made)

    def _optional(self, made: exp.Expr) -> exp.Expr:
        made = wrap(made) if isinstance(made, exp.Connector | exp.Not) else made  # it may stand beside AND
        return exp.Var(this=f"\x01{made.sql(self.dialect)}\x02")

    def _widened(self, e: Call, args: list[exp.Expr]) -> list[exp.Expr]:
        """Harmless casts, which comparisons do without, as casts: what fits bigint may overflow integer."""
        if "typed" not in self.capability.features:
            return args
        return [
            _cast(made, arg.type) if arg.type is not None and _narrowed(arg) else made
            for arg, made in zip(e.args, args, strict=True)
        ]

    def _ranking(self, found: Ranking, e: Verbatim, args: list[exp.Expr]) -> exp.Expr:
        order = [
            term.sql(self.dialect)
            for at, desc, first in found.order
            for term in self.capability.sort(args[at], family(e.args[at].type), desc, first)
        ]
        by = ", ".join(args[at].sql(self.dialect) for at in found.partition)
        parts = [f"PARTITION BY {by}" if by else "", f"ORDER BY {', '.join(order)}" if order else ""]
        return exp.Var(this=f"{found.name}() OVER ({' '.join(part for part in parts if part)})")

    def _aggregate(self, e: Agg, args: list[exp.Expr]) -> exp.Expr:
        rule = find_aggregate(self.capability, e)
        if rule is None:
            raise Unwritable(e.name)
        made = rule.build(args[:-1] if e.where is not None else args)
        return made if e.where is None else exp.Filter(this=made, expression=exp.Where(this=args[-1]))

    def _bind(self, value: Value, kind: PgType) -> exp.Expr:
        if value in self.values and not isinstance(value, Bound):
            at = self.values.index(value)
        else:
            self.values.append(value)
            at = len(self.values) - 1
        mark = exp.Var(this=f"\x00{at}\x00")
        return _cast(mark, kind) if "casts parameters" in self.capability.features else mark

    def finish(self, query: exp.Query) -> SourceText:
        """The statement cut at its parameters."""
        parts: list[str | int] = []
        optional: list[tuple[int, int]] = []
        first = 0
        for piece in filter(None, _PIECES.split(query.sql(self.dialect, comments=False, copy=False))):
            if piece == "\x01":
                first = len(parts)
            elif piece == "\x02":
                optional.append((first, len(parts)))
            else:
                mark = _MARK.fullmatch(piece)
                parts.append(piece if mark is None else int(mark.group(1)))
        return SourceText(tuple(parts), tuple(self.values), tuple(optional))


class DuckdbTarget(SourceTarget):
    """DuckDB over the fragments' Arrow tables; constants in place, parameters as $n, computed values behind these."""

    def __init__(self, capability: Capability, cuts: Mapping[int, int], params: int) -> None:
        super().__init__(capability)
        self.cuts = cuts
        self.params = params

    def table(self, leaf: ir.Scan | ir.Cut) -> tuple[exp.Expr, list[str]]:
        """Fragment i as f{i}."""
        return CanonTarget(self.cuts).table(leaf)

    def bound(self, e: Scalar, args: list[exp.Expr], unbounded: int) -> exp.Expr:
        """A parameter that may be NULL with its default."""
        number = self.scalar(e, args)
        return (
            exp.Coalesce(this=number, expressions=[exp.Literal.number(unbounded)]) if isinstance(e, Param) else number
        )

    def scalar(self, e: Scalar, args: list[exp.Expr]) -> exp.Expr:
        """A scalar that the DuckDB table has."""
        match e:
            case Lit():
                return _duckdb_literal(e)
            case Once():
                return _cast(exp.Parameter(this=exp.Literal.number(self.params + e.index + 1)), e.type)
            case Param():
                number = exp.Parameter(this=exp.Literal.number(e.index + 1))
                # Bound as a DECIMAL of its own digits; DuckDB's numeric without any would round it to three places.
                return number if e.type.name == "numeric" else _cast(number, e.type)
            case KeyIn():
                return exp.true()
            case Boundary():
                return boundary(e, self.cuts)
            case _:
                return super().scalar(e, args)


def _duckdb_literal(e: Lit) -> exp.Expr:
    known = of_literal(e) if e.type.name == "numeric" else None
    if known is not None:
        return _cast(exp.Literal.string(e.value), numeric(max(known.all, 1), known.scale))
    if e.value is None and e.type.name == "numeric":
        return exp.Null()  # of no scale of its own
    return canon_literal(e)


def find(capability: Capability, e: Call) -> Rule | None:
    """The rule for a call; casts count only where they change nothing that the engine could see."""
    kinds = [a.type for a in e.args]
    if e.op == "cast":
        if harmless_cast(kinds[0], e.type):
            return capability.scalar("cast", (kinds[0], e.type))
        return capability.cast(kinds[0], e.type) if e.type is not None else None
    if e.op == "case":
        values = kinds[1::2] + (kinds[-1:] if len(kinds) % 2 else [])
        return capability.variadic("case", values)
    return capability.scalar(e.op, kinds) or capability.variadic(e.op, kinds)


def _narrowed(e: Scalar) -> bool:
    """Whether the value may stand as a narrower integer than it is: a cast left out, a constant without a type."""
    if isinstance(e, Lit):
        return e.type.name in signatures.INTEGERS
    if not (isinstance(e, Call) and e.op == "cast" and e.type is not None and e.type.name in signatures.INTEGERS):
        return False  # another cast would say too much: DECIMAL without digits has three places, or none
    return harmless_cast(e.args[0].type, e.type)


def find_aggregate(capability: Capability, e: Agg) -> Rule | None:
    """The rule for an aggregate, by the type's name first and its family then."""
    name = f"{e.name} distinct" if e.distinct and e.name not in ("min", "max") else e.name
    if not e.args:
        return capability.aggregates.get((name,))
    kind = e.args[0].type
    if kind is None:
        return None
    exact = {"int2": "int4"}.get(kind.name, kind.name)
    return capability.aggregates.get((name, exact)) or capability.aggregates.get((name, family(kind)))


_NUMBERS = frozenset(("float4", "float8", "numeric"))


def python_value(e: Lit) -> object:
    """A constant as the Python value that Bound takes; ValueError where it has none, or not every source has it (NaN,
    infinity, BC ...)."""
    if e.value is None:
        return None
    if e.type.name in _NUMBERS and not isfinite(float(e.value)):
        raise ValueError(f"{e.value} of type {e.type.sql}")
    match e.type.name:
        case "int2" | "int4" | "int8":
            return int(e.value)
        case "bool":
            return e.value in ("true", "t")
        case "float8" | "float4":
            return float(e.value)
        case "date":
            return date.fromisoformat(e.value)
        case "timestamp" | "timestamptz":
            return datetime.fromisoformat(e.value)
        case "time":
            return time.fromisoformat(e.value)
        case "text" | "varchar" | "bpchar" | "numeric" | "uuid" | "jsonb" | "json":
            return e.value
        case "bytea" if e.value.startswith("\\x"):
            return bytes.fromhex(e.value[2:])
        case "interval" if "inf" not in e.value:
            return e.value
        case _:
            raise ValueError(f"a constant of type {e.type.sql}")


def bindable(kinds: Sequence[PgType]) -> bool:
    """Whether values of these types can be bound at a source at all."""
    return all(family(kind) not in ("?", "array of ?") for kind in kinds)
