"""A statement as PostgreSQL itself understands it: canonical text, exact types, what it reads, its own errors."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from cachetools import LRUCache

from connectors.errors import Error, QueryError
from connectors.types import BUILTIN, PgType
from federation.canon.lex import Token, params, statements, words
from federation.canon.server import Canon
from federation.canon.wire import Backend, Command, Description, Wire, encode
from planner.statement import Statement

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
# What changes how PostgreSQL reads a statement, with the canon's defaults.
READING = {
    "timezone": "UTC",
    "datestyle": "ISO, MDY",
    "intervalstyle": "postgres",
    "standard_conforming_strings": "on",
    "default_text_search_config": "pg_catalog.simple",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "xmloption": "content",
}
OPENING = frozenset({"select", "values", "table", "with", "("})
# A view cannot have such a column, a statement can: record and void, no collation found, more than 1600.
NOT_A_VIEW = frozenset({"42P16", "42P22", "54011"})
NAME = "vdw_statement"


@dataclass(frozen=True, slots=True)
class Form:
    """What a statement is made into, so that PostgreSQL prints it."""

    head: str
    tail: str
    ask: str

    def bare(self, printed: str) -> str:
        """The statement alone of what was printed."""
        text = printed.strip()
        if self is BODY:
            text = text.removeprefix("BEGIN ATOMIC").removesuffix("END").strip()
        return text.removesuffix(";")


VIEW = Form(
    head=f"CREATE TEMP VIEW {NAME}{{aliases}} AS ",
    tail="",
    ask=f"SELECT * FROM vdw.analysed('pg_temp.{NAME}'::regclass)",
)
BODY = Form(
    head=f"CREATE FUNCTION pg_temp.{NAME}() RETURNS void LANGUAGE sql BEGIN ATOMIC ",
    tail="\n; END",
    ask=f"SELECT * FROM vdw.analysed_body('pg_temp.{NAME}'::regproc)",
)
_OF_SESSION = re.compile(
    r"\b(pg_backend_pid|set_config|currval|lastval|nextval|setval|pg_my_temp_schema|pg_advisory_\w+"
    r"|pg_try_advisory_\w+|pg_notify|pg_current_xact_id\w*|txid_current\w*|pg_listening_channels|inet_\w+_(?:addr|port))\("
)
# Words that PostgreSQL turns into a constant while it reads a statement.
_CLOCK = re.compile(r"now|today|tomorrow|yesterday", re.IGNORECASE)
_BY_OID = {oid: PgType(name) for name, (oid, _, _) in BUILTIN.items()} | {
    array: PgType("_" + name) for name, (_, array, _) in BUILTIN.items() if array
}


class Analyser:
    """Analyses statements on connections of its own; what is understood is kept.

    `reset` after each change of the shells. Two connections by default: analysis is CPU work of the canon's.
    """

    def __init__(self, canon: Canon, connections: int = 2, kept: int = 4096) -> None:
        self._canon = canon
        self._size = connections
        self._idle: asyncio.LifoQueue[_Reader] = asyncio.LifoQueue()
        self._kept: LRUCache[tuple[object, ...], Statement] = LRUCache(kept)
        self._may: dict[tuple[str, tuple[str, str]], bool] = {}
        self._names: dict[int, tuple[str, str] | None] = {}
        self._types: dict[int, PgType] = dict(_BY_OID)
        self._epoch = 0

    async def start(self) -> None:
        """Open the connections."""
        for _ in range(self._size):
            self._idle.put_nowait(_Reader(self._canon))
        async with self._reader() as reader:
            await self._learn_types(reader.wire)

    async def close(self) -> None:
        """Close them."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def reset(self) -> None:
        """Forget everything: the shells, or who may read them, changed."""
        self._epoch += 1
        self._kept.clear()
        self._may.clear()
        self._names.clear()

    async def analyse(
        self,
        sql: str,
        search_path: tuple[str, ...] = ("public",),
        *,
        settings: Mapping[str, str] = NO_SETTINGS,
        declared: Sequence[int] = (),
        user: str | None = None,
    ) -> Statement:
        """The statement, or QueryError as PostgreSQL would give it (its position counts in `sql`).

        `settings` are the session's (those that change how text is read count: TimeZone, DateStyle ...);
        `declared` the oids of parameter types that the client fixed (0: open); with `user`, that role's
        privileges are checked (42501).
        """
        state = _state(search_path, settings)
        key = (sql, state, tuple(declared))
        statement = self._kept.get(key)
        if statement is None:
            epoch = self._epoch
            statement = await self._analyse(sql, state, declared)
            if epoch == self._epoch and not statement.fleeting:
                self._kept[key] = statement
        if user is not None:
            await self.permit(user, statement.relations)
        return statement

    async def permit(self, user: str, relations: Sequence[tuple[str, str]]) -> None:
        """QueryError 42501 unless `user` may read every one of the relations."""
        unknown = [key for key in relations if (user, key) not in self._may]
        if unknown:
            async with self._reader() as reader:
                await self._ask_privileges(reader.wire, user, unknown)
        for schema, name in relations:
            if not self._may[user, (schema, name)]:
                raise QueryError(f"permission denied for view {name}", sqlstate="42501", detail=f"{schema}.{name}")

    async def bind_types(
        self, sql: str, search_path: tuple[str, ...] = ("public",), declared: Sequence[int] = ()
    ) -> tuple[PgType, ...]:
        """The types of a statement's parameters alone."""
        async with self._reader() as reader:
            told = await reader.describe(sql, _state(search_path, NO_SETTINGS), declared)
            return await self._typed(reader.wire, told.params)

    async def analyse_on(
        self, backend: Backend, sql: str, *, in_transaction: bool, declared: Sequence[int] = (), standard: bool = True
    ) -> Statement:
        """The same on a client session's own backend, for what reads its temporary tables.

        Leaves nothing behind: within a transaction a savepoint is rolled back to. Not kept, as the tables may
        change. A failed transaction, or one that is read-only, is the caller's to refuse first.
        """
        one = _single(sql, standard)
        await backend.rows("SAVEPOINT vdw_analysis" if in_transaction else "BEGIN")
        try:
            told = await backend.describe(sql, declared)
            return await self._understand(backend, sql, one, told, standard)
        finally:
            undo = ("ROLLBACK TO SAVEPOINT vdw_analysis", "RELEASE SAVEPOINT vdw_analysis")
            await backend.rows(*(undo if in_transaction else ("ROLLBACK",)))

    async def _analyse(self, sql: str, state: tuple[str, ...], declared: Sequence[int]) -> Statement:
        standard = state[1 + list(READING).index("standard_conforming_strings")] != "off"
        one = _single(sql, standard)
        async with self._reader() as reader:
            told = await reader.describe(sql, state, declared)
            try:
                return await self._understand(reader, sql, one, told, standard)
            except QueryError as error:
                if error.sqlstate not in NOT_A_VIEW:
                    raise
            return await self._understand(reader, sql, one, told, standard, BODY)

    async def _understand(
        self,
        backend: Backend,
        sql: str,
        one: tuple[int, int],
        told: Description,
        standard: bool,
        form: Form = VIEW,
    ) -> Statement:
        types = await self._typed(backend, told.params)
        marked = Marked.of(sql, one, types, standard)
        head = form.head.format(aliases=_aliases(len(told.columns)))
        try:
            _, ((canonical, relids, locks),) = await backend.rows(head + marked.text + form.tail, form.ask)
        except QueryError as error:
            raise _told_again(error, marked, len(head)) from error
        names = await self._named(backend, [int(oid) for oid in (relids or "{}")[1:-1].split(",") if oid])
        relations = tuple(sorted(name for name in names if name is not None))
        if locks == "t" and relations:
            raise _locked(relations[0])
        kinds = await self._typed(backend, [oid for _, oid, _ in told.columns])
        columns = tuple(
            (name, kind if mod < 0 else PgType(kind.name, mod, kind.oid))
            for (name, _, mod), kind in zip(told.columns, kinds, strict=True)
        )
        canonical = form.bare(canonical or "")
        return Statement(
            sql=sql,
            text=canonical,
            columns=columns,
            params=types,
            relations=relations,
            session=None in names or _OF_SESSION.search(canonical) is not None,
            fleeting=_fleeting(sql, standard),
        )

    async def _typed(self, backend: Backend, oids: Sequence[int]) -> tuple[PgType, ...]:
        if any(oid not in self._types for oid in oids):
            await self._learn_types(backend)
        return tuple(self._types[oid] for oid in oids)

    async def _learn_types(self, backend: Backend) -> None:
        for row in (await backend.rows("SELECT oid, typname FROM pg_type"))[0]:
            oid, name = int(row[0] or 0), row[1] or ""
            self._types.setdefault(oid, PgType(name, -1, oid))

    async def _named(self, backend: Backend, oids: Sequence[int]) -> list[tuple[str, str] | None]:
        """The virtual relations of those oids; None for one that is the session's or the system's."""
        unknown = [oid for oid in oids if oid not in self._names]
        if unknown:
            listed = ",".join(map(str, unknown))
            found = await backend.rows(
                "SELECT c.oid, n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                f"JOIN vdw.shell s ON s.schema = n.nspname AND s.name = c.relname WHERE c.oid IN ({listed})"
            )
            virtual = {int(oid or 0): (schema or "", name or "") for oid, schema, name in found[0]}
            self._names.update((oid, virtual[oid]) for oid in virtual)
            return [self._names.get(oid) for oid in oids]
        return [self._names[oid] for oid in oids]

    async def _ask_privileges(self, wire: Wire, user: str, keys: Sequence[tuple[str, str]]) -> None:
        epoch = self._epoch
        results = await wire.run(*(_privilege(user, schema, name) for schema, name in keys))
        answers = [result.get_value(0, 0) == b"t" for result in results]
        if epoch == self._epoch:
            self._may.update(((user, key), answer) for key, answer in zip(keys, answers, strict=True))

    @contextlib.asynccontextmanager
    async def _reader(self) -> AsyncIterator[_Reader]:
        reader = await self._idle.get()
        try:
            await reader.connect()
            yield reader
        finally:
            self._idle.put_nowait(reader)


