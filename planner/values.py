"""Values that planning may look at. What a rule learns of one is recorded as a guard: the plan holds only under it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from connectors.base import Bound
from connectors.types import PgType
from planner.scalar import Lit, Param, Scalar
from planner.targets import python_value
from planner.types import INT8, NUMERIC

_INTEGERS = frozenset(("int2", "int4", "int8"))
_TEXTS = frozenset(("text", "varchar"))
_MOMENTS = frozenset(("date", "timestamp", "timestamptz", "time"))  # values of these are no text, where Python has them
_NUMBERS = {int, Decimal}


@dataclass(frozen=True, slots=True)
class Guard:
    """Comparing `a` with `b` gives one of `signs` (-1, 0, 1)."""

    a: Lit | Param
    b: Lit | Param
    signs: frozenset[int]


def peculiar(bound: Bound) -> bool:
    """Whether not every source, or not even Python, has the value: infinity, NaN, a year past 9999, 39 digits."""
    value, name = bound.value, bound.type.name
    if isinstance(value, list):
        return any(peculiar(Bound(PgType(name.removeprefix("_")), item)) for item in value)
    if not isinstance(value, str):
        return False
    if name == "numeric":
        return value.strip("-0123456789.") != "" or len(value) > 38
    return name in _MOMENTS


@dataclass(slots=True)
class Values:
    """The parameters' values, as far as they are known while planning. `zone` is the session's, '' where unknown.

    `guards` is what rules have learned so far, `wanted` the parameters that they asked for in vain: with their
    values another plan may be better, without them this one is right for any. `plain`: nothing can be computed or
    read before the fragments.
    """

    params: Sequence[Bound | None] = ()
    zone: str = ""
    plain: bool = False
    guards: list[Guard] = field(default_factory=list)
    wanted: set[int] = field(default_factory=set)
    _recorded: set[Guard] = field(default_factory=set)

    @property
    def apart(self) -> frozenset[int]:
        """Parameters whose values not every source has: they are compared in the canon."""
        return frozenset(at for at, param in enumerate(self.params) if param is not None and peculiar(param))

    def compare(self, a: Scalar, b: Scalar) -> int | None:
        """-1, 0 or 1 as PostgreSQL orders the two constants or parameters; None where that is not known."""
        sign = self._sign(a, b)
        if sign is not None:
            self._record(a, b, frozenset((sign,)))
        return sign

    def at_most(self, e: Scalar, most: int) -> bool | None:
        """Whether an integer constant or parameter is at most `most`; None where it is NULL or not known."""
        limit = Lit(str(most), INT8)
        sign = self._sign(e, limit)
        if sign is None:
            return None
        below = frozenset((-1, 0))
        self._record(e, limit, below if sign in below else frozenset((1,)))
        return sign in below

    def integer(self, e: Scalar) -> int | None:
        """The value of an integer constant or parameter, to which the plan is then bound; None where not known."""
        value = self._value(e)
        if type(value) is not int:
            return None
        self._record(e, Lit(str(value), INT8), frozenset((0,)))
        return value

    def peek(self, e: Scalar) -> object:
        """The value (Python's, or PostgreSQL's text of a constant's) without binding the plan to it: for estimates,
        which decide how fast an answer comes and never which; None where it is NULL or not known."""
        if isinstance(e, Lit):
            return e.value
        known = self.params[e.index] if isinstance(e, Param) and e.index < len(self.params) else None
        return known.value if known is not None else None

    def number(self, e: Scalar) -> int | None:
        """The value of a whole number of any type, to which the plan is then bound; None where not known."""
        value = self._value(e)
        if type(value) not in _NUMBERS or value != int(value):
            return None
        self._record(e, Lit(str(int(value)), NUMERIC), frozenset((0,)))
        return int(value)

    def moment(self, e: Scalar) -> date | datetime | None:
        """The value of a date or timestamp, to which the plan is then bound; None where not known."""
        value = self._value(e)
        kind = e.type if isinstance(e, Lit | Param) else None
        if kind is None or not isinstance(value, date | datetime):
            return None
        self._record(e, Lit(value.isoformat(*(" ",) if isinstance(value, datetime) else ()), kind), frozenset((0,)))
        return value

    def hold(self, guards: Sequence[Guard]) -> bool:
        """Whether guards that were recorded with other values hold for these."""
        return all(self._sign(guard.a, guard.b) in guard.signs for guard in guards)

    def _record(self, a: Scalar, b: Scalar, signs: frozenset[int]) -> None:
        if isinstance(a, Lit | Param) and isinstance(b, Lit | Param) and (isinstance(a, Param) or isinstance(b, Param)):
            guard = Guard(a, b, signs)
            if guard not in self._recorded:
                self._recorded.add(guard)
                self.guards.append(guard)

    def _sign(self, a: Scalar, b: Scalar) -> int | None:
        return _sign(self._value(a), self._value(b))

    def _value(self, e: Scalar) -> Any:
        """A Python value that orders as PostgreSQL orders the type's; None for NULL and what has none."""
        if isinstance(e, Lit):
            try:
                return _ordered(e.type.name, python_value(e))
            except (ValueError, OverflowError):
                return None
        if not isinstance(e, Param):
            return None
        known = self.params[e.index] if e.index < len(self.params) else None
        if known is None:
            self.wanted.add(e.index)
            return None
        return _ordered(known.type.name, known.value)


def compared(a: Bound, b: Bound) -> int | None:
    """-1, 0 or 1 as PostgreSQL orders two values; None where either is NULL or that is not known."""
    return _sign(_ordered(a.type.name, a.value), _ordered(b.type.name, b.value))


def _sign(left: Any, right: Any) -> int | None:
    if left is None or right is None or not (type(left) is type(right) or {type(left), type(right)} == _NUMBERS):
        return None
    if isinstance(left, datetime) and isinstance(right, datetime) and (left.tzinfo is None) != (right.tzinfo is None):
        return None  # which comes first depends on the session's time zone
    return -1 if left < right else int(left > right)


def _ordered(name: str, value: object) -> int | bool | Decimal | bytes | date | datetime | None:
    match value:
        case bool():
            return value
        case int() if name in _INTEGERS:
            return value
        case str() if name == "numeric":
            number = Decimal(value)
            return number if number.is_finite() else None
        case str() if name in _TEXTS:
            return value.encode()
        case datetime() if (name == "timestamptz") == (value.tzinfo is not None):
            return value
        case date() if name == "date" and not isinstance(value, datetime):
            return value
        case _:
            return None
