"""From the placed statement to a Plan: fragments numbered and written out, the residual in both merge dialects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from connectors.capability import Capability, capability, duckdb
from connectors.types import PgType
from planner import ir
from planner import scalar as sc
from planner.absent import absences, both
from planner.access import expected
from planner.context import Context
from planner.emit import Emitter
from planner.ir import Cut, Rel
from planner.keys import one_group, unique_keys
from planner.merge import Stager
from planner.parts import STAGE
from planner.plan import Fragment, KeysRef, Plan, SourceText, Stage, Verdict
from planner.rules.boundaries import used
from planner.scalar import Boundary, Col, KeyIn, Scalar
from planner.scope import Columns
from planner.statement import Statement
from planner.targets import CanonTarget, DuckdbTarget, SourceTarget

_DUCKDB = duckdb.MERGE


def assemble(
    rel: Rel,
    columns: Columns,
    statement: Statement,
    context: Context,
    computed: list[tuple[Scalar, PgType]],
    boundaries: Sequence[Cut],
    reason: str = "",
) -> Plan:
    """The plan of a placed statement; its output columns are `columns` by id; `reason`: why it is not modelled."""
    rel = straight(rel, [i for _, i, _ in columns])
    book = Book(context, rel, bool(statement.params or computed or boundaries))
    before = book.boundaries(boundaries, used(rel))
    plan = Plan(
        fragments=book.fragments,
        columns=statement.columns,
        params=statement.params,
        session=statement.session,
        catalog_version=context.catalog.version,
        volatile=ir.volatile_rel(rel),
        computed=tuple((_canon(e), kind) for e, kind in computed),
        boundaries=before,
        pruned=tuple(dict.fromkeys(context.pruned)),
        views=tuple(view.key for view in context.catalog.views_behind(statement.relations)),
    )
    if isinstance(rel, Cut) and _streams(rel, columns, statement):
        kinds = tuple((name, kind) for name, kind in statement.columns)
        return replace(plan, fragments=(replace(book.fragments[0], columns=kinds), *book.fragments[1:]))
    names = [(i, f"c{at}") for at, (_, i, _) in enumerate(columns)]
    plan = replace(plan, residual=_residual(rel, names, book.numbers))
    stager = Stager(_DUCKDB, context.next_id)
    rest, whole = stager.run(rel)
    reasons = [f"not modelled: {reason}"] if reason else stager.reasons
    plan = replace(plan, why_canon="" if whole or not reasons else reasons[0])
    if whole:
        wanted = tuple(kind for _, kind in statement.columns)
        return replace(plan, stages=(_stage(rel, names, wanted, len(book.fragments), book.numbers, len(plan.params)),))
    return _staged(plan, rest, names, book)


def _residual(rel: Rel, names: list[tuple[int, str]], numbers: Mapping[int, int]) -> str:
    return Emitter(CanonTarget(numbers)).query(rel, names).sql("postgres", comments=False, copy=False)


def _staged(plan: Plan, rest: Rel, names: list[tuple[int, str]], book: Book) -> Plan:
    """The plan with its stages, if there are any, and the statement over their rows."""
    numbers = dict(book.numbers)
    stages: list[Stage] = []
    read: list[Fragment] = []
    for cut in _cuts(rest):
        if cut.source != STAGE:
            read.append(plan.fragments[numbers[id(cut)]])
            continue
        number = numbers[id(cut)] = len(plan.fragments) + len(stages)
        kinds = tuple(kind for _, kind in cut.columns)
        own = [(i, f"c{at}") for at, (i, _) in enumerate(cut.columns)]
        stages.append(_stage(cut.rel, own, kinds, number, numbers, len(plan.params)))
        named = tuple(zip((name for _, name in own), kinds, strict=True))
        read.append(Fragment(number, STAGE, SourceText((stages[-1].sql,), ()), named))
    if not stages:
        return plan
    read += [plan.fragments[numbers[-1 - at]] for at in used(rest, merged=True)]
    unique = tuple({fragment.id: fragment for fragment in read}.values())
    inner = Plan(unique, plan.columns, plan.params, _residual(rest, names, numbers), session=plan.session)
    return replace(plan, stages=tuple(stages), rest=inner)


def _stage(
    rel: Rel,
    names: list[tuple[int, str]],
    kinds: tuple[PgType, ...],
    number: int,
    numbers: Mapping[int, int],
    params: int,
) -> Stage:
    query = Emitter(DuckdbTarget(_DUCKDB, numbers, params)).query(rel, names)
    sql = query.sql("duckdb", comments=False, copy=False)
    read = {numbers[id(cut)] for cut in _cuts(rel)} | {numbers[-1 - at] for at in used(rel, merged=True)}
    return Stage(number, sql, kinds, tuple(sorted(read)))


def _canon(e: Scalar) -> str:
    return Emitter(CanonTarget({})).scalar(e, {}).sql("postgres", comments=False, copy=False)


def _streams(rel: Cut, columns: Columns, statement: Statement) -> bool:
    """Whether the fragment's rows are the answer: every column of the type that the canon gave it."""
    if len(rel.columns) != len(columns) or not columns:
        return False
    return all(
        i == wanted and kind.name == exact.name and (kind.name != "numeric" or kind.arrow == exact.arrow)
        for (i, kind), (_, wanted, _), (_, exact) in zip(rel.columns, columns, statement.columns, strict=True)
    )


