"""What `sources/<name>.yml` may say: the contract that a source's owner writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from connectors.base import Unfit
from views import catalog
from views.catalog import Limits, QueryLimits
from views.values import Duration, FullName, Names, Section, Size, embeds_password, fault, is_reference, secret_like

Path = tuple[str | int, ...]
Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]


class Expose(Section):
    """Which of a source's relations exist here; without it, all that are not the system's own."""

    schemas: Names = Field(default=(), description="The source's own schemas (databases) to expose; all where absent.")
    tables: Names = Field(
        default=(), description='Tables and views to expose, as "table" or "schema.table"; all where absent.'
    )


class QueryBudget(Section):
    """What one user's query may cost the source, all its statements together."""

    rows: Positive | None = Field(default=None, description="Rows; more is an error. None: any number.")
    bytes: Size | None = Field(default=None, description="Bytes of these rows in Arrow; more is an error.")
    time: Duration | None = Field(default=None, description="Time that its statements take together; more is an error.")


class SourceLimits(Section):
    """What a source's owner allows us."""

    concurrency: Positive = Field(default=4, description="Statements at once, of all servers on this machine together.")
    timeout: Duration = Field(default=30.0, description="Time of one statement.")
    rows: Positive = Field(default=1_000_000, description="Rows of one statement; more is an error.")
    bytes: Size | None = Field(default=None, description="Bytes of one statement's rows in Arrow; more is an error.")
    examined_rows: Positive | None = Field(
        default=None,
        description="Rows that one statement may make the source read, by its own estimate; none: any number.",
    )
    statements: Positive | None = Field(
        default=None, description="Statements that one query may cost the source; more is an error. None: any number."
    )
    on_budget: Literal["slow", "error"] = Field(
        default="slow",
        description="What becomes of a statement that can only be planned past examined_rows: slow (it runs within the "
        "other limits, one at a time) or error.",
    )
    rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Statements a second, of all servers on this machine together. None: any number."
    )
    burst: Positive | None = Field(
        default=None,
        description="Statements that may come at once before `rate` holds them back; one second's.",
    )
    queue: Positive = Field(default=1000, description="Statements that may wait for the source; more are refused.")
    share: Share = Field(
        default=1.0, description="Part of concurrency and rate that this machine may use, where others use the rest."
    )
    query: QueryBudget = Field(default=QueryBudget(), description="What one query may cost, its statements together.")

    @model_validator(mode="after")
    def _sane(self) -> SourceLimits:
        if not self.timeout:
            raise fault("limits.timeout is 0: no statement could run", 'write a duration such as "30s"')
        return self

    @property
    def value(self) -> Limits:
        """The same as the catalog has it."""
        query = QueryLimits(self.query.rows, self.query.bytes, self.query.time)
        return Limits(**{**self.model_dump(exclude={"query"}), "query": query})


class Adapting(Section):
    """How the number of statements at once follows the source's own state, below the owner's number."""

    enabled: bool = Field(default=True, description="Whether it does.")
    least: Positive = Field(default=1, description="Statements at once that are always allowed.")
    slower: Annotated[float, Field(gt=1)] = Field(
        default=2.0, description="How many times as long as usual a statement may take before there are fewer at once."
    )
    lag: Duration | None = Field(
        default=None, description="Replication lag past which there are as few as can be; none: it is not read."
    )
    running: Positive | None = Field(
        default=None,
        description="Statements of others running at the source past which there are as few as can be; none: not read.",
    )
    every: Duration = Field(default=1.0, description="How often lag and running statements are read, while it is used.")


class Breaking(Section):
    """The circuit breaker."""

    enabled: bool = Field(default=True, description="Whether it is.")
    failures: Positive = Field(default=5, description="Failures after one another that open the breaker.")
    share: Share = Field(default=0.5, description="Part of the window's statements whose failure opens it as well.")
    window: Duration = Field(default=10.0, description="Time over which that part is counted.")
    pause: Duration = Field(default=5.0, description="How long it stays open before one statement is tried.")
    longest: Duration = Field(default=60.0, description="The longest pause; it doubles with each trial that fails.")


class Observing(Section):
    """Rules that are only watched: what would they have done?"""

    limits: SourceLimits | None = Field(default=None, description="Limits to watch; only those that are written.")
    ttl: Duration | None = Field(default=None, description="A ttl to watch.")
    adaptive: Adapting | None = Field(default=None, description="Adaptive limits to watch.")
    breaker: Breaking | None = Field(default=None, description="A breaker to watch.")

    @property
    def value(self) -> catalog.Observed:
        """The same as the catalog has it."""
        limits = self.limits
        written = {} if limits is None else {name: getattr(limits.value, name) for name in limits.model_fields_set}
        adaptive = None if self.adaptive is None else catalog.Adaptive(**self.adaptive.model_dump())
        breaker = None if self.breaker is None else catalog.Breaker(**self.breaker.model_dump())
        return catalog.Observed(written, self.ttl, adaptive, breaker)


