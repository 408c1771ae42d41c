"""Connections to PostgreSQL of both drivers, with the session prologue, and the meaning of their errors."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import psycopg
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from connectors.apart import apart
from connectors.errors import Error, LimitExceeded, SourceError
from connectors.identity import Identity
from connectors.leases import lost
from connectors.logins import Logins
from connectors.sockets import readable
from connectors.stopping import ended_there
from connectors.tally import SESSION, Tally
from connectors.tls import CHECK, Tls, unreachable

T = TypeVar("T")
PROLOGUE = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "3",
    "standard_conforming_strings": "on",
    "bytea_output": "hex",
    "search_path": "",
    "default_transaction_read_only": "on",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}
# so that a statement ends soon after we died; only some servers have it
_WATCHED = (
    "CASE WHEN current_setting('server_version_num')::int >= 140000 AND version() LIKE '%linux%'"
    " THEN set_config('client_connection_check_interval', '1s', false) END"
)
_DOUBTFUL_AFTER = 30.0  # seconds idle after which a round trip proves a connection alive
_PROOF = 1.0  # seconds for that round trip
_INTRODUCTION = 5  # statements of ADBC's own when it connects: the version, columns, and three times types
GRACE = 1.0  # seconds beyond its statement timeout after which a server is taken to hang
_REFUSED = re.compile(r"password authentication failed|28P01|authentication failed for user|no password supplied")
# What a server says after the login: of places, databases, and itself.
_OTHERWISE = re.compile(
    r"too many|remaining connection slots|does not exist|permission denied|not currently accepting|shutting down"
    r"|starting up|recovery|terminating|certificate|timeout|closed the connection|could not receive|reset by peer"
)
_REPEATED = "\n\nQuery was:"  # ADBC's messages go on with the statement and its values
_FULL = re.compile(r"too many (clients|connections)|remaining connection slots")
_ROOM = (
    "the server has no room for another connection: lower limits.concurrency of its file in sources/, or its owner"
    " raises max_connections, or the limit of the role or database"
)
LOST_STATES = frozenset(("57P01", "57P02", "57P03", "57P05", "25P03"))


@dataclass(slots=True)
class Session:
    """A connection of either driver and the statement timeout that its server was last told (milliseconds).

    `prompted` are the names of the statements that `postgresql_prompt` has prepared, by text.
    """

    connection: Any
    timeout: int = 0
    prompted: dict[str, bytes] = field(default_factory=dict)
    numbered: int = 0


@dataclass(slots=True)
class Access:
    """Where and as whom to connect; no secret ever leaves it."""

    source: str
    parameters: dict[str, Any] = field(repr=False)
    settings: dict[str, str] = field(default_factory=dict)  # of each session, besides the prologue
    tally: Tally = field(default_factory=Tally, repr=False)
    password: SecretStr | None = None
    tls: Tls = field(default_factory=Tls)
    logins: Logins = field(init=False, repr=False)
    identity: Identity = field(default_factory=Identity, repr=False)

    def __post_init__(self) -> None:
        self.logins = Logins(self.source, self.password, self.tls.passphrase)

    @property
    def prologue(self) -> str:
        """One statement: it does for both drivers and passes through PgBouncer, which refuses startup options."""
        return prologue(self.settings)

    def conninfo(self, seconds: float, password: str | None) -> str:
        """libpq's connection string, to connect within about so many seconds; it holds the secrets."""
        given = {key: value for key, value in {**self.parameters, **self._encryption()}.items() if value is not None}
        # libpq takes nothing below two seconds
        patience = max(2, min(given["connect_timeout"], math.ceil(seconds)))
        known = {} if password is None else {"password": password}
        return make_conninfo("", **{**given, **known, "connect_timeout": patience, "client_encoding": "UTF8"})

    def open(self, attempt: Callable[[str], T], seconds: float) -> T:
        """A connection that `attempt` makes of a connection string, logged in; else SourceError."""
        try:
            return self.logins.open(lambda secret: attempt(self.conninfo(seconds, secret)), refused, seconds)
        except (psycopg.Error, adbc_driver_manager.Error) as error:
            raise self.unreachable(error) from None

    def scrub(self, text: str) -> str:
        """The text without secrets."""
        return self.logins.scrub(text)

    def unreachable(self, error: BaseException) -> SourceError:
        """08001, with the driver's reason in `detail`."""
        where = f"{self.parameters.get('host') or 'localhost'}:{self.parameters.get('port')}"
        check = _ROOM if _FULL.search(str(error)) else CHECK
        return unreachable(self.source, f"PostgreSQL at {where}", self.tls, self.scrub(str(error)), check)

    def _encryption(self) -> dict[str, str | None]:
        """What libpq is told of TLS; where nothing is said in any way, its own environment counts."""
        tls = self.tls
        if tls.mode in ("disable", "prefer"):
            return {"sslmode": tls.mode}
        return {
            "sslmode": tls.mode,
            "sslrootcert": tls.authorities if tls.verifies else None,
            "sslcert": tls.certificate,
            "sslkey": tls.key,
            "sslpassword": tls.passphrase.get_secret_value() if tls.passphrase else None,
        }


def refused(error: Exception) -> bool:
    """Whether the server did not take the password; it says so in its own language, but libpq knows it was sent."""
    text = str(error)
    if _REFUSED.search(text):
        return True
    sent = bool(getattr(getattr(error, "pgconn", None), "used_password", False))
    return sent and not _OTHERWISE.search(text)


