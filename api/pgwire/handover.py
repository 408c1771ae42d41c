"""Statements of one session: those that touch virtual relations are ours, all others pass to the canon."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from api import errors
from api.pgwire import packets
from api.pgwire.account import Account
from api.pgwire.backend import BIND, CLOSE, DESCRIBE, EXECUTE, PARSE, QUERY, SYNCED, Backend, CanonError, Reply
from api.pgwire.desk import Desk
from api.pgwire.packets import Field
from api.pgwire.portals import Bindable, Portal, unplaced
from connectors.base import Cancel
from connectors.errors import Error, QueryError
from federation.canon.lex import statements

if TYPE_CHECKING:
    from api.pgwire.session import Session

Handler = Callable[[bytes], Awaitable[None]]
_ABORTED = packets.parse(b"", b"SELECT 1")  # what it does not matter: the canon says 25P02
_COMMANDS = frozenset({EXECUTE, QUERY, SYNCED})
_DROPS = frozenset({"DEALLOCATE ALL", "DISCARD ALL"})


class Handover:
    """Decides for each message of the client who answers it."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.desk = Desk(session)
        self.account = Account(session)
        self.statements: dict[bytes, Bindable] = {}
        self.doubted: set[bytes] = set()  # names of statements that SQL may have dropped
        self.setting: set[bytes] = set()  # names of statements that change settings, whenever they are run
        self.telling: set[bytes] = set()  # names of statements that may read the account of the last answer
        self.portals: dict[bytes, Portal] = {}
        self.handlers: dict[bytes, Handler] = {
            b"Q": self._guarded(self._query),
            b"P": self._guarded(self._parse),
            b"B": self._guarded(self._bind),
            b"D": self._guarded(self._describe),
            b"E": self._guarded(self._execute),
            b"C": self._guarded(self._close),
        }

    @property
    def backend(self) -> Backend:
        return self.session.backend

    def _guarded(self, handler: Handler) -> Handler:
        """What goes wrong in a message is told, and makes the rest void until Sync."""

        async def guarded(raw: bytes) -> None:
            try:
                await handler(raw)
            except asyncio.CancelledError:
                raise
            except Exception as error:
                await self.fail(error)
                if raw[:1] == b"Q":
                    self.session.sync()

        return guarded

    # -- messages -----------------------------------------------------------------------------------------------

    async def _parse(self, raw: bytes) -> None:
        asked = packets.read_parse(raw)
        self.setting.discard(asked.name)
        if asked.name and self.session.settings.changes(asked.query):
            self.setting.add(asked.name)
        self.telling.discard(asked.name)
        if self.account.asks(asked.query):
            self.telling.add(asked.name)
        ours = None
        if self.desk.may_touch(asked.query):
            if not await self._calm():
                return
            if self.backend.status != "E":
                ours = await self.desk.statement(asked.query, asked.types)
        if ours is not None and not asked.name:
            self.backend.say(packets.PARSE_COMPLETE)
        else:
            # A named statement of ours stands in the canon too: it guards the name, and DEALLOCATE finds it.
            self.backend.send(raw, Reply(PARSE))
            if asked.name in self.statements and asked.name and not await self.backend.settle():
                return  # the name is taken, and stays what it was
        self.doubted.discard(asked.name)
        if ours is None:
            self.statements.pop(asked.name, None)
        else:
            self.statements[asked.name] = ours

    async def _doubt(self, name: bytes) -> None:
        """SQL may have dropped or replaced the statement of that name: ask the canon what it is now."""
        self.doubted.discard(name)
        ours = self.statements.pop(name)
        found = await self.desk.ask("SELECT statement FROM pg_catalog.pg_prepared_statements WHERE name = $1", (name,))
        if found and found[0][0] == ours.query:
            self.statements[name] = ours

    async def _bind(self, raw: bytes) -> None:
        reader = packets.Reader(raw, 5)
        name, statement = reader.string(), reader.string()
        if statement in self.statements and not await self._calm():
            return
        if statement in self.doubted and statement in self.statements and self.backend.status != "E":
            await self._doubt(statement)
        if statement in self.telling and await self._calm():
            await self.account.publish()
        ours = self.statements.get(statement)
        if statement in self.setting:
            self.session.settings.doubt()
        if ours is None:
            await self._drop(name)
            self.backend.send(raw, Reply(BIND))
        elif self.backend.status == "E":
            self.backend.send(_ABORTED, Reply(PARSE))
        else:
            asked = packets.read_bind(raw)
            if name and name in self.portals:
                raise QueryError(f'cursor "{name.decode()}" already exists', sqlstate="42P03")
            await self._drop(name)
            ours = self.statements[statement] = await self.desk.current(ours)
            self.portals[name] = await ours.bind(asked)

    async def _describe(self, raw: bytes) -> None:
        kind, name = packets.read_target(raw)
        if kind == b"P" and (portal := self.portals.get(name)) is not None:
            portal.describe()
        elif kind == b"S" and not name and (ours := self.statements.get(name)) is not None:
            described = await ours.described()
            self.backend.say(packets.parameter_description(described.params))
            self.backend.say(shown(described.fields))
        else:
            self.backend.send(raw, Reply(DESCRIBE))

    async def _execute(self, raw: bytes) -> None:
        name, limit = packets.read_execute(raw)
        portal = self.portals.get(name) or self.desk.cursor(name)
        if portal is None:
            self.backend.send(raw, Reply(EXECUTE))
        else:
            await portal.execute(limit)

    async def _close(self, raw: bytes) -> None:
        kind, name = packets.read_target(raw)
        if kind == b"P":
            await self._drop(name)
        elif self.statements.pop(name, None) is not None and not name:
            self.backend.say(packets.CLOSE_COMPLETE)
            return
        self.backend.send(raw, Reply(CLOSE))

    async def _query(self, raw: bytes) -> None:
        text = raw[5:-1]
        if self.account.asks(text) and await self._calm():
            await self.account.publish()
        if not self.desk.may_touch(text):
            if b"" in self.portals:
                await self._drop(b"")
            self.statements.pop(b"", None)
            self.backend.send(raw, Reply(QUERY))
            return
        await self._calm()
        query, standard = self.desk.decoded(text), self.session.settings.standard_strings
        pieces = statements(query, standard)
        if len(pieces) <= 1:
            ours = await self.desk.statement(text, ()) if self.backend.status != "E" else None
            if ours is None:
                self.backend.send(raw, Reply(QUERY))
                return
            await self._run(ours)
        else:
            await self._several(query, pieces)
        self.session.sync()

    async def _several(self, query: str, pieces: Sequence[tuple[int, int]]) -> None:
        """Statements of one Query, one by one: without a Sync between them they are one transaction."""
        for start, end in pieces:
            text = query[start:end].encode(self.session.settings.encoding)
            if start and self.account.asks(text) and await self.backend.settle():
                await self.account.publish()
            ours = None
            if self.desk.may_touch(text):
                if not await self.backend.settle():
                    return
                try:
                    ours = await self.desk.statement(text, ()) if self.backend.status != "E" else None
                except QueryError as error:
                    error.position = None if error.position is None else error.position + start
                    raise
            if ours is not None:
                await self._run(ours)
            else:
                self._pass(text, start)
            if self.backend.failed:
                return

    def _pass(self, text: bytes, offset: int) -> None:
        """One statement of several, for the canon."""
        if re.match(rb"\s*copy\b.*\bstdin\b", text, re.IGNORECASE | re.DOTALL):
            raise QueryError("COPY FROM STDIN must be sent by itself where virtual views are read", sqlstate="0A000")

        def moved(kind: int, raw: bytes) -> bytes:
            if kind != ord("E"):
                return raw
            letters = packets.read_error(raw[5:])
            if "P" in letters:
                letters["P"] = str(int(letters["P"]) + offset)
            return packets.error(letters)

        send = self.backend.send
        send(packets.parse(b"", text), Reply(PARSE, shown=False, loud=True, patch=moved))
        send(packets.bind(b"", b"", (), (), ()), Reply(BIND, shown=False, loud=True))
        hide = lambda kind, raw: b"" if kind == ord("n") else raw  # noqa: E731
        send(packets.describe(b"P", b""), Reply(DESCRIBE, patch=hide))
        send(packets.execute(b""), Reply(EXECUTE, patch=moved))

    async def _run(self, ours: Bindable) -> None:
        """Bind, describe and execute, as a simple Query does it."""
        await self._drop(b"")
        self.statements.pop(b"", None)
        portal = await ours.bind(packets.Bind(b"", b"", (), [], ()), quiet=True)
        self.portals[b""] = portal
        portal.describe(quiet=True)
        await portal.execute(0)
        await self._drop(b"")

    # -- state --------------------------------------------------------------------------------------------------

    async def _calm(self) -> bool:
        """Wait for commands on their way: they may change what a statement means. False when they have failed."""
        if any(reply.kind in _COMMANDS for reply in self.backend.queue):
            await self.backend.settle()
        return not self.backend.failed

    async def _drop(self, name: bytes) -> None:
        portal = self.portals.pop(name, None)
        if portal is not None:
            await portal.close()

    @staticmethod
    def unplaced(kind: int, raw: bytes) -> bytes:
        """See portals.unplaced."""
        return unplaced(kind, raw)

    async def fail(self, error: Exception) -> None:
        """Tell the client, and let the canon's transaction fail too."""
        told = isinstance(error, CanonError) and error.told
        if not told:
            await self.backend.settle()
            raw = error.raw if isinstance(error, CanonError) else packets.error(errors.letters(error))
            self.session.write(raw)
        self.backend.fail()

    def cancel(self, reason: Error) -> None:
        """Stop what runs for this session."""
        running: Cancel | None = self.desk.running
        if running is not None:
            running.fire(reason)

    def command(self, tag: str) -> None:
        """The canon has completed a command of the client's."""
        if tag in _DROPS:
            self.statements.clear()
            self.desk.forget()

    def ready(self) -> None:
        """ReadyForQuery: where the transaction is over, portals end with it, as in PostgreSQL."""
        self.session.settings.ready()
        if self.backend.status == "I" and (self.portals or self.desk.cursors):
            for portal in (*self.portals.values(), *self.desk.cursors.values()):
                portal.abandon()
            self.portals.clear()
            self.desk.cursors.clear()

    async def close(self) -> None:
        """Give back everything."""
        for portal in (*self.portals.values(), *self.desk.cursors.values()):
            await portal.close()


def shown(fields: Sequence[Field] | None, formats: Sequence[int] = ()) -> bytes:
    """RowDescription, or NoData."""
    return packets.NO_DATA if fields is None else packets.row_description(fields, formats)
