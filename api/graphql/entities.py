"""What GraphQL calls a relation's parts: a plain model between the catalog and graphql-core's types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api.graphql.names import Names, camel, pascal
from api.graphql.scalars import Kind, kind
from connectors.types import PgType
from views.catalog import OWNED, Catalog, Link, SourceTable, View

Key = tuple[str, str]

# Names of fields and types that GraphQL or this package uses itself.
RESERVED_TYPES = (
    *("Query", "Mutation", "Subscription", "Int", "Float", "String", "Boolean", "ID", "BigInt", "Decimal", "Date"),
    *("DateTime", "LocalDateTime", "Time", "UUID", "Bytes", "Interval", "JSON", "Direction"),
)


@dataclass(frozen=True, slots=True)
class Attribute:
    """A column as a field."""

    name: str
    column: str
    type: PgType
    kind: Kind
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation of a view's header as a field; `join` pairs own columns with the other's."""

    name: str
    link: Link
    to: Key


@dataclass(frozen=True, slots=True)
class Entity:
    """A view (or a table that a view's relation leads to) as an object type.

    `field` and `by_key` are the names of its root fields, empty where it has none.
    """

    key: Key
    type: str
    comment: str
    attributes: Mapping[str, Attribute]
    edges: Mapping[str, Edge]
    identity: tuple[Attribute, ...] = ()
    field: str = ""
    by_key: str = ""

    @property
    def title(self) -> str:
        return f"{self.key[0]}.{self.key[1]}"


@dataclass(frozen=True, slots=True)
class Model:
    """Every entity by its SQL name; `notes` tells which names had to give way."""

    entities: Mapping[Key, Entity]
    notes: tuple[str, ...] = ()


def model(catalog: Catalog) -> Model:
    """The catalog's views, the tables that their relations lead to, and those that users own, under their GraphQL
    names. What comes and goes while we serve takes its names last."""
    types, fields = Names(RESERVED_TYPES), Names()
    owned = {key for key, table in catalog.tables.items() if table.schema in OWNED}
    keys = [*sorted({*catalog.views, *_linked_tables(catalog)} - owned), *sorted(owned)]
    notes: list[str] = []
    entities: dict[Key, Entity] = {}
    for key in keys:
        relation = catalog.relation(*key)
        entities[key] = _entity(relation, catalog, types, fields, notes)
    return Model(entities, (*types.notes, *fields.notes, *notes))


def _linked_tables(catalog: Catalog) -> set[Key]:
    return {link.to for view in catalog.views.values() for link in view.links if link.to in catalog.tables}


def _entity(relation: View | SourceTable, catalog: Catalog, types: Names, fields: Names, notes: list[str]) -> Entity:
    title = f"{relation.schema}.{relation.name}"
    inner = Names()
    attributes = tuple(_attribute(relation, name, type_, inner) for name, type_ in relation.columns)
    type_name = types.take(pascal(f"{relation.schema}_{relation.name}"), title)
    if not isinstance(relation, View):
        notes.extend(inner.notes)
        field = fields.take(camel(f"{relation.schema}_{relation.name}"), title) if relation.schema in OWNED else ""
        return Entity(relation.key, type_name, relation.comment, _by_name(attributes), {}, field=field)
    edges = tuple(
        Edge(inner.take(camel(link.name), f"relation {link.name} of {title}"), link, link.to)
        for link in relation.links
        if link.to in catalog.views or link.to in catalog.tables
    )
    notes.extend(inner.notes)
    columns = {attribute.column: attribute for attribute in attributes}
    identity = tuple(columns[name] for name in relation.key_columns if name in columns)
    identity = identity if len(identity) == len(relation.key_columns) and all(a.kind.compare for a in identity) else ()
    field = fields.take(camel(f"{relation.schema}_{relation.name}"), title)
    return Entity(
        relation.key,
        type_name,
        _described(relation),
        _by_name(attributes),
        {edge.name: edge for edge in edges},
        identity,
        field,
        fields.take(f"{field}ByKey", f"lookup by key of {title}") if identity else "",
    )


def _described(relation: View) -> str:
    """The view's description and how old its answers are at most."""
    words = {"real_time": "within the hour", "near_real_time": "within the day", "batch": "of any age"}
    if not relation.freshness_class:
        return relation.comment
    told = f"Freshness: {relation.freshness_class} ({words[relation.freshness_class]})."
    return f"{relation.comment}\n\n{told}" if relation.comment else told


def _by_name(attributes: tuple[Attribute, ...]) -> dict[str, Attribute]:
    return {attribute.name: attribute for attribute in attributes}


def _attribute(relation: View | SourceTable, name: str, type_: PgType, names: Names) -> Attribute:
    if isinstance(relation, View):
        comment = relation.column_comments.get(name, "")
    else:
        comment = next((c.comment for c in relation.table.columns if c.name == name), "") if relation.table else ""
    field = names.take(camel(name), f"column {name} of {relation.schema}.{relation.name}")
    return Attribute(field, name, type_, kind(type_), comment)