class _Reader:
    """One analysing connection and the settings that it now has."""

    def __init__(self, canon: Canon) -> None:
        self._canon = canon
        self._wire: Wire | None = None
        self._state: tuple[str, ...] = ()

    @property
    def wire(self) -> Wire:
        assert self._wire is not None  # noqa: S101
        return self._wire

    async def connect(self) -> None:
        if self._wire is not None and (self._wire.broken or self._wire.generation != self._canon.generation):
            self.close()
        if self._wire is None:
            generation = self._canon.generation
            self._wire = await Wire.connect(self._canon.dsn())
            self._wire.generation = generation
            self._state = ()
            # The session's temporary schema, once, and not in each transaction anew.
            await self._wire.rows("CREATE TEMP TABLE vdw_first ()", "DROP TABLE vdw_first", "SET statement_timeout = '30s'")

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def describe(self, sql: str, state: tuple[str, ...], declared: Sequence[int]) -> Description:
        if state == self._state:
            return await self.wire.describe(sql, declared)
        self._state = ()
        told = await self.wire.described(sql, declared, _apply(state))
        self._state = state
        return told

    async def rows(self, *texts: str) -> list[list[tuple[str | None, ...]]]:
        """Run, and undo: rolled-back catalog rows can be vacuumed at once, dropped ones only in time."""
        try:
            return (await self.wire.rows("BEGIN", *texts, "ROLLBACK"))[1:-1]
        except Error:
            if self._wire is not None and not self._wire.broken:
                await self._wire.rows("ROLLBACK")
            raise


