"""What owners allow, checked before and while a query runs: rows examined, statements, rows of an answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from connectors.errors import Error, LimitExceeded
from connectors.statistics import Estimate
from federation.channel import Rest
from planner.plan import Fragment
from views.catalog import Catalog, QueryLimits, Source, View

LARGE = 1_000_000  # rows that an operational source is not made to examine without a look at its EXPLAIN


def budget(source: Source) -> float | None:
    """Rows that one statement may make the source examine before another plan is looked for; None: any number."""
    if source.limits.examined_rows is not None:
        return float(source.limits.examined_rows)
    return float(LARGE) if source.operational else None


def open_question(fragment: Fragment, source: Source) -> bool:
    """Whether the estimate leaves open if the fragment keeps within the budget, and EXPLAIN could tell."""
    most = budget(source)
    return most is not None and bool(fragment.expected.fingerprint) and fragment.expected.examined.straddles(most)


def past(fragment: Fragment, source: Source) -> bool:
    """Whether the fragment is likely to examine more than the source's owner allows."""
    most = source.limits.examined_rows
    return most is not None and fragment.expected.examined.likely > most


def too_much(fragment: Fragment, source: Source, catalog: Catalog) -> LimitExceeded:
    """The error for a fragment past the owner's examined rows: which budget, its value, what would avoid it."""
    name = source.name
    scanned = [key for key in fragment.expected.sequential if key]
    indexes = [_indexes(key, catalog) for key in scanned]
    return LimitExceeded(
        f"source {name} would read {_about(fragment.expected.examined)} rows for one statement; its owner allows "
        f"{source.limits.examined_rows:,}",
        detail="; ".join(
            f"no index serves what is asked of {key}{own}" for key, own in zip(scanned, indexes, strict=True)
        )
        or None,
        hint="Filter on an indexed column, or join with fewer rows of another source; EXPLAIN shows what is asked. "
        f"The limit is limits.examined_rows in sources/{name}.yml; with on_budget: slow there it would run, one such "
        "statement at a time.",
    )


def _about(rows: Estimate) -> str:
    exact = rows.low == rows.high
    return f"{rows.likely:,.0f}" if exact else f"about {rows.likely:,.0f} ({rows.low:,.0f} to {rows.high:,.0f})"


def _indexes(key: str, catalog: Catalog) -> str:
    schema, _, name = key.partition(".")
    relation = catalog.tables.get((schema, name))
    table = relation.table if relation is not None else None
    if table is None:
        return ""
    known = dict.fromkeys((*table.keys, *table.indexes))
    return ", which has " + (", ".join(f"({', '.join(index)})" for index in known) if known else "none")


@dataclass(slots=True)
class Spent:
    """What one query has cost each source: statements, rows, bytes in Arrow, and seconds. What the cache had, or was
    fetched for another query, costs nothing."""

    counts: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def room(self, source: str, most: int | None, wanted: int) -> bool:
        """Whether `wanted` statements more keep within the owner's number."""
        return most is None or self.counts[source] + wanted <= most

    def take(self, source: str, most: int | None, wanted: int) -> None:
        """Count them; LimitExceeded (53400) past the owner's number."""
        if not self.room(source, most, wanted):
            raise LimitExceeded(
                f"source {source} would get {self.counts[source] + wanted} statements for one query; its owner allows "
                f"{most}",
                hint="Ask for less at once, or filter so that fewer keys are looked up; EXPLAIN shows the statements. "
                f"The limit is limits.statements in sources/{source}.yml.",
            )
        self.counts[source] += wanted

    def spend(self, source: str, most: QueryLimits, rows: int, size: int, seconds: float = 0.0) -> None:
        """Count what has come; LimitExceeded (53400) past what the owner allows one query."""
        self.rows[source] += rows
        self.bytes[source] += size
        self.seconds[source] += seconds
        if most.rows is not None and self.rows[source] > most.rows:
            raise _exceeded(source, "rows", f"{self.rows[source]:,} rows", f"{most.rows:,}")
        if most.bytes is not None and self.bytes[source] > most.bytes:
            raise _exceeded(source, "bytes", f"{self.bytes[source]:,} bytes", f"{most.bytes:,}")
        if most.time is not None and self.seconds[source] > most.time:
            raise _exceeded(source, "time", f"{self.seconds[source]:.1f} s", f"{most.time:g} s")


def _exceeded(source: str, what: str, spent: str, most: str) -> LimitExceeded:
    return LimitExceeded(
        f"the query has cost source {source} {spent}; its owner allows {most} for one query",
        hint="Filter on an indexed column, aggregate or join fewer rows, so that less of the source is needed; EXPLAIN "
        f"ANALYZE shows what each statement takes. The limit is limits.query.{what} in sources/{source}.yml.",
    )


@dataclass(slots=True)
class Metered:
    """The rest of a stream, of which each batch is counted as what its query costs the source."""

    rest: Rest
    spend: Callable[[int, int], None]

    async def __anext__(self) -> pa.RecordBatch:
        batch = await self.rest.__anext__()
        self.spend(batch.num_rows, batch.nbytes)
        return batch

    def close(self, reason: Error | None = None) -> None:
        """See Rest."""
        self.rest.close(reason)

    def fail(self, error: Error) -> None:
        """See Rest."""
        self.rest.fail(error)


@dataclass(slots=True)
class Bounded:
    """An answer's batches, of which a view's owner allows a number of rows."""

    batches: AsyncIterator[pa.RecordBatch]
    most: int
    view: str
    file: str
    rows: int = 0

    def __aiter__(self) -> Bounded:
        return self

    async def __anext__(self) -> pa.RecordBatch:
        batch = await anext(self.batches)
        self.rows += batch.num_rows
        if self.rows > self.most:
            await self.aclose()
            raise LimitExceeded(
                f"the answer has more than {self.most:,} rows, which is what view {self.view} allows",
                hint=f"Filter, aggregate or add LIMIT. The limit is guard.max_rows in {self.file}.",
            )
        return batch

    async def aclose(self) -> None:
        """Take no more of them."""
        close = getattr(self.batches, "aclose", None)
        if close is not None:
            await close()


def strictest(views: Sequence[View]) -> View | None:
    """The view that allows the fewest rows."""
    bounded = [view for view in views if view.max_rows is not None]
    return min(bounded, key=lambda view: view.max_rows or 0, default=None)
