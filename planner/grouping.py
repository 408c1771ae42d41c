"""GROUP BY, aggregates and windows of one SELECT block: pulls them out of its expressions into nodes of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sqlglot import exp

from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.relabel import standard
from planner.scalar import Agg, Col, Scalar, Verbatim
from planner.scope import Scope, Unmodelled

if TYPE_CHECKING:
    from planner.lower import Lowering

Change = Callable[[Scalar], Scalar]


class Grouping:
    """What one block groups by, and the Aggregate and Window nodes that its expressions need."""

    def __init__(self, lowering: Lowering, clause: exp.Group | None, scope: Scope) -> None:
        self.next_id = lowering.next_id
        self.keys: dict[Scalar, int] = {}
        self.sets: tuple[str | int, ...] = ()
        self.queries: dict[Scalar, Scalar] = {}  # keys that hold sub-queries, by what these are but for their ids
        self.grouped = clause is not None
        self.aggregates: dict[Scalar, int] = {}
        if clause is not None:
            self._read(lowering, clause, scope)

    def _read(self, lowering: Lowering, clause: exp.Group, scope: Scope) -> None:
        plain = all(not isinstance(e, exp.Rollup | exp.Cube | exp.GroupingSets) for e in clause.expressions)
        if plain and not any(clause.args.get(k) for k in ("rollup", "cube", "grouping_sets", "all")):
            for e in clause.expressions:
                # `GROUP BY ()` is an empty tuple: one group, of no key.
                for key in e.expressions if isinstance(e, exp.Tuple) else [e]:
                    self._key(lowering.expressions.lower(key, scope))
            return
        parts: list[str | int] = []
        for at, e in enumerate(clause.expressions):
            parts.append(", " if at else "")
            self._element(lowering, e, scope, parts)
        self.sets = tuple(parts)

    def _key(self, e: Scalar) -> int:
        if sc.has_sub(e):
            self.queries[standard(e)] = e
        if e not in self.keys:
            self.keys[e] = self.next_id()
        return list(self.keys).index(e)

    def _element(self, lowering: Lowering, e: exp.Expr, scope: Scope, parts: list[str | int]) -> None:
        """One grouping element as text; an int is the position of a key."""
        words: dict[type[exp.Expr], str] = {
            exp.Rollup: "ROLLUP ",
            exp.Cube: "CUBE ",
            exp.GroupingSets: "GROUPING SETS ",
        }
        if type(e) in words or isinstance(e, exp.Tuple):
            parts.append(words.get(type(e), "") + "(")
            for at, inner in enumerate(e.expressions):
                parts.append(", " if at else "")
                self._element(lowering, inner, scope, parts)
            parts.append(")")
        else:
            parts += ["(", self._key(lowering.expressions.lower(e, scope)), ")"]

    def apply(self, rel: Rel, outputs: list[Scalar], having: Scalar | None, order: list[Scalar]) -> tuple[Rel, Change]:
        """The block with its Aggregate and Window nodes, and the change that its expressions need over them."""
        every = [*outputs, *order, *([having] if having is not None else [])]
        if self.grouped or any(_aggregates(e) for e in every):
            for e in every:
                self._collect(e, ir.ids(rel))
            rel = ir.Aggregate(
                rel,
                tuple((i, e) for e, i in self.keys.items()),
                tuple((i, self._node(e)) for e, i in self.aggregates.items()),
                self.sets,
            )
            after: Change = self._over_aggregate
        else:
            after = _same
        windows: dict[Scalar, int] = {}
        for e in every:
            for node in _outermost(after(e), "window"):
                windows.setdefault(node, self.next_id())
        if windows:
            rel = ir.Window(rel, tuple((i, e) for e, i in windows.items()))

        def change(e: Scalar) -> Scalar:
            return sc.transform(after(e), lambda n: Col(windows[n], n.type) if n in windows else None)

        return rel, change

    def _collect(self, e: Scalar, own: frozenset[int]) -> None:
        for node in _outermost(e, "aggregate"):
            read = sc.columns(node)
            if read and not read & own:
                raise Unmodelled("an aggregate of an enclosing query")
            self.aggregates.setdefault(node, self.next_id())

    def _node(self, node: Scalar) -> Scalar:
        """The call as the Aggregate node holds it: grouping() is about keys."""
        if not (isinstance(node, Verbatim) and str(node.parts[0]).upper().startswith("GROUPING")):
            return node
        args = tuple(Col(self.keys[a], a.type) if a in self.keys else a for a in node.args)
        return sc.rebuild(node, args)

    def _over_aggregate(self, e: Scalar) -> Scalar:
        def change(node: Scalar) -> Scalar | None:
            if node in self.aggregates:
                return Col(self.aggregates[node], node.type)
            if node in self.keys:
                return Col(self.keys[node], node.type)
            if self.queries and sc.has_sub(node) and standard(node) in self.queries:
                key = self.queries[standard(node)]
                return Col(self.keys[key], key.type)
            return None

        return sc.transform(e, change, lambda rel: self._inside(rel))

    def _inside(self, rel: Rel) -> Rel:
        """A correlated sub-query over a grouped block reads its keys."""
        columns = {e.id: Col(i, e.type) for e, i in self.keys.items() if isinstance(e, Col)}
        return ir.substitute_rel(rel, columns)


def _same(e: Scalar) -> Scalar:
    return e


def _aggregates(e: Scalar) -> bool:
    return any(True for _ in _outermost(e, "aggregate"))


def _outermost(e: Scalar, kind: str) -> list[Scalar]:
    """Calls of that kind that do not stand inside another of it."""
    if kind == "aggregate" and isinstance(e, Agg):
        return [e]
    if isinstance(e, Verbatim) and e.kind == kind:
        return [e]
    return [node for child in sc.children(e) for node in _outermost(child, kind)]
