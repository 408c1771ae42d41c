"""Statements of ours on their way: those that the canon runs for us, and those whose rows we encode."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from api import errors
from api.pgwire import packets, rows
from api.pgwire.backend import DESCRIBE, EXECUTE, Reply
from api.pgwire.packets import Bind, Described, Field
from connectors.base import Cancel

if TYPE_CHECKING:
    from api.pgwire.session import Session
    from federation.query import Query
    from federation.result import Result

LARGE = 30_000  # cells: encoding more would hold up other sessions


class Portal(Protocol):
    """A statement that is bound. `quiet`: within a simple Query, where nothing is said of no rows."""

    def describe(self, quiet: bool = False) -> None:
        """Say which rows come."""
        ...

    async def execute(self, limit: int) -> None:
        """Run, or go on, for so many rows (0: all)."""
        ...

    async def close(self) -> None:
        """Give back what it holds."""
        ...

    def abandon(self) -> None:
        """The same, without waiting."""
        ...


class Bindable(Protocol):
    """A statement of ours. `state` is what its meaning depends on, `result` what stays while it is prepared."""

    @property
    def query(self) -> bytes: ...
    @property
    def types(self) -> tuple[int, ...]: ...
    @property
    def state(self) -> tuple[object, ...]: ...
    @property
    def result(self) -> object: ...
    @property
    def fleeting(self) -> bool: ...

    async def described(self) -> Described:
        """Parameters and columns."""
        ...

    async def bind(self, asked: Bind, quiet: bool = False) -> Portal:
        """Take the values; `quiet` within a simple Query, where BindComplete is not said."""
        ...


class Relayed:
    """A portal of the canon's: a residual over fetched rows, its answer shown under the names that were asked for."""

    def __init__(
        self,
        session: Session,
        name: bytes,
        fields: Sequence[Field] | None,
        formats: Sequence[int],
        query: Query | None = None,
    ) -> None:
        self.session, self.name, self.fields, self.formats, self.query = session, name, fields, formats, query
        self._asked = 0  # commands on their way
        self._stop = contextlib.ExitStack()
        if query is not None:
            self._watch(query.cancel)
        self._left = False

    def _watch(self, cancel: Cancel) -> None:
        """Stop the canon when somebody else than the client stops the query."""
        loop = asyncio.get_running_loop()

        def stop() -> None:
            loop.call_soon_threadsafe(self._stopped)

        self._stop.enter_context(cancel.hook(stop))

    def _stopped(self) -> None:
        if self._asked:
            self.session.stop_canon()

    def describe(self, quiet: bool = False) -> None:
        def patch(kind: int, raw: bytes) -> bytes:
            if kind == ord("n"):
                return b"" if quiet else raw
            if kind == ord("T") and self.fields is not None:
                return packets.row_description(self.fields, self.formats)
            return unplaced(kind, raw)

        self.session.backend.send(packets.describe(b"P", self.name), Reply(DESCRIBE, patch=patch))

    async def execute(self, limit: int) -> None:
        self.session.backend.send(
            packets.execute(self.name, limit), Reply(EXECUTE, patch=self._shown, future=self.future())
        )

    def future(self) -> asyncio.Future[None]:
        """For a Reply: an error ends the query."""
        self._asked += 1
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._answered)
        return future

    def _answered(self, future: asyncio.Future[None]) -> None:
        self._asked -= 1
        error = None if future.cancelled() else future.exception()
        if self.query is not None and (error is not None or (self._left and not self._asked)):
            self.query.end(error or GeneratorExit())

    def _shown(self, kind: int, raw: bytes) -> bytes:
        if self.query is not None and kind == ord("C"):
            count = raw[5:-1].rpartition(b" ")[2]
            self.query.rows = int(count) if count.isdigit() else 0
            self.query.end()
        if self.query is not None and kind == ord("E") and self.query.cancel.reason is not None:
            return packets.error(errors.letters(self.query.cancel.reason))  # stopped by us: why, the canon cannot say
        return unplaced(kind, raw)

    async def close(self) -> None:
        """It goes with the canon's portal."""
        self.abandon()

    def abandon(self) -> None:
        """As above; what was asked for already is still coming."""
        self._left = True
        if self.query is not None and not self._asked:
            self.query.end(GeneratorExit())