def straight(rel: Rel, ids: Sequence[int] | None = None) -> Rel:
    """A projection that only picks columns of a fragment is the fragment with these columns: `ids`, or all."""
    wanted = [i for i, _ in ir.output(rel)] if ids is None else ids
    if not wanted:
        return rel
    if isinstance(rel, ir.Project) and isinstance(rel.input, Cut) and all(isinstance(e, Col) for _, e in rel.items):
        items = {i: e for i, e in rel.items if isinstance(e, Col)}
        kinds = dict(rel.input.columns)
        if all(e.id in kinds for e in items.values()):
            inner = ir.Project(rel.input.rel, tuple((i, items[i]) for i in dict.fromkeys(wanted)))
            picked = tuple((i, kinds[items[i].id]) for i in dict.fromkeys(wanted))
            rel = Cut(rel.input.source, inner, picked, rel.input.verdicts)
    if isinstance(rel, Cut) and set(wanted) == {i for i, _ in rel.columns}:
        kinds = dict(rel.columns)
        rel = Cut(rel.source, rel.rel, tuple((i, kinds[i]) for i in dict.fromkeys(wanted)), rel.verdicts)
    return rel


def _cuts(rel: Rel) -> Iterator[Cut]:
    if isinstance(rel, Cut):
        yield rel
        return
    for e in ir.scalars(rel):
        for sub in sc.subs(e):
            yield from _cuts(sub.rel)
    for branch in ir.inputs(rel):
        yield from _cuts(branch)


class Book:
    """Numbers the fragments: drivers before those that need their keys, equal ones once.

    `run_time`: there are values that only a run knows, so fragments say when they need not be asked.
    """

    def __init__(self, context: Context, rel: Rel, run_time: bool) -> None:
        cuts = list(_cuts(rel))
        self.catalog = context.catalog
        self.estimator = context.estimator
        self.renames = dict(_renames(rel))
        self.owner = {i: cut for cut in cuts for i, _ in cut.columns}
        self.numbers: dict[int, int] = {}
        self.made: list[Fragment] = []
        self.shapes: dict[object, int] = {}
        self.absent = absences(rel) if run_time else {}
        for cut in cuts:
            self._number(cut, ())

    @property
    def fragments(self) -> tuple[Fragment, ...]:
        """All that were numbered."""
        return tuple(self.made)

    def boundaries(self, cuts: Sequence[Cut], wanted: frozenset[int]) -> tuple[int, ...]:
        """Number the boundaries that are wanted, behind all others; what others bind is not read stands as -1."""
        for at in sorted(wanted):
            self.numbers[-1 - at] = self._add(cuts[at], {})
        return tuple(self.numbers.get(-1 - at, -1) for at in range(len(cuts)))

    def _driver(self, column: int) -> tuple[Cut, int] | None:
        """The fragment and position whose column a driver's id is, through renaming projections."""
        seen: set[int] = set()
        while column not in self.owner and column in self.renames and column not in seen:
            seen.add(column)
            column = self.renames[column]
        cut = self.owner.get(column)
        return (cut, [i for i, _ in cut.columns].index(column)) if cut is not None else None

    def _number(self, cut: Cut, waiting: tuple[int, ...]) -> int:
        """The fragment's number; `waiting` are those that need it, which it cannot need in turn."""
        if id(cut) in self.numbers:
            return self.numbers[id(cut)]
        waiting = (*waiting, id(cut))
        drivers: dict[int, KeysRef] = {}
        for key in _keys(cut.rel):
            found = self._driver(key.driver)
            if found is None or id(found[0]) in waiting:
                continue
            kind = found[0].columns[found[1]][1]
            drivers[key.driver] = KeysRef(self._number(found[0], waiting), found[1], kind.bare.array)
        return self._add(cut, drivers)

    def _add(self, cut: Cut, drivers: Mapping[int, KeysRef]) -> int:
        source = self.catalog.sources[cut.source]
        cap = capability(source.profile) if source.profile is not None else None
        if cap is None:
            cap = Capability("?", "postgres", {}, {}, {}, {}, lambda e, _f, _d, _n: [e])
        text = write(cut, cap, drivers)
        unsure = _unsure(cut.rel)
        full = write(cut, cap, {}, unsure) if drivers or unsure else None
        kinds = tuple((f"c{at}", kind) for at, (_, kind) in enumerate(cut.columns))
        shape = (cut.source, text.parts, text.params, kinds)
        absent = self.absent.get(id(cut))
        if shape in self.shapes:
            known = self.made[self.shapes[shape]]
            self.made[known.id] = replace(known, absent=both(known.absent, absent))
        else:
            self.shapes[shape] = len(self.made)
            small = any(not key for key in unique_keys(cut.rel)) or one_group(cut.rel) or _short(cut.rel)
            tables = tuple(dict.fromkeys(_tables(cut.rel)))
            number = len(self.made)
            rel = ir.rewrite(cut.rel, lambda node: _with_keys(node, drivers))
            small = small or bool(drivers)
            costs, notes = expected(rel, self.estimator), _notes(cut)
            self.made.append(Fragment(number, cut.source, text, kinds, notes, full, small, tables, costs, absent))
        self.numbers[id(cut)] = self.shapes[shape]
        return self.shapes[shape]


