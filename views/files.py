"""What vdw.yml and the header of a .view.sql may say; the file of a source stands in views.source_file."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from connectors.errors import QueryError
from views.catalog import Link
from views.max_age import MaxAge
from views.notifier_file import Notifier
from views.uploads import Segmentations, Uploads
from views.values import (
    NAME,
    Duration,
    FullName,
    Names,
    SecretRef,
    Section,
    Size,
    fault,
)


def _identifier(value: str) -> str:
    if not re.match(NAME, value):
        raise fault(
            f'"{value}" is not a plain name', "use lower-case letters, digits and _, 63 at most, no digit first"
        )
    return value


def _max_age(value: str) -> str:
    try:
        MaxAge.parse(value)
    except QueryError as error:
        raise fault(error.message, error.hint or "") from None
    return value


MaxAgeText = Annotated[str, AfterValidator(_max_age)]
Identifier = Annotated[str, AfterValidator(_identifier)]
Columns = Annotated[Names, Field(min_length=1)]
Path = tuple[str | int, ...]
Positive = Annotated[int, Field(gt=0)]
Way = Literal["fail", "stale", "nulls", "partial"]


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


_WAYS = {"enum": ["fail", "stale", "nulls", "partial"]}
Down = Annotated[
    tuple[Way, ...],
    BeforeValidator(_listed),
    Field(min_length=1, strict=False),
    WithJsonSchema({"anyOf": [_WAYS, {"type": "array", "items": _WAYS, "minItems": 1}]}),
]


class Tls(Section):
    """The certificate with which a listener speaks TLS."""

    certificate: str = Field(description="PEM file of the certificate chain, relative to the project folder.")
    key: str = Field(description="PEM file of its private key, relative to the project folder.")


class Listener(Section):
    """An address to listen on."""

    enabled: bool = Field(default=True, description="Whether to listen at all.")
    host: str = Field(default="127.0.0.1", description="Address to listen on; loopback unless allow_remote is true.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=0, description="TCP port; 0 takes a free one.")
    allow_remote: bool = Field(default=False, description="Must be true for a host that is not a loopback address.")
    tls: Tls | None = Field(default=None, description="Certificate and key; without them the listener speaks no TLS.")

    @model_validator(mode="after")
    def _loopback(self) -> Listener:
        if not self.allow_remote and not self.loopback:
            raise fault(
                f'"{self.host}" is not a loopback address: other machines could connect',
                "use host: 127.0.0.1, or add allow_remote: true if that is meant",
            )
        return self

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class SqlListener(Listener):
    """The address of the PostgreSQL protocol."""

    connections: Annotated[int, Field(gt=0, le=5000)] = Field(default=100, description="Clients at once.")


class Telemetry(Section):
    """What the server tells of its work, besides /metrics."""

    queries: bool = Field(default=True, description="One line in the log for each query; never values.")
    traces: str | None = Field(
        default=None, description="Where OpenTelemetry's traces go: the URL of an OTLP/HTTP receiver; none: nowhere."
    )


class Listen(Section):
    """Where clients connect."""

    http: Listener = Field(default=Listener(port=8080), description="HTTP: GraphQL, GraphiQL, health.")
    postgresql: SqlListener = Field(default=SqlListener(port=5433), description="The PostgreSQL protocol.")

    @model_validator(mode="before")
    @classmethod
    def _ports(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            return value
        ports = {"http": 8080, "postgresql": 5433}
        return {k: {"port": ports[k], **v} if k in ports and isinstance(v, Mapping) else v for k, v in value.items()}


class Merge(Section):
    """What merging large inputs may use."""

    memory: Size = Field(default=512 * 2**20, description="Memory of the merge engine; past it, it spills to disk.")
    threads: Positive = Field(default=2, description="Threads of the merge engine.")
    canon: Size = Field(
        default=4 * 2**30, description="Rows of one merge that the embedded PostgreSQL takes, where DuckDB cannot."
    )
    spill: str | None = Field(
        default=None, description="Folder for what does not fit into memory; a private temporary one where absent."
    )


class Cache(Section):
    """The cache of results."""

    size: Size = Field(default=128 * 2**20, description="Bytes that kept results may take in all.")
    containment: bool = Field(
        default=True, description="Kept rows answer statements that provably ask for some of these rows only."
    )


class Scram(Section):
    """How a user's password is kept for SCRAM-SHA-256."""

    iterations: Annotated[int, Field(ge=4096, le=1_000_000)] = Field(
        default=4096, description="Iterations of the SCRAM verifier that is made of the password."
    )
    verifier: SecretRef | None = Field(
        default=None, description='A ready verifier ("SCRAM-SHA-256$...") in place of a password.'
    )


class User(Section):
    """A user of the SQL and GraphQL endpoints."""

    password: SecretRef | None = Field(
        default=None, description="Where the password stands: {env: NAME}, {file: path} or {command: [...]}."
    )
    reads: Names = Field(
        default=(), description='What the user may read: "schema.name", "schema.*" or "*"; nothing unless listed.'
    )
    scram: Scram = Field(default=Scram(), description="How the password is kept.")
    max_age: MaxAgeText = Field(
        default="", description='How old answers may be where nothing else is said, such as "1h" or "5s, dwh=1d".'
    )
    admin: bool = Field(
        default=False,
        description="May switch things off, cancel others' queries, clear the cache, read all receipts.",
    )

    @model_validator(mode="after")
    def _credentials(self) -> User:
        if (self.password is None) == (self.scram.verifier is None):
            raise fault("a user has either a password or a scram.verifier", "write password: {env: NAME}")
        for name in self.reads:
            if name != "*" and not re.fullmatch(r"[^\s.]+\.[^\s.]+", name):
                raise fault(f'reads: "{name}" names nothing', 'write "schema.name", "schema.*" or "*"')
        return self


