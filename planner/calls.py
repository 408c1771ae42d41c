"""Functions and operators beyond the comparisons: read into Calls by PostgreSQL's own signatures, written back.

A name that `connectors.capability.signatures` knows over just these types becomes a Call under the name that stands
there; what has no such signature keeps its own text. Fields and zones are part of the name ("extract year",
"date_trunc month by zone"): they decide what is computed, so a table claims each for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sqlglot import exp

from connectors.capability.rules import Build, infix
from connectors.capability.signatures import OVERLOADS, SAME, VARIADIC, ZONED, ZONED_CASTS
from connectors.types import PgType
from planner.canonical import undisguised
from planner.scalar import Call, Lit, Scalar, Verbatim
from planner.scope import Scope
from planner.types import TEXT, of_call

if TYPE_CHECKING:
    from planner.expressions import Expressions

_NAMES = frozenset(op for op, *_ in OVERLOADS) | SAME.keys() | VARIADIC
_UTC = frozenset(("UTC", "ETC/UTC", "GMT"))
_INFIX: dict[type[exp.Expr], str] = {
    exp.RegexpLike: "~", exp.RegexpILike: "~*", exp.JSONExtract: "->", exp.JSONExtractScalar: "->>",
    exp.JSONBExtract: "#>", exp.JSONBExtractScalar: "#>>", exp.ArrayContainsAll: "@>", exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|", exp.BitwiseXor: "#", exp.BitwiseLeftShift: "<<", exp.BitwiseRightShift: ">>",
    exp.Pow: "^", exp.StartsWith: "^@", exp.JSONBContainsTopKey: "?",
}  # fmt: skip


def resolved(op: str, args: tuple[Scalar, ...]) -> Call | None:
    """The Call under the name that the signatures have; None where they have no such one."""
    op = {"|": "bit_or"}.get(op, SAME.get(op, op))
    kind = of_call(op, tuple(a.type for a in args))
    if kind is None:
        return None
    zoned = args[0].type is not None and args[0].type.name == "timestamptz" if args else False
    marked = zoned and op.startswith(("date_trunc ", "extract ", "date_part ")) and not op.endswith(" epoch")
    return Call(op + ZONED if marked else op, args, kind)


def cast(value: Scalar, target: PgType) -> Call:
    """A cast; one that asks what time zone the session has says so in its name."""
    zoned = value.type is not None and (value.type.name, target.name) in ZONED_CASTS
    return Call("cast" + ZONED if zoned else "cast", (value,), target)


def infix_of(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    """A binary operator that is none of comparison or arithmetic."""
    op = _INFIX[type(node)]
    if not isinstance(node.expression, exp.Expr) or isinstance(node.expression, exp.JSONPath):
        return None
    args = (self.lower(node.this, scope), self.lower(node.expression, scope))
    return resolved(op, args) or Verbatim(("(", 0, f" {op} ", 1, ")"), args)


def anonymous(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    """f(x, ...) under PostgreSQL's own name."""
    name = undisguised(str(node.this)).lower()
    if name in ("extract", "date_part", "date_trunc") and len(node.expressions) in (2, 3):
        return _field_function(self, name, node.expressions, scope)
    if name not in _NAMES or any(isinstance(a, exp.Kwarg | exp.Order | exp.Distinct) for a in node.expressions):
        return None
    args = tuple(self.lower(a, scope) for a in node.expressions)
    if name in VARIADIC and all(a.type is not None and a.type.name in ("text", "varchar") for a in args):
        return Call(name, args, TEXT)
    return resolved(name, args) or Call(name, args, None)


