"""Reuse by containment: rows that are kept answer a statement that asks for some of them, and for nothing else.

A statement's `Scope` is its fragment's region with the values of this run. Rows of another scope answer it where the
frame is the same, where each column of the other is bounded no more than here, and where the columns are there that
are wanted or bounded here more: then these conditions are checked again over the rows. Where anything is unclear the
source is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from cachetools import LRUCache

from connectors.base import Bound, SourceQuery
from connectors.types import PgType
from federation import allowed, bind
from federation.allowed import Allowed, Unclear
from federation.steps import Rows, Step
from planner.plan import Condition, Fragment, KeysRef, Region, Term, Value

MOST_ROWS = 200_000  # of an entry: checking a column of so many takes as long as a small statement at a source
ENTRIES = 8  # of one frame
FRAMES = 1_000
AT_ONCE = 20_000  # rows that are checked on the loop itself; more in a thread
_NAME = re.compile(r"None\.|'|#\d+")

Column = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """What a column may be, by conditions with these operators."""

    values: Allowed
    ops: tuple[str, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Scope:
    """What one statement asks for: `limits` of columns over one `frame`, the `columns` and their `kinds`, in `order`
    where that is not None."""

    frame: Hashable
    columns: tuple[Column, ...]
    kinds: tuple[PgType, ...]
    limits: Mapping[Column, Limit]
    order: Hashable | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """How kept rows answer a statement: their columns at `positions`, where the columns of `checks` are so."""

    positions: tuple[int, ...]
    checks: tuple[tuple[int, Allowed], ...]
    said: str

    def of(self, batches: Sequence[pa.RecordBatch], schema: pa.Schema) -> list[pa.RecordBatch]:
        """The rows, as `schema` names their columns; Unclear where Arrow cannot make them."""
        table = pa.Table.from_batches(batches)
        try:
            mask = None
            for at, values in self.checks:
                test = allowed.rows(table.column(at), values)
                mask = test if mask is None else pc.and_(mask, test)
            made = pa.table([table.column(at) for at in self.positions], schema=schema)
            return list((made if mask is None else made.filter(mask)).to_batches())
        except pa.ArrowException as error:
            raise Unclear("checking again what the source has checked") from error


@dataclass(frozen=True, slots=True)
class _Entry:
    key: Hashable
    scope: Scope
    sql: str
    rows: int
    tags: frozenset[str]


@dataclass(frozen=True, slots=True)
class Hit:
    """Kept rows that answer a statement, and how; `sql` is what was asked for them."""

    rows: Rows
    match: Match
    sql: str

    async def answer(self, schema: pa.Schema) -> Rows:
        """The statement's rows, as old as those that they are taken from."""
        began, rows = time.perf_counter(), self.rows
        if rows.count <= AT_ONCE:
            batches = self.match.of(rows.batches, schema)
        else:
            batches = await asyncio.to_thread(self.match.of, rows.batches, schema)
        ms = (time.perf_counter() - began) * 1000
        told = f"{self.sql}; checked here: {self.match.said}"
        return Rows(batches, True, rows.read_at, rows.born, ms, as_of=rows.as_of, contained=told)


@dataclass(slots=True)
class Index:
    """Which rows are kept, by what they were asked for. It holds their keys only: a cache has the rows."""

    _frames: LRUCache[Hashable, list[_Entry]] = field(default_factory=lambda: LRUCache(FRAMES))

    def add(self, scope: Scope, key: Hashable, sql: str, rows: int, tags: frozenset[str]) -> None:
        """Remember rows that were just read; the entries with most rows stay, as they answer most."""
        if rows > MOST_ROWS or not _worthwhile(scope, rows):
            return
        entries = self._frames.get(scope.frame, [])
        kept = [each for each in entries if not (each.tags <= tags and match(scope, each.scope))]
        kept.append(_Entry(key, scope, sql, rows, tags))
        kept.sort(key=lambda each: each.rows)
        self._frames[scope.frame] = kept[-ENTRIES:]

    def find(self, scope: Scope, tags: frozenset[str], peek: Callable[[Hashable], Rows | None]) -> Hit | None:
        """Kept rows that answer the statement, those with the fewest rows first; `peek` says whether they still are.

        Whatever would invalidate the answer would have invalidated them: they have all of its `tags`.
        """
        entries = self._frames.get(scope.frame)
        for entry in tuple(entries or ()):
            found = match(entry.scope, scope) if tags <= entry.tags else None
            if found is None:
                continue
            rows = peek(entry.key)
            if rows is not None:
                return Hit(rows, found, entry.sql)
        return None


