"""PostgreSQL's text of days and instants -> Arrow: infinities, years before Christ and beyond 9999 included."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from connectors import arrow
from connectors.types import PgType

_PLAIN = r"^\d{4}-\d\d-\d\d( [0-9:.]+)?$"
_TEXT = re.compile(r"(\d+)-(\d\d)-(\d\d)(?: (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?)?(?:\+00)?( BC)?")
_MOST_DAYS, _MOST_US = 2**31 - 1, 2**63 - 1


def days(values: pa.Array, kind: PgType, name: str) -> pa.Array:
    """Strings of the type date, DateStyle ISO, as date32; HV004 where one is none."""
    plain = pc.match_substring_regex(values, _PLAIN)
    if _all(plain):
        return arrow.conform(values, kind, name)
    return pa.array([_or_none(value, kind, name) for value in values.to_pylist()], pa.int32()).view(kind.arrow)


def instants(values: pa.Array, kind: PgType, name: str) -> pa.Array:
    """Strings of timestamp, or of timestamptz in a session in UTC, as kind.arrow; HV004 beyond the year 294246."""
    bare = pc.replace_substring_regex(values, r"\+00$", "") if kind.name == "timestamptz" else values
    if _all(pc.match_substring_regex(bare, _PLAIN)):
        return arrow.conform(bare, kind, name)
    return pa.array([_or_none(value, kind, name) for value in values.to_pylist()], pa.int64()).view(kind.arrow)


def _all(plain: pa.Array) -> bool:
    return pc.all(plain).as_py() is not False


def _or_none(value: str | None, kind: PgType, name: str) -> int | None:
    return None if value is None else _number(value, kind, name)


def _number(value: str, kind: PgType, name: str) -> int:
    most = _MOST_DAYS if kind.name == "date" else _MOST_US
    if value in ("infinity", "-infinity"):
        return most if value == "infinity" else -most
    match = _TEXT.fullmatch(value)
    if match is None:
        raise arrow.unfit(name, f"text of {len(value)} characters that is no value of the type", kind)
    year = 1 - int(match[1]) if match[8] else int(match[1])
    day = _days(year, int(match[2]), int(match[3]))
    if kind.name == "date":
        return day
    hours, minutes, seconds = (int(match[at] or 0) for at in (4, 5, 6))
    micros = day * arrow.US_PER_DAY + ((hours * 60 + minutes) * 60 + seconds) * 1_000_000
    micros += int((match[7] or "").ljust(6, "0"))
    if micros >= most:
        raise arrow.unfit(name, "an instant after the year 294246", kind)
    return micros


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the Gregorian calendar; the year 0 is 1 BC. Years begin in March, so that the leap day
    is the last of them."""
    year -= month <= 2
    month = month - 3 if month > 2 else month + 9
    era, of_era = divmod(year, 400)
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + (153 * month + 2) // 5 + day - 1 - 719_468
