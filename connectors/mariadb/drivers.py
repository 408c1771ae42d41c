"""Connections to MariaDB and MySQL with the session prologue, and the meaning of their errors."""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from connectors.capability.mariadb import MYSQL_SINCE, PADLESS
from connectors.deadlines import Deadlines
from connectors.errors import ConfigError, Error, LimitExceeded, SourceError
from connectors.identity import Identity
from connectors.leases import lost as gone
from connectors.logins import Logins
from connectors.mariadb.greeting import without_tls
from connectors.sockets import readable, sever, watch
from connectors.stopping import ended_there
from connectors.tally import SESSION, Tally
from connectors.tls import Tls, unreachable

if TYPE_CHECKING:
    from types import ModuleType

SQL_MODE = (
    "ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES,ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO"
)
_PROLOGUE = (
    f"SET SESSION sql_mode = '{SQL_MODE}', time_zone = '+00:00', group_concat_max_len = 1073741824",
    "SET SESSION TRANSACTION READ ONLY",
)
# Texts of no column compare by bytes. MySQL would show statistics that it read up to a day ago.
_OWN = {
    "mariadb": f"SET SESSION collation_connection = {PADLESS['mariadb']}",
    "mysql": f"SET SESSION collation_connection = {PADLESS['mysql']}, information_schema_stats_expiry = 0",
}
_DOUBTFUL_AFTER = 30.0  # seconds idle after which a round trip proves a connection alive
_PROOF = 1.0  # seconds for that round trip, and for a KILL
LOST = frozenset((2002, 2003, 2006, 2013, 2026, 2055, 1053, 1077, 1078, 1079, 1927, 4031))  # 2026: an end within TLS
_REPLICA_SINCE = (8, 0, 22)  # of MySQL, whose 8.4 knows the other words no more
LATE = frozenset((1969, 3024))  # max_statement_time, max_execution_time
KILLED = 1317
_SPEAKS_TLS = 2048  # of the capabilities that a server tells
_REFUSED = frozenset((1045, 1698, 1862, 3118, 4151))  # wrong, none, expired; the account is locked
_MODES = {"prefer": "PREFERRED", "require": "REQUIRED", "verify-full": "VERIFY_IDENTITY"}
# may not read; no such table, function, column
UNREADABLE = frozenset(("1044", "1142", "1143", "1146", "1305", "1054"))
STATES = {  # errors that PostgreSQL has too: of values, and of a server that has no room
    1690: "22003",
    1021: "53100",
    1026: "53100",
    1114: "53100",
    1037: "53200",
    1038: "53200",
    1041: "53000",
}
_NO_SPACE = "Errcode: 28"  # ENOSPC, whatever was being written
_BROKEN, _TEMPORARY = 126, "/#sql"  # what a temporary table says that could not be written to a full disk


@dataclass(slots=True)
class Session:
    """A connection and the statement timeout that its server was last told (milliseconds)."""

    connection: Any
    engine: str
    thread: int  # the server's number for it; kept, as a busy connection answers no other thread of ours
    descriptor: int
    timeout: int = 0


