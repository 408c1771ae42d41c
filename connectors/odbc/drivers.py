"""Connections by pyodbc: the connection string, the session's state, and the meaning of errors."""

from __future__ import annotations

import contextlib
import math
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from connectors.apart import apart
from connectors.errors import ConfigError, Error, LimitExceeded, SourceError
from connectors.leases import lost
from connectors.logins import Logins
from connectors.odbc.engine import CANARY, Engine, Facts
from connectors.stopping import ended_there
from connectors.tally import SESSION, Tally
from connectors.tls import Tls, unreachable

if TYPE_CHECKING:
    from types import ModuleType

_DOUBTFUL_AFTER = 10.0  # seconds idle after which a round trip proves a connection alive: its socket cannot be seen
_PROOF = 1.0  # seconds for that round trip
_SHORT = 10.0  # seconds for a statement of the prologue
_CODE = re.compile(r"\((-?\d+)\) \(SQL\w+\)")
_BRACED = re.compile(r"[;{}\s]")
_WRONG = frozenset((1045, 1698, 18456, 1017))  # MariaDB's and MySQL's, SQL Server's, Oracle's
_SECRET = re.compile(r"pwd|pass|secret|token|credential|key", re.I)


def driver() -> ModuleType:
    """pyodbc, imported when first needed: it is an optional dependency."""
    try:
        import pyodbc
    except ImportError as error:
        raise ConfigError(
            "sources of kind odbc need the Python package pyodbc, which cannot be loaded",
            place="connectors",
            hint="install vdw with the extra `odbc`, and unixODBC",
        ) from error
    pyodbc.pooling = False  # the driver manager's pool would hand on sessions in whatever state
    return cast("ModuleType", pyodbc)


def keyword(value: object) -> str:
    """A value of a connection string, in braces where it has signs that mean something there."""
    text = str(value)
    return "{" + text.replace("}", "}}") + "}" if _BRACED.search(text) else text


@dataclass(slots=True)
class Session:
    """A connection, its engine, and the statement timeout that its server was last told (milliseconds)."""

    connection: Any
    engine: Engine
    facts: Facts
    number: str = ""  # the server's own for it, where the engine kills by that
    timeout: int = 0


class Running:
    """A statement's cursor, which other threads may stop: never while it is being closed, as drivers then crash."""

    def __init__(self, cursor: Any, kill: Callable[[], None] | None) -> None:
        self.cursor = cursor
        self._kill = kill or cursor.cancel
        self._closed = False
        self._lock = threading.Lock()

    def stop(self) -> None:
        """End the statement at the server; nothing once it is closed."""
        with self._lock:
            if not self._closed:
                self._kill()

    def close(self) -> None:
        """Close the cursor."""
        with self._lock, contextlib.suppress(driver().Error):
            self._closed = True
            self.cursor.close()


@dataclass(slots=True)
class Access:
    """Where and as whom to connect; no secret ever leaves it."""

    source: str
    given: Mapping[str, Any] = field(repr=False)  # keywords of the connection string but the password's
    where: str  # for people
    engines: tuple[Engine, ...] = ()
    chosen: Engine | None = None  # the owner's word against what the server says of itself
    other: Engine | None = None  # for a server of no known engine
    password: SecretStr | None = None
    tls: Tls = field(default_factory=Tls)
    held: int = 2_000_000  # rows at most of an answer that a driver holds whole
    tally: Tally = field(default_factory=Tally, repr=False)
    narrow: bool | None = None  # whether texts travel as UTF-8; None: not known yet
    logins: Logins = field(init=False, repr=False)

    def __post_init__(self) -> None:
        hidden = [SecretStr(str(value)) for key, value in self.given.items() if value and _SECRET.search(key)]
        self.logins = Logins(self.source, self.password, self.tls.passphrase, *hidden)

    def connect(self, seconds: float) -> Any:
        """A bare connection."""

        def attempt(password: str | None) -> Any:
            words = {**self.given, "PWD": password}
            string = "".join(f"{key}={keyword(value)};" for key, value in words.items() if value is not None)
            return driver().connect(string, autocommit=True, timeout=max(1, math.ceil(seconds)))

        return self.logins.open(attempt, _refused, seconds)

    def scrub(self, text: str) -> str:
        """The text without secrets, as they are and as a connection string spells them."""
        return self.logins.scrub(text)

    def unreachable(self, error: BaseException) -> SourceError:
        """08001, with the driver's reason in `detail`."""
        check = (
            "check driver or dsn, server, database, user and password of its file in sources/; `odbcinst -q -d` lists"
            " the drivers, and the server must run"
        )
        return unreachable(self.source, f"ODBC, {self.where}", self.tls, self.scrub(told(error)[2]), check)

    def engine(self, facts: Facts) -> Engine:
        """The engine that answers, by what it calls itself."""
        if self.chosen is not None:
            return self.chosen
        known = (engine for engine in self.engines if facts.dbms.startswith(engine.dbms))
        found = next(known, self.other)
        assert found is not None  # noqa: S101 -- the connector gives one
        return found


