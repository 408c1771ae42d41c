"""The native encoder writes what the canon's own JSON functions write, for the odd values too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import orjson
import psycopg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.graphql import encode
from api.graphql.compile import Output
from connectors.types import PgType, numeric
from tests.graphql.asking import data
from tests.graphql.oracle import PgEngine

EVERY = (
    "customerId name code alias balance score ratio big small vip born seen localTime opens token blob exact span "
    "__typename again: seen"
)
DAY = 86_400_000_000


@pytest.mark.parametrize("head", ["crmCustomers(orderBy: {customerId: asc})", "crmCustomersByKey(customerId: 3)"])
def test_both_forms_give_the_same(engine: PgEngine, streaming: PgEngine, head: str) -> None:
    question = f"{{a: {head} {{{EVERY}}}}}"
    assert data(engine, question) == data(streaming, question)


def test_keys_come_in_the_order_asked(streaming: PgEngine) -> None:
    [row] = data(streaming, "{crmCustomers(limit: 1) {name b: __typename customerId a: name}}")["crmCustomers"]
    assert list(row) == ["name", "b", "customerId", "a"]


def test_no_rows(engine: PgEngine, streaming: PgEngine) -> None:
    question = "{crmCustomers(limit: 0) {name} crmCustomersByKey(customerId: -1) {name}}"
    assert data(engine, question) == data(streaming, question) == {"crmCustomers": [], "crmCustomersByKey": None}


def native(values: list[Any], type_: PgType) -> list[Any]:
    """Through the encoder; `values` are those of the Arrow type, integers standing for dates and times."""
    arrow = type_.arrow
    raw = {pa.types.is_date32: pa.int32(), pa.types.is_timestamp: pa.int64(), pa.types.is_time64: pa.int64()}
    base = next((plain for matches, plain in raw.items() if matches(arrow)), arrow)
    # Few rows and many go different ways, which must agree.
    many = pa.RecordBatch.from_arrays([pa.array(values + [None] * encode.FEW, base).cast(arrow)], names=["c0"])
    shown: list[Any] = [row["v"] for row in orjson.loads(encode.array(many, [Output("v", 0, type_)]))][: len(values)]
    few = [encode.array(many.slice(i, 1), [Output("v", 0, type_)]) for i in range(len(values))]
    assert [orjson.loads(piece)[0]["v"] for piece in few] == shown
    return shown


def canon(dsn: str, expressions: list[str]) -> list[Any]:
    """What to_json makes of them, in UTC."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set timezone to 'UTC'")
        row = connection.execute("select " + ", ".join(f"to_json({e})::text" for e in expressions)).fetchone()
    return [None if text is None else orjson.loads(text) for text in row or ()]


TIMES = [
    0,
    1,
    10,
    500_000,
    1_500_000,
    -1,
    -DAY,
    253_402_300_799_999_999,
    253_402_300_800_000_000,
    -62_135_596_800_000_001,
]
TIMES += [-62_167_219_200_000_001, 8_000_000_000_000_000_000, -200_000_000_000_000_000]


@pytest.mark.parametrize("name", ["timestamp", "timestamptz"])
def test_timestamps(engine: PgEngine, name: str) -> None:
    shown = [
        f"(timestamp '1970-01-01' + interval '1 day' * {value // DAY} + interval '1 microsecond' * {value % DAY})"
        + (" at time zone 'UTC'" if name == "timestamptz" else "")
        for value in TIMES
    ]
    infinities = [f"'infinity'::{name}", f"'-infinity'::{name}"]
    values = [*TIMES, 2**63 - 1, -(2**63 - 1)]
    # One at a time and all together: the common and the odd road.
    assert [native([v], PgType(name))[0] for v in values] == canon(engine.dsn, shown + infinities)
    assert native([*values, None], PgType(name)) == [*canon(engine.dsn, shown + infinities), None]


def test_dates(engine: PgEngine) -> None:
    days = [0, -1, 19_000, 2_932_896, 2_932_897, -719_162, -719_163, -719_528, -1_000_000, 2_000_000_000 // 2]
    shown = [f"(date '1970-01-01' + {day})" for day in days]
    assert native(days, PgType("date")) == canon(engine.dsn, shown)
    assert native([2**31 - 1, -(2**31 - 1)], PgType("date")) == ["infinity", "-infinity"]


def test_times(engine: PgEngine) -> None:
    values = [0, 1, 120_000, DAY - 1, DAY]
    shown = [f"'{v // 3_600_000_000:02}:{v // 60_000_000 % 60:02}:{v % 60_000_000 / 1e6:09.6f}'::time" for v in values]
    assert native(values, PgType("time")) == canon(engine.dsn, shown)
    assert native(values[:4], PgType("time")) == canon(engine.dsn, shown[:4])


def test_decimals_are_written_out() -> None:
    values = [Decimal("0.0000000001"), Decimal("-12345678901234567890.1234567890"), None]
    assert native(values, numeric(38, 10)) == ["0.0000000001", "-12345678901234567890.1234567890", None]


def test_numbers_without_json_form_are_null(engine: PgEngine) -> None:
    values = [float("nan"), float("inf"), float("-inf"), 1e308, -0.0, 5e-324]
    assert native(values, PgType("float8")) == [None, None, None, 1e308, 0, 5e-324]
    with psycopg.connect(engine.dsn, autocommit=True) as connection:
        connection.execute("insert into crm.customers (customer_id, score) values (901, 'NaN'), (902, '-Infinity')")
        answer = data(engine, "{crmCustomers(where: {customerId: {_in: [901, 902]}}) {score}}")
        connection.execute("delete from crm.customers where customer_id > 900")
    assert answer == {"crmCustomers": [{"score": None}, {"score": None}]}


@settings(max_examples=30)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_floats_keep_every_bit(values: list[float]) -> None:
    assert native(values, PgType("float8")) == values


@settings(max_examples=30)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=1, max_size=20))
def test_texts_keep_every_character(values: list[str]) -> None:
    assert native(values, PgType("text")) == values


@pytest.mark.parametrize("sizes", [[], [0], [0, 3, 0, 5000, 1]])
def test_chunks_make_one_array(sizes: list[int]) -> None:
    async def batches() -> AsyncIterator[pa.RecordBatch]:
        for size in sizes:
            yield pa.RecordBatch.from_arrays([pa.array(range(size), pa.int32())], names=["c0"])

    async def joined() -> bytes:
        return b"".join([piece async for piece in encode.chunks(batches(), [Output("n", 0, PgType("int4"))])])

    assert orjson.loads(asyncio.run(joined())) == [{"n": n} for size in sizes for n in range(size)]