@dataclass(frozen=True, slots=True)
class Marked:
    """A statement's text with a marker for each parameter; `places` are (here, there, length there) of markers."""

    sql: str
    start: int
    text: str
    places: tuple[tuple[int, int, int], ...]

    @classmethod
    def of(cls, sql: str, one: tuple[int, int], types: Sequence[PgType], standard: bool) -> Marked:
        """Markers for the parameters of `sql[one[0]:one[1]]`."""
        start, end = one
        parts, places, at, length = [], [], start, 0
        for first, last, number in params(sql, standard):
            if not start <= first < end:
                continue
            marker = f" (vdw.param({number}, NULL::{types[number - 1].bare.sql})) "
            parts += [sql[at:first], marker]
            length += first - at + len(marker)
            places.append((length, last, len(marker) - (last - first)))
            at = last
        parts.append(sql[at:end])
        return cls(sql, start, "".join(parts), tuple(places))

    def position(self, here: int) -> int | None:
        """The position in the user's text (from 1) of offset `here` (from 0) in the marked one."""
        if here < 0:
            return None
        grown = 0
        for end, _, more in self.places:
            if here >= end:
                grown += more
        return min(self.start + here - grown, len(self.sql)) + 1


def _told_again(error: QueryError, marked: Marked, head: int) -> QueryError:
    """The error of a made-up view, in the terms of the statement it was made of."""
    error.position = None if error.position is None else marked.position(error.position - 1 - head)
    if error.sqlstate == "42601" or "data-modifying" in error.message or "SELECT INTO" in error.message:
        # PostgreSQL parsed it, but it is no plain SELECT: SELECT INTO, or WITH ... INSERT
        error.message, error.sqlstate = "only SELECT can be planned: this statement writes", "0A000"
        error.hint = "Virtual views are read-only."
    return error


