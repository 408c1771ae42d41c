"""What every source owes us: its tables, its facts, and the rows of one statement as Arrow."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal, Protocol

import pyarrow as pa

from connectors.errors import Error, LimitExceeded
from connectors.types import PgType

Unfit = Literal["error", "null", "text"]
PING = 5.0  # seconds in which a source that is well answers a round trip


class Collation(Enum):
    """How a text column's source compares it. Byte equality is the finest equality there is."""

    BYTES = "bytes"  # = and < are those of the canon (code-point order)
    EQUAL = "equal"  # = is byte equality, < is not code-point order (a deterministic ICU or libc collation)
    LOOSE = "loose"  # = is coarser than byte equality (case, accents, trailing blanks)


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the source declares it; `native` is the source's own name of the type."""

    name: str
    type: PgType
    nullable: bool = True
    native: str = ""
    collation: Collation = Collation.LOOSE
    comment: str = ""
    exact: bool = True  # every stored value is of `type`; false: predicates on it stay here (SQLite's affinities)
    unfit: Unfit = "error"  # what becomes of a value that `type` cannot hold; `text`: `type` is text for its sake
    collated: str = ""  # the source's own name of the collation


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """`enforced`: the server itself sees to it, for rows that were there before the constraint too."""

    columns: tuple[str, ...]
    table: str
    references: tuple[str, ...]
    enforced: bool = False


@dataclass(frozen=True, slots=True)
class Partitions:
    """How a table lies in parts: `count` of them, each with the rows of some values of `columns` (none: of an
    expression). `kind` is list, range or hash."""

    kind: str
    columns: tuple[str, ...] = ()
    count: int = 0

    def __str__(self) -> str:
        return f"{self.count} by {self.kind} of {', '.join(self.columns) or 'an expression'}"


