"""Answers statements. `Engine.run` is the life of a query; everything else here prepares or explains it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from cache.results import ResultCache
from connectors.base import Bound, Cancel, Connector
from connectors.errors import Error, SourceError
from federation import bind, inspect
from federation.answer import Answer, result
from federation.budgets import Bounded
from federation.deadline import Deadline, within
from federation.duck import Duck
from federation.explain import Explanation
from federation.fetch import Fetcher
from federation.freshness import down, freshness, sides
from federation.freshness.contract import Contract
from federation.gate.breaker import matters
from federation.gate.gates import Gates
from federation.gate.permit import Load
from federation.generations import Generation
from federation.merge import InCanon, Merger, Unheld, compute, single
from federation.operations.system import System
from federation.prepare import Analysing, Counts, Planner, Prepared, Preparer, hinted
from federation.query import Query, Running, Watched
from federation.result import Result
from federation.reuse.invalidate import changed
from federation.session import Session
from federation.snapshots import SnapshotLost
from federation.statistics import Statistician
from federation.steps import Asked, Fetched
from federation.watch import Watch
from planner.plan import Fragment
from planner.statement import Statement
from views.catalog import Catalog
from views.max_age import MaxAge

T = TypeVar("T")
Compute = Callable[[Prepared], Awaitable[Sequence[Bound] | None]]

AGAIN = 3  # times that a query is asked anew whose snapshot was lost
FOREVER = 86_400.0  # seconds; for work that belongs to all who wait for it, each with a deadline of their own


@dataclass(slots=True)
class Engine:
    """Handed its parts; `close` it. `restricted`: a user may read only what was granted; `containment`: kept rows
    answer statements that ask for some of them; `max_ages` are users' own."""

    catalog: Catalog
    connectors: Mapping[str, Connector]
    canon: Any
    analyser: Analysing
    plan: Planner
    in_canon: InCanon
    cache: ResultCache
    duck: Duck
    restricted: bool = False
    containment: bool = True
    max_ages: Mapping[str, MaxAge] = field(default_factory=dict)
    statistician: Statistician = field(default_factory=Statistician)
    watch: Watch = field(default_factory=Watch)
    gates: Gates = field(default_factory=Gates)
    running: Running = field(init=False)
    _fetcher: Fetcher = field(init=False)
    _merger: Merger = field(init=False)
    _preparer: Preparer = field(init=False)
    _chores: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.running = Running(self.watch.ended)
        self._fetcher = Fetcher(self.cache, self.watch, self.gates, self.containment)
        self.statistician.gates = self.gates
        self._merger = Merger(self.duck, self.in_canon)
        self._preparer = Preparer(self.analyser, self.plan, self.catalog)
        self._fetcher.swap(self.catalog, self.connectors)

    async def query(
        self, sql: str, session: Session, params: Sequence[Bound] = (), cancel: Cancel | None = None
    ) -> Result:
        """Prepare and run."""
        return await self.run(await self.prepare(sql, session), params, session, cancel or Cancel())

    async def prepare(
        self, sql: str, session: Session, statement: Statement | None = None, declared: Sequence[int] = ()
    ) -> Prepared:
        """Analyse (unless `statement` is given) and plan; remembered by text and by shape until the catalog changes."""
        if statement is not None:
            return hinted(self._preparer.planned(statement), sql, session.standard_strings)
        prepared = await self._preparer.prepare(sql, session, declared)
        if self.restricted:
            await self.analyser.permit(session.user, prepared.statement.relations)
        return prepared

    async def chosen(self, prepared: Prepared, params: Sequence[Bound], session: Session) -> Prepared:
        """The statement under the plan that suits these values, over copies where the asker allows their age."""
        prepared = prepared.for_values(params, session)
        contract = self._contract(prepared, session)
        if contract is None or not self.catalog.copies:
            return prepared
        return await sides.choose(prepared, params, session, contract, self._fetcher.ages)

    async def run(self, prepared: Prepared, params: Sequence[Bound], session: Session, cancel: Cancel) -> Result:
        """The answer: one source's rows as they come, or fetched and merged; shared, and kept for its TTL."""
        prepared = await self._ready(prepared, params, session)
        query = self._begun(prepared, session, cancel)
        attempt = partial(self._run, params=params, query=query)
        prepared, answer = await self._answers(prepared, params, query, attempt)
        answer.parts += down.parts(prepared.plan, prepared.missing, prepared.terms.readers)
        answer.parts += prepared.terms.aside
        return _watched(answer, query)

    async def _ready(self, prepared: Prepared, params: Sequence[Bound], session: Session) -> Prepared:
        """The statement under the plan to run, which is one of the present catalog."""
        while True:
            prepared = await self.chosen(await self._present(prepared, session), params, session)
            if self._preparer.fits(prepared):
                return prepared

    async def _present(self, prepared: Prepared, session: Session) -> Prepared:
        """The same statement over the present catalog, where it was prepared over another. QueryError, as PostgreSQL
        has it, where it is not the same any more."""
        while not self._preparer.fits(prepared):
            prepared = await self._preparer.anew(prepared, session)
            if self.restricted:
                await self.analyser.permit(session.user, prepared.statement.relations)
        return prepared

    def _contract(self, prepared: Prepared, session: Session) -> Contract | None:
        """What the statement, else the session, else the user's own default says of its answer's age; QueryError 22023
        for a source that is not there."""
        said = session.max_age if prepared.max_age is None else prepared.max_age
        said = self.max_ages.get(session.user) if said is None else said
        if said is None or said == MaxAge():
            return None
        freshness.check(said, self.catalog.sources)
        return Contract(said, time.time())

    def _begun(self, prepared: Prepared, session: Session, cancel: Cancel) -> Query:
        contract = self._contract(prepared, session)
        query = self.running.begin(prepared, session, cancel, self._fetcher.sender.generations.present)
        query.contract = contract
        return query

    async def _answers(
        self, prepared: Prepared, params: Sequence[Bound], query: Query, attempt: Callable[..., Awaitable[T]]
    ) -> tuple[Prepared, T]:
        """As `_endured`; an error ends the query, and tells the best age there is where its asker demands one."""
        try:
            return await self._endured(prepared, params, query, attempt)
        except BaseException as error:
            query.end(error)
            if query.contract is None or not isinstance(error, SourceError):
                raise
            told = await sides.nearest(error, prepared.plan, self.catalog, query.contract, self._fetcher.ages)
            if told is error:
                raise
            raise told from error

    async def _endured(
        self, prepared: Prepared, params: Sequence[Bound], query: Query, attempt: Callable[..., Awaitable[T]]
    ) -> tuple[Prepared, T]:
        """What `attempt(prepared, deadline=...)` gives, and of which plan: without values that no source has, and
        without the sources that turn out to be down where the views allow that; all in one deadline."""
        deadline = prepared.terms.deadline(query.session)
        query.deadline = deadline.at
        lost = 0
        while True:
            try:
                return prepared, await attempt(prepared, deadline=deadline)
            except Unheld:
                if prepared.plain:
                    raise
                prepared = prepared.plainly(params, query.session)
            except SnapshotLost as error:  # by another query's error, or with a server: this one did nothing wrong
                lost += AGAIN if error.server else 1
                if lost > AGAIN:
                    raise
            except Error as error:
                prepared = self.without(prepared, params, query.session, error)

    def without(self, prepared: Prepared, params: Sequence[Bound], session: Session, error: Error) -> Prepared:
        """The statement over originals where the source of their copies is at fault, over empty tables of the source
        that `error` says is down; else, and where a view does not allow that, `error` is raised."""
        if any(copy == error.source for _, (copy, _) in prepared.plan.copies) and isinstance(error, SourceError):
            return prepared.reading((), params, session)  # the originals are there still
        source = self.catalog.sources.get(error.source or "")
        policy = prepared.terms.policies.get(error.source or "", down.FAIL)
        if source is None or policy.then == "fail" or source.name in prepared.absent:
            raise error
        if not matters(error, source.limits.timeout):
            raise error
        return prepared.without(down.Missing(source.name, policy.then, error.message), params, session)

    async def _run(self, prepared: Prepared, params: Sequence[Bound], query: Query, deadline: Deadline) -> Result:
        prepared = await self._inspected(prepared, params, query, deadline)
        if prepared.terms.refused is not None:
            raise prepared.terms.refused
        return _bounded(await self._answered(prepared, prepared.given(params), query, deadline), prepared)

    async def _answered(self, prepared: Prepared, params: Sequence[Bound], query: Query, deadline: Deadline) -> Result:
        if prepared.plan.streams:
            return await self._stream(prepared, params, query, deadline)
        async with within(deadline, query.cancel, lambda: self._fetcher.states(prepared.terms.steps)):
            if prepared.terms.cacheable:
                answer, how = await self._shared(prepared, params, query)
            else:
                answer, how = await self._merged(prepared, params, query), "miss"
            return result(prepared.plan, answer, how, deadline, query.cancel)

    async def gather(
        self,
        prepared: Prepared,
        params: Sequence[Bound],
        session: Session,
        cancel: Cancel,
        compute: Compute | None = None,
    ) -> tuple[Prepared, Fetched]:
        """The rows of all fragments, for a caller that merges by itself, and the statement whose plan they are of; else
        as `run`. With `compute` the caller computes by itself, where it gives values. The caller ends `Fetched.query`,
        or has `merge` do it."""
        prepared = await self._present(prepared, session)
        query = self._begun(prepared, session, cancel)
        attempt = partial(self._gathered, params=params, query=query, compute=compute)
        prepared, fetched = await self._answers(prepared, params, query, attempt)
        fetched.parts += down.parts(prepared.plan, prepared.missing, prepared.terms.readers)
        fetched.parts += prepared.terms.aside
        query.parts, query.engine, fetched.query = fetched.parts, "canon", query
        return prepared, fetched

    async def _gathered(
        self, prepared: Prepared, params: Sequence[Bound], query: Query, deadline: Deadline, compute: Compute | None
    ) -> Fetched:
        if prepared.terms.refused is not None:
            raise prepared.terms.refused
        computed = None if compute is None else await compute(prepared)
        given = prepared.given(params)
        async with self._asked(prepared, given, query, deadline, query.cancel, computed) as asked:
            return await self._fetcher.gather(prepared.terms.steps, asked)

    async def merge(
        self, prepared: Prepared, fetched: Fetched, params: Sequence[Bound], session: Session, cancel: Cancel
    ) -> Result:
        """The answer from rows that `gather` fetched."""
        deadline = prepared.terms.deadline(session)
        with fetched.guarded():
            merged = await self._merger.run(prepared.plan, fetched, prepared.given(params), session)
        answer = _bounded(result(prepared.plan, Answer(merged, fetched), "miss", deadline, cancel), prepared)
        return answer if fetched.query is None else _watched(answer, fetched.query)

    async def explain(
        self, sql: str, session: Session, params: Sequence[Bound] = (), analyze: bool = False
    ) -> Explanation:
        """How a statement is answered; with `analyze` it is run, and its rows are counted and dropped."""
        prepared = await self.prepare(sql, session)
        if params or not prepared.statement.params:
            prepared = await self.chosen(prepared, params, session)
            with contextlib.suppress(Unheld):  # told by the estimate alone then
                deadline = prepared.terms.deadline(session)
                prepared = await self._inspected(prepared, params, Query("", session, Cancel()), deadline)
            params = prepared.given(params)
        told = await self.aged(Explanation(prepared, tuple(params)), session)
        if not analyze:
            return told
        began = time.perf_counter()
        answer = await self.run(prepared, params, session, Cancel())
        rows = sum([batch.num_rows async for batch in answer.batches])
        return replace(told, result=answer, rows=rows, ms=(time.perf_counter() - began) * 1000)

    async def aged(self, told: Explanation, session: Session) -> Explanation:
        """The same with how old its data may be, and how old copies are that it reads."""
        contract, edition = self._contract(told.prepared, session), self.catalog.edition
        sources = {source for _, (source, _) in told.plan.copies}
        as_of = {source: (await self._fetcher.ages.word(source, edition(source))).as_of for source in sources}
        return replace(told, max_age=None if contract is None else contract.allowed, as_of=as_of)

    async def swap(
        self, catalog: Catalog, connectors: Mapping[str, Connector], changed: Iterable[str] | None = None
    ) -> None:
        """Serve another catalog from now on; what runs goes on. Connectors that are gone close when they are idle.
        `changed` sources (None: all) are asked what they know of their tables."""
        # all at once: a plan over one catalog must not meet the connectors of another
        self.catalog, self.connectors = catalog, connectors
        retired = self._fetcher.swap(catalog, connectors)
        self._inform()
        self.analyser.reset()
        if retired:
            chore = asyncio.create_task(self._fetcher.sender.retire(retired))
            self._chores.add(chore)
            chore.add_done_callback(self._chores.discard)
        await self.refresh_statistics(changed)

    async def refresh_statistics(self, names: Iterable[str] | None = None) -> None:
        """Read what these sources (all where None) know of their tables; plans stay, unless tables have grown much."""
        await self.statistician.refresh(self.catalog, self.connectors, names)
        self._inform()

    def _inform(self) -> None:
        self.catalog = replace(self.catalog, statistics=self.statistician.current)
        self._preparer.catalog = self.catalog

    @property
    def system(self) -> System:
        """What it tells of itself in tables."""
        return self._fetcher.system

    @system.setter
    def system(self, system: System) -> None:
        self._fetcher.system = system

    def stop(self, source: str, why: Error) -> None:
        """End all that runs at a source; whoever waits for it is told why."""
        self._fetcher.sender.stop(source, why)

    def invalidate(self, name: str, key: Mapping[str, Any] | None = None, refresh: bool = False) -> int:
        """Forget what is kept of a source ("crm"), a table or view ("crm.customers"), or of a view's rows by values of
        its key; what is asked from now on is read anew, with `refresh` at once. Says how many kept values went."""
        return changed(name, self.catalog, key).forget(self.cache, refresh)

    @property
    def preparing(self) -> Counts:
        """What understanding and planning statements has cost since the start."""
        return self._preparer.counts

    @property
    def loads(self) -> Mapping[str, Load]:
        """What each source has been asked since the start."""
        return self._fetcher.loads

    async def close(self) -> None:
        """Stop everything that runs and close the connectors; the canon is its owner's to stop."""
        await self._fetcher.close()
        await asyncio.gather(*self._chores, return_exceptions=True)
        await self.duck.close()

    async def _stream(self, prepared: Prepared, params: Sequence[Bound], query: Query, deadline: Deadline) -> Result:
        """Fragment 0 as it comes; what it needs keys of, before."""
        steps = prepared.terms.steps
        async with self._asked(prepared, params, query, deadline, query.cancel) as asked:
            others = [step for step in steps if step.fragment.id]
            before = await self._fetcher.gather(others, asked) if others else Fetched({}, [])
            (first,) = (step for step in steps if not step.fragment.id)
            names = [name for name, _ in prepared.plan.columns]
            batches, parts = await self._fetcher.stream(first, asked, before, names)
        cached = all(part.cache in ("hit", "contained") for part in parts)
        return Result(prepared.plan.columns, batches, prepared.plan, "stream", cached, parts)

    async def _shared(self, prepared: Prepared, params: Sequence[Bound], query: Query) -> tuple[Answer, str]:
        """The kept answer, or that of the run under way for whoever asks the same, or of a run of our own."""
        session = query.session
        settings = tuple(sorted(session.settings.items()))
        key: tuple[Any, ...] = ("answer", prepared.terms.signature, bind.frozen(params), session.user, settings)
        run = partial(self._merged, prepared, params, query)
        keep, contract, steps = prepared.terms.keep, query.contract, prepared.terms.steps
        if contract is not None:
            kept = self.cache.peek(key, keep)
            if kept is not None and contract.all_hold(steps, kept.value.parts, self._fetcher.ages):
                return kept.value, "hit"
            key = (*key, contract.allowed)  # a run for others may find too old what is not for them
            keep = replace(keep, max_age=contract.kept(contract.least(steps)))
        oldest = self.cache.clock() - keep.max_age
        found = await self.cache.get_or_run(
            key,
            keep,
            run,
            Answer.size,
            born=Answer.born,
            dispose=Answer.drop,
            cost=Answer.cost,
            until=Answer.fresh_until,
            floor=lambda: oldest,
            renewable=False,
        )
        young = contract is None or contract.all_hold(steps, found.value.parts, self._fetcher.ages)
        if young and (found.value.whole or found.value.merged.rest is not None):
            return found.value, found.how
        return await run(), "miss"  # it is too old, or large, and another client is taking the rest of it

    async def _merged(self, prepared: Prepared, params: Sequence[Bound], query: Query) -> Answer:
        """Fetch and merge. Under no client's deadline or cancel: it ends when nobody waits for it any more."""
        async with self._asked(prepared, params, query, Deadline.after(FOREVER), Cancel()) as asked:
            fetched = await self._fetcher.gather(prepared.terms.steps, asked)
        self._learn(prepared, fetched)
        session = replace(query.session, timeout=FOREVER)
        return Answer(await self._merger.run(prepared.plan, fetched, params, session), fetched)

    async def _inspected(
        self, prepared: Prepared, params: Sequence[Bound], query: Query, deadline: Deadline
    ) -> Prepared:
        """The plan that keeps within the owners' budgets, if there is one: where the estimates leave that open, the
        sources' EXPLAIN tells, and planning takes its word."""
        questions = prepared.terms.questions
        if not questions:
            return prepared
        given = prepared.given(params)
        async with self._asked(prepared, given, query, deadline, query.cancel) as asked:
            asker = self._fetcher.sender.generation(query)
            known = [await self._known(step.fragment, asked.given, asker) for step in questions]
        if not any(known):
            return prepared
        self._inform()
        prepared.family.renew(self.catalog)
        return prepared.for_values(params, query.session)

    async def _known(self, fragment: Fragment, given: bind.Given, asker: Generation) -> bool:
        """Whether it is known what the fragment's source would examine for it; its EXPLAIN is asked once."""
        fingerprint = fragment.expected.fingerprint
        if self.statistician.knows(fingerprint):
            return True
        for query in bind.queries(fragment, given, {}):
            connector = asker.connectors.get(fragment.source)
            told = await inspect.examined(fragment, query, connector, self.catalog, self.gates.of(fragment.source))
            if told is not None:
                self.statistician.read(fingerprint, told)
        return self.statistician.knows(fingerprint)

    def _learn(self, prepared: Prepared, fetched: Fetched) -> None:
        """From the rows that came: for other plans, and for this one where they were far from what was expected."""
        wrong = False
        for part in fetched.parts:
            expected = prepared.plan.fragments[part.fragment].expected
            if part.cache == "miss":
                wrong |= self.statistician.measured(expected.fingerprint, part.rows, expected.rows)
        if self.statistician.current is not self.catalog.statistics:
            self._inform()
        if wrong:
            prepared.family.renew(self.catalog)

    @contextlib.asynccontextmanager
    async def _asked(
        self,
        prepared: Prepared,
        params: Sequence[Bound],
        query: Query,
        deadline: Deadline,
        cancel: Cancel,
        computed: Sequence[Bound] | None = None,
    ) -> AsyncIterator[Asked]:
        if computed is None and prepared.plan.computed:
            async with within(deadline, cancel):
                computed = await compute(self.in_canon, prepared.plan, params, query.session)
        sources = [step.fragment.source for step in prepared.terms.steps]
        sender = self._fetcher.sender
        generation = sender.generation(query)
        fresh = partial(_fresh, prepared, query)
        with generation.held(), sender.kept.of(sources, generation.connectors, fresh) as snapshots:
            asked = Asked(query, bind.Given(params, computed or ()), deadline, cancel, snapshots=snapshots)
            if prepared.plan.boundaries:
                await self._boundaries(prepared, asked)
            yield asked

    async def _boundaries(self, prepared: Prepared, asked: Asked) -> None:
        """Read the boundaries, once for the whole query."""
        numbers = prepared.plan.boundaries
        first = [step for step in prepared.terms.steps if step.fragment.id in numbers]
        asked.ready = await self._fetcher.gather(first, asked)
        tables, kinds = asked.ready.tables, {step.fragment.id: step.fragment.columns[0][1] for step in first}
        values = [single(tables[at], kinds[at]) if at in tables else None for at in numbers]
        asked.given = replace(asked.given, boundaries=values)


def _watched(answer: Result, query: Query) -> Result:
    query.engine = answer.engine
    answer.batches = Watched(answer.batches, answer.parts, query)
    return answer


def _fresh(prepared: Prepared, query: Query, source: str) -> float:
    """Seconds that a source's data may be behind in that query."""
    steps = [step for step in prepared.terms.steps if step.fragment.source == source]
    return math.inf if query.contract is None else query.contract.least(steps)


def _bounded(answer: Result, prepared: Prepared) -> Result:
    view = prepared.terms.most
    if view is not None and view.max_rows is not None:
        answer.batches = Bounded(answer.batches, view.max_rows, f"{view.schema}.{view.name}", view.file)
    return answer
