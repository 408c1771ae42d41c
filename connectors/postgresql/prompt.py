"""Statements of few rows over an idle connection of psycopg's, by libpq itself: sent and taken without any waiting."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence

import psycopg
import pyarrow as pa
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGconn, PGresult

from connectors.base import Served, SourceQuery, Stale
from connectors.errors import Error
from connectors.leases import Lease, Leases, Lost
from connectors.postgresql.drivers import Access, Session, translate
from connectors.postgresql.rows import from_result
from connectors.postgresql.sql import prepared
from connectors.sockets import readable
from connectors.stopping import GRACE, server_timeout, timed_out
from connectors.tally import SESSION

MOST_BYTES = 8_192  # of parameters: what surely fits the socket's buffer
KEPT = 100  # prepared statements of a connection
_AGAIN = 0.1  # seconds between two attempts to cancel
_GOOD = (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK)
Send = Callable[[PGconn], None]


class PostgresqlPrompt:
    """See `connectors.base.Prompt`."""

    def __init__(
        self, access: Access, leases: Leases, lease: Lease, sends: Sequence[Send], query: SourceQuery, timeout: float
    ) -> None:
        session: Session = lease.session
        self._pgconn: PGconn = session.connection.pgconn
        self._access, self._leases, self._lease = access, leases, lease
        self._sends = deque(sends)
        self._query = query
        self._late = timed_out(access.source, timeout)
        self._result: PGresult | None = None
        self.served: Served | None = None
        self.descriptor: int = self._pgconn.socket

    def send(self) -> bool:
        """Send the next command; False where that would take waiting, or the connection is dead."""
        try:
            self._sends.popleft()(self._pgconn)
            return self._pgconn.flush() == 0
        except psycopg.Error:
            return False

    def poll(self) -> int | None:
        """See Prompt."""
        try:
            self._pgconn.consume_input()
            while not self._pgconn.is_busy():
                result = self._pgconn.get_result()
                if result is not None:
                    self._take(result)
                elif not self._sends:
                    return 0 if self._result is None else self._result.ntuples
                elif not self.send():
                    self._lease.broken = True
                    raise Stale
        except psycopg.Error as error:
            self._lease.broken = True
            ours = translate(self._access, error, self._late)
            if isinstance(ours, Lost) and self._lease.stale:  # else it ended what was running, and must not run again
                raise Stale from None
            raise ours from None
        return None

    def rows(self) -> pa.RecordBatch:
        """See Prompt."""
        try:
            return from_result(self._result, self._query)
        except BaseException:
            self._lease.broken = True
            raise

    def close(self, stop: Error | None = None) -> bool:
        """See Prompt. A connection whose statement had to be stopped is not used again."""
        heeded = True
        if stop is not None:
            self._lease.broken = True
            heeded = self._stop()
        self._leases.back(self._lease)
        return heeded

    def give_up(self) -> None:
        """Close the connection: what was sent is not to be answered."""
        self._lease.broken = True
        self._leases.back(self._lease)

    def _take(self, result: PGresult) -> None:
        if result.status not in _GOOD:
            raise error_from_result(result, "utf-8")
        self._result = result

    def _stop(self) -> bool:
        """Whether the statement ended, or its connection did: a server that says anything is there."""
        end = time.monotonic() + GRACE
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(psycopg.Error):
                self._lease.session.connection.cancel_safe(timeout=left)
            if not readable(self.descriptor, _AGAIN):
                continue
            try:
                self._pgconn.consume_input()
            except psycopg.Error:
                return True
            if not self._pgconn.is_busy():
                return True
        return False


def begin(access: Access, leases: Leases, lease: Lease, query: SourceQuery, timeout: float) -> PostgresqlPrompt | None:
    """Send the statement; None, and the connection is given back, where it is not for this way."""
    text, texts = prepared(query)
    values = [None if value is None else value.encode() for value in texts]
    given = [value for value in values if value is not None]
    if sum(map(len, given)) > MOST_BYTES or any(b"\0" in value for value in given):
        leases.back(lease)
        return None
    sends, settings = _commands(lease.session, text, values, timeout)
    if settings:
        access.tally.add(SESSION, settings)
    prompt = PostgresqlPrompt(access, leases, lease, sends, query, timeout)
    if not prompt.send():
        prompt.give_up()
        return None
    return prompt


def _commands(session: Session, text: str, values: Sequence[bytes | None], timeout: float) -> tuple[list[Send], int]:
    """What is to be sent, one after the other; how many of it are statements that only concern the session."""
    sends: list[Send] = []
    milliseconds = server_timeout(timeout)
    if session.timeout != milliseconds:
        session.timeout = milliseconds
        sends.append(lambda conn: conn.send_query(b"SET statement_timeout = %d" % milliseconds))
    settings, name = len(sends), session.prompted.get(text)
    if name is None:
        if len(session.prompted) >= KEPT:
            oldest = session.prompted.pop(next(iter(session.prompted)))
            sends.append(lambda conn: conn.send_query(b"DEALLOCATE " + oldest))
        settings = len(sends)
        name = session.prompted[text] = b"vdw_%d" % session.numbered
        session.numbered += 1
        sends.append(lambda conn: conn.send_prepare(name, text.encode()))
    sends.append(lambda conn: conn.send_query_prepared(name, values, None, Format.BINARY))
    return sends, settings
