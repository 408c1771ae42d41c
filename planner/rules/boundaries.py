"""A sub-query of one value that one source answers, compared with columns: read once, then a constant of the query."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from planner import ir
from planner import scalar as sc
from planner.ir import Cut, Rel
from planner.keys import unique_keys
from planner.relabel import relabel
from planner.scalar import Boundary, Call, Lit, Scalar, Sub
from planner.scope import Counter
from planner.targets import bindable

_COMPARISONS = frozenset(("=", "<", "<=", ">", ">="))


class Boundaries:
    """Collects the boundaries of one statement; `alone` plans a relation as if it were the statement."""

    def __init__(self, alone: Callable[[Rel], Rel]) -> None:
        self.found: list[Cut] = []
        self._alone = alone
        self._known: dict[Rel, Boundary | None] = {}

    def fold(self, rel: Rel) -> Rel:
        """Comparisons with such a sub-query get a marker in its place, equal ones the same.

        Must stay: what is correlated, volatile or may fail; what more than one source, or the canon, computes.
        """
        return ir.rewrite(rel, self._node)

    def _node(self, rel: Rel) -> Rel:
        if not isinstance(rel, ir.Filter | ir.Join) or not any(sc.has_sub(e) for e in ir.scalars(rel)):
            return rel
        return ir.with_scalars(rel, tuple(sc.transform(e, self._comparison) for e in ir.scalars(rel)))

    def _comparison(self, e: Scalar) -> Scalar | None:
        if not isinstance(e, Call) or e.op not in _COMPARISONS:
            return None
        args = tuple(self._value(a) if sc.columns(b) else a for a, b in zip(e.args, e.args[::-1], strict=True))
        return Call(e.op, args, e.type) if args != e.args else None

    def _value(self, e: Scalar) -> Scalar:
        if not isinstance(e, Sub) or e.kind != "scalar" or e.type is None or sc.volatile(e):
            return e
        if not bindable((e.type,)) or ir.outer_columns(e.rel):
            return e
        key, at = relabel(e.rel, Counter())
        key = ir.Project(key, ((0, sc.Col(at[e.columns[0]], e.type)),))
        if key not in self._known:
            self._known[key] = self._read(e)
        return self._known[key] or e

    def _read(self, e: Sub) -> Boundary | None:
        if any(sc.can_raise(s) or isinstance(s, Boundary) for s in _inside(e.rel)):
            return None
        item = dict(ir.output(e.rel))[e.columns[0]]
        cut = self._alone(ir.Project(e.rel, ((e.columns[0], sc.Col(e.columns[0], item)),)))
        if not isinstance(cut, Cut) or len(cut.columns) != 1 or e.type is None:
            return None
        self.found.append(cut)
        sure = any(not key for key in unique_keys(e.rel)) or _first(e.rel)
        return Boundary(len(self.found) - 1, e.type.bare, sure)


def used(rel: Rel, merged: bool = False) -> frozenset[int]:
    """The boundaries that a placed statement compares with anywhere; `merged`: outside its fragments."""
    return frozenset(s.index for s in _inside(rel, merged, sc.BOUNDARY | sc.SUB) if isinstance(s, Boundary))


def _inside(rel: Rel, merged: bool = False, traits: int = -1) -> Iterator[Scalar]:
    """Every scalar in a relation, those in its sub-queries and (unless `merged`) fragments too; none without one of
    `traits`."""
    for e in ir.scalars(rel):
        if traits < 0 or e.traits & traits:
            for node in sc.walk(e):
                yield node
                if isinstance(node, Sub):
                    yield from _inside(node.rel, merged, traits)
    for branch in (rel.rel,) if isinstance(rel, Cut) and not merged else ir.inputs(rel):
        yield from _inside(branch, merged, traits)


def _first(rel: Rel) -> bool:
    """Whether LIMIT leaves one row at most."""
    while isinstance(rel, ir.Project | ir.Sort):
        rel = rel.input
    return isinstance(rel, ir.Limit) and isinstance(rel.count, Lit) and rel.count.value in ("0", "1")
