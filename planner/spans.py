"""Predicates about date_trunc, casts of moments, extract(year) and sums, turned into ranges of the column inside."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from connectors.capability.signatures import ZONED
from planner import scalar as sc
from planner.scalar import Call, Col, Lit, Scalar
from planner.values import Values

_TIMES = frozenset(("date", "timestamp", "timestamptz"))
_INTEGERS = {"int2": 15, "int4": 31, "int8": 63}
# Zones of the IANA data base are within 16 hours of UTC; a zone that somebody spells out may be anywhere.
_KNOWN_ZONE = re.compile(r"[A-Za-z_]+(?:/[A-Za-z_-]+)*")
_SLACK = timedelta(days=2)
_UTC = frozenset(("UTC", "ETC/UTC", "GMT"))
_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Span:
    """`bounds` hold wherever the predicate is true; where `exact` they are true, false and unknown just as it is."""

    bounds: tuple[Call, ...]
    exact: bool


@dataclass(frozen=True, slots=True)
class _Range:
    """Moments without zone, as UTC has them. `loose`: the ends depend on a zone that is not UTC."""

    low: datetime | None
    high: datetime | None
    low_open: bool = False
    high_open: bool = False
    loose: bool = False


def span(p: Scalar, values: Values) -> Span | None:
    """The range of a column that follows from `f(column) op constant`; None where no rule knows f or the constant."""
    if not (isinstance(p, Call) and p.op in _MIRRORED):
        return None
    (a, b), op = p.args, p.op
    if not sc.columns(a):
        a, b, op = b, a, _MIRRORED[op]
    if isinstance(a, Col) or sc.columns(b) or not isinstance(a, Call):
        return None
    if isinstance(a, Call) and a.op in ("+", "-"):
        return _shifted(a, op, b, values)
    found = _moments(a, op, b, values)
    if found is None:
        return None
    column, range_ = found
    low = _bound(column, range_.low, range_.low_open, up=True)
    high = _bound(column, range_.high, range_.high_open, up=False)
    return Span((*low, *high), not range_.loose) if low or high else None


# -- moments


def _moments(e: Scalar, op: str, value: Scalar, values: Values) -> tuple[Col, _Range] | None:
    year = _year_of(e)
    inner = e if year is None else year
    if not _over_column(inner):
        return None
    said = _said(op, values.moment(value)) if year is None else _years(op, values.number(value))
    if said is None:
        return None
    utc = values.zone.upper() in _UTC
    mixed = year is None and (_result(e) == "timestamptz") != (
        value.type is not None and value.type.name == "timestamptz"
    )
    if not utc and (mixed or _KNOWN_ZONE.fullmatch(values.zone) is None):
        return None
    if year is not None:
        said = replace(said, loose=not utc and _names(year) == {"timestamptz"})
    try:
        return _unwrapped(inner, said, utc)
    except (OverflowError, ValueError):
        return None


def _said(op: str, value: date | datetime | None) -> _Range | None:
    if value is None:
        return None
    at = _naive(value)
    low = at if op in ("=", ">", ">=") else None
    high = at if op in ("=", "<", "<=") else None
    return _Range(low, high, op == ">", op == "<")


def _years(op: str, year: int | None) -> _Range | None:
    if year is None or not 1 < year < 9990:
        return None
    start, end = datetime(year, 1, 1), datetime(year + 1, 1, 1)
    low = {"=": start, ">=": start, ">": end}.get(op)
    high = {"=": end, "<=": end, "<": start}.get(op)
    return _Range(low, high, False, True)


def _naive(value: date | datetime) -> datetime:
    if not isinstance(value, datetime):
        return datetime.combine(value, time())
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo is not None else value


def _unwrapped(e: Scalar, range_: _Range, utc: bool) -> tuple[Col, _Range]:
    """The range of the column inside nested truncations and casts."""
    while not isinstance(e, Col):
        unit, inner = _step(e)
        if inner is None:
            raise ValueError("not over a column")
        local = not utc and "timestamptz" in _names(e, inner) and (bool(unit) or len(_names(e, inner)) > 1)
        if unit:
            range_ = _floored(range_, unit, local)
        range_ = replace(range_, loose=range_.loose or local)
        e = inner
    if range_.loose:
        low, high = range_.low, range_.high
        range_ = _Range(low - _SLACK if low else None, high + _SLACK if high else None, loose=True)
    return e, range_


def _floored(range_: _Range, unit: str, local: bool) -> _Range:
    """What x can be where its beginning of `unit` is in `range_`; more where units begin by a `local` clock."""
    low, high = range_.low, range_.high
    if local:
        return _Range(low, _next(high, unit) if high else None, loose=True)
    if low is not None:
        low = _next(_floor(low, unit), unit) if range_.low_open or _floor(low, unit) != low else low
    if high is not None:
        high = high if range_.high_open and _floor(high, unit) == high else _next(_floor(high, unit), unit)
    return _Range(low, high, False, True, range_.loose)


def _step(e: Scalar) -> tuple[str, Scalar | None]:
    """The unit that the outermost call cuts down to ('' where it only casts) and its argument; None for other calls."""
    if isinstance(e, Call) and e.op in ("cast", "cast" + ZONED) and e.type is not None:
        inner = e.args[0]
        if e.type.mod >= 0 or e.type.name not in _TIMES or inner.type is None or inner.type.name not in _TIMES:
            return "", None
        return ("day" if e.type.name == "date" and inner.type.name != "date" else ""), inner
    unit, cut = _truncation(e)
    return (unit, cut) if unit in _UNITS else ("", None)


def _truncation(e: Scalar) -> tuple[str, Scalar | None]:
    """date_trunc of a constant unit: the unit and what is cut."""
    name, _, unit = e.op.removesuffix(ZONED).partition(" ") if isinstance(e, Call) else ("", "", "")
    if name != "date_trunc" or not isinstance(e, Call) or not unit:
        return "", None
    inner = e.args[0]
    return (unit, inner) if inner.type is not None and inner.type.name in _TIMES else ("", None)


def _year_of(e: Scalar) -> Scalar | None:
    """What the year is taken of."""
    if not (isinstance(e, Call) and e.op.removesuffix(ZONED) == "extract year"):
        return None
    inner = e.args[0]
    return inner if inner.type is not None and inner.type.name in _TIMES else None


def _over_column(e: Scalar) -> bool:
    """Whether nothing but truncations and casts of moments is around a column."""
    while not isinstance(e, Col):
        inner = _step(e)[1]
        if inner is None:
            return False
        e = inner
    return e.type is not None and e.type.name in _TIMES


def _result(e: Scalar) -> str:
    """The name of the type of a truncation or cast."""
    return e.type.name if e.type is not None else ""


def _names(*each: Scalar) -> set[str]:
    return {e.type.name for e in each if e.type is not None}


_MONTHS = {"month": 1, "quarter": 3, "year": 12, "decade": 120}
_LENGTHS = {
    "second": timedelta(seconds=1), "minute": timedelta(minutes=1), "hour": timedelta(hours=1),
    "day": timedelta(days=1), "week": timedelta(days=7),
}  # fmt: skip
_UNITS = frozenset((*_MONTHS, *_LENGTHS))


def _floor(at: datetime, unit: str) -> datetime:
    if unit in _MONTHS:
        months = at.year * 12 + at.month - 1
        start = months - months % _MONTHS[unit]
        return datetime(start // 12, start % 12 + 1, 1)
    if unit == "week":
        at -= timedelta(days=at.weekday())
    kept = {"second": 3, "minute": 2, "hour": 1}.get(unit, 0)
    return at.replace(
        hour=at.hour if kept > 0 else 0,
        minute=at.minute if kept > 1 else 0,
        second=at.second if kept > 2 else 0,
        microsecond=0,
    )


def _next(at: datetime, unit: str) -> datetime:
    """One unit later; of a month's day that the next has not, its last."""
    if unit in _LENGTHS:
        return at + _LENGTHS[unit]
    months = at.year * 12 + at.month - 1 + _MONTHS[unit]
    year, month = divmod(months, 12)
    return at.replace(year=year, month=month + 1, day=min(at.day, monthrange(year, month + 1)[1]))


