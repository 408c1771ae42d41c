"""What the source's file says of a REST service: how it is reached, its endpoints as tables, how they page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from connectors.registry import ConnectionOptions
from connectors.tls import Tls, local
from connectors.types import named

Operator = Literal["=", "<", "<=", ">", ">="]
_PLACE = re.compile(r"\{([^{}]*)\}")


class Said(BaseModel):
    """A part of the options: nothing unknown in it, and no value of it in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


_INPUTS = frozenset("int2 int4 int8 text varchar date timestamp timestamptz bool uuid numeric".split())


def _comparable(text: str) -> bool:
    kind = named(text)
    return kind is not None and kind.name in _INPUTS and (kind.name != "numeric" or kind.mod >= 0)


def _pointer(text: str) -> str:
    if text and not text.startswith("/"):
        raise ValueError('a JSON pointer such as "/data/items" begins with /; "" is the whole answer')
    return text


def _type(text: str) -> str:
    if named(text) is None:
        raise ValueError("not a type of PostgreSQL: int4, int8, numeric(10,2), text, bool, date, timestamptz, json ...")
    return text


Pointer = Annotated[str, AfterValidator(_pointer)]
TypeName = Annotated[str, AfterValidator(_type)]


class SecretAuth(Said):
    """How requests are authenticated: one of its kinds."""

    bearer: SecretStr | None = Field(default=None, description="token for Authorization: Bearer")
    basic: BasicSecret | None = Field(default=None, description="user and password")
    header: HeaderSecret | None = Field(default=None, description="a header of a given name, such as X-Api-Key")
    query: HeaderSecret | None = Field(default=None, description="a parameter of the query string of a given name")
    oauth2: OauthSecret | None = Field(default=None, description="OAuth 2.0 client credentials")

    @model_validator(mode="after")
    def _one(self) -> SecretAuth:
        if len(self.model_fields_set) != 1:
            raise ValueError("name exactly one of bearer, basic, header, query and oauth2")
        return self


class BasicSecret(Said):
    user: str
    password: SecretStr


class HeaderSecret(Said):
    name: str = Field(min_length=1)
    value: SecretStr


class OauthSecret(Said):
    """The client credentials grant (RFC 6749, 4.4)."""

    token_url: str
    client_id: str
    client_secret: SecretStr
    scope: str | None = None
    audience: str | None = None
    in_body: bool = Field(default=False, description="the client's name and secret in the form, not by Basic")


class Retries(Said):
    """When a request that only reads is sent again: after 429, 502, 503 and 504, and where the connection broke."""

    attempts: int = Field(default=4, ge=1, le=10, description="requests at most, the first included")
    first: float = Field(default=0.2, gt=0, le=60, description="seconds before the second, at random up to that")
    longest: float = Field(default=20.0, gt=0, le=600, description="seconds between two; a longer Retry-After fails")


class Paging(Said):
    """How one page leads to the next."""

    kind: Literal["none", "offset", "page", "cursor", "link", "next"] = Field(
        description="none; offset: by the number of rows before; page: by number; cursor: by a value of the answer; "
        "link: by the header Link with rel=next; next: by a URL in the answer"
    )
    size: int | None = Field(default=None, ge=1, le=100_000, description="rows of a page")
    size_parameter: str | None = Field(default=None, description="query parameter of the page's size")
    parameter: str | None = Field(default=None, description="query parameter of the offset, page or cursor")
    first: int | None = Field(default=None, ge=0, description="number of the first page: 1 where absent")
    at: Pointer | None = Field(default=None, description="cursor, next: where the answer has it")
    total: Pointer | None = Field(default=None, description="where the answer has the number of all rows")

    @model_validator(mode="after")
    def _complete(self) -> Paging:
        if self.kind in ("offset", "page", "cursor") and not self.parameter:
            raise ValueError(f"paging of kind {self.kind} needs `parameter`, the query parameter's name")
        if self.kind in ("offset", "page") and not self.size:
            raise ValueError(f"paging of kind {self.kind} needs `size`: a shorter page is the last")
        if self.kind in ("cursor", "next") and self.at is None:
            raise ValueError(f"paging of kind {self.kind} needs `at`, a JSON pointer such as /meta/next")
        return self


