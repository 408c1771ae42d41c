"""The statement over fetched rows: each fragment's columns enter as array parameters, the canon does the rest."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType

import pyarrow as pa
from cachetools import LRUCache
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus
from psycopg.pq import Format as PqFormat
from psycopg.pq.abc import PGconn, PGresult

from connectors.base import Bound, Cancel
from connectors.errors import Error, LimitExceeded
from connectors.types import PgType
from federation.canon import bulk
from federation.canon.arrays import arrays, wire_type
from federation.canon.lex import words
from federation.canon.rows import batch, readable
from federation.canon.server import MERGE, Canon
from federation.canon.wire import Command, Wire, encode, query
from federation.session import Session
from planner.plan import Fragment, Plan

PIECE = 256 * 2**20  # bytes of one array; larger inputs come in several
MESSAGE = 2**30 - 2**20  # bytes of all parameters: PostgreSQL refuses a message of 1 GB
BATCH = 8_192  # rows
ONE: Mapping[int, int] = MappingProxyType({})
CANCELLED = "57014"
PARAMETERS = 128 * 2**20  # bytes of rows that one statement takes as parameters; more go through temporary tables
LOOPS = 1_000  # rows of two relations beyond which a nested loop between them is a mistake of estimates
# For one statement. Of parameters PostgreSQL knows how many there are, and guesses how many a filter leaves: too few.
JOINS = "SELECT set_config('enable_nestloop', 'off', true), set_config('work_mem', '32MB', true)"
FEW = 200  # rows; beyond, a plan made without knowing the rows may be a bad one
OURS = frozenset({"role", "session_authorization", "search_path", "statement_timeout"})
# Texts by the plan's identity (which the entry itself keeps from being another's): a plan is costly to compare.
_written: LRUCache[tuple[object, ...], tuple[Plan, str]] = LRUCache(512)
# Asked of the session's own user: the connection may still be in the role of whoever had it before.
ROLE = (
    "coalesce((SELECT rolname FROM pg_roles WHERE rolname = $1 AND pg_has_role(session_user, oid, 'SET')"
    " AND NOT rolsuper), 'none')"
)


def with_arrays(plan: Plan, residual_sql: str, pieces: Mapping[int, int] = ONE) -> str:
    """The residual with its relations f0, f1 ... made of array parameters, which come after the client's own.

    For each fragment, in the plan's order, and for each of its `pieces` (1 where not told), one parameter per
    column: `arrays(table, types)`. `WITH f0(c0, c1) AS (SELECT * FROM unnest($1::bigint[], $2::text[])) ...`
    """
    key = (id(plan), residual_sql, tuple(sorted(pieces.items())))
    known = _written.get(key)
    if known is None or known[0] is not plan:
        known = _written[key] = (plan, _with_arrays(plan, residual_sql, pieces))
    return known[1]


def _with_arrays(plan: Plan, residual_sql: str, pieces: Mapping[int, int]) -> str:
    number, made = len(plan.params), []
    for fragment in plan.fragments:
        width = max(1, len(fragment.columns))
        selects = []
        for _ in range(pieces.get(fragment.id, 1)):
            selects.append(_select(fragment, number))
            number += width
        names = ", ".join(f"c{i}" for i in range(len(fragment.columns)))
        listed = f"({names})" if names else ""
        made.append(f"f{fragment.id}{listed} AS ({' UNION ALL '.join(selects)})")
    if not made:
        return residual_sql
    return _merged(", ".join(made), residual_sql)


def _merged(ctes: str, sql: str) -> str:
    """The residual behind our CTEs; its own WITH goes on where ours ends."""
    first, *second = islice(words(sql), 2)
    if first.text.lower() != "with":
        return f"WITH {ctes} {sql}"
    recursive = bool(second) and second[0].text.lower() == "recursive"
    end = second[0].end if recursive else first.end
    return f"WITH {'RECURSIVE ' if recursive else ''}{ctes}, {sql[end:]}"


def _select(fragment: Fragment, before: int) -> str:
    kinds = [kind for _, kind in fragment.columns]
    if not kinds:
        return f"SELECT FROM unnest(${before + 1}::boolean[])"
    given = ", ".join(f"${before + i}::{wire_type(kind).sql}[]" for i, kind in enumerate(kinds, 1))
    cast = [f"u.c{i}" + ("" if wire_type(k) == k.bare else f"::{k.bare.sql}") for i, k in enumerate(kinds)]
    if not any("::" in column for column in cast):
        return f"SELECT * FROM unnest({given})"  # noqa: S608
    names = ", ".join(f"c{i}" for i in range(len(kinds)))
    return f"SELECT {', '.join(cast)} FROM unnest({given}) AS u({names})"  # noqa: S608


def inputs(plan: Plan, tables: Mapping[int, pa.Table]) -> tuple[list[bytes], dict[int, int]]:
    """All array parameters of a plan, and the `pieces` with which `with_arrays` expects them.

    LimitExceeded (53400) past what one PostgreSQL message can carry.
    """
    values: list[bytes] = []
    pieces: dict[int, int] = {}
    for fragment in plan.fragments:
        table, kinds = tables[fragment.id], [kind for _, kind in fragment.columns]
        pieces[fragment.id] = count = 1 + _largest(table) // PIECE
        step = -(-table.num_rows // count) or 1
        for at in range(count):
            values += arrays(table.slice(at * step, step) if count > 1 else table, kinds)
    size = sum(map(len, values))
    if size > MESSAGE:
        raise LimitExceeded(
            f"the rows to merge take {size // 2**20} MB, and the canon takes {MESSAGE // 2**20} MB in one statement",
            hint="Narrow the query: filter more, or select fewer columns.",
        )
    return values, pieces


def _largest(table: pa.Table) -> int:
    """Bytes of the largest column's array, about."""
    all_of_them = int(table.get_total_buffer_size())
    if all_of_them < PIECE // 2:  # looking at each column takes longer than the lookup of a row
        return all_of_them
    sizes = (column.nbytes + 4 * len(column) for column in table.columns)
    return max(sizes, default=0)


