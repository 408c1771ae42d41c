"""Any database that SQLAlchemy has a dialect for: read only, streamed, exact; what its engine can is to be proven."""

from __future__ import annotations

import contextlib
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pyarrow as pa
from pydantic import Field, SecretStr, field_validator
from sqlalchemy.engine import URL, CursorResult, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from connectors import arrow
from connectors.alchemy.drivers import Access, AlchemyDriver, Session, engine_of, file_of
from connectors.alchemy.known import dialect_of
from connectors.alchemy.sql import asked
from connectors.base import PING, Cancel, Profile, SourceQuery, Table
from connectors.errors import ConfigError, Error, LimitExceeded, SourceError
from connectors.leases import Lease, Leases
from connectors.link import Link, timed
from connectors.pump import pumped
from connectors.registry import ConnectionOptions
from connectors.stopping import Stopper, server_timeout, stopping, timed_out
from connectors.types import PgType

T = TypeVar("T")
ASK_TIMEOUT = 60.0  # seconds for what we ask ourselves: a dialect may ask some questions for each table
FIRST_ROWS, MOST_ROWS, BATCH_BYTES = 1024, 2048, 4 << 20  # rows are Python objects: more at once cost more each
_SHAPES = 1024  # statements of which is remembered what must come as text
_READS = re.compile(r"\s*(SELECT|WITH)\b", re.IGNORECASE)
_SETS = re.compile(r"\s*(SET|PRAGMA|USE|ALTER\s+SESSION|DECLARE)\b", re.IGNORECASE)


