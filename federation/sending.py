"""One statement, one source: through its gate, in a thread or on the loop. The only crossing from async to threads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple, cast

import pyarrow as pa

from cache.results import ResultCache
from connectors.base import Cancel, Connector, Prompt, SourceQuery, Stale
from connectors.errors import Error, SourceError
from connectors.replicas import elsewhere
from connectors.stopping import hanging, timed_out
from federation.channel import Channel
from federation.deadline import Deadline
from federation.exchange import Exchange
from federation.freshness import age
from federation.freshness.age import Ages
from federation.gate.gate import Gate
from federation.gate.gates import Gates
from federation.gate.permit import Permit, Wish
from federation.gate.refusals import reason
from federation.generations import Generation, Generations
from federation.naming import named
from federation.query import Query, outcome
from federation.snapshots import Held, Kept, lost
from federation.steps import Rows, Step
from federation.watch import Sent, Watch
from views.catalog import Catalog, Source

SLACK = 0.5  # seconds that a source has to report its own timeout, before we take it that it hangs
LOOK = 0.05  # seconds between two looks whether connectors that are gone are still in use
PATIENCE = 10.0  # seconds in which cancelled statements may end before we leave
log = logging.getLogger(__name__)


class _Work(NamedTuple):
    """With what a statement that runs is done."""

    connector: Connector
    threads: ThreadPoolExecutor


@dataclass(slots=True)
class Mark:
    """When a statement was sent, by the cache's clock; None before."""

    clock: Callable[[], float]
    at: float | None = None

    def floor(self) -> float:
        """The time before which its rows surely were not read."""
        return self.clock() if self.at is None else self.at


@dataclass(frozen=True, slots=True)
class Way:
    """How a statement reads a held state: with which permit; over a connection of its own where it runs `beside`."""

    held: Held
    permit: Permit
    beside: bool

    def run(self, query: SourceQuery) -> Callable[..., Iterator[pa.RecordBatch]]:
        """What runs it, given a timeout and a cancel."""
        return partial(self.held.snapshot.execute, query, beside=self.beside)


@dataclass(frozen=True, slots=True)
class Errand:
    """A statement to be sent: for whom (None: for ourselves), `head` bytes of the answer at once (None: all).

    Without a `deadline` the statement belongs to everybody who waits for it, each with a deadline of their own: the
    source may take its owner's time, and the statement is cancelled when the last of them has left. `held` is the state
    of the source that it reads; None: that of its own moment.
    """

    step: Step
    query: SourceQuery
    mark: Mark
    head: int | None = None
    asker: Query | None = None
    deadline: Deadline | None = None
    held: Held | None = None

    @property
    def fresh(self) -> float:
        """Seconds that its data may be behind, by its asker's contract."""
        contract = None if self.asker is None else self.asker.contract
        return math.inf if contract is None else contract.bound(self.step)

    @property
    def wish(self) -> Wish:
        """What the gate is asked for."""
        step, asker = self.step, self.asker
        tenant, until = ("", math.inf) if asker is None else (asker.session.user, asker.deadline)
        if self.deadline is not None:
            return Wish(self.deadline.at, tenant, step.kind, step.heavy, step.fingerprint)
        return Wish(until, tenant, step.kind, step.heavy, step.fingerprint, shared=True)


