"""The GraphQL schema of a catalog, built as graphql-core types: strawberry's own tools take ten times as long."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLString,
    specified_directives,
)

from api.graphql.entities import Attribute, Edge, Entity, Key, Model, model
from api.graphql.filters import DIRECTION, comparisons
from api.graphql.freshness import DIRECTIVE
from api.graphql.names import Names
from api.graphql.scalars import Kind
from views.catalog import Catalog

EXTENSION = "vdw"


@dataclass(frozen=True, slots=True)
class Root:
    """A root field: a list of an entity's rows, or the one row of a key."""

    entity: Entity
    by_key: bool


@dataclass(frozen=True, slots=True)
class Built:
    """A schema and the model it was built of; `version` is the catalog's."""

    schema: GraphQLSchema
    model: Model
    version: str


def build(catalog: Catalog) -> Built:
    """The schema of the catalog's views; takes a few milliseconds per view, so call it in a thread."""
    made = model(catalog)
    return Built(_Builder(made).schema(), made, catalog.version)


class _Builder:
    def __init__(self, made: Model) -> None:
        self.model = made
        self.comparison: Callable[[Kind], GraphQLInputObjectType] = comparisons()
        names = Names(entity.type for entity in made.entities.values())
        self.objects: dict[Key, GraphQLObjectType] = {}
        self.filters: dict[Key, GraphQLInputObjectType] = {}
        self.orders: dict[Key, GraphQLInputObjectType] = {}
        for key, entity in made.entities.items():
            self.objects[key] = self._object(entity)
            self.filters[key] = self._filter(entity, names.take(f"{entity.type}Filter", entity.title))
            self.orders[key] = self._order(entity, names.take(f"{entity.type}Order", entity.title))

    def schema(self) -> GraphQLSchema:
        fields: dict[str, GraphQLField] = {}
        for entity in self.model.entities.values():
            if entity.field:
                fields[entity.field] = self._list(entity)
            if entity.by_key:
                fields[entity.by_key] = self._lookup(entity)
        if not fields:
            fields["_empty"] = GraphQLField(GraphQLString, description="The project has no views yet.")
        query = GraphQLObjectType(
            "Query", fields, description="One list field per view, and a lookup where it has a key."
        )
        return GraphQLSchema(query=query, directives=(*specified_directives, DIRECTIVE))

    def _object(self, entity: Entity) -> GraphQLObjectType:
        def fields() -> dict[str, GraphQLField]:
            columns = {a.name: self._column(a) for a in entity.attributes.values()}
            return columns | {e.name: self._edge(e) for e in entity.edges.values()}

        return GraphQLObjectType(
            entity.type,
            fields,
            description=entity.comment or f"A row of {entity.title}.",
            extensions={EXTENSION: entity},
        )

    def _column(self, attribute: Attribute) -> GraphQLField:
        kind = attribute.kind
        type_: GraphQLOutputType = GraphQLList(kind.scalar) if kind.listed else kind.scalar
        return GraphQLField(type_, description=attribute.comment or None, extensions={EXTENSION: attribute})

    def _edge(self, edge: Edge) -> GraphQLField:
        target = self.model.entities[edge.to]
        type_: GraphQLOutputType = self.objects[edge.to]
        if edge.link.many:
            type_ = GraphQLNonNull(GraphQLList(GraphQLNonNull(type_)))
        arguments = self._arguments(target) if edge.link.many else {}
        return GraphQLField(type_, arguments, extensions={EXTENSION: edge})

    def _arguments(self, entity: Entity) -> dict[str, GraphQLArgument]:
        return {
            "where": GraphQLArgument(self.filters[entity.key]),
            "orderBy": GraphQLArgument(GraphQLList(GraphQLNonNull(self.orders[entity.key]))),
            "limit": GraphQLArgument(GraphQLInt, description="Rows at most."),
            "offset": GraphQLArgument(GraphQLInt, description="Rows to leave out first; give orderBy with it."),
        }

    def _list(self, entity: Entity) -> GraphQLField:
        rows = GraphQLList(GraphQLNonNull(self.objects[entity.key]))
        return GraphQLField(
            rows,
            self._arguments(entity),
            description=entity.comment or None,
            extensions={EXTENSION: Root(entity, False)},
        )

    def _lookup(self, entity: Entity) -> GraphQLField:
        arguments = {a.name: GraphQLArgument(GraphQLNonNull(a.kind.scalar)) for a in entity.identity}
        return GraphQLField(
            self.objects[entity.key],
            arguments,
            description=f"The one row of {entity.title} with that key.",
            extensions={EXTENSION: Root(entity, True)},
        )

    def _filter(self, entity: Entity, name: str) -> GraphQLInputObjectType:
        def fields() -> dict[str, GraphQLInputField]:
            own = self.filters[entity.key]
            made: dict[str, Any] = {
                "_and": GraphQLInputField(GraphQLList(GraphQLNonNull(own))),
                "_or": GraphQLInputField(GraphQLList(GraphQLNonNull(own))),
                "_not": GraphQLInputField(own),
            }
            made |= {a.name: GraphQLInputField(self.comparison(a.kind)) for a in entity.attributes.values()}
            return made | {e.name: GraphQLInputField(self.filters[e.to]) for e in entity.edges.values()}

        return GraphQLInputObjectType(
            name, fields, description=f"Which rows of {entity.title}; all conditions must hold."
        )

    def _order(self, entity: Entity, name: str) -> GraphQLInputObjectType:
        def fields() -> dict[str, GraphQLInputField]:
            sortable = (a for a in entity.attributes.values() if a.kind.compare)
            made = {a.name: GraphQLInputField(DIRECTION) for a in sortable}
            return made or {"_none": GraphQLInputField(DIRECTION)}

        return GraphQLInputObjectType(name, fields, description="One column and its direction.", is_one_of=True)