def _bound(column: Col, at: datetime | None, outside: bool, *, up: bool) -> tuple[Call, ...]:
    """The lower (`up`) or upper end as a comparison; of a date with the day that holds it."""
    kind = column.type
    if at is None or kind is None:
        return ()
    text, whole = at.isoformat(" "), at.time() == time()
    if kind.name == "timestamptz":
        text += "+00"
    elif kind.name == "date":
        day = at.date() if whole or not up else at.date() + timedelta(days=1)
        text, outside = day.isoformat(), outside and whole
    op = (">" if up else "<") + ("" if outside else "=")
    return (Call(op, (column, Lit(text, kind.bare)), sc.BOOL),)


# -- sums of whole numbers


def _shifted(e: Call, op: str, value: Scalar, values: Values) -> Span | None:
    """`c + k op n`. Only the side on which no c overflows, so that an error that PostgreSQL raises is raised."""
    if len(e.args) != 2:
        return None
    a, b = e.args
    if e.op == "+" and isinstance(a, Lit):
        a, b = b, a
    if not (isinstance(a, Col) and isinstance(b, Lit) and a.type is not None and a.type.name in _INTEGERS):
        return None
    step, number = values.number(b), values.number(value)
    if step is None or number is None:
        return None
    step = -step if e.op == "-" else step
    bits, end = _INTEGERS[a.type.name], number - step
    known = (step >= 0 and op in ("=", ">", ">=")) or (step <= 0 and op in ("=", "<", "<="))
    if not known or not -(1 << bits) <= end < 1 << bits:
        return None
    op = op if op != "=" else ">=" if step > 0 else "<=" if step < 0 else "="
    return Span((Call(op, (a, Lit(str(end), a.type.bare)), sc.BOOL),), False)
