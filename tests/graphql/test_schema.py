"""Types from the catalog: names, collisions, descriptions, odd columns."""

from __future__ import annotations

import pytest
from graphql import print_type, validate_schema

from api.graphql.names import Names, camel, pascal
from api.graphql.schema import build
from connectors.types import PgType
from views.catalog import Catalog, Link, View

INT, TEXT = PgType("int4"), PgType("text")


def catalog(*views: View) -> Catalog:
    return Catalog({}, {}, {view.key: view for view in views}, "v")


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("customer_id", "customerId"),
        ("CustomerID", "customerID"),
        ("in", "in"),
        ("__typename", "typename"),
        ("1st", "_1st"),
        ("é", "e"),
        ("имя", "xd0b8d0bcd18f"),
        ("a-b c", "aBC"),
        ("___", "x5f5f5f"),
    ],
)
def test_camel(name: str, field: str) -> None:
    assert camel(name) == field


def test_pascal() -> None:
    assert pascal("1_a") == "_1A"


def test_second_of_a_name_gives_way() -> None:
    names = Names(["Query"])
    assert [names.take("a", "one"), names.take("a", "two"), names.take("a2", "three"), names.take("Query", "q")] == [
        "a",
        "a2",
        "a22",
        "Query2",
    ]
    assert names.notes[0] == 'two is named "a2" in GraphQL: "a" is taken'


def test_collisions_are_resolved_alike_and_told() -> None:
    views = [
        View(
            "a",
            "b_c",
            (("x_y", INT), ("xY", INT), ("X y", TEXT)),
            links=(Link("x_y", ("a_b", "c"), (("x_y", "x"),), True),),
        ),
        View("a_b", "c", (("x", INT),), key_columns=("x",)),
        View("a", "b_c_filter", (("x", INT),)),
    ]
    one, other = build(catalog(*views)), build(catalog(*reversed(views)))
    assert {n: list(e.attributes) + list(e.edges) for n, e in one.model.entities.items()} == {
        ("a", "b_c"): ["xY", "xY2", "xY3", "xY4"],
        ("a", "b_c_filter"): ["x"],
        ("a_b", "c"): ["x"],
    }
    assert [e.type for e in one.model.entities.values()] == ["ABC", "ABCFilter", "ABC2"]
    assert one.model.entities == other.model.entities
    assert len(one.model.notes) == 5
    assert not validate_schema(one.schema)


def test_reserved_names() -> None:
    made = build(catalog(View("", "query", (("x", INT),)), View("", "date", (("x", INT),))))
    assert [e.type for e in made.model.entities.values()] == ["Date2", "Query2"]
    assert not validate_schema(made.schema)


def test_comments_are_descriptions() -> None:
    view = View("crm", "people", (("id", INT),), "All people.", column_comments={"id": "Number."})
    made = build(catalog(view))
    assert (
        print_type(made.schema.type_map["CrmPeople"])
        == '"""All people."""\ntype CrmPeople {\n  """Number."""\n  id: Int\n}'
    )


def test_columns_of_any_type_are_there() -> None:
    kinds = ["inet", "xml", "_int8", "_float8", "tsvector", "money", "jsonb", "_nonsense"]
    made = build(catalog(View("s", "v", tuple((f"c{i}", PgType(k)) for i, k in enumerate(kinds)), key_columns=("c1",))))
    assert not validate_schema(made.schema)
    assert print_type(made.schema.type_map["SV"]).split("{")[1].split() == (
        "c0: String c1: String c2: [BigInt] c3: [Float] c4: String c5: String c6: JSON c7: [String] }".split()
    )
    # Not comparable, so no key of a lookup, and not sortable.
    assert list(made.schema.query_type.fields) == ["sV"]
    assert set(made.schema.type_map["SVOrder"].fields) == {"c0", "c5"}


def test_links_into_nowhere_are_left_out() -> None:
    view = View("s", "v", (("id", INT),), links=(Link("gone", ("s", "other"), (("id", "id"),), False),))
    assert not build(catalog(view)).model.entities["s", "v"].edges


def test_no_views() -> None:
    assert not validate_schema(build(catalog()).schema)
