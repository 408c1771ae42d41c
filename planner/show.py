"""Scalars as people read them in EXPLAIN and in reasons; never executed."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from planner.scalar import Agg, Boundary, Call, Col, KeyIn, Lit, Once, Param, Scalar, Sub, Verbatim

NONE: Mapping[int, str] = MappingProxyType({})
_INFIX = frozenset("= <> < <= > >= + - * / % || and or like ilike".split())


def show(e: Scalar, names: Mapping[int, str] = NONE) -> str:
    """Short text of a scalar, its columns by `names`; constants by their type only, since EXPLAIN may be logged."""

    def inner(arg: Scalar) -> str:
        return show(arg, names)

    match e:
        case Col():
            return names.get(e.id, f"c{e.id}")
        case Lit():
            return "NULL" if e.value is None else e.value if e.type.name.startswith("int") else f"'…'::{e.type.sql}"
        case Param():
            return f"${e.index + 1}"
        case Call() if e.op in _INFIX:
            return "(" + f" {e.op} ".join(inner(a) for a in e.args) + ")"
        case Call() if e.op.startswith("is "):
            return f"{inner(e.args[0])} {e.op}"
        case Call():
            return f"{e.op}({', '.join(inner(a) for a in e.args)})"
        case Verbatim():
            return "".join(p if isinstance(p, str) else inner(e.args[p]) for p in e.parts)
        case Agg():
            return f"{e.name}({'distinct ' if e.distinct else ''}{', '.join(inner(a) for a in e.args) or '*'})"
        case Sub():
            return f"{e.kind}(sub-query)"
        case Boundary():
            return f"boundary {e.index + 1}"
        case Once():
            return inner(e.args[0])
        case KeyIn():
            columns, drivers = [inner(arg) for arg in e.args], [names.get(i, f"c{i}") for i in e.drivers]
            return f"{', '.join(columns)} in keys of {', '.join(drivers)}"
