"""What one root field asks for, collected by graphql-core's rules: aliases, fragments, @skip and @include merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from graphql import GraphQLField, GraphQLObjectType, get_named_type
from graphql.execution.collect_fields import CollectedFields, FieldDetailsList
from graphql.execution.values import VariableValues, get_argument_values

from api.graphql.entities import Attribute, Edge, Entity
from api.graphql.schema import EXTENSION

Collect = Callable[[GraphQLObjectType, FieldDetailsList], CollectedFields]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column under its response key."""

    key: str
    attribute: Attribute


@dataclass(frozen=True, slots=True)
class Constant:
    """`__typename` under its response key."""

    key: str
    text: str


@dataclass(frozen=True, slots=True)
class Branch:
    """A relation under its response key."""

    key: str
    edge: Edge
    rows: Rows


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of an entity: what is selected of each, and the field's arguments as they were coerced."""

    entity: Entity
    arguments: Mapping[str, Any]
    items: tuple[Leaf | Constant | Branch, ...]

    @property
    def nested(self) -> bool:
        """Whether any relation is selected."""
        return any(isinstance(item, Branch) for item in self.items)


def rows(collect: Collect, variables: VariableValues, field: GraphQLField, nodes: FieldDetailsList) -> Rows:
    """The tree under one field. `variables` may hold markers in place of values; see `values.marked`."""
    named = cast(GraphQLObjectType, get_named_type(field.type))
    arguments = get_argument_values(field, nodes[0].node, variables, nodes[0].fragment_variable_values)
    items: list[Leaf | Constant | Branch] = []
    for key, details in collect(named, nodes).grouped_field_set.items():
        name = details[0].node.name.value
        if name == "__typename":
            items.append(Constant(key, named.name))
            continue
        child = named.fields[name]
        meaning = child.extensions[EXTENSION]
        if isinstance(meaning, Attribute):
            items.append(Leaf(key, meaning))
        else:
            items.append(Branch(key, meaning, rows(collect, variables, child, details)))
    return Rows(named.extensions[EXTENSION], arguments, tuple(items))