@dataclass(slots=True)
class Access:
    """Where and as whom to connect; no secret ever leaves it."""

    source: str
    arguments: dict[str, Any] = field(repr=False)
    tally: Tally = field(default_factory=Tally, repr=False)
    password: SecretStr | None = None
    tls: Tls = field(default_factory=Tls)
    logins: Logins = field(init=False, repr=False)
    identity: Identity = field(default_factory=Identity, repr=False)
    _careful: bool = field(default=True, init=False, repr=False)  # it may be MySQL

    def __post_init__(self) -> None:
        self.logins = Logins(self.source, self.password, self.tls.passphrase)

    def connect(self, seconds: float) -> Any:
        """A bare connection, made within about so many seconds; values are raw bytes."""
        given = {key: value for key, value in self.arguments.items() if value is not None}
        given["connect_timeout"] = max(1, min(given["connect_timeout"], math.ceil(seconds)))

        def attempt(password: str | None) -> Any:
            known = {} if password is None else {"password": password}
            tls = self._agreed(seconds)
            with _encrypted(tls) as encryption:
                made = driver().connect(conv={}, **given, **known, **encryption)
            if encryption and tls.mode != "prefer" and not made.server_capabilities & _SPEAKS_TLS:
                made.close()  # the driver goes on without, whatever it was told
                raise driver().OperationalError(2026, "TLS/SSL error: the server does not speak TLS")
            return made

        connection = self.logins.open(attempt, refused, seconds)
        self.identity.sees(connection.get_server_info())
        self._careful = "mariadb" not in connection.get_server_info().lower()
        watch(connection.fileno())
        return connection

    def _agreed(self, seconds: float) -> Tls:
        """How to go on. Told to encrypt, the driver sends MySQL's newer kind of password as it is to a server that does
        not speak TLS, unless it has to verify who that is; told not to, it seals it with the server's key."""
        host, port = self.arguments.get("host"), self.arguments.get("port")
        if self.tls.mode not in ("prefer", "require") or host is None or port is None or not self._careful:
            return self.tls
        try:
            if not without_tls(str(host), int(port), max(1.0, min(self.arguments["connect_timeout"], seconds))):
                return self.tls
        except TimeoutError:
            raise driver().OperationalError(2003, "the server does not answer") from None
        if self.tls.mode == "require":
            raise driver().OperationalError(2026, "TLS/SSL error: the server does not speak TLS")
        return self.tls.model_copy(update={"mode": "disable"})

    def scrub(self, text: str) -> str:
        """The text without secrets."""
        return self.logins.scrub(text)

    def unreachable(self, error: Exception) -> SourceError:
        """08001, with the server's reason in `detail`."""
        where = self.arguments.get("unix_socket") or f"{self.arguments.get('host')}:{self.arguments.get('port')}"
        return unreachable(self.source, f"MariaDB or MySQL at {where}", self.tls, self.scrub(_message(error)))


def refused(error: Exception) -> bool:
    """Whether the server did not take user and password."""
    return bool(error.args) and error.args[0] in _REFUSED


@contextlib.contextmanager
def _encrypted(tls: Tls) -> Iterator[dict[str, Any]]:
    """The driver's arguments for TLS, while it connects."""
    if tls.mode == "disable":
        yield {}
        return
    files = {"cert": tls.certificate, "key": tls.key, "ca": tls.authorities if tls.verifies else None}
    # of an empty mapping the driver makes no TLS at all
    ssl = {"cipher": "DEFAULT", **{key: value for key, value in files.items() if value is not None}}
    arguments = {"ssl": ssl, "ssl_mode": _MODES[tls.mode]}
    if tls.key is None:
        yield arguments
        return
    # without any passphrase the driver would ask the terminal for it
    passphrase = tls.passphrase.get_secret_value() if tls.passphrase else "none"
    written = passphrase.replace("\\", "\\\\").replace("\n", "\\n")
    # the driver takes it from an option file alone; this one has no name, and is gone at the end
    file = os.memfd_create("vdw", os.MFD_CLOEXEC)
    try:
        os.fchmod(file, 0o600)
        os.write(file, f'[client]\nssl-passphrase="{written}"\n'.encode())
        yield {**arguments, "read_default_file": f"/proc/self/fd/{file}"}
    finally:
        os.close(file)


def driver() -> ModuleType:
    """mysqlclient's lower layer, imported when first needed: it is an optional dependency."""
    try:
        from MySQLdb import _mysql
    except ImportError as error:
        raise ConfigError(
            "sources of kind mariadb and mysql need the driver mysqlclient, which is not installed",
            place="connectors",
            hint="install vdw with the extra `mariadb`, or the Python package mysqlclient",
        ) from error
    return _mysql  # type: ignore[no-any-return]


