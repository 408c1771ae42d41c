"""One run for the cache: the rows of a statement, of what is kept as far as that contains them, else of the source."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from connectors.base import SourceQuery
from federation.reuse.allowed import Unclear
from federation.reuse.contain import MOST_FOR_FEW, MOST_ROWS, Flight, Hit, Index, Peek, Scope, for_keys, scope
from federation.steps import Rows, Step

AT_ONCE = 20_000  # rows that are checked on the loop itself, in half a millisecond or so; more in a thread


@dataclass(slots=True, eq=False)
class Reading:
    """`peek` gives the rows kept under a key if they are fresh for whoever asks; `read` asks the source; `whole`: for
    all rows, so that they may come from several places; `order` counts what has been invalidated;
    `max_age` is the asker's own bound, in seconds of `clock`."""

    index: Index
    step: Step
    query: SourceQuery
    key: Hashable
    peek: Peek
    read: Callable[[SourceQuery], Awaitable[Rows]]
    whole: bool
    order: Callable[[], int]
    clock: Callable[[], float]
    max_age: float
    scope: Scope | None = field(init=False, default=None)

    async def __call__(self) -> Rows:
        """The rows."""
        if self.scope is None:
            self.scope = scope(self.step.fragment, self.query, self.step.version)
        rows = None if self.scope is None else await self._kept(self.scope) or await self._awaited(self.scope)
        if rows is None:
            rows = await self._asked()
        if self.scope is not None and rows.complete and rows.statements:
            self.index.add(self.scope, self.key, self.step.sql_of(self.query), rows.count)
        return rows

    async def _kept(self, scope: Scope) -> Rows | None:
        most = MOST_FOR_FEW if self.step.fragment.small and scope.keys is None else MOST_ROWS
        hit = self.index.find(scope, most, self.peek)
        with contextlib.suppress(Unclear):
            if hit is not None:
                return await self._answer([hit])
            if self.whole and scope.asked_keys:
                return await self._by_keys(scope, most)
        return None

    async def _awaited(self, scope: Scope) -> Rows | None:
        """The answer out of rows that are being read already. A lookup of few rows does not wait for many."""
        if self.step.fragment.small:
            return None
        found = self.index.under_way(scope, self.step.kind, self.clock() - self.max_age, self.order())
        if found is None:
            return None
        flight, how = found
        await asyncio.wait([flight.rows])
        rows = flight.rows.result()
        with contextlib.suppress(Unclear):
            return None if rows is None else await self._answer([Hit(rows, how, flight.sql)])
        return None

    async def _asked(self) -> Rows:
        """The source's rows; others may wait for them, unless they are too many to be looked through."""
        if self.scope is None or self.step.fragment.expected.rows.likely > MOST_ROWS:
            return await self._read(self.query)
        sql = self.step.sql_of(self.query)
        flight = Flight(self.scope, sql, self.step.kind, self.clock(), self.order())
        with self.index.flying(flight):
            rows = await self._read(self.query)
            if rows.complete and rows.count <= MOST_ROWS:
                flight.rows.set_result(rows)
        return rows

    async def _by_keys(self, scope: Scope, most: int) -> Rows | None:
        """Rows that are kept for most of the keys, and those of the source for the others."""
        hits, left = self.index.parts(scope, most, self.peek)
        keys = scope.asked_keys
        if not hits or len(left) * 2 > len(keys):
            return None
        kept = await self._answer(hits)
        if not left:
            return kept
        rest = await self._read(for_keys(self.step.fragment, self.query, left))
        as_of = min(each.as_of for each in (kept, rest))
        return replace(
            rest,
            batches=[*kept.batches, *rest.batches],
            read_at=min(kept.read_at, rest.read_at),
            born=min(kept.born, rest.born),
            as_of=as_of,
            order=kept.order,
            lasting=kept.lasting,
            contained=f"for {len(keys) - len(left)} of {len(keys)} keys: {kept.contained}",
        )

    async def _read(self, query: SourceQuery) -> Rows:
        order = self.order()
        rows = await self.read(query)
        rows.order = order
        return rows

    async def _answer(self, hits: Sequence[Hit]) -> Rows:
        """What kept rows give, as old as the oldest of them."""
        began, schema = time.perf_counter(), self.step.schema
        batches: list[pa.RecordBatch] = []
        for hit in hits:
            if hit.rows.count <= AT_ONCE:
                batches += hit.match.of(hit.rows.batches, schema)
            else:
                batches += await asyncio.to_thread(hit.match.of, hit.rows.batches, schema)
        born, read_at = min(hit.rows.born for hit in hits), min(hit.rows.read_at for hit in hits)
        said = "; ".join(dict.fromkeys(hit.said for hit in hits))
        as_of = min(hit.rows.as_of for hit in hits)
        ms = (time.perf_counter() - began) * 1000
        rows = Rows(batches, True, read_at, born, ms, as_of=as_of, contained=said, statements=0)
        rows.order = min(hit.rows.order for hit in hits)
        rows.lasting = rows.order == self.order()  # else they would be taken for younger than what was invalidated
        return rows
