"""What comes in as a scalar: exact, or refused with what to send instead."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from graphql import GraphQLError, parse_value

from api.graphql import scalars
from tests.graphql.asking import ask, data
from tests.graphql.oracle import PgEngine

GOOD = [
    (scalars.BIG_INT, "9223372036854775807", 2**63 - 1),
    (scalars.BIG_INT, -5, -5),
    (scalars.DECIMAL, "0.10000000000000000000000000000001", "0.10000000000000000000000000000001"),
    (scalars.DECIMAL, 7, "7"),
    (scalars.DATE, "2024-02-29", dt.date(2024, 2, 29)),
    (scalars.DATE_TIME, "2024-02-29T12:00:00Z", dt.datetime(2024, 2, 29, 12, tzinfo=dt.UTC)),
    (scalars.LOCAL_DATE_TIME, "2024-02-29T12:00:00", dt.datetime(2024, 2, 29, 12)),
    (scalars.TIME, "23:59:59.5", dt.time(23, 59, 59, 500_000)),
    (scalars.UUID, "00000000000040008000000000000001", "00000000-0000-4000-8000-000000000001"),
    (scalars.BYTES, "\\x00ff", b"\0\xff"),
]
BAD = [
    (scalars.BIG_INT, "9223372036854775808"),
    (scalars.BIG_INT, 1.5),
    (scalars.BIG_INT, True),
    (scalars.BIG_INT, "१"),
    (scalars.DECIMAL, 0.1),
    (scalars.DECIMAL, "1e99999"),
    (scalars.DECIMAL, "1" * 3000),
    (scalars.DECIMAL, "1; drop"),
    (scalars.DATE, "2023-02-29"),
    (scalars.DATE, 5),
    (scalars.DATE_TIME, "2024-02-29T12:00:00"),
    (scalars.LOCAL_DATE_TIME, "2024-02-29T12:00:00Z"),
    (scalars.TIME, "25:00:00"),
    (scalars.TIME, "12:00:00Z"),
    (scalars.UUID, "x"),
    (scalars.BYTES, "0"),
]


@pytest.mark.parametrize(("scalar", "value", "expected"), GOOD)
def test_good(scalar: Any, value: Any, expected: Any) -> None:
    assert scalar.coerce_input_value(value) == expected


@pytest.mark.parametrize(("scalar", "value"), BAD)
def test_bad(scalar: Any, value: Any) -> None:
    with pytest.raises(GraphQLError, match=f"^{scalar.name} cannot represent") as caught:
        scalar.coerce_input_value(value)
    assert len(caught.value.message) < 200


def test_literals_keep_their_digits() -> None:
    text = "0.1000000000000000000000000000000000001"
    assert scalars.DECIMAL.coerce_input_literal(parse_value(text)) == text
    assert scalars.BIG_INT.coerce_input_literal(parse_value("9223372036854775807")) == 2**63 - 1
    with pytest.raises(GraphQLError):
        scalars.DATE.coerce_input_literal(parse_value("{a: 1}"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("big", "4611686018427387904"),
        ("balance", "-3.00"),
        ("score", -4.4000000000000004e-08),
        ("ratio", 0.0),
        ("small", -1),
        ("vip", True),
        ("born", "1970-01-01"),
        ("seen", "2024-01-01T00:00:00+00:00"),
        ("localTime", "2024-03-31T02:30:00"),
        ("opens", "00:00:00"),
        ("token", "00000000-0000-4000-8000-000000000000"),
        ("blob", "\\x0000ff"),
        ("exact", "0.1"),
        ("span", "0 days"),
        ("code", ""),
        ("alias", "a0 "),
    ],
)
def test_every_type_compares_with_what_it_shows(engine: PgEngine, field: str, value: Any) -> None:
    kind = engine_type(engine, field)
    where = f"{{customerId: {{_eq: 0}}, {field}: {{_eq: $v, _in: [$v]}}}}"
    question = f"query($v: {kind}!) {{crmCustomers(where: {where}) {{customerId}}}}"
    assert data(engine, question, {"v": value}) == {"crmCustomers": [{"customerId": 0}]}


def engine_type(engine: PgEngine, field: str) -> str:
    fields = data(engine, '{__type(name: "CrmCustomers") {fields {name type {name}}}}')["__type"]["fields"]
    return next(f["type"]["name"] for f in fields if f["name"] == field)


def test_error_of_the_engine_has_its_code_and_place(engine: PgEngine) -> None:
    answer = ask(
        engine, "{a: crmCustomers(where: {ratio: {_gt: 1e300}}) {name} b: crmCustomersByKey(customerId: 1) {name}}"
    )
    assert answer["data"] == {"a": None, "b": {"name": "Bob"}}
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "22003"
    assert error["path"] == ["a"]
