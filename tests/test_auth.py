"""Basic authentication by passwords and by SCRAM verifiers, and who may come without."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import HTTPConnection

from api.auth import Principal, Users, local
from connectors.errors import ConfigError
from views.files import ProjectFile


def verifier(password: str, iterations: int = 4096) -> str:
    salt = b"0123456789abcdef"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = [base64.b64encode(part).decode() for part in (salt, stored, server)]
    return f"SCRAM-SHA-256${iterations}:{parts[0]}${parts[1]}:{parts[2]}"


@pytest.fixture
def users() -> Users:
    file = ProjectFile.model_validate(
        {
            "name": "x",
            "users": {
                "ada": {"password": {"env": "ADA"}, "reads": ["crm.*", "shop.orders"]},
                "bob": {"scram": {"verifier": {"env": "BOB"}}, "reads": ["*"]},
            },
        }
    )
    return Users.of(file, Path(), {"ADA": "pass:wörd", "BOB": verifier("secret")})


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(("credentials", "name"), [("ada:pass:wörd", "ada"), ("bob:secret", "bob")])
def test_right_password(users: Users, credentials: str, name: str) -> None:
    for _ in range(2):  # the second time a verifier need not be reckoned again
        found = users.authenticate(basic(credentials))
        assert found is not None
        assert found.name == name


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff:x").decode(),
        "Bearer " + base64.b64encode("ada:pass:wörd".encode()).decode(),
        *(
            basic(text)
            for text in ("ada:", "ada:pass", "ada", "bob:Secret", "bob:", "eve:secret", ":", "Ada:pass:wörd")
        ),
    ],
)
def test_anything_else(users: Users, header: str | None) -> None:
    assert users.authenticate(header) is None


def test_missing_secret_is_named() -> None:
    file = ProjectFile.model_validate({"name": "x", "users": {"ada": {"password": {"env": "NOWHERE"}}}})
    with pytest.raises(ConfigError, match="NOWHERE"):
        Users.of(file, Path(), {})


def test_malformed_verifier_is_not_printed() -> None:
    file = ProjectFile.model_validate({"name": "x", "users": {"ada": {"scram": {"verifier": {"env": "V"}}}}})
    with pytest.raises(ConfigError, match='user "ada"') as caught:
        Users.of(file, Path(), {"V": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_reads() -> None:
    ada = Principal("ada", ("crm.*", "shop.orders"))
    assert [ada.may_read(key) for key in (("crm", "x"), ("shop", "orders"), ("shop", "x"), ("crmx", "x"))] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("client", "host", "expected"),
    [
        ("127.0.0.1", "localhost:8080", True),
        ("::1", "[::1]:8080", True),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "evil.example", False),
        ("127.0.0.1", "127.0.0.1.evil.example", False),
        ("10.0.0.1", "localhost", False),
        (None, "localhost", False),
    ],
)
def test_local(client: str | None, host: str, expected: bool) -> None:
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "scheme": "http"}
    scope |= {
        "headers": [(b"host", host.encode())],
        "client": (client, 1) if client else None,
        "server": ("127.0.0.1", 1),
    }
    assert local(HTTPConnection(scope)) is expected