class Input(Said):
    """What can be asked of the server for a column: by equality, or `op`; the server may find more, never less."""

    in_: Literal["path", "query", "body"] = Field(default="query", alias="in", description="where the value goes")
    name: str | None = Field(default=None, description="the parameter's name; the column's where absent")
    column: str | None = Field(default=None, description="the column that it bounds; of its own name")
    op: Operator = Field(default="=", description="which comparison of the column it answers")
    required: bool = Field(
        default=False,
        description="the server must be given it; so it always is in the path, and where the answers lack the column",
    )
    many: Literal["one", "comma", "repeat"] = Field(
        default="one", description="several values: a request for each, separated by commas, or the parameter repeated"
    )
    most: int = Field(default=100, ge=1, le=10_000, description="values of one request, where it takes several")
    type: TypeName | None = Field(default=None, description="type of a column that the answers lack")


class RestColumn(Said):
    """One column."""

    type: TypeName = "text"
    at: Pointer | None = Field(default=None, description="where each row has it: /address/city; /<name> where absent")
    nullable: bool = True
    format: Literal["iso", "epoch", "epoch_ms", "base64", "hex"] | None = Field(
        default=None, description="times as ISO 8601, or as seconds or milliseconds since 1970; bytes as base64 or hex"
    )
    comment: str = ""


class RestTable(Said):
    """One endpoint."""

    path: str = Field(description="behind the source's url; {name} is an input in the path")
    method: Literal["GET", "POST"] = Field(default="GET", description="POST only for a search that changes nothing")
    body: dict[str, Any] = Field(default_factory=dict, description="POST: JSON to send, inputs in the body added")
    parameters: dict[str, str] = Field(default_factory=dict, description="query parameters that are always sent")
    rows: Pointer = Field(default="", description="where the answer has its array of rows, or its one row")
    columns: dict[str, RestColumn] = Field(min_length=1)
    inputs: dict[str, Input] = Field(default_factory=dict)
    requires: tuple[tuple[str, ...], ...] = Field(
        default=(), description="sets of columns of which one must be given, besides the required inputs"
    )
    key: tuple[str, ...] = Field(default=(), description="columns that no two rows share")
    paging: Paging | None = None
    not_found: Literal["error", "empty"] = Field(default="error", description="what 404 means: empty: no rows")
    row_count: int | None = Field(default=None, ge=0, description="about how many rows, for the planner")
    comment: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> RestTable:
        placed = places(self.path)
        inside = {name for name, one in self.inputs.items() if one.in_ == "path"}
        for name in placed:
            if name not in inside:
                raise ValueError(f"the path has {{{name}}}, and inputs no {name} with in: path")
        for name in inside - set(placed):
            raise ValueError(f"input {name} is in the path, and the path has no {{{name}}}")
        for what, names in (("key", self.key), *(("requires", names) for names in self.requires)):
            for name in names:
                if name not in self.all_columns:
                    raise ValueError(f"{what}: there is no column {name}")
        for name, one in self.inputs.items():
            self._input(name, one)
        if any(one.in_ == "body" for one in self.inputs.values()) and self.method != "POST":
            raise ValueError("inputs in the body need method: POST")
        return self

    def _input(self, name: str, one: Input) -> None:
        column = one.column or name
        if column in self.all_columns and not _comparable(self.all_columns[column]):
            raise ValueError(f"input {name}: values of {self.all_columns[column]} do not compare exactly")
        if column not in self.columns and one.type is None:
            raise ValueError(f"input {name}: there is no column {column}; name its type if the answers do not have it")
        if one.in_ == "path" and (one.op != "=" or one.many == "repeat"):
            raise ValueError(f"input {name}: what is in the path is one value, or several with commas, of op: =")
        if one.op != "=" and (one.many != "one" or one.required):
            raise ValueError(f"input {name}: op {one.op} bounds a column by one value, and can be left out")

    @property
    def all_columns(self) -> Mapping[str, str]:
        """Types by column: those of the answers, then those that only requests have."""
        own = {name: one.type for name, one in self.columns.items()}
        made = {one.column or name: one.type for name, one in self.inputs.items() if one.type is not None}
        return {**{name: kind for name, kind in made.items() if name not in own}, **own}

    @property
    def demands(self) -> tuple[tuple[str, ...], ...]:
        """The sets of columns of which one must be given; what stands in the path, and columns that only requests have,
        are in each."""
        always = dict.fromkeys(
            one.column or name
            for name, one in self.inputs.items()
            if one.required or one.in_ == "path" or (one.column or name) not in self.columns
        )
        return tuple(tuple({**always, **dict.fromkeys(one)}) for one in self.requires or ((*always,),) if one)


