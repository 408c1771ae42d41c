"""Scalars as people read them in EXPLAIN and in reasons; never executed."""

from __future__ import annotations

from planner.scalar import Agg, Call, Col, KeyIn, Lit, Param, Scalar, Sub, Verbatim

_INFIX = frozenset("= <> < <= > >= + - * / % || and or like ilike".split())


def show(e: Scalar) -> str:
    """Short text of a scalar; constants are shown by their type only, since EXPLAIN may be logged."""
    match e:
        case Col():
            return f"c{e.id}"
        case Lit():
            return "NULL" if e.value is None else e.value if e.type.name.startswith("int") else f"'…'::{e.type.sql}"
        case Param():
            return f"${e.index + 1}"
        case Call() if e.op in _INFIX:
            return "(" + f" {e.op} ".join(show(a) for a in e.args) + ")"
        case Call() if e.op.startswith("is "):
            return f"{show(e.args[0])} {e.op}"
        case Call():
            return f"{e.op}({', '.join(show(a) for a in e.args)})"
        case Verbatim():
            return "".join(p if isinstance(p, str) else show(e.args[p]) for p in e.parts).lstrip("\x01")
        case Agg():
            return f"{e.name}({'distinct ' if e.distinct else ''}{', '.join(show(a) for a in e.args) or '*'})"
        case Sub():
            return f"{e.kind}(sub-query)"
        case KeyIn():
            return f"{show(e.args[0])} in keys of c{e.driver}"
