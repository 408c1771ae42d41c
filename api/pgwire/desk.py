"""What one session knows about its statements: which may touch virtual relations, and what they come to."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cachetools import LRUCache

from api.pgwire import packets
from api.pgwire.backend import BIND, CLOSE, DESCRIBE, EXECUTE, PARSE, Backend, CanonError, Reply, rows
from api.pgwire.cursors import Closed, Cursor, Fetch
from api.pgwire.packets import Described, close, describe, execute, parse
from api.pgwire.portals import Bindable, Streamed
from api.pgwire.rewrite import Road, expanded, road
from api.pgwire.statements import Copy, Declare, Executed, Explain, Ours, Select, Written
from connectors.base import Cancel
from connectors.errors import Error, QueryError
from federation.canon.marked import LONGEST, bounded
from federation.canon.wire import Description, Rows
from federation.freshness.freshness import hint

if TYPE_CHECKING:
    from api.pgwire.session import Session
    from federation.prepare import Prepared

HIDDEN = b"_vdw"
STATEMENTS = 100  # hidden prepared statements that are kept in the backend
_WORD = re.compile(rb"[a-z_\x80-\xff][a-z0-9_$\x80-\xff]*")
_MAKES = re.compile(rb"\b(?:create|into)\b", re.IGNORECASE)
_CHANGES = re.compile(rb"\b(?:create|drop|alter|into|rollback|discard|abort)\b", re.IGNORECASE)
_PREPARES = re.compile(rb"\b(?:deallocate|prepare|discard)\b", re.IGNORECASE)
_FIRST = re.compile(rb"(?:\s|--[^\n]*\n|/\*.*?\*/)*([a-z]+)", re.IGNORECASE | re.DOTALL)
_CURSOR_WORDS = frozenset({b"fetch", b"move", b"close"})


@dataclass(frozen=True, slots=True)
class Expansion:
    """A temporary view over virtual relations: its columns' names, its canonical query, and how the canon prints it."""

    columns: tuple[str, ...]
    query: str
    printed: str


