"""Filters in Hasura's grammar: their input types, and the conditions they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from graphql import (
    GraphQLBoolean,
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
)
from sqlglot import exp

from api.graphql.entities import Attribute, Entity, Key
from api.graphql.scalars import Kind
from api.graphql.values import Direction
from connectors.types import PgType

MAX_CONDITIONS = 500

ORDER = {
    "asc": (False, False),
    "asc_nulls_first": (False, True),
    "asc_nulls_last": (False, False),
    "desc": (True, True),
    "desc_nulls_first": (True, True),
    "desc_nulls_last": (True, False),
}
DIRECTION = GraphQLEnumType(
    "Direction", {name: Direction(name) for name in ORDER}, description="Order of a list by one column."
)

_BINARY: Mapping[str, type[exp.Binary]] = {
    "_eq": exp.EQ,
    "_neq": exp.NEQ,
    "_gt": exp.GT,
    "_gte": exp.GTE,
    "_lt": exp.LT,
    "_lte": exp.LTE,
}
_LIKE: Mapping[str, tuple[type[exp.Binary], bool]] = {
    "_like": (exp.Like, False),
    "_nlike": (exp.Like, True),
    "_ilike": (exp.ILike, False),
    "_nilike": (exp.ILike, True),
}


class Site(Protocol):
    """What a filter needs of the statement it becomes part of."""

    def param(self, value: Any, type_: PgType) -> exp.Expr:
        """A parameter for the value, cast to the type."""
        ...

    def alias(self) -> str:
        """A fresh alias of a relation."""
        ...

    def entity(self, key: Key) -> Entity:
        """The entity that a relation leads to; notes that the statement reads it."""
        ...


def comparisons() -> Callable[[Kind], GraphQLInputObjectType]:
    """Makes the comparison input of a kind of column, each once for a schema."""
    made: dict[str, GraphQLInputObjectType] = {}

    def comparison(kind: Kind) -> GraphQLInputObjectType:
        name = f"{kind.scalar.name}Comparison" if kind.compare and not kind.listed else "PresenceComparison"
        if name == "StringComparison" and not kind.like:
            name = "PlainStringComparison"
        if name not in made:
            made[name] = GraphQLInputObjectType(name, _operators(kind))
        return made[name]

    return comparison


def _operators(kind: Kind) -> dict[str, GraphQLInputField]:
    fields = {"_is_null": GraphQLInputField(GraphQLBoolean)}
    if kind.compare is None or kind.listed:
        return fields
    scalar: GraphQLScalarType = kind.scalar
    fields |= {name: GraphQLInputField(scalar) for name in _BINARY}
    fields |= {name: GraphQLInputField(GraphQLList(GraphQLNonNull(scalar))) for name in ("_in", "_nin")}
    if kind.like:
        fields |= {name: GraphQLInputField(scalar) for name in _LIKE}
    return fields


def condition(where: Mapping[str, Any], entity: Entity, alias: str, site: Site) -> exp.Expr | None:
    """The condition that a filter means for rows of `alias`; None where it lets everything through.

    Raises GraphQLError for what must not be read as "everything": a null or an empty comparison.
    """
    parts = [_member(name, value, entity, alias, site) for name, value in where.items()]
    return _all([part for part in parts if part is not None])


def _member(name: str, value: Any, entity: Entity, alias: str, site: Site) -> exp.Expr | None:
    if value is None:
        raise GraphQLError(f'"{name}: null" in a filter of {entity.type} matches nothing that is defined: leave it out')
    if name == "_and":
        return _all([part for part in (condition(item, entity, alias, site) for item in value) if part is not None])
    if name == "_or":
        parts = [condition(item, entity, alias, site) or exp.true() for item in value]
        return exp.Paren(this=exp.or_(*parts)) if parts else exp.false()
    if name == "_not":
        return exp.Not(this=exp.Paren(this=condition(value, entity, alias, site) or exp.true()))
    if name in entity.edges:
        return _exists(entity, name, value, alias, site)
    attribute = entity.attributes[name]
    if not value:
        raise GraphQLError(f'the comparison of "{name}" is empty: give an operator such as _eq, or leave it out')
    return _all([_compare(operator, item, attribute, alias, site) for operator, item in value.items()])


def _all(parts: list[exp.Expr]) -> exp.Expr | None:
    return exp.and_(*parts) if parts else None


def _exists(entity: Entity, name: str, where: Mapping[str, Any], alias: str, site: Site) -> exp.Expr:
    edge = entity.edges[name]
    other, inner = site.entity(edge.to), site.alias()
    parts = [joined(edge.link.join, alias, inner)]
    if more := condition(where, other, inner, site):
        parts.append(more)
    return exp.Exists(this=exp.select(exp.Literal.number(1)).from_(relation(other, inner)).where(exp.and_(*parts)))


def joined(join: tuple[tuple[str, str], ...], outer: str, inner: str) -> exp.Expr:
    """`inner.b = outer.a and ...`: the form that the planner turns into a bind join."""
    return exp.and_(*(exp.EQ(this=column(b, inner), expression=column(a, outer)) for a, b in join))


def relation(entity: Entity, alias: str) -> exp.Table:
    """The entity's relation under an alias."""
    return exp.Table(
        this=exp.to_identifier(entity.key[1], quoted=True),
        db=exp.to_identifier(entity.key[0], quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)),
    )


def column(name: str, alias: str) -> exp.Column:
    """A column of the relation of that alias."""
    return exp.Column(this=exp.to_identifier(name, quoted=True), table=exp.to_identifier(alias))


def _compare(operator: str, value: Any, attribute: Attribute, alias: str, site: Site) -> exp.Expr:
    left = column(attribute.column, alias)
    if value is None:
        raise GraphQLError(f'"{operator}: null" is no comparison of "{attribute.name}": use _is_null')
    if operator == "_is_null":
        test = exp.Is(this=left, expression=exp.null())
        return test if value else exp.Not(this=test)
    type_ = attribute.kind.compare or PgType("text")  # columns without `compare` have no other operator
    if operator in _LIKE:
        build, negated = _LIKE[operator]
        like = build(this=left, expression=site.param(value, PgType("text")))
        return exp.Not(this=like) if negated else like
    if operator in _BINARY:
        return _BINARY[operator](this=left, expression=site.param(value, type_))
    array = site.param(value, type_.array)
    if operator == "_in":
        return exp.EQ(this=left, expression=exp.Any(this=exp.Paren(this=array)))
    return exp.NEQ(this=left, expression=exp.All(this=exp.Paren(this=array)))


def order(items: Any, entity: Entity, alias: str) -> list[exp.Ordered]:
    """The ORDER BY that a list of one-key objects means; nulls stand where PostgreSQL puts them unless told."""
    terms: list[exp.Ordered] = []
    for item in items or ():
        for name, direction in item.items():
            down, nulls_first = ORDER[direction]
            attribute = entity.attributes[name]
            terms.append(exp.Ordered(this=column(attribute.column, alias), desc=down, nulls_first=nulls_first))
    return terms
