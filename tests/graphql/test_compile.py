"""Whatever is selected and filtered, the compiled SQL answers what a naive evaluation in Python answers."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.graphql import naive, oracle
from tests.graphql.asking import ask, data
from tests.graphql.oracle import PgEngine
from views.catalog import Catalog, View


@pytest.mark.slow
@pytest.mark.parametrize("root", ["crmCustomers", "shopOrders"])
@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(drawn=st.data())
def test_equals_naive_evaluation(engine: PgEngine, streaming: PgEngine, root: str, drawn: Any) -> None:
    selection, arguments = drawn.draw(naive.selections(root)), drawn.draw(naive.bounds(root))
    question, variables = naive.document(selection, arguments, root)
    expected = naive.expected(selection, arguments, root)
    assert data(engine, question, variables)[root] == expected
    assert data(streaming, question, variables)[root] == expected


def test_one_statement_for_everything_nested(engine: PgEngine) -> None:
    engine.log.clear()
    data(engine, "{crmCustomers(limit: 3) {name orders {lines {sku} customer {orders {orderId}}}}}")
    assert len(engine.log) == 1


def test_constants_of_the_document_equal_variables(engine: PgEngine) -> None:
    literal = """{
      shopOrders(where: {status: {_in: ["open", "paid"]}, total: {_gt: "1.00"}}, orderBy: {orderId: asc}, limit: 4) {
        orderId}}"""
    document = """query($s: [String!], $t: Decimal, $d: Direction!, $n: Int) {
      shopOrders(where: {status: {_in: $s}, total: {_gt: $t}}, orderBy: {orderId: $d}, limit: $n) {
        orderId}}"""
    given_ = {"s": ["open", "paid"], "t": "1.00", "d": "asc", "n": 4}
    assert data(engine, literal) == data(engine, document, given_)
    assert data(engine, document, given_ | {"d": "desc", "n": 2}) != data(engine, document, given_)


def test_compiled_once_for_all_values_of_a_variable(engine: PgEngine) -> None:
    engine.log.clear()
    document = "query($id: Int!) {crmCustomersByKey(customerId: $id) {customerId}}"
    answers = [data(engine, document, {"id": i})["crmCustomersByKey"] for i in (1, 2, 10**6)]
    assert answers == [{"customerId": 1}, {"customerId": 2}, None]
    assert len(set(engine.log)) == 1


def test_skip_and_include_follow_their_variables(engine: PgEngine) -> None:
    document = """query($a: Boolean!) {shopOrdersByKey(orderId: 1) {
      orderId @include(if: $a) status @skip(if: $a) lines @include(if: $a) {sku}}}"""
    assert set(data(engine, document, {"a": True})["shopOrdersByKey"]) == {"orderId", "lines"}
    assert set(data(engine, document, {"a": False})["shopOrdersByKey"]) == {"status"}


def test_more_fields_than_a_function_takes(engine: PgEngine, streaming: PgEngine) -> None:
    names = [("a" * 70 if i == 0 else f"a{i}", "name" if i % 2 else "balance") for i in range(60)]
    document = "{crmCustomers(orderBy: {customerId: asc}, limit: 9) {" + " ".join(f"{k}: {f}" for k, f in names) + "}}"
    rows = data(engine, document)["crmCustomers"]
    assert rows == data(streaming, document)["crmCustomers"]
    assert list(rows[1]) == [key for key, _ in names]
    assert rows[1]["a1"] == "Bob"


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("{status: {_eq: null}}", "use _is_null"),
        ("{status: {}}", "is empty"),
        ("{status: null}", "leave it out"),
        ("{_and: null}", "leave it out"),
        ("{_not: {lines: {sku: {_like: null}}}}", "use _is_null"),
    ],
)
def test_nothing_unclear_means_everything(engine: PgEngine, where: str, words: str) -> None:
    answer = ask(engine, f"{{shopOrders(where: {where}) {{orderId}} __typename}}")
    assert answer["data"] == {"shopOrders": None, "__typename": "Query"}
    assert words in answer["errors"][0]["message"]
    assert answer["errors"][0]["path"] == ["shopOrders"]


def test_an_absent_variable_is_no_comparison(engine: PgEngine) -> None:
    answer = ask(engine, "query($s: String) {shopOrders(where: {status: {_eq: $s}}) {orderId}}", {})
    assert "is empty" in answer["errors"][0]["message"]


@pytest.mark.parametrize("argument", ["limit: -1", "offset: -1"])
def test_negative_bounds(engine: PgEngine, argument: str) -> None:
    answer = ask(engine, f"{{shopOrders({argument}) {{orderId}}}}")
    assert "must not be negative" in answer["errors"][0]["message"]


def test_key_that_is_none(engine: PgEngine) -> None:
    with psycopg.connect(engine.dsn, autocommit=True) as connection:
        connection.execute("insert into shop.orders values (7777), (7777)")
        answer = ask(engine, "{shopOrdersByKey(orderId: 7777) {orderId}}")
        connection.execute("delete from shop.orders where order_id = 7777")
    assert answer["data"] == {"shopOrdersByKey": None}
    assert "several rows have that key" in answer["errors"][0]["message"]


@pytest.mark.parametrize("limit", ["limit: 20, ", "limit: 21, ", ""])
def test_relation_to_one_that_leads_to_several(engine: PgEngine, limit: str) -> None:
    with psycopg.connect(engine.dsn, autocommit=True) as connection:
        connection.execute("insert into crm.customers (customer_id) values (3)")
        answer = ask(engine, f"{{shopOrders({limit}where: {{customerId: {{_eq: 3}}}}) {{customer {{name}}}}}}")
        connection.execute("delete from crm.customers where customer_id = 3 and name is null")
    assert answer["errors"][0]["message"] == "a relation without `many: true` leads to several rows"


@pytest.mark.parametrize("order", ["", "(orderBy: [{total: desc}, {orderId: asc}])"])
def test_children_of_few_and_of_many_parents_are_the_same(engine: PgEngine, order: str) -> None:
    fields = f"customerId orders{order} {{orderId total k: __typename}}"
    many = data(engine, f"{{crmCustomers(orderBy: {{customerId: asc}}) {{{fields}}}}}")["crmCustomers"]
    few = data(engine, f"{{crmCustomers(orderBy: {{customerId: asc}}, limit: 20) {{{fields}}}}}")["crmCustomers"]
    assert "LEFT JOIN" not in engine.log[-1]
    assert "LEFT JOIN" in engine.log[-2]
    assert many[:20] == few
    assert any(row["orders"] for row in few)


def test_arguments_of_a_lookup_are_its_key(data: str) -> None:
    """Columns may be called as arguments of lists are."""
    view = View("odd", "names", (("limit", oracle.INT), ("where", oracle.INT)), key_columns=("limit", "where"))
    engine = PgEngine(data, Catalog({}, {}, {view.key: view}, "odd"))
    with psycopg.connect(data, autocommit=True) as connection:
        connection.execute('create schema odd create table names ("limit" int, "where" int)')
        connection.execute("insert into odd.names values (1, 2), (2, 2), (3, 2)")
        assert ask(engine, "{oddNamesByKey(limit: 2, where: 2) {limit}}")["data"] == {"oddNamesByKey": {"limit": 2}}
        assert len(ask(engine, "{oddNames(limit: 2, where: {where: {_eq: 2}}) {limit}}")["data"]["oddNames"]) == 2
        connection.execute("drop schema odd cascade")
    engine.close()
