"""One root field, with everything nested under it, as one SQL statement in PostgreSQL's words, built as an AST.

A statement comes in two forms. `json` gives one value, the finished JSON of the field, made where the merge is made;
`flat` gives the plain rows of a list without relations, for a native encoder. Both give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graphql import GraphQLError
from sqlglot import exp

from api.graphql.entities import Attribute, Entity, Key
from api.graphql.filters import MAX_CONDITIONS, column, condition, joined, order, relation
from api.graphql.selection import Branch, Constant, Leaf, Rows
from api.graphql.values import MAX_ITEMS, NeedsValue, Slot, Var
from connectors.types import PgType

FEW = 20  # parents for which correlated sub-selects are cheap, however many children there are
_EMPTY = exp.Cast(this=exp.Literal.string("[]"), to=exp.DataType.build("json"))
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
    site = _Site(entities, {} if not single else rows.arguments)
    if single:
        rows = replace(rows, arguments={})
    inner, value = site.source(rows)
    answer = value if single else _many(value)
    json = exp.select(exp.alias_(answer, "json")).from_(_derived(inner, "x"))
    return Compiled(
        _text(json),
        _text(_Site(entities, site.key).source(rows)[0]) if _flat(rows) else "",
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
    key: Mapping[str, Any]  # of a lookup
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

    def source(self, rows: Rows, join: exp.Expr | None = None, alias: str = "") -> tuple[exp.Select, exp.Expr]:
        """The rows as a sub-select with columns c0, c1 ..., and the JSON object of one of its rows, `x`."""
        alias = alias or self.alias()
        entity = self.entity(rows.entity.key)
        name = "x" if join is None else f"x{alias[1:]}"
        select = exp.select().from_(relation(entity, alias))
        columns: dict[str, str] = {}
        pairs: list[tuple[str, exp.Expr]] = []
        for item in rows.items:
            if isinstance(item, Constant):
                pairs.append((item.key, exp.Literal.string(item.text)))
                continue
            known = item.attribute.column if isinstance(item, Leaf) else item.key + "()"
            if known not in columns:
                columns[known] = f"c{len(columns)}"
                value = self.value(item, alias, select, join is None and _few(rows, self.key))
                select.select(exp.alias_(value, columns[known]), copy=False)
            reference = exp.column(columns[known], table=name)
            pairs.append((item.key, _json_value(reference, item.attribute) if isinstance(item, Leaf) else reference))
        if not columns:
            select.select(exp.alias_(exp.Literal.number(1), "c0"), copy=False)
        where = [join, *self.conditions(rows, entity, alias), *(self.lookup(entity, alias) if join is None else ())]
        return _bounded(_arranged(select, rows, entity, alias, where), rows), _object(pairs)

    def value(self, item: Leaf | Branch, alias: str, select: exp.Select, few: bool) -> exp.Expr:
        """A column of the rows of `alias`, or a relation's JSON; may add a join to `select`."""
        if isinstance(item, Leaf):
            return column(item.attribute.column, alias)
        return self.nested(item, alias) if few or not _groupable(item) else self.grouped(item, alias, select)

    def conditions(self, rows: Rows, entity: Entity, alias: str) -> Iterable[exp.Expr]:
        """The filter's condition, if it has any."""
        where = condition(rows.arguments.get("where") or {}, entity, alias, self)
        return () if where is None else (where,)

    def lookup(self, entity: Entity, alias: str) -> Iterable[exp.Expr]:
        """The conditions of a lookup by key."""
        for attribute in entity.identity:
            if attribute.name in self.key and attribute.kind.compare:
                value = self.param(self.key[attribute.name], attribute.kind.compare)
                yield exp.EQ(this=column(attribute.column, alias), expression=value)

    def nested(self, branch: Branch, outer: str) -> exp.Expr:
        """A relation of each row of `outer` as a correlated sub-select that gives JSON; its keys are always bound."""
        alias = self.alias()
        inner, value = self.source(branch.rows, joined(branch.edge.link.join, outer, alias), alias)
        answer = _many(value) if branch.edge.link.many else value
        return exp.select(answer).from_(_derived(inner, f"x{alias[1:]}")).subquery()

    def grouped(self, branch: Branch, outer: str, select: exp.Select) -> exp.Expr:
        """A relation as a join with its rows grouped by their keys: the canon hashes it, where a correlated
        sub-select looks at every child for every parent."""
        alias, group = self.alias(), f"g{self.aliases}"
        rows, pairs = branch.rows, branch.edge.link.join
        entity = self.entity(rows.entity.key)
        keys = [column(other, alias) for _, other in pairs]
        value = _object([(item.key, _direct(item, alias)) for item in rows.items if not isinstance(item, Branch)])
        terms = order(rows.arguments.get("orderBy"), entity, alias)
        every = _call("json_agg", exp.Order(this=value, expressions=terms) if terms else value)
        inner = exp.select(*(exp.alias_(key, f"k{i}") for i, key in enumerate(keys)), exp.alias_(every, "rows"))
        inner = inner.from_(relation(entity, alias)).group_by(*(key.copy() for key in keys))
        on = [
            exp.EQ(this=exp.column(f"k{i}", table=group), expression=column(a, outer)) for i, (a, _) in enumerate(pairs)
        ]
        select.join(_derived(inner, group), on=exp.and_(*on), join_type="left", copy=False)
        return exp.func("coalesce", exp.column("rows", table=group), _EMPTY.copy())


def _few(rows: Rows, key: Mapping[str, Any]) -> bool:
    limit = rows.arguments.get("limit")
    return bool(key) or (isinstance(limit, int) and limit <= FEW)


def _groupable(branch: Branch) -> bool:
    # A bound counts for each parent; a filter may hide from the planner that the parents' keys would save rows.
    plain = not any(branch.rows.arguments.get(name) for name in ("limit", "offset", "where"))
    return branch.edge.link.many and not branch.rows.nested and plain and branch.rows.arguments.get("limit") is None


def _direct(item: Leaf | Constant, alias: str) -> exp.Expr:
    if isinstance(item, Constant):
        return exp.Literal.string(item.text)
    return _json_value(column(item.attribute.column, alias), item.attribute)


def _arranged(
    select: exp.Select, rows: Rows, entity: Entity, alias: str, where: Iterable[exp.Expr | None]
) -> exp.Select:
    for term in where:
        if term is not None:
            select.where(term, copy=False)
    if terms := order(rows.arguments.get("orderBy"), entity, alias):
        select.order_by(*terms, copy=False)
    return select


def _bounded(select: exp.Select, rows: Rows) -> exp.Select:
    if (limit := _bound(rows, "limit")) is not None:
        select.limit(limit, copy=False)
    if offset := _bound(rows, "offset"):
        select.offset(offset, copy=False)
    return select


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
    return exp.func("coalesce", _call("json_agg", value), _EMPTY.copy())


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
