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
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from cachetools import LRUCache

from connectors.base import Bound, SourceQuery
from connectors.types import PgType
from federation import bind
from federation.reuse import allowed
from federation.reuse.allowed import Allowed, Unclear
from federation.steps import Rows
from planner.plan import Condition, Fragment, KeysRef, Region, Term, Value

# Of an entry that is read for other statements, and for those of few rows, which a source finds by an index in less
# than a millisecond. Checking 100,000 rows takes one to three milliseconds (benchmarks.containment).
MOST_ROWS = 200_000
MOST_FOR_FEW = 20_000
ENTRIES = 16  # of one frame
FRAMES = 1_000
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
    where that is not None. `keys` is the one column whose keys may be shared out, as no row answers to two of them."""

    frame: Hashable
    columns: tuple[Column, ...]
    kinds: tuple[PgType, ...]
    limits: Mapping[Column, Limit]
    order: Hashable | None = None
    keys: Column | None = None

    @property
    def asked_keys(self) -> frozenset[Any]:
        """The keys, plain; none where they are not to be shared out."""
        members = self.limits[self.keys].values.members if self.keys is not None else None
        return members or frozenset()

    def of_keys(self, keys: frozenset[Any]) -> Scope:
        """The same for these of its keys only."""
        if self.keys is None:
            raise TypeError("a scope without keys")
        limit = self.limits[self.keys]
        less = replace(limit, values=replace(limit.values, members=keys))
        return replace(self, limits={**self.limits, self.keys: less})


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
class Hit:
    """Kept rows that answer a statement, or some of its keys, and how; `sql` is what was asked for them."""

    rows: Rows
    match: Match
    sql: str

    @property
    def said(self) -> str:
        """What shows that the answer is right, without values."""
        return f"{self.sql}; checked here: {self.match.said}"


@dataclass(frozen=True, slots=True)
class _Entry:
    key: Hashable
    scope: Scope
    sql: str
    rows: int


Peek = Callable[[Hashable], Rows | None]


@dataclass(slots=True, eq=False)
class Flight:
    """Rows that are being read: since `began` by the cache's clock, when `order` things had been invalidated, by a
    statement of that `kind`. `rows` is None if nothing came of it."""

    scope: Scope
    sql: str
    kind: str
    began: float
    order: int
    rows: asyncio.Future[Rows | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(slots=True)
class Index:
    """Which rows are kept, by what they were asked for, and which are being read. Of the former it holds the keys only:
    a cache has the rows."""

    _frames: LRUCache[Hashable, list[_Entry]] = field(default_factory=lambda: LRUCache(FRAMES))
    _flights: dict[Hashable, list[Flight]] = field(default_factory=dict)

    @contextlib.contextmanager
    def flying(self, flight: Flight) -> Iterator[None]:
        """While inside, others may wait for these rows."""
        flights = self._flights.setdefault(flight.scope.frame, [])
        flights.append(flight)
        try:
            yield
        finally:
            flights.remove(flight)
            if not flights:
                self._flights.pop(flight.scope.frame, None)
            if not flight.rows.done():
                flight.rows.set_result(None)

    def under_way(self, scope: Scope, kind: str, oldest: float, order: int) -> tuple[Flight, Match] | None:
        """Rows being read that will answer the statement: not those of another kind, which may have to queue for
        longer, nor any that began before `oldest` or before the latest invalidation."""
        for flight in self._flights.get(scope.frame, ()):
            if flight.kind == kind and flight.began >= oldest and flight.order == order:
                found = match(flight.scope, scope)
                if found is not None:
                    return flight, found
        return None

    def add(self, scope: Scope, key: Hashable, sql: str, rows: int) -> None:
        """Remember rows that were just read; the entries with most rows stay, as they answer most."""
        if rows > MOST_ROWS or not _worthwhile(scope, rows):
            return
        entries = self._frames.get(scope.frame, [])
        kept = [each for each in entries if not match(scope, each.scope)]
        kept.append(_Entry(key, scope, sql, rows))
        kept.sort(key=lambda each: each.rows)
        self._frames[scope.frame] = kept[-ENTRIES:]

    def find(self, scope: Scope, most: int, peek: Peek) -> Hit | None:
        """Kept rows that answer the statement, those with the fewest rows first and `most` at the most; `peek` says
        whether they still are kept, and fresh for whoever asks."""
        for entry in self._entries(scope, most):
            found = match(entry.scope, scope)
            rows = peek(entry.key) if found is not None else None
            if found is not None and rows is not None:
                return Hit(rows, found, entry.sql)
        return None

    def parts(self, scope: Scope, most: int, peek: Peek) -> tuple[list[Hit], frozenset[Any]]:
        """Kept rows for some of the statement's keys each, and the keys that are left for its source."""
        left, hits = scope.asked_keys, list[Hit]()
        for entry in self._entries(scope, most):
            there = entry.scope.limits.get(scope.keys or ())
            keys = left & (there.values.members or frozenset()) if there is not None else left
            found = match(entry.scope, scope.of_keys(keys)) if keys else None
            rows = peek(entry.key) if found is not None else None
            if found is not None and rows is not None:
                hits.append(Hit(rows, found, entry.sql))
                left -= keys
        return hits, left

    def _entries(self, scope: Scope, most: int) -> Iterator[_Entry]:
        for entry in tuple(self._frames.get(scope.frame, ())):
            if entry.rows <= most:
                yield entry


