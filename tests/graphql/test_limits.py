"""Every attack is refused with a clear error, before anything is asked of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLError, get_introspection_query

from api.graphql import execution, filters, values
from api.graphql.documents import Documents, Invalid
from api.graphql.entities import model
from api.graphql.limits import Limits, read
from api.graphql.schema import build
from tests.graphql import attacks
from tests.graphql.asking import ask, schema
from tests.graphql.oracle import PgEngine, catalog

ENGINE = PgEngine("", catalog())


@pytest.mark.parametrize("name", list(attacks.documents()))
def test_document_is_refused(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        schema(ENGINE).documents.get(attacks.documents()[name])
    assert 1 <= len(caught.value.errors) <= 11
    assert all(len(error.message) < 300 for error in caught.value.errors)


@pytest.mark.parametrize("name", ["null", "empty", "null comparison", "nul", "15,000 items"])
def test_variables_are_refused(engine: PgEngine, name: str) -> None:
    engine.log.clear()
    answer = ask(engine, attacks.FILTER, attacks.variables()[name])
    assert answer["errors"]
    assert answer["data"] in (None, {"crmCustomers": None})
    assert not engine.log


def refused(text: str, **limits: int) -> str:
    with pytest.raises(GraphQLError) as caught:
        read(text, Limits(**limits))
    return caught.value.message


# Each limit: a document just within it, and one just beyond.
EDGES: list[tuple[dict[str, Any], str, str, str]] = [
    ({"depth": 3}, "{a{b{c}}}", "{a{b{c{d}}}}", "levels deep"),
    ({"fields": 3}, "{a b c}", "{a b c d}", "too many fields"),
    ({"aliases": 1}, "{x: a}", "{x: a y: a}", "aliases"),
    ({"roots": 2}, "{a b}", "{a b c}", "root fields"),
    ({"repeated": 2}, "{a a}", "{a a a}", "repeated"),
    ({"repeated": 4}, "{x{a} x{a}}", "{x{a b} x{a b}}", "repeated"),
    ({"repeated": 2}, "{a ...F} fragment F on Q{a}", "{a ...F} fragment F on Q{a ...{a}}", "repeated"),
    ({"directives": 1}, "{a @x}", "{a @x @x}", "directives"),
    ({"fragments": 1}, "{a} fragment F on Q{a}", "{a} fragment F on Q{a} fragment G on Q{a}", "fragments"),
    ({"spreads": 1}, "{...F} fragment F on Q{a}", "{...F ...F} fragment F on Q{a}", "spreads"),
    ({"levels": 2}, "{a(b: [[1]])}", "{a(b: [[[1]]])}", "nested too deeply"),
    ({"items": 2}, "{a(b: [1, 2])}", "{a(b: [1, 2, 3])}", "items in one list"),
    ({"operations": 1}, "query A{a}", "query A{a} query B{a}", "operations"),
    ({"variables": 1}, "query A($a: Int){a}", "query A($a: Int $b: Int){a}", "variables"),
    ({"cost": 401}, "{a{b c d e}}", "{a{b c d e f}}", "could give 501 values"),
    ({"cost": 20}, "{a(limit: 3){b c d e}}", "{a(limit: 5){b c d e}}", "could give 21 values"),
    ({"introspection": 2}, "{__schema{a{b}}}", "{__schema{a{b{c}}}}", "introspection"),
    ({"tokens": 5}, "{a b c}", "{a b c d}", "5 tokens"),
    ({"characters": 5}, "{a  }", "{a   }", "5 at most"),
]


@pytest.mark.parametrize(("limits", "within", "beyond", "words"), EDGES)
def test_edge_of_each_limit(limits: dict[str, int], within: str, beyond: str, words: str) -> None:
    read(within, Limits(**limits))
    assert words in refused(beyond, **limits)


def test_introspection_of_tools_is_within_the_limits() -> None:
    schema(ENGINE).documents.get(get_introspection_query(input_value_deprecation=True, specified_by_url=True))


def test_introspection_can_be_off() -> None:
    documents = Documents(build(catalog()).schema, Limits(), introspection=False)
    with pytest.raises(Invalid, match="introspection has been disabled"):
        documents.get("{__schema{queryType{name}}}")
    documents.get("{__typename}")


def test_names_of_the_test_catalog_do_not_clash() -> None:
    assert not model(catalog()).notes


def test_an_answer_has_a_size(engine: PgEngine, streaming: PgEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "MAX_BYTES", 2000)
    for asked in (engine, streaming):
        answer = ask(asked, "{small: crmCustomers(limit: 5) {name} large: shopOrders {orderId status total placed}}")
        assert len(answer["data"]["small"]) == 5
        assert answer["data"]["large"] is None
        [error] = answer["errors"]
        assert error["path"] == ["large"]
        assert error["extensions"]["code"] == "53400"


def test_limits_are_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "graphql.md").read_text()
    ours = Limits()
    numbers = [ours.characters, ours.tokens, ours.depth, ours.fields, ours.roots, ours.aliases, ours.directives]
    numbers += [ours.fragments, ours.spreads, ours.repeated, ours.rows, ours.cost, ours.items]
    numbers += [values.MAX_NODES, values.MAX_DEPTH, values.MAX_ITEMS, filters.MAX_CONDITIONS]
    table = text[text.index("## Limits") : text.index("## Who may ask")]
    assert [number for number in numbers if f"{number:,}" not in table] == []
