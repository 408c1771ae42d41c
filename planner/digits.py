"""How many digits a numeric has before the point at most, and after it exactly: what decimals of other engines need.

PostgreSQL prints as many digits after the point as an expression's scale, value by value; an engine with typed
decimals prints those of the type. Where the scale of all values is the same and known, both print the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from connectors.capability.rules import Digits
from connectors.types import PgType
from planner.scalar import Agg, Call, Lit

_WHOLE = {"int2": 5, "int4": 10, "int8": 19}
_NUMBER = re.compile(r"-?(\d+)(?:\.(\d*))?")
_FIELDS = {"second": 6, "milliseconds": 3, "epoch": 6}
# What DuckDB and MariaDB have room for is their tables' affair; a sum of any number of rows has at most so many more.
_ROWS = 19


def of_type(kind: PgType | None) -> Digits | None:
    """Digits of all values of a type."""
    if kind is None or kind.name != "numeric" or kind.mod < 0:
        return None
    precision, scale = kind.precision_scale
    return Digits(max(precision - scale, 0), max(scale, 0))


def of_literal(e: Lit) -> Digits | None:
    """Digits of a constant."""
    if e.type.name in _WHOLE:
        return Digits(_WHOLE[e.type.name], 0)
    found = _NUMBER.fullmatch(e.value or "") if e.type.name == "numeric" else None
    return Digits(len(found[1].lstrip("0")), len(found[2] or "")) if found else None


def of_call(e: Call, args: Sequence[Digits | None]) -> Digits | None:
    """Digits of what a call gives, from those of its arguments; None where they vary or are not known."""
    if e.type is None or e.type.name != "numeric":
        return None
    if e.op == "cast":
        source = e.args[0].type
        whole = _WHOLE.get(source.name) if source is not None else None
        known = Digits(whole, 0) if whole is not None else args[0]
        return of_type(e.type) if e.type.mod >= 0 else known
    if e.op.startswith("extract "):
        field = e.op.split()[1]
        dated = e.args[0].type is not None and e.args[0].type.name == "date"
        return Digits(18, 0 if dated else _FIELDS.get(field, 0))
    if e.op in ("coalesce", "nullif", "greatest", "least", "case"):
        return _one_scale(e, args)
    first = args[0] if args else None
    if first is None:
        return None
    if e.op in ("+", "-", "*", "%") and len(args) == 2:
        return _arithmetic(e.op, first, args[1])
    return _rounded(e, first)


def _arithmetic(op: str, a: Digits, b: Digits | None) -> Digits | None:
    if b is None:
        return None
    if op == "*":
        return Digits(a.whole + b.whole, a.scale + b.scale)
    return Digits(max(a.whole, b.whole) + (op != "%"), max(a.scale, b.scale))


def _rounded(e: Call, a: Digits) -> Digits | None:
    if e.op in ("neg", "abs"):
        return a
    if e.op in ("round", "trunc", "ceil", "floor") and len(e.args) == 1:
        return Digits(a.whole + 1, 0)
    places = e.args[1] if len(e.args) == 2 else None
    if e.op in ("round", "trunc") and isinstance(places, Lit) and places.value is not None:
        return Digits(a.whole + 1, max(int(places.value), 0))
    return Digits(1, 0) if e.op == "sign" else None


def _one_scale(e: Call, args: Sequence[Digits | None]) -> Digits | None:
    pairs = list(zip(e.args, args, strict=True))
    if e.op == "case":
        pairs = pairs[1::2] + (pairs[-1:] if len(pairs) % 2 else [])
    if e.op == "nullif":
        pairs = pairs[:1]
    known = [digits for arg, digits in pairs if not (isinstance(arg, Lit) and arg.value is None)]
    if not known or any(digits is None for digits in known):
        return None
    scales = {digits.scale for digits in known if digits is not None}
    whole = max(digits.whole for digits in known if digits is not None)
    return Digits(whole, scales.pop()) if len(scales) == 1 else None


def of_aggregate(e: Agg, arg: Digits | None) -> Digits | None:
    """Digits of an aggregate's value."""
    kind = e.args[0].type if e.args else None
    if e.name == "sum" and kind is not None and kind.name == "int8":
        return Digits(19 + _ROWS, 0)
    if arg is None or e.type is None or e.type.name != "numeric":
        return None
    if e.name in ("min", "max"):
        return arg
    return Digits(arg.whole + _ROWS, arg.scale) if e.name == "sum" else None