def prologue(settings: Mapping[str, str]) -> str:
    """The SELECT that sets a session's state: ours and the owner's `settings`."""
    all_ = {**PROLOGUE, **settings}
    return "SELECT " + ", ".join([*(f"set_config('{key}', '{value}', false)" for key, value in all_.items()), _WATCHED])


class PatientConnection(psycopg.Connection[Any]):
    """Waits for an answer no longer than `patience` seconds: a server that hangs heeds no timeout of its own."""

    patience: float | None = None

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """See psycopg.Connection.wait."""
        return super().wait(gen, interval, self.patience if timeout is None else timeout)


class PointDriver:
    """psycopg 3: the least latency."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def open(self, seconds: float) -> Session:
        connect = partial(PatientConnection.connect, autocommit=True, cursor_factory=psycopg.RawCursor)
        connection = self._access.open(connect, seconds)
        try:
            connection.patience = max(seconds, 1.0)
            self._access.tally.add(SESSION)
            connection.execute(self._access.prologue)
            self._access.identity.sees(_mark(connection.info))
        except psycopg.Error as error:
            raise self._access.unreachable(error) from None
        return Session(connection)

    def alive(self, session: Session, idle: float) -> bool:
        """An idle connection has nothing to read, unless the server has said goodbye."""
        try:
            if session.connection.closed or readable(session.connection.fileno(), 0):
                return False
            if idle > _DOUBTFUL_AFTER:
                session.connection.patience = _PROOF
                session.connection.execute("")
        except (psycopg.Error, OSError):
            return False
        return True

    def close(self, session: Session) -> None:
        session.connection.close()

    def limit(self, session: Session, milliseconds: int) -> None:
        """Tell the server the statement timeout, if it is another."""
        session.connection.patience = milliseconds / 1000 + GRACE
        if session.timeout != milliseconds:
            self._access.tally.add(SESSION)
            session.connection.execute(f"SET statement_timeout = {milliseconds}", prepare=False)
            session.timeout = milliseconds


def _mark(info: psycopg.ConnectionInfo) -> tuple[tuple[int, int], bool]:
    """What a server says of itself when it greets: its version, and since version 14 whether it is a replica."""
    number = info.server_version
    return (number // 10000, number % 10000), info.parameter_status("in_hot_standby") == "on"


class BulkDriver:
    """ADBC: streams Arrow by COPY, without the interpreter's lock."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def open(self, seconds: float) -> Session:
        # besides connecting it reads the server's types, and waits for them without any bound
        self._access.tally.add(SESSION, _INTRODUCTION)

        def connect(conninfo: str) -> Any:
            work = partial(adbc.connect, conninfo, autocommit=True)
            return apart(work, max(seconds, 1.0), lambda late: late.close())

        try:
            return Session(self._access.open(connect, seconds))
        except TimeoutError:
            raise self._access.unreachable(TimeoutError("the server does not answer")) from None

    def alive(self, session: Session, idle: float) -> bool:  # noqa: ARG002
        """Always: its socket cannot be looked at. What died unseen is replaced when its next statement fails."""
        return True

    def close(self, session: Session) -> None:
        session.connection.close()

    def limit(self, session: Session, milliseconds: int) -> None:
        """Tell the server the statement timeout, if it is another; and a new one the prologue.

        It waits for the server without any bound, and so belongs into a thread that may be left alone.
        """
        if session.timeout != milliseconds:
            self._access.tally.add(SESSION)
            timeout = f"set_config('statement_timeout', '{milliseconds}', false)"
            _run(session.connection, f"SELECT {timeout}" if session.timeout else f"{self._access.prologue}, {timeout}")
            session.timeout = milliseconds


def translate(access: Access, error: Exception, late: LimitExceeded) -> Error:
    """A driver's error as ours. `late` is what a server-side timeout becomes."""
    state, message, detail = _diagnosis(error)
    return meaning(access.source, state, access.scrub(message), access.scrub(detail), late)


def meaning(source: str, state: str | None, message: str, detail: str, late: LimitExceeded) -> Error:
    """The error of a SQLSTATE of PostgreSQL (None: the driver's own), whichever driver told it."""
    if state == "57014":
        return ended_there(source) if "user request" in message else late
    if state is None or state.startswith("08") or state in LOST_STATES:
        return lost(source, message)
    return SourceError(
        f'source "{source}" refused the statement: {message}',
        # a data exception or a limit is what PostgreSQL itself would have answered: the client is told its own code
        sqlstate=state if state.startswith(("22", "53", "54")) else "HV000",
        detail="; ".join(filter(None, (f"SQLSTATE {state}", detail))),
    )


def _diagnosis(error: Exception) -> tuple[str | None, str, str]:
    if isinstance(error, psycopg.Error):
        return error.sqlstate, error.diag.message_primary or str(error), error.diag.message_detail or ""
    state = getattr(error, "sqlstate", None)
    facts = {_plain(key): _plain(value) for key, value in getattr(error, "details", None) or ()}
    told = facts.get("PG_DIAG_MESSAGE_PRIMARY") or str(error).partition(_REPEATED)[0]
    return state or None, told, facts.get("PG_DIAG_MESSAGE_DETAIL", "")


def _plain(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def tell(session: Session, *texts: str) -> None:
    """Run commands that give no rows, over a connection of either driver."""
    if isinstance(session.connection, psycopg.Connection):
        session.connection.execute("; ".join(texts), prepare=False)
        return
    for text in texts:
        with contextlib.closing(session.connection.cursor()) as cursor:
            cursor.execute(text)


def _run(connection: Any, text: str) -> None:
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(text)
        cursor.fetchall()
