"""Secrets by reference: a program tells one, one changes where it stands, and accounts are not locked."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from connectors import logins
from connectors.errors import ConfigError, SourceError
from connectors.logins import Logins
from connectors.secrets import LiveSecret, public, secret_at
from views import secret_command
from views.secret_command import told
from views.values import SecretRef, is_reference, resolve

SAY = "import os, sys; print(sys.argv[1] if len(sys.argv) > 1 else sorted(os.environ))"


class Inner(BaseModel):
    passphrase: SecretStr | None = None
    file: str = ""


class Options(BaseModel):
    host: str = ""
    password: SecretStr | None = None
    tls: Inner | None = None
    headers: dict[str, SecretStr | str] = {}
    members: tuple[Inner, ...] = ()


def test_a_program_tells_a_secret(tmp_path: Path) -> None:
    assert is_reference({"command": ["pass", "crm"]})
    assert not is_reference({"command": "pass crm"}) and not is_reference({"command": []})
    reference = {"command": [sys.executable, "-c", SAY, "hunter 2; `x`"]}
    assert resolve({"password": reference}, tmp_path, os.environ) == {"password": "hunter 2; `x`"}


def test_it_gets_a_small_environment_and_its_own_folder(tmp_path: Path) -> None:
    surroundings = {**os.environ, "CRM_PASSWORD": "hunter2", "LANG": "C.UTF-8"}
    names = told([sys.executable, "-c", SAY], tmp_path, surroundings)
    assert "CRM_PASSWORD" not in names and "'LANG'" in names
    script = tmp_path / "tell"
    script.write_text("#!/bin/sh\npwd\n")
    script.chmod(0o700)
    assert told(["./tell"], tmp_path, surroundings) == str(tmp_path)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["/nowhere/tell", "hunter2"], "cannot run"),
        (
            [sys.executable, "-c", "import sys; print('hunter2'); print('hunter2', file=sys.stderr); sys.exit(3)"],
            "code 3",
        ),
        ([sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'hunter2\\xff')"], "UTF-8"),
        ([sys.executable, "-c", "print('hunter2' * 100_000)"], "more than 64 kB"),
        (["/bin/sh", "-c", "echo hunter2; sleep 60 & sleep 60"], "did not end"),
        (["a\0b"], "cannot run"),
    ],
)
def test_what_goes_wrong_with_it_gives_nothing_away(
    tmp_path: Path, command: list[str], words: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(secret_command, "TIMEOUT", 1.0)
    with pytest.raises(ConfigError) as error:
        SecretRef.model_validate({"command": command}).resolve(tmp_path, os.environ)
    assert words in error.value.message
    assert "hunter2" not in f"{error.value} {error.value.hint} {error.value.detail}{capfd.readouterr()}"


def test_where_a_model_takes_secrets() -> None:
    given = [("password",), ("tls", "passphrase"), ("headers", "X"), ("members", 0, "passphrase")]
    assert all(secret_at(Options, path) for path in given)
    assert not any(
        secret_at(Options, path) for path in [("host",), ("tls",), ("tls", "file"), ("members",), ("x", "y")]
    )
    options = {
        "host": "db", "password": "hunter2", "tls": {"passphrase": "hunter2", "file": "f"}, "headers": {"X": "hunter2"},
        "members": [{"passphrase": "hunter2", "file": "g"}],
    }  # fmt: skip
    kept = public(Options, options)
    assert kept == {"host": "db", "tls": {"file": "f"}, "headers": {}, "members": [{"file": "g"}]}


def test_a_file_that_changes(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("one\n")
    secret = SecretRef(file="secret").live(tmp_path, {})
    assert isinstance(secret, LiveSecret)
    assert Options(password=secret).password is secret, "models pass it on as it is"
    assert secret.get_secret_value() == "one"
    (tmp_path / "new").write_text("two\n")
    (tmp_path / "new").replace(file)
    assert secret.get_secret_value() == "two"
    file.unlink()
    assert secret.get_secret_value() == "two", "it is on its way"
    file.write_text("three\n")
    assert secret.get_secret_value() == "three"
    assert not any(word in f"{secret!r} {secret} {secret.__dict__['_where']}" for word in ("two", "three"))


def test_what_a_program_says_counts_for_a_while(tmp_path: Path) -> None:
    said: list[str] = []
    secret = LiveSecret("x", lambda: said.append("") or str(len(said)), interval=0.2)  # type: ignore[func-returns-value]
    assert [secret.get_secret_value() for _ in range(5)] == ["1"] * 5
    assert secret.renew("1"), "refused: asked at once"
    assert secret.renew("1") and len(said) == 2, "another was refused that one too"
    time.sleep(0.3)
    assert secret.get_secret_value() == "3"


class Server:
    """Counts logins."""

    def __init__(self, right: str) -> None:
        self.right = right
        self.tried: list[str | None] = []
        self.lock = threading.Lock()

    def __call__(self, secret: str | None) -> str:
        with self.lock:
            self.tried.append(secret)
        if secret != self.right:
            raise PermissionError(secret)
        return "connection"


def refused(error: Exception) -> bool:
    return isinstance(error, PermissionError)


def test_refused_once_and_right_then(tmp_path: Path) -> None:
    where = {"it": "old"}
    logins = Logins("crm", LiveSecret("x", lambda: where["it"], interval=3600))
    server = Server("old")
    assert logins.open(server, refused, 1) == "connection"
    server.right = where["it"] = "new"
    assert logins.open(server, refused, 1) == "connection"
    assert server.tried == ["old", "old", "new"]
    assert logins.scrub("old and new") == "*** and ***"


def test_a_wrong_secret_is_no_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "FIRST", 0.2)
    door, server = Logins("crm", SecretStr("wrong")), Server("right")
    errors: list[Any] = []

    def ask() -> None:
        for _ in range(20):
            try:
                door.open(server, refused, 1)
            except (PermissionError, SourceError) as error:
                errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.tried) == 1 and len(errors) == 160
    told = next(error for error in errors if isinstance(error, SourceError))
    assert told.sqlstate == "08001" and "not tried again" in (told.detail or "")
    time.sleep(0.25)
    with pytest.raises(PermissionError):
        door.open(server, refused, 1)
    time.sleep(0.25)
    with pytest.raises(SourceError):  # twice as long now
        door.open(server, refused, 1)
    time.sleep(0.2)
    server.right = "wrong"
    assert door.open(server, refused, 1) == "connection"
    assert len(server.tried) == 3


def test_what_is_no_refusal_waits_for_nothing() -> None:
    door = Logins("crm", SecretStr("right"))

    def down(_secret: str | None) -> None:
        raise ConnectionError

    for _ in range(5):
        with pytest.raises(ConnectionError):
            door.open(down, refused, 1)
    assert door.open(Server("right"), refused, 1) == "connection"


def test_one_tries_while_others_wait() -> None:
    """While a secret is not known to be right, a server that counts wrong logins sees one at a time."""
    door, server = Logins("crm", SecretStr("right")), Server("right")
    at_once, most, lock = [0], [0], threading.Lock()

    def attempt(secret: str | None) -> str:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        time.sleep(0.1)
        with lock:
            at_once[0] -= 1
        return server(secret)

    threads = [threading.Thread(target=lambda: door.open(attempt, refused, 5)) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    assert most[0] == 1
    for thread in threads:
        thread.join()
    assert len(server.tried) == 4
