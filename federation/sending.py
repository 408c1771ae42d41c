"""One statement, one source: through its gate, in a thread or on the loop. The only crossing from async to threads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, cast

import pyarrow as pa

from cache.results import ResultCache
from connectors.base import Cancel, Connector, Prompt, SourceQuery, Stale
from connectors.errors import Error, SourceError
from connectors.stopping import hanging, timed_out
from federation.channel import Channel
from federation.deadline import Deadline
from federation.exchange import Exchange
from federation.freshness import age
from federation.freshness.age import Ages
from federation.gate.gates import Gates
from federation.gate.permit import Permit, Wish
from federation.gate.refusals import reason
from federation.naming import named
from federation.query import Query, outcome
from federation.steps import Rows, Step
from federation.watch import Sent, Watch
from views.catalog import Catalog, Source

SLACK = 0.5  # seconds that a source has to report its own timeout, before we take it that it hangs
PATIENCE = 10.0  # seconds in which cancelled statements may end before we leave
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Mark:
    """When a statement was sent, by the cache's clock; None before."""

    clock: Callable[[], float]
    at: float | None = None

    def floor(self) -> float:
        """The time before which its rows surely were not read."""
        return self.clock() if self.at is None else self.at


@dataclass(slots=True, eq=False)
class Sender:
    """Every statement that any source gets goes through here. To be used from one event loop."""

    cache: ResultCache
    watch: Watch = field(default_factory=Watch)
    gates: Gates = field(default_factory=Gates)
    ages: Ages = field(init=False)
    _connectors: dict[str, Connector] = field(default_factory=dict)
    _unread: dict[str, Source] = field(default_factory=dict)
    _threads: ThreadPoolExecutor | None = None
    _running: dict[Channel | Exchange, tuple[Connector, asyncio.Future[None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ages = Ages(self.cache, self._ask_age)

    def swap(self, catalog: Catalog, connectors: Mapping[str, Connector]) -> list[Connector]:
        """Take over sources and limits; returns the connectors that no new statement will use."""
        retired = [old for old in self._connectors.values() if old not in connectors.values()]
        self._connectors = dict(connectors)
        self.ages.swap({name: source.as_of for name, source in catalog.sources.items()})
        self.gates.swap(catalog, connectors)
        self._unread = {name: source for name, source in catalog.sources.items() if source.remembered}
        places = sum(source.limits.concurrency for source in catalog.sources.values() if not source.system)
        before = self._threads
        self._threads = ThreadPoolExecutor(max(places, 1), thread_name_prefix="vdw-fetch")
        if before is not None:
            before.shutdown(wait=False)  # what runs in it runs to its end
        return retired

    async def retire(self, connectors: Sequence[Connector], patience: float | None = None) -> None:
        """Close connectors once the statements that still run on them have ended, or `patience` has (seconds)."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while waits := [end for connector, end in self._running.values() if connector in connectors]:
                    await asyncio.wait(waits)
        for connector in connectors:
            await asyncio.to_thread(connector.close)

    async def close(self) -> None:
        """Stop every statement, wait for the threads, close every connector."""
        for channel in tuple(self._running):
            channel.close()
        await self.retire(tuple(self._connectors.values()), PATIENCE)
        if self._threads is not None:
            self._threads.shutdown(wait=not self._running)  # a source that hangs must not hold us up

    def stop(self, source: str, why: Error) -> None:
        """End all that runs at a source; whoever waits for it is told why."""
        for work, (connector, _) in tuple(self._running.items()):
            if connector.name == source:
                work.fail(why)

    async def read(
        self,
        step: Step,
        query: SourceQuery,
        head: int | None,
        asker: Query | None,
        mark: Mark,
        deadline: Deadline | None = None,
    ) -> Rows:
        """The source's rows, and its word for how old they are; asked before, so that it never flatters."""
        source = step.fragment.source
        as_of = (await self.ages.word(source, step.version)).as_of if self.ages.tells(source) else ""
        try:
            rows = await self._run(step, query, head, asker, mark, deadline)
        except Error as error:
            error.source = source
            raise
        rows.as_of = age.live(rows.read_at) if self.ages.kind(source) == "live" else as_of
        return rows

    async def _run(
        self,
        step: Step,
        query: SourceQuery,
        head: int | None,
        asker: Query | None,
        mark: Mark,
        deadline: Deadline | None = None,
    ) -> Rows:
        """Ask the source, when its gate lets us.

        Without a `deadline` the statement belongs to everybody who waits for it, each with a deadline of their own:
        the source may take its owner's time, and the statement is cancelled when the last of them has left.
        """
        gate = self.gates.of(step.fragment.source)
        if gate.source in self._unread:
            raise _unread(self._unread[gate.source])
        sent = Sent(gate.source, step.fingerprint, step.sql_of(query), step.kind, asker, time.time())
        try:
            permit = await gate.enter(_wish(step, asker, deadline))
        except BaseException as error:
            sent.outcome, sent.refused = outcome(error), reason(error)
            self.watch.sent(sent)
            raise
        sent.waited = permit.waited
        if gate.shadow is not None:
            gate.shadow.examined(step.fragment.expected.examined.likely)
        try:
            longest = gate.limits.longest
            seconds = longest if deadline is None else min(longest, deadline.left())
            born = self.cache.clock()
            mark.at = born if mark.at is None else mark.at
            read_at, began = time.time(), time.perf_counter()
            work = self._start(step, query, permit, head, seconds, sent)
        except BaseException as error:
            permit.leave(error)
            raise
        try:
            got = await work.head()
        except Stale:
            return await self._run(step, query, head, asker, mark, deadline)
        ms = (time.perf_counter() - began) * 1000
        rest = work if isinstance(work, Channel) and not got.complete else None
        return Rows(got.batches, got.complete, read_at, born, ms, rest, waited=sent.waited)

    async def _ask_age(self, source: str, version: str, told: Mapping[str, Any]) -> str:
        """What the source says itself; it is never in a statement's way."""
        if told["kind"] == "file":
            return await age.of_files(self._connectors.get(source))
        question = Step(age.question(source, str(told["sql"])), 0.0, version, kind="chore")
        try:
            rows = await self._run(question, age.asked(question.fragment), None, None, Mark(self.cache.clock))
        except Error as error:
            log.warning("source %s does not tell its data's age: %s", source, error)
            return ""
        return age.told([value for batch in rows.batches for value in batch.column(0).to_pylist()])

    def _start(
        self, step: Step, query: SourceQuery, permit: Permit, head: int | None, seconds: float, sent: Sent
    ) -> Channel | Exchange:
        """Send the statement: at once over an idle connection where it is small, else in a thread."""
        source = step.fragment.source
        connector, threads = self._connectors.get(source), self._threads
        if connector is None or threads is None:
            raise SourceError(
                f"source {source} is not there any more",
                sqlstate="HV00N",
                hint="The project was reloaded without it: prepare the statement again.",
            )
        cancel, loop, shadow = Cancel(), asyncio.get_running_loop(), self.gates.of(source).shadow
        end = loop.create_future()
        until, late = loop.time() + seconds + SLACK, timed_out(source, seconds)

        def through(batches: Iterator[pa.RecordBatch]) -> Generator[pa.RecordBatch, None, None]:
            return permit.counted(named(batches, source, step.sql_of(query)))

        began = time.perf_counter()

        def ended(error: BaseException | None) -> None:
            if cancel.unheeded:
                error = hanging(source, seconds)
            permit.leave(error)
            if not isinstance(error, Stale):  # the source has not seen it
                sent.ms = (time.perf_counter() - began) * 1000
                sent.rows, sent.bytes = permit.rows, permit.bytes
                sent.outcome = outcome(error)
                self.watch.sent(sent)
                if shadow is not None and sent.query is not None:
                    shadow.query(sent.query.id, sent.ms / 1000, sent.rows, sent.bytes)
            del self._running[work]
            end.set_result(None)

        prompt = _prompt(connector, query, seconds)
        work: Channel | Exchange
        if prompt is not None:
            work = Exchange(prompt, threads, until, late, through=through, ended=ended, cancel=cancel)
        else:
            produce = lambda: through(connector.execute(query, timeout=seconds, cancel=cancel))  # noqa: E731
            work = Channel(produce, cancel, head=head, ended=ended, until=until, late=late)
            work.start(threads)
        self._running[work] = connector, end
        return work


def _prompt(connector: Connector, query: SourceQuery, seconds: float) -> Prompt | None:
    ask = getattr(connector, "prompt", None) if query.small else None
    return None if ask is None else cast(Prompt | None, ask(query, timeout=seconds))


def _unread(source: Source) -> SourceError:
    """Its tables are those of before: what they are now nobody knows, and a plan for others could answer wrongly."""
    return SourceError(
        f"source {source.name} cannot be read: {source.fault}",
        sqlstate="57P03",
        hint=f"It is asked again as soon as it tells of its tables; those that are known are of {source.remembered}.",
    )


def _wish(step: Step, asker: Query | None, deadline: Deadline | None) -> Wish:
    tenant, until = ("", math.inf) if asker is None else (asker.session.user, asker.deadline)
    if deadline is not None:
        return Wish(deadline.at, tenant, step.kind, step.heavy, step.fingerprint)
    return Wish(until, tenant, step.kind, step.heavy, step.fingerprint, shared=True)
