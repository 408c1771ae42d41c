"""The values that a column may have by a statement's conditions: compared with another's, and checked over rows.

Every type is brought to one in which Python, Arrow and PostgreSQL agree on = and on <: whole numbers (dates and
moments as days and microseconds since 1970, which holds for infinity as Arrow has it), decimals of the column's scale,
text by its bytes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from connectors.types import PgType

_DAY, _MOMENT = date(1970, 1, 1), datetime(1970, 1, 1)
_STEP = timedelta(microseconds=1)
_MOST = 38  # digits of Arrow's decimals
_DIGITS = Context(prec=2 * _MOST)  # so that nothing is rounded but at the scale


class Unclear(Exception):
    """A value, or a comparison, that cannot be repeated here."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a column may be: NULL or not, and one of `members` (None: any value) between `low` and `high` (None: no
    bound) that is not among `without`. Values are as `plain` has them."""

    null: bool = True
    present: bool = True
    members: frozenset[Any] | None = None
    low: Any = None
    high: Any = None
    low_open: bool = False
    high_open: bool = False
    without: frozenset[Any] = frozenset()

    @property
    def listed(self) -> bool:
        """Whether it is just the members."""
        return self.present and self.members is not None and self.low is None and self.high is None and not self.without

    def admits(self, value: Any) -> bool:
        """Whether a value that is not NULL is among them."""
        if not self.present or value in self.without:
            return False
        if self.members is not None and value not in self.members:
            return False
        above = self.low is None or value > self.low or (value == self.low and not self.low_open)
        return above and (self.high is None or value < self.high or (value == self.high and not self.high_open))

    def within(self, other: Allowed) -> bool:
        """Whether all of them surely are among the other's."""
        if self.null and not other.null:
            return False
        if not self.present:
            return True
        if self.members is not None:
            if other.listed:
                return self.members <= (other.members or frozenset())
            return all(other.admits(value) for value in self.members if self.admits(value))
        if not other.present or other.members is not None:
            return False
        return self._between(other) and not any(self.admits(value) for value in other.without)

    def _between(self, other: Allowed) -> bool:
        if other.low is not None and (
            self.low is None or self.low < other.low or (self.low == other.low and other.low_open > self.low_open)
        ):
            return False
        return other.high is None or not (
            self.high is None
            or self.high > other.high
            or (self.high == other.high and other.high_open > self.high_open)
        )

    def both(self, other: Allowed) -> Allowed:
        """What is in both."""
        members = self.members
        if other.members is not None:
            members = other.members if members is None else members & other.members
        low, low_open = self.low, self.low_open
        if other.low is not None and (low is None or (other.low, other.low_open) > (low, low_open)):
            low, low_open = other.low, other.low_open
        high, high_open = self.high, self.high_open
        if other.high is not None and (high is None or (other.high, not other.high_open) < (high, not high_open)):
            high, high_open = other.high, other.high_open
        null, present = self.null and other.null, self.present and other.present
        return Allowed(null, present, members, low, high, low_open, high_open, self.without | other.without)


_PRESENT = Allowed(null=False)
_NULL = Allowed(present=False)


def allowed(op: str, values: Iterable[Any]) -> Allowed:
    """What a condition lets in; `values` are plain, without NULLs that would leave nothing."""
    match op, tuple(values):
        case "null", _:
            return _NULL
        case "notnull", _:
            return _PRESENT
        case (("=" | "in" | "any"), members):
            return replace(_PRESENT, members=frozenset(members))
        case (("<>" | "notin"), members):
            return replace(_PRESENT, without=frozenset(members))
        case "<" | "<=", (high,):
            return replace(_PRESENT, high=high, high_open=op == "<")
        case ">" | ">=", (low,):
            return replace(_PRESENT, low=low, low_open=op == ">")
        case _:
            raise Unclear(op)


def plain(kind: PgType, values: Iterable[Any]) -> list[Any]:
    """Values, as Bound has them, as they are compared with a column of that type; Unclear for NULL and for what has no
    such form."""
    form = _PLAIN.get(kind.name)
    if form is None:
        raise Unclear(kind.sql)
    try:
        return [form(value) for value in values]
    except (ValueError, ArithmeticError) as error:
        raise Unclear(kind.sql) from error


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise Unclear("a whole number")
    return value


def _truth(value: Any) -> bool:
    if type(value) is not bool:
        raise Unclear("a boolean")
    return value


def _days(value: Any) -> int:
    if type(value) is not date:  # infinity comes as text
        raise Unclear("a date")
    return (value - _DAY).days


