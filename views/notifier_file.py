"""What vdw.yml says of notifiers: the channels by which alerts leave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, model_validator

from views.templates import Template, placeholders
from views.values import Duration, SecretRef, Section, embeds_password, fault, is_reference, secret_like

FIELDS = ("id", "watch", "event", "subject", "text", "address", "key", "since")  # of an alert, for `body`
PORTS = {"starttls": 587, "tls": 465, "none": 25}
_SECRET_HEADERS = {"authorization", "proxy-authorization", "cookie"}
_ONLY = {
    "webhook": ("url", "headers", "body", "encoding"),
    "sms": ("url", "headers", "body", "encoding", "segments"),
    "smtp": ("host", "port", "security", "user", "password", "sender", "unsure"),
}
_NEEDED = {"webhook": ("url",), "sms": ("url", "body"), "smtp": ("host", "sender")}


def _text_or_reference(value: object) -> object:
    if isinstance(value, str) or is_reference(value):
        return value
    raise fault("neither a text nor a reference", "write a text, {env: NAME}, {file: path} or {command: [...]}")


Referable = Annotated[str | SecretRef, BeforeValidator(_text_or_reference)]


class Retry(Section):
    """What follows a failure that may pass: a refused connection, a time-out, HTTP 5xx and 429, SMTP 4xx."""

    first: Duration = Field(default=1.0, description="Pause after the first failure; it doubles with each further one.")
    most: Duration = Field(
        default=300.0, description="The longest pause. Each is shortened by chance, by half at most."
    )
    give_up: Duration = Field(
        default=2 * 86_400.0, description="Time after which an alert is put aside as failed, for a person to decide."
    )


class Notifier(Section):
    """A channel by which alerts leave: a webhook, a mail server, or the gateway of a provider of SMS."""

    kind: Literal["webhook", "smtp", "sms"] = Field(description="webhook and sms speak HTTP, smtp sends mail.")
    url: Referable | None = Field(
        default=None, description="webhook, sms: where alerts are posted; {env: NAME} where the URL itself is a secret."
    )
    headers: dict[str, Referable] = Field(
        default={}, description="webhook, sms: further headers, such as Authorization: {env: NAME}."
    )
    body: dict[str, Template] | None = Field(
        default=None,
        description="webhook, sms: what is posted, with placeholders {id}, {watch}, {event}, {subject}, {text}, "
        "{address}, {key}, {since}; a webhook's is a document of all of these and the row unless written.",
    )
    encoding: Literal["json", "form"] = Field(default="json", description="webhook, sms: how the body is written.")
    segments: Annotated[int, Field(ge=1, le=10)] = Field(
        default=1, description="sms: parts that a message may have; a longer text is cut."
    )
    host: str | None = Field(default=None, min_length=1, description="smtp: the mail server.")
    port: Annotated[int, Field(gt=0, le=65535)] | None = Field(
        default=None, description="smtp: its port; 587, 465 or 25 by `security`."
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description="smtp: starttls and tls refuse a server without a valid certificate."
    )
    user: str | None = Field(default=None, description="smtp: user name, where the server wants one.")
    password: SecretRef | None = Field(default=None, description="smtp: {env: NAME}, {file: path} or {command: [...]}.")
    sender: str | None = Field(default=None, description='smtp: who it is from, such as "CRM <crm@example.com>".')
    unsure: Literal["repeat", "hold"] = Field(
        default="repeat",
        description="smtp: what becomes of a mail that the server may or may not have taken: repeat sends it again "
        "under the same Message-ID, hold puts it aside for a person to decide.",
    )
    authorities: str | None = Field(
        default=None,
        description="PEM file of the authorities to trust, relative to the project, in place of the usual.",
    )
    timeout: Duration = Field(default=10.0, description="How long one attempt may take.")
    concurrency: Annotated[int, Field(gt=0, le=64)] = Field(
        default=4, description="Attempts at once; to one address there is never more than one."
    )
    rate: Annotated[float, Field(gt=0)] | None = Field(default=None, description="Attempts a second at most.")
    pending: Annotated[int, Field(gt=0)] = Field(
        default=10_000, description="Alerts that may wait here; what is beyond is raised when there is room again."
    )
    retry: Retry = Field(default=Retry(), description="What follows a failure that may pass.")

    @model_validator(mode="before")
    @classmethod
    def _whole_rate(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and type(value.get("rate")) is int:
            return {**value, "rate": float(value["rate"])}
        return value

    @model_validator(mode="after")
    def _fits(self) -> Notifier:
        allowed = _ONLY[self.kind]
        others = {key for keys in _ONLY.values() for key in keys} - set(allowed)
        for key in sorted(self.model_fields_set & others):
            raise fault(f"`{key}` is not for kind {self.kind}", f"its own keys: {', '.join(allowed)}", (key,))
        for key in _NEEDED[self.kind]:
            if not getattr(self, key):
                raise fault(f"kind {self.kind} needs `{key}`", f"add {key}: ...")
        self._secrets()
        for key, text in (self.body or {}).items():
            for name in placeholders(text):
                if name not in FIELDS:
                    raise fault(f'an alert has no "{name}"', f"known: {', '.join(FIELDS)}", ("body", key))
        return self

    def _secrets(self) -> None:
        if isinstance(self.url, str):
            parts = urlsplit(self.url)
            if parts.scheme not in ("http", "https") or not parts.hostname:
                raise fault("`url` is no http:// or https:// URL", "write https://host/path", ("url",))
            if embeds_password(self.url):
                raise fault("a password stands in the URL in plain text", "write url: {env: NAME}", ("url",))
        for name, value in self.headers.items():
            if isinstance(value, str) and (name.lower() in _SECRET_HEADERS or secret_like(name)):
                raise fault(
                    "a secret stands here in plain text",
                    "write {env: NAME}, {file: path} or {command: [...]}",
                    ("headers", name),
                )
        if (self.user is None) != (self.password is None):
            raise fault("`user` and `password` go together", "write both, or neither")

    def references(self) -> Iterator[tuple[tuple[str, ...], SecretRef]]:
        """Its secrets, and under which keys they stand."""
        listed = {("url",): self.url, ("password",): self.password}
        for path, value in [*listed.items(), *((("headers", name), one) for name, one in self.headers.items())]:
            if isinstance(value, SecretRef):
                yield path, value

    @property
    def where(self) -> int:
        """The mail server's port."""
        return self.port or PORTS[self.security]