class AsOf(Section):
    """How the age of a source's data is known."""

    kind: Literal["live", "query", "file"] = Field(
        default="live", description="live: as of the moment it is read; query: ask `sql`; file: the data files' time."
    )
    sql: str | None = Field(
        default=None, description="For kind query: a SELECT in the source's own SQL that gives one timestamp."
    )

    @model_validator(mode="after")
    def _sql(self) -> AsOf:
        if (self.kind == "query") != (self.sql is not None):
            raise fault(
                "as_of.sql goes with kind: query, and only with it", "write as_of: {kind: query, sql: select ...}"
            )
        return self


class SnapshotTerms(Section):
    """Of which state of the source a query's statements read."""

    per: Literal["query", "statement"] = Field(
        default="query",
        description="query: its statements read one snapshot, where the engine has such; statement: each its own, and "
        "no transaction is ever held open.",
    )
    longest: Duration = Field(
        default=30.0, description="How long a snapshot is held at most; statements after that read a new one."
    )


class SourceStatistics(Section):
    """How what the source knows of its tables is kept up to date."""

    refresh: Duration = Field(
        default=600.0, description="How often they are read again; 0s: only when the project is loaded."
    )


class SourceFile(Section):
    """`sources/<name>.yml`, written by the source's owner."""

    kind: str = Field(
        min_length=1, description="Kind of the source, such as postgresql, mariadb, sqlite, duckdb, parquet."
    )
    description: str = Field(default="", description="What the source holds, for people.")
    owner: str = Field(default="", description="Who to ask about the source.")
    connection: dict[str, Any] = Field(
        default={},
        description="What the connector needs (docs of the kind); secrets only as {env: NAME}, {file: path} or "
        "{command: [...]}.",
    )
    expose: Expose = Field(default=Expose(), description="Which schemas and tables exist here.")
    role: Literal["operational", "warehouse"] | None = Field(
        default=None,
        description="operational: its work is dear, plans spare it; warehouse: made for large scans. By the kind where "
        "absent: duckdb and parquet are warehouses.",
    )
    limits: SourceLimits = Field(default=SourceLimits(), description="What the owner allows.")
    adaptive: Adapting = Field(default=Adapting(), description="How the statements at once follow the source's state.")
    breaker: Breaking = Field(default=Breaking(), description="When a source that fails is left alone for a while.")
    observe: Observing | None = Field(default=None, description="Rules that are only watched (dry run).")
    snapshot: SnapshotTerms = Field(
        default=SnapshotTerms(), description="Whether all that one query asks of the source is of one state of it."
    )
    statistics: SourceStatistics = Field(
        default=SourceStatistics(), description="What the source knows of its tables: rows, values, their spread."
    )
    unfit: dict[str, Unfit | None] = Field(
        default={},
        description="What becomes of values that their type cannot hold, by table.column, and as default: error, null "
        "(NULL, and the answer says how many), text (the column is text, as the source prints it; by column only).",
    )
    ttl: Duration = Field(default=0.0, description="How long an answer may be kept; views may say less, never more.")
    stale_while_revalidate: Duration = Field(
        default=0.0, description="How long past the ttl an old answer may serve while one new one is fetched."
    )
    stale_if_error: Duration = Field(
        default=0.0, description="How long past the ttl an old answer may serve while the source is down."
    )
    as_of: AsOf = Field(default=AsOf(), description="How the age of the data is known.")
    copy_of: str | None = Field(
        default=None,
        min_length=1,
        description="Source of which this one is a copy: its tables stand for those of the same names there, where "
        "whoever asks allows their age.",
    )
    copies: dict[str, FullName] = Field(
        default={},
        description='Tables of this source that are copies: own table: "source.table" of the original.',
    )

    @model_validator(mode="after")
    def _no_literal_secret(self) -> SourceFile:
        for path in literal_secrets(self.connection, ("connection",)):
            name = ".".join(map(str, path))
            raise fault(
                f"`{name}` holds a secret in plain text",
                "write {env: NAME}, {file: path} or {command: [...]} instead",
                path,
            )
        return self

    @property
    def policies(self) -> Mapping[str, Unfit]:
        """`unfit`, where YAML's own null is meant as what it says."""
        return {key: policy or "null" for key, policy in self.unfit.items()}

    @model_validator(mode="after")
    def _by_column(self) -> SourceFile:
        for key, policy in self.unfit.items():
            if key != "default" and not all(key.rpartition(".")[::2]):
                raise fault(f"`unfit.{key}` is no column", "write table.column: error, null or text", ("unfit", key))
            if key == "default" and policy == "text":
                raise fault("`unfit.default` cannot be text", "name the columns that are text", ("unfit", key))
        return self


def literal_secrets(value: object, path: Path, secret: bool = False) -> Iterator[Path]:
    """Paths under which a secret stands in plain text: below a key that is named like one, or inside a URL or DSN."""
    if is_reference(value) or value is None:
        return
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from literal_secrets(item, (*path, str(key)), secret or secret_like(str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from literal_secrets(item, (*path, index), secret)
    elif secret or (isinstance(value, str) and embeds_password(value)):
        yield path
