"""A statement as PostgreSQL itself understands it: canonical text, exact types, what it reads, its own errors.

The statement becomes the body of a function that is never called and never committed: PostgreSQL checks it, keeps
the parse tree, prints it back. That costs half of what a view does, leaves fewer catalog rows to vacuum, and takes
columns that no view can have. A client's own backend has no right to make functions; there it is a view.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from cachetools import LRUCache
from psycopg.pq.abc import PGresult

from connectors.errors import Error, QueryError
from connectors.types import BUILTIN, PgType
from federation.canon.marked import Marked, fleeting, single
from federation.canon.server import Canon
from federation.canon.turn import Turn
from federation.canon.wire import Backend, Command, Description, Rows, Wire, description, encode, query, text_rows
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
ZONE = 1 + list(READING).index("timezone")
STANDARD = 1 + list(READING).index("standard_conforming_strings")  # its place in a state
# A view cannot be made in a read-only transaction, nor of record or void, without a collation, of 1,601 columns.
ELSEWHERE = frozenset({"25006", "42P16", "42P22", "54011"})
# The session's temporary relations, as statements that make tables like them; and its settings, as `reading` has them.
TEMPORARY = """SELECT format('CREATE TEMP TABLE %I (%s)', c.relname,
  string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum))
FROM pg_class AS c LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = pg_my_temp_schema() AND c.relkind IN ('r', 'v', 'm', 'p') GROUP BY c.oid, c.relname"""
STATE = "SELECT " + ", ".join(f"current_setting('{name}')" for name in ("search_path", *READING))
KEPT = 16 << 20  # characters of statements, a small one counted as a thousand or so
PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0, None)  # seconds; a restart takes about a tenth
NAMES = """SELECT c.oid, n.nspname, c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN vdw.shell AS s ON s.schema = n.nspname AND s.name = c.relname WHERE c.oid IN """
# In a parse tree names are escaped, so that none of these can be a name.
_RELID = re.compile(r" :relid (\d+)")
_WRITES = re.compile(r" :commandType [2-9]")
_OF_SESSION = re.compile(
    r"\b(?:pg_backend_pid|set_config|currval|lastval|nextval|setval|pg_my_temp_schema|pg_advisory_\w+"
    r"|vdw\.provenance|pg_try_advisory_\w+|pg_notify|pg_current_xact_id\w*|txid_current\w*|pg_listening_channels|inet_\w+_(?:addr|port))\("
)
_BY_OID = {oid: PgType(name) for name, (oid, _, _) in BUILTIN.items()} | {
    array: PgType("_" + name) for name, (_, array, _) in BUILTIN.items() if array
}


@dataclass(frozen=True, slots=True)
class Form:
    """What a statement is made into, so that PostgreSQL prints it."""

    head: str
    tail: str
    ask: str
    wrapped: bool = False

    def made(self, text: str, columns: int) -> str:
        """The statement that makes it."""
        return self.head.format(aliases=_aliases(columns)) + text + self.tail

    def bare(self, printed: str) -> str:
        """The statement alone of what was printed."""
        text = printed.strip()
        if self.wrapped:
            text = text.removeprefix("BEGIN ATOMIC").removesuffix("END").strip()
        return text.removesuffix(";")


VIEW = Form(
    head="CREATE TEMP VIEW vdw_statement{aliases} AS ",
    tail="",
    ask="SELECT * FROM vdw.printed_view('pg_temp.vdw_statement'::regclass)",
)
BODY = Form(
    head="CREATE FUNCTION pg_temp.vdw_statement() RETURNS void LANGUAGE sql BEGIN ATOMIC ",
    tail="\n; END",
    ask="SELECT * FROM vdw.printed_body(to_regproc('pg_temp.vdw_statement'))",
    wrapped=True,
)


def _weight(statement: Statement) -> int:
    return 1000 + len(statement.sql) + len(statement.text)


class Analyser:
    """Analyses statements on connections of its own; what is understood is kept, up to `kept` characters.

    Who changes the shells begins a `turn` before, and ends it by `reset` once the catalog is theirs. Two connections by
    default: analysis is CPU work of the canon's.
    """

    def __init__(self, canon: Canon, connections: int = 2, kept: int = KEPT) -> None:
        self._canon = canon
        self._size = connections
        self._idle: asyncio.LifoQueue[_Reader] = asyncio.LifoQueue()
        self._kept: LRUCache[tuple[object, ...], Statement] = LRUCache(kept, _weight)
        self._may: dict[tuple[str, tuple[str, str]], bool] = {}
        self._names: dict[int, tuple[str, str]] = {}
        self._types: dict[int, PgType] = dict(_BY_OID)
        self._epoch = 0
        self.turn = Turn()

    async def start(self) -> None:
        """Open the connections."""
        readers = [_Reader(self._canon) for _ in range(self._size)]
        for reader in readers:
            await reader.connect()
            self._idle.put_nowait(reader)
        await self._learn_types(readers[0])

    async def close(self) -> None:
        """Close them."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def reset(self) -> None:
        """Forget everything: the shells, or who may read them, changed, and the catalog with them."""
        self._epoch += 1
        self._kept.clear()
        self._may.clear()
        self._names.clear()
        self.turn.end()

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
        state = reading(search_path, settings)
        key = (sql, state, tuple(declared))
        statement = self._kept.get(key)
        if statement is None:
            epoch = self._epoch
            made = await self.turn.outside(lambda: self._patiently(sql, state, declared))
            statement = replace(made, zone=state[ZONE])
            if epoch == self._epoch and not statement.fleeting:
                self._kept[key] = statement
        if user is not None:
            await self.permit(user, statement.relations)
        return statement

    async def permit(self, user: str, relations: Sequence[tuple[str, str]]) -> None:
        """QueryError 42501 unless `user` may read every one of the relations."""
        unknown = [key for key in relations if (user, key) not in self._may]
        answers = {key: self._may.get((user, key), False) for key in relations}
        if unknown:
            answers |= await self.turn.outside(lambda: self._permitted(user, unknown))
        for schema, name in relations:
            if not answers[schema, name]:
                raise QueryError(f"permission denied for view {name}", sqlstate="42501", detail=f"{schema}.{name}")

    async def _permitted(self, user: str, relations: Sequence[tuple[str, str]]) -> dict[tuple[str, str], bool]:
        epoch = self._epoch
        async with self._reader() as reader:
            told = await reader.wire.run(*(_privilege(user, schema, name) for schema, name in relations))
        answers = {key: result.get_value(0, 0) == b"t" for key, result in zip(relations, told, strict=True)}
        if epoch == self._epoch:
            self._may |= {(user, key): may for key, may in answers.items()}
        return answers

    async def analyse_on(
        self,
        backend: Backend,
        sql: str,
        *,
        in_transaction: bool,
        declared: Sequence[int] = (),
        standard: bool = True,
        form: Form = VIEW,
    ) -> Statement:
        """The same on a client session's own backend, for what reads its temporary tables.

        Leaves nothing behind: within a transaction a savepoint is rolled back to. What cannot be done there (a
        read-only transaction, a column that no view can have) is done on a connection of ours, over tables of
        the same names and columns. Not kept, as the tables may change. A failed transaction is the caller's to
        refuse first.
        """
        return await self.turn.outside(lambda: self._analyse_on(backend, sql, in_transaction, declared, standard, form))

    async def _analyse_on(
        self, backend: Backend, sql: str, in_transaction: bool, declared: Sequence[int], standard: bool, form: Form
    ) -> Statement:
        try:
            return await self._beside(backend, sql, in_transaction, declared, standard, form)
        except QueryError as error:
            if error.sqlstate not in ELSEWHERE or form is BODY:
                raise
        (made,) = await backend.rows(TEMPORARY)
        ((state,),) = await backend.rows(STATE)
        async with self._reader() as reader:
            await reader.wire.rows("BEGIN", *(text or "" for (text,) in made))
            try:
                await reader.wire.run(_apply(tuple(value or "" for value in state)))
                return await self._beside(reader.wire, sql, True, declared, standard, BODY)
            finally:
                if not reader.wire.broken:
                    await reader.wire.rows("ROLLBACK")

    async def _beside(
        self, backend: Backend, sql: str, in_transaction: bool, declared: Sequence[int], standard: bool, form: Form
    ) -> Statement:
        """Analyse on a backend in whatever transaction it is."""
        one = single(sql, standard)
        await backend.rows("SAVEPOINT vdw_analysis" if in_transaction else "BEGIN")
        try:
            told = await backend.describe(sql, declared)
            marked = Marked.of(sql, one, await self._typed(backend, told.params), standard)
            return await self._made(backend, marked, told, form)
        finally:
            undo = ("ROLLBACK TO SAVEPOINT vdw_analysis", "RELEASE SAVEPOINT vdw_analysis")
            await backend.rows(*(undo if in_transaction else ("ROLLBACK",)))

    async def _patiently(self, sql: str, state: tuple[str, ...], declared: Sequence[int]) -> Statement:
        """Analyse, and again when the canon restarted meanwhile."""
        for pause in PAUSES:
            try:
                async with self._reader() as reader:
                    return await self._analyse(reader, sql, state, declared)
            except Error as error:
                if error.sqlstate not in ("57P02", "57P03") or pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError

    async def _analyse(self, reader: _Reader, sql: str, state: tuple[str, ...], declared: Sequence[int]) -> Statement:
        standard = state[STANDARD] != "off"
        one = single(sql, standard)
        if "$" not in sql and not declared:
            with contextlib.suppress(QueryError):  # told again below, step by step, for its place in the text
                marked = Marked.of(sql, one, (), standard)
                told, printed = await reader.at_once(sql, state, BODY.made(marked.text, 0))
                return await self._statement(reader, marked, told, printed, BODY)
        told = await reader.described(sql, state, declared)
        marked = Marked.of(sql, one, await self._typed(reader, told.params), standard)
        return await self._made(reader, marked, told, BODY)

    async def _made(self, backend: Backend, marked: Marked, told: Description, form: Form) -> Statement:
        try:
            rows = await backend.rows(form.made(marked.text, len(told.columns)), form.ask)
        except QueryError as error:
            head = len(form.head.format(aliases=_aliases(len(told.columns))))
            raise _clear(marked.told_again(error, head)) from error
        return await self._statement(backend, marked, told, rows[1], form)

    async def _statement(
        self, backend: Backend, marked: Marked, told: Description, printed: Rows, form: Form
    ) -> Statement:
        ((text, tree),) = printed
        assert text is not None and tree is not None  # noqa: S101
        if _WRITES.search(tree):
            raise _writes()
        names = await self._named(backend, {int(oid) for oid in _RELID.findall(tree)} - {0})
        relations = tuple(sorted(name for name in names if name is not None))
        if " :rowMarks (" in tree and relations:
            raise _locks(relations[0])
        kinds = await self._typed(backend, [oid for _, oid, _ in told.columns])
        columns = tuple(
            (name, kind if mod < 0 else PgType(kind.name, mod, kind.oid))
            for (name, _, mod), kind in zip(told.columns, kinds, strict=True)
        )
        text = form.bare(text)
        return Statement(
            sql=marked.sql,
            text=text,
            columns=columns,
            params=await self._typed(backend, told.params),
            relations=relations,
            session=None in names or _OF_SESSION.search(text) is not None,
            fleeting=fleeting(marked.sql, True),
        )

    async def _typed(self, backend: Backend, oids: Sequence[int]) -> tuple[PgType, ...]:
        if any(oid not in self._types for oid in oids):
            await self._learn_types(backend)
        return tuple(self._types[oid] for oid in oids)

    async def _learn_types(self, backend: Backend) -> None:
        for oid, name in (await backend.rows("SELECT oid, typname FROM pg_type"))[0]:
            self._types.setdefault(int(oid or 0), PgType(name or "", -1, int(oid or 0)))

    async def _named(self, backend: Backend, oids: set[int]) -> list[tuple[str, str] | None]:
        """The virtual relations of those oids; None for one that is the session's or the system's."""
        unknown = [oid for oid in oids if oid not in self._names]
        if unknown:
            epoch = self._epoch
            listed = ",".join(map(str, unknown))
            (found,) = await backend.rows(NAMES + f"({listed})")
            names = {int(oid or 0): (schema or "", name or "") for oid, schema, name in found}
            if epoch == self._epoch:
                self._names |= names
            return [names.get(oid) or self._names.get(oid) for oid in oids]
        return [self._names[oid] for oid in oids]

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
        """Unless it stands already, to the canon's present generation."""
        if self._wire is not None and (self._wire.broken or self._wire.generation != self._canon.generation):
            self.close()
        if self._wire is None:
            generation = self._canon.generation
            wire = await Wire.connect(self._canon.dsn())
            wire.generation = generation
            self._state = ()
            # The session's temporary schema, once, and not in each transaction anew.
            first = ("CREATE TEMP TABLE vdw_first ()", "DROP TABLE vdw_first")
            await wire.rows(*first, "SET statement_timeout = '30s'", "SET check_function_bodies = off")
            await wire.run(*(_prepare(name, text) for name, text in _PREPARED.items()))
            self._wire = wire

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    async def describe(self, sql: str, declared: Sequence[int] = ()) -> Description:
        return await self.wire.describe(sql, declared)

    async def described(self, sql: str, state: tuple[str, ...], declared: Sequence[int]) -> Description:
        """The same under the settings `state`."""
        if state == self._state:
            return await self.wire.describe(sql, declared)
        self._state = ()
        told = await self.wire.described(sql, declared, _apply(state))
        self._state = state
        return told

    async def at_once(self, sql: str, state: tuple[str, ...], made: str) -> tuple[Description, Rows]:
        """Describe, make, print and undo in one round trip."""
        if state != self._state:
            self._state = ()
            await self.wire.run(_apply(state))
            self._state = state
        text = encode(sql)
        results = await self._undone(
            lambda pgconn: pgconn.send_prepare(b"", text),
            lambda pgconn: pgconn.send_describe_prepared(b""),
            query(made),
            _execute("ask"),
        )
        return description(results[1]), text_rows(results[3])

    async def rows(self, *texts: str) -> list[Rows]:
        return [text_rows(result) for result in await self._undone(*(query(text) for text in texts))]

    async def _undone(self, *commands: Command) -> list[PGresult]:
        """Run, and undo: rolled-back catalog rows can be vacuumed at once, dropped ones only in time."""
        try:
            return (await self.wire.run(_execute("begin"), *commands, _execute("rollback")))[1:-1]
        except Error:
            if not self.wire.broken:
                await self.wire.run(_execute("rollback"))
            raise