class AlchemyOptions(ConnectionOptions):
    """`connection:` of a source of kind sqlalchemy. What is given beside the URL replaces its part."""

    url: SecretStr = Field(
        description="SQLAlchemy's URL, dialect+driver://user@host:port/database; by reference where it holds a password"
    )
    host: str | None = None
    port: int | None = Field(None, ge=1, le=65535)
    database: str | None = None
    user: str | None = None
    password: SecretStr | None = None
    connect_args: dict[str, Any] = Field(default_factory=dict, description="arguments of the driver's connect")
    execution_options: dict[str, Any] = Field(default_factory=dict, description="SQLAlchemy's execution options")
    schemas: tuple[str, ...] = Field((), description="the schemas that are shown; none: the connection's own")
    session: tuple[str, ...] = Field((), description="statements at each new connection: SET ..., PRAGMA ..., USE ...")
    generic: bool = Field(
        False, description="treat PostgreSQL, MariaDB, MySQL and SQLite too as engines of which nothing is known"
    )
    base_folder: str = Field(".", description="the project folder; set by vdw itself")

    @field_validator("session")
    @classmethod
    def _only_sets(cls, statements: tuple[str, ...]) -> tuple[str, ...]:
        for number, statement in enumerate(statements, 1):
            if not _SETS.match(statement):
                raise ValueError(f"statement {number} is none of SET, PRAGMA, USE, ALTER SESSION, DECLARE")
        return statements

    def address(self, source: str) -> URL:
        """The URL with what is given beside it."""
        try:
            url = make_url(self.url.get_secret_value())
        except ArgumentError:
            place = f"source {source}, connection"
            hint = "write dialect+driver://user@host:port/database, and the password under password:"
            raise ConfigError("the url cannot be read", place=place, hint=hint) from None
        given = {"host": self.host, "port": self.port, "database": self.database, "username": self.user}
        url = url.set(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
        return url if self.password is None else url.set(password=self.password.get_secret_value())


class AlchemyConnector:
    """One database behind a SQLAlchemy dialect; see `connectors.base.Connector`."""

    Options = AlchemyOptions

    def __init__(self, name: str, options: AlchemyOptions) -> None:
        self.name = name
        self._schemas = options.schemas
        url, self._file = file_of(options.address(name), Path(options.base_folder))
        engine = engine_of(
            name, url, options.password, options.connect_args, options.execution_options, options.generic
        )
        self._known = dialect_of(name, engine, options.generic)
        self._access = Access(name, engine, self._known, options.session, _secrets(url, options), options.password)
        self._driver = AlchemyDriver(self._access, self._exists)
        self.tally = self._access.tally
        self._leases = Leases(name, options.pool_size)
        self.linked: Link | None = None
        self._shapes: OrderedDict[tuple[str, tuple[PgType, ...]], frozenset[int]] = OrderedDict()

    @property
    def orphaned(self) -> float:
        """See Connector."""
        return self._known.orphaned

    def profile(self) -> Profile:
        """Engine and driver, version, and sqlglot's dialect."""
        return self._asked(lambda session: self._known.profile(session.connection), "catalog")

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """Tables and views of the schemas shown."""
        shown = schemas or self._schemas
        return self._asked(lambda session: self._known.tables(session.connection, shown, tables), "catalog")

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """See Connector.execute. A connection found dead before the first row is replaced, once."""
        if not (query.parts and isinstance(query.parts[0], str) and _READS.match(query.parts[0])):
            raise SourceError(f'source "{self.name}" is asked nothing but SELECT', sqlstate="25006")
        deadline = time.monotonic() + timeout
        yield from self._leases.retried(lambda: self._run(query, deadline, timeout, cancel))

    def link(self, timeout: float = PING) -> Link:
        """See Connector."""
        found = self._asked(lambda session: self._known.link(session.connection), "catalog")
        return found or timed(lambda: self.ping(timeout))[1].link(None, None)

    def ping(self, timeout: float = PING) -> None:
        """The dialect's own cheapest round trip."""
        with self._leased(time.monotonic() + timeout, Cancel(), timed_out(self.name, timeout)) as lease:
            self._driver.prove(lease.session, timeout)

    def close(self) -> None:
        """Close idle connections now and busy ones once they are given back."""
        self._leases.close()

    def _run(self, query: SourceQuery, deadline: float, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        late, rows = timed_out(self.name, timeout), 0
        with self._leased(deadline, cancel, late) as lease:
            session: Session = lease.session
            stop, cut = partial(self._driver.stop, session), partial(self._driver.sever, session)
            limit = server_timeout(deadline - time.monotonic())
            with stopping(cancel, stop, sever=cut) as stopper:
                source = self._batches(session, query, limit, stopper)
                with pumped(source, stopper, lease) as pump:
                    for batch in pump.batches(stopper, deadline, late):
                        lease.reused, rows = False, rows + batch.num_rows  # rows are out: too late to begin again
                        yield batch
            stopper.check()
        if not rows:
            yield arrow.empty(query.columns)

    def _batches(
        self, session: Session, query: SourceQuery, limit: int, stopper: Stopper
    ) -> Generator[pa.RecordBatch, None, None]:
        """What waits for the server: it runs in the pump's thread."""
        try:
            self._driver.limit(session, limit)
            result, rows, description = self._begun(session, query)
            while rows:
                stopper.check()
                batch = self._known.batch(rows, description, query)
                yield batch
                rows = self._fetched(result, _next_rows(batch), description, query)
            result.close()
            session.cursor = None
            session.connection.rollback()
        except GeneratorExit:
            with contextlib.suppress(Exception):
                self._driver.stop(session)  # closing alone may read all the rows that are left
            self._driver.sever(session)
            raise

    def _begun(self, session: Session, query: SourceQuery) -> tuple[CursorResult[Any], Any, Sequence[Any]]:
        """The result, its first rows and description; asked again where the driver would garble what is printed."""
        shape = (query.sql, query.columns)
        casts = self._shapes.get(shape, self._known.casts(query.columns))
        while True:
            result = self._executed(session, query, casts)
            description = session.cursor.description or ()
            rows = self._fetched(result, FIRST_ROWS, description, query)
            more = self._known.opaque(description, query.columns) - casts
            if not more:
                return result, rows, description
            casts |= more
            self._remember(shape, casts)
            result.close()
            session.connection.rollback()

    def _executed(self, session: Session, query: SourceQuery, casts: frozenset[int]) -> CursorResult[Any]:
        self._known.tuned(session.raw, query)
        text, values = self._known.said(query, casts)
        options = {} if query.small else {"stream_results": True, "max_row_buffer": FIRST_ROWS}
        if values:
            result = session.connection.exec_driver_sql(text, values, execution_options=options)
        else:
            result = asked(session.connection, text, **options)
        session.cursor = result.cursor
        return result

    def _fetched(
        self, result: CursorResult[Any], rows: int, description: Sequence[Any], query: SourceQuery
    ) -> Sequence[Any]:
        try:
            return result.fetchmany(rows)
        except SQLAlchemyError as error:
            misread = self._known.misread(getattr(error, "orig", None) or error, description, query)
            raise misread or error from None

    def _remember(self, shape: tuple[str, tuple[PgType, ...]], casts: frozenset[int]) -> None:
        self._shapes[shape] = casts
        while len(self._shapes) > _SHAPES:
            self._shapes.popitem(last=False)

    @contextlib.contextmanager
    def _leased(self, deadline: float, cancel: Cancel, late: LimitExceeded) -> Iterator[Lease]:
        """A connection; the drivers' errors leave as ours."""
        with self._leases.lease(self._driver, deadline, cancel) as lease:
            try:
                yield lease
            except Error:
                raise
            except Exception as error:  # whatever class a driver has for it
                ours = partial(self._access.translate, error, late)
                raise lease.told(deadline, cancel, late, ours) from None

    def _asked(self, question: Callable[[Session], T], what: str) -> T:
        """The answer to a question of our own, once more where a pooled connection had died."""
        return self._leases.again(lambda: self._asked_once(question, what))

    def _asked_once(self, question: Callable[[Session], T], what: str) -> T:
        late = timed_out(self.name, ASK_TIMEOUT)
        with self._leased(time.monotonic() + ASK_TIMEOUT, Cancel(), late) as lease, self.tally.counted(what):
            self._driver.limit(lease.session, server_timeout(ASK_TIMEOUT))
            answer = question(lease.session)
            lease.session.connection.rollback()
            return answer

    def _exists(self) -> None:
        """A file that is not there would be made by its driver."""
        if self._file is not None and not self._file.is_file():
            raise SourceError(
                f"the database file {self._file.name} does not exist",
                sqlstate="08001",
                place=f'source "{self.name}"',
                hint="check connection: url: in the source's file; a relative path starts at the project folder",
            )


def _next_rows(batch: pa.RecordBatch) -> int:
    return max(1, min(MOST_ROWS, BATCH_BYTES * int(batch.num_rows) // max(int(batch.nbytes), 1)))


def _secrets(url: URL, options: AlchemyOptions) -> tuple[str, ...]:
    """What must not be told, in each form in which a driver may quote it; the longest first."""
    texts = [str(url.password or ""), *_strings(options.connect_args)]
    forms = {form for text in texts for form in (text, quote(text), quote(text, safe=""), repr(text)[1:-1])}
    return tuple(sorted((form for form in forms if len(form) > 2), key=len, reverse=True))


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [
            text
            for key, item in value.items()
            for text in _strings(item)
            if re.search("pass|secret|token|key", str(key), re.IGNORECASE)
        ]
    return [value] if isinstance(value, str) else []
