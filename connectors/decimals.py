"""Decimals as PostgreSQL prints a numeric: every digit of their scale, no exponent, no minus zero."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

_WHOLE, _FRACTION = 131_072, 16_383  # digits before and after the point that a numeric has at most
_MOST = 76  # digits of Arrow's widest decimal


def plain(number: Decimal) -> str:
    """The text of a number, "NaN" and "Infinity" included; ValueError for one that no numeric can hold.

    >>> plain(Decimal("1.50E-9")), plain(Decimal("12E2")), plain(Decimal("-0.0"))
    ('0.00000000150', '1200', '0.0')
    """
    if number.is_nan():
        return "NaN"
    if number.is_finite() and (number.adjusted() > _WHOLE or -int(number.as_tuple().exponent) > _FRACTION):
        raise ValueError("too many digits")
    return format(number if number else abs(number), "f")


def printed(values: pa.Array, scale: int | None = None) -> pa.Array:
    """An array of decimals as text, with so many digits after the point (none said: the array's own scale).

    ArrowInvalid where digits would be lost.
    """
    if scale is not None and max(scale, 0) < values.type.scale:
        values = values.cast(pa.decimal256(_MOST, max(scale, 0)), safe=True)
    texts = values.cast(pa.string())
    with_exponent = pc.match_substring(texts, "E")  # Arrow's cast writes 1E-10 and 12E+2
    if pc.any(with_exponent).as_py():
        digits = [plain(number) for number in values.filter(with_exponent).to_pylist()]
        texts = pc.replace_with_mask(texts, with_exponent, pa.array(digits, pa.string()))
    have = max(values.type.scale, 0)
    if scale is None or scale <= have:
        return texts
    return pc.binary_join_element_wise(texts, ("" if have else ".") + "0" * (scale - have), "")