_PREPARED = {"begin": "BEGIN", "rollback": "ROLLBACK", "ask": BODY.ask}


def _prepare(name: str, text: str) -> Command:
    return lambda pgconn: pgconn.send_prepare(name.encode(), text.encode())


def _execute(name: str) -> Command:
    return lambda pgconn: pgconn.send_query_prepared(name.encode(), None)


def _aliases(count: int) -> str:
    return "(" + ", ".join(f"c{i}" for i in range(1, count + 1)) + ")" if count else ""


def reading(search_path: Sequence[str], settings: Mapping[str, str]) -> tuple[str, ...]:
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


def _clear(error: QueryError) -> QueryError:
    """PostgreSQL parsed the statement by itself: what it then refuses to make is no plain SELECT."""
    return _writes() if error.sqlstate in ("42601", "0A000") else error


def _writes() -> QueryError:
    return QueryError(
        "only SELECT can be planned: this statement writes",
        sqlstate="0A000",
        hint="Virtual views are read-only: leave out INTO, INSERT, UPDATE, DELETE and MERGE.",
    )


def _locks(relation: tuple[str, str]) -> QueryError:
    return QueryError(
        f"permission denied for view {relation[1]}",
        sqlstate="42501",
        hint="Virtual views are read-only: leave out FOR UPDATE and FOR SHARE.",
    )
