"""PostgreSQL's text output of values, from Python values and from Arrow columns: what two answers are compared by."""

from __future__ import annotations

import datetime as dt
import math
import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa

from connectors.types import PgType

_DAY = 86_400_000_000
_EPOCH = dt.datetime(1970, 1, 1)
_INFINITE = {2**31 - 1: "infinity", -(2**31 - 1): "-infinity", 2**63 - 1: "infinity", -(2**63 - 1): "-infinity"}


def float_text(value: float, single: bool = False) -> str:
    """Shortest round-trip text as float8out and float4out print it."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    digits, exponent = _shortest(value, single)
    sign, digits = ("-", digits[1:]) if digits.startswith("-") else ("", digits)
    if exponent < -4 or exponent >= (6 if single else 15):
        mantissa = digits[0] + ("." + digits[1:] if len(digits) > 1 else "")
        return f"{sign}{mantissa}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, rest = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
    return sign + whole + ("." + rest if rest else "")


def _shortest(value: float, single: bool) -> tuple[str, int]:
    """Significant digits (signed) and the decimal exponent of the first."""
    text = f"{value:e}"
    for precision in range(0, 9 if single else 17):
        text = f"{value:.{precision}e}"
        again = struct.unpack("f", struct.pack("f", float(text)))[0] if single else float(text)
        if again == value:
            break
    mantissa, exponent = text.split("e")
    digits = mantissa.replace(".", "").rstrip("0")
    return digits, int(exponent)


def _civil(days: int) -> tuple[str, str]:
    """Days since 1970 as (yyyy-mm-dd, '' or ' BC'), proleptic Gregorian."""
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * of_year + 2) // 153
    day = of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (1 if month <= 2 else 0)
    suffix = "" if year > 0 else " BC"
    return f"{year if year > 0 else 1 - year:04d}-{month:02d}-{day:02d}", suffix


def _date(days: int) -> str:
    return _INFINITE.get(days) or "".join(_civil(days))


def _time(micros: int) -> str:
    seconds, fraction = divmod(micros, 1_000_000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return text + (f".{fraction:06d}".rstrip("0") if fraction else "")


def _timestamp(micros: int, zone: str = "") -> str:
    if micros in _INFINITE:
        return _INFINITE[micros]
    days, rest = divmod(micros, _DAY)
    date, suffix = _civil(days)
    return f"{date} {_time(rest)}{zone}{suffix}"


def _instant(micros: int) -> str:
    return _timestamp(micros, "+00")


_INTEGRAL: dict[str, tuple[pa.DataType, Callable[[int], str]]] = {
    "date": (pa.int32(), _date),
    "time": (pa.int64(), _time),
    "timestamp": (pa.int64(), _timestamp),
    "timestamptz": (pa.int64(), _instant),
}


def column_texts(column: pa.ChunkedArray, kind: PgType) -> list[str | None]:
    """Each value of an Arrow column of `kind.arrow` as PostgreSQL prints it (session in UTC, ISO)."""
    if column.type != kind.arrow:
        raise TypeError(f"{kind.sql} travels as {kind.arrow}, not as {column.type}")
    if kind.name in _INTEGRAL:
        physical, show = _INTEGRAL[kind.name]
        return [None if value is None else show(value) for value in column.cast(physical).to_pylist()]
    return [python_text(value, kind) for value in column.to_pylist()]


def python_text(value: Any, kind: PgType) -> str | None:
    """A Python value of `data.py` (or of an Arrow column) as PostgreSQL prints it."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, float):
        return float_text(value, single=kind.name == "float4")
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return "\\x" + value.hex()
    if isinstance(value, dt.datetime):
        naive = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        return _timestamp((naive - _EPOCH) // dt.timedelta(microseconds=1), "+00" if value.tzinfo else "")
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return _time((value.hour * 3600 + value.minute * 60 + value.second) * 1_000_000 + value.microsecond)
    return str(value)
