"""What exists, as values: sources, their tables, views over them. A catalog never changes; a reload makes another."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.base import Profile, Table
from connectors.statistics import Estimate, TableStatistics
from connectors.types import PgType

SYSTEM = "vdw"  # the schema of what the server knows of itself, and the pseudo-source behind it
UPLOADS, SEGMENTS = "uploads", "segments"  # schemas of tables that belong to users
OWNED = frozenset((UPLOADS, SEGMENTS))
WAREHOUSES = frozenset(("duckdb", "files", "trino"))  # kinds that are made for large scans
# The field's classes of freshness: seconds that an answer may be old.
CLASSES: Mapping[str, float] = {"real_time": 3_600.0, "near_real_time": 86_400.0, "batch": math.inf}


def covers(reads: Iterable[str], schema: str, name: str) -> bool:
    """Whether what a user may read ("schema.name", "schema.*" or "*") holds a relation. "*" is what the project has,
    not what other users own.

    >>> covers(["*"], "crm", "customers"), covers(["*"], "uploads", "mine"), covers(["uploads.mine"], "uploads", "mine")
    (True, False, True)
    """
    wide = () if schema in OWNED else ("*",)
    return any(one in reads for one in (*wide, f"{schema}.*", f"{schema}.{name}"))


@dataclass(frozen=True, slots=True)
class QueryLimits:
    """What one query may cost a source, all its statements together; `time` in seconds. None: any amount."""

    rows: int | None = None
    bytes: int | None = None
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """What a source's owner allows. Times in seconds; None: as much as need be.

    `on_budget` says what becomes of a statement that can only be planned past `examined_rows`: "slow" (it runs, within
    the other limits) or "error".
    """

    concurrency: int = 4  # statements at once, of all servers on this machine
    timeout: float = 30.0  # one statement
    rows: int = 1_000_000  # rows of one statement; more is an error
    bytes: int | None = None  # of these rows in Arrow
    examined_rows: int | None = None  # rows that one statement may make the source read
    statements: int | None = None  # of one query
    on_budget: str = "slow"
    rate: float | None = None  # statements a second, of all servers on this machine
    burst: int | None = None  # statements at once before the rate holds them back; None: a second's
    queue: int = 1_000  # statements that may wait
    share: float = 1.0  # part of concurrency and rate that this machine may use
    query: QueryLimits = QueryLimits()

    @property
    def longest(self) -> float:
        """Seconds that one statement may take, as all of a query's together may not take more."""
        return self.timeout if self.query.time is None else min(self.timeout, self.query.time)


@dataclass(frozen=True, slots=True)
class Adaptive:
    """How the statements at once follow the source's own state: fewer while it is `slower` times as slow as usual,
    its replication `lag` (seconds) or its `running` statements of others are past these; read `every` so many seconds.
    """

    enabled: bool = True
    least: int = 1
    slower: float = 2.0
    lag: float | None = None
    running: int | None = None
    every: float = 1.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a source is left alone: after `failures` in a row, or where `share` of the statements in `window` seconds
    failed; for `pause` seconds, twice as long each time that a trial fails, at most `longest`."""

    enabled: bool = True
    failures: int = 5
    share: float = 0.5
    window: float = 10.0
    pause: float = 5.0
    longest: float = 60.0


@dataclass(frozen=True, slots=True)
class Observed:
    """Rules that are only watched; `limits` has those that are proposed, by their names in `Limits`."""

    limits: Mapping[str, Any] = field(default_factory=dict)
    ttl: float | None = None
    adaptive: Adaptive | None = None
    breaker: Breaker | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """A source as its owner describes it, with what was probed of it.

    `ttl`: seconds that an answer may be kept (the owner's least TTL is the floor that protects the source).
    `as_of`: how its data's age is known: {"kind": "live"} | {"kind": "query", "sql": ...} | {"kind": "file"}.
    `profile` is None while the source could not be reached; its tables are then unknown.
    `role`: an operational source's work is dear, a warehouse's is cheap; "" goes by the kind.
    `refresh`: seconds between two looks at its statistics; 0: one look.
    """

    name: str
    kind: str
    profile: Profile | None
    limits: Limits = Limits()
    ttl: float = 0.0
    as_of: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""  # why it could not be introspected
    remembered: str = ""  # when it told of the tables that it is taken to have, where that was to a server before us
    role: str = ""
    refresh: float = 0.0
    adaptive: Adaptive = Adaptive()
    breaker: Breaker = Breaker()
    observe: Observed | None = None
    stale_while_revalidate: float = 0.0  # seconds past the ttl in which an old answer serves while it is fetched anew
    stale_if_error: float = 0.0  # seconds past the ttl in which an old answer serves while the source is down
    identity: str = field(default="", repr=False)  # of the server behind it, the same for all who are configured so
    copies: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # own table: (source, table) of its original
    told: str = ""  # a mark of what it told of itself (federation.facts)
    snapshot: float | None = None  # seconds for which one state may be held for a query's statements; None: not at all

    @property
    def system(self) -> bool:
        """Whether it is no source of the project's, but the server itself."""
        return self.name == SYSTEM

    @property
    def operational(self) -> bool:
        """Whether people and machines work with the source while we ask it, so that our work there is dear."""
        return (self.role or ("warehouse" if self.kind in WAREHOUSES else "operational")) == "operational"


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation that SQL can name as `schema.name`: a source's table or a view.

    `columns` are (name, type) in order, unknown types never appear here.
    """

    schema: str
    name: str
    columns: tuple[tuple[str, PgType], ...]
    comment: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.schema, self.name


@dataclass(frozen=True, slots=True)
class SourceTable(Relation):
    """A source's table under its SQL name (schema = the source's name)."""

    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A relation of a view's header: `to` (schema, name), joined on pairs (own column, other's column)."""

    name: str
    to: tuple[str, str]
    join: tuple[tuple[str, str], ...]
    many: bool


