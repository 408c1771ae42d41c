"""Connections of any SQLAlchemy dialect: opened, proved, limited, stopped and cut, as far as their driver lets us."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from connectors.alchemy import dialects as dialects
from connectors.alchemy.known import raw_arguments
from connectors.alchemy.sql import asked
from connectors.apart import apart
from connectors.errors import ConfigError, Error, LimitExceeded, SourceError
from connectors.leases import lost
from connectors.logins import Logins
from connectors.sockets import readable, sever
from connectors.stopping import ended_there
from connectors.tally import SESSION, Tally

_DOUBTFUL_AFTER = 30.0  # seconds idle after which a round trip proves a connection alive
_PROOF = 1.0  # seconds for that round trip
_KILL = 2.0  # seconds to connect and end a statement
_SOCKETS = ("_sock", "_usock", "_socket")  # where drivers of Python keep theirs
_REFUSED = re.compile(r"password|authentication|access denied|logi?o?n (failed|denied)|28P01|28000", re.IGNORECASE)
_LOGIN = threading.local()  # the secret of the login that this thread is trying
_FILES = frozenset(("sqlite", "duckdb"))  # engines whose database is a file


@dataclass(slots=True)
class Session:
    """A connection, the server's number for it, its socket where the driver shows one, and the timeout last set."""

    connection: Connection
    raw: Any
    number: Any = None
    descriptor: int | None = None
    timeout: int = 0
    cursor: Any = None


@dataclass(slots=True)
class Access:
    """Where and how to connect; secrets never leave it."""

    source: str
    engine: sa.Engine
    known: dialects.Behind
    statements: tuple[str, ...] = ()  # of the owner, at each new connection
    secrets: tuple[str, ...] = field(default=(), repr=False)
    password: SecretStr | None = field(default=None, repr=False)
    logins: Logins = field(init=False, repr=False)
    tally: Tally = field(default_factory=Tally, repr=False)

    def __post_init__(self) -> None:
        self.logins = Logins(self.source, self.password)

    def scrub(self, text: str) -> str:
        """The text without the secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return self.logins.scrub(text)

    def unreachable(self, error: BaseException) -> SourceError:
        """08001, with the driver's reason in `detail`."""
        url = self.engine.url
        where = f"{url.host}:{url.port}" if url.host and url.port else url.host or "its own"
        return SourceError(
            f'cannot connect to source "{self.source}" ({url.drivername} at {where})',
            sqlstate="08001",
            detail=self.scrub(str(_original(error))),
            hint="check url, user and password of its file in sources/, and that the server runs",
        )

    def translate(self, error: BaseException, late: LimitExceeded) -> Error:
        """A driver's error as ours. `late` is what a server-side timeout becomes."""
        original = _original(error)
        told = self.known.told(original)
        if told.what == dialects.LATE:
            return late
        if told.what == dialects.ENDED:
            return ended_there(self.source)
        message = self.scrub(told.message)
        if told.what == dialects.LOST or _disconnected(error) or isinstance(original, OSError):
            return lost(self.source, message)
        said = f'source "{self.source}" refused the statement: {message}'
        return SourceError(said, sqlstate=told.what, detail=told.state)


class AlchemyDriver:
    """Connections of one engine (connectors.leases.Driver); no pool of SQLAlchemy's stands between."""

    def __init__(self, access: Access, check: Callable[[], None]) -> None:
        self._access = access
        self._check = check

    def open(self, seconds: float) -> Session:
        """Connected, its prologue and the owner's statements done; in a thread, for drivers know no timeouts."""
        self._check()
        try:
            attempt = lambda secret: apart(partial(self._connect, secret), max(seconds, 1.0), self.close)  # noqa: E731
            return self._access.logins.open(attempt, _refused, seconds)
        except TimeoutError:
            raise self._access.unreachable(TimeoutError("the server does not answer")) from None
        except SourceError:
            raise
        except Exception as error:  # whatever class a driver has for it
            raise self._access.unreachable(error) from None

    def _connect(self, secret: str | None) -> Session:
        known = self._access.known
        _LOGIN.secret = secret
        connection = self._access.engine.connect()
        try:
            raw = connection.connection.driver_connection
            statements = (*known.prologue, *self._access.statements)
            for statement in known.prologue:
                asked(connection, statement)
            known.opened(connection)
            for statement in self._access.statements:
                asked(connection, statement)
            number = asked(connection, known.backend).scalar() if known.backend else None
            connection.commit()
            self._access.tally.add(SESSION, len(statements) + bool(known.backend))
            return Session(connection, raw, number, _descriptor(raw))
        except BaseException:
            with contextlib.suppress(Exception):
                connection.invalidate()
            connection.close()
            raise

    def alive(self, session: Session, idle: float) -> bool:
        """An idle connection has nothing to read, unless the server has said goodbye; a doubtful one is asked."""
        try:
            if session.descriptor is not None and readable(session.descriptor, 0):
                return False
            if idle > _DOUBTFUL_AFTER:
                self.prove(session, _PROOF)
        except Exception:  # whatever class a driver has for it
            return False
        return True

    def prove(self, session: Session, seconds: float) -> None:
        """A round trip; TimeoutError where it takes longer, and then the connection is cut."""
        try:
            apart(partial(_ping, session), seconds, lambda _: None)
        except TimeoutError:
            self.sever(session)
            raise

    def close(self, session: Session) -> None:
        """Without goodbye: a driver may read what is left of an answer first."""
        self.sever(session)
        self._access.known.dropped(session.raw, session.cursor)
        with contextlib.suppress(Exception):
            session.connection.invalidate()
        with contextlib.suppress(Exception):
            session.connection.close()
        with contextlib.suppress(Exception):  # psycopg warns of cursors that are left open
            if session.cursor is not None:
                session.cursor.close()

    def limit(self, session: Session, milliseconds: int) -> None:
        """Tell the server the statement timeout, if it has one and it is another."""
        if session.timeout == milliseconds:
            return
        text = self._access.known.limit(milliseconds)
        if text is not None:
            self._access.tally.add(SESSION)
            asked(session.connection, text)
            session.connection.commit()
        elif hasattr(session.raw, "call_timeout"):  # python-oracledb's, in milliseconds
            session.raw.call_timeout = milliseconds
        session.timeout = milliseconds

    def stop(self, session: Session) -> None:
        """End what runs there: by the server's own statement, else by the driver, else by cutting the connection."""
        known = self._access.known
        if known.kill:
            self._access.tally.add(SESSION)
            apart(partial(self._kill, known.kill.format(int(session.number))), _KILL, lambda _: None)
            return
        for owner in (session.cursor, session.raw):
            for name in ("cancel", "interrupt"):
                method = getattr(owner, name, None)
                if callable(method):
                    method()
                    return
        self.sever(session)

    def sever(self, session: Session) -> None:
        """Cut the socket, where the driver shows it."""
        if session.descriptor is not None:
            with contextlib.suppress(OSError):
                sever(session.descriptor)

    def _kill(self, statement: str) -> None:
        with self._access.engine.connect() as side:
            asked(side, statement)