def _moment(value: Any) -> int:
    if not isinstance(value, datetime) or value.tzinfo is not None:
        raise Unclear("a timestamp")
    return (value - _MOMENT) // _STEP


def _instant(value: Any) -> int:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Unclear("a timestamp with time zone")
    return _moment(value.astimezone(UTC).replace(tzinfo=None))


def _decimal(value: Any) -> Decimal:
    if not isinstance(value, str | Decimal) and type(value) is not int:
        raise Unclear("a number")
    number = Decimal(value)
    if not number.is_finite():
        raise Unclear("a number")
    return number


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unclear("a text")
    return value


def _uuid(value: Any) -> str:
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(_text(value)))


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "int2": _whole, "int4": _whole, "int8": _whole, "bool": _truth, "date": _days, "timestamp": _moment,
    "timestamptz": _instant, "uuid": _uuid, "numeric": _decimal, "text": _text, "varchar": _text,
}  # fmt: skip


# -- over rows


def rows(column: pa.ChunkedArray, values: Allowed) -> pa.ChunkedArray:
    """For each value of a column whether it is among those: true, or else false or NULL. Unclear where Arrow has no
    such comparison."""
    if not values.present:
        return pc.is_null(column) if values.null else pc.and_(pc.is_null(column), pc.is_valid(column))
    if values.null:
        raise Unclear("NULL or a value")
    if values == _PRESENT:
        return pc.is_valid(column)
    return _checked(_comparable(column), values)


def _comparable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_date32(kind):
        return column.cast(pa.int32()).cast(pa.int64())
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return column.cast(pa.int64())
    if pa.types.is_boolean(kind) or pa.types.is_string(kind) or pa.types.is_decimal128(kind):
        return column
    raise Unclear(str(kind))


def _checked(column: pa.ChunkedArray, values: Allowed) -> pa.ChunkedArray:
    scaled = _Scaled(column.type.scale) if pa.types.is_decimal(column.type) else None
    kind = column.type if scaled is None else pa.decimal128(_MOST, scaled.scale)
    column = column if scaled is None else column.cast(kind)
    tests = [pc.is_valid(column)]
    if values.members is not None:
        members = [value for value in values.members if values.admits(value)]
        tests.append(pc.is_in(column, value_set=pa.array(scaled.those(members) if scaled else members, kind)))
    else:
        tests += _bounds(column, values, kind, scaled)
    made = tests[0]
    for test in tests[1:]:
        made = pc.and_(made, test)
    return made


def _bounds(
    column: pa.ChunkedArray, values: Allowed, kind: pa.DataType, scaled: _Scaled | None
) -> list[pa.ChunkedArray]:
    tests = []
    low, low_open, high, high_open = values.low, values.low_open, values.high, values.high_open
    if scaled is not None:
        low, low_open = scaled.at_least(low, low_open)
        high, high_open = scaled.at_most(high, high_open)
    if low is not None:
        tests.append((pc.greater if low_open else pc.greater_equal)(column, pa.scalar(low, kind)))
    if high is not None:
        tests.append((pc.less if high_open else pc.less_equal)(column, pa.scalar(high, kind)))
    if values.without:
        left_out = scaled.those(values.without) if scaled else list(values.without)
        tests.append(pc.invert(pc.is_in(column, value_set=pa.array(left_out, kind))))
    return tests


@dataclass(frozen=True, slots=True)
class _Scaled:
    """Decimals of one scale, and what bounds of other scales are among them."""

    scale: int

    def those(self, values: Iterable[Decimal]) -> list[Decimal]:
        """Which of them exist at that scale; the others equal nothing."""
        rounded = ((value, self._round(value, ROUND_FLOOR)) for value in values)
        return [near for value, near in rounded if near == value]

    def at_least(self, low: Decimal | None, is_open: bool) -> tuple[Decimal | None, bool]:
        """The same bound from below."""
        if low is None:
            return None, is_open
        near = self._round(low, ROUND_CEILING)
        return near, is_open and near == low

    def at_most(self, high: Decimal | None, is_open: bool) -> tuple[Decimal | None, bool]:
        """The same bound from above."""
        if high is None:
            return None, is_open
        near = self._round(high, ROUND_FLOOR)
        return near, is_open and near == high

    def _round(self, value: Decimal, way: str) -> Decimal:
        few = not value or value.adjusted() + self.scale <= _MOST
        near = value.quantize(Decimal(1).scaleb(-self.scale), way, _DIGITS) if few else value
        if near and near.adjusted() + self.scale >= _MOST:
            raise Unclear("more digits than Arrow's decimals have")
        return near
