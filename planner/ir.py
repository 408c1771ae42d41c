"""The relational algebra of the planner: frozen nodes over column ids. A rule takes a node and gives another.

Every node produces columns (id, type); ids are unique within one plan, so a predicate means the same wherever
it stands and a correlated sub-query needs no names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from connectors.types import PgType
from planner import scalar as sc
from planner.plan import Verdict
from planner.scalar import Col, Scalar
from views.catalog import SourceTable


@dataclass(frozen=True, slots=True)
class Scan:
    """A source's table; `columns` are (id, position of the column in the table)."""

    table: SourceTable
    columns: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Local:
    """Something in FROM that only the canon can produce (a function, a temporary table, a catalog): canonical text
    cut at its arguments, aliased `l`, and the columns as (id, name in l, type) that are read of it. It reads `args`,
    so it is lateral where these have columns of its siblings."""

    parts: tuple[str | int, ...]
    args: tuple[Scalar, ...]
    columns: tuple[tuple[int, str, PgType | None], ...]
    volatile: bool = False


@dataclass(frozen=True, slots=True)
class Filter:
    input: Rel
    predicates: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """A view's owner wants one of `columns`, the items `at`, compared with a value by whoever reads the view."""

    view: str
    file: str
    columns: tuple[str, ...]
    at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Project:
    """Exactly `items`, nothing else of the input. `demand` counts until it was checked, before the rules."""

    input: Rel
    items: tuple[tuple[int, Scalar], ...]
    demand: Demand | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """kind: inner | left | full | semi | anti | mark. `lateral`: the right side reads columns of the left.

    semi and anti give the rows of the left side that some, that no row of the right makes `on` true for (unknown is
    not true); mark gives all of them and the boolean column `mark`: TRUE where a right row that meets `on` makes all
    of `compare` true, else NULL where one makes it unknown, else FALSE. So without `compare` it is EXISTS, with it IN.
    """

    kind: str
    left: Rel
    right: Rel
    on: tuple[Scalar, ...] = ()
    lateral: bool = False
    mark: int = 0
    compare: tuple[Scalar, ...] = ()

    @property
    def widens(self) -> bool:
        """Whether the right side's columns are part of the output."""
        return self.kind in ("inner", "left", "full")


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`keys` and `aggs` are the output. `sets`: GROUPING SETS, ROLLUP, CUBE as canonical text over `set_args`."""

    input: Rel
    keys: tuple[tuple[int, Scalar], ...]
    aggs: tuple[tuple[int, Scalar], ...]
    sets: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """The input's columns and `items`, each a window call or a set-returning one (kind 'srf')."""

    input: Rel
    items: tuple[tuple[int, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Distinct:
    """DISTINCT of all columns, or DISTINCT ON (`on`), which keeps the first row in `order`."""

    input: Rel
    on: tuple[Scalar, ...] | None = None
    order: tuple[SortKey, ...] = ()


@dataclass(frozen=True, slots=True)
class SetOp:
    """kind: union | intersect | except. Column i of the output is column ids[i] of each input."""

    kind: str
    all: bool
    inputs: tuple[tuple[Rel, tuple[int, ...]], ...]
    columns: tuple[tuple[int, PgType | None], ...]


@dataclass(frozen=True, slots=True)
class SortKey:
    expr: Scalar
    desc: bool = False
    nulls_first: bool = False
    using: str = ""


@dataclass(frozen=True, slots=True)
class Sort:
    input: Rel
    keys: tuple[SortKey, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    input: Rel
    count: Scalar | None
    offset: Scalar | None
    ties: tuple[SortKey, ...] = ()  # FETCH FIRST ... WITH TIES needs the order itself


@dataclass(frozen=True, slots=True)
class Values:
    """Constant rows; one row without columns is the FROM-less SELECT."""

    rows: tuple[tuple[Scalar, ...], ...]
    columns: tuple[tuple[int, PgType | None], ...]


@dataclass(frozen=True, slots=True)
class Recursive:
    """WITH RECURSIVE: `base` UNION [ALL] `step`, which reads itself through CteRef(id)."""

    id: int
    all: bool
    base: Rel
    base_ids: tuple[int, ...]
    step: Rel
    step_ids: tuple[int, ...]
    columns: tuple[tuple[int, PgType | None], ...]


@dataclass(frozen=True, slots=True)
class CteRef:
    """A reference to a recursive CTE from inside its step, or to a shared CTE."""

    id: int
    columns: tuple[tuple[int, PgType | None], ...]


@dataclass(frozen=True, slots=True)
class Shared:
    """The input once, read here and by every CteRef of that id (a volatile CTE is evaluated once)."""

    id: int
    body: Rel
    body_ids: tuple[int, ...]
    input: Rel


@dataclass(frozen=True, slots=True)
class Opaque:
    """A query that the algebra does not model: its text, run in the canon over `inputs`, which it names by label;
    each input with the (id, name) of its columns. `columns` are (id, type) in the text's own order."""

    text: str
    inputs: tuple[tuple[str, Rel, tuple[tuple[int, str], ...]], ...]
    columns: tuple[tuple[int, PgType | None], ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """A fragment: `rel` runs whole at `source` and gives `columns` (id, type) in that order."""

    source: str
    rel: Rel
    columns: tuple[tuple[int, PgType], ...]
    verdicts: tuple[Verdict, ...] = ()


Rel = (
    Scan | Local | Filter | Project | Join | Aggregate | Window | Distinct | SetOp | Sort | Limit | Values
    | Recursive | CteRef | Shared | Opaque | Cut
)  # fmt: skip


def output(rel: Rel) -> tuple[tuple[int, PgType | None], ...]:
    """The columns (id, type) that a node produces, in order."""
    match rel:
        case Scan():
            return tuple((i, rel.table.columns[at][1]) for i, at in rel.columns)
        case Local():
            return tuple((i, kind) for i, _, kind in rel.columns)
        case Filter() | Sort() | Limit() | Distinct() | Shared():
            return output(rel.input)
        case Project():
            return tuple((i, e.type) for i, e in rel.items)
        case Join() if rel.widens:
            return (*output(rel.left), *output(rel.right))
        case Join():
            return (*output(rel.left), (rel.mark, sc.BOOL)) if rel.kind == "mark" else output(rel.left)
        case Aggregate():
            return tuple((i, e.type) for i, e in (*rel.keys, *rel.aggs))
        case Window():
            return (*output(rel.input), *((i, e.type) for i, e in rel.items))
        case _:
            return rel.columns


def ids(rel: Rel) -> frozenset[int]:
    """Ids of the columns that a node produces."""
    return frozenset(i for i, _ in output(rel))


def inputs(rel: Rel) -> tuple[Rel, ...]:
    """Direct relational inputs."""
    found = _INPUTS.get(type(rel))
    return () if found is None else found(rel)


def _input(rel: Any) -> tuple[Rel, ...]:
    return (rel.input,)


# By class, since every rule asks every node: a match statement tries one class after another.
_INPUTS: Mapping[type, Callable[[Any], tuple[Rel, ...]]] = {
    **dict.fromkeys((Filter, Project, Aggregate, Window, Distinct, Sort, Limit), _input),
    Join: lambda rel: (rel.left, rel.right),
    SetOp: lambda rel: tuple([branch for branch, _ in rel.inputs]),
    Recursive: lambda rel: (rel.base, rel.step),
    Shared: lambda rel: (rel.body, rel.input),
    Opaque: lambda rel: tuple([branch for _, branch, _ in rel.inputs]),
}


def _same(new: tuple[object, ...], old: tuple[object, ...]) -> bool:
    for a, b in zip(new, old, strict=True):  # noqa: SIM110 - a generator doubles the time of what every rule does
        if a is not b:
            return False
    return True


def with_inputs(rel: Rel, new: tuple[Rel, ...]) -> Rel:
    """The same node over other inputs, in the order of `inputs`."""
    if _same(new, inputs(rel)):
        return rel
    match rel:
        case Filter():
            return Filter(new[0], rel.predicates)
        case Project():
            return Project(new[0], rel.items, rel.demand)
        case Join():
            return replace(rel, left=new[0], right=new[1])
        case Aggregate():
            return Aggregate(new[0], rel.keys, rel.aggs, rel.sets)
        case Window():
            return Window(new[0], rel.items)
        case Distinct():
            return Distinct(new[0], rel.on, rel.order)
        case SetOp():
            branches = tuple((branch, at) for branch, (_, at) in zip(new, rel.inputs, strict=True))
            return SetOp(rel.kind, rel.all, branches, rel.columns)
        case Sort():
            return Sort(new[0], rel.keys)
        case Limit():
            return Limit(new[0], rel.count, rel.offset, rel.ties)
        case Recursive():
            return Recursive(rel.id, rel.all, new[0], rel.base_ids, new[1], rel.step_ids, rel.columns)
        case Shared():
            return Shared(rel.id, new[0], rel.body_ids, new[1])
        case Opaque():
            named = tuple((label, branch, at) for (label, _, at), branch in zip(rel.inputs, new, strict=True))
            return Opaque(rel.text, named, rel.columns)
        case _:
            return rel


def scalars(rel: Rel) -> tuple[Scalar, ...]:
    """Every scalar that stands directly in a node, in the order that `with_scalars` takes."""
    found = _SCALARS.get(type(rel))
    return () if found is None else found(rel)


def _values(rel: Any) -> tuple[Scalar, ...]:
    return tuple([e for _, e in rel.items])


def _bounds(rel: Limit) -> tuple[Scalar, ...]:
    numbers = [e for e in (rel.count, rel.offset) if e is not None]
    return (*numbers, *[key.expr for key in rel.ties])


_SCALARS: Mapping[type, Callable[[Any], tuple[Scalar, ...]]] = {
    Local: lambda rel: rel.args,
    Filter: lambda rel: rel.predicates,
    Project: _values,
    Window: _values,
    Join: lambda rel: (*rel.on, *rel.compare),
    Aggregate: lambda rel: tuple([e for _, e in (*rel.keys, *rel.aggs)]),
    Distinct: lambda rel: (*(rel.on or ()), *[key.expr for key in rel.order]),
    Sort: lambda rel: tuple([key.expr for key in rel.keys]),
    Limit: _bounds,
    Values: lambda rel: tuple([e for row in rel.rows for e in row]),
}


def with_scalars(rel: Rel, new: tuple[Scalar, ...]) -> Rel:
    """The same node with other scalars, in the order of `scalars`."""
    if _same(new, scalars(rel)):
        return rel
    match rel:
        case Local():
            return Local(rel.parts, new, rel.columns, rel.volatile)
        case Filter():
            return Filter(rel.input, new)
        case Project():
            return Project(rel.input, _items(rel.items, new), rel.demand)
        case Window():
            return Window(rel.input, _items(rel.items, new))
        case Join():
            return replace(rel, on=new[: len(rel.on)], compare=new[len(rel.on) :])
        case Aggregate():
            cut = len(rel.keys)
            return Aggregate(rel.input, _items(rel.keys, new[:cut]), _items(rel.aggs, new[cut:]), rel.sets)
        case Distinct():
            cut = len(rel.on or ())
            return Distinct(rel.input, None if rel.on is None else new[:cut], _keys(rel.order, new[cut:]))
        case Sort():
            return Sort(rel.input, _keys(rel.keys, new))
        case Limit():
            return _limit(rel, new)
        case Values():
            width = len(rel.columns)
            rows = tuple(new[at : at + width] for at in range(0, len(new), width)) if width else rel.rows
            return Values(rows, rel.columns)
        case _:
            return rel


def _items(items: tuple[tuple[int, Scalar], ...], new: tuple[Scalar, ...]) -> tuple[tuple[int, Scalar], ...]:
    return tuple((i, e) for (i, _), e in zip(items, new, strict=True))


def _keys(keys: tuple[SortKey, ...], new: tuple[Scalar, ...]) -> tuple[SortKey, ...]:
    return tuple(SortKey(e, k.desc, k.nulls_first, k.using) for k, e in zip(keys, new, strict=True))


def _limit(rel: Limit, new: tuple[Scalar, ...]) -> Limit:
    rest = list(new)
    count = rest.pop(0) if rel.count is not None else None
    offset = rest.pop(0) if rel.offset is not None else None
    return Limit(rel.input, count, offset, _keys(rel.ties, tuple(rest)))


def rewrite(rel: Rel, change: Callable[[Rel], Rel]) -> Rel:
    """Apply `change` bottom-up to every node, those inside sub-queries of scalars too."""
    below = inputs(rel)
    if below:
        new = tuple([rewrite(branch, change) for branch in below])
        rel = rel if _same(new, below) else with_inputs(rel, new)
    return change(map_subs(rel, lambda sub: rewrite(sub, change)))


def map_subs(rel: Rel, change: Callable[[Rel], Rel]) -> Rel:
    """Apply `change` to the relations of the sub-queries that stand directly in this node's scalars."""
    old = scalars(rel)
    for e in old:
        if e.traits & sc.SUB:
            break
    else:
        return rel
    return with_scalars(rel, tuple(sc.transform(e, lambda _: None, change) for e in old))


def substitute_rel(rel: Rel, items: Mapping[int, Scalar]) -> Rel:
    """Columns from outside replaced by what stands for them, throughout a (correlated) relation."""
    below = with_inputs(rel, tuple(substitute_rel(branch, items) for branch in inputs(rel)))
    return with_scalars(below, tuple(sc.substitute(e, items) for e in scalars(below)))


def outer_columns(rel: Rel) -> frozenset[int]:
    """Ids that a relation reads but does not produce itself: its correlation."""
    return _read(rel) - produced(rel)


def _read(rel: Rel) -> frozenset[int]:
    own = (sc.columns(e) for e in scalars(rel))
    return frozenset().union(*own, *(_read(branch) for branch in inputs(rel)))


def produced(rel: Rel) -> frozenset[int]:
    """Every id that is produced anywhere in the tree."""
    return ids(rel).union(*(produced(branch) for branch in inputs(rel)))


def scans(rel: Rel) -> Iterator[Scan]:
    """The tables that a relation reads, without those of its scalars' sub-queries."""
    if isinstance(rel, Scan):
        yield rel
    for branch in inputs(rel):
        yield from scans(branch)


def volatile_rel(rel: Rel) -> bool:
    """Whether two evaluations of the relation in one statement may differ."""
    if isinstance(rel, Opaque) or (isinstance(rel, Local) and rel.volatile):
        return True
    for e in scalars(rel):
        if e.traits & sc.VOLATILE:
            return True
    return any(volatile_rel(branch) for branch in inputs(rel))


def unsteady(rel: Rel) -> bool:
    """Whether two evaluations over the same rows may differ by the order in which these come."""
    own = isinstance(rel, Limit | Window | Opaque) or (isinstance(rel, Distinct) and rel.on is not None)
    return own or any(unsteady(branch) for branch in inputs(rel))


def col(pair: tuple[int, PgType | None]) -> Col:
    """The scalar that reads an output column."""
    return Col(*pair)