def places(path: str) -> Sequence[str]:
    """The inputs that a path has."""
    return _PLACE.findall(path)


def filled(path: str, values: Mapping[str, str]) -> str:
    """The path with its inputs."""
    return _PLACE.sub(lambda match: values[match[1]], path)


class WebOptions(ConnectionOptions):
    """How a service is reached."""

    url: str = Field(pattern="^https?://[^@]+$", description="what all paths stand behind; no password in it")
    auth: SecretAuth | None = Field(default=None, description="how requests are authenticated")
    headers: dict[str, str] = Field(default_factory=dict, description="sent with every request")
    tls: Tls | None = Field(
        default=None, description="whom we believe; verify-full where absent; disable allows http:// to another machine"
    )
    retries: Retries = Retries()
    connect_timeout: float = Field(default=10.0, gt=0, le=300, description="seconds")
    idle: float = Field(default=60.0, gt=0, le=3600, description="seconds that an idle connection is used for")
    answer_bytes: int = Field(default=64 << 20, ge=1024, description="bytes of one answer (a page) at most")
    pages: int = Field(default=10_000, ge=1, description="pages of one request at most; more is an error")
    memory_limit: str = Field(default="256MB", description="memory of the DuckDB that filters this source's rows")

    @model_validator(mode="after")
    def _safe(self) -> WebOptions:
        for name, address in self.addresses.items():
            self._reached(name, address)
        return self

    def _reached(self, name: str, address: str) -> None:
        """ValueError where whoever sits in between could read along, or answer in the service's place."""
        parts, mode = urlsplit(address), None if self.tls is None else self.tls.mode
        here = local(parts.hostname)
        if mode == "prefer":
            raise ValueError(f"tls: mode prefer: whether TLS is spoken stands in {name}, https:// or http://")
        if parts.scheme == "https" and mode == "disable":
            raise ValueError(f"tls: mode disable, and {name} begins with https://")
        if parts.scheme == "https" and mode == "require" and not here:
            raise ValueError(f"tls: mode require, and {name} is another machine, which has to prove who it is")
        if parts.scheme != "https" and mode not in (None, "disable"):
            raise ValueError(f"tls: mode {mode}, and {name} begins with http://")
        if parts.scheme != "https" and mode is None and not here:
            raise ValueError(f"{name} begins with http://: on a network that you trust, write tls: {{mode: disable}}")

    @property
    def addresses(self) -> Mapping[str, str]:
        """All that is connected to, by option."""
        token = self.auth.oauth2.token_url if self.auth is not None and self.auth.oauth2 is not None else None
        return {"url": self.url, **({} if token is None else {"token_url": token})}

    @property
    def encryption(self) -> Tls:
        """What counts where TLS is spoken."""
        return self.tls or Tls()


class RestOptions(WebOptions):
    """The `connection:` of a source of kind rest."""

    ping: str = Field(default="", description="path that is asked to see whether the service answers")
    tables: dict[str, RestTable] = Field(min_length=1, description="endpoints by the names of their tables")


def inputs_of(table: RestTable, column: str) -> Iterator[tuple[str, Input]]:
    """The inputs that bound a column."""
    return ((name, one) for name, one in table.inputs.items() if (one.column or name) == column)
