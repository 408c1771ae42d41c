"""One run for the cache: the rows of a statement, of what is kept as far as that contains them, else of the source."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from connectors.base import SourceQuery
from federation.allowed import Unclear
from federation.contain import MOST_FOR_FEW, MOST_ROWS, Hit, Index, Peek, Scope, for_keys, scope
from federation.steps import Rows, Step

AT_ONCE = 20_000  # rows that are checked on the loop itself, in half a millisecond or so; more in a thread


@dataclass(slots=True, eq=False)
class Reading:
    """`peek` gives the rows kept under a key if they are fresh for whoever asks; `read` asks the source; `whole`: for
    all rows, so that they may come from several places."""

    index: Index
    step: Step
    query: SourceQuery
    user: str
    key: Hashable
    tags: frozenset[str]
    peek: Peek
    read: Callable[[SourceQuery], Awaitable[Rows]]
    whole: bool
    scope: Scope | None = field(init=False, default=None)

    async def __call__(self) -> Rows:
        """The rows."""
        if self.scope is None:
            self.scope = scope(self.step.fragment, self.query, self.step.version, self.user)
        rows = await self._kept(self.scope) if self.scope is not None else None
        if rows is None:
            rows = await self.read(self.query)
        if self.scope is not None and rows.complete and rows.statements:
            self.index.add(self.scope, self.key, self.step.sql_of(self.query), rows.count, self.tags)
        return rows

    async def _kept(self, scope: Scope) -> Rows | None:
        most = MOST_FOR_FEW if self.step.fragment.small and scope.keys is None else MOST_ROWS
        hit = self.index.find(scope, self.tags, most, self.peek)
        with contextlib.suppress(Unclear):
            if hit is not None:
                return await self._answer([hit])
            if self.whole and scope.asked_keys:
                return await self._by_keys(scope, most)
        return None

    async def _by_keys(self, scope: Scope, most: int) -> Rows | None:
        """Rows that are kept for most of the keys, and those of the source for the others."""
        hits, left = self.index.parts(scope, self.tags, most, self.peek)
        keys = scope.asked_keys
        if not hits or len(left) * 2 > len(keys):
            return None
        kept = await self._answer(hits)
        if not left:
            return kept
        rest = await self.read(for_keys(self.step.fragment, self.query, left))
        as_of = min(each.as_of for each in (kept, rest))
        return replace(
            rest,
            batches=[*kept.batches, *rest.batches],
            read_at=min(kept.read_at, rest.read_at),
            born=min(kept.born, rest.born),
            as_of=as_of,
            contained=f"for {len(keys) - len(left)} of {len(keys)} keys: {kept.contained}",
        )

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
        return Rows(batches, True, read_at, born, ms, as_of=as_of, contained=said, statements=0)