def _single(sql: str, standard: bool) -> tuple[int, int]:
    """Where the one statement of the text stands; QueryError when it is none, many, or nothing that selects."""
    found = statements(sql, standard)
    if len(found) > 1:
        raise QueryError("cannot insert multiple commands into a prepared statement", sqlstate="42601")
    first = next(words(sql, standard), None)
    if first is None or not found:
        raise QueryError("the statement is empty", sqlstate="42601")
    if first.text.lower() not in OPENING:
        raise QueryError(
            f"only SELECT can be planned, not {first.text.upper()[:40]}",
            sqlstate="0A000",
            hint="Virtual views are read-only.",
            position=first.start + 1,
        )
    return found[0]


def _locked(relation: tuple[str, str]) -> QueryError:
    return QueryError(
        f"permission denied for view {relation[1]}",
        sqlstate="42501",
        hint="Virtual views are read-only: leave out FOR UPDATE and FOR SHARE.",
    )


def _aliases(count: int) -> str:
    return "(" + ", ".join(f"c{i}" for i in range(1, count + 1)) + ")" if count else ""


def _fleeting(sql: str, standard: bool) -> bool:
    return _CLOCK.search(sql) is not None and any(
        token.kind == "string" and _CLOCK.search(token.text) for token in words(sql, standard)
    )


def _state(search_path: Sequence[str], settings: Mapping[str, str]) -> tuple[str, ...]:
    """The search path and each setting that matters, as one value."""
    given = {name.lower(): value for name, value in settings.items()}
    path = ", ".join('"' + schema.replace('"', '""') + '"' for schema in search_path)
    return (path, *(given.get(name, default) for name, default in READING.items()))


def _apply(state: tuple[str, ...]) -> Command:
    names = ("search_path", *READING)
    calls = ", ".join(f"set_config('{name}', ${i}, false)" for i, name in enumerate(names, 1))
    text, values = encode(f"SELECT {calls}"), [encode(value) for value in state]
    return lambda pgconn: pgconn.send_query_params(text, values)


def _privilege(user: str, schema: str, name: str) -> Command:
    """Asks whether the role may use the schema and read the relation; false for a role that is not there."""
    text = b"""SELECT coalesce(has_schema_privilege(r.oid, $2::text, 'usage')
        AND has_table_privilege(r.oid, format('%I.%I', $2::text, $3::text), 'select'), false)
        FROM (SELECT) AS one LEFT JOIN pg_roles AS r ON r.rolname = $1"""
    values = [encode(user), encode(schema), encode(name)]
    return lambda pgconn: pgconn.send_query_params(text, values)