def engine_of(
    source: str,
    url: URL,
    secret: SecretStr | None,
    arguments: Mapping[str, Any],
    execution: Mapping[str, Any],
    generic: bool,
) -> sa.Engine:
    """An engine that opens a connection each time it is asked; ConfigError for a driver that cannot be."""
    place = f"source {source}, connection"
    try:
        dialect = url.get_dialect()
        raw = {} if generic else raw_arguments(dialect.driver)
        engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            connect_args={**_read_only(url), **arguments, **raw},
            execution_options=dict(execution),
            hide_parameters=True,
        )
        event.listen(engine, "do_connect", partial(_logged_in, secret))
        # the pool would log what a driver says when it closes a connection that is gone
        vars(engine.dialect).update(do_close=_closed, do_terminate=_closed)
    except NoSuchModuleError as error:
        raise ConfigError(
            f"SQLAlchemy has no dialect {url.drivername}",
            place=place,
            hint="install the Python package that has it, and write dialect+driver://",
        ) from error
    except (ImportError, ArgumentError, TypeError) as error:
        raise ConfigError(
            f"the driver of {url.drivername} cannot be loaded ({type(error).__name__})",
            place=place,
            hint="install the Python package of the driver, or name another: dialect+driver://",
        ) from None
    if engine.dialect.is_async:
        hint = "name one that is not: postgresql+psycopg, mysql+pymysql, sqlite ..."
        raise ConfigError(f"{url.drivername} is an asynchronous driver", place=place, hint=hint)
    return engine


def file_of(url: URL, folder: Path) -> tuple[URL, Path | None]:
    """The URL with its database file's path, which starts at the project folder; None where there is no file."""
    name = url.get_backend_name()
    if name not in _FILES or url.database in (None, "", ":memory:"):
        return url, None
    path = (folder / str(url.database).removeprefix("file:")).resolve()
    if name == "sqlite" and url.get_driver_name() == "pysqlite":
        text = f"file:{path}"
        return url.set(database=text).update_query_dict({"mode": "ro", "uri": "true"}), path
    return url.set(database=str(path)), path


def _read_only(url: URL) -> dict[str, Any]:
    return {"read_only": True} if url.get_backend_name() == "duckdb" and url.database not in (None, ":memory:") else {}


def _logged_in(secret: SecretStr | None, dialect: Any, _: Any, __: Any, given: dict[str, Any]) -> None:
    """The password as it stands now: it may have been rotated since the engine was made."""
    if secret is not None:
        used = getattr(_LOGIN, "secret", None) or secret.get_secret_value()
        made = dialect.create_connect_args(URL.create(dialect.name, password=used))[1]
        given.update({key: made[key] for key in ("password", "passwd") if key in made})


def _refused(error: Exception) -> bool:
    """Whether the server did not take the password; drivers tell it in words."""
    return isinstance(error, SQLAlchemyError) and _REFUSED.search(str(_original(error))) is not None


def _closed(connection: Any) -> None:
    with contextlib.suppress(Exception):
        connection.close()


def _ping(session: Session) -> None:
    session.connection.dialect.do_ping(session.connection.connection.dbapi_connection)  # type: ignore[arg-type]
    session.connection.rollback()


def _descriptor(raw: Any) -> int | None:
    """The descriptor of the driver's socket; None where it shows none."""
    for owner in (raw, *(getattr(raw, name, None) for name in _SOCKETS)):
        if callable(method := getattr(owner, "fileno", None)):
            with contextlib.suppress(Exception):
                return int(method())
    return None


def _original(error: BaseException) -> BaseException:
    """The driver's own error: SQLAlchemy's tells the statement and its parameters."""
    return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error


def _disconnected(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and error.connection_invalidated
