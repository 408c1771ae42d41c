"""Decimals print as PostgreSQL prints them, whatever Arrow makes of them."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import arrow
from connectors.decimals import plain, printed
from connectors.types import PgType, numeric
from tests.servers import Server


@st.composite
def decimals(draw: st.DrawFn) -> pa.Array:
    """An array of decimals of any width and scale, many of them tiny, NULL or zero."""
    make, most = draw(st.sampled_from([(pa.decimal128, 38), (pa.decimal256, 76), (pa.decimal64, 18)]))
    precision = draw(st.integers(1, most))
    scale = draw(st.integers(-min(20, precision), precision))
    bound = 10**precision - 1
    unscaled = st.one_of(st.none(), st.integers(-20, 20), st.integers(-bound, bound)).filter(
        lambda number: number is None or abs(number) <= bound
    )
    numbers = draw(st.lists(unscaled, max_size=12))
    whole = [None if number is None else Decimal(number) for number in numbers]
    return pa.array(whole, make(precision, 0)).view(make(precision, scale))


@given(decimals())
def test_text_is_every_digit_of_the_scale(values: pa.Array) -> None:
    scale = max(values.type.scale, 0)
    expected = [None if v is None else format(v if v else abs(v), "f") for v in values.to_pylist()]
    assert printed(values).to_pylist() == expected
    for text in filter(None, expected):
        assert "E" not in text
        assert len(text.partition(".")[2]) == scale


@pytest.mark.service
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(decimals(), st.integers(0, 30))
def test_text_is_that_of_postgresql(postgresql: Server, values: pa.Array, more: int) -> None:
    scale = max(values.type.scale, 0)
    wide = numeric(150, scale + more)
    got = [*printed(values).drop_null().to_pylist(), *arrow.conform(values, wide, "c0").drop_null().to_pylist()]
    cells = [
        f"'{number}'::numeric(150,{digits})::text"
        for digits in (scale, scale + more)
        for number in values.to_pylist()
        if number is not None
    ]
    if cells:
        assert got == [*postgresql.run(f"SELECT {', '.join(cells)}")[0]]


def test_fewer_digits_are_no_guess() -> None:
    values = pa.array([Decimal("1.50"), Decimal("2.00")], pa.decimal128(10, 2))
    assert arrow.conform(values, numeric(60, 1), "c0").to_pylist() == ["1.5", "2.0"]
    with pytest.raises(arrow.UnfitError):
        arrow.conform(values, numeric(60, 0), "c0")
    assert arrow.conform(values, PgType("numeric"), "c0").to_pylist() == ["1.50", "2.00"]


@pytest.mark.parametrize("text", ["1E131073", "1E-16384", "1E999999"])
def test_a_number_that_no_numeric_holds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="too many digits"):
        plain(Decimal(text))


@pytest.mark.parametrize(
    ("number", "text"),
    [("-0.00", "0.00"), ("0E+5", "0"), ("0E-10", "0.0000000000"), ("NaN", "NaN"), ("-Infinity", "-Infinity")],
)
def test_what_has_a_form_of_its_own(number: str, text: str) -> None:
    assert plain(Decimal(number)) == text
