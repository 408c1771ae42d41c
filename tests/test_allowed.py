"""What a column may be: claimed of two conditions, and checked over rows, as PostgreSQL does both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.types import PgType, numeric
from federation.canon.server import Canon
from federation.reuse.allowed import Allowed, Unclear, allowed, plain, rows

_NOON = datetime(2024, 2, 29, 12, 0, 0, 1)
_NUMBERS = ("0", "-0.00", "1.5", "1.50", "1.49", "1.51", "-1.495", "99999999.99", "-99999999.99", "1e30", "0.001")
# Values for columns and conditions of each type, near each other and at the ends of what the type holds.
POOLS: dict[PgType, tuple[Any, ...]] = {
    PgType("int2"): (0, 1, 2, -1, 32767, -32768),
    PgType("int4"): (0, 1, 2, -1, 2**31 - 1, -(2**31)),
    PgType("int8"): (0, 1, 2, -1, 2**63 - 1, -(2**63), 2**53 + 1, 2**53),
    PgType("bool"): (True, False),
    PgType("date"): (date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date.min, date.max),
    PgType("timestamp"): (datetime(1969, 12, 31, 23, 59, 59, 999999), datetime(1970, 1, 1), _NOON, datetime.max),
    PgType("timestamptz"): (
        _NOON.replace(tzinfo=UTC),
        _NOON.replace(tzinfo=timezone(timedelta(hours=5, minutes=45))),
        datetime(1969, 12, 31, 23, 0, tzinfo=timezone(-timedelta(hours=1))),
        datetime(1970, 1, 1, tzinfo=UTC),
    ),
    PgType("uuid"): ("00000000-0000-0000-0000-000000000001", "{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}"),
    numeric(10, 2): _NUMBERS,
    numeric(38, 0): ("0", "1", "-1", "2", "1.5", "99999999999999999999999999999999999999"),
    PgType("text"): ("", "a", "A", "b", "ab", "Zoë", "zoe", "\u00ff", "\U0001f600", "\uffff", " ", "a "),
}
INFINITE = {
    "date": ("infinity", "-infinity", 2**31 - 1),  # and as Arrow has the first
    "timestamp": ("infinity", "-infinity", 2**63 - 1),
    "timestamptz": ("infinity", "-infinity", 2**63 - 1),
}


@dataclass(frozen=True)
class Test:
    """One condition on the column v."""

    __test__ = False
    op: str
    values: tuple[Any, ...] = ()

    def sql(self, kind: PgType) -> str:
        words = [_literal(value, kind) for value in self.values]
        match self.op:
            case "null" | "notnull":
                return f"v IS {'NOT ' if self.op == 'notnull' else ''}NULL"
            case "in" | "notin":
                return f"v {'NOT ' if self.op == 'notin' else ''}IN ({', '.join(words)})"
            case "any":
                return f"v = ANY(ARRAY[{', '.join(words)}]::{kind.bare.sql}[])"
            case _:
                return f"v {self.op} {words[0]}"


def _literal(value: Any, kind: PgType) -> str:
    return f"'{value}'::{kind.bare.sql}"


def _tests(kind: PgType) -> st.SearchStrategy[list[Test]]:
    value = st.sampled_from(POOLS[kind])
    ordered = () if kind.name in ("uuid", "bool") else ("<", "<=", ">", ">=")
    one = st.builds(lambda op, v: Test(op, (v,)), st.sampled_from(("=", "<>", *ordered)), value)
    many = st.builds(Test, st.sampled_from(("in", "notin", "any")), st.lists(value, min_size=1, max_size=3).map(tuple))
    bare = st.sampled_from((Test("null"), Test("notnull")))
    return st.lists(st.one_of(one, one, many, bare), max_size=3)


def _meeting(tests: Sequence[Test], kind: PgType) -> Allowed:
    found = Allowed()
    for test in tests:
        found = found.both(allowed(test.op, plain(kind, test.values)))
    return found


def _column(values: Sequence[Any], kind: PgType) -> pa.ChunkedArray:
    """As a connector delivers them."""
    if kind.name in INFINITE:
        most = INFINITE[kind.name][2]
        ends = {"infinity": most, "-infinity": -most}
        whole = pa.int32() if kind.name == "date" else pa.int64()
        raw = [None if v is None else ends[v] if isinstance(v, str) else plain(kind, [v])[0] for v in values]
        return pa.chunked_array([pa.array(raw, whole).cast(kind.arrow)])
    if kind.name == "numeric":
        values = [None if v is None else Decimal(v) for v in values]
    if kind.name == "uuid":
        values = [None if v is None else str(UUID(v)) for v in values]
    return pa.chunked_array([pa.array(values, kind.arrow)])


@pytest.fixture(scope="module")
def postgres(canon: Canon) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        yield connection


def _stored(kind: PgType) -> tuple[Any, ...]:
    """Values that a column of the type can hold."""
    if kind.name != "numeric":
        return (*POOLS[kind], *INFINITE.get(kind.name, ())[:2])
    precision, scale = kind.precision_scale
    numbers = (Decimal(v).quantize(Decimal(1).scaleb(-scale), context=Context(prec=80)) for v in POOLS[kind])
    return tuple(str(n) for n in numbers if not n or n.adjusted() < precision - scale)


@st.composite
def cases(draw: st.DrawFn) -> tuple[PgType, list[Any], list[Test], list[Test]]:
    kind = draw(st.sampled_from(tuple(POOLS)))
    values = draw(st.lists(st.none() | st.sampled_from(_stored(kind)), max_size=12))
    return kind, values, draw(_tests(kind)), draw(_tests(kind))


def _said(postgres: psycopg.Connection[Any], kind: PgType, values: Sequence[Any], tests: Sequence[Test]) -> list[bool]:
    """Which of the values meet all tests, by PostgreSQL."""
    given = ", ".join(f"({n}, {'NULL' if v is None else _literal(v, kind)}::{kind.sql})" for n, v in enumerate(values))
    where = " AND ".join(f"({test.sql(kind)})" for test in tests) or "TRUE"
    sql = f"SELECT ({where}) IS TRUE FROM (VALUES {given}) AS t (n, v) ORDER BY n"
    return [row[0] for row in postgres.execute(sql.encode()).fetchall()]


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases())
@example(case=(PgType("int8"), [2**63 - 1, None], [Test(">", (2**63 - 1,))], [Test(">=", (2**63 - 1,))]))
@example(case=(PgType("date"), ["infinity", None], [Test(">", (date.max,))], [Test("<>", (date.max,))]))
@example(case=(numeric(10, 2), ["1.50", "1.51", "1.49"], [Test("<", ("1.495",))], [Test("<=", ("1.495",))]))
@example(case=(PgType("int2"), [0], [Test("=", (0,))], [Test("=", (0,)), Test("null")]))
@example(case=(PgType("int4"), [None, 1], [Test("null")], [Test("null"), Test("=", (1,))]))
def test_rows_and_claims_are_postgresqls(
    postgres: psycopg.Connection[Any], case: tuple[PgType, list[Any], list[Test], list[Test]]
) -> None:
    kind, values, narrow, broad = case
    few, most = _meeting(narrow, kind), _meeting(broad, kind)
    by_few = _said(postgres, kind, values, narrow) if values else []
    by_most = _said(postgres, kind, values, broad) if values else []
    if few.within(most):
        assert all(wide for near, wide in zip(by_few, by_most, strict=True) if near)
    for tests, met, wanted in (
        (narrow, few, by_few),
        ([*narrow, *broad], few.both(most), [a and b for a, b in zip(by_few, by_most, strict=True)]),
    ):
        if tests:
            assert [bool(met_by) for met_by in rows(_column(values, kind), met).to_pylist()] == wanted


@pytest.mark.parametrize(
    ("narrow", "broad", "claimed"),
    [
        (Test("=", (5,)), Test("<", (6,)), True),
        (Test("=", (5,)), Test("in", (4, 5)), True),
        (Test("in", (4, 5)), Test("=", (5,)), False),
        (Test("<", (5,)), Test("<=", (5,)), True),
        (Test("<=", (5,)), Test("<", (5,)), False),
        (Test(">", (5,)), Test(">=", (5,)), True),
        (Test(">=", (5,)), Test(">", (5,)), False),
        (Test(">", (5,)), Test("<>", (5,)), True),
        (Test("notin", (4, 5)), Test("<>", (5,)), True),
        (Test("<>", (5,)), Test("notin", (4, 5)), False),
        (Test("<>", (5,)), Test("notnull"), True),
        (Test("notnull"), Test("<>", (5,)), False),
        (Test("null"), Test("notnull"), False),
        (Test("null"), Test("null"), True),
        (Test("=", (5,)), Test("null"), False),
        (Test("any", (1, 2)), Test("any", (3, 2, 1)), True),
        (Test("any", (1, 4)), Test("any", (3, 2, 1)), False),
    ],
    ids=str,
)
def test_claims(narrow: Test, broad: Test, claimed: bool) -> None:
    kind = PgType("int8")
    assert _meeting([narrow], kind).within(_meeting([broad], kind)) is claimed
    assert _meeting([narrow], kind).within(Allowed())


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (PgType("int8"), None),
        (PgType("int4"), True),
        (PgType("bool"), 1),
        (PgType("date"), "infinity"),
        (PgType("date"), datetime(2024, 1, 1)),
        (PgType("timestamp"), "-infinity"),
        (PgType("timestamp"), datetime(2024, 1, 1, tzinfo=UTC)),
        (PgType("timestamptz"), datetime(2024, 1, 1)),
        (PgType("numeric"), "NaN"),
        (PgType("uuid"), "no"),
        (PgType("float8"), 1.5),
        (PgType("jsonb"), "{}"),
    ],
    ids=str,
)
def test_what_cannot_be_repeated_is_unclear(kind: PgType, value: Any) -> None:
    with pytest.raises(Unclear):
        plain(kind, [value])


def test_a_bound_of_more_digits_than_arrow_has_is_unclear() -> None:
    few = allowed("<", plain(PgType("numeric"), ["1" + "0" * 37]))
    with pytest.raises(Unclear):
        rows(_column(["1.50"], numeric(10, 2)), few)
