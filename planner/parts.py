"""Parts of a merge that DuckDB computes: what is known of them, and how they are cut off from the canon's rest."""

from __future__ import annotations

from dataclasses import dataclass, replace

from connectors.types import PgType, numeric
from planner import ir
from planner import scalar as sc
from planner.ir import Cut, Rel
from planner.prove import Facts
from planner.rules.columns import prune_columns
from planner.scalar import Col, Lit, Param, Scalar
from planner.scales import MOST
from planner.types import alike

STAGE = ""  # the source of a Cut that DuckDB computes from fragments
Items = tuple[tuple[int, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Part:
    """A relation of which DuckDB computes `rel`, and the canon the columns `late` from the columns of that.

    `helpers` are columns of `rel` that only these read; `work`: whether anything happens in it at all, so that
    another engine would have something to gain.
    """

    rel: Rel
    facts: Facts
    late: Items = ()
    helpers: frozenset[int] = frozenset()
    work: bool = True

    @property
    def scales(self) -> dict[int, int | None]:
        """Display scales of its columns."""
        return {i: fact.scale for i, fact in self.facts.items()}


def typed(part: Part) -> tuple[tuple[int, PgType], ...]:
    """The stage's columns; a numeric in as many digits as a DECIMAL has, so that it travels as one."""
    made: list[tuple[int, PgType]] = []
    for i, kind in ir.output(part.rel):
        if kind is None:
            raise TypeError(f"column {i} of a stage has no type")
        digits = part.facts[i].scale if i in part.facts else None
        wide = kind.name == "numeric" and kind.mod < 0 and digits is not None
        made.append((i, numeric(MOST, digits) if wide and digits is not None else kind))
    return tuple(made)


def ordered(rel: Rel, keep: bool = False) -> tuple[Rel, tuple[ir.SortKey, ...]]:
    """A stage without the order that only its reader needs (`keep`: a LIMIT needs it), and that order, over columns
    of the stage."""
    match rel:
        case ir.Sort():
            return rel if keep else rel.input, rel.keys
        case ir.Distinct() if rel.on is not None:
            return rel, rel.order
        case ir.Limit():
            inner, keys = ordered(rel.input, keep=True)
            return ir.with_inputs(rel, (inner,)), keys
        case ir.Project():
            inner, keys = ordered(rel.input, keep)
            named: dict[int, Scalar] = {e.id: Col(i, e.type) for i, e in rel.items if isinstance(e, Col)}
            keys = tuple(replace(key, expr=sc.substitute(key.expr, named)) for key in keys)
            read = frozenset().union(*(sc.columns(key.expr) for key in keys)) - ir.ids(rel)
            more = tuple((i, ir.col((i, kind))) for i, kind in ir.output(inner) if i in read)
            return ir.Project(inner, (*rel.items, *more)), keys
        case _:
            return rel, ()


def narrowed(rel: Rel) -> Rel:
    """Stages without the columns that nothing reads; fragments as they were."""
    before: dict[int, Cut] = {}

    def note(node: Rel) -> Rel:
        if isinstance(node, Cut):
            before[id(node.rel)] = node
        return node

    def restored(node: Rel) -> Rel:
        return before[id(node.rel)] if isinstance(node, Cut) and node.source != STAGE else node

    ir.rewrite(rel, note)
    return ir.rewrite(prune_columns(rel), restored)


def carried(kind: PgType) -> bool:
    """Whether Arrow carries the type itself; a numeric without scale travels as text, char(n) would lose its blanks."""
    return not (kind.name == "numeric" and kind.mod < 0) and kind.name != "bpchar"


def numbers(rel: ir.Limit) -> bool:
    """Whether it counts by constants or parameters."""
    return all(e is None or isinstance(e, Lit | Param) for e in (rel.count, rel.offset))


def crosses(rel: ir.Join, left: Part, right: Part) -> bool:
    """Whether what is late on a side that the join fills with NULLs is NULL there too when it is computed above."""
    outer = {"left": right.late, "full": (*left.late, *right.late)}.get(rel.kind, ())
    return all(sc.strict_on(e, sc.columns(e)) for _, e in outer)


def references(rel: Rel) -> set[int]:
    """The CTEs that a relation refers to and does not define."""
    read: set[int] = set()
    made: set[int] = set()

    def note(node: Rel) -> Rel:
        if isinstance(node, ir.CteRef):
            read.add(node.id)
        if isinstance(node, ir.Shared | ir.Recursive):
            made.add(node.id)
        return node

    ir.rewrite(rel, note)
    return read - made


def same(a: PgType | None, b: PgType) -> bool:
    """Of one type in DuckDB too: decimals of another scale would print otherwise."""
    return alike(a, b) and (b.name != "numeric" or a == b)