def special(name: str, *keys: str) -> Callable[[Expressions, exp.Expr, Scope], Scalar | None]:
    """A function that sqlglot reads into a node of its own, whose arguments are `keys`."""

    def lower(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
        if {k for k, v in node.args.items() if v} - set(keys):
            return None
        args = tuple(self.lower(node.args[key], scope) for key in keys if node.args.get(key))
        return resolved(name, args) or Call(name, args, None)

    return lower


def position(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    """POSITION(a IN b)."""
    if {k for k, v in node.args.items() if v} - {"this", "substr"}:
        return None
    args = (self.lower(node.this, scope), self.lower(node.args["substr"], scope))
    return resolved("strpos", args) or Verbatim(("POSITION((", 1, ") IN (", 0, "))"), args)


def trim(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar | None:
    """TRIM([BOTH | LEADING | TRAILING] [x] FROM y)."""
    side = str(node.args.get("position") or "BOTH").upper()
    name = {"BOTH": "btrim", "LEADING": "ltrim", "TRAILING": "rtrim"}.get(side)
    if name is None or {k for k, v in node.args.items() if v} - {"this", "position", "expression"}:
        return None
    args = tuple(self.lower(a, scope) for a in (node.this, node.args.get("expression")) if a)
    what: tuple[str | int, ...] = (
        (f"TRIM({side} ", 1, " FROM ", 0, ")") if len(args) == 2 else (f"TRIM({side} FROM ", 0, ")")
    )
    return resolved(name, args) or Verbatim(what, args)


def extract(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
    """EXTRACT(field FROM x)."""
    value = self.lower(node.expression, scope)
    field = node.this.name.lower()
    return resolved(f"extract {field}", (value,)) or Verbatim((f"EXTRACT({field} FROM ", 0, ")"), (value,))


def _field_function(self: Expressions, name: str, nodes: Sequence[exp.Expr], scope: Scope) -> Scalar:
    args = tuple(self.lower(a, scope) for a in nodes)
    field, value = args[0], args[1]
    if isinstance(field, Lit) and field.value is not None:
        made = resolved(f"{name} {field.value.lower()}", (value,))
        if made is not None and len(args) == 2:
            return made
        if made is not None and _is_utc(args[2]) and made.type is not None and made.type.name == "timestamptz":
            local = Call("timezone_utc", (value,), PgType("timestamp"))
            cut = Call(f"{name} {field.value.lower()}", (local,), PgType("timestamp"))
            return Call("timezone_utc", (cut,), made.type)
    return Call(name, args, None)


def at_time_zone(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
    """x AT TIME ZONE z; that of UTC, which every engine has and which never changes, is understood."""
    args = (self.lower(node.this, scope), self.lower(node.args["zone"], scope))
    made = resolved("timezone_utc", args[:1]) if _is_utc(args[1]) else None
    return made or Verbatim(("(", 0, " AT TIME ZONE ", 1, ")"), args)


def _is_utc(e: Scalar) -> bool:
    return isinstance(e, Lit) and e.type.name == "text" and e.value is not None and e.value.upper() in _UTC


def bitwise_not(self: Expressions, node: exp.Expr, scope: Scope) -> Scalar:
    """~ x."""
    value = self.lower(node.this, scope)
    return resolved("~", (value,)) or Verbatim(("(~ ", 0, ")"), (value,))


def _written(head: str, tail: str = ")") -> Build:
    return lambda args: exp.Var(this=head + args[-1].sql("postgres") + tail)


def canonical(op: str) -> Build | None:
    """How PostgreSQL itself writes a Call that is no function of that name; None for one that is."""
    op = op.removesuffix(ZONED)
    name, _, field = op.partition(" ")
    if name == "extract" and field:
        return _written(f"EXTRACT({field} FROM ")
    if name in ("date_part", "date_trunc") and field:
        return _written(f"{name}('{field}'::text, ")
    if name == "timezone_utc":
        return _written("timezone('UTC'::text, ")
    if op == "~":
        return lambda args: _written("(~ ")(args) if len(args) == 1 else infix("~")(args)
    if op == "bit_or":
        return infix("|")
    return infix(op) if op in _OPERATORS else None


_OPERATORS = frozenset(_INFIX.values()) - {"~", "|"}

HANDLERS: dict[type[exp.Expr], Callable[[Expressions, exp.Expr, Scope], Scalar | None]] = {
    **dict.fromkeys(_INFIX, infix_of),
    exp.Anonymous: anonymous, exp.Extract: extract, exp.Trim: trim, exp.StrPosition: position,
    exp.AtTimeZone: at_time_zone, exp.BitwiseNot: bitwise_not,
    exp.Substring: special("substring", "this", "start", "length"),
    exp.Left: special("left", "this", "expression"), exp.Right: special("right", "this", "expression"),
}  # fmt: skip
