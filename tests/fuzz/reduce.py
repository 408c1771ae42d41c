"""Shrinks a failing query as long as it fails: by its syntax tree, then its configuration, then the rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import sqlglot
from sqlglot import exp

from tests.fuzz.queries import Query, renumbered

Fails = Callable[[Query], bool]
_CLAUSES = ("where", "having", "group", "order", "limit", "offset", "distinct", "with_", "windows")


def shrink(query: Query, fails: Fails, seconds: float) -> Query:
    """The smallest query found in that time that still fails: pass after pass over the tree, from its top."""
    end = time.monotonic() + seconds
    tried: set[str] = set()
    while True:
        smaller = _pass(query, fails, end, tried)
        if smaller is query or time.monotonic() > end:
            return smaller
        query = smaller


def _pass(query: Query, fails: Fails, end: float, tried: set[str]) -> Query:
    at = 0
    while time.monotonic() < end:
        tree = _parsed(query.sql)
        nodes = list(tree.walk()) if tree is not None else []
        if at >= len(nodes):
            return query
        for number in range(len(list(_changes(nodes[at])))):
            candidate = _changed(query, at, number)
            if candidate is None or candidate.sql in tried or len(candidate.sql) >= len(query.sql):
                continue
            tried.add(candidate.sql)
            if fails(candidate):
                query = candidate
                break
        else:
            at += 1
    return query


def _changed(query: Query, at: int, number: int) -> Query | None:
    """The query with the change of that number made at the node of that number."""
    tree = _parsed(query.sql)
    if tree is None:
        return None
    target = list(tree.walk())[at]
    result = list(_changes(target))[number](target, tree)
    return None if result is None else _query(query, result)


def inlined(query: Query, views: dict[str, str]) -> Query | None:
    """The query with its views written out, so that they can be shrunk too."""
    tree = _parsed(query.sql)
    if tree is None:
        return None
    found = False
    for table in list(tree.find_all(exp.Table)):
        if table.name in views and not table.db and isinstance(table.this, exp.Identifier):
            alias = table.alias or table.name
            body = sqlglot.parse_one(views[table.name], read="postgres")
            table.replace(exp.Subquery(this=body, alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=False)),
                                       joins=table.args.get("joins")))  # fmt: skip
            found = True
    return _query(query, tree) if found else None


def _parsed(sql: str) -> exp.Expr | None:
    try:
        return sqlglot.parse_one(sql, read="postgres")
    except sqlglot.errors.SqlglotError:
        return None


Change = Callable[[exp.Expr, exp.Expr], "exp.Expr | None"]


def _changes(node: exp.Expr) -> Iterator[Change]:
    if isinstance(node, exp.Query | exp.Subquery):
        yield from (_without(clause) for clause in _CLAUSES if node.args.get(clause))
    if isinstance(node, exp.Select):
        yield from (_without_at("expressions", n) for n in range(len(node.expressions)) if len(node.expressions) > 1)
        yield from (_without_at("joins", n) for n in range(len(node.args.get("joins") or ())))
    if isinstance(node, exp.SetOperation):
        yield from (_becomes(arm) for arm in ("this", "expression"))
    if isinstance(node, exp.With) and len(node.expressions) > 1:
        yield from (_without_at("expressions", n) for n in range(len(node.expressions)))
    if isinstance(node, exp.Connector):
        yield from (_becomes(arm) for arm in ("this", "expression"))
    if isinstance(node, exp.Paren | exp.Not | exp.Filter | exp.Cast | exp.Collate):
        yield _becomes("this")
    if isinstance(node, exp.Join):
        yield from (_without(clause) for clause in ("side",) if node.args.get(clause))
    if isinstance(node, exp.Group | exp.Order | exp.In | exp.Tuple | exp.Coalesce | exp.Concat):
        yield from (_without_at("expressions", n) for n in range(len(node.expressions)) if len(node.expressions) > 1)
    if isinstance(node, exp.Func | exp.Case | exp.Binary) and not isinstance(node, exp.Connector | exp.Dot):
        children = [(key, v) for key, v in node.args.items() if isinstance(v, exp.Expr)]
        yield from (_becomes(key) for key, _ in children)
    if isinstance(node, exp.Predicate) and not isinstance(node, exp.Subquery):
        yield lambda target, tree: _put(target, exp.true(), tree)


def _without(clause: str) -> Change:
    def change(node: exp.Expr, tree: exp.Expr) -> exp.Expr:
        node.set(clause, None)
        return tree

    return change


def _without_at(arg: str, number: int) -> Change:
    def change(node: exp.Expr, tree: exp.Expr) -> exp.Expr:
        items = list(node.args[arg])
        del items[number]
        node.set(arg, items)
        return tree

    return change


def _becomes(arm: str) -> Change:
    return lambda node, tree: _put(node, node.args[arm], tree)


def _put(node: exp.Expr, other: exp.Expr, tree: exp.Expr) -> exp.Expr:
    if node is tree:
        return other
    node.replace(other)
    return tree


def _query(query: Query, tree: exp.Expr) -> Query:
    """The query with another text: what it promised of order holds only while it says ORDER BY."""
    sql = tree.sql("postgres", comments=False)
    ordered = bool(tree.args.get("order"))
    whole = ""
    if query.unlimited and ordered and tree.args.get("limit"):
        bare = tree.copy()
        bare.set("limit", None)
        bare.set("offset", None)
        whole = bare.sql("postgres", comments=False)
    return renumbered(replace(query, sql=sql, sorted=query.sorted if ordered else 0, unlimited=whole))
