"""Scalars of canonical text: what is understood becomes a Call, the rest stays verbatim around its columns."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from connectors.capability.signatures import AGGREGATE_SAME, AGGREGATES
from connectors.types import PgType
from planner import calls, functions, types
from planner import scalar as sc
from planner.canonical import undisguised, written
from planner.scalar import Agg, Call, Lit, Param, Scalar, Sub, Verbatim
from planner.scope import Scope, Unmodelled
from planner.windows import ranks

if TYPE_CHECKING:
    from planner.lower import Lowering

# A column name that no statement can hold by chance stands where an argument was cut out of verbatim text.
_MARK = f"vdw_{secrets.token_hex(6)}_"
_CUT = re.compile(rf"{_MARK}(\d+)_")
_PLAIN_ARRAY = re.compile(r"\{[^{}\",\\\s]+(?:,[^{}\",\\\s]+)*\}")
_PLAIN_ELEMENTS = frozenset(("int2", "int4", "int8", "text", "varchar", "date", "uuid"))
_MOST_ELEMENTS = 200
_FUNCTION = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)\(")

_BINARY: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=", exp.Add: "+", exp.Sub: "-",
    exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.DPipe: "||", exp.NullSafeEQ: "is not distinct",
    exp.NullSafeNEQ: "is distinct",
}  # fmt: skip
_FUNCTIONS: dict[type[exp.Expr], str] = {
    exp.Lower: "lower", exp.Upper: "upper", exp.Abs: "abs", exp.Coalesce: "coalesce", exp.Nullif: "nullif",
    exp.Greatest: "greatest", exp.Least: "least",
}  # fmt: skip
_AGGREGATES: dict[type[exp.Expr], str] = {
    exp.Count: "count", exp.Sum: "sum", exp.Min: "min", exp.Max: "max", exp.Avg: "avg", exp.LogicalAnd: "bool_and",
    exp.LogicalOr: "bool_or",
}  # fmt: skip
_COMPARING = frozenset("= <> < <= > >= like notlike ilike notilike".split()) | {"is distinct", "is not distinct"}
_NAMED_AGGREGATES = frozenset(name for name, _ in AGGREGATES)
_SYNTAX = (
    exp.Order, exp.Ordered, exp.Where, exp.Tuple, exp.Distinct, exp.If, exp.WindowSpec, exp.WithinGroup, exp.Filter,
    exp.Slice, exp.PropertyEQ, exp.JSONKeyValue, exp.Star, exp.IgnoreNulls, exp.RespectNulls, exp.Having, exp.Kwarg,
    exp.Table,
)  # fmt: skip
_LEAVES = (
    exp.DataType, exp.Identifier, exp.Var, exp.Literal, exp.Boolean, exp.Null, exp.Star, exp.BitString, exp.JSONPath,
)  # fmt: skip


class Expressions:
    """Lowers scalars in the scope that is given; sub-queries go back to the Lowering."""

    def __init__(self, lowering: Lowering) -> None:
        self.lowering = lowering

    def lower(self, node: exp.Expr, scope: Scope) -> Scalar:
        """The scalar of an AST node; Unmodelled where it cannot even be kept verbatim."""
        if isinstance(node, exp.Parameter | exp.Placeholder | exp.SessionParameter):
            raise Unmodelled("an operator that sqlglot takes for a parameter")
        handler = _HANDLERS.get(type(node)) or calls.HANDLERS.get(type(node))
        if handler is not None and aggregate_name(node) is None:
            made = handler(self, node, scope)
            if made is not None:
                return made
        if type(node) in _BINARY:
            return self.call(_BINARY[type(node)], scope, node.this, node.expression)
        if type(node) in _FUNCTIONS:
            return self.call(_FUNCTIONS[type(node)], scope, node.this, *node.expressions, node.args.get("expression"))
        if aggregate_name(node) is not None:
            made = self.aggregate(node, scope)
            if made is not None:
                return made
        return self.verbatim(node, scope)

    def call(self, op: str, scope: Scope, *nodes: exp.Expr | None) -> Scalar:
        """A Call over lowered arguments, typed where its type is known."""
        args = tuple(self.lower(node, scope) for node in nodes if node is not None)
        if op in _COMPARING:  # PostgreSQL writes varchar = text as varchar::text = text; the column is what matters
            args = tuple(sc.bare(arg) for arg in args)
        return Call(op, args, types.of_call(op, tuple(arg.type for arg in args)))

    def aggregate(self, node: exp.Expr, scope: Scope, where: Scalar | None = None) -> Scalar | None:
        """An aggregate of the known ones without ORDER BY; None where it is more than that."""
        name, inner = aggregate_name(node), node.this
        if name is None or {k for k, v in node.args.items() if v} - {"this", "big_int", "expressions"}:
            return None
        if isinstance(node, exp.Anonymous):
            inner = node.expressions[0] if len(node.expressions) == 1 else exp.Tuple()
        distinct = isinstance(inner, exp.Distinct)
        nodes = inner.expressions if distinct else [inner]
        if distinct and inner.args.get("on"):
            return None
        if any(isinstance(arg, exp.Order | exp.Having | exp.Tuple) for arg in nodes) or len(nodes) != 1:
            return None
        args = () if isinstance(nodes[0], exp.Star) else (self.lower(nodes[0], scope),)
        return Agg(name, args, types.of_aggregate(name, tuple(a.type for a in args)), distinct, where)

    def verbatim(self, node: exp.Expr, scope: Scope) -> Verbatim:
        """The node's own text in PostgreSQL's dialect, cut at the arguments inside it."""
        copy = node.copy()
        args: list[Scalar] = []
        self._cut(copy, scope, args)
        for distinct in copy.find_all(exp.Distinct):
            if len(distinct.expressions) > 1:  # sqlglot takes f(DISTINCT a, b) for pairs
                listed = ", ".join(written(e) for e in distinct.expressions)
                distinct.set("expressions", [exp.Var(this=listed)])
        text = written(copy)
        kind, volatile = classify(copy, text)
        parts = split_marks(text)
        clock = functions.CLOCK.get(text.upper())
        known = PgType(clock) if clock is not None else types.INT8 if kind == "window" and ranks(text) else None
        return Verbatim(parts, tuple(args), kind, volatile, known)

    def _cut(self, node: exp.Expr, scope: Scope, args: list[Scalar]) -> None:
        """Replace every argument below `node` by a mark, and lower it into `args`."""
        for key, value in list(node.args.items()):
            if key == "this" and isinstance(node, exp.Kwarg | exp.PropertyEQ):
                continue  # the name of a named argument
            for child in value if isinstance(value, list) else [value]:
                if not isinstance(child, exp.Expr) or isinstance(child, _LEAVES):
                    continue
                if isinstance(child, _SYNTAX) or _inner_call(node, child):
                    self._cut(child, scope, args)
                else:
                    args.append(self.lower(child, scope))
                    child.replace(exp.column(exp.to_identifier(f"{_MARK}{len(args) - 1}_", quoted=False)))


def aggregate_name(node: exp.Expr) -> str | None:
    """The aggregate that a node calls, by the one name that stands for all its own."""
    if isinstance(node, exp.Anonymous):
        name = undisguised(str(node.this)).lower()
        name = AGGREGATE_SAME.get(name, name)
        return name if name in _NAMED_AGGREGATES else None
    return _AGGREGATES.get(type(node))


def _inner_call(node: exp.Expr, child: exp.Expr) -> bool:
    """The function of `f(x) OVER (...)`, `f(x) FILTER (...)`: part of the call, not an argument."""
    wrappers = (exp.Window, exp.Filter, exp.WithinGroup, exp.IgnoreNulls, exp.RespectNulls, exp.Table)
    return isinstance(node, wrappers) and child is node.this


def split_marks(text: str) -> tuple[str | int, ...]:
    """Text cut at its marks; the marks' numbers index the arguments."""
    pieces = _CUT.split(text)
    return tuple(int(p) if i % 2 else p for i, p in enumerate(pieces) if i % 2 or p)