class ProjectFile(Section):
    """`vdw.yml`."""

    name: str = Field(min_length=1, description="Name of the project.")
    description: str = Field(default="", description="What the project is, for people.")
    listen: Listen = Field(default=Listen(), description="Where clients connect; loopback unless told otherwise.")
    merge: Merge = Field(default=Merge(), description="Bounds of merging large inputs.")
    cache: Cache = Field(default=Cache(), description="Bounds of the cache of results.")
    state: str = Field(
        default=".vdw",
        description="Folder for what survives a restart (receipts, switches), relative to the project.",
    )
    uploads: Uploads | None = Field(default=None, description="Tables that users may send; none: they may not.")
    segmentations: Segmentations | None = Field(
        default=None, description="Segmentations that users may ask for; none: they may not."
    )
    telemetry: Telemetry = Field(default=Telemetry(), description="What the server tells of its work.")
    users: dict[Identifier, User] = Field(
        default={}, description="Users by name; without any, only loopback is served."
    )
    notifiers: dict[Identifier, Notifier] = Field(
        default={}, description="Channels by name, by which the alerts of watches leave."
    )

    @model_validator(mode="after")
    def _remote_users(self) -> ProjectFile:
        listeners = (self.listen.http, self.listen.postgresql)
        if not self.users and any(listener.enabled and not listener.loopback for listener in listeners):
            raise fault(
                "a listener is open to other machines, and there are no users", "add users, or listen on loopback"
            )
        return self


class Freshness(Section):
    """How old a view's answers may be."""

    class_: Literal["real_time", "near_real_time", "batch"] | None = Field(
        default=None,
        alias="class",
        description="real_time (within the hour), near_real_time (within the day) or batch.",
    )
    ttl: Duration | None = Field(
        default=None, description="How long an answer may be kept; the least of the sources' counts."
    )
    stale_while_revalidate: Duration | None = Field(
        default=None, description="How long past the ttl an old answer may serve while a new one is fetched."
    )
    stale_if_error: Duration | None = Field(
        default=None, description="How long past the ttl an old answer may serve while a source is down."
    )


class Guard(Section):
    """Bounds of the queries over a view; they may only tighten the sources' own."""

    require_any_filter: Columns | None = Field(
        default=None,
        description="Columns of which a query must compare at least one with a value.",
    )
    max_rows: Positive | None = Field(default=None, description="Rows of an answer; more is an error.")
    timeout: Duration | None = Field(default=None, description="Time of a query.")


class RelationTo(Section):
    """A link to another view or table."""

    to: FullName = Field(description="The view or table that it leads to: schema.name.")
    join: dict[str, str] = Field(
        min_length=1, description="Own column: other's column. (Never `on:`, which YAML 1.1 reads as true.)"
    )
    many: bool = Field(default=False, description="Whether it leads to many rows.")


class ColumnFacts(Section):
    """What is said of one column."""

    description: str | None = Field(default=None, description="What the column means.")
    tags: Names = Field(default=(), description="Labels, such as pii.")
    mask: str | None = Field(default=None, description="SQL expression shown in place of the value. Refused for now.")
    unmasked_for: Names = Field(default=(), description="Users who see the value itself.")

    @model_validator(mode="after")
    def _mask(self) -> ColumnFacts:
        if self.unmasked_for and self.mask is None:
            raise fault("`unmasked_for` stands without a `mask`", "add mask: ..., or drop unmasked_for")
        return self


class Expectation(Section):
    """One test of a view's data."""

    unique: Columns | None = Field(default=None, description="Columns whose values together occur once.")
    not_null: Columns | None = Field(default=None, description="Columns that are never NULL.")

    @model_validator(mode="after")
    def _one(self) -> Expectation:
        if (self.unique is None) == (self.not_null is None):
            raise fault("a test is exactly one of `unique` and `not_null`", "write - unique: [column]")
        return self


class ViewHeader(Section):
    """The YAML header of a view's file."""

    view: FullName | None = Field(default=None, description="schema.name; must agree with the file's path.")
    owner: str = Field(default="", description="Who to ask about the view.")
    description: str = Field(default="", description="What a row is.")
    key: Columns | None = Field(default=None, description="Columns that identify a row.")
    freshness: Freshness = Field(default=Freshness(), description="How old answers may be.")
    on_source_down: dict[str, Down] = Field(
        default={},
        description="Per source what happens while it is down: fail, stale, nulls or partial, or a list in order.",
    )
    guard: Guard = Field(default=Guard(), description="Bounds of the queries over this view.")
    relations: dict[Identifier, RelationTo] = Field(default={}, description="Named links to other views and tables.")
    columns: dict[str, ColumnFacts] = Field(default={}, description="Facts about columns, by name.")
    row_filter: str | None = Field(
        default=None, description="SQL condition that every row shown meets. Refused for now."
    )
    tests: list[Expectation] = Field(default=[], description="Tests of the view's data.")

    def links(self) -> tuple[Link, ...]:
        """`relations` as the catalog has them."""
        return tuple(
            Link(name, _split(relation.to), tuple(relation.join.items()), relation.many)
            for name, relation in self.relations.items()
        )

    def written(self) -> dict[str, Any]:
        """What was written, as plain values: durations in seconds."""
        return self.model_dump(by_alias=True, exclude_unset=True, mode="json")


def _split(name: str) -> tuple[str, str]:
    schema, _, relation = name.partition(".")
    return schema, relation