@dataclass(frozen=True, slots=True)
class RuleFacts:
    """A rule of a rule set, as written; `fault` says why its decision is not served, `line` where it stands."""

    name: str
    decision: str
    condition: str
    outcome: str
    priority: int
    valid_from: str  # ISO moments; "" where there is no bound
    valid_until: str
    description: str
    owner: str
    line: int
    subject: tuple[str, str]
    facts: tuple[str, ...] = ()  # columns of the subject
    fault: str = ""


@dataclass(frozen=True, slots=True)
class View(Relation):
    """A virtual view. `query` is the SELECT as the analyst wrote it; `text` the canonical text that the canon
    made of it; `file` where it stands; `ttl` seconds or None; `depends` the relations it reads directly."""

    query: str = ""
    text: str = ""
    file: str = ""
    line: int = 1  # line of the file at which `query` starts
    key_columns: tuple[str, ...] = ()
    ttl: float | None = None
    timeout: float | None = None
    max_rows: int | None = None
    require_any_filter: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    column_comments: Mapping[str, str] = field(default_factory=dict)
    depends: tuple[tuple[str, str], ...] = ()
    header: Mapping[str, Any] = field(default_factory=dict)
    freshness_class: str = ""  # real_time | near_real_time | batch
    stale_while_revalidate: float | None = None
    stale_if_error: float | None = None
    on_source_down: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # fail | stale | nulls | partial
    rules: tuple[RuleFacts, ...] = ()  # of the rule set that it is
    aside: tuple[tuple[str, str], ...] = ()  # decisions of it that are not served, and why


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is known of the tables' contents at a moment: it decides how fast an answer comes, never which.

    `tables` by (schema, name); `measured`: rows that fragments had when they were run, and `readings`: rows that their
    source's EXPLAIN says it would examine, both by `planner.fingerprint`.
    `epoch` grows when a table has become so much larger or smaller that plans made before should be made again.
    """

    tables: Mapping[tuple[str, str], TableStatistics] = field(default_factory=dict)
    measured: Mapping[str, Estimate] = field(default_factory=dict)
    readings: Mapping[str, Estimate] = field(default_factory=dict)
    epoch: int = 0


@dataclass(frozen=True, slots=True)
class Catalog:
    """Everything a statement can name. `version` differs between any two catalogs that differ in more than
    `statistics`, which are refreshed while plans stay; `lasting` is the version of what answers that are kept can be
    made of: users' own tables come and go without it."""

    sources: Mapping[str, Source]
    tables: Mapping[tuple[str, str], SourceTable]
    views: Mapping[tuple[str, str], View]
    version: str
    statistics: Statistics = Statistics()
    copies: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = field(default_factory=dict)  # of each original
    lasting: str = ""
    versions: Mapping[str, str] = field(
        default_factory=dict
    )  # of a source "crm" or view "crm.big" alone: see `edition`

    def __post_init__(self) -> None:
        object.__setattr__(self, "lasting", self.lasting or self.version)

    def edition(self, name: str) -> str:
        """Differs where rows of a source ("crm"), or what a view ("crm.big") says, may be others: another server, other
        tables. What stays the same beside a source that has changed keeps its own."""
        return self.versions.get(name, self.lasting)

    def relation(self, schema: str, name: str) -> SourceTable | View:
        """The relation of that name; KeyError where there is none."""
        key = (schema, name)
        return self.views[key] if key in self.views else self.tables[key]

    def views_behind(self, relations: Iterable[tuple[str, str]]) -> tuple[View, ...]:
        """Every view that is read where these relations are, directly or through another."""
        seen: dict[tuple[str, str], View] = {}
        todo = list(relations)
        while todo:
            key = todo.pop()
            view = self.views.get(key)
            if view is not None and key not in seen:
                seen[key] = view
                todo.extend(view.depends)
        return tuple(seen.values())

    @property
    def relations(self) -> tuple[SourceTable | View, ...]:
        """Tables first, then views in an order in which each stands behind what it reads."""
        return (*self.tables.values(), *self.views.values())
