"""MariaDB and MySQL as sources: mysqlclient's raw bytes, buffered for points and streamed for bulk, cast in Arrow."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
from pydantic import Field, SecretStr, field_validator

from connectors import arrow
from connectors.base import PING, Cancel, Connector, Pressure, Profile, Replication, SourceQuery, Table
from connectors.deadlines import Deadlines
from connectors.errors import LimitExceeded
from connectors.leases import Lease, Leases
from connectors.link import Link
from connectors.mariadb import catalog as mariadb_catalog
from connectors.mariadb import explain as mariadb_explain
from connectors.mariadb import statistics as mariadb_statistics
from connectors.mariadb.drivers import (
    UNREADABLE,
    Access,
    MysqlDriver,
    Session,
    driver,
    named,
    replication,
    run,
    translate,
    version,
)
from connectors.mariadb.link import link as mariadb_link
from connectors.mariadb.rows import answer, gathered, stored
from connectors.mariadb.sql import inlined
from connectors.reading import Reading
from connectors.replicas import Replicated, ReplicatedOptions, Shared
from connectors.sockets import readable, sever
from connectors.statistics import Key, TableStatistics
from connectors.stopping import GRACE, Stopper, server_timeout, stopping, timed_out
from connectors.tally import SESSION
from connectors.tls import Tls, chosen
from connectors.transaction import Transaction

FIRST_BYTES, BATCH_BYTES = 1 << 15, 8 << 20  # of a batch, about, as the server sends them; the first comes soon
ASK_TIMEOUT = 60.0  # seconds for a catalog query
# a consistent read there is at this level only, and the owner's default may be another
_SNAPSHOT = (
    "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
)
_UNTOLD = frozenset((1227, 1064, 1142))  # may not see it; no such statement (MySQL 8.4)


class MariadbOptions(ReplicatedOptions):
    """`connection:` of a source of kind mariadb or mysql."""

    host: str = "localhost"
    port: int = Field(3306, ge=1, le=65535)
    socket: str | None = Field(None, description="path of a Unix socket, instead of host and port")
    database: str | None = Field(None, description="the database whose tables are shown")
    databases: tuple[str, ...] = Field(
        (), description="more databases whose tables are shown; none: all that may be read"
    )
    user: str | None = None
    password: SecretStr | None = None
    tls: Tls | None = Field(
        None, description="how the connection is encrypted; verify-full where the host is not this machine"
    )
    connect_timeout: int = Field(10, ge=1, description="seconds")

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of mysqlclient's connect; None is not said."""
        return {
            "host": None if self.socket else self.host,
            "port": None if self.socket else self.port,
            "unix_socket": self.socket,
            "database": self.database,
            "user": self.user,
            "connect_timeout": self.connect_timeout,
        }

    @field_validator("tls")
    @classmethod
    def _modes(cls, tls: Tls | None) -> Tls | None:
        if tls is not None and tls.mode == "verify-ca":
            raise ValueError("the driver of MariaDB never leaves the host's name unchecked: write mode: verify-full")
        return tls

    @property
    def encryption(self) -> Tls:
        """What counts for TLS."""
        return chosen(self.tls, None if self.socket else self.host)

    @property
    def shown(self) -> tuple[str, ...]:
        """The databases to introspect; none means all."""
        return tuple(dict.fromkeys((*filter(None, (self.database,)), *self.databases)))