def write(
    cut: Cut, cap: Capability, drivers: Mapping[int, KeysRef], without: frozenset[Scalar] = frozenset()
) -> SourceText:
    """The fragment's statement; keys without a driver fall away, and so do the predicates `without`."""
    target = SourceTarget(cap, dict(drivers))
    rel = ir.rewrite(cut.rel, lambda node: _with_keys(node, drivers, without))
    names = [(i, f"c{at}") for at, (i, _) in enumerate(cut.columns)]
    return target.finish(Emitter(target).query(rel, names))


def _unsure(rel: Rel) -> frozenset[Scalar]:
    """The conjuncts that compare with boundaries which may have several rows."""
    own = rel.predicates if isinstance(rel, ir.Filter) else ()
    found = (p for p in own if any(isinstance(e, Boundary) and not e.sure for e in sc.walk(p)))
    return frozenset(found).union(*(_unsure(branch) for branch in ir.inputs(rel)))


def _with_keys(node: Rel, drivers: Mapping[int, KeysRef], without: frozenset[Scalar] = frozenset()) -> Rel:
    if not isinstance(node, ir.Filter):
        return node
    kept = tuple(p for p in node.predicates if (not isinstance(p, KeyIn) or p.driver in drivers) and p not in without)
    return ir.Filter(node.input, kept) if kept else node.input


def _keys(rel: Rel) -> Iterator[KeyIn]:
    if isinstance(rel, ir.Filter):
        yield from (p for p in rel.predicates if isinstance(p, KeyIn))
    for branch in ir.inputs(rel):
        yield from _keys(branch)


def _renames(rel: Rel) -> Iterator[tuple[int, int]]:
    if isinstance(rel, ir.Project):
        yield from ((i, e.id) for i, e in rel.items if isinstance(e, Col))
    for e in ir.scalars(rel):
        for sub in sc.subs(e):
            yield from _renames(sub.rel)
    if not isinstance(rel, Cut):
        for branch in ir.inputs(rel):
            yield from _renames(branch)


def _short(rel: Rel) -> bool:
    """Whether a small LIMIT bounds the fragment."""
    while isinstance(rel, ir.Project):
        rel = rel.input
    if not isinstance(rel, ir.Limit) or not isinstance(rel.count, sc.Lit) or rel.count.value is None:
        return False
    return int(rel.count.value) <= 1000


def _tables(rel: Rel) -> Iterator[str]:
    if isinstance(rel, ir.Scan):
        yield rel.table.name
    for branch in ir.inputs(rel):
        yield from _tables(branch)


def _notes(cut: Cut) -> tuple[Verdict, ...]:
    return tuple(dict.fromkeys(cut.verdicts))