class Desk:
    """Recognises statements of ours and prepares them."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.running: Cancel | None = None
        self.cursors: dict[bytes, Cursor] = {}
        self.temporary = False  # the session may have relations of its own
        self.prepares = False  # SQL's PREPARE has been used on virtual relations
        self.views: dict[str, Expansion] = {}
        self.hidden: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self._number = 0
        self._analysed: LRUCache[tuple[object, ...], Prepared] = LRUCache(256)

    @property
    def backend(self) -> Backend:
        return self.session.backend

    # -- recognising --------------------------------------------------------------------------------------------

    def may_touch(self, text: bytes) -> bool:
        """Whether a text could be about virtual relations. Cheap, and never wrong in saying no; QueryError where it
        could and is too long to be read by us."""
        if not self._mentions(text):
            return False
        if len(text) > LONGEST:
            first = _FIRST.match(text)
            if first is not None and first[1].lower() == b"insert":
                return False  # of values; if it does read a virtual relation, the canon says that it cannot
            bounded(len(text))
        return True

    def _mentions(self, text: bytes) -> bool:
        self.session.settings.watch(text)
        if not self.temporary and _MAKES.search(text):
            self.temporary = True
        named = self.session.handover.statements
        if named and _PREPARES.search(text):
            self.session.handover.doubted.update(filter(None, named))
        if self.temporary and _CHANGES.search(text):
            self._analysed.clear()
        lowered = text.lower()
        words = set(_WORD.findall(lowered))
        known = self.session.server.names()
        if not words.isdisjoint(known.plain) or any(name in lowered for name in known.odd) or b'u&"' in lowered:
            return True
        if self.views and not words.isdisjoint(name.encode().lower() for name in self.views):
            return True
        return self._of_ours(text)

    def _of_ours(self, text: bytes) -> bool:
        """Statements that are about statements of ours."""
        named = self.session.handover.statements
        cursors = self.cursors or any(self.session.handover.portals)
        if not (cursors or self.prepares or named):
            return False
        match = _FIRST.match(text)
        word = match[1].lower() if match else b""
        return bool(
            (word == b"execute" and (self.prepares or named))
            or (cursors and (word in _CURSOR_WORDS or b";" in text))
            or (self.prepares and b";" in text)
        )

    def decoded(self, text: bytes) -> str:
        """A client's text; QueryError where it is none in its encoding."""
        try:
            return text.decode(self.session.settings.encoding)
        except (UnicodeDecodeError, LookupError):
            raise QueryError("invalid byte sequence for the client's encoding", sqlstate="22021") from None

    def cursor(self, name: bytes) -> Cursor | None:
        """A cursor of ours."""
        return self.cursors.get(name)

    # -- statements ---------------------------------------------------------------------------------------------

    async def statement(self, query: bytes, types: Sequence[int]) -> Bindable | None:
        """The statement, if it is ours to answer; QueryError as PostgreSQL would say it."""
        text = self.decoded(query)
        way = road(text, self.session.settings.standard_strings)
        if way.kind == "execute":
            return await self._executed(way)
        if way.kind in ("fetch", "close"):
            return await self._of_cursor(way)
        if not way.rows:
            return None
        if way.kind == "prepare":
            self.prepares = True
            return None
        try:
            prepared = await self.prepare(way.query, types)
        except Error as error:
            if error.position is not None:
                error.position += way.start
            raise
        if not prepared.statement.relations:
            return None
        said = hint(text, self.session.settings.standard_strings)  # it may stand before the query too
        if said is not None:
            prepared = replace(prepared, max_age=said)
        if way.kind == "view":
            await self._remember(way, prepared)
            return None
        return self._made(way, query, tuple(types), prepared)

    def _made(self, way: Road, query: bytes, types: tuple[int, ...], prepared: Prepared) -> Ours:
        kinds: dict[str, type[Ours]] = {
            "select": Select,
            "create": Written,
            "insert": Written,
            "declare": Declare,
            "explain": Explain,
            "copy": Copy,
        }
        return kinds[way.kind](self.session, way, query, types, prepared, self.state())

    async def current(self, ours: Bindable) -> Bindable:
        """The same statement as it is understood now: the catalog or the settings may have changed since."""
        await self.refresh()
        if ours.state == self.state() and not ours.fleeting:
            return ours
        again = await self.statement(ours.query, ours.types)
        if again is None or again.result != ours.result:
            raise QueryError("cached plan must not change result type", sqlstate="0A000")
        return again

    def state(self) -> tuple[object, ...]:
        """What the meaning of a statement depends on."""
        settings, engine = self.session.settings, self.session.server.engine
        names = ("TimeZone", "DateStyle", "IntervalStyle", "standard_conforming_strings")
        version = engine.catalog.version if engine is not None else ""
        return (version, settings.search_path, *(settings.values.get(name) for name in names))

    async def _of_cursor(self, way: Road) -> Bindable | None:
        name = way.name.encode()
        cursor = self.cursors.get(name) or self._portal(name)
        if cursor is None or not await cursor.alive():
            return None
        if way.kind == "close":
            self.cursors.pop(name, None)
            cursor.abandon()
            return None if cursor.twin else Closed(self.session, way, cursor)  # the canon closes its own of that name
        return Fetch(self.session, way, cursor)

    def _portal(self, name: bytes) -> Cursor | None:
        """A portal of the protocol, as the cursor that SQL takes it for."""
        portal = self.session.handover.portals.get(name) if name else None
        if not isinstance(portal, Streamed):
            return None
        return Cursor(self.session, name.decode(), portal.fields, portal.formats, portal)

    async def _executed(self, way: Road) -> Bindable | None:
        """EXECUTE of a statement that reads virtual relations."""
        asked = "SELECT statement, parameter_types::oid[]::text FROM pg_catalog.pg_prepared_statements WHERE name = $1"
        found = await self.ask(asked, (way.name.encode(),))
        if not found or found[0][0] is None:
            return None
        text = self.decoded(found[0][0])
        inner = road(text, self.session.settings.standard_strings)
        query = inner.query if inner.kind == "prepare" else text
        types = tuple(int(oid) for oid in (found[0][1] or b"{}")[1:-1].split(b",") if oid)
        if not query or not self.may_touch(query.encode()):
            return None
        ours = await self.statement(query.encode(self.session.settings.encoding), types)
        return Executed(self.session, way, ours) if isinstance(ours, Ours) else None

    # -- preparing ----------------------------------------------------------------------------------------------

    async def prepare(self, query: str, types: Sequence[int]) -> Prepared:
        """Analysed and planned: on the session's own backend where it may have relations of its own."""
        engine, settings = self.session.server.engine, self.session.settings
        assert engine is not None  # noqa: S101
        await self.refresh()
        if self.views:
            query = await self._expanded(query)
        declared = tuple(types) if any(types) else ()
        own = settings.session()
        if not (self.temporary and self._apart()):
            return await self.session.server.prepare(query, own, declared)
        key = (query, declared, self.state())
        prepared = self._analysed.get(key)
        if prepared is None:
            inside = self.backend.status == "T"
            analyser = self.session.server.analyser
            assert analyser is not None  # noqa: S101
            statement = await analyser.analyse_on(
                Probe(self), query, in_transaction=inside, declared=declared, standard=settings.standard_strings
            )
            if engine.restricted:
                await analyser.permit(own.user, statement.relations)
            prepared = await engine.prepare(query, own, statement)
            if not statement.fleeting:
                self._analysed[key] = prepared
        return prepared

    def _apart(self) -> bool:
        """Whether analysis on the session's backend leaves no trace: not in the middle of an implicit transaction."""
        return self.session.server.analyser is not None and (self.backend.status == "T" or not self.backend.unsynced)

    async def refresh(self) -> None:
        """Ask for the settings that are not reported, where they may have changed."""
        settings = self.session.settings
        if settings.doubtful or (settings.unreported and self.backend.unsynced):
            lasting = self.backend.status == "I" and not self.backend.unsynced
            (cells,) = await self.ask(settings.question())
            settings.answered(cells, lasting)

    async def _remember(self, way: Road, prepared: Prepared) -> None:
        """A temporary view over virtual relations; statements that name it are expanded."""
        statement = prepared.statement
        names = way.columns or tuple(name for name, _ in statement.columns)
        if prepared.slots:  # its text has parameters where the view needs its constants
            engine, own = self.session.server.engine, self.session.settings.session()
            assert engine is not None  # noqa: S101
            query = await self._expanded(way.query) if self.views else way.query
            statement = await engine.analyser.analyse(
                query, own.search_path, settings=own.settings, declared=(), user=None
            )
        self.views[way.name] = Expansion(names, statement.text, "")

    async def _expanded(self, query: str) -> str:
        words = set(_WORD.findall(query.lower().encode()))
        used = [name for name in self.views if name.encode().lower() in words]
        if not used:
            return query
        known: list[tuple[str, tuple[str, ...], str]] = []
        for name in used:
            printed = await self._printed(name)
            view = self.views[name]
            if printed and printed == (view.printed or printed):
                self.views[name] = Expansion(view.columns, view.query, printed)
                known.append((name, view.columns, view.query))
            else:
                del self.views[name]  # dropped, or another of that name
        return expanded(query, known, self.session.settings.standard_strings) if known else query

    async def _printed(self, name: str) -> str:
        quoted = 'pg_temp."' + name.replace('"', '""') + '"'
        asked = "SELECT pg_catalog.pg_get_viewdef(pg_catalog.to_regclass($1)::oid)"
        ((cell,),) = await self.ask(asked, (quoted.encode(),))
        return (cell or b"").decode()

    # -- asking the canon ---------------------------------------------------------------------------------------

    async def ask(
        self,
        sql: str | bytes,
        values: Sequence[bytes | None] = (),
        formats: Sequence[int] = (),
        types: Sequence[int] = (),
    ) -> list[list[bytes | None]]:
        """Rows, in text, of a statement that the client does not see."""
        text = sql.encode() if isinstance(sql, str) else sql
        kept = await self.backend.ask(
            (close(b"P", HIDDEN), CLOSE),  # what failed is still there
            (close(b"S", HIDDEN), CLOSE),
            (parse(HIDDEN, text, types), PARSE),
            (packets.bind(HIDDEN, HIDDEN, formats, values, ()), BIND),
            (execute(HIDDEN), EXECUTE),
            (close(b"P", HIDDEN), CLOSE),
            (close(b"S", HIDDEN), CLOSE),
        )
        return rows(kept)

    async def describe(self, query: bytes, types: Sequence[int]) -> Described:
        """What the canon tells of a statement over the shells: names, types, tables; the client sees nothing of it."""
        engine, canon = self.session.server.engine, self.session.server.canon
        assert engine is not None  # noqa: S101
        key = (query, tuple(types), *self.state(), canon.generation, engine.catalog.version)
        cache = self.session.server.described
        told = None if self.temporary else cache.get(key)
        if told is None:
            kept = await self.backend.ask(
                (close(b"S", HIDDEN), CLOSE),
                (parse(HIDDEN, query, types), PARSE),
                (describe(b"S", HIDDEN), DESCRIBE),
                (close(b"S", HIDDEN), CLOSE),
            )
            bodies = {kind: raw[5:] for kind, raw in kept}
            columns = packets.read_row_description(bodies[ord("T")]) if ord("T") in bodies else None
            told = Described(packets.read_parameter_description(bodies[ord("t")]), columns)
            if not self.temporary:
                cache[key] = told
        return told

    def residual(self, sql: str, types: Sequence[int]) -> bytes:
        """The name of a hidden prepared statement of that text and those types; sent now where the backend has none.

        Statements that differ in what is asked of the sources may be merged by one text, with other parameters.
        """
        key = (sql, tuple(types))
        name = self.hidden.get(key)
        if name is not None:
            return name
        if len(self.hidden) >= STATEMENTS:
            oldest = next(iter(self.hidden))
            self.backend.send(close(b"S", self.hidden.pop(oldest)), Reply(CLOSE, shown=False))
        self._number += 1
        name = HIDDEN + str(self._number).encode()
        text = sql.encode(self.session.settings.encoding, "replace")
        future = self.backend.future(lambda: self.hidden.pop(key, None))
        reply = Reply(PARSE, shown=False, loud=True, patch=self.session.handover.unplaced, future=future)
        self.backend.send(parse(name, text, types), reply)
        self.hidden[key] = name
        return name

    def forget(self) -> None:
        """The backend has dropped all prepared statements."""
        self.hidden.clear()
        self.prepares = False

    @contextlib.contextmanager
    def work(self, cancel: Cancel) -> Iterator[Cancel]:
        """While inside, a cancel request reaches `cancel`."""
        before, self.running = self.running, cancel
        try:
            yield cancel
        finally:
            self.running = before