class MariadbConnector:
    """One MariaDB or MySQL server; see `connectors.base.Connector`."""

    Options = MariadbOptions

    @classmethod
    def for_options(cls, name: str, options: MariadbOptions) -> Connector:
        """The connector, of one server or of several."""
        if not options.replicas:
            return cls(name, options)
        return Replicated(name, options, lambda own, shared: cls(name, own, shared))

    def __init__(self, name: str, options: MariadbOptions, shared: Shared | None = None) -> None:
        driver()
        self.name = name
        self._options = options
        self._access = Access(name, options.arguments, password=options.password, tls=options.encryption)
        if shared is not None:
            self._access.tally = shared.tally
        self._deadlines = Deadlines()
        self._driver = MysqlDriver(self._access, self._deadlines)
        self.tally = self._access.tally
        self._leases = Leases(name, options.pool_size) if shared is None else shared.leases
        self.linked: Link | None = None

    def profile(self) -> Profile:
        """Engine (which of the two answers), version, the server's own modes, role and the like."""
        with self._leased(ASK_TIMEOUT, Cancel()) as lease:
            session: Session = lease.session
            self._access.identity.knows(session.connection.get_server_info())
            ask = partial(self._ask, session)
            return mariadb_catalog.profile(ask, session.engine, version(session), self._replica(session))

    def _replica(self, session: Session) -> bool | None:
        """Whether it follows another server; None where it does not tell us."""
        try:
            return bool(self._ask(session, replication(session.engine, version(session))))
        except (driver().OperationalError, driver().ProgrammingError) as error:
            if error.args and error.args[0] in _UNTOLD:
                return None
            raise

    @property
    def altered(self) -> bool:
        """See Connector."""
        return self._access.identity.altered

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """Tables and views of the databases shown; a fixed number of queries, however many tables."""
        shown = schemas or self._options.shown
        with self._leased(ASK_TIMEOUT, Cancel()) as lease:
            ask = partial(self._ask, lease.session)
            return mariadb_catalog.tables(self.name, ask, shown, tables)

    def statistics(self, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
        """Sizes, index cardinalities, and histograms where we may read them; three queries, none of a table."""
        del known
        with self._leased(ASK_TIMEOUT, Cancel()) as lease:
            ask, try_ = (partial(how, lease.session, what="statistics") for how in (self._ask, self._try))
            return mariadb_statistics.read(ask, try_, tables)

    def explain(self, query: SourceQuery, *, timeout: float) -> Reading:
        """How the server would run it; nothing is run."""
        text = inlined(query)
        with self._leased(timeout, Cancel()) as lease:
            engine = lease.session.engine
            told = self._ask(lease.session, mariadb_explain.question(text, engine), what="explain")
            return mariadb_explain.read(told, text, engine)

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """See Connector.execute. A connection found dead before the first row is replaced, once."""
        yield from self._leases.retried(lambda: self._run(None, query, timeout, cancel))

    def snapshot(self, *, timeout: float) -> Transaction:
        """See Connector: a transaction's consistent read, of tables that keep versions (InnoDB); one at a time."""
        return self._leases.again(lambda: self._snapshot(timeout))

    def _snapshot(self, timeout: float) -> Transaction:
        def begin(lease: Lease) -> None:
            self._command(lease, *_SNAPSHOT)

        return Transaction(
            self._leased(timeout, Cancel()), begin, self._run, lambda lease: self._command(lease, "COMMIT")
        )

    def _command(self, lease: Lease, *texts: str) -> None:
        self.tally.add(SESSION, len(texts))
        with self._driver.bounded(lease.session.descriptor, GRACE):
            for text in texts:
                run(lease.session.connection, text)

    def _run(self, held: Lease | None, query: SourceQuery, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        way = self._point if query.small else self._stream
        return way(query, time.monotonic() + timeout, timeout, cancel, held)

    def pressure(self) -> Pressure:
        """See Connector: Threads_running without our own, and the replica's lag where we may read it."""
        with self._leased(ASK_TIMEOUT, Cancel()) as lease:
            ours = self._leases.busy
            with self.tally.counted("pressure") as counted:
                running = named(lease.session.connection, "SHOW GLOBAL STATUS LIKE 'Threads_running'")
                counted.rows = bool(running)
            try:
                with self.tally.counted("pressure") as counted:
                    replica = _followed(lease.session)
                    counted.rows = bool(replica)
            except (driver().OperationalError, driver().ProgrammingError):
                replica = {}
        lag = replica.get("Seconds_Behind")
        return Pressure(None if lag is None else float(lag), max(int(running.get("Value") or 0) - ours, 0))

    def replication(self, timeout: float = PING) -> Replication:
        """See Connector: the server's own seconds, which are whole ones, while both of its threads run."""
        return self._leases.again(lambda: self._replication(timeout))

    def _replication(self, timeout: float) -> Replication:
        with self._leased(timeout, Cancel()) as lease, self.tally.counted("pressure") as counted:
            try:
                found = _followed(lease.session)
            except (driver().OperationalError, driver().ProgrammingError) as error:
                if error.args[0] not in (1227, 1064):
                    raise
                right = "SLAVE MONITOR" if lease.session.engine == "mariadb" else "REPLICATION CLIENT"
                return Replication(True, None, f"the user may not read it: GRANT {right}")
            counted.rows = bool(found)
        if not found:
            return Replication(False, 0.0)
        behind = found.get("Seconds_Behind")
        if found.get("IO_Running") != "Yes" or found.get("SQL_Running") != "Yes" or behind is None:
            return Replication(True, None, "replication has stopped")
        return Replication(True, float(behind) + 1.0)

    def link(self, timeout: float = PING) -> Link:
        """See Connector."""
        with self._leased(timeout, Cancel()) as lease:
            return mariadb_link(partial(self._ask, lease.session), self._access.tls)

    def ping(self, timeout: float = PING) -> None:
        """A round trip."""
        with self._leased(timeout, Cancel()) as lease:
            self._driver.prove(lease.session, timeout)

    def close(self) -> None:
        """Close idle connections now and busy ones once they are given back."""
        self._leases.close()
        self._deadlines.close()

    def _ask(self, session: Session, text: str, what: str = "catalog") -> list[tuple[str | None, ...]]:
        """Rows of a question of our own; `what` it is for."""
        with self.tally.counted(what) as counted:
            rows: Sequence[tuple[bytes | None, ...]] = run(session.connection, text)
            counted.rows = 0 if text.startswith("SHOW GRANTS") else len(rows)  # the server does not count these as sent
        return [tuple(None if value is None else value.decode() for value in row) for row in rows]

    def _try(self, session: Session, text: str, what: str) -> list[tuple[str | None, ...]]:
        """As `_ask`; nothing where the server has no such table or does not let us read it."""
        try:
            return self._ask(session, text, what)
        except (driver().OperationalError, driver().ProgrammingError) as error:
            if error.args and str(error.args[0]) in UNREADABLE:
                return []
            raise

    def _point(
        self, query: SourceQuery, deadline: float, timeout: float, cancel: Cancel, held: Lease | None
    ) -> Iterator[pa.RecordBatch]:
        with self._prepared(query, deadline, timeout, cancel, held) as (lease, text, late):
            connection = lease.session.connection
            kill, cut = partial(self._driver.kill, lease.session), partial(sever, lease.session.descriptor)
            with stopping(cancel, kill, sever=cut) as stopper:
                connection.send_query(text.encode())
                _await(lease.session, stopper, deadline, late)
                connection.read_query_result()
                batch = stored(connection.store_result(), query)
            stopper.check()
        yield batch

    def _stream(
        self, query: SourceQuery, deadline: float, timeout: float, cancel: Cancel, held: Lease | None
    ) -> Iterator[pa.RecordBatch]:
        with self._prepared(query, deadline, timeout, cancel, held) as (lease, text, late):
            session: Session = lease.session
            kill, left = partial(self._driver.kill, session), deadline - time.monotonic()
            cut = partial(sever, session.descriptor)
            with stopping(cancel, kill, left, late, cut) as stopper, self._closing(session):
                session.connection.send_query(text.encode())
                _await(session, stopper, deadline, late)
                fields, pieces = answer(session)
                enough = FIRST_BYTES
                while (batch := gathered(pieces, fields, query, enough)) is not None:
                    lease.reused = False  # rows are out: too late to begin again
                    yield batch
                    enough = BATCH_BYTES
                pieces.close()  # it frees the driver's result
            stopper.check()
        yield arrow.empty(query.columns)

    @contextlib.contextmanager
    def _prepared(
        self, query: SourceQuery, deadline: float, timeout: float, cancel: Cancel, held: Lease | None
    ) -> Iterator[tuple[Lease, str, LimitExceeded]]:
        text = inlined(query)
        late = timed_out(self.name, timeout)
        lent = self._leases.lease(self._driver, deadline, cancel) if held is None else contextlib.nullcontext(held)
        with lent as lease, self._bounded(lease, deadline, cancel, late):
            yield lease, text, late

    @contextlib.contextmanager
    def _leased(self, timeout: float, cancel: Cancel) -> Iterator[Lease]:
        """A connection for our own questions."""
        deadline = time.monotonic() + timeout
        with (
            self._leases.lease(self._driver, deadline, cancel) as lease,
            self._bounded(lease, deadline, cancel, timed_out(self.name, timeout)),
        ):
            yield lease

    @contextlib.contextmanager
    def _bounded(self, lease: Lease, deadline: float, cancel: Cancel, late: LimitExceeded) -> Iterator[None]:
        """The body's statements end by the deadline; their errors leave as ours."""
        with self._errors(lease, cancel, deadline, late), self._hanging(lease, deadline, cancel):
            self._driver.limit(lease.session, server_timeout(deadline - time.monotonic()))
            yield

    @contextlib.contextmanager
    def _hanging(self, lease: Lease, deadline: float, cancel: Cancel) -> Iterator[None]:
        """Cut the connection where the server has not even ended the statement some seconds after the deadline."""

        def hangs() -> None:
            cancel.unheeded = True
            sever(lease.session.descriptor)

        with self._deadlines.within(deadline + GRACE, hangs):
            yield

    @contextlib.contextmanager
    def _errors(self, lease: Lease, cancel: Cancel, deadline: float, late: LimitExceeded) -> Iterator[None]:
        try:
            yield
        except driver().MySQLError as error:
            raise lease.told(deadline, cancel, late, partial(translate, self._access, error, late)) from None

    @contextlib.contextmanager
    def _closing(self, session: Session) -> Iterator[None]:
        """Where rows are left, end the statement at the server: closing would read them all."""
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):
                self._driver.kill(session)
            with contextlib.suppress(Exception):
                sever(session.descriptor)
            raise


def _followed(session: Session) -> dict[str, str | None]:
    """What a replica tells of its replication, under names of both engines; {} where it follows nobody."""
    found = named(session.connection, replication(session.engine, version(session)))
    plain = ((re.sub("^(Slave|Replica)_|_(Master|Source)$", "", name), value) for name, value in found.items())
    return dict(plain)


def _await(session: Session, stopper: Stopper, deadline: float, late: LimitExceeded) -> None:
    """Wait for the first bytes of the answer; at the deadline stop the statement, and then wait no longer."""
    if readable(session.descriptor, deadline - time.monotonic()):
        return
    stopper.ask(late)
    if not readable(session.descriptor, GRACE):
        stopper.unheeded()
        raise late
