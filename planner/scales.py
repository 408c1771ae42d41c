"""Display scales: the digits behind the point that PostgreSQL prints of a numeric, where all rows have as many."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.types import PgType
from planner.scalar import Agg, Call, Col, Lit, Scalar

_INTEGERS = frozenset(("int2", "int4", "int8"))
MOST = 38  # digits behind the point that a DECIMAL may have


def declared(kind: PgType | None) -> int | None:
    """The scale that a numeric's type modifier gives to each of its values; None without one."""
    if kind is None or kind.name != "numeric" or kind.mod < 0:
        return None
    scale = kind.precision_scale[1]
    return scale if 0 <= scale <= MOST else None


def scale(e: Scalar, known: Mapping[int, int | None]) -> int | None:
    """The scale of every value of `e` that is not NULL; `known` tells those of columns. None where it may vary."""
    match e:
        case Col():
            return known.get(e.id)
        case Lit():
            return _written(e)
        case Agg() if e.name in ("sum", "min", "max") and e.args:
            return _of(e.args[0], known)
        case Call():
            found = _call(e, known)
            return found if found is not None and found <= MOST else None
        case _:
            return None


def _of(e: Scalar, known: Mapping[int, int | None]) -> int | None:
    """The same, of an integer 0."""
    return 0 if e.type is not None and e.type.name in _INTEGERS else scale(e, known)


def _written(e: Lit) -> int | None:
    if e.value is None or e.type.name != "numeric":
        return None
    if e.type.mod >= 0:
        return declared(e.type)
    whole, _, fraction = e.value.lstrip("+-").partition(".")
    return len(fraction) if (whole + fraction).isdigit() else None


def exact_in_duckdb(e: Lit) -> bool:
    """Whether the constant is a DECIMAL there; with an exponent or more digits it would be a DOUBLE."""
    return e.value is None or ((e.value.replace("-", "", 1).replace(".", "", 1)).isdigit() and len(e.value) <= MOST)


def _call(e: Call, known: Mapping[int, int | None]) -> int | None:
    if e.op == "cast":
        return declared(e.type) if e.type is not None and e.type.mod >= 0 else _of(e.args[0], known)
    values = e.args
    if e.op == "case":
        values = (*e.args[1::2], *(e.args[-1:] if len(e.args) % 2 else ()))
    scales = [_of(a, known) for a in values]
    given = [s for s in scales if s is not None]
    if not given or len(given) < len(scales):
        return None
    match e.op:
        case "+" | "-":
            return max(given)
        case "*":
            return sum(given)
        case "neg" | "abs":
            return given[0]
        case "case" | "coalesce" | "greatest" | "least" | "nullif":
            return given[0] if len(set(given)) == 1 else None
        case _:
            return None
