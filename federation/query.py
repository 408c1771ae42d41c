"""A query that runs: who asks what, and what it has cost so far; and the list of all that run."""

from __future__ import annotations

import asyncio
import itertools
import math
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from connectors.base import Cancel
from connectors.errors import Error, LimitExceeded
from federation.budgets import Spent
from federation.generations import Generation
from federation.result import Part
from federation.session import Session

if TYPE_CHECKING:
    from federation.freshness.contract import Contract
    from federation.prepare import Prepared

OK = "ok"
LEFT = "left"  # whoever asked took no more
BUG = "XX000"


@dataclass(slots=True, eq=False)
class Query:
    """One statement of one client, from the moment that it may run until its last row is taken.

    `sql` is its canonical text, literals as parameters where that could be; `fingerprint` knows it again; `views` are
    the relations that it names, as schema.name. `started` is the time of day in seconds; `outcome` "" while it runs,
    then ok, left (the client took no more) or an SQLSTATE. `parts` is what its fragments did, once they are known;
    `deadline` the loop's time by which it must have ended.
    """

    id: str
    session: Session
    cancel: Cancel
    sql: str = ""
    fingerprint: str = ""
    views: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    fragments: tuple[str, ...] = ()  # fingerprints of what sources are asked
    started: float = field(default_factory=time.time)
    began: float = field(default_factory=time.perf_counter)
    spent: Spent = field(default_factory=Spent)
    state: str = "reading"  # reading | sending | ended
    parts: list[Part] = field(default_factory=list)
    rows: int = 0
    ms: float = 0.0
    engine: str = ""
    outcome: str = ""
    deadline: float = math.inf
    contract: Contract | None = None  # what its asker allows of its data's age
    running: Running | None = field(default=None, repr=False)
    generation: Generation | None = field(default=None, repr=False)  # the connectors that it works with

    def end(self, error: BaseException | None = None) -> None:
        """It is over; idempotent."""
        if self.running is not None:
            self.running.end(self, error)


def outcome(error: BaseException | None) -> str:
    """How a query or statement ended that raised `error`, or nothing."""
    if error is None:
        return OK
    if isinstance(error, Error):
        return error.sqlstate
    return LEFT if isinstance(error, asyncio.CancelledError | GeneratorExit) else BUG


class Running:
    """All queries that run now; `ended` is told of each that has."""

    def __init__(self, ended: Callable[[Query], None] = lambda _: None) -> None:
        self.queries: dict[str, Query] = {}
        self._ended = ended
        self.guard: Callable[[Query, Prepared], None] | None = None  # raises where it may not run
        self._numbers = itertools.count(1)
        self._prefix = secrets.token_hex(3)

    def begin(
        self, prepared: Prepared, session: Session, cancel: Cancel, generation: Generation | None = None
    ) -> Query:
        """A query that starts now."""
        statement = prepared.statement
        query = Query(
            f"{self._prefix}-{next(self._numbers)}",
            session,
            cancel,
            statement.text,
            prepared.family.fingerprint,
            prepared.family.named,
            tuple(dict.fromkeys(fragment.source for fragment in prepared.plan.fragments)),
            tuple(step.fingerprint for step in prepared.terms.steps),
            running=self,
            generation=generation,
        )
        self.queries[query.id] = query
        if generation is not None:
            generation.enter()
        if self.guard is not None:
            try:
                self.guard(query, prepared)
            except BaseException as error:
                self.end(query, error)
                raise
        return query

    def end(self, query: Query, error: BaseException | None = None) -> None:
        """See `Query.end`."""
        if self.queries.pop(query.id, None) is None:
            return
        if query.generation is not None:
            query.generation.leave()
        query.state, query.outcome = "ended", outcome(error)
        query.ms = (time.perf_counter() - query.began) * 1000
        self._ended(query)

    def cancel(self, id: str, by: str = "") -> bool:
        """Stop a query; False where none of that id runs. May block for a moment: not on the loop."""
        query = self.queries.get(id)
        if query is None:
            return False
        told = "canceling statement due to user request" if not by else f"canceling statement due to {by}'s request"
        query.cancel.fire(LimitExceeded(told, sqlstate="57014"))
        return True


class Watched:
    """An answer's batches; tells when the last has been taken, or none is wanted any more."""

    def __init__(self, batches: AsyncIterator[pa.RecordBatch], parts: list[Part], query: Query) -> None:
        self._batches, self._query = batches, query
        query.state, query.parts = "sending", parts

    def __aiter__(self) -> Watched:
        return self

    async def __anext__(self) -> pa.RecordBatch:
        try:
            batch = await anext(self._batches)
        except StopAsyncIteration:
            self._query.end()
            raise
        except BaseException as error:
            self._query.end(error)
            raise
        self._query.rows += batch.num_rows
        return batch

    async def aclose(self) -> None:
        """Take no more of them."""
        close = getattr(self._batches, "aclose", None)
        if close is not None:
            await close()
        self._query.end(GeneratorExit())
