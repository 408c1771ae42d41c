"""Which engine merges the fragments' rows: the canon what is small or unproven, DuckDB what is large and proven."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Protocol

import pyarrow as pa

from connectors.base import Bound, Cancel
from connectors.errors import Error
from connectors.types import PgType
from federation.channel import Channel, Relay, Rest
from federation.duck import HEAD, Duck, Unfit
from federation.result import Ran
from federation.session import Session
from federation.steps import Fetched
from planner.plan import Plan, Stage
from planner.values import peculiar

# Rows that stages read up to which the canon merges faster. Measured on two busy cores, a join with an average for each
# group, canon / staged / DuckDB alone: 600 rows 9 / 10 / 7 ms, 6,000 rows 22 / 22 / 7, 12,000 rows 31 / 10 / 27, 36,000
# rows 166 / 17 / 15, 120,000 rows 506 / 66 / 29. On idle ones 1,000 rows take 2 ms in the canon and 3 in DuckDB.
SMALL = 2_000
MORE = 4  # times as many rows as it reads that a stage may give before it is cheaper to hand over what it reads

log = logging.getLogger(__name__)


class InCanon(Protocol):
    """Runs a plan's residual over fragments' rows in the embedded PostgreSQL; `cancel` stops it there."""

    def __call__(
        self, plan: Plan, tables: Mapping[int, pa.Table], params: Sequence[Bound], session: Session, cancel: Cancel
    ) -> AsyncGenerator[pa.RecordBatch, None]: ...


@dataclass(slots=True)
class Merged:
    """An answer's first batches, and the rest where they are not all. `why` says why that engine merged."""

    engine: str
    why: str
    batches: list[pa.RecordBatch]
    rest: Rest | None
    ms: float
    stages: Sequence[Ran] = ()
    complete: bool = field(init=False)

    def __post_init__(self) -> None:
        self.complete = self.rest is None

    def claim(self) -> Rest | None:
        """The rest, for the first who asks."""
        rest, self.rest = self.rest, None
        return rest

    @property
    def size(self) -> int:
        """Bytes of the batches at hand."""
        return sum(batch.nbytes for batch in self.batches)


@dataclass(slots=True)
class Merger:
    """Both engines; `in_canon` runs a plan's residual in the embedded PostgreSQL."""

    duck: Duck
    in_canon: InCanon

    async def run(self, plan: Plan, fetched: Fetched, params: Sequence[Bound], session: Session) -> Merged:
        """Merge; raises what PostgreSQL would say of these rows."""
        began = time.perf_counter()
        engine, why = "canon", why_canon(plan, fetched, session)
        tables: Mapping[int, pa.Table] = fetched.tables
        values, ran = (*params, *fetched.computed), list[Ran]()
        if not why:
            try:
                if plan.rest is None:
                    return await self._in_duckdb(plan, fetched, params, session, began)
                tables, ran = await self._staged(plan, tables, values)
                why = why_staged(plan, ran)
                engine, plan = "staged", plan.rest
            except Unfit as reason:
                why = f"DuckDB could not do it as PostgreSQL does: {reason}"
                log.info("merge moved to the canon: %s", reason)
        cancel = Cancel()
        relay = Relay(self.in_canon(plan, tables, params, session, cancel), cancel)
        batches, more = await _first(relay)
        return Merged(engine, why, batches, more, _since(began), ran)

    async def _in_duckdb(
        self, plan: Plan, fetched: Fetched, params: Sequence[Bound], session: Session, began: float
    ) -> Merged:
        channel = await self.duck.run(plan.stages[0], fetched.tables, (*params, *fetched.computed))
        head = await channel.head()
        again = partial(self.in_canon, plan, fetched.tables, params, session, Cancel())
        rest = None if head.complete else _Checked(channel, again)
        return Merged("duckdb", why_duckdb(fetched.rows), head.batches, rest, _since(began))

    async def _staged(
        self, plan: Plan, tables: Mapping[int, pa.Table], params: Sequence[Bound]
    ) -> tuple[dict[int, pa.Table], list[Ran]]:
        """The tables of `plan.rest`, and how they came; Unfit where the canon has to do without stages."""
        made, ran = dict(tables), []
        for stage in plan.stages:
            began, read = time.perf_counter(), sum(tables[number].num_rows for number in stage.reads)
            made[stage.id] = await self._table(stage, tables, params, MORE * read + SMALL)
            ran.append(Ran(stage.id, read, made[stage.id].num_rows, _since(began)))
        return made, ran

    async def _table(
        self, stage: Stage, tables: Mapping[int, pa.Table], params: Sequence[Bound], most: int
    ) -> pa.Table:
        """A stage's rows; Unfit where they are more than `most`."""
        channel = await self.duck.run(stage, tables, params)
        try:
            head = await channel.head()
            batches, rows = list(head.batches), sum(batch.num_rows for batch in head.batches)
            if not head.complete:
                async for batch in channel:
                    batches.append(batch)
                    rows += batch.num_rows
                    if rows > most:
                        raise Unfit(f"a part of it gave more than {most:,} rows")
        except BaseException:
            channel.close()
            raise
        return pa.Table.from_batches(batches)


