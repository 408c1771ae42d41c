"""Where a view's columns come from: for each, the columns of sources' tables out of which its values are made.

What only picks rows (a filter, a join's condition) is no origin; rows that are merely counted are, as a whole table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from planner import ir
from planner import scalar as sc
from planner.ir import Rel
from planner.planner import algebra
from planner.scalar import Scalar
from views.catalog import Catalog

Origin = tuple[str, str, str]  # source, table, column; "" for its rows
Found = Mapping[int, frozenset[Origin]]
_NONE: frozenset[Origin] = frozenset()


def origins(relation: tuple[str, str], catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """By column of a view or table: `source.table.column`, or `source.table` where its rows are counted; nothing for
    what no table has a part in."""
    view = catalog.views.get(relation)
    if view is None:
        table = catalog.tables[relation]
        return {name: (".".join((*relation, name)),) for name, _ in table.columns}
    rel = algebra(view, catalog)
    found = _Walk().of(rel)
    names = [name for name, _ in view.columns]
    told = (found.get(i, _NONE) for i, _ in ir.output(rel))
    return {
        name: tuple(sorted(".".join(filter(None, one)) for one in all_)) for name, all_ in zip(names, told, strict=True)
    }


class _Walk:
    """`shared` has what relations that are named more than once produce."""

    def __init__(self) -> None:
        self.shared: dict[int, tuple[frozenset[Origin], ...]] = {}
        self.outer: dict[int, frozenset[Origin]] = {}  # every column seen: correlated sub-queries read those outside

    def of(self, rel: Rel) -> Found:
        """The origins of each column that a node produces."""
        found = self._of(rel)
        self.outer |= found
        return found

    def _of(self, rel: Rel) -> Found:
        match rel:
            case ir.Scan():
                return {i: frozenset([(*rel.table.key, rel.table.columns[at][0])]) for i, at in rel.columns}
            case ir.Project():
                return self._items(rel.items, self.of(rel.input), rel.input)
            case ir.Aggregate():
                return self._items((*rel.keys, *rel.aggs), self.of(rel.input), rel.input)
            case ir.Window():
                below = self.of(rel.input)
                return {**below, **self._items(rel.items, below, rel.input)}
            case ir.Join():
                return self._join(rel)
            case ir.SetOp():
                branches = [(self.of(branch), ids) for branch, ids in rel.inputs]
                return {
                    i: frozenset().union(*(found.get(ids[at], _NONE) for found, ids in branches))
                    for at, (i, _) in enumerate(rel.columns)
                }
            case ir.Values():
                return {}
            case ir.Local():
                every = frozenset().union(*(self._scalar(arg, self.outer, rel) for arg in rel.args))
                return {i: every for i, _, _ in rel.columns}
            case ir.Recursive() | ir.Shared() | ir.CteRef():
                return self._named(rel)
            case ir.Opaque():
                every = frozenset().union(*(one for branch in ir.inputs(rel) for one in self.of(branch).values()))
                return {i: every for i, _ in rel.columns}
            case ir.Cut():
                return self.of(rel.rel)
            case _:
                return self.of(rel.input)

    def _join(self, rel: ir.Join) -> Found:
        found = {**self.of(rel.left), **self.of(rel.right)}
        if rel.kind == "mark":
            found[rel.mark] = frozenset().union(*(self._scalar(e, found, rel.right) for e in (*rel.on, *rel.compare)))
        return found

    def _named(self, rel: ir.Recursive | ir.Shared | ir.CteRef) -> Found:
        if isinstance(rel, ir.CteRef):
            known = self.shared.get(rel.id, ())
            return {i: one for (i, _), one in zip(rel.columns, known, strict=False)}
        if isinstance(rel, ir.Shared):
            body = self.of(rel.body)
            self.shared[rel.id] = tuple(body.get(i, _NONE) for i in rel.body_ids)
            return self.of(rel.input)
        base = self.of(rel.base)
        made = tuple(base.get(i, _NONE) for i in rel.base_ids)
        for _ in range(len(made) + 1):  # a column may pass through each of the others
            self.shared[rel.id] = made
            step = self.of(rel.step)
            made = tuple(one | step.get(i, _NONE) for one, i in zip(made, rel.step_ids, strict=True))
        return {i: one for (i, _), one in zip(rel.columns, made, strict=True)}

    def _items(self, items: Iterable[tuple[int, Scalar]], below: Found, input_: Rel) -> Found:
        return {i: self._scalar(e, below, input_) for i, e in items}

    def _scalar(self, e: Scalar, below: Found, input_: Rel) -> frozenset[Origin]:
        known = {**self.outer, **below}
        found = frozenset().union(*(known.get(i, _NONE) for i in sc.columns(e)))
        for sub in sc.subs(e):
            inner = self.of(sub.rel)
            found |= (
                frozenset().union(*(inner.get(i, _NONE) for i in sub.columns))
                if sub.kind != "exists"
                else _rows(sub.rel)
            )
        counts = any(_counts(part) for part in sc.walk(e))
        return found | _rows(input_) if counts else found


def _counts(e: Scalar) -> bool:
    """Whether it is of the rows rather than of columns: count(*), row_number()."""
    return not isinstance(e, sc.Sub) and bool(e.traits & (sc.AGGREGATE | sc.WINDOW)) and not sc.columns(e)


def _rows(rel: Rel) -> frozenset[Origin]:
    return frozenset((*scan.table.key, "") for scan in ir.scans(rel))
