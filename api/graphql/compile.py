"""One root field, with everything nested under it, as one SQL statement in PostgreSQL's words, built as an AST.

A statement comes in two forms. `json` gives one value, the finished JSON of the field, made where the merge is made;
`flat` gives the plain rows of a list without relations, for a native encoder. Both give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError
from sqlglot import exp

from api.graphql.entities import Attribute, Entity, Key
from api.graphql.filters import MAX_CONDITIONS, column, condition, joined, order, relation
from api.graphql.selection import Branch, Constant, Leaf, Rows
from api.graphql.values import MAX_ITEMS, NeedsValue, Slot, Var
from connectors.types import PgType

PAIRS = 50  # a function takes 100 arguments at most, so json_build_object 50 pairs


@dataclass(frozen=True, slots=True)
class Output:
    """One selected thing of a flat row: the batch's column of that number and type, or a constant text."""

    key: str
    column: int
    type: PgType
    text: str = ""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A field's statements. `flat` is empty where only `json` can answer; `limit` is None for a list without one.

    `reads` are the relations that the statement names, `slots` the parameters, of both forms alike.
    """

    json: str
    flat: str
    slots: tuple[Slot, ...]
    outputs: tuple[Output, ...]
    reads: frozenset[Key]
    single: bool
    limit: int | None


def compile_rows(rows: Rows, single: bool, entities: Mapping[Key, Entity]) -> Compiled:
    """The statements of a root field; `single` for a lookup by key.

    Raises GraphQLError for arguments that make no sense, NeedsValue where a marker stands for part of the text.
    """
    site = _Site(entities)
    inner, value = site.source(rows, None)
    answer = value if single else _many(value)
    json = exp.select(exp.alias_(answer, "json")).from_(_derived(inner, "x"))
    return Compiled(
        _text(json),
        _text(_Site(entities).source(rows, None)[0]) if _flat(rows) else "",
        tuple(site.slots),
        _outputs(rows),
        frozenset(site.reads),
        single,
        1 if single else rows.arguments.get("limit"),
    )


def _flat(rows: Rows) -> bool:
    leaves = [item for item in rows.items if isinstance(item, Leaf)]
    return not rows.nested and bool(leaves) and all(leaf.attribute.kind.native for leaf in leaves)


def _outputs(rows: Rows) -> tuple[Output, ...]:
    numbers: dict[str, int] = {}
    outputs: list[Output] = []
    for item in rows.items:
        if isinstance(item, Constant):
            outputs.append(Output(item.key, -1, PgType("text"), item.text))
        elif isinstance(item, Leaf):
            number = numbers.setdefault(item.attribute.column, len(numbers))
            outputs.append(Output(item.key, number, item.attribute.type))
    return tuple(outputs)


def _text(query: exp.Expr) -> str:
    return query.sql(dialect="postgres", copy=False, comments=False)


@dataclass(slots=True)
class _Site:
    """A statement in the making; see `filters.Site`."""

    entities: Mapping[Key, Entity]
    slots: list[Slot] = field(default_factory=list)
    reads: set[Key] = field(default_factory=set)
    aliases: int = 0

    def param(self, value: Any, type_: PgType) -> exp.Expr:
        if isinstance(value, list) and len(value) > MAX_ITEMS:
            raise GraphQLError(f"a list in a filter has {len(value)} items: {MAX_ITEMS} at most")
        if len(self.slots) >= MAX_CONDITIONS:
            raise GraphQLError(f"the filters have more than {MAX_CONDITIONS} comparisons")
        self.slots.append(Slot(type_, value))
        marker = exp.Parameter(this=exp.Literal.number(len(self.slots)))
        return exp.Cast(this=marker, to=exp.DataType.build(type_.sql, dialect="postgres", udt=True))

    def alias(self) -> str:
        self.aliases += 1
        return f"t{self.aliases}"

    def entity(self, key: Key) -> Entity:
        self.reads.add(key)
        return self.entities[key]

    def source(self, rows: Rows, join: exp.Expr | None, alias: str = "") -> tuple[exp.Select, exp.Expr]:
        """The rows as a sub-select with columns c0, c1 ..., and the JSON object of one of its rows, `x`."""
        alias = alias or self.alias()
        entity = self.entity(rows.entity.key)
        columns: dict[Any, str] = {}
        selected: list[exp.Expr] = []
        pairs: list[tuple[str, exp.Expr]] = []
        name = f"x{alias[1:]}" if join is not None else "x"
        for item in rows.items:
            if isinstance(item, Constant):
                pairs.append((item.key, exp.Literal.string(item.text)))
                continue
            known = item.attribute.column if isinstance(item, Leaf) else item.key + "()"
            if known not in columns:
                columns[known] = f"c{len(columns)}"
                value = column(item.attribute.column, alias) if isinstance(item, Leaf) else self.nested(item, alias)
                selected.append(exp.alias_(value, columns[known]))
            reference = exp.column(columns[known], table=name)
            pairs.append((item.key, _json_value(reference, item.attribute) if isinstance(item, Leaf) else reference))
        query = exp.select(*(selected or [exp.alias_(exp.Literal.number(1), "c0")])).from_(relation(entity, alias))
        return self.arranged(query, rows, entity, alias, join), _object(pairs)

    def arranged(self, query: exp.Select, rows: Rows, entity: Entity, alias: str, join: exp.Expr | None) -> exp.Select:
        """The select with its filter, order and bounds."""
        where = condition(rows.arguments.get("where") or {}, entity, alias, self)
        for term in (join, where, *self.lookup(rows, entity, alias)):
            if term is not None:
                query = query.where(term, copy=False)
        if terms := order(rows.arguments.get("orderBy"), entity, alias):
            query = query.order_by(*terms, copy=False)
        if (limit := _bound(rows, "limit")) is not None:
            query = query.limit(limit, copy=False)
        if offset := _bound(rows, "offset"):
            query = query.offset(offset, copy=False)
        return query

    def lookup(self, rows: Rows, entity: Entity, alias: str) -> Iterable[exp.Expr]:
        """The conditions of a lookup by key."""
        for attribute in entity.identity:
            if attribute.name in rows.arguments and attribute.kind.compare:
                value = self.param(rows.arguments[attribute.name], attribute.kind.compare)
                yield exp.EQ(this=column(attribute.column, alias), expression=value)

    def nested(self, branch: Branch, outer: str) -> exp.Expr:
        """A relation of each row of `outer` as a correlated sub-select that gives JSON."""
        alias = self.alias()
        inner, value = self.source(branch.rows, joined(branch.edge.link.join, outer, alias), alias)
        name = f"x{alias[1:]}"
        answer = _many(value) if branch.edge.link.many else value
        return exp.select(answer).from_(_derived(inner, name)).subquery()


def _bound(rows: Rows, name: str) -> int | None:
    value = rows.arguments.get(name)
    if isinstance(value, Var):
        raise NeedsValue(value)
    if value is not None and value < 0:
        raise GraphQLError(f'"{name}" is {value}: it must not be negative')
    return value


def _derived(query: exp.Select, name: str) -> exp.Subquery:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(name)))


def _many(value: exp.Expr) -> exp.Expr:
    empty = exp.Cast(this=exp.Literal.string("[]"), to=exp.DataType.build("json"))
    return exp.func("coalesce", exp.Anonymous(this="json_agg", expressions=[value]), empty)


def _object(pairs: list[tuple[str, exp.Expr]]) -> exp.Expr:
    if len(pairs) <= PAIRS:
        return _build(pairs)
    text: exp.Expr = exp.Literal.string("{")
    for start in range(0, len(pairs), PAIRS):
        # Without its braces, behind a comma where it is not the first.
        bare = _call("substr", _cast(_build(pairs[start : start + PAIRS]), "text"), exp.Literal.number(2))
        piece = _call("left", bare, exp.Neg(this=exp.Literal.number(1)))
        text = exp.DPipe(
            this=text, expression=piece if start == 0 else exp.DPipe(this=exp.Literal.string(","), expression=piece)
        )
    return _cast(exp.Paren(this=exp.DPipe(this=text, expression=exp.Literal.string("}"))), "json")


def _build(pairs: list[tuple[str, exp.Expr]]) -> exp.Expr:
    return _call("json_build_object", *(part for key, value in pairs for part in (exp.Literal.string(key), value)))


def _call(name: str, *arguments: exp.Expr) -> exp.Expr:
    return exp.Anonymous(this=name, expressions=list(arguments))


def _cast(value: exp.Expr, type_: str) -> exp.Expr:
    return exp.Cast(this=value, to=exp.DataType.build(type_, dialect="postgres"))


def _json_value(value: exp.Expr, attribute: Attribute) -> exp.Expr:
    kind = attribute.kind
    if kind.text:
        return _cast(value, kind.text)
    if kind.finite:  # JSON has no NaN and no infinity: null, as every JSON writer has it
        infinity = _cast(exp.Literal.string("Infinity"), "double precision")
        return exp.Case().when(exp.LT(this=_call("abs", value), expression=infinity), value.copy())
    return value
