"""Trino as a source: one catalog of it, read over HTTP(S); rows of its JSON become Arrow column by column."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, Self

import pyarrow as pa
from pydantic import Field, SecretStr, model_validator

from connectors import arrow
from connectors.base import PING, Cancel, Pressure, Profile, SourceQuery, Table
from connectors.errors import LimitExceeded, SourceError
from connectors.leases import Lease, Leases
from connectors.reading import Reading
from connectors.registry import ConnectionOptions
from connectors.statistics import Key, TableStatistics
from connectors.stopping import Stopper, stopping, timed_out
from connectors.tls import Tls, local
from connectors.trino import catalog as trino_catalog
from connectors.trino import explain as trino_explain
from connectors.trino.driver import FAULTS, Access, LineDriver, translate
from connectors.trino.sql import written
from connectors.trino.statement import Statement
from connectors.trino.statistics import Reader
from connectors.trino.types import to_batch

ASK_TIMEOUT = 60.0  # seconds for a catalog query
_REFUSED = frozenset(("PERMISSION_DENIED", "CATALOG_NOT_FOUND", "SCHEMA_NOT_FOUND", "TABLE_NOT_FOUND", "NOT_SUPPORTED"))
_PRESSURE = """SELECT count(*) FROM system.runtime.queries
WHERE state IN ('QUEUED', 'PLANNING', 'STARTING', 'RUNNING', 'FINISHING') AND NOT (source = '{}' AND "user" = '{}')"""


class TrinoOptions(ConnectionOptions):
    """`connection:` of a source of kind trino."""

    host: str
    port: int | None = Field(None, ge=1, le=65535, description="443, or 8080 without TLS, where absent")
    tls: Tls | None = Field(
        None, description="how the connection is encrypted; verify-full, but not at all where the host is this machine"
    )
    user: str = Field("vdw", min_length=1)
    password: SecretStr | None = None
    jwt: SecretStr | None = Field(None, description="a JSON web token, instead of the password")
    catalog: str = Field(min_length=1, description="the catalog whose tables are shown")
    schemas: tuple[str, ...] = Field((), description="its schemas that are shown; none: all")
    roles: dict[str, str] = Field(default_factory=dict, description="a role for each catalog, or for `system`")
    session: dict[str, str] = Field(default_factory=dict, description="session properties, as SET SESSION names them")
    source: str = Field("vdw", description="what Trino's own lists of queries name us")
    client_tags: tuple[str, ...] = Field((), description="tags by which resource groups know our queries")
    texts: Literal["auto", "bytes", "loose"] = Field(
        "auto",
        description="how texts compare there: byte by byte (bytes), in a way of their own (loose), or as Trino does "
        "where it computes itself and in a way of their own where the catalog is another server's (auto)",
    )
    spooling: Literal["auto", "off"] = Field(
        "auto",
        description="large answers by way of the store where Trino keeps them for that (auto, where it does), which "
        "must be reached from here, or sent by Trino itself (off)",
    )
    client_timeout: float = Field(
        300.0, gt=0, description="query.client.timeout of the server: seconds until it ends what nobody reads"
    )
    connect_timeout: int = Field(10, ge=1, description="seconds")

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if self.tls is not None and self.tls.mode == "prefer":
            raise ValueError("HTTP does not try whether TLS can be had: write tls: {mode: verify-full} or disable")
        if self.encryption.mode == "disable" and (self.password or self.jwt):
            raise ValueError("a password or token goes over TLS only: write tls: {mode: verify-full}")
        if self.password and self.jwt:
            raise ValueError("give a password or a jwt, not both")
        return self

    @property
    def encryption(self) -> Tls:
        """What counts for TLS."""
        plain = self.tls is None and local(self.host) and not self.password and not self.jwt
        return Tls(mode="disable") if plain else self.tls or Tls()

    def access(self, source: str) -> Access:
        """Where and as whom to connect."""
        session = {
            "user": self.user,
            "catalog": self.catalog,
            "schema": self.schemas[0] if len(self.schemas) == 1 else None,
            "source": self.source,
            "client_tags": list(self.client_tags),
            "roles": self.roles or None,
            "properties": dict(self.session),
        }
        tls = self.encryption
        port = self.port or (8080 if tls.mode == "disable" else 443)
        secret, bearer = self.password or self.jwt, self.jwt is not None
        return Access(source, self.host, port, tls, self.connect_timeout, session, secret, bearer)


class TrinoConnector:
    """One catalog of a Trino server; see `connectors.base.Connector`."""

    Options = TrinoOptions

    def __init__(self, name: str, options: TrinoOptions) -> None:
        self.name = name
        self._options = options
        self._access = options.access(name)
        self.tally = self._access.tally
        self.orphaned = options.client_timeout
        self._driver = LineDriver(self._access)
        self._leases = Leases(name, options.pool_size)
        self._profile: Profile | None = None
        self._reader = Reader()

    def profile(self) -> Profile:
        """Version, and which connector is behind the catalog."""
        found = trino_catalog.profile(self._ask, self._try, self._options.catalog, self._options.texts)
        self._access.session["properties"].update(trino_catalog.converted(found.facts, self._options.session))
        self._profile = found
        return found

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """Tables and views of the catalog; two queries, however many tables."""
        shown = schemas or self._options.schemas
        return trino_catalog.tables(
            self.name, self._ask, self._try, (self._profile or self.profile()).facts, shown, tables
        )

    def statistics(self, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
        """What SHOW STATS says: of some tables at a time, each in its turn."""
        del known
        return self._reader.read(lambda text: self._try(text, "statistics"), self._options.catalog, tables)

    def explain(self, query: SourceQuery, *, timeout: float) -> Reading:
        """Which tables Trino would read; nothing is run."""
        text = written(query, f'source "{self.name}"')
        told = self._ask(trino_explain.question(text), "explain", timeout)
        return trino_explain.read(told[0][0])

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """See Connector.execute. A line found dead before the statement was taken is replaced, once."""
        text = written(query, f'source "{self.name}"')
        if self._profile is None:
            self.profile()  # some columns are there only with the session properties that it finds
        deadline = time.monotonic() + timeout
        yield from self._leases.retried(lambda: self._run(text, query, deadline, timeout, cancel))

    def pressure(self) -> Pressure:
        """See Connector: others' queries, where we may see them."""
        user = self._options.user.replace("'", "''")
        told = self._try(_PRESSURE.format(self._options.source.replace("'", "''"), user), "pressure")
        return Pressure(None, int(told[0][0]) if told else None)

    def ping(self, timeout: float = PING) -> None:
        """The least query."""
        self._ask("SELECT 1", "ping", timeout)

    def close(self) -> None:
        """Close idle lines now and busy ones once they are given back."""
        self._leases.close()

    def _run(
        self, text: str, query: SourceQuery, deadline: float, timeout: float, cancel: Cancel
    ) -> Iterator[pa.RecordBatch]:
        with self._running(
            text, deadline, timeout, cancel, spooled=self._options.spooling == "auto" and not query.small
        ) as (lease, statement, stopper):
            for rows in statement.pages():
                lease.reused = False  # the server has it: too late to begin again
                if rows and statement.columns is not None:
                    stopper.check()
                    yield to_batch(rows, statement.columns, query)
            stopper.check()
        yield arrow.empty(query.columns)

    @contextlib.contextmanager
    def _running(
        self, text: str, deadline: float, timeout: float, cancel: Cancel, *, spooled: bool
    ) -> Iterator[tuple[Lease, Statement, Stopper]]:
        """A statement on a line of its own; whatever is left of it is ended, and its errors leave as ours."""
        late = timed_out(self.name, timeout)
        with self._leases.lease(self._driver, deadline, cancel) as lease, self._errors(lease, cancel, deadline, late):
            statement = Statement(self._access, lease.session, text, deadline, spooled=spooled)
            left = deadline - time.monotonic()
            with (
                stopping(cancel, statement.stop, left, late, statement.cut) as stopper,
                _reasoned(stopper),
                statement.ended(),
            ):
                yield lease, statement, stopper

    @contextlib.contextmanager
    def _errors(self, lease: Lease, cancel: Cancel, deadline: float, late: LimitExceeded) -> Iterator[None]:
        try:
            yield
        except FAULTS as error:
            raise lease.told(deadline, cancel, late, partial(translate, self._access, error, late)) from None

    def _ask(self, text: str, what: str = "catalog", timeout: float = ASK_TIMEOUT) -> list[list[Any]]:
        """Rows of a question of our own, as the protocol has them; `what` it is for."""
        deadline = time.monotonic() + timeout
        return list(self._leases.retried(lambda: self._answers(text, what, deadline, timeout)))

    def _answers(self, text: str, what: str, deadline: float, timeout: float) -> Iterator[list[Any]]:
        with (
            self.tally.counted(what) as counted,
            self._running(text, deadline, timeout, Cancel(), spooled=False) as (lease, statement, stopper),
        ):
            for rows in statement.pages():
                lease.reused = False
                counted.rows += len(rows)
                yield from rows
            stopper.check()

    def _try(self, text: str, what: str = "catalog") -> list[list[Any]]:
        """As `_ask`; nothing where Trino has no such thing or does not let us see it."""
        try:
            return self._ask(text, what)
        except SourceError as error:
            if error.detail in _REFUSED:
                return []
            raise


@contextlib.contextmanager
def _reasoned(stopper: Stopper) -> Iterator[None]:
    """Where the statement was stopped, that is the reason, and not what the server then said."""
    try:
        yield
    except FAULTS:
        stopper.check()
        raise
