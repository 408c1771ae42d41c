"""Arrow columns to PostgreSQL's text output, a column at a time; whatever has no exact kernel goes value by value."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from api.pgwire.zones import Zone
from connectors.types import PgType

DAY = 86_400_000_000
INFINITY = 2**63 - 1
EDGE = 2**63 - 2 * DAY  # beyond it a time zone's offset could overflow
NO_DAY = 2**31 - 1
FIRST_DAY, LAST_DAY = (date(1, 1, 1) - date(1970, 1, 1)).days, (date(9999, 12, 31) - date(1970, 1, 1)).days
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), dtype=np.uint16)


def text(array: pa.Array, kind: PgType, zone: Zone | None = None) -> pa.Array:
    """The text of each value, NULLs kept; `zone` is that of timestamptz (None: UTC); strings stay as they are."""
    encode = _ENCODERS.get(kind.name)
    if pa.types.is_decimal(array.type):
        return _decimal(array)
    if kind.name == "timestamptz":
        return _instant(array, zone)
    return array if encode is None or pa.types.is_string(array.type) else encode(array)


def numbers(array: pa.Array, kind: pa.DataType) -> np.ndarray:
    """The values as a numpy array; what stands for a NULL is a number of no meaning."""
    cast = array.view(kind) if array.type != kind else array
    if cast.null_count:
        cast = pc.fill_null(cast, 0)
    return np.asarray(cast.to_numpy(zero_copy_only=False))


def patched(array: pa.Array, wrong: np.ndarray, value: Callable[[int], str | None]) -> pa.Array:
    """`array` with the cells at `wrong` (a mask) replaced by `value(index)`."""
    mask = pa.array(wrong)
    places = np.flatnonzero(wrong)
    return pc.replace_with_mask(array, mask, pa.array([value(int(i)) for i in places], array.type))


def _number(array: pa.Array) -> pa.Array:
    return pc.cast(array, pa.string())


def _bool(array: pa.Array) -> pa.Array:
    return pc.if_else(array, "t", "f")


def _bytea(array: pa.Array) -> pa.Array:
    offsets = np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]
    data = array.buffers()[2]
    raw = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]] if data is not None else np.empty(0, np.uint8)
    if len(raw) > 2**29:
        raise OverflowError("a batch of bytea is too large")
    ends = pa.py_buffer(((offsets - offsets[0]) * 2).astype(np.int32))
    digits = pa.Array.from_buffers(pa.string(), len(array), [None, ends, pa.py_buffer(_HEX[raw])])
    joined = pc.binary_join_element_wise(pa.scalar("\\x"), digits, "")
    return pc.if_else(array.is_valid(), joined, pa.scalar(None, pa.string())) if array.null_count else joined


def _double(array: pa.Array) -> pa.Array:
    values = numbers(array, pa.float64())
    size = np.abs(values)
    # Arrow's shortest digits are PostgreSQL's; where it changes to an exponent, and how it writes that, is not.
    odd = ~(((size >= 1e-4) & (size < 1e10)) | (values == 0) | ((size >= 1e15) & (size < 2**53)) | _far(size, 1e41))
    return _floats(array, odd, lambda i: double_text(float(values[i])))


def _single(array: pa.Array) -> pa.Array:
    values = numbers(array, pa.float32())
    size = np.abs(values)
    odd = ~(((size >= 1e-4) & (size < 1e6)) | (values == 0) | _far(size, 1e21))
    return _floats(array, odd, lambda i: single_text(values[i]))


def _floats(array: pa.Array, odd: np.ndarray, value: Callable[[int], str]) -> pa.Array:
    words = pc.cast(array, pa.string())
    if array.null_count:
        odd &= array.is_valid().to_numpy(zero_copy_only=False)
    return patched(words, odd, value) if odd.any() else words


def double_text(value: float) -> str:
    """float8out with extra_float_digits > 0."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    size = abs(value)
    written = repr(value)  # an exponent below 1e-4 and from 1e16 on; PostgreSQL has it from 1e15 on
    if size < 1e15:
        return written.removesuffix(".0")
    shortest = written.partition("e")[0].removesuffix(".0").replace(".", "").lstrip("-").rstrip("0")
    away = math.copysign(math.inf, value)
    return _exponential(value, len(shortest), math.nextafter(value, away), math.nextafter(value, 0))


