"""Fragments in, rows out: through the cache and the gate, in threads. The only crossing from async to threads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, cast

import pyarrow as pa

from cache.results import Found, Keep, ResultCache
from connectors.base import Cancel, Connector, Prompt, SourceQuery, Stale
from connectors.errors import Error, SourceError
from connectors.stopping import hanging, timed_out
from federation import bind
from federation.budgets import Metered
from federation.channel import Channel, Rest, Stream
from federation.deadline import Deadline, within
from federation.exchange import Exchange
from federation.freshness import age
from federation.freshness.age import Ages
from federation.freshness.forgive import forgives
from federation.gate.gates import Gates
from federation.gate.permit import Load, Permit, Wish
from federation.gate.refusals import reason
from federation.naming import named
from federation.operations.system import System
from federation.query import Query, outcome
from federation.result import Part
from federation.reuse.contain import Index
from federation.reuse.reading import Reading
from federation.steps import Asked, Fetched, Rows, Step
from federation.watch import Sent, Watch
from views.catalog import SYSTEM, Catalog, Source

HEAD = 8 << 20  # bytes of a streamed answer that are held back, so that a small one can be shared and kept
SLACK = 0.5  # seconds that a source has to report its own timeout, before we take it that it hangs
PATIENT = 0.8  # of an asker's time; then an old value serves, where one may
PATIENCE = 10.0  # seconds in which cancelled statements may end before we leave
log = logging.getLogger(__name__)

_WORST = ("miss", "shared", "stale", "contained", "hit")


@dataclass(slots=True)
class Mark:
    """When a statement was sent, by the cache's clock; None before."""

    clock: Callable[[], float]
    at: float | None = None

    def floor(self) -> float:
        """The time before which its rows surely were not read."""
        return self.clock() if self.at is None else self.at