class Unheld(Exception):
    """A computed value, or a boundary's, has no way to a source: the statement has to be planned without it."""


async def compute(in_canon: InCanon, plan: Plan, params: Sequence[Bound], session: Session) -> list[Bound]:
    """The values of the plan's computed expressions, all of one moment."""
    if not plan.computed:
        return []
    selected = ", ".join(f"{text} AS c{i}" for i, (text, _) in enumerate(plan.computed))
    columns = tuple((f"c{i}", kind) for i, (_, kind) in enumerate(plan.computed))
    asked = Plan((), columns, plan.params, f"SELECT {selected}")
    batches = [batch async for batch in in_canon(asked, {}, params, session, Cancel())]
    try:
        (row,) = [row for batch in batches for row in batch.to_pylist()]
    except (OverflowError, ValueError):
        raise Unheld from None
    return held([_bound(value, kind) for value, (_, kind) in zip(row.values(), plan.computed, strict=True)])


def held(values: list[Bound]) -> list[Bound]:
    """The values, where sources have them all; else Unheld."""
    if any(map(peculiar, values)):
        raise Unheld
    return values


def single(table: pa.Table, kind: PgType) -> Bound | None:
    """A boundary's value, NULL of no row; None for several rows. Unheld for a value that cannot be bound."""
    if table.num_rows > 1:
        return None
    try:
        values = table.column(0).to_pylist()
    except (OverflowError, ValueError):
        raise Unheld from None
    return held([_bound(values[0] if values else None, kind)])[0]


def why_canon(plan: Plan, fetched: Fetched, session: Session) -> str:
    """Why this merge belongs in the canon altogether; '' where DuckDB may do it or a part of it."""
    if plan.session:
        return "it reads relations of the session itself"
    if not plan.stages:
        return plan.why_canon or "nothing of it is for DuckDB"
    rows = sum(fetched.tables[i].num_rows for i in {i for stage in plan.stages for i in stage.reads})
    if rows <= SMALL:
        return f"{rows:,} rows are few: up to {SMALL:,} the canon is faster"
    return _unlike_utc(plan, session)


def why_duckdb(rows: int) -> str:
    """Why DuckDB merged."""
    return f"{rows:,} rows are many, and every expression is proven equal in DuckDB"


def why_staged(plan: Plan, ran: Sequence[Ran]) -> str:
    """Why DuckDB merged first and then the canon."""
    read, left = sum(one.read for one in ran), sum(one.rows for one in ran)
    return f"{read:,} rows became {left:,} in DuckDB, the rest is not proven there: {plan.why_canon}"


class _Checked:
    """The rest of DuckDB's answer. Where DuckDB fails on it, rows have been given away already, so that the canon
    cannot answer instead; but it can say what is wrong, in PostgreSQL's words."""

    def __init__(self, rest: Channel, in_canon: Callable[[], AsyncGenerator[pa.RecordBatch, None]]) -> None:
        self._rest = rest
        self._in_canon = in_canon

    async def __anext__(self) -> pa.RecordBatch:
        try:
            return await self._rest.__anext__()
        except Unfit as reason:
            async for _ in self._in_canon():
                pass
            raise Error(f"DuckDB stopped half-way ({reason}) where PostgreSQL finds no fault") from None

    def close(self, reason: Error | None = None) -> None:
        self._rest.close(reason)

    def fail(self, error: Error) -> None:
        self._rest.fail(error)


def _bound(value: Any, kind: PgType) -> Bound:
    if kind.name.startswith("_") and value is not None:
        raise Error(f"a computed value of type {kind.sql} has no way to a source")
    return Bound(kind, format(value, "f") if kind.name == "numeric" and isinstance(value, Decimal) else value)


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


async def _first(relay: Relay) -> tuple[list[pa.RecordBatch], Rest | None]:
    """The batches up to HEAD bytes, and a rest if there are more."""
    first: list[pa.RecordBatch] = []
    size = 0
    try:
        async for batch in relay:
            first.append(batch)
            size += batch.nbytes
            if size > HEAD:
                return first, relay
    except BaseException:
        relay.close()
        raise
    return first, None


def _unlike_utc(plan: Plan, session: Session) -> str:
    """Settings that change what expressions mean stay with the engine that knows them all."""
    settings = {name.lower(): value for name, value in session.settings.items()}
    zone = settings.get("timezone", "UTC")
    zoned = any(kind.name in ("timestamptz", "timetz") for kind in _kinds(plan))
    if zoned and zone.upper() not in ("UTC", "ETC/UTC", "GMT"):
        return f"the session's time zone is {zone}, DuckDB's is UTC"
    style = settings.get("datestyle", "ISO")
    if not style.upper().startswith("ISO"):
        return f"the session's DateStyle is {style}"
    return ""


def _kinds(plan: Plan) -> list[PgType]:
    columns = [kind for fragment in plan.fragments for _, kind in fragment.columns]
    return [*columns, *(kind for _, kind in plan.columns), *plan.params]