class MysqlDriver:
    """mysqlclient without its conversions: they would lose digits and dates."""

    def __init__(self, access: Access, deadlines: Deadlines) -> None:
        self._access = access
        self._deadlines = deadlines

    def open(self, seconds: float) -> Session:
        errors = driver().MySQLError
        try:
            connection = self._access.connect(seconds)
            with self.bounded(connection.fileno(), seconds):
                connection.autocommit(True)
                connection.set_character_set("utf8mb4")
                told = connection.get_server_info()
                engine = "mariadb" if "mariadb" in told.lower() else "mysql"
                statements = prologue(engine, numbers(told))
                for statement in statements:
                    run(connection, statement)
                # autocommit and the character set are statements too
                self._access.tally.add(SESSION, 2 + len(statements))
        except errors as error:
            raise self._access.unreachable(error) from None
        return Session(connection, engine, connection.thread_id(), connection.fileno())

    def alive(self, session: Session, idle: float) -> bool:
        """An idle connection has nothing to read, unless the server has said goodbye."""
        if readable(session.descriptor, 0):
            return False
        if idle > _DOUBTFUL_AFTER:
            try:
                self.prove(session, _PROOF)
            except driver().MySQLError:
                return False
        return True

    def prove(self, session: Session, seconds: float) -> None:
        """A round trip."""
        with self.bounded(session.descriptor, seconds):
            session.connection.ping()

    @contextlib.contextmanager
    def bounded(self, descriptor: int, seconds: float) -> Iterator[None]:
        """The body may read from the connection for so many seconds; then it is cut."""
        with self._deadlines.within(time.monotonic() + seconds, partial(sever, descriptor)):
            yield

    def close(self, session: Session) -> None:
        session.connection.close()

    def limit(self, session: Session, milliseconds: int) -> None:
        """Tell the server the statement timeout, if it is another."""
        if session.timeout == milliseconds:
            return
        text = limiting(session.engine, milliseconds)
        self._access.tally.add(SESSION)
        session.connection.send_query(text.encode())
        if not readable(session.descriptor, milliseconds / 1000):
            raise driver().OperationalError(2013, "the server does not answer")
        session.connection.read_query_result()
        session.timeout = milliseconds

    def kill(self, session: Session) -> None:
        """End the statement that runs on the session, from a connection of its own."""
        with contextlib.closing(self._access.connect(1)) as side, self.bounded(side.fileno(), _PROOF):
            self._access.tally.add(SESSION)
            run(side, f"KILL QUERY {session.thread}")


def limiting(engine: str, milliseconds: int) -> str:
    """The statement that sets the server's timeout for those that follow."""
    if engine == "mariadb":
        return f"SET SESSION max_statement_time = {milliseconds / 1000:f}"
    return f"SET SESSION max_execution_time = {milliseconds}"


def prologue(engine: str, version: tuple[int, ...]) -> tuple[str, ...]:
    """What makes a new session ours."""
    return _PROLOGUE if engine == "mysql" and version < MYSQL_SINCE else (*_PROLOGUE, _OWN[engine])


def replication(engine: str, version: tuple[int, ...]) -> str:
    """The statement that tells how far a replica is."""
    return "SHOW REPLICA STATUS" if engine == "mysql" and version >= _REPLICA_SINCE else "SHOW SLAVE STATUS"


def version(session: Session) -> tuple[int, ...]:
    """The server's version as numbers."""
    return numbers(session.connection.get_server_info())


def numbers(told: str) -> tuple[int, ...]:
    """A server's version, of what it tells of itself."""
    return tuple(int(part) for part in re.findall(r"\d+", told.removeprefix("5.5.5-"))[:3])


def run(connection: Any, text: str) -> list[tuple[bytes | None, ...]]:
    """All rows of a statement, raw."""
    connection.query(text)
    result = connection.store_result()
    return list(result.fetch_row(0)) if result is not None else []


def named(connection: Any, text: str) -> dict[str, str | None]:
    """The first row of a statement, by its columns' names; {} where there is none."""
    connection.query(text)
    rows = connection.store_result().fetch_row(1, 1)
    if not rows:
        return {}
    return {name: None if value is None else value.decode() for name, value in rows[0].items()}


def translate(access: Access, error: Exception, late: LimitExceeded) -> Error:
    """A driver's error as ours. `late` is what a server-side timeout becomes."""
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    lost = isinstance(error, driver().InterfaceError)
    return meaning(access.source, code, access.scrub(_message(error)), late, lost=lost)


def meaning(source: str, code: int, message: str, late: LimitExceeded, *, lost: bool = False) -> Error:
    """The error of a code of MariaDB or MySQL, whichever driver told it; `lost` where the driver said so itself."""
    if code in LATE:
        return late
    if code == KILLED:
        return ended_there(source)
    if lost or code in LOST:
        return gone(source, message)
    state = state_of(code, message)
    said = f'source "{source}" refused the statement: {message}'
    return SourceError(said, sqlstate=state, detail=f"error {code}")


def state_of(code: int, message: str) -> str:
    """The SQLSTATE that PostgreSQL has for an error of the server's, HV000 where it has none."""
    full = _NO_SPACE in message or (code == _BROKEN and _TEMPORARY in message)
    return "53100" if full else STATES.get(code, SourceError.sqlstate)


def _message(error: Exception) -> str:
    return str(error.args[1]) if len(error.args) > 1 else str(error)