@dataclass(slots=True, eq=False)
class Fetcher:
    """Every statement that any source gets goes through here. To be used from one event loop."""

    cache: ResultCache
    watch: Watch = field(default_factory=Watch)
    gates: Gates = field(default_factory=Gates)
    containment: bool = True
    _index: Index = field(default_factory=Index)
    system: System = field(default_factory=System)
    _connectors: dict[str, Connector] = field(default_factory=dict)
    _unread: dict[str, Source] = field(default_factory=dict)
    _threads: ThreadPoolExecutor | None = None
    _running: dict[Channel | Exchange, tuple[Connector, asyncio.Future[None]]] = field(default_factory=dict)
    ages: Ages = field(init=False)

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
        await self.cache.close()
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

    @property
    def loads(self) -> Mapping[str, Load]:
        """What each source has been asked."""
        return self.gates.loads

    def states(self, steps: Sequence[Step]) -> str:
        """How full the gates of these fragments' sources are, for messages."""
        return "; ".join(self.gates.states(step.fragment.source for step in steps))

    async def gather(self, steps: Sequence[Step], asked: Asked) -> Fetched:
        """All rows of all fragments; independent ones at once, the others when they have their keys.

        One that fails stops the rest; so do the deadline and the client's cancel. Sources that may well refuse go
        first, so that the others are not asked in vain.
        """
        ready = asked.ready or Fetched({}, [])
        fetched = Fetched(dict(ready.tables), list(ready.parts), ready.born, ready.until, asked.given.computed)
        todo = {step.fragment.id: step for step in steps if step.fragment.id not in ready.tables}

        def doing() -> str:
            return "; ".join(
                f"source {step.fragment.source} had not answered ({self.gates.of(step.fragment.source).state})"
                for step in todo.values()
            )

        async def one(step: Step) -> None:
            for other in step.fragment.after - fetched.tables.keys():
                await asyncio.shield(tasks[other])
            await self._fetch(step, asked, fetched)
            del todo[step.fragment.id]

        tasks: dict[int, asyncio.Task[None]] = {}
        async with within(asked.deadline, asked.cancel, doing):
            for step in tuple(todo.values()):
                if len(todo) > 1 and not step.fragment.after and self.gates.of(step.fragment.source).doubtful:
                    await one(step)
            if len(todo) == 1:
                await one(*todo.values())
            else:
                await _all_or_none({number: one(step) for number, step in todo.items()}, tasks)
        fetched.parts.sort(key=lambda part: part.fragment)
        return fetched

    async def stream(self, step: Step, asked: Asked, before: Fetched, names: list[str]) -> tuple[Stream, list[Part]]:
        """One fragment's rows as they come, columns renamed to `names`; `before` has the rows that it needs keys of."""
        asks = self._asks(step, asked, before)
        if len(asks) != 1:
            await self._collect(step, asks, asked, before)
            return Stream(before.tables[step.fragment.id].to_batches(), names=names), before.parts

        def doing() -> str:
            source = step.fragment.source
            return f"source {source} had not answered ({self.gates.of(source).state})"

        async with within(asked.deadline, asked.cancel, doing):
            found = await self._open(step, asks[0], asked)
            part = self._part(step, step.sql_of(asks[0]), [found], asked)
            rows, rest = found.value, self._metered(step, asked, found)

        def done(count: int) -> None:
            part.rows = count
            part.ms = (time.time() - rows.read_at) * 1000 if rest is not None else part.ms

        deadline, cancel = asked.deadline, asked.cancel
        return Stream(rows.batches, rest, deadline=deadline, cancel=cancel, names=names, done=done), [
            part,
            *before.parts,
        ]

    async def _fetch(self, step: Step, asked: Asked, fetched: Fetched) -> None:
        await self._collect(step, self._asks(step, asked, fetched), asked, fetched)

    def _asks(self, step: Step, asked: Asked, fetched: Fetched) -> tuple[SourceQuery, ...]:
        """The fragment's statements; where they are more than the owner allows for one query, the one without keys."""
        gate, source = self.gates.of(step.fragment.source), step.fragment.source
        most = gate.limits.statements
        asks = bind.queries(step.fragment, asked.given, fetched.tables)
        if len(asks) > 1 and not asked.query.spent.room(source, most, len(asks)) and step.fragment.after:
            asks = (bind.whole(step.fragment, asked.given),)
        if gate.shadow is not None:
            gate.shadow.asked(asked.query.spent.counts[source], len(asks))
        asked.query.spent.take(source, most, len(asks))
        return asks

    async def _collect(self, step: Step, asks: Sequence[SourceQuery], asked: Asked, fetched: Fetched) -> None:
        """Run the statements of one fragment and put their rows and their part into `fetched`."""
        if len(asks) == 1:
            found = [await self._whole(step, asks[0], asked)]
        else:
            runs: dict[int, asyncio.Task[Found[Rows]]] = {}
            await _all_or_none({i: self._whole(step, query, asked) for i, query in enumerate(asks)}, runs)
            found = [run.result() for run in runs.values()]
        batches = [batch for each in found for batch in each.value.batches]
        fetched.tables[step.fragment.id] = pa.Table.from_batches(batches, step.schema)
        part = self._part(step, step.sql_of(asks[0]) if asks else step.sql, found, asked)
        fetched.parts.append(part)
        fetched.born = min([fetched.born, *(each.value.born for each in found)])
        fetched.until = min([fetched.until, *(each.value.born + step.ttl for each in found)])

    async def _whole(self, step: Step, query: SourceQuery, asked: Asked) -> Found[Rows]:
        """All rows of one statement: kept, or being read for another, or read now."""
        key = self._key(step, query)
        found = await self._get(key, step, query, None, asked)
        if not found.value.complete:  # a stream that is under way and too large to be shared
            found = await self._get((*key, "whole"), step, query, None, asked)
        if found.how == "miss":
            self._spend(step, asked, found.value.count, found.value.bytes, found.value.ms / 1000)
        return found

    def _spend(self, step: Step, asked: Asked, rows: int, size: int, seconds: float = 0.0) -> None:
        source = step.fragment.source
        asked.query.spent.spend(source, self.gates.of(source).limits.query, rows, size, seconds)

    def _metered(self, step: Step, asked: Asked, found: Found[Rows]) -> Rest | None:
        """The rest of a stream; what its query has had of it is counted, if it was asked for it."""
        rows = found.value
        rest = rows.claim()
        try:
            if found.how == "miss":
                self._spend(step, asked, rows.count, rows.bytes, rows.ms / 1000)
        except BaseException:
            if rest is not None:
                rest.close()
            raise
        return None if rest is None else Metered(rest, partial(self._spend, step, asked))

    async def _open(self, step: Step, query: SourceQuery, asked: Asked) -> Found[Rows]:
        """All rows, or the first and an unclaimed rest."""
        found = await self._get(self._key(step, query), step, query, HEAD, asked)
        if found.value.complete or found.value.rest is not None:
            return found
        # Another client streams the rest.
        return Found(await self._read(step, query, HEAD, asked.query, Mark(self.cache.clock), asked.deadline), "miss")

    async def _get(
        self, key: tuple[Any, ...], step: Step, query: SourceQuery, head: int | None, asked: Asked
    ) -> Found[Rows]:
        if step.fragment.source == SYSTEM:
            return Found(await self._own(query, asked.query), "miss")
        contract = asked.query.contract
        if contract is None:
            return await self._found(key, step, query, head, asked, step.keep)
        word, keep = await contract.before(step, self.ages), contract.keep(step)
        found = await self._found(key, step, query, head, asked, keep)
        if contract.of_rows(step, found.value, self.ages):
            return found
        # What is kept is of older data than the source has by now.
        younger = replace(keep, max_age=0.0 if word is None else max(0.0, time.time() - word.at))
        return await self._found(key, step, query, head, asked, younger)

    async def _found(
        self, key: tuple[Any, ...], step: Step, query: SourceQuery, head: int | None, asked: Asked, keep: Keep
    ) -> Found[Rows]:
        """From the cache, on these terms, or read."""
        sent = Mark(self.cache.clock)
        run: Callable[[], Awaitable[Rows]] = partial(self._read, step, query, head, asked.query, sent)
        if self.containment and step.ttl > 0 and step.fragment.region is not None:
            read = partial(self._read, step, head=head, asker=asked.query, mark=sent)
            peek, order = partial(self._kept, keep), self._order
            clock = self.cache.clock
            run = Reading(self._index, step, query, key, peek, read, head is None, order, clock, keep.max_age)
        found = await self.cache.get_or_run(
            key,
            keep,
            run,
            partial(_size, key),
            born=_born,
            dispose=Rows.drop,
            cost=_cost,
            forgives=forgives,
            floor=sent.floor,
            patience=_patience(asked.query),
        )
        shadow = self.gates.of(step.fragment.source).shadow
        if shadow is not None and found.value.complete:
            shadow.read(key, _how(found) == "miss", found.value.ms)
        return found

    async def _own(self, query: SourceQuery, asker: Query) -> Rows:
        """What this server knows of itself, for the one who asks: no source has work with it, nobody shares it."""
        born, read_at, began = self.cache.clock(), time.time(), time.perf_counter()
        batch = await self.system.batch(query, asker.session.user)
        ms = (time.perf_counter() - began) * 1000
        return Rows([batch], True, read_at, born, ms, as_of=age.live(read_at))

    def _order(self) -> int:
        return self.cache.invalidations

    def _kept(self, keep: Keep, key: tuple[Any, ...]) -> Rows | None:
        found = self.cache.peek(key, keep)
        return None if found is None else found.value

    def _key(self, step: Step, query: SourceQuery) -> tuple[Any, ...]:
        """All that the rows depend on. Not the user: the source is asked as one account, whoever asks us; what a user
        may read was checked before, and what depends on the user comes as a parameter's value."""
        full = None if query.parts is step.fragment.text.parts else query.sql
        return (step.signature, full, bind.frozen(query.params))

    async def _read(
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

    def _part(self, step: Step, sql: str, found: Sequence[Found[Rows]], asked: Asked) -> Part:
        """What the fragment did; LimitExceeded 72000 where its data is older than the query allows."""
        part = self._told(step, sql, found)
        if asked.query.contract is not None:
            asked.query.contract.verify(step, part, self.ages)
        return part

    def _told(self, step: Step, sql: str, found: Sequence[Found[Rows]]) -> Part:
        read_at = min((each.value.read_at for each in found), default=time.time())
        return Part(
            fragment=step.fragment.id,
            source=step.fragment.source,
            sql=sql,
            rows=sum(each.value.count for each in found),
            bytes=sum(each.value.bytes for each in found),
            ms=max((each.value.ms for each in found if each.how in ("miss", "shared")), default=0.0),
            cache=min(map(_how, found), key=_WORST.index) if found else "none",
            read_at=read_at,
            as_of=min((each.value.as_of for each in found), default=""),
            ttl=step.ttl,
            statements=sum(_how(each) == "miss" for each in found),
            waited=max((each.value.waited for each in found if each.how == "miss"), default=0.0),
            origin=_origin(found, bool(step.originals)),
            contained="; ".join(dict.fromkeys(each.value.contained for each in found if each.value.contained)),
            views=step.views,
            spared=sum(_how(each) != "miss" for each in found),
            fingerprint=step.fingerprint,
            kind=step.kind,
            why=next((_why(each.error) for each in found if each.error is not None), ""),
            originals=step.originals,
        )


def _prompt(connector: Connector, query: SourceQuery, seconds: float) -> Prompt | None:
    ask = getattr(connector, "prompt", None) if query.small else None
    return None if ask is None else cast(Prompt | None, ask(query, timeout=seconds))


def _how(found: Found[Rows]) -> str:
    return "contained" if found.how == "miss" and not found.value.statements else found.how


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


def _origin(found: Sequence[Found[Rows]], copied: bool) -> str:
    if any(each.how == "stale" for each in found):
        return "stale"
    if copied:
        return "copy"
    return "cache" if found and all(each.how == "hit" or not each.value.statements for each in found) else "live"


def _why(error: Error) -> str:
    """In words that hold nobody's data."""
    return error.message if forgives(error) else f"reading it again failed ({error.sqlstate})"


def _patience(asker: Query) -> float:
    """Seconds for which whoever asks waits, where old rows may serve: in time for what comes after."""
    if asker.deadline == math.inf:
        return math.inf
    return max(PATIENT * (asker.deadline - asyncio.get_running_loop().time()), 0.0)


def _size(key: tuple[Any, ...], rows: Rows) -> int:
    """What keeping them costs: the key holds the parameters as text, the run to read them again has their values."""
    return rows.size + 3 * sum(len(value) for _, _, value in key[2])


def _cost(rows: Rows) -> float:
    return rows.ms


def _born(rows: Rows) -> float:
    return rows.born


async def _all_or_none(works: Mapping[int, Coroutine[Any, Any, Any]], tasks: dict[int, asyncio.Task[Any]]) -> None:
    """Run them at once, as `tasks`; the first error cancels the others and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            for number, work in works.items():
                tasks[number] = group.create_task(work)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