def _worthwhile(scope: Scope, rows: int) -> bool:
    """Whether others may ask for less: not of one row that was looked up by its key."""
    return rows > 1 or not any(_single(limit.values) for limit in scope.limits.values())


def _single(values: Allowed) -> bool:
    return values.members is not None and len(values.members) <= 1


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


# -- what a statement asks for


def scope(fragment: Fragment, query: SourceQuery, version: str) -> Scope | None:
    """What one of a fragment's statements asks for; None where that is not known well enough."""
    region = fragment.region
    given = _given(fragment, query) if region is not None else None
    if region is None or given is None:
        return None
    frame = (fragment.source, version, *_known(region.frame, given))
    columns = tuple(_known(column, given) for column in region.columns)
    order = _known(region.order, given) if region.order is not None else None
    try:
        limits = _limits(region, given)
    except Unclear:
        return None
    return Scope(frame, columns, query.columns, limits, order, _keys(region, given))


def for_keys(fragment: Fragment, query: SourceQuery, keys: frozenset[Any]) -> SourceQuery:
    """The statement for those of its keys whose plain form is among these."""
    if fragment.region is None:
        raise TypeError("a fragment without region")
    condition = next(filter(_keyed, fragment.region.conditions))
    at, params = fragment.text.params.index(condition.values[0]), list(query.params)
    values = params[at].value
    kept = [value for value, plain in zip(values, allowed.plain(condition.kind, values), strict=True) if plain in keys]
    params[at] = replace(params[at], value=kept)
    return replace(query, params=tuple(params))


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


def _keyed(condition: Condition) -> bool:
    return any(isinstance(value, KeysRef) for value in condition.values)


def _keys(region: Region, given: Mapping[Value, Bound]) -> Column | None:
    """The column whose keys may be asked for in several statements, if there are no others."""
    keyed = [condition for condition in region.conditions if _keyed(condition)]
    if len(keyed) != 1 or not isinstance(keyed[0].values[0], KeysRef) or not keyed[0].values[0].cut:
        return None
    alone = all(condition is keyed[0] or condition.column != keyed[0].column for condition in region.conditions)
    return _known(keyed[0].column, given) if alone and keyed[0].values[0] in given else None


def _limits(region: Region, given: Mapping[Value, Bound]) -> dict[Column, Limit]:
    found: dict[Column, Limit] = {}
    for condition in region.conditions:
        if any(isinstance(value, KeysRef) and value not in given for value in condition.values):
            continue  # too many keys: the statement went without them
        column = _known(condition.column, given)
        limit = Limit(allowed.allowed(condition.op, _plain(condition, given)), (condition.op,), condition.kind.name)
        other = found.get(column)
        if other is not None:
            limit = Limit(other.values.both(limit.values), tuple(sorted((*other.ops, *limit.ops))), limit.kind)
        found[column] = limit
    return found


def _plain(condition: Condition, given: Mapping[Value, Bound]) -> list[Any]:
    values: list[Any] = [_bound(value, given).value for value in condition.values]
    if condition.op == "any":
        (values,) = values
        if not isinstance(values, list):
            raise Unclear("no list")
    if condition.op in ("any", "in"):  # a NULL among them finds nothing
        values = [value for value in values if value is not None]
    return allowed.plain(condition.kind, values)