def _exponential(value: float, length: int, *neighbours: float) -> str:
    """The closest decimal of the least length, from `length` on, that is not halfway to a neighbour: PostgreSQL does
    not rely on the reader's rounding to even."""
    halves = {(Fraction(value) + Fraction(neighbour)) / 2 for neighbour in neighbours if math.isfinite(neighbour)}
    while True:
        written = f"{value:.{length - 1}e}"
        if Fraction(written) not in halves:
            mantissa, _, exponent = written.partition("e")
            return (mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa) + "e" + exponent
        length += 1


_LEAST_PLAIN = float(np.float32(1e-4))  # a little less than 1e-4, and written 0.0001


def single_text(value: np.float32) -> str:
    """float4out with extra_float_digits > 0."""
    if not math.isfinite(value):
        return double_text(float(value))
    size = abs(float(value))
    if _LEAST_PLAIN <= size < 1e6 or size == 0:
        return str(np.format_float_positional(value, unique=True, trim="-"))
    written = str(np.format_float_scientific(value, unique=True, trim="-", exp_digits=2))
    if size < 2**24:
        return written
    length = len(written.partition("e")[0].replace(".", "").lstrip("-"))
    with np.errstate(over="ignore"):
        neighbours = [float(np.nextafter(value, np.float32(end))) for end in (math.copysign(math.inf, value), 0)]
    return _exponential(float(value), length, *neighbours)


def _far(size: np.ndarray, end: float) -> np.ndarray:
    """Beyond `end` no short decimal is halfway between two values."""
    return (size >= end) & (size < math.inf)


def digits(array: pa.Array) -> pa.Array:
    """The unscaled whole number of each decimal, as text."""
    whole = pa.Array.from_buffers(pa.decimal128(38, 0), len(array), array.buffers(), offset=array.offset)
    return pc.cast(whole, pa.string())


def _decimal(array: pa.Array) -> pa.Array:
    scale = array.type.scale
    if scale <= 6:
        return pc.cast(array, pa.string())
    # From seven places on Arrow writes small values with an exponent.
    whole = digits(array)
    sign = pc.if_else(pc.starts_with(whole, "-"), "-", "")
    padded = pc.ascii_lpad(pc.ascii_ltrim(whole, "-"), scale + 1, "0")
    head = pc.utf8_slice_codeunits(padded, 0, -scale)
    return pc.binary_join_element_wise(sign, head, ".", pc.utf8_slice_codeunits(padded, -scale), "")


def _date(array: pa.Array) -> pa.Array:
    days = numbers(array, pa.int32())
    odd = (days < FIRST_DAY) | (days > LAST_DAY)
    if not odd.any():
        return pc.cast(array, pa.string())
    plain = pa.array(np.where(odd, 0, days).astype(np.int32), mask=array.is_null().to_numpy(zero_copy_only=False))
    return patched(pc.cast(plain.view(pa.date32()), pa.string()), odd, lambda i: date_text(int(days[i])))


def date_text(days: int) -> str:
    """date_out with DateStyle ISO."""
    if abs(days) == NO_DAY:
        return "infinity" if days > 0 else "-infinity"
    year, month, day = civil(days)
    return f"{year:04}-{month:02}-{day:02}" if year > 0 else f"{1 - year:04}-{month:02}-{day:02} BC"


def civil(days: int) -> tuple[int, int, int]:
    """Year (0 is 1 BC), month and day of a number of days since 1970-01-01, in the Gregorian calendar throughout."""
    era, of_era = divmod(days + 719_468, 146_097)
    year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month += 3 if month < 10 else -9
    return year + era * 400 + (month <= 2), month, day