class OdbcDriver:
    """See connectors.leases.Driver."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def open(self, seconds: float) -> Session:
        errors = driver().Error
        try:
            return apart(partial(self._opened, seconds), max(seconds, 1.0), self.close)
        except errors as error:
            raise self._access.unreachable(error) from None
        except TimeoutError:
            raise self._access.unreachable(TimeoutError("the server does not answer")) from None

    def alive(self, session: Session, idle: float) -> bool:
        """What died unseen within a few seconds is replaced when its next statement fails."""
        if idle <= _DOUBTFUL_AFTER:
            return True
        try:
            apart(partial(self.prove, session), _PROOF, lambda _: None)
        except (driver().Error, TimeoutError):
            return False
        return True

    def prove(self, session: Session) -> None:
        """A round trip."""
        with contextlib.closing(session.connection.cursor()) as cursor:
            cursor.execute(session.engine.probe).fetchall()

    def close(self, session: Session) -> None:
        """In a thread that may be left alone: a driver says goodbye, and waits for what a network swallows."""
        with contextlib.suppress(TimeoutError, driver().Error):
            apart(session.connection.close, _PROOF, lambda _: None)

    def running(self, session: Session) -> Running:
        """A cursor for one statement."""
        killing = session.engine.kill(session.number)
        kill = partial(self._kill, killing) if killing else None
        return Running(session.connection.cursor(), kill)

    def _kill(self, text: str) -> None:
        """From a connection of its own."""
        self._access.tally.add(SESSION)
        with contextlib.closing(self._access.connect(_PROOF)) as side:
            _run(side, text)

    def limit(self, session: Session, milliseconds: int) -> None:
        """Tell the server the statement timeout, if it is another. It waits for the server without any bound."""
        if session.timeout == milliseconds:
            return
        text = session.engine.limit(milliseconds, session.facts)
        if text is None:
            with contextlib.suppress(driver().Error):  # not every driver has one; then only our own cancel ends it
                session.connection.timeout = max(1, math.ceil(milliseconds / 1000))
        elif text:
            self._access.tally.add(SESSION)
            _run(session.connection, text)
        session.timeout = milliseconds

    def _opened(self, seconds: float) -> Session:
        connection = self._access.connect(seconds)
        try:
            facts = _facts(connection)
            engine = self._access.engine(facts)
            self._speak(connection, engine)
            hold = engine.hold(self._access.held + 1) if engine.holds(facts) else ()
            for text in (*engine.prologue(facts), *hold):
                self._access.tally.add(SESSION)
                _run(connection, text)
            for kind, convert in engine.converters().items():
                connection.add_output_converter(kind, convert)
            number = str(_run(connection, engine.numbered)) if engine.numbered else ""
        except BaseException:
            connection.close()
            raise
        return Session(connection, engine, facts, number)

    def _speak(self, connection: Any, engine: Engine) -> None:
        """Make texts travel whole: as UTF-16, which drivers called Unicode want, or as UTF-8."""
        first = engine.utf8 if self._access.narrow is None else self._access.narrow
        for narrow in (first,) if self._access.narrow is not None or first else (False, True):
            if narrow:
                _narrow(connection)
            with contextlib.suppress(driver().Error, UnicodeError):
                self._access.tally.add(SESSION)
                if _run(connection, engine.canary()) in (CANARY, CANARY.encode()):
                    self._access.narrow = narrow
                    return
        raise SourceError(
            f'the ODBC driver of source "{self._access.source}" does not bring text whole',
            sqlstate="08001",
            hint="take the driver's Unicode version, or set its character set to UTF-8 by a keyword under options:",
        )


def _refused(error: Exception) -> bool:
    """Whether the server did not take user and password."""
    state, code, text = told(error)
    return state in ("28000", "28P01") or code in _WRONG or "authentication failed" in text


def _narrow(connection: Any) -> None:
    """Texts as UTF-8, and as bytes: some are not valid."""
    odbc = driver()
    connection.setencoding("utf-8", ctype=odbc.SQL_CHAR)
    connection.setdecoding(odbc.SQL_CHAR, "utf-8", ctype=odbc.SQL_CHAR)
    connection.setdecoding(odbc.SQL_WCHAR, "utf-8", ctype=odbc.SQL_CHAR)
    for kind in (odbc.SQL_CHAR, odbc.SQL_VARCHAR, odbc.SQL_LONGVARCHAR):
        connection.add_output_converter(kind, bytes)
    for kind in (odbc.SQL_WCHAR, odbc.SQL_WVARCHAR, odbc.SQL_WLONGVARCHAR):
        connection.add_output_converter(kind, bytes)


def _facts(connection: Any) -> Facts:
    odbc = driver()
    wanted = (odbc.SQL_DBMS_NAME, odbc.SQL_DBMS_VER, odbc.SQL_DRIVER_NAME, odbc.SQL_DRIVER_VER)
    return Facts(*(str(connection.getinfo(what)) for what in wanted))


def _run(connection: Any, text: str) -> Any:
    """The first value of a statement, if it has one."""
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(text)
        rows = cursor.fetchall() if cursor.description else []
        return rows[0][0] if rows else None


def told(error: BaseException) -> tuple[str, int, str]:
    """SQLSTATE, the engine's own number and the text of a driver's error."""
    if isinstance(error, driver().Error) and len(error.args) > 1:
        text = str(error.args[1])
        code = _CODE.search(text)
        return str(error.args[0]), int(code[1]) if code else 0, text
    return "HY000", 0, str(error) or type(error).__name__


def translate(access: Access, engine: Engine, error: BaseException, late: LimitExceeded) -> Error:
    """A driver's error as ours. `late` is what a server-side timeout becomes."""
    state, code, text = told(error)
    message = access.scrub(_CODE.sub("", text).removeprefix(f"[{state}] "))
    if state in ("08S01", "08003", "08007") or isinstance(error, driver().InterfaceError):
        return lost(access.source, message)
    if state == "HY008":
        return ended_there(access.source)
    return engine.error(access.source, state, code, message, late)
