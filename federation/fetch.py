"""Fragments in, rows out: values bound, kept rows looked up, what is left sent to the sources."""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pyarrow as pa

from cache.results import Found, Keep, ResultCache
from connectors import arrow
from connectors.base import Connector, Served, SourceQuery
from connectors.errors import Error
from federation import bind
from federation.budgets import Metered
from federation.channel import Rest, Stream
from federation.deadline import within
from federation.freshness import age
from federation.freshness.age import Ages
from federation.freshness.forgive import forgives
from federation.gate.gates import Gates
from federation.gate.permit import Load
from federation.operations.system import System
from federation.query import Query
from federation.result import Part
from federation.reuse.contain import Index
from federation.reuse.reading import Reading
from federation.sending import Errand, Mark, Sender
from federation.snapshots import Held
from federation.steps import Asked, Fetched, Rows, Step
from federation.watch import Watch
from views.catalog import SYSTEM, Catalog

HEAD = 8 << 20  # bytes of a streamed answer that are held back, so that a small one can be shared and kept
PATIENT = 0.8  # of an asker's time; then an old value serves, where one may

_WORST = ("miss", "shared", "stale", "contained", "hit")


@dataclass(slots=True, eq=False)
class Fetcher:
    """Answers fragments. To be used from one event loop."""

    cache: ResultCache
    watch: Watch = field(default_factory=Watch)
    gates: Gates = field(default_factory=Gates)
    containment: bool = True
    system: System = field(default_factory=System)
    sender: Sender = field(init=False)
    _index: Index = field(default_factory=Index)

    def __post_init__(self) -> None:
        self.sender = Sender(self.cache, self.watch, self.gates)

    @property
    def ages(self) -> Ages:
        """What sources say of their data's age."""
        return self.sender.ages

    def swap(self, catalog: Catalog, connectors: Mapping[str, Connector]) -> list[Connector]:
        """Take over sources and limits; returns the connectors that no new statement will use."""
        return self.sender.swap(catalog, connectors)

    async def close(self) -> None:
        """Stop every statement, wait for the threads, close every connector."""
        await self.cache.close()
        await self.sender.close()

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

        def done(count: int, left: Mapping[int, int]) -> None:
            part.rows, part.left_out = count, _named(step, left)
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
        crowded = len(asks) > 1 and not asked.query.spent.room(source, most, len(asks))
        if crowded and step.fragment.after and not bind.must(step.fragment):
            asks = (bind.whole(step.fragment, asked.given),)
        if len(asks) > 1 and asked.snapshots is not None:
            asked.snapshots.several(source)
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
        mark, held = Mark(self.cache.clock), self._held(step, asked)
        errand = Errand(step, query, mark, HEAD, asked.query, asked.deadline, held)
        return Found(await self.sender.read(errand), "miss")

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
        sent, held = Mark(self.cache.clock), self._held(step, asked)
        if held is not None and not step.ttl:
            key = (*key, held.number)  # not even rows that are on their way: they may be of another state
        errand = Errand(step, query, sent, head, asked.query, held=held)
        run: Callable[[], Awaitable[Rows]] = partial(self.sender.read, errand)
        if self.containment and step.ttl > 0 and step.fragment.region is not None:
            read = lambda query: self.sender.read(replace(errand, query=query))  # noqa: E731
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

    def _held(self, step: Step, asked: Asked) -> Held | None:
        """The state of its source that the statement is to read."""
        snapshots = asked.snapshots
        return None if snapshots is None else snapshots.at(step.fragment.source)

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
            snapshot=max((each.value.snapshot for each in found), default=0),
            left_out=_left_out(step, found) if step.fragment.unfit else {},
            servers=tuple(dict.fromkeys(_server(each.value.served) for each in found if each.value.served is not None)),
        )


def _server(served: Served) -> str:
    if not served.replica:
        return served.server
    return f"{served.server} ({'lag not known' if served.lag is None else f'{served.lag:.1f} s behind'})"


def _left_out(step: Step, found: Sequence[Found[Rows]]) -> Mapping[str, int]:
    """The values that are NULL in these rows as they did not fit; those of rows that were kept too."""
    batches = (batch for each in found for batch in each.value.batches)
    return _named(step, sum((Counter(arrow.left_out(batch)) for batch in batches), Counter[int]()))


def _named(step: Step, left: Mapping[int, int]) -> Mapping[str, int]:
    counted: Counter[str] = Counter()
    for at, _, column in step.fragment.unfit:
        counted[column] += left.get(at, 0)
    return +counted


def _how(found: Found[Rows]) -> str:
    return "contained" if found.how == "miss" and not found.value.statements else found.how


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
