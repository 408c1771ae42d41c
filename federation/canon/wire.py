"""One connection to the canon in asyncio: libpq's pipeline mode without a driver's overhead on top."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import psycopg
from psycopg import pq
from psycopg.pq import ConnStatus, DiagnosticField, ExecStatus, PollingStatus
from psycopg.pq.abc import PGconn, PGresult

from connectors.errors import Error, LimitExceeded, QueryError

Command = Callable[[PGconn], None]
Rows = list[tuple[str | None, ...]]
CONNECT_TIMEOUT = 10.0
KEPT = 64  # prepared statements of a connection


@dataclass(frozen=True, slots=True)
class Description:
    """What Parse and Describe tell of a statement: parameter type oids; (name, type oid, typmod) per column."""

    params: tuple[int, ...]
    columns: tuple[tuple[str, int, int], ...]


class Backend(Protocol):
    """What analysis asks of a backend, be it ours or a client session's. Errors leave as QueryError."""

    async def describe(self, sql: str, declared: Sequence[int] = ()) -> Description:
        """Parse an unnamed statement with the declared parameter types (0: to be found) and describe it."""
        ...

    async def rows(self, *statements: str) -> list[Rows]:
        """Run the statements in order, by the extended protocol; each one's rows in text form."""
        ...


class Wire:
    """A connection in pipeline mode. One exchange at a time: whoever holds it, holds it alone."""

    def __init__(self, pgconn: PGconn) -> None:
        self.pgconn = pgconn
        self.generation = 0  # of the canon, when it was made
        self.state: tuple[object, ...] = ()  # the settings that its user gave it
        self._kept: OrderedDict[tuple[bytes, tuple[int, ...]], bytes] = OrderedDict()
        self._named = 0
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] | None = None
        self._asking = False  # an exchange is going on
        self._watching = True
        pgconn.nonblocking = 1
        pgconn.enter_pipeline_mode()
        self._socket: int | None = pgconn.socket
        self._loop.add_reader(pgconn.socket, self._wake)

    @classmethod
    async def connect(cls, dsn: str) -> Wire:
        """A new connection; Error (57P03) when the canon cannot be reached."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return cls(await _connect(dsn))
        except (psycopg.OperationalError, TimeoutError) as error:
            raise Error(
                "the embedded PostgreSQL cannot be reached", sqlstate="57P03", detail=str(error).strip()
            ) from error

    @property
    def broken(self) -> bool:
        return self.pgconn.status == ConnStatus.BAD

    def close(self) -> None:
        """Leave."""
        if self._socket is not None:  # libpq may have closed it: another connection may have its number soon
            self._loop.remove_reader(self._socket)
            self._socket = None
        self.pgconn.finish()

    async def run(self, *commands: Command) -> list[PGresult]:
        """Send the commands with one Sync; their results in order. The first error is raised, the rest not run."""
        return [result async for _, result in self.stream(*commands)]

    async def stream(
        self, *commands: Command, chunk: tuple[int, int] | None = None
    ) -> AsyncGenerator[tuple[int, PGresult], None]:
        """The same, each with its command's index, as it comes.

        `chunk` (index, rows) has that command's rows in results of so many, and an empty one at the end.
        Left before its end, it stops the statement at the server, and the connection is closed.
        """
        failed: PGresult | None = None
        self._asking = True
        try:
            for command in commands:
                command(self.pgconn)
            self.pgconn.pipeline_sync()
            await self._flush()
            for index in range(len(commands) + 1):
                if chunk is not None and index == chunk[0] and failed is None:  # else libpq refuses
                    self.pgconn.set_chunked_rows_mode(chunk[1])
                while (result := await self._next()) is not None:
                    if result.status == ExecStatus.PIPELINE_SYNC:
                        break
                    if result.status == ExecStatus.FATAL_ERROR:
                        failed = failed or result
                    elif result.status != ExecStatus.PIPELINE_ABORTED:
                        yield index, result
        except psycopg.OperationalError as error:
            self._abandon()  # what it still sends would be taken for the next statement's answer
            raise lost(str(error)) from error
        except BaseException:
            self._abandon()
            raise
        self._rest()
        if failed is not None:
            self._kept.clear()  # nobody knows which of them were prepared
            raise failure(failed)

    def _rest(self) -> None:
        """Idle from now on; watched all the same, to learn of the server's end."""
        self._asking = False
        self._ready = None
        if not self._watching and self._socket is not None:
            self._loop.add_reader(self._socket, self._wake)
            self._watching = True

    def _abandon(self) -> None:
        """In the middle of an answer the connection is of no use, and the server should not work on."""
        with contextlib.suppress(psycopg.Error):
            self.pgconn.get_cancel().cancel()
        self.close()

    async def describe(self, sql: str, declared: Sequence[int] = ()) -> Description:
        return await self.described(sql, declared)

    async def described(self, sql: str, declared: Sequence[int], *before: Command) -> Description:
        """Describe, having run `before` in the same round trip."""
        text = encode(sql)
        results = await self.run(
            *before,
            lambda pgconn: pgconn.send_prepare(b"", text, list(declared)),
            lambda pgconn: pgconn.send_describe_prepared(b""),
        )
        return description(results[-1])

    def prepared(self, text: bytes, oids: Sequence[int]) -> tuple[bytes, list[Command]]:
        """The name of a prepared statement, and what to send before its use: nothing when it is there already."""
        key = (text, tuple(oids))
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key], []
        self._named += 1
        name = self._kept[key] = b"vdw_%d" % self._named
        new: list[Command] = [lambda pgconn: pgconn.send_prepare(name, text, list(oids))]
        if len(self._kept) > KEPT:
            _, old = self._kept.popitem(last=False)
            new.insert(0, lambda pgconn: pgconn.send_close_prepared(old))
        return name, new

    async def rows(self, *statements: str) -> list[Rows]:
        results = await self.run(*(query(text) for text in statements))
        return [text_rows(result) for result in results]

    async def _flush(self) -> None:
        while self.pgconn.flush() == 1:
            writable = self._loop.create_future()
            self._loop.add_writer(self.pgconn.socket, _done, writable)
            try:
                self._arm()  # a server that talks back while we send is listened to, which makes room
                await writable
            finally:
                self._loop.remove_writer(self.pgconn.socket)

    async def _next(self) -> PGresult | None:
        """The next result; None at the end of a command."""
        while not self.broken and self.pgconn.is_busy():
            await self._arm()
        if self.broken:
            raise psycopg.OperationalError(self.pgconn.get_error_message())
        return self.pgconn.get_result()

    def _arm(self) -> asyncio.Future[None]:
        """Done when there is something to take, or nothing to hope for."""
        if self._ready is None or self._ready.done():
            self._ready = self._loop.create_future()
        if not self._watching and self._socket is not None:
            self._loop.add_reader(self._socket, self._wake)
            self._watching = True
        return self._ready

    def _wake(self) -> None:
        """There is something to read."""
        waited_for = self._ready is not None and not self._ready.done()
        if self._asking and not waited_for and self._socket is not None:
            # Nobody wants the next row yet: it stays at the server, and the loop must not spin meanwhile.
            self._loop.remove_reader(self._socket)
            self._watching = False
            return
        try:
            self.pgconn.consume_input()
        except psycopg.OperationalError:
            if not self._asking:
                self.close()  # the server ended while we were idle
        if self._ready is not None and waited_for and (self.broken or not self.pgconn.is_busy()):
            self._ready.set_result(None)