def classify(node: exp.Expr, text: str) -> tuple[str, bool]:
    """(kind, volatile) of a verbatim node by the function that it calls."""
    if isinstance(node, exp.Window):
        return "window", False
    if isinstance(node, exp.Filter | exp.WithinGroup):
        return "aggregate", False
    match = _FUNCTION.match(text)
    name = match.group(1).lower() if match else text.lower() if text.replace("_", "").isalpha() else ""
    if name in functions.SET_RETURNING:
        return "srf", False
    kind = "aggregate" if name in functions.AGGREGATES else "value"
    return kind, functions.is_volatile(name)


def _paren(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
    return self.lower(node.this, scope)


def _column(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
    if isinstance(node.this, exp.Star):
        return self.lowering.row_of(node.text("table"), scope)
    if node.args.get("db"):
        raise Unmodelled("a column of a qualified table")
    return scope.find(name(node.args.get("table")), name(node.this))


def name(identifier: exp.Expr | None) -> str:
    """An identifier as PostgreSQL folds it."""
    if identifier is None:
        return ""
    text = str(identifier.this) if isinstance(identifier, exp.Identifier) else identifier.name
    quoted = bool(identifier.args.get("quoted")) if isinstance(identifier, exp.Identifier) else False
    return text if quoted else undisguised(text.lower())


def _literal(_: Expressions, node: exp.Expr, __: Scope) -> Scalar:
    text = str(node.this)
    return Lit(text, types.UNKNOWN if node.args.get("is_string") else types.number(text))


def _boolean(_: Expressions, node: exp.Expr, __: Scope) -> Scalar:
    return Lit("true" if node.this else "false", types.BOOL)


def _null(_: Expressions, __: exp.Expr, ___: Scope) -> Scalar:
    return Lit(None, types.UNKNOWN)


def _cast(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    if isinstance(node.this, exp.Column) and isinstance(node.this.this, exp.Star):
        return self.lower(node.this, scope)  # a whole row; its own type has no name outside the shells
    target = types.from_ast(node.args["to"])
    if target is None:
        return None
    value = self.lower(node.this, scope)
    if isinstance(value, Lit) and _foldable(value, target):
        return Lit(value.value, target)
    if isinstance(value, Param) and _widens(value.type, target):
        return Param(value.index, target, value.given or value.type)
    return calls.cast(value, target)


_WIDER = {
    "int2": ("int4", "int8", "numeric", "float8"),
    "int4": ("int8", "numeric", "float8"),
    "int8": ("numeric", "float8"),
    "varchar": ("text",),
}
_NUMBERS = frozenset(("int2", "int4", "int8", "numeric", "float8"))


def _foldable(value: Lit, target: PgType) -> bool:
    """Whether the constant's text means the same under the target type."""
    if target.mod >= 0:
        return False
    if value.type == types.UNKNOWN or value.value is None or value.type == target:
        return True
    if value.type.name in ("varchar", "text"):
        return target.name in ("varchar", "text")
    if value.type.name in ("int2", "int4", "int8"):
        return target.name in _NUMBERS and (target.name != "int2" or value.type.name == "int2")
    return False


def _widens(value: PgType, target: PgType) -> bool:
    """Whether a parameter can be bound as `target` right away: the cast keeps every value."""
    if target.mod >= 0 or value.mod >= 0:
        return False
    return target.name in _WIDER.get(value.name, ())


def _is(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    right = node.expression
    word = "null" if isinstance(right, exp.Null) else None
    if isinstance(right, exp.Boolean):
        word = "true" if right.this else "false"
    if word is None:
        return None
    test, value = f"is not {word}" if node.args.get("negate") else f"is {word}", self.lower(node.this, scope)
    if word == "null" and value.type is None:  # of a row NOT NULL is not the opposite of NULL
        return Verbatim((0, f" {test.upper()}"), (value,), type=sc.BOOL)
    return Call(test, (value,), sc.BOOL)


def _not(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
    inner = self.lower(node.this, scope)
    if isinstance(inner, Call):
        opposite = {"is null": "is not null", "is true": "is not true", "is false": "is not false", "in": "notin"}
        if inner.op in opposite:
            return Call(opposite[inner.op], inner.args, sc.BOOL)
    return Call("not", (inner,), sc.BOOL)


def _junction(op: str) -> Callable[[Expressions, exp.Expr, Scope], Scalar]:
    def lower(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
        args: list[Scalar] = []
        for side in (node.this, node.expression):
            made = self.lower(side, scope)
            args.extend(made.args if isinstance(made, Call) and made.op == op else (made,))
        return Call(op, tuple(args), sc.BOOL)

    return lower


def _like(op: str) -> Callable[[Expressions, exp.Expr, Scope], Scalar]:
    def lower(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
        return self.call("not" + op if node.args.get("negate") else op, scope, node.this, node.expression)

    return lower


def _compare(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    """`=`, `<>` and the like, with ANY, ALL and rows on the right."""
    op, right = _BINARY[type(node)], node.expression
    if isinstance(right, exp.Any):
        return _quantified(self, node.this, op, "any", right.this, scope)
    if isinstance(right, exp.All):
        return _quantified(self, node.this, op, "all", right.this, scope)
    if isinstance(right, exp.Anonymous) and str(right.this).upper() in ("ALL", "ANY") and len(right.expressions) == 1:
        return _quantified(self, node.this, op, str(right.this).lower(), right.expressions[0], scope)
    if any(_is_row(side) for side in (node.this, right)):
        return None
    return self.call(op, scope, node.this, right)


def _is_row(node: exp.Expr) -> bool:
    node = node.unnest()
    return isinstance(node, exp.Tuple) or (isinstance(node, exp.Anonymous) and str(node.this).upper() == "ROW")


def _quantified(self: Expressions, left: exp.Expr, op: str, kind: str, right: exp.Expr, scope: Scope) -> Scalar | None:
    query = right.unnest()
    if isinstance(query, exp.Query) and not isinstance(query, exp.Values):
        rel, columns = self.lowering.query(query, scope)
        ids = tuple(i for _, i, _ in columns)
        return Sub(kind, rel, ids, (self.lower(left, scope),), op, sc.BOOL)
    value, items = sc.bare(self.lower(left, scope)), self.lower(right, scope)
    members = _members(items)
    if members is not None and (op, kind) in (("=", "any"), ("<>", "all")):
        return Call("in" if kind == "any" else "notin", (value, *members), sc.BOOL)
    if (op, kind) == ("=", "any"):
        return Call("any", (value, items), sc.BOOL)
    return Verbatim((0, f" {op} {kind.upper()} (", 1, ")"), (value, items), type=sc.BOOL)


def _members(e: Scalar) -> tuple[Scalar, ...] | None:
    """The elements of ARRAY[...] of constants and parameters, or of a constant; None where it is another array."""
    if isinstance(e, Lit):
        return _elements(e)
    if isinstance(e, Call) and e.op == "cast" and e.type is not None and e.type.name.startswith("_"):
        element = PgType(e.type.name[1:])
        members = _members(e.args[0])
        kept = [_member(m, element) for m in members or ()]
        return tuple(m for m in kept if m is not None) if members is not None and None not in kept else None
    if isinstance(e, Call) and e.op == "array" and all(isinstance(a, Lit | Param) for a in e.args):
        return e.args
    return None


def _elements(e: Lit) -> tuple[Lit, ...] | None:
    """Those of a constant array of one dimension that PostgreSQL prints without quotes; NULL is none of them."""
    element = PgType(e.type.name[1:])
    if e.value is None or not _PLAIN_ARRAY.fullmatch(e.value) or element.name not in _PLAIN_ELEMENTS:
        return None
    texts = e.value[1:-1].split(",")
    if len(texts) > _MOST_ELEMENTS or any(text.upper() == "NULL" for text in texts):
        return None
    return tuple(Lit(text, element) for text in texts)


def _member(e: Scalar, element: PgType) -> Scalar | None:
    """A constant or parameter as the element type of its array, where that changes no value."""
    if isinstance(e, Lit) and _foldable(e, element):
        return Lit(e.value, element)
    if isinstance(e, Param) and (e.type == element or _widens(e.type, element)):
        return e if e.type == element else Param(e.index, element, e.given or e.type)
    return None


def _array(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    if len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Query):
        rel, columns = self.lowering.query(node.expressions[0], scope)
        return Sub("array", rel, (columns[0][1],))
    members = tuple(self.lower(member, scope) for member in node.expressions)
    if not members or not all(isinstance(m, Lit | Param) for m in members):
        return None
    kinds = {m.type.bare for m in members if m.type is not None}
    return Call("array", members, kinds.pop().array if len(kinds) == 1 else None)


def _in(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    query = node.args.get("query")
    if query is None:
        return None
    rel, columns = self.lowering.query(query.unnest(), scope)
    row = node.this.unnest()
    left = row.expressions if _is_row(row) else [row]
    return Sub("in", rel, tuple(i for _, i, _ in columns), tuple(self.lower(e, scope) for e in left), type=sc.BOOL)


def _exists(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
    rel, columns = self.lowering.query(node.this.unnest(), scope)
    return Sub("exists", rel, tuple(i for _, i, _ in columns), type=sc.BOOL)


def _subquery(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
    rel, columns = self.lowering.query(node, scope)
    if len(columns) != 1:
        raise Unmodelled("a sub-query of several columns as a value")
    return Sub("scalar", rel, (columns[0][1],), type=columns[0][2])


def _case(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    if node.this is not None and not _plain(node.this):
        return None  # x would be computed again for each arm
    args = [self.lower(part, scope) for arm in node.args["ifs"] for part in (arm.this, arm.args["true"])]
    if node.this is not None:
        value = self.lower(node.this, scope)
        if any(not types.alike(value.type, when.type) for when in args[::2]):
            return None  # it compares with an operator that the text does not show
        args[::2] = [Call("=", (value, when), sc.BOOL) for when in args[::2]]
    if node.args.get("default") is not None:
        args.append(self.lower(node.args["default"], scope))
    arms = {a.type.bare if a.type else None for a in (*args[1::2], *(args[-1:] if len(args) % 2 else ()))}
    return Call("case", tuple(args), arms.pop() if len(arms) == 1 else None)


def _plain(node: exp.Expr) -> bool:
    """A column, perhaps cast."""
    node = node.unnest()
    return isinstance(node.this.unnest() if isinstance(node, exp.Cast) else node, exp.Column)


def _neg(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
    return self.call("neg", scope, node.this)


def _length(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    return None if node.args.get("encoding") else self.call("length", scope, node.this)


def _dot(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    """`vdw.param(n, NULL::type)` is the client's parameter n."""
    call = node.expression
    if not (isinstance(call, exp.Anonymous) and node.this.name == "vdw" and undisguised(str(call.this)) == "param"):
        return None
    number, kind = call.expressions
    value = self.lower(kind, scope)
    if value.type is None or (isinstance(value, Lit) and value.type == types.UNKNOWN):
        raise Unmodelled("a parameter of an unknown type")
    return Param(int(number.name) - 1, value.type)


def _filter(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    inner = node.this
    if aggregate_name(inner) is None:
        return None
    return self.aggregate(inner, scope, self.lower(node.expression.this, scope))


def _window(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    """A named window's definition is put in its place, so that the call stands alone."""
    alias = node.args.get("alias")
    if alias is None:
        return None
    spec = scope.windows.get(name(alias) if isinstance(alias, exp.Identifier) else alias.name)
    if not isinstance(spec, exp.Window) or any(node.args.get(k) for k in ("partition_by", "order", "spec")):
        raise Unmodelled("a window over a named window")
    copy = spec.copy()
    copy.set("this", node.this.copy())
    copy.set("over", "OVER")
    copy.set("alias", None)
    return self.verbatim(copy, scope)


_HANDLERS: dict[type[exp.Expr], Callable[[Expressions, exp.Expr, Scope], Scalar | None]] = {
    exp.Paren: _paren, exp.Column: _column, exp.Literal: _literal, exp.Boolean: _boolean, exp.Null: _null,
    exp.Cast: _cast, exp.Is: _is, exp.Not: _not, exp.And: _junction("and"), exp.Or: _junction("or"),
    exp.Like: _like("like"), exp.ILike: _like("ilike"), exp.EQ: _compare, exp.NEQ: _compare, exp.LT: _compare,
    exp.LTE: _compare, exp.GT: _compare, exp.GTE: _compare, exp.NullSafeEQ: _compare, exp.NullSafeNEQ: _compare,
    exp.Array: _array, exp.In: _in, exp.Exists: _exists, exp.Subquery: _subquery, exp.Select: _subquery,
    exp.Union: _subquery, exp.Intersect: _subquery, exp.Except: _subquery, exp.Case: _case, exp.Neg: _neg,
    exp.Length: _length, exp.Dot: _dot, exp.Filter: _filter, exp.Window: _window,
}  # fmt: skip
