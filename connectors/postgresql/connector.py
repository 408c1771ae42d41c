"""PostgreSQL as a source: psycopg for points, ADBC for bulk, both read-only and within one bound of connections."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast, get_args

import adbc_driver_manager
import psycopg
import pyarrow as pa
from adbc_driver_postgresql import StatementOptions
from pydantic import Field, SecretStr

from connectors import arrow
from connectors.base import PING, Cancel, Connector, Pressure, Profile, Prompt, Replication, SourceQuery, Table
from connectors.errors import LimitExceeded
from connectors.leases import Lease, Leases
from connectors.link import Link, encryption
from connectors.postgresql import catalog as postgresql_catalog
from connectors.postgresql import explain as postgresql_explain
from connectors.postgresql import statistics as postgresql_statistics
from connectors.postgresql.drivers import Access, BulkDriver, PointDriver, Session, tell, translate
from connectors.postgresql.link import certified
from connectors.postgresql.link import link as postgresql_link
from connectors.postgresql.prompt import begin
from connectors.postgresql.rows import from_batch, from_result
from connectors.postgresql.snapshot import exported, fetched, inside
from connectors.postgresql.sql import inlined, prepared
from connectors.pump import pumped
from connectors.reading import Reading
from connectors.replicas import Replicated, ReplicatedOptions, Shared
from connectors.sockets import sever
from connectors.statistics import Key, TableStatistics
from connectors.stopping import server_timeout, stopping, timed_out
from connectors.tally import Tally
from connectors.tls import SYSTEM, Mode, Tls, chosen
from connectors.transaction import Run, Transaction

ORPHANED = 2.5  # seconds until a server that looks each second has seen that its client died, and has ended
ASK_TIMEOUT = 60.0  # seconds for a catalog query
BATCH = StatementOptions.BATCH_SIZE_HINT_BYTES.value
BATCH_BYTES = 4 << 20  # several batches are in memory at once; larger ones are not faster


# others' statements, and replicas' lag, are shown to members of pg_read_all_stats only
_PRESSURE = """
SELECT (CASE
  WHEN pg_is_in_recovery() THEN CASE WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
    ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END
  WHEN r.may THEN (SELECT max(coalesce(extract(epoch FROM replay_lag), 0)) FROM pg_stat_replication) END)::float8,
  CASE WHEN r.may THEN (
    SELECT count(*) FROM pg_stat_activity
    WHERE state = 'active' AND backend_type = 'client backend'
      AND NOT (application_name = current_setting('application_name') AND usename = current_user)) END
FROM (SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS may) r
"""


# An upper bound: a primary that had nothing to say makes a replica that has stopped look older than it is. Without the
# primary's stream the last change is all that is known; details of the stream are for pg_read_all_stats.
_REPLICATION = """
SELECT pg_is_in_recovery(), (CASE WHEN NOT pg_is_in_recovery() THEN 0
  WHEN coalesce(r.status, 'streaming') = 'streaming' AND r.pid IS NOT NULL
    AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
  THEN CASE WHEN r.last_msg_receipt_time < clock_timestamp() - interval '65 s'
    THEN extract(epoch FROM clock_timestamp() - r.last_msg_receipt_time) ELSE 0 END
  ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END)::float8
FROM (SELECT) AS one LEFT JOIN pg_stat_wal_receiver AS r ON true
"""


class PostgresqlOptions(ReplicatedOptions):
    """`connection:` of a source of kind postgresql. What is not said libpq takes from its environment."""

    host: str | None = Field(None, description="host name or address, or the folder of a Unix socket")
    port: int = Field(5432, ge=1, le=65535)
    database: str | None = None
    user: str | None = None
    password: SecretStr | None = None
    tls: Tls | None = Field(
        None, description="how the connection is encrypted; verify-full where the host is not this machine"
    )
    application_name: str = "vdw"
    connect_timeout: int = Field(10, ge=2, description="seconds")
    parallel_workers: int | None = Field(
        None,
        ge=0,
        le=64,
        description="further processes that the server may use for one statement; its own setting where absent",
    )

    @property
    def settings(self) -> dict[str, str]:
        """Settings of each session that the owner chose."""
        workers = self.parallel_workers
        return {} if workers is None else {"max_parallel_workers_per_gather": str(workers)}

    @property
    def encryption(self) -> Tls:
        """What counts for TLS; libpq's environment where it says something and the file does not."""
        if self.tls is None and (mode := os.environ.get("PGSSLMODE")) in get_args(Mode):
            return Tls(mode=cast(Mode, mode), ca=os.environ.get("PGSSLROOTCERT") or SYSTEM)
        hosts = self.host or os.environ.get("PGHOST")
        return chosen(self.tls, *(hosts.split(",") if hosts else [None]))

    @property
    def parameters(self) -> dict[str, Any]:
        """Keywords of libpq; None is not said."""
        return {
            "host": self.host,
            "port": self.port,
            "dbname": self.database,
            "user": self.user,
            "application_name": self.application_name,
            "connect_timeout": self.connect_timeout,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,  # a network that swallows what is sent is noticed in this time (ms)
        }