class Mergers:
    """Canon connections that run residuals, as the unprivileged `vdw_merge` in the role of whoever asks."""

    def __init__(self, canon: Canon, most: int = 32, limit: int = bulk.LIMIT) -> None:
        self._canon = canon
        self.limit = limit  # bytes of rows in the tables of one merge
        self._idle: list[Wire] = []
        self._free = asyncio.Semaphore(most)

    @contextlib.asynccontextmanager
    async def wire(self, state: tuple[tuple[str, str], ...]) -> AsyncIterator[Wire]:
        """A connection in that state for the time of the block; one that broke is not kept."""
        async with self._free:
            wire = await self._take(state)
            try:
                if wire.state != state:
                    wire.state = ()
                    await wire.run(*_apply(state))
                    wire.state = state
                yield wire
            finally:
                if not wire.broken and wire.generation == self._canon.generation:
                    self._idle.append(wire)
                else:
                    wire.close()

    async def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    async def _take(self, state: tuple[tuple[str, str], ...]) -> Wire:
        self._idle.sort(key=lambda wire: wire.state == state)  # stable: the last used of those that fit
        while self._idle:
            wire = self._idle.pop()
            if not wire.broken and wire.generation == self._canon.generation:
                return wire
            wire.close()
        generation = self._canon.generation
        wire = await Wire.connect(self._canon.dsn(MERGE))
        wire.generation = generation
        return wire


async def run(
    mergers: Mergers,
    plan: Plan,
    tables: Mapping[int, pa.Table],
    params: Sequence[Bound],
    session: Session,
    cancel: Cancel | None = None,
) -> AsyncIterator[pa.RecordBatch]:
    """Run the plan's residual over the fragments' rows (`tables`, by fragment id); at least one batch comes.

    In the session's role, settings, search path and timeout, and read-only.
    Errors are PostgreSQL's own. Columns of types without an Arrow form are text in the session's style.
    """
    assert plan.residual is not None  # noqa: S101
    mine = {fragment.id: tables[fragment.id] for fragment in plan.fragments}
    large = sum(table.nbytes for table in mine.values()) > PARAMETERS
    kinds = [kind for _, kind in plan.columns]
    if large:
        bulk.bounded(mine, mergers.limit)
        sql = readable(_merged(bulk.relations(plan), plan.residual), kinds)
        statement = _Statement.of(plan, sql, params, ())
    else:
        sql, statement = await _with_rows(plan, mine, params, kinds)
    async with mergers.wire(_state(session)) as wire, contextlib.AsyncExitStack() as stack:
        if cancel is not None:
            stack.enter_context(cancel.hook(wire.pgconn.get_cancel().cancel))
        try:
            if large:
                await bulk.fill(wire, plan, mine)
            commands = _commands(statement, wire, mine)
            async with contextlib.aclosing(wire.stream(*commands, chunk=(len(commands) - 1, BATCH))) as stream:
                async for made in _batches(stream, len(commands) - 1, kinds):
                    yield made
        except Error as error:
            if cancel is not None and cancel.reason is not None and error.sqlstate == CANCELLED:
                raise cancel.reason from error
            raise
        finally:
            if "set_config" in sql:
                wire.state = ()  # who knows what it set
            if large and not wire.broken:
                await wire.run(query("ROLLBACK"))