def query(sql: str) -> Command:
    """A command for `Wire.run`: a statement without parameters, its rows in text."""
    text = encode(sql)
    return lambda pgconn: pgconn.send_query_params(text, None)


def encode(sql: str) -> bytes:
    """UTF-8 as the server takes it; a NUL would end the message early."""
    if "\0" in sql:
        raise QueryError('invalid byte sequence for encoding "UTF8": 0x00', sqlstate="22021")
    try:
        return sql.encode()
    except UnicodeEncodeError as error:
        raise QueryError("the statement is not valid Unicode text", sqlstate="22021") from error


def description(result: PGresult) -> Description:
    """Of the result of a Describe."""
    columns = tuple(((result.fname(i) or b"").decode(), result.ftype(i), result.fmod(i)) for i in range(result.nfields))
    return Description(tuple(result.param_type(i) for i in range(result.nparams)), columns)


def text_rows(result: PGresult) -> Rows:
    """The rows of a result in text form."""
    return [
        tuple(None if (v := result.get_value(r, c)) is None else v.decode() for c in range(result.nfields))
        for r in range(result.ntuples)
    ]


def failure(result: PGresult) -> Error:
    """PostgreSQL's own error: state, message, hint, detail and position."""

    def told(what: DiagnosticField) -> str | None:
        value = result.error_field(what)
        return None if value is None else value.decode("utf-8", "replace")

    state = told(DiagnosticField.SQLSTATE) or "XX000"
    position = told(DiagnosticField.STATEMENT_POSITION)
    family = LimitExceeded if state in ("57014", "53400", "53200", "54000") else QueryError
    return family(
        told(DiagnosticField.MESSAGE_PRIMARY) or "the canon failed",
        sqlstate=state,
        hint=told(DiagnosticField.MESSAGE_HINT),
        detail=told(DiagnosticField.MESSAGE_DETAIL),
        position=int(position) if position else None,
    )


def lost(detail: str) -> Error:
    """The canon went away under a statement; it comes back, with a new generation."""
    return Error("the embedded PostgreSQL was restarted", sqlstate="57P02", detail=detail.strip(), hint="Try again.")


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def _connect(dsn: str) -> PGconn:
    pgconn: PGconn = pq.PGconn.connect_start(dsn.encode())
    loop = asyncio.get_running_loop()
    while True:
        if pgconn.status == ConnStatus.BAD:
            raise psycopg.OperationalError(pgconn.get_error_message())
        state = pgconn.connect_poll()
        if state == PollingStatus.OK:
            return pgconn
        if state == PollingStatus.FAILED:
            raise psycopg.OperationalError(pgconn.get_error_message())
        waiter = loop.create_future()
        reading, socket = state == PollingStatus.READING, pgconn.socket
        (loop.add_reader if reading else loop.add_writer)(socket, _done, waiter)
        try:
            await waiter
        finally:
            (loop.remove_reader if reading else loop.remove_writer)(socket)
