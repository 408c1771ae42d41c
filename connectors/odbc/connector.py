"""Any source that has an ODBC driver, by pyodbc; engines with a proven table keep it, others begin with nothing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from pydantic import Field, SecretStr, model_validator

from connectors import arrow
from connectors.base import PING, Cancel, Profile, SourceQuery, Table
from connectors.errors import LimitExceeded
from connectors.leases import Lease, Leases, Lost
from connectors.link import Link, timed
from connectors.odbc.asking import Asking
from connectors.odbc.drivers import Access, OdbcDriver, Running, Session, driver, translate
from connectors.odbc.engine import Given, Where
from connectors.odbc.engines import BY_NAME, GENERIC, KNOWN, guessed
from connectors.pump import pumped
from connectors.reading import Reading
from connectors.registry import ConnectionOptions
from connectors.statistics import Key, TableStatistics
from connectors.stopping import server_timeout, stopping, timed_out
from connectors.tls import Tls, chosen

T = TypeVar("T")
ASK_TIMEOUT = 60.0  # seconds for a catalog query
FIRST_ROWS, MOST_ROWS, BATCH_BYTES = 256, 8192, 4 << 20  # a batch ends at the rows that have about so many bytes
_OWN = frozenset(("dsn", "driver", "uid", "user", "pwd", "password", "server", "servername", "port", "database", "db"))


class OdbcOptions(ConnectionOptions):
    """`connection:` of a source of kind odbc."""

    dsn: str | None = Field(None, description="name of a data source in odbc.ini, instead of `driver`")
    driver: str | None = Field(None, description="name of a driver in odbcinst.ini, or the path of its library")
    server: str | None = Field(None, description="host name or address")
    port: int | None = Field(None, ge=1, le=65535)
    database: str | None = Field(
        None, description="the database; with SQLite the file, whose relative path starts at the project folder"
    )
    user: str | None = None
    password: SecretStr | None = None
    tls: Tls | None = Field(
        None, description="how the connection is encrypted: PostgreSQL, MariaDB, SQL Server; others by `options`"
    )
    options: dict[str, SecretStr] = Field(
        default_factory=dict,
        description="further keywords of the driver's connection string; those that hold secrets as references",
    )
    engine: str | None = Field(
        None,
        pattern="^(" + "|".join(BY_NAME) + ")$",
        description="the engine behind the driver, where it does not tell it by itself",
    )
    schemas: tuple[str, ...] = Field((), description="schemas (MariaDB: databases) that are shown; none: all")
    types: dict[str, str] = Field(
        default_factory=dict, description="SQLite: declared types by table.column that replace the file's own"
    )
    held_rows: int = Field(
        2_000_000,
        ge=1,
        description="rows of an answer at most where the driver takes it whole into memory (MariaDB's before 3.2)",
    )
    connect_timeout: int = Field(10, ge=2, description="seconds")
    base_folder: str = Field(default=".", description="the project folder; set by vdw itself")

    @model_validator(mode="after")
    def _checked(self) -> OdbcOptions:
        if (self.dsn is None) == (self.driver is None):
            raise ValueError("name either `dsn` or `driver`")
        for key in self.options:
            if key.lower() in _OWN:
                raise ValueError(
                    f"options: write {key} as an option of its own (dsn, driver, server, user, password ...)"
                )
            if not key.replace("_", "").replace(" ", "").isalnum():
                raise ValueError(f"options: {key!r} is no keyword of a connection string")
        return self

    def access(self, source: str) -> Access:
        """Where and as whom to connect."""
        engine = BY_NAME.get(self.engine or "") or guessed(self.driver or driver().dataSources().get(self.dsn, ""))
        further = {key: value.get_secret_value() for key, value in self.options.items()}
        own = {key.lower() for key in further}
        tls = chosen(self.tls, self.server)
        told = tls if self.tls is not None or self.server is not None else None
        place = Where(self.server, self.port, self._database(engine), self.connect_timeout, told)
        words = {key: value for key, value in (engine or GENERIC).keywords(place).items() if key.lower() not in own}
        words = {"DSN": self.dsn, "DRIVER": self.driver} | words | further | {"UID": self.user}
        where = self.dsn or f"{self.driver} at {self.server or self.database}" + (f":{self.port}" if self.port else "")
        return Access(
            source, words, where, KNOWN, BY_NAME.get(self.engine or ""), GENERIC, self.password, tls, self.held_rows
        )

    @property
    def shown(self) -> tuple[str, ...]:
        """The schemas that are shown where none are asked for."""
        return self.schemas or ((self.database,) if self.database else ())

    def _database(self, engine: Any) -> str | None:
        if self.database is None or engine is None or engine.name != "sqlite":
            return self.database
        return str(Path(self.base_folder).joinpath(self.database).resolve())


class OdbcConnector:
    """One database behind an ODBC driver; see `connectors.base.Connector`."""

    Options = OdbcOptions

    def __init__(self, name: str, options: OdbcOptions) -> None:
        driver()
        self.name = name
        self._options = options
        self._access = options.access(name)
        self.tally = self._access.tally
        self._driver = OdbcDriver(self._access)
        self._leases = Leases(name, options.pool_size)
        self._profile: Profile | None = None
        self.linked: Link | None = None

    def profile(self) -> Profile:
        """Engine, version and facts, and which driver reaches it; asked once."""
        if self._profile is None:
            self._profile = self._asked("catalog", _profile)
        return self._profile

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """What can be read, by the engine's own catalog where it is known, else by ODBC's catalog functions."""
        return self._asked("catalog", lambda session, given: session.engine.tables(given, schemas, tables))

    def statistics(self, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
        """What the engine knows of these tables' contents; nothing where it is not known."""
        return self._asked("statistics", lambda session, given: session.engine.statistics(given, tables, known))

    def explain(self, query: SourceQuery, *, timeout: float) -> Reading:
        """How the engine would run it; nothing is run."""
        return self._asked("explain", lambda session, given: session.engine.explain(given, query), timeout)

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """See Connector.execute. A connection found dead before the first row is replaced, once."""
        deadline = time.monotonic() + timeout
        way = self._point if query.small else self._stream
        yield from self._leases.retried(lambda: way(query, deadline, timeout, cancel))

    def link(self, timeout: float = PING) -> Link:
        """See Connector; what the driver's own keywords or DSN say of TLS is not known to us."""
        tls = self._access.tls if self._options.tls is not None else None
        found = self._asked("catalog", lambda session, given: session.engine.link(given, tls), timeout)
        return found or timed(lambda: self.ping(timeout))[1].link(None, None)

    def ping(self, timeout: float = PING) -> None:
        """A round trip."""
        self._asked("ping", lambda session, given: given.ask(session.engine.probe), timeout)

    def close(self) -> None:
        """Close idle connections now and busy ones once they are given back."""
        self._leases.close()

    def _point(self, query: SourceQuery, deadline: float, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """All rows at once, after the connection has been given back."""
        batches = list(self._stream(query, deadline, timeout, cancel))
        yield from [batch for batch in batches if batch.num_rows] or batches[:1]

    def _stream(self, query: SourceQuery, deadline: float, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        late = timed_out(self.name, timeout)
        with self._leased(deadline, cancel, late) as lease:
            session: Session = lease.session
            running = self._driver.running(session)
            # whatever waits for the server does so in the pump's thread
            limit = partial(self._driver.limit, session, server_timeout(deadline - time.monotonic()))
            source = _batches(session, running, limit, query)
            if session.engine.holds(session.facts):
                source = _held(source, self._access)
            with stopping(cancel, running.stop) as stopper, pumped(source, stopper, lease) as pump:
                for batch in pump.batches(stopper, deadline, late):
                    lease.reused = False  # rows are out: too late to begin again
                    yield batch
            stopper.check()
        yield arrow.empty(query.columns)

    @contextlib.contextmanager
    def _leased(self, deadline: float, cancel: Cancel, late: LimitExceeded) -> Iterator[Lease]:
        """A connection; the driver's errors leave as ours."""
        with self._leases.lease(self._driver, deadline, cancel) as lease:
            try:
                yield lease
            except Lost as lost:
                lost.retry = lease.stale
                raise
            except driver().Error as error:
                ours = partial(translate, self._access, lease.session.engine, error, late)
                raise lease.told(deadline, cancel, late, ours) from None

    def _asked(self, what: str, work: Callable[[Session, Given], T], timeout: float = ASK_TIMEOUT) -> T:
        """What `work` makes of questions of our own; `what` they are for. Once more where a connection had died."""
        return self._leases.again(lambda: self._asked_once(what, work, timeout))

    def _asked_once(self, what: str, work: Callable[[Session, Given], T], timeout: float) -> T:
        deadline = time.monotonic() + timeout
        late = timed_out(self.name, timeout)
        options = self._options
        with self._leased(deadline, Cancel(), late) as lease:
            session: Session = lease.session
            asking = Asking(self._access, lease, what, deadline, late)
            asking.apart(partial(self._driver.limit, session, server_timeout(timeout)))
            given = Given(
                self.name, asking.ask, asking.within, session.facts, options.types, options.shown, asking.catalog
            )
            return work(session, given)


def _profile(session: Session, given: Given) -> Profile:
    found, facts = session.engine.profile(given), session.facts
    more = {"odbc_driver": f"{facts.driver} {facts.driver_version}", "proven": session.engine.proven}
    return Profile(found.engine, found.version, {**found.facts, **more}, found.dialect)


def _batches(
    session: Session, running: Running, limit: Callable[[], None], query: SourceQuery
) -> Generator[pa.RecordBatch, None, None]:
    cursor, ended = running.cursor, False
    try:
        limit()
        text, values = session.engine.statement(query, session.facts)
        cursor.execute(text, *values)
        size = FIRST_ROWS
        while rows := cursor.fetchmany(size):
            batch = session.engine.batch(rows, query, cursor.description)
            rows = []
            yield batch
            size = _next(batch)
        ended = True
    finally:
        if not ended and not session.engine.holds(session.facts):
            with contextlib.suppress(Exception):
                running.stop()  # closing alone would read all the rows that are left
        running.close()


def _held(source: Generator[pa.RecordBatch, None, None], access: Access) -> Generator[pa.RecordBatch, None, None]:
    """The stream, whose rows the server was told to end after one more than may be held."""
    count = 0
    for batch in source:
        count += batch.num_rows
        if count > access.held:
            raise LimitExceeded(
                f'an answer of source "{access.source}" has more than {access.held:,} rows, and its driver'
                " takes all of them into memory",
                hint="narrow the query; take a driver that streams (MariaDB Connector/ODBC 3.2 or later) or a source of"
                " kind mariadb; or raise held_rows in the source's connection",
            )
        yield batch


def _next(batch: pa.RecordBatch) -> int:
    return max(1, min(MOST_ROWS, BATCH_BYTES * int(batch.num_rows) // max(int(batch.nbytes), 1)))