def _time(array: pa.Array) -> pa.Array:
    values = numbers(array, pa.int64())
    odd = values == DAY
    if odd.any():
        plain = pa.array(np.where(odd, 0, values), mask=array.is_null().to_numpy(zero_copy_only=False))
        return patched(_time(plain.view(pa.time64("us"))), odd, lambda _: "24:00:00")
    return _trimmed(pc.cast(array, pa.string()))


def _trimmed(words: pa.Array) -> pa.Array:
    """Fractions of seconds without trailing zeros; each has its point."""
    return pc.ascii_rtrim(pc.ascii_rtrim(words, "0"), ".")


def _timestamp(array: pa.Array) -> pa.Array:
    return _moments(numbers(array, pa.int64()), array, None)


def _instant(array: pa.Array, zone: Zone | None) -> pa.Array:
    values = numbers(array, pa.int64())
    if zone is None:
        return _moments(values, array, pa.array(["+00"]).take(pa.array(np.zeros(len(array), np.int8))))
    shifts = zone.offsets(values)
    distinct, which = np.unique(shifts, return_inverse=True)
    names = pa.array([offset_text(int(shift)) for shift in distinct]).take(pa.array(which))
    safe = np.abs(values) < EDGE
    here = np.where(safe, values + np.where(safe, shifts, 0) * 1_000_000, values)
    return _moments(here, array, names, lambda i: int(values[i]), lambda i: int(shifts[i]))


def offset_text(seconds: int) -> str:
    """A zone's offset as timestamptz_out prints it."""
    sign, seconds = "-" if seconds < 0 else "+", abs(seconds)
    parts = [seconds // 3600, seconds // 60 % 60, seconds % 60]
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return sign + ":".join(f"{part:02}" for part in parts)


def _moments(
    values: np.ndarray,
    array: pa.Array,
    suffix: pa.Array | None,
    instant: Callable[[int], int] | None = None,
    shift: Callable[[int], int] | None = None,
) -> pa.Array:
    """`values` are local times; `instant` and `shift` (seconds) tell what they were made of."""
    odd = (values < FIRST_DAY * DAY) | (values >= (LAST_DAY + 1) * DAY)
    plain = pa.array(np.where(odd, 0, values), mask=array.is_null().to_numpy(zero_copy_only=False))
    words = _trimmed(pc.cast(plain.view(pa.timestamp("us")), pa.string()))
    if suffix is not None:
        words = pc.binary_join_element_wise(words, suffix, "")
    if not odd.any():
        return words
    if suffix is None or instant is None or shift is None:
        tail = "" if suffix is None else "+00"
        return patched(words, odd, lambda i: moment_text(int(values[i]), tail))
    return patched(words, odd, lambda i: moment_text(instant(i), suffix[i].as_py(), shift(i)))


def moment_text(value: int, suffix: str = "", shift: int = 0) -> str:
    """timestamp_out in ISO style, of microseconds since 1970; `suffix` is a zone's offset, `shift` its seconds."""
    if abs(value) == INFINITY:
        return "infinity" if value > 0 else "-infinity"
    days, rest = divmod(value + shift * 1_000_000, DAY)
    day, _, era = date_text(days).partition(" ")
    seconds, fraction = divmod(rest, 1_000_000)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if fraction:
        clock += f".{fraction:06}".rstrip("0")
    return f"{day} {clock}{suffix}{' ' + era if era else ''}"


_ENCODERS: Mapping[str, Callable[[pa.Array], pa.Array]] = {
    "bool": _bool,
    "int2": _number,
    "int4": _number,
    "int8": _number,
    "oid": _number,
    "float4": _single,
    "float8": _double,
    "bytea": _bytea,
    "date": _date,
    "time": _time,
    "timestamp": _timestamp,
}
