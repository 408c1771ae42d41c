"""The algebra of domains against brute force; ranges of functions of moments against PostgreSQL."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.types import PgType
from federation.canon.server import Canon
from planner import domains
from planner import scalar as sc
from planner.domains import Domain
from planner.scalar import Call, Col, Lit, Param, Scalar
from planner.spans import span
from planner.values import Values

INT, TEXT = PgType("int8"), PgType("text")
A, B = Col(1, INT), Col(2, INT)
POOL: tuple[int | None, ...] = (None, *range(6))

constants = st.sampled_from([None, *range(6)]).map(lambda n: Lit(None if n is None else str(n), INT))
columns = st.sampled_from([A, B])


def _compare(draw: Any) -> Scalar:
    op = draw(st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "is distinct", "is not distinct"]))
    args = draw(st.tuples(columns, st.one_of(constants, columns)))
    return Call(op, args if draw(st.booleans()) else args[::-1], sc.BOOL)


@st.composite
def leaves(draw: Any) -> Scalar:
    kind = draw(st.sampled_from(["compare", "compare", "in", "null", "constant"]))
    if kind == "in":
        members = draw(st.lists(constants, min_size=1, max_size=3))
        return Call(draw(st.sampled_from(["in", "notin"])), (draw(columns), *members), sc.BOOL)
    if kind == "null":
        return Call(draw(st.sampled_from(["is null", "is not null"])), (draw(columns),), sc.BOOL)
    if kind == "constant":
        return Call(draw(st.sampled_from(["=", "<"])), draw(st.tuples(constants, constants)), sc.BOOL)
    return _compare(draw)


def _branches(inner: st.SearchStrategy[Scalar]) -> st.SearchStrategy[Scalar]:
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.one_of(
        st.builds(lambda op, args: Call(op, args, sc.BOOL), st.sampled_from(["and", "or"]), several),
        st.builds(lambda op, p: Call(op, (p,), sc.BOOL), st.sampled_from(["not", "is true", "is false"]), inner),
    )


predicates = st.recursive(leaves(), _branches, max_leaves=8)


def value(e: Scalar, row: dict[int, int | None]) -> int | bool | None:
    """What PostgreSQL would say, in three values."""
    match e:
        case Col():
            return row[e.id]
        case Lit():
            return None if e.value is None else int(e.value)
        case Call():
            return _called(e.op, [value(a, row) for a in e.args])
    raise AssertionError


def _called(op: str, args: list[Any]) -> bool | None:
    match op:
        case "and":
            return False if False in args else None if None in args else True
        case "or":
            return True if True in args else None if None in args else False
        case "not":
            return None if args[0] is None else not args[0]
        case "is true" | "is false":
            return bool(args[0] is (op == "is true"))
        case "is null" | "is not null":
            return (args[0] is None) == (op == "is null")
        case "is distinct" | "is not distinct":
            return bool((args[0] != args[1]) == (op == "is distinct"))
        case "in" | "notin":
            found = _called("or", [_called("=", [args[0], m]) for m in args[1:]])
            return found if op == "in" or found is None else not found
    if None in args:
        return None
    a, b = args
    return bool({"=": a == b, "<>": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[op])


def holds(domain: Domain, n: int | None) -> bool:
    if n is None:
        return domain.null
    point = domains.exactly(Lit(str(n), INT))
    return bool(domains.meet(domain, point, Values()).intervals)


@pytest.mark.slow
@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(predicates, min_size=1, max_size=3))
def test_no_row_that_the_predicates_keep_is_outside_their_domains(kept: list[Scalar]) -> None:
    found = domains.facts(kept, Values())
    for row in ({1: a, 2: b} for a, b in itertools.product(POOL, POOL)):
        if all(value(p, row) is True for p in kept):
            assert found is not None
            assert all(holds(found.get(i, domains.ANY), n) for i, n in row.items()), (row, found)


@settings(max_examples=80)
@given(st.lists(predicates.filter(lambda p: sc.columns(p) <= {1}), min_size=1, max_size=2))
def test_of_a_domain_within_another_each_value_is_in_both(kept: list[Scalar]) -> None:
    one, other = ((domains.of(p, Values()) or {1: Domain((), False)}).get(1, domains.ANY) for p in (kept[0], kept[-1]))
    if domains.within(one, other, Values()):
        assert all(holds(other, n) for n in POOL if holds(one, n))
    met, joined = domains.meet(one, other, Values()), domains.join(one, other)
    for n in POOL:
        assert holds(met, n) == (holds(one, n) and holds(other, n))
        assert holds(joined, n) == (holds(one, n) or holds(other, n))


def test_ends_that_are_not_known_stay_side_by_side() -> None:
    low, high = Param(0, INT), Param(1, INT)
    asked = (Call(">", (A, low), sc.BOOL), Call("<", (A, high), sc.BOOL), Call(">", (A, Lit("3", INT)), sc.BOOL))
    values = Values()
    found = domains.facts(asked, values)
    assert found is not None
    assert len(found[1].intervals[0].lows) == 2
    assert values.guards == []
    assert domains.facts((Call(">", (A, low), sc.BOOL), Call("<", (A, low), sc.BOOL)), values) is None


def test_a_long_list_is_only_not_null() -> None:
    members = tuple(Lit(str(n), INT) for n in range(domains.MOST + 1))
    found = domains.of(Call("in", (A, *members), sc.BOOL), Values())
    assert found == {1: domains.PRESENT}


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=3), st.text(st.characters(codec="utf-8"), max_size=4))
def test_like_is_a_range_of_bytes(prefix: str, text: str) -> None:
    if any(c in prefix for c in "%_\\"):
        return
    domain = domains.of(Call("like", (Col(1, TEXT), Lit(prefix + "%", TEXT)), sc.BOOL), Values())
    assert domain is not None
    for candidate in (text, prefix + text):
        inside = domains.meet(domain[1], domains.exactly(Lit(candidate, TEXT)), Values()).intervals
        assert bool(inside) == candidate.startswith(prefix)


# -- ranges, against PostgreSQL itself

ZONES = ("UTC", "Europe/Madrid", "Pacific/Apia", "America/St_Johns")
moments = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2040, 1, 1)).map(
    lambda at: at.replace(microsecond=0, second=0) if at.second % 2 else at
)
OPS = ("=", "<", "<=", ">", ">=")


def _shape(form: str, kind: PgType) -> tuple[Scalar, str, PgType]:
    """A function of a column as the planner has it and as SQL, and the type that it gives."""
    column: Scalar = Col(1, kind)
    if form == "day":
        return Call("cast", (column,), PgType("date")), "c::date", PgType("date")
    if form == "year":
        return sc.Verbatim(("EXTRACT(year FROM ", 0, ")"), (column,)), "extract(year from c)", PgType("numeric")
    inner = PgType("timestamptz") if kind.name == "date" else kind
    cast = Call("cast", (column,), inner) if kind.name == "date" else column
    parts = ("date_trunc(", 0, ", ", 1, ")")
    return sc.Verbatim(parts, (Lit(form, TEXT), cast)), f"date_trunc('{form}', c)", inner


@pytest.fixture(scope="module")
def connection(canon: Canon) -> Any:
    with psycopg.connect(canon.dsn(), autocommit=True) as made:
        yield made


@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(
    form=st.sampled_from(["day", "year", "hour", "week", "month", "quarter", "year_", "decade"]),
    name=st.sampled_from(["date", "timestamp", "timestamptz"]),
    zone=st.sampled_from(ZONES),
    op=st.sampled_from(OPS),
    near=st.sampled_from([None, "trunc"]),
    at=moments,
    data=st.data(),
)
def test_ranges_are_what_postgresql_says(
    connection: Any, form: str, name: str, zone: str, op: str, near: str | None, at: dt.datetime, data: Any
) -> None:
    form, kind = ("year" if form == "year" else form.rstrip("_")), PgType(name)
    tree, sql, given_type = _shape(form if form != "day" or name != "date" else "month", kind)
    connection.execute(f"SET TimeZone = '{zone}'")
    source = f"'{at}'::timestamp" if name != "timestamptz" else f"'{at}+00'::timestamptz"
    constant = f"(SELECT {sql} FROM (SELECT {source}::{name} AS c) x)" if near else f"{source}"
    if given_type.name == "numeric":
        constant = f"extract(year from {source})"
    (text,) = connection.execute(f"SELECT ({constant})::{given_type.name}::text").fetchone()
    if given_type.name == "timestamptz":
        (text,) = connection.execute(f"SELECT to_char('{text}'::timestamptz at time zone 'UTC', "
                                     "'YYYY-MM-DD HH24:MI:SS.US') || '+00'").fetchone()  # fmt: skip
    found = span(Call(op, (tree, Lit(text, given_type)), sc.BOOL), Values(zone=zone))
    if found is None:
        return
    bounds = " AND ".join(f"c {b.op} '{b.args[1].value}'::{name}" for b in found.bounds)  # type: ignore[union-attr]
    hours = [0, 1, 2, 5, 12, 23, 24, 25, 48, 24 * 31, 24 * 400, data.draw(st.integers(0, 24 * 800))]
    rows = connection.execute(
        f"SELECT c, {sql} {op} '{text}'::{given_type.name}, {bounds} FROM (SELECT ({source} + h * interval '1 hour')"
        f"::{name} AS c FROM unnest(%s::int[]) h) x", [[s * h for h in hours for s in (-1, 1)]]
    ).fetchall()  # fmt: skip
    for value_, predicate, within in rows:
        assert within == predicate if found.exact else within or not predicate, (value_, found)


def test_a_moment_with_a_zone_is_not_compared_with_one_without() -> None:
    local, instant = PgType("timestamp"), PgType("timestamptz")
    a, b = Lit("2024-03-01 00:00:00", local), Lit("2024-03-01 00:00:00+00", instant)
    assert Values().compare(a, b) is None
    assert Values().compare(a, a) == Values().compare(b, b) == 0