class Probe:
    """The session's backend, as the analyser asks it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def describe(self, sql: str, declared: Sequence[int] = ()) -> Description:
        """What Parse and Describe tell."""
        text = sql.encode(self._desk.session.settings.encoding)
        try:
            told = await self._desk.backend.ask(
                (close(b"S", HIDDEN), CLOSE),
                (parse(HIDDEN, text, declared), PARSE),
                (describe(b"S", HIDDEN), DESCRIBE),
                (close(b"S", HIDDEN), CLOSE),
            )
        except CanonError as error:
            raise _query_error(error) from None
        bodies = {kind: raw[5:] for kind, raw in told}
        fields = packets.read_row_description(bodies[ord("T")]) if ord("T") in bodies else []
        columns = tuple((field.name.decode(), field.type, field.mod) for field in fields)
        return Description(packets.read_parameter_description(bodies[ord("t")]), columns)

    async def rows(self, *statements: str) -> list[Rows]:
        """Each one's rows."""
        found: list[Rows] = []
        encoding = self._desk.session.settings.encoding
        for sql in statements:
            try:
                answer = await self._desk.ask(sql.encode(encoding))
            except CanonError as error:
                raise _query_error(error) from None
            found.append([tuple(None if cell is None else cell.decode(encoding) for cell in row) for row in answer])
        return found


def _query_error(error: CanonError) -> QueryError:
    told = error.fields
    return QueryError(
        told.get("M", ""),
        sqlstate=told.get("C"),
        detail=told.get("D"),
        hint=told.get("H"),
        position=int(told["P"]) if "P" in told else None,
    )
