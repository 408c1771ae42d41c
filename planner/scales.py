"""Display scales: the digits behind the point that PostgreSQL prints of a numeric, where all rows have as many."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.capability.rules import Digits
from connectors.types import PgType
from planner.digits import of_call
from planner.scalar import BOOL, Agg, Call, Col, Lit, Scalar
from planner.types import INT4

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
    scales = [_of(a, known) for a in e.args]
    found = of_call(e, [Digits(0, s) if s is not None else None for s in scales])
    return found.scale if found is not None else None


def levelled(e: Scalar, known: Mapping[int, int | None]) -> tuple[Scalar, Scalar] | None:
    """A CASE or COALESCE whose constants have as many digits as its other values, and the digits that each had.

    None for any other, and where a value's digits are not known.
    """
    if not isinstance(e, Call) or e.op not in ("case", "coalesce"):
        return None
    at = [i for i in range(len(e.args)) if e.op == "coalesce" or i % 2 or i == len(e.args) - 1]
    scales = {i: scale(e.args[i], known) for i in at if not _null(e.args[i])}
    most = max((s for s in scales.values() if s is not None), default=None)
    if most is None or None in scales.values():
        return None
    values = {i: _lengthened(e.args[i], s, most) for i, s in scales.items()}
    if any(value is None for value in values.values()):
        return None
    args = tuple(values.get(i) or arg for i, arg in enumerate(e.args))
    digits = {i: Call("case", (_given(e.args[i]), Lit(str(s), INT4)), INT4) for i, s in scales.items()}
    none = Lit(None, INT4)
    told = tuple(digits.get(i, none) if i in at else arg for i, arg in enumerate(e.args))
    return Call(e.op, args, e.type), Call(e.op, told, INT4)


def _null(e: Scalar) -> bool:
    return isinstance(e, Lit) and e.value is None


def _given(e: Scalar) -> Scalar:
    return Call("is not null", (e,), BOOL)


def _lengthened(e: Scalar, own: int | None, most: int) -> Scalar | None:
    if own == most:
        return e
    if not isinstance(e, Lit) or e.value is None or own is None or e.type.mod >= 0:
        return None
    return Lit(e.value + ("" if own else ".") + "0" * (most - own), e.type)