class PostgresqlConnector:
    """One database of a PostgreSQL server; see `connectors.base.Connector`."""

    Options = PostgresqlOptions

    @classmethod
    def for_options(cls, name: str, options: PostgresqlOptions) -> Connector:
        """The connector, of one server or of several."""
        if not options.replicas:
            return cls(name, options)
        return Replicated(name, options, lambda own, shared: cls(name, own, shared))

    def __init__(self, name: str, options: PostgresqlOptions, shared: Shared | None = None) -> None:
        self.name = name
        self._access = Access(
            name, options.parameters, options.settings, password=options.password, tls=options.encryption
        )
        if shared is not None:
            self._access.tally = shared.tally
        self.tally = self._access.tally
        self._points = PointDriver(self._access)
        self._bulk = BulkDriver(self._access)
        self._leases = Leases(name, options.pool_size) if shared is None else shared.leases
        self._profile: Profile | None = None
        self.linked: Link | None = None

    def profile(self) -> Profile:
        """Version, database collation, settings, role and the like."""
        self._profile = postgresql_catalog.profile(self._ask)
        self._access.identity.knows((self._profile.version, self._profile.facts["in_recovery"]))
        return self._profile

    @property
    def altered(self) -> bool:
        """See Connector."""
        return self._access.identity.altered

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """Everything readable outside the system's schemas and extensions; five queries, however many tables."""
        return postgresql_catalog.tables(self.name, self._ask, (self._profile or self.profile()).facts, schemas, tables)

    def statistics(self, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
        """What ANALYZE found and how much has changed since; three queries at the most, none of a table."""
        return postgresql_statistics.read(partial(self._ask, what="statistics"), tables, known)

    def explain(self, query: SourceQuery, *, timeout: float) -> Reading:
        """How the server would run it; nothing is run."""
        del timeout
        told = self._ask("EXPLAIN (FORMAT JSON) " + inlined(query), (), what="explain")
        return postgresql_explain.read(told[0][0])

    @property
    def orphaned(self) -> float:
        """See Connector."""
        watches = self._profile is not None and self._profile.facts["watches_clients"]
        return ORPHANED if watches else math.inf

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """See Connector.execute. A connection found dead before the first row is replaced, once."""
        yield from self._run(query, timeout, cancel)

    def _run(
        self, query: SourceQuery, timeout: float, cancel: Cancel, snapshot: str | None = None
    ) -> Iterator[pa.RecordBatch]:
        way = self._point if query.small else self._stream
        deadline = time.monotonic() + timeout
        yield from self._leases.retried(lambda: way(query, deadline, timeout, cancel, snapshot))

    def snapshot(self, *, timeout: float) -> Transaction:
        """See Connector: a transaction that others join by the name under which it exports its state."""
        return self._leases.again(lambda: self._snapshot(timeout))

    def link(self, timeout: float = PING) -> Link:
        """See Connector."""
        found = self._leases.again(lambda: self._link(timeout))
        used, told = found.encryption, self._access.parameters
        if used is None or not used.on:
            return found
        until = certified(self._leases, self._access.tls, told["host"], told["port"], timeout)
        return replace(found, encryption=encryption(self._access.tls, True, used.protocol, used.cipher, until))

    def _link(self, timeout: float) -> Link:
        late = timed_out(self.name, timeout)
        with self._leased(self._points, time.monotonic() + timeout, Cancel(), late) as lease:
            self._points.limit(lease.session, server_timeout(timeout))
            with self.tally.counted("catalog") as counted:
                counted.rows = 1
                return postgresql_link(lease.session.connection, self._access.tls)

    def prompt(self, query: SourceQuery, *, timeout: float) -> Prompt | None:
        """See Connector: a small statement over an idle connection, without a thread."""
        lease = self._leases.at_hand(self._points)
        return None if lease is None else begin(self._access, self._leases, lease, query, timeout)

    def pressure(self) -> Pressure:
        """See Connector: lag of replay on a replica, of the slowest replica on a primary."""
        lag, running = self._ask(_PRESSURE, (), what="pressure")[0]
        return Pressure(lag, running)

    def replication(self, timeout: float = PING) -> Replication:
        """See Connector. What it has received and replayed is all there is as long as its primary sends."""
        replica, lag = self._ask(_REPLICATION, (), timeout, "pressure")[0]
        return Replication(replica, lag)

    def ping(self, timeout: float = PING) -> None:
        """An empty statement."""
        self._ask("SELECT 1", (), timeout, "ping")

    def close(self) -> None:
        """Close idle connections now and busy ones once they are given back."""
        self._leases.close()

    def _point(
        self, query: SourceQuery, deadline: float, timeout: float, cancel: Cancel, snapshot: str | None
    ) -> Iterator[pa.RecordBatch]:
        late = timed_out(self.name, timeout)
        with self._leased(self._points, deadline, cancel, late) as lease, inside(snapshot, lease.session, self.tally):
            batch = self._pointed(lease, query, deadline, cancel)
        yield batch

    def _pointed(self, lease: Lease, query: SourceQuery, deadline: float, cancel: Cancel) -> pa.RecordBatch:
        """All rows of a statement over a connection of psycopg's."""
        text, values = prepared(query)
        with self._watched(lease, deadline, cancel) as connection:
            cursor = connection.execute(text, values, prepare=True, binary=True)
        return from_result(cursor.pgresult, query)

    def _snapshot(self, timeout: float) -> Transaction:
        deadline, cancel = time.monotonic() + timeout, Cancel()

        def begin(lease: Lease) -> Run | None:
            with self._watched(lease, deadline, cancel) as connection:
                name = exported(connection, self.tally)
            return None if name is None else partial(self._run, snapshot=name)

        leased = self._leased(self._points, deadline, cancel, timed_out(self.name, timeout))
        return Transaction(leased, begin, self._held, lambda lease: tell(lease.session, "COMMIT"))

    def _held(self, lease: Lease, query: SourceQuery, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """A statement in the transaction of that connection."""
        deadline = time.monotonic() + timeout
        with self._errors(lease, deadline, cancel, timed_out(self.name, timeout)):
            if query.small:
                yield self._pointed(lease, query, deadline, cancel)
                return
            with self._watched(lease, deadline, cancel) as connection:
                yield from fetched(connection, query, self.tally)

    @contextlib.contextmanager
    def _watched(self, lease: Lease, deadline: float, cancel: Cancel) -> Iterator[psycopg.Connection[Any]]:
        """A connection of psycopg's whose statements end by the deadline, and when `cancel` fires."""
        self._points.limit(lease.session, server_timeout(deadline - time.monotonic()))
        connection: psycopg.Connection[Any] = lease.session.connection
        stop = partial(connection.cancel_safe, timeout=2)
        with stopping(cancel, stop, sever=partial(sever, connection.fileno())) as stopper:
            yield connection
        stopper.check()

    def _stream(
        self, query: SourceQuery, deadline: float, timeout: float, cancel: Cancel, snapshot: str | None
    ) -> Iterator[pa.RecordBatch]:
        text = inlined(query)
        late = timed_out(self.name, timeout)
        with self._leased(self._bulk, deadline, cancel, late) as lease:
            # whatever waits for the server does so in the pump's thread
            cursor = lease.session.connection.cursor()
            limit = partial(self._bulk.limit, lease.session, server_timeout(deadline - time.monotonic()))
            source = _batches(cursor, lease.session, limit, text, snapshot, self.tally)
            with stopping(cancel, cursor.adbc_cancel) as stopper, pumped(source, stopper, lease) as pump:
                for batch in pump.batches(stopper, deadline, late):
                    lease.reused = False  # rows are out: too late to begin again
                    yield from_batch(batch, query)
            stopper.check()
        yield arrow.empty(query.columns)

    @contextlib.contextmanager
    def _leased(
        self, kind: PointDriver | BulkDriver, deadline: float, cancel: Cancel, late: LimitExceeded
    ) -> Iterator[Lease]:
        """A connection; the drivers' errors leave as ours."""
        with self._leases.lease(kind, deadline, cancel) as lease, self._errors(lease, deadline, cancel, late):
            yield lease

    @contextlib.contextmanager
    def _errors(self, lease: Lease, deadline: float, cancel: Cancel, late: LimitExceeded) -> Iterator[None]:
        """The drivers' errors leave as ours."""
        try:
            yield
        except (psycopg.Error, adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
            raise lease.told(deadline, cancel, late, partial(translate, self._access, error, late)) from None

    def _ask(
        self, text: str, values: Sequence[Any], timeout: float = ASK_TIMEOUT, what: str = "catalog"
    ) -> list[tuple[Any, ...]]:
        """Rows of a question of our own, once more where a pooled connection had died; `what` it is for."""
        return self._leases.again(lambda: self._ask_once(text, values, timeout, what))

    def _ask_once(self, text: str, values: Sequence[Any], timeout: float, what: str) -> list[tuple[Any, ...]]:
        deadline = time.monotonic() + timeout
        with self._leased(self._points, deadline, Cancel(), timed_out(self.name, timeout)) as lease:
            self._points.limit(lease.session, server_timeout(timeout))
            connection: psycopg.Connection[Any] = lease.session.connection
            with self.tally.counted(what) as counted:
                rows = connection.execute(text, values).fetchall()
                counted.rows = len(rows)
            return rows


def _batches(
    cursor: Any, session: Session, limit: Callable[[], None], text: str, snapshot: str | None, tally: Tally
) -> Generator[pa.RecordBatch, None, None]:
    try:
        limit()
        with inside(snapshot, session, tally):
            cursor.adbc_statement.set_options(**{BATCH: str(BATCH_BYTES)})
            cursor.execute(text)
            # the public fetch_record_batch() gives a reader whose errors have lost their SQLSTATE
            yield from cursor._results.reader
    except GeneratorExit:
        cursor.adbc_cancel()  # closing alone would read all the rows that are left
        raise
    finally:
        cursor.close()
