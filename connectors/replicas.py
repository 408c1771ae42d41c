"""Several servers of one source, of which each statement asks one: by role, lag and health, with failover."""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, TypeVar, cast

import pyarrow as pa
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from connectors.base import PING, Cancel, Connector, Pressure, Profile, Prompt, Served, Snapshot, SourceQuery, Table
from connectors.errors import Error, LimitExceeded, SourceError
from connectors.leases import Leases, Lost
from connectors.link import Link, reached
from connectors.member import Member
from connectors.reading import Reading
from connectors.registry import ConnectionOptions
from connectors.statistics import Key, TableStatistics
from connectors.tally import Tally

T = TypeVar("T")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_CONFLICT = "SQLSTATE 40001"  # a replica that had to choose between our statement and its primary's changes


def _seconds(value: object) -> object:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", value) if isinstance(value, str) else None
    return value if found is None else float(found[1]) * _SECONDS[found[2]]


Lag = Annotated[
    float,
    Field(gt=0),
    BeforeValidator(_seconds),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(?:\.\d+)?)(ms|s|m|h)$", "examples": ["5s"]}),
]


class Replica(BaseModel):
    """One more server with the same data."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field(min_length=1, description="host name or address")
    port: int | None = Field(default=None, ge=1, le=65535, description="the primary's where absent")


class ReplicatedOptions(ConnectionOptions):
    """Of kinds whose data may be on several servers; host and port are those of the primary."""

    replicas: tuple[Replica, ...] = Field(default=(), description="servers that follow it")
    read: Literal["prefer_replica", "replica", "primary", "nearest"] = Field(
        default="prefer_replica", description="which are asked"
    )
    max_lag: Lag | None = Field(default=None, description="how far a replica may be behind, such as 5s; none: any lag")


class Shared:
    """What the members of one source have together: the bound of connections, and the count of our own statements."""

    def __init__(self, leases: Leases, tally: Tally) -> None:
        self.leases, self.tally = leases, tally


class Replicated:
    """See `connectors.base.Connector`; `make(options, shared)` makes the connector of one server."""

    def __init__(self, name: str, options: Any, make: Callable[[Any, Shared], Connector]) -> None:
        self.name = name
        self.tally = Tally()
        self._options = options
        shared = Shared(Leases(name, options.pool_size), self.tally)
        alone = {"replicas": (), "pool_size": options.pool_size}
        primary = options.model_copy(update=alone)
        self._primary = Member(_named(primary), make(primary, shared), False)
        self._replicas: list[Member] = []
        for one in options.replicas:
            update = {**alone, "host": one.host, "port": one.port or options.port}
            own = options.model_copy(update={**update, "socket": None} if hasattr(options, "socket") else update)
            self._replicas.append(Member(_named(own), make(own, shared), True))
        self._turn = itertools.count()
        self._lock = threading.Lock()
        self._profile: Profile | None = None
        self._teller: Member | None = None
        self.linked: Link | None = None

    @property
    def members(self) -> tuple[Member, ...]:
        """The primary, and its replicas."""
        return (self._primary, *self._replicas)

    # -- which server ---------------------------------------------------------------------------------------------

    def _choice(self, key: str, bound: float, tried: Sequence[Member], now: bool = False) -> Member:
        """Who is asked next; SourceError where nobody may be. `now`: nothing is waited for, and None could be."""
        most = min(bound, math.inf if self._options.max_lag is None else self._options.max_lag)
        why: list[str] = []
        for member in self._order(key):
            if member in tried:
                continue
            fault = member.unfit(most, now)
            if not fault:
                fault = self._differs(member, now)
            if not fault:
                return member
            why.append(f"{member.name} {fault}")
        raise SourceError(
            f'no server of source "{self.name}" can be asked: {"; ".join(why) or "all have failed"}',
            sqlstate="08006",
            hint=f"read: {self._options.read} and max_lag of its file in sources/ say which may be",
        )

    def _order(self, key: str) -> list[Member]:
        """All that may be asked, the best first; the same for the same query."""
        read = self._options.read
        if read == "primary":
            return [self._primary]
        if read == "nearest":
            return sorted(self.members, key=lambda one: one.distance)
        at = zlib.crc32(key.encode()) if key else next(self._turn)
        count = max(len(self._replicas), 1)
        turned = [self._replicas[(at + i) % count] for i in range(len(self._replicas))]
        following = [one for one in turned if not one.promoted]
        leading = [one for one in turned if one.promoted]  # it follows nobody any more
        return following if read == "replica" else [*following, self._primary, *leading]

    def _differs(self, member: Member, now: bool) -> str:
        """Plans are made for one kind of server: why this is another; ''."""
        if self._profile is None or member.alike:
            return ""
        if now:
            return "is not known yet"
        try:
            own = member.connector.profile()
        except Error as error:
            member.failed(error)
            return f"does not answer ({error.message})"
        known = self._profile
        others = _unlike(own, known)
        member.alike = not others
        return f"is not like the others: {', '.join(others)}" if others else ""

    def _served(self, member: Member) -> Served:
        return Served(member.name, member.replica, member.lag)

    # -- statements -----------------------------------------------------------------------------------------------

    def execute(self, query: SourceQuery, *, timeout: float, cancel: Cancel) -> Iterator[pa.RecordBatch]:
        """See Connector.execute. Where nothing has come yet, a server that fails is replaced by the next."""
        deadline, tried, lost = time.monotonic() + timeout, list[Member](), 0
        while True:
            member = self._choice(cancel.key, cancel.fresh, tried)
            cancel.served, delivered = self._served(member), False
            left = max(deadline - time.monotonic(), 0.001)
            try:
                with contextlib.closing(
                    cast(Any, member.connector.execute(query, timeout=left, cancel=cancel))
                ) as rows:
                    for batch in rows:
                        delivered = True
                        yield batch
                member.well()
                return
            except Error as error:
                lost += isinstance(error, Lost)
                self._after(member, error)
                # what has brought down two servers is not tried at a third
                if delivered or cancel.reason is not None or lost > 1 or not elsewhere(error):
                    raise
                tried.append(member)
                if not self._others(tried):
                    raise

    def prompt(self, query: SourceQuery, *, timeout: float, key: str = "", fresh: float = math.inf) -> Prompt | None:
        """See Connector; None also where something is to be found out about the servers first."""
        try:
            member = self._choice(key, fresh, (), now=True)
        except SourceError:
            return None
        ask = getattr(member.connector, "prompt", None)
        prompt = None if ask is None else cast("Prompt | None", ask(query, timeout=timeout))
        if prompt is not None:
            prompt.served = self._served(member)
        return prompt

    def snapshot(self, *, timeout: float, key: str = "", fresh: float = math.inf) -> Snapshot | None:
        """See Connector: a state of one server, chosen as for a statement."""

        def at(member: Member) -> Snapshot | None:
            take = getattr(member.connector, "snapshot", None)
            served = self._served(member)
            made = None if take is None else take(timeout=timeout)
            return None if made is None else _Told(made, served, partial(self._after, member))

        return self._asked(at, key, fresh)

    def _others(self, tried: Sequence[Member]) -> bool:
        return any(member not in tried for member in self._order(""))

    def _after(self, member: Member, error: Error) -> None:
        if _CONFLICT not in (error.detail or "") and (elsewhere(error) or getattr(error, "hangs", False)):
            member.failed(error)

    def _asked(self, work: Callable[[Member], T], key: str = "", fresh: float = math.inf) -> T:
        """What `work` gives of the first server that answers."""
        tried: list[Member] = []
        while True:
            member = self._choice(key, fresh, tried)
            try:
                return work(member)
            except Error as error:
                self._after(member, error)
                tried.append(member)
                if not elsewhere(error) or not self._others(tried):
                    raise

    # -- what it tells --------------------------------------------------------------------------------------------

    def profile(self) -> Profile:
        """That of the first server that answered, asked again; others have to be like it."""
        with self._lock:
            for member in self.members:
                if getattr(member.connector, "altered", False):
                    member.alike = False  # so it is looked at before it is asked again
                    with contextlib.suppress(Error):
                        member.connector.profile()
            if self._teller is None:
                self._profile = self._asked(self._told_by)
                return self._profile
            with contextlib.suppress(Error):
                found = self._teller.connector.profile()
                if found != self._profile:
                    for member in self.members:
                        member.alike = member is self._teller
                self._profile = found
            return cast(Profile, self._profile)

    def _told_by(self, member: Member) -> Profile:
        found = member.connector.profile()
        self._teller, member.alike = member, True
        return found

    @property
    def altered(self) -> bool:
        """See Connector."""
        return any(getattr(member.connector, "altered", False) for member in self.members)

    def tables(self, schemas: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> tuple[Table, ...]:
        """See Connector."""
        return self._asked(lambda member: member.connector.tables(schemas, tables))

    def statistics(self, tables: Sequence[Table], known: Mapping[Key, TableStatistics]) -> dict[Key, TableStatistics]:
        """See Connector."""
        return self._asked(lambda member: cast(Any, member.connector).statistics(tables, known))

    def explain(self, query: SourceQuery, *, timeout: float) -> Reading:
        """See Connector."""
        return cast(Reading, self._asked(lambda member: cast(Any, member.connector).explain(query, timeout=timeout)))

    def pressure(self) -> Pressure:
        """See Connector: of the server that would be asked."""
        return cast(Pressure, self._asked(lambda member: cast(Any, member.connector).pressure()))

    @property
    def paged(self) -> bool:
        """Whether a statement of any of them takes several requests."""
        return any(getattr(member.connector, "paged", False) for member in self.members)

    @property
    def orphaned(self) -> float:
        """See Connector."""
        return max(float(getattr(member.connector, "orphaned", math.inf)) for member in self.members)

    def link(self, timeout: float = PING) -> Link:
        """See Connector: of the server that would be asked."""
        return self._asked(lambda member: reached(member.connector, timeout))

    def ping(self, timeout: float = PING) -> None:
        """Whether a server that may be asked answers."""
        self._asked(lambda member: member.connector.ping(timeout))

    def close(self) -> None:
        """Give back every connection."""
        for member in self.members:
            member.connector.close()


class _Told:
    """A snapshot that says whose state it is."""

    def __init__(self, snapshot: Snapshot, served: Served, failed: Callable[[Error], None]) -> None:
        self._snapshot, self._served, self._failed = snapshot, served, failed
        self.parallel = snapshot.parallel

    def execute(
        self, query: SourceQuery, *, timeout: float, cancel: Cancel, beside: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """See Snapshot. Another server has another state: an error is told, and what is said of the server noted."""
        cancel.served = self._served
        try:
            yield from self._snapshot.execute(query, timeout=timeout, cancel=cancel, beside=beside)
        except Error as error:
            if cancel.reason is None:
                self._failed(error)
            raise

    def close(self) -> None:
        """See Snapshot."""
        self._snapshot.close()


def elsewhere(error: Error) -> bool:
    """Whether another server may well answer what one said that of."""
    if isinstance(error, LimitExceeded):
        return False
    return error.sqlstate.startswith(("08", "57P0")) or _CONFLICT in (error.detail or "")


def _unlike(own: Profile, known: Profile) -> list[str]:
    """In what two servers differ that plans are made by."""
    found = [name for name in ("engine", "version") if getattr(own, name) != getattr(known, name)]
    keys = (own.facts.keys() | known.facts.keys()) - _MOMENTARY
    return found + sorted(key for key in keys if own.facts.get(key) != known.facts.get(key))


# of the moment, of a server's part in replication, or of no plan
_MOMENTARY = frozenset(
    "replica role lag read_only in_recovery primary server_id version version_comment max_allowed_packet "
    "performance_schema settings read_only_login".split()
)


def _named(options: Any) -> str:
    return str(getattr(options, "socket", None) or f"{options.host or 'localhost'}:{options.port}")
