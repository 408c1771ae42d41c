"""From the placed statement to a Plan: fragments numbered and written out, the residual in both merge dialects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from connectors.capability import duckdb
from connectors.types import PgType
from planner import ir
from planner.context import Context
from planner.emit import Emitter
from planner.fragments import Book, cuts_in
from planner.ir import Cut, Rel
from planner.merge import Stager
from planner.parts import STAGE
from planner.plan import Fragment, Plan, SourceText, Stage
from planner.rules.boundaries import used
from planner.scalar import Col, Scalar
from planner.scope import Columns
from planner.statement import Statement
from planner.targets import CanonTarget, DuckdbTarget, Unwritable

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
    try:
        return _merged(plan, rest, whole, names, book, statement)
    except Unwritable as missing:  # proven, in a shape that has no rule by now: the canon has the whole statement
        return replace(plan, why_canon=f"{missing} as it stands here")


def _merged(plan: Plan, rest: Rel, whole: bool, names: list[tuple[int, str]], book: Book, statement: Statement) -> Plan:
    """The plan with what DuckDB merges of it."""
    if whole and isinstance(rest, Cut):
        wanted = tuple(kind for _, kind in statement.columns)
        # As the stager left it: `rel` may still compute, for nobody, what only the canon can.
        return replace(
            plan, stages=(_stage(rest.rel, names, wanted, len(book.fragments), book.numbers, len(plan.params)),)
        )
    return _staged(plan, rest, names, book)


def _residual(rel: Rel, names: list[tuple[int, str]], numbers: Mapping[int, int]) -> str:
    return Emitter(CanonTarget(numbers)).query(rel, names).sql("postgres", comments=False, copy=False)


def _staged(plan: Plan, rest: Rel, names: list[tuple[int, str]], book: Book) -> Plan:
    """The plan with its stages, if there are any, and the statement over their rows."""
    numbers = dict(book.numbers)
    stages: list[Stage] = []
    read: list[Fragment] = []
    for cut in cuts_in(rest):
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
    read = {numbers[id(cut)] for cut in cuts_in(rel)} | {numbers[-1 - at] for at in used(rel, merged=True)}
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