@dataclass(slots=True, eq=False)
class Reading:
    """One run for the cache: of rows that are kept where these contain the answer, else of the source.

    `peek` gives the rows kept under a key if they are fresh for whoever asks; `read` asks the source.
    """

    index: Index
    step: Step
    query: SourceQuery
    user: str
    key: Hashable
    tags: frozenset[str]
    peek: Callable[[Hashable], Rows | None]
    read: Callable[[], Awaitable[Rows]]
    scope: Scope | None = field(init=False, default=None)

    async def __call__(self) -> Rows:
        """The rows."""
        hit = self.hit()
        if hit is not None:
            with contextlib.suppress(Unclear):
                return await hit.answer(self.step.schema)
        rows = await self.read()
        if self.scope is not None and rows.complete:
            self.index.add(self.scope, self.key, self.step.sql_of(self.query), rows.count, self.tags)
        return rows

    def hit(self) -> Hit | None:
        """Kept rows that contain the answer."""
        if self.scope is None:
            self.scope = scope(self.step.fragment, self.query, self.step.version, self.user)
        return None if self.scope is None else self.index.find(self.scope, self.tags, self.peek)


def _worthwhile(scope: Scope, rows: int) -> bool:
    """Whether others may ask for less: not of one row that was looked up by its key."""
    return rows > 1 or all(
        limit.values.members is None or len(limit.values.members) > 1 for limit in scope.limits.values()
    )


def match(kept: Scope, wanted: Scope) -> Match | None:
    """How the rows of `kept` answer `wanted`; None where they may not."""
    if kept.frame != wanted.frame or (wanted.order is not None and wanted.order != kept.order):
        return None
    for column, limit in kept.limits.items():
        mine = wanted.limits.get(column)
        if mine is None or not mine.values.within(limit.values):
            return None
    places = {(column, kind): at for at, (column, kind) in enumerate(zip(kept.columns, kept.kinds, strict=True))}
    positions = [places.get(pair) for pair in zip(wanted.columns, wanted.kinds, strict=True)]
    found = tuple(at for at in positions if at is not None)
    checks = _checks(kept, wanted)
    if len(found) < len(positions) or checks is None:
        return None
    return Match(found, tuple((at, limit.values) for at, limit, _ in checks), _said(checks))


def _checks(kept: Scope, wanted: Scope) -> list[tuple[int, Limit, Column]] | None:
    """What is to be checked again; None where a column for that is not there."""
    checks = []
    for column, limit in wanted.limits.items():
        if kept.limits.get(column) == limit:
            continue
        places = (at for at, name in enumerate(kept.columns) if name == column and kept.kinds[at].name == limit.kind)
        at = next(places, None)
        if at is None:
            return None
        checks.append((at, limit, column))
    return checks


def _said(checks: Sequence[tuple[int, Limit, Column]]) -> str:
    """What is checked, for people and without any value."""
    said = (f"{_NAME.sub('', str(column[0]))} {' and '.join(limit.ops)}" for _, limit, column in checks)
    return ", ".join(said) or "nothing"


def scope(fragment: Fragment, query: SourceQuery, version: str, user: str) -> Scope | None:
    """What one of a fragment's statements asks for; None where that is not known well enough."""
    region = fragment.region
    given = _given(fragment, query) if region is not None else None
    if region is None or given is None:
        return None
    frame = (fragment.source, version, user, *_known(region.frame, given))
    columns = tuple(_known(column, given) for column in region.columns)
    order = _known(region.order, given) if region.order is not None else None
    try:
        return Scope(frame, columns, query.columns, _limits(region, given), order)
    except Unclear:
        return None


def _given(fragment: Fragment, query: SourceQuery) -> Mapping[Value, Bound] | None:
    """The values of the statement; without those of keys where it was sent without them."""
    text = fragment.text
    if query.parts is not text.parts:
        text = bind.without(text, lambda value: isinstance(value, KeysRef))
        if text.parts != query.parts:
            return None
    pairs = zip(text.params, query.params, strict=True)
    return {value: bound for value, bound in pairs if not isinstance(value, Bound)}


def _bound(value: Value, given: Mapping[Value, Bound]) -> Bound:
    return value if isinstance(value, Bound) else given[value]


def _known(term: Term, given: Mapping[Value, Bound]) -> Column:
    """The term with its values; what differs in them is another."""
    return (term.text, *bind.frozen([_bound(value, given) for value in term.values])) if term.values else (term.text,)


def _limits(region: Region, given: Mapping[Value, Bound]) -> dict[Column, Limit]:
    found: dict[Column, Limit] = {}
    for condition in region.conditions:
        if any(isinstance(value, KeysRef) and value not in given for value in condition.values):
            continue
        column, values = _known(condition.column, given), allowed.allowed(condition.op, _plain(condition, given))
        other = found.get(column)
        if other is None:
            found[column] = Limit(values, (condition.op,), condition.kind.name)
        else:
            ops = tuple(sorted((*other.ops, condition.op)))
            found[column] = Limit(other.values.both(values), ops, condition.kind.name)
    return found


def _plain(condition: Condition, given: Mapping[Value, Bound]) -> list[Any]:
    bounds = [_bound(value, given) for value in condition.values]
    if condition.op == "any":
        if not isinstance(bounds[0].value, list):
            raise Unclear("no list")
        element = PgType(bounds[0].type.name[1:])
        bounds = [Bound(element, value) for value in bounds[0].value]
    if condition.op in ("any", "in"):  # a NULL among them finds nothing
        bounds = [bound for bound in bounds if bound.value is not None]
    return [allowed.plain(condition.kind, bound) for bound in bounds]