@dataclass(frozen=True, slots=True)
class Table:
    """One table or view of a source. `schema` and `name` are the source's own; `row_count` an estimate or None."""

    source: str
    schema: str | None
    name: str
    columns: tuple[Column, ...]
    keys: tuple[tuple[str, ...], ...] = ()  # unique and not null, the primary key first
    indexes: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    row_count: int | None = None
    comment: str = ""
    requires: tuple[tuple[str, ...], ...] = ()  # alternatives: the columns of one must be given; (): it can be scanned
    partitions: Partitions | None = None

    def column(self, name: str) -> Column:
        """The column of that name; KeyError where there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a server: `engine` picks the capability table, `facts` are probed, not assumed.

    An engine without a table of its own has a `dialect` (sqlglot's name), and computes those of the dialect's
    candidates that are among `claims`: nothing, until `vdw probe` has proven some on the server itself.
    """

    engine: str  # postgresql | mariadb | mysql | sqlite | duckdb | trino, or any other
    version: tuple[int, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    dialect: str = ""
    claims: tuple[str, ...] = ()  # sorted


@dataclass(frozen=True, slots=True)
class Bound:
    """A value for a parameter: a Python value as psycopg would adapt it to `type` (str for text and for
    numeric, int, float, bool, datetime.*, bytes, or a list of those for an array type); None is NULL."""

    type: PgType
    value: Any


@dataclass(frozen=True, slots=True)
class SourceQuery:
    """One statement for a source.

    `parts` is the text cut at its parameters: a str is SQL, an int the index into `params`; so each driver
    can put its own placeholder or a literal there. `columns` are the types that the answer must have:
    the connector delivers exactly `columns[i].arrow`, named c0, c1, ...
    `small` says that few rows are expected: take the driver with the least latency.
    `unfit` are the columns of which values that do not fit are no error, each with what becomes of them; connectors
    leave that to `connectors.arrow.assembled`. `stored` says of each of these, in their order, which table.column
    it is, for connectors that read what is stored themselves.
    """

    parts: tuple[str | int, ...]
    params: tuple[Bound, ...]
    columns: tuple[PgType, ...]
    small: bool = False
    unfit: tuple[tuple[int, Unfit], ...] = ()
    stored: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """The text with $1, $2 ... for people and for keys."""
        return "".join(part if isinstance(part, str) else f"${part + 1}" for part in self.parts)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema that the answer has."""
        return pa.schema([pa.field(f"c{i}", column.arrow) for i, column in enumerate(self.columns)])


@dataclass(frozen=True, slots=True)
class Served:
    """Which of a source's servers answered, and how many seconds its data was behind at most, when the statement was
    sent (None: nobody knows)."""

    server: str
    replica: bool
    lag: float | None


@dataclass(slots=True)
class Cancel:
    """Stops a running statement from another thread; hooks reach the server (pg_cancel, KILL QUERY ...).

    `unheeded`: the server did not end the statement within some seconds of being told to, for whatever reason.
    `turn(seconds)`: called by a connector whose statements take several requests, before each but the first: it waits
    for at most so many seconds (TimeoutError then) until the source's owner allows one more, and raises where they do
    not. `pressed`: tells that the source has refused a request for want of capacity, though the statement goes on.
    For sources of several servers: `key` is the same for all statements of a query, which go to one of them if that can
    be; data may be `fresh` seconds behind; `served` is who answered.
    """

    reason: Error | None = None
    unheeded: bool = False
    turn: Callable[[float], None] | None = None
    pressed: Callable[[], None] | None = None
    key: str = ""
    fresh: float = math.inf
    served: Served | None = None
    _hooks: list[Callable[[], None]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fire(self, reason: Error | None = None) -> None:
        """Ask every registered statement to stop; idempotent, and never raises."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason or LimitExceeded("canceling statement due to user request", sqlstate="57014")
            hooks = list(self._hooks)
        for hook in hooks:
            with contextlib.suppress(Exception):
                hook()

    def check(self) -> None:
        """Raise the reason if the statement has been asked to stop."""
        if self.reason is not None:
            raise self.reason

    @contextlib.contextmanager
    def hook(self, stop: Callable[[], None]) -> Iterator[None]:
        """While inside, `stop` is called (from another thread) when the statement is to end."""
        with self._lock:
            if self.reason is not None:
                raise self.reason
            self._hooks.append(stop)
        try:
            yield
        finally:
            with self._lock:
                self._hooks.remove(stop)


class Stale(Exception):
    """The idle connection that a `Prompt` used had died unseen; nothing came, `Connector.execute` may try another."""


class Prompt(Protocol):
    """A statement that was sent over an idle connection, whose answer the event loop takes: no thread, no waiting.

    `descriptor` is the socket to watch for reading. End it with `close`, in any thread.
    """

    descriptor: int
    served: Served | None  # as in Cancel

    def poll(self) -> int | None:
        """The number of rows once all are here, None before; never waits. Stale, or errors as `execute` has them."""
        ...

    def rows(self) -> pa.RecordBatch:
        """The rows; thread-safe, as many of them take their time."""
        ...

    def close(self, stop: Error | None = None) -> bool:
        """Give the connection back. With `stop`, the statement still runs: end it at the server, which may take
        seconds and belongs into a thread; False where the server did not heed that."""
        ...


class Snapshot(Protocol):
    """One state of a source, for several statements: a transaction, open on one connection until `close`.

    One statement at a time runs there. `parallel`: others may run beside it, which read the same state over connections
    of their own. After an error the snapshot is of no use any more.
    """

    parallel: bool

    def execute(
        self, query: SourceQuery, *, timeout: float, cancel: Cancel, beside: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """As `Connector.execute`; `beside`: over a connection of its own."""
        ...

    def close(self) -> None:
        """End the transaction and give the connection back; idempotent, no statement may run there."""
        ...


@dataclass(frozen=True, slots=True)
class Pressure:
    """How hard a source is pressed: `lag` seconds of replication (of it, or of those that follow it), and `running`
    statements of others than us, now. None: it does not tell, or not to us."""

    lag: float | None = None
    running: int | None = None


@dataclass(frozen=True, slots=True)
class Replication:
    """Whether a server follows another one now, and by how many seconds it is behind at most; `why` it does not say."""

    replica: bool
    lag: float | None
    why: str = ""


class Connector(Protocol):
    """A source. Synchronous and thread-safe: each call may come from another thread.

    Built from the `connection` mapping of the source's file by `registry.connect`. Every error leaves as
    SourceError (08001/08006 cannot reach, HV004 a value that its type cannot hold, HV000 the server's own
    error, its text in `detail`) or LimitExceeded (57014).

    A connector may also have `statistics(tables, known) -> Mapping[Key, TableStatistics]` (connectors.statistics): what
    the source knows of these tables' contents without reading them, `known` being its last answer; and
    `explain(query, *, timeout) -> Reading` (connectors.reading): how the source would run a statement.

    A connector may also have `pressure() -> Pressure`: how busy the source is, read now and cheaply.

    A connector may also have `orphaned`: seconds that a statement goes on at the source at most when the process that
    asked has died; without, it is taken to go on for as long as its timeout allows.

    One of which there may be several (connectors.replicas) has `replication(timeout) -> Replication`, read now.

    A connector may also have `paged`: True where a statement takes several requests, each of which asks `Cancel.turn`.

    A connector may also have `altered`: whether a connection since the last `profile()` has shown another server.

    A connector may also have `prompt(query, *, timeout) -> Prompt | None`: send a `small` statement now, over a
    connection that lies idle. None, where that cannot be done without waiting, leaves it to `execute`.

    A connector may also have `link(timeout) -> Link` (connectors.link): TLS in use, round trip, clock; read now. With
    `linked: Link | None` it is read with the facts, and kept there.

    A connector may also have `snapshot(*, timeout) -> Snapshot | None`: one state for several statements, from now on.
    None where the source cannot keep one without being in its users' way. One of several servers takes `key` and
    `fresh` too, as in Cancel.
    """

    name: str

    def profile(self) -> Profile:
        """Engine, version and facts, probed now. `facts` have what lasts: no measures, which differ each time.

        Every connector says, where it can be known, `replica` (of another server) and `read_only_login` (the user may
        not write): None or absent is not known.
        """
        ...

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """What can be read, introspected now; empty filters mean everything that is not the system's own."""
        ...

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """Run one read-only statement and stream its rows; at least one batch, perhaps empty, is yielded.

        `timeout` is in seconds, enforced at the server too. Closing the iterator early, or firing
        `cancel`, stops the work at the server and leaves no connection behind in a doubtful state.
        """
        ...

    def ping(self, timeout: float = PING) -> None:
        """Cheapest round trip; SourceError where the source cannot be reached, or not in about so many seconds."""
        ...

    def close(self) -> None:
        """Give back every connection."""
        ...