def unplaced(kind: int, raw: bytes) -> bytes:
    """An error of a text that the client has never seen: without a position in it."""
    if kind != ord("E"):
        return raw
    letters = packets.read_error(raw[5:])
    for letter in "PpqW":
        letters.pop(letter, None)
    return packets.error(letters)


Start = Callable[[Cancel], Awaitable["Result"]]


class Streamed:
    """Rows that we encode, as they come. `start` begins the work, at the first Execute."""

    def __init__(
        self,
        session: Session,
        fields: Sequence[Field],
        columns: rows.Columns,
        formats: Sequence[int],
        start: Start,
        cancel: Cancel | None = None,
    ) -> None:
        self.session, self.fields, self.columns, self.formats = session, fields, columns, formats
        self.cancel = cancel or Cancel()
        self._start = start
        self._result: Result | None = None
        self._rest: pa.RecordBatch | None = None
        self._begun = self._over = False

    def describe(self, quiet: bool = False) -> None:  # noqa: ARG002
        self.session.backend.say(packets.row_description(self.fields, self.formats))

    async def execute(self, limit: int) -> None:
        if await self.session.backend.settle():
            count = await self.send(limit, self.formats)
            full = bool(limit) and count == limit
            self.session.write(packets.PORTAL_SUSPENDED if full else packets.complete(f"SELECT {count}"))

    async def send(self, limit: int, formats: Sequence[int]) -> int:
        """Send up to `limit` rows (0: all); how many there were."""
        settings = self.session.settings.values
        count = 0
        with self.session.handover.desk.work(self.cancel):
            async for piece in self.take(limit):
                self.session.write(await encoded(piece, self.columns, formats, settings))
                await self.session.client.drain()
                self.cancel.check()
                count += piece.num_rows
        return count

    async def take(self, limit: int) -> AsyncIterator[pa.RecordBatch]:
        """The next rows, in pieces that are encoded at once; no more than `limit` (0: all)."""
        left = limit
        while (left or not limit) and (batch := await self._next()) is not None:
            if limit and batch.num_rows > left:
                self._rest = batch.slice(left)
                batch = batch.slice(0, left)
            left -= batch.num_rows
            for piece in rows.slices(batch):
                yield piece

    async def _next(self) -> pa.RecordBatch | None:
        if self._rest is not None:
            batch, self._rest = self._rest, None
            return batch
        if self._over:
            return None
        if not self._begun:
            self._begun = True
            self._result = await self._start(self.cancel)
        assert self._result is not None  # noqa: S101
        async for batch in self._result.batches:
            return batch
        await self.session.handover.account.ended(self._result.parts)
        await self.close()
        return None

    async def close(self) -> None:
        self._over = self._begun = True
        result, self._result, self._rest = self._result, None, None
        if result is not None:
            await result.aclose()

    def abandon(self) -> None:
        if self._result is not None:
            self.session.server.spawn(self.close())


async def encoded(
    piece: pa.RecordBatch, columns: rows.Columns, formats: Sequence[int], settings: Mapping[str, str]
) -> bytes:
    """The piece's DataRows; many of them are made in a thread."""
    if piece.num_rows * max(1, piece.num_columns) < LARGE:
        return rows.data_rows(piece, columns, formats, settings)
    return await asyncio.to_thread(rows.data_rows, piece, columns, formats, settings)


class Listed:
    """Rows that are made here, as text: an EXPLAIN."""

    def __init__(
        self, session: Session, fields: Sequence[Field] | None, lines: Sequence[str], formats: Sequence[int], word: str
    ) -> None:
        self.session, self.fields, self.formats, self.word = session, fields, formats, word
        self._lines = list(lines)

    def describe(self, quiet: bool = False) -> None:
        if self.fields is not None:
            self.session.backend.say(packets.row_description(self.fields, self.formats))
        elif not quiet:
            self.session.backend.say(packets.NO_DATA)

    async def execute(self, limit: int) -> None:
        count = limit or len(self._lines)
        sent, self._lines = self._lines[:count], self._lines[count:]
        encoding = self.session.settings.encoding
        data = b"".join(packets.data_row([line.encode(encoding, "replace")]) for line in sent)
        end = packets.PORTAL_SUSPENDED if limit and len(sent) == limit else packets.complete(self.word)
        self.session.backend.say(data + end)

    async def close(self) -> None:
        """Nothing is held."""

    def abandon(self) -> None:
        """Nothing is held."""