async def _with_rows(
    plan: Plan, tables: Mapping[int, pa.Table], params: Sequence[Bound], kinds: Sequence[PgType]
) -> tuple[str, _Statement]:
    """The statement with its rows as parameters."""
    few = sum(table.num_rows for table in tables.values()) < BATCH
    values, pieces = inputs(plan, tables) if few else await asyncio.to_thread(inputs, plan, tables)
    sql = readable(with_arrays(plan, plan.residual or "", pieces), kinds)
    return sql, _Statement.of(plan, sql, params, values)


def _commands(statement: _Statement, wire: Wire, tables: Mapping[int, pa.Table]) -> list[Command]:
    """What to send, the statement last."""
    sizes = sorted(table.num_rows for table in tables.values())
    if sum(sizes) <= FEW:
        return statement.kept(wire)
    if len(sizes) > 1 and sizes[-2] > LOOPS:
        return [query(JOINS), statement.unnamed]
    return [statement.unnamed]


async def _batches(
    stream: AsyncIterator[tuple[int, PGresult]], wanted: int, kinds: Sequence[PgType]
) -> AsyncIterator[pa.RecordBatch]:
    some = False
    async for index, result in stream:
        if index == wanted and (result.ntuples or not (some or result.status == ExecStatus.TUPLES_CHUNK)):
            some = True
            yield batch(result, kinds)


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement with its parameters, ready to be sent."""

    text: bytes
    values: list[bytes | None]
    oids: list[int]
    formats: list[PqFormat]

    @classmethod
    def of(cls, plan: Plan, sql: str, params: Sequence[Bound], arrays: Sequence[bytes]) -> _Statement:
        kinds = [wire_type(kind).array.type_oid for fragment in plan.fragments for kind in _kinds(fragment)]
        whole = len(kinds) == len(arrays)  # else pieces: the text's casts tell their types
        return cls(
            encode(sql),
            [*(dumped(bound) for bound in params), *arrays],
            [bound.type.type_oid for bound in params] + (kinds if whole else [0] * len(arrays)),
            [PqFormat.TEXT] * len(params) + [PqFormat.BINARY] * len(arrays),
        )

    def unnamed(self, pgconn: PGconn) -> None:
        """Parsed and planned for just these values, so that the plan knows how many rows come."""
        pgconn.send_query_params(self.text, self.values, self.oids, self.formats, PqFormat.BINARY)

    def kept(self, wire: Wire) -> list[Command]:
        """By a prepared statement that the connection keeps: for few rows any plan will do."""
        name, new = wire.prepared(self.text, self.oids)
        execute: Command = lambda pgconn: pgconn.send_query_prepared(  # noqa: E731
            name, self.values, self.formats, PqFormat.BINARY
        )
        return [*new, execute]


def _kinds(fragment: Fragment) -> list[PgType]:
    return [kind for _, kind in fragment.columns] or [PgType("bool")]


def dumped(bound: Bound) -> bytes | None:
    """A parameter's value as PostgreSQL's text input takes it."""
    if bound.value is None:
        return None
    if isinstance(bound.value, str):
        return encode(bound.value)
    made = Transformer().get_dumper(bound.value, PyFormat.TEXT).dump(bound.value)
    return None if made is None else bytes(made)


def _state(session: Session) -> tuple[tuple[str, str], ...]:
    """The session's settings, role first, as one value."""
    path = ", ".join('"' + schema.replace('"', '""') + '"' for schema in session.search_path)
    given = {name.lower(): value for name, value in session.settings.items() if name.lower() not in OURS}
    timeout = str(max(1, int(session.timeout * 1000)))
    return (("role", session.user), ("search_path", path), ("statement_timeout", timeout), *sorted(given.items()))


def _apply(state: tuple[tuple[str, str], ...]) -> tuple[Command, Command]:
    """Brings a connection into `state`; a role that the canon does not know leaves it in its own."""
    (_, user), *rest = state
    calls = ", ".join(f"set_config(${2 * i}, ${2 * i + 1}, false)" for i in range(1, len(rest) + 1))
    text = encode(f"SELECT set_config('role', {ROLE}, false), {calls}")
    values = [encode(value) for value in (user, *(part for pair in rest for part in pair))]
    return query("RESET ALL"), lambda pgconn: pgconn.send_query_params(text, values)
