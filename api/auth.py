"""Who asks over HTTP: the users of vdw.yml by Basic authentication, or this machine alone where there are none."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from starlette.requests import HTTPConnection

from api.credentials import VERIFIER, Credentials
from federation.operations.system import Visitor
from views.catalog import SYSTEM, covers
from views.files import ProjectFile, User

ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """A user and what they may read: "schema.name", "schema.*" or "*"."""

    name: str
    reads: tuple[str, ...]
    admin: bool = False
    operator: bool = False  # comes over the server's own socket

    def may_read(self, relation: tuple[str, str]) -> bool:
        """Whether `reads` covers the relation.

        >>> Principal("ada", ("crm.*",)).may_read(("crm", "customers"))
        True
        """
        schema, name = relation
        return schema == SYSTEM or covers(self.reads, schema, name)

    @property
    def visitor(self) -> Visitor:
        """The same for the system schema."""
        return Visitor(self.name, self.admin, self.reads)


Check = Callable[[bytes], bool]
Own = Callable[[str], tuple[str, ...]]  # what a user may read as its owner


class Users:
    """Checks credentials in constant time; what is kept of a password is its digest under a key of this process."""

    def __init__(self, accounts: Mapping[str, tuple[Principal, Check]], own: Own = lambda _name: ()) -> None:
        self._accounts, self._own = dict(accounts), own
        self._nobody: Check = _password(secrets.token_hex(16))

    @classmethod
    def of(
        cls,
        file: ProjectFile,
        folder: Path,
        environment: Mapping[str, str],
        own: Own = lambda _name: (),
    ) -> Users:
        """The users of a project's vdw.yml, who may read what is their `own` too; ConfigError names a secret that is
        not to be had."""
        return cls.with_secrets(file, Credentials(file, folder, environment or {}).values, own)

    @classmethod
    def with_secrets(cls, file: ProjectFile, secrets: Mapping[str, str], own: Own = lambda _name: ()) -> Users:
        """As `of`, of secrets that are known."""
        return cls(
            {
                name: (Principal(name, tuple(user.reads), user.admin), _check(user, secrets[name]))
                for name, user in file.users.items()
            },
            own,
        )

    @classmethod
    def none(cls) -> Users:
        """Nobody."""
        return cls({})

    def __bool__(self) -> bool:
        return bool(self._accounts)

    def authenticate(self, header: str | None) -> Principal | None:
        """The user whose name and password an Authorization header holds; None for anything else."""
        name, password = _basic(header)
        principal, check = self._accounts.get(name, (None, self._nobody))
        if not check(password) or principal is None:
            return None
        own = self._own(name)
        return replace(principal, reads=(*principal.reads, *own)) if own else principal


def _basic(header: str | None) -> tuple[str, bytes]:
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    try:
        name, _, password = base64.b64decode(value.strip(), validate=True).partition(b":")
        return name.decode(), password
    except (binascii.Error, UnicodeDecodeError):
        return "", b""


def _check(user: User, secret: str) -> Check:
    return _verifier(secret) if user.password is None else _password(secret)


def _password(password: str) -> Check:
    key = secrets.token_bytes(32)
    digest = hmac.digest(key, password.encode(), "sha256")
    return lambda given: hmac.compare_digest(hmac.digest(key, given, "sha256"), digest)


def _verifier(text: str) -> Check:
    found = VERIFIER.match(text)
    assert found is not None  # noqa: S101 -- Credentials have looked at it
    iterations, salt, stored = int(found[1]), base64.b64decode(found[2]), base64.b64decode(found[3])
    key = secrets.token_bytes(32)
    good: set[bytes] = set()  # digests of the one right password: deriving its key takes milliseconds

    def check(given: bytes) -> bool:
        digest = hmac.digest(key, given, "sha256")
        if digest in good:
            return True
        salted = hashlib.pbkdf2_hmac("sha256", given, salt, iterations)
        right = hmac.compare_digest(hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest(), stored)
        good.update([digest] if right else [])
        return right

    return check


def local(connection: HTTPConnection) -> bool:
    """Whether a request comes from this machine and was addressed to it: a page of another site, whose name was
    made to resolve to this machine, has its own name in Host."""
    client = connection.client.host if connection.client else ""
    return _loopback(client) and _loopback(_without_port(connection.headers.get("host", "")))


def _without_port(host: str) -> str:
    return host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]


@lru_cache(256)
def _loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host[1:-1] if host.startswith("[") else host).is_loopback
    except ValueError:
        return False
