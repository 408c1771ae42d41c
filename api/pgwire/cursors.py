"""SQL cursors of ours: rows that stream from one source, a FETCH at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from api.pgwire import packets
from api.pgwire.backend import EXECUTE, Reply
from api.pgwire.packets import Bind, Described, Field
from api.pgwire.portals import Listed, Portal, Relayed, Streamed
from api.pgwire.rewrite import Road
from connectors.errors import QueryError

if TYPE_CHECKING:
    from api.pgwire.session import Session

ALL = 0  # no limit


class Cursor:
    """One cursor. The canon has an empty one of the same name (`twin` is its text), which ends when this
    one has to; a portal of the protocol has none."""

    def __init__(
        self,
        session: Session,
        name: str,
        fields: Sequence[Field],
        formats: Sequence[int],
        stream: Streamed,
        twin: str = "",
    ) -> None:
        self.twin = twin
        self.session, self.name, self.fields, self.formats, self.stream = session, name, fields, formats, stream

    async def alive(self) -> bool:
        """Whether the canon still has the twin: with the transaction or savepoint it is gone, and so is this one."""
        if not self.twin:
            return True
        desk, name = self.session.handover.desk, self.name.encode()
        found = await desk.ask("SELECT statement FROM pg_catalog.pg_cursors WHERE name = $1", (name,))
        if found and found[0][0] == self.twin.encode(self.session.settings.encoding):
            return True
        desk.cursors.pop(name, None)
        await self.close()
        return False

    def describe(self, quiet: bool = False) -> None:
        self.stream.describe(quiet)

    async def execute(self, limit: int) -> None:
        """Execute of the cursor as a portal."""
        await self.stream.execute(limit)

    async def close(self) -> None:
        await self.stream.close()

    def abandon(self) -> None:
        self.stream.abandon()


class Declared:
    """The portal of a DECLARE: once the canon has its cursor, ours is there too."""

    def __init__(self, relayed: Relayed, cursor: Cursor) -> None:
        self._relayed, self._cursor = relayed, cursor

    def describe(self, quiet: bool = False) -> None:
        self._relayed.describe(quiet)

    async def execute(self, limit: int) -> None:  # noqa: ARG002
        session = self._cursor.session
        name = self._cursor.name.encode()
        future = session.backend.future(lambda: session.handover.desk.cursors.pop(name, None))
        session.backend.send(packets.execute(self._relayed.name), Reply(EXECUTE, future=future))
        session.handover.desk.cursors[name] = self._cursor

    async def close(self) -> None:
        """The cursor lives on."""

    def abandon(self) -> None:
        """The cursor lives on."""


class Fetch:
    """FETCH or MOVE on a cursor of ours, as a statement."""

    fleeting = False

    def __init__(self, session: Session, way: Road, cursor: Cursor) -> None:
        self.session, self.way, self.cursor = session, way, cursor
        self.query = b""
        self.types: tuple[int, ...] = ()
        self.state = session.handover.desk.state()
        self.result: object = None

    async def described(self) -> Described:
        return Described((), None if "move" in self.way.flags else list(self.cursor.fields))

    async def bind(self, asked: Bind, quiet: bool = False) -> Portal:
        limit = _count(self.way.arguments)
        if not await self.cursor.alive():
            raise QueryError(f'cursor "{self.cursor.name}" does not exist', sqlstate="34000")
        if not quiet:
            self.session.backend.say(packets.BIND_COMPLETE)
        binary = tuple(self.cursor.formats) == (1,)
        formats = asked.results if asked.results and not binary else self.cursor.formats
        return Fetching(self.session, self.cursor, limit, formats, "move" in self.way.flags)


class Closed(Fetch):
    """CLOSE of a portal of ours that SQL takes for a cursor."""

    async def described(self) -> Described:
        return Described((), None)

    async def bind(self, asked: Bind, quiet: bool = False) -> Portal:  # noqa: ARG002
        self.session.handover.portals.pop(self.cursor.name.encode(), None)
        if not quiet:
            self.session.backend.say(packets.BIND_COMPLETE)
        return Listed(self.session, None, [], (), "CLOSE CURSOR")


class Fetching:
    """The portal of a FETCH: `limit` rows of the cursor (-1: none)."""

    def __init__(self, session: Session, cursor: Cursor, limit: int, formats: Sequence[int], moves: bool) -> None:
        self.session, self.cursor, self.limit, self.formats, self.moves = session, cursor, limit, formats, moves

    def describe(self, quiet: bool = False) -> None:
        if not self.moves:
            self.session.backend.say(packets.row_description(self.cursor.fields, self.formats))
        elif not quiet:
            self.session.backend.say(packets.NO_DATA)

    async def execute(self, limit: int) -> None:
        if not await self.session.backend.settle():
            return
        wanted = self.limit if not limit or (self.limit > 0 and self.limit < limit) else limit
        if self.limit < 0:
            count = 0
        elif self.moves:
            count = 0
            async for piece in self.cursor.stream.take(self.limit):
                count += piece.num_rows
        else:
            count = await self.cursor.stream.send(wanted, self.formats)
        word = "MOVE" if self.moves else "FETCH"
        self.session.write(packets.complete(f"{word} {count}"))

    async def close(self) -> None:
        """The cursor lives on."""

    def abandon(self) -> None:
        """The cursor lives on."""


def _count(direction: Sequence[str]) -> int:
    """How many rows: 0 all, -1 none; QueryError where the direction is not forward."""
    words = list(direction)
    if words[:1] == ["forward"]:
        words = words[1:]
    if not words or words == ["next"]:
        return 1
    if words == ["all"]:
        return ALL
    if len(words) == 1 and words[0].isdigit():
        return int(words[0]) or -1
    raise QueryError(
        "cursor can only scan forward", sqlstate="55000", hint="Declare it with SCROLL option to enable backward scan."
    )