@dataclass(slots=True, eq=False)
class Sender:
    """Every statement that any source gets goes through here. To be used from one event loop."""

    cache: ResultCache
    watch: Watch = field(default_factory=Watch)
    gates: Gates = field(default_factory=Gates)
    ages: Ages = field(init=False)
    kept: Kept = field(init=False)  # states of sources
    generations: Generations = field(default_factory=Generations)
    _unread: dict[str, Source] = field(default_factory=dict)
    _threads: ThreadPoolExecutor | None = None
    _places: int = 0
    _running: dict[Channel | Exchange, _Work] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ages = Ages(self.cache, self._ask_age)
        self.kept = Kept(self.cache.clock)

    def swap(self, catalog: Catalog, connectors: Mapping[str, Connector]) -> list[Connector]:
        """Take over sources and limits; returns the connectors that no new statement will use."""
        retired = self.generations.swap(connectors)
        self.ages.swap({name: source.as_of for name, source in catalog.sources.items()})
        self.gates.swap(catalog, connectors)
        self.kept.bounds = {name: bound for name, one in catalog.sources.items() if (bound := one.snapshot) is not None}
        self._unread = {name: source for name, source in catalog.sources.items() if source.remembered}
        self._resize(sum(source.limits.concurrency for source in catalog.sources.values() if not source.system))
        return retired

    def _resize(self, places: int) -> None:
        """As many threads as there are places. What runs in those of before runs to its end."""
        before = self._threads
        if before is not None and places == self._places:
            return
        self._places = places
        self._threads = ThreadPoolExecutor(max(places, 1), thread_name_prefix="vdw-fetch")
        if before is not None:
            self._let_go(before)

    def _let_go(self, threads: ThreadPoolExecutor) -> None:
        """No more work for these threads, unless something that runs may need them still."""
        if threads is not self._threads and all(work.threads is not threads for work in self._running.values()):
            threads.shutdown(wait=False)

    async def retire(self, connectors: Sequence[Connector], patience: float | None = None) -> None:
        """Close connectors once nobody works with them any more, or `patience` has ended (seconds)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while self._used(connectors):  # noqa: ASYNC110  (many things end that may be the last)
                    await asyncio.sleep(LOOK)
        for connector in connectors:
            await asyncio.to_thread(connector.close)

    def _used(self, connectors: Sequence[Connector]) -> bool:
        runs = any(work.connector in connectors for work in self._running.values())
        return runs or any(self.generations.used(connector) for connector in connectors)

    async def close(self) -> None:
        """Stop every statement, wait for the threads, close every connector."""
        for channel in tuple(self._running):
            channel.close()
        await self.retire(tuple(self.generations.present.connectors.values()), PATIENCE)
        if self._threads is not None:
            self._threads.shutdown(wait=not self._running)  # a source that hangs must not hold us up

    def stop(self, source: str, why: Error) -> None:
        """End all that runs at a source; whoever waits for it is told why."""
        for way, work in tuple(self._running.items()):
            if work.connector.name == source:
                way.fail(why)

    async def read(self, errand: Errand) -> Rows:
        """The source's rows, and its word for how old they are; asked before, so that it never flatters."""
        with self.generation(errand.asker).held():
            return await self._read(errand)

    def generation(self, asker: Query | None) -> Generation:
        """The connectors that are for a query; the present ones for our own chores."""
        if asker is None or asker.generation is None:
            return self.generations.present
        return asker.generation

    async def _read(self, errand: Errand) -> Rows:
        source = errand.step.fragment.source
        as_of = (await self.ages.word(source, errand.step.version)).as_of if self.ages.tells(source) else ""
        try:
            rows = await self._run(errand)
        except Error as error:
            told = _without(error, errand, self._connector(source, errand.asker))
            told.source = source
            if told is error:
                raise
            raise told from error
        rows.as_of = age.live(rows.read_at) if self.ages.kind(source) == "live" else as_of
        if rows.served is not None and self.ages.kind(source) == "live":
            lag = rows.served.lag
            rows.as_of = "" if lag is None else age.live(rows.read_at - lag)
        return rows

    async def _run(self, errand: Errand) -> Rows:
        """Ask the source, when its gate lets us."""
        step, held = errand.step, errand.held
        gate = self.gates.of(step.fragment.source)
        if gate.source in self._unread:
            raise _unread(self._unread[gate.source])
        sent = Sent(gate.source, step.fingerprint, step.sql_of(errand.query), step.kind, errand.asker, time.time())
        way: Way | None = None
        try:
            if held is not None:
                way = await self._way(held, gate, errand)
            permit = await gate.enter(errand.wish) if way is None else way.permit
        except BaseException as error:
            sent.outcome, sent.refused = outcome(error), reason(error)
            self.watch.sent(sent)
            raise
        sent.waited = permit.waited
        if gate.shadow is not None:
            gate.shadow.examined(step.fragment.expected.examined.likely)
        try:
            longest = gate.limits.longest
            seconds = longest if errand.deadline is None else min(longest, errand.deadline.left())
            born = self.cache.clock() if way is None else way.held.born
            errand.mark.at = born if errand.mark.at is None else errand.mark.at
            read_at, began = time.time() if way is None else way.held.read_at, time.perf_counter()
            work = self._start(errand, permit, seconds, sent, way)
        except BaseException as error:
            _leave(permit, way, error)
            raise
        try:
            got = await work.head()
        except Stale:
            return await self._run(errand)
        ms = (time.perf_counter() - began) * 1000
        rest = work if isinstance(work, Channel) and not got.complete else None
        number = 0 if way is None else way.held.number
        rows = Rows(got.batches, got.complete, read_at, born, ms, rest, waited=sent.waited, snapshot=number)
        rows.served = work.served
        return rows

    async def _way(self, held: Held, gate: Gate, errand: Errand) -> Way | None:
        """A place to read that state; None where the source keeps none."""
        connector = self._connector(gate.source, errand.asker)
        if not await held.opened(connector, gate, errand.wish, self._in_thread):
            self.kept.unable(connector)
            return None
        permit, beside = await held.place(gate, errand.wish, not errand.query.small)
        return Way(held, permit, beside)

    def _in_thread(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _connector(self, source: str, asker: Query | None) -> Connector:
        connector = self.generation(asker).connectors.get(source)
        if connector is None:
            raise SourceError(
                f"source {source} is not there any more",
                sqlstate="HV00N",
                hint="The project was reloaded without it: prepare the statement again.",
            )
        return connector

    async def _ask_age(self, source: str, version: str, told: Mapping[str, Any]) -> str:
        """What the source says itself; it is never in a statement's way."""
        if told["kind"] == "file":
            return await age.of_files(self.generations.present.connectors.get(source))
        question = Step(age.question(source, str(told["sql"])), 0.0, version, kind="chore")
        try:
            rows = await self._run(Errand(question, age.asked(question.fragment), Mark(self.cache.clock)))
        except Error as error:
            log.warning("source %s does not tell its data's age: %s", source, error)
            return ""
        return age.told([value for batch in rows.batches for value in batch.column(0).to_pylist()])

    def _start(self, errand: Errand, permit: Permit, seconds: float, sent: Sent, way: Way | None) -> Channel | Exchange:
        """Send the statement: at once over an idle connection where it is small, else in a thread."""
        step, query, source = errand.step, errand.query, errand.step.fragment.source
        connector, threads = self._connector(source, errand.asker), self._threads
        assert threads is not None  # noqa: S101  (for the type checker: there are connectors)
        loop, shadow = asyncio.get_running_loop(), self.gates.of(source).shadow
        paged = getattr(connector, "paged", False)
        cancel = _paced(self.gates.of(source), permit, sent) if paged else Cancel()
        several = hasattr(connector, "members")
        if several and errand.asker is not None:
            cancel.key, cancel.fresh = errand.asker.id, errand.fresh
        until, late = loop.time() + seconds + SLACK, timed_out(source, seconds)

        def through(batches: Iterator[pa.RecordBatch]) -> Generator[pa.RecordBatch, None, None]:
            return permit.counted(named(batches, source, step.sql_of(query)))

        began = time.perf_counter()

        def ended(error: BaseException | None) -> None:
            if cancel.unheeded:
                error = hanging(source, seconds)
            _leave(permit, way, error)
            if not isinstance(error, Stale):  # the source has not seen it
                sent.ms = (time.perf_counter() - began) * 1000
                sent.rows, sent.bytes = permit.rows, permit.bytes
                sent.outcome = outcome(error)
                self.watch.sent(sent)
                if shadow is not None and sent.query is not None:
                    shadow.query(sent.query.id, sent.ms / 1000, sent.rows, sent.bytes)
            del self._running[work]
            self._let_go(threads)

        prompt = _prompt(connector, query, seconds, cancel if several else None) if way is None else None
        run = partial(connector.execute, query) if way is None else way.run(query)
        work: Channel | Exchange
        if prompt is not None:
            work = Exchange(prompt, threads, until, late, through=through, ended=ended, cancel=cancel)
        else:
            produce = lambda: through(run(timeout=seconds, cancel=cancel))  # noqa: E731
            work = Channel(produce, cancel, head=errand.head, ended=ended, until=until, late=late)
            work.start(threads)
        self._running[work] = _Work(connector, threads)
        return work


def _paced(gate: Gate, permit: Permit, sent: Sent) -> Cancel:
    """A cancel by which a connector whose statement takes several requests waits its turn for each: by the owner's
    rate, and counted as what the query may cost."""
    cancel, loop = Cancel(), asyncio.get_running_loop()

    async def further() -> None:
        if sent.query is not None:
            sent.query.spent.take(gate.source, gate.limits.statements, 1)
        await gate.further()

    def turn(seconds: float) -> None:
        waiting = asyncio.run_coroutine_threadsafe(further(), loop)

        def leave() -> None:
            waiting.cancel()

        with cancel.hook(leave):
            try:
                waiting.result(seconds)
            except CancelledError:
                cancel.check()
                raise
            except TimeoutError:
                leave()
                raise

    def pressed() -> None:
        loop.call_soon_threadsafe(gate.pressed, permit)

    cancel.turn, cancel.pressed = turn, pressed
    return cancel


def _prompt(connector: Connector, query: SourceQuery, seconds: float, several: Cancel | None) -> Prompt | None:
    """See Connector; `several` says which of a source's servers are to be asked, and is told which was."""
    ask = getattr(connector, "prompt", None) if query.small else None
    if ask is None or several is None:
        return None if ask is None else cast(Prompt | None, ask(query, timeout=seconds))
    prompt = cast(Prompt | None, ask(query, timeout=seconds, key=several.key, fresh=several.fresh))
    several.served = None if prompt is None else prompt.served
    return prompt


def _unread(source: Source) -> SourceError:
    """Its tables are those of before: what they are now nobody knows, and a plan for others could answer wrongly."""
    return SourceError(
        f"source {source.name} cannot be read: {source.fault}",
        sqlstate="57P03",
        hint=f"It is asked again as soon as it tells of its tables; those that are known are of {source.remembered}.",
    )


def _without(error: Error, errand: Errand, connector: Connector) -> Error:
    """The same; where another server may have what a state was read of, that the state is lost."""
    read = errand.held is not None and errand.held.read_at
    if not read or not hasattr(connector, "members") or not elsewhere(error):
        return error
    told = lost(error.source or connector.name, error.message)
    told.server = True
    return told


def _leave(permit: Permit, way: Way | None, error: BaseException | None) -> None:
    permit.leave(error)
    if way is not None:
        way.held.done(way.beside, error)
