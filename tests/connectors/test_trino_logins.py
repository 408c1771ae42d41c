"""Who asks Trino: a password that changes, a token that runs out, a certificate; and what is said to the wrong ones."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
from pydantic import SecretStr

from connectors.conformance.asking import ask
from connectors.errors import SourceError
from connectors.registry import connect
from connectors.trino.connector import TrinoConnector
from connectors.types import PgType
from tests.faults.proxy import Proxy
from tests.trino_server import TrinoServer
from views.values import SecretRef

pytestmark = [pytest.mark.service, pytest.mark.slow]
Opened = Callable[..., TrinoConnector]
LEEWAY = -60  # seconds by which Trino's clock may differ from that of who made a token


@pytest.fixture
def proxy(trino_server: TrinoServer) -> Iterator[Proxy]:
    with Proxy(trino_server.host, trino_server.secure_port) as made:
        yield made


@pytest.fixture
def opened(trino_server: TrinoServer, proxy: Proxy) -> Iterator[Opened]:
    made: list[TrinoConnector] = []

    def make(**own: Any) -> TrinoConnector:
        given = {**trino_server.options, "port": proxy.port, "source": "logins", "password": None, **own}
        found = connect("trino", "lake", given)
        assert isinstance(found, TrinoConnector)
        made.append(found)
        return found

    yield make
    for each in made:
        each.close()


def who(connector: TrinoConnector, small: bool = True) -> str:
    found = ask(connector, "SELECT current_user AS c0", columns=(PgType("text"),), small=small, timeout=60)
    return str(found.column(0)[0].as_py())


def refused(connector: TrinoConnector) -> SourceError:
    with pytest.raises(SourceError) as error:
        who(connector)
    assert error.value.sqlstate == "08001", error.value
    return error.value


@pytest.mark.parametrize("small", [True, False], ids=["point", "bulk"])
@pytest.mark.parametrize("by", ["password", "token", "certificate"])
def test_each_says_who_asks(trino_server: TrinoServer, opened: Opened, by: str, small: bool) -> None:
    own: dict[str, dict[str, Any]] = {
        "password": {"password": trino_server.password},
        "token": {"jwt": trino_server.token()},
        "certificate": {"tls": trino_server.certificate},
    }
    connector = opened(**own[by])
    assert connector.profile().engine == "trino"
    assert who(connector, small) == trino_server.user


def test_the_wrong_ones(trino_server: TrinoServer, opened: Opened, tmp_path: Path) -> None:
    """Each is told what to mend, and no secret."""
    stranger = trustme.CA().issue_cert("vdw@example.org", common_name=trino_server.user)
    stranger.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    (tmp_path / "client.crt").write_bytes(b"".join(blob.bytes() for blob in stranger.cert_chain_pems))
    papers = {"certificate": str(tmp_path / "client.crt"), "key": str(tmp_path / "client.key")}
    old = trino_server.token(LEEWAY)
    for own in (
        {},
        {"password": "wrong-one"},
        {"jwt": old},
        {"jwt": trino_server.token()[:-4] + "AAAA"},
        {"tls": {**trino_server.certificate, **papers}},
        {"tls": {}, "password": trino_server.password},
    ):
        error = refused(opened(**own))
        told = f"{error} {error.detail} {error.hint}"
        assert not any(secret in told for secret in ("wrong-one", trino_server.password, old[-20:]))


def test_somebody_elses_certificate(trino_server: TrinoServer, opened: Opened) -> None:
    with pytest.raises(SourceError, match="Access Denied"):
        who(opened(tls=trino_server.certificate, user="somebody-else"))


def test_a_password_that_is_rotated(trino_server: TrinoServer, opened: Opened, proxy: Proxy, tmp_path: Path) -> None:
    """Where it stands in a file: no reload, no failure once the server has it too; and no storm of wrong ones."""
    place = tmp_path / "secret"
    trino_server.account("rotated", "first")
    place.write_text("first\n")
    secret = SecretRef(file=str(place)).live(tmp_path, {})
    connector = opened(user="rotated", password=secret)
    until(lambda: who(connector) == "rotated")
    trino_server.account("rotated", "second")
    until(lambda: not accepted(trino_server, "first"))
    place.write_text("second\n")
    assert who(connector) == "rotated"
    trino_server.account("rotated", "third")
    until(lambda: not accepted(trino_server, "second"))
    before = proxy.connections
    with ThreadPoolExecutor(4) as threads:
        errors = list(threads.map(lambda _: refused(connector), range(40)))
    assert proxy.connections - before <= 4 + 3, "no more than the lines that there were, and some trials"
    assert sum("is not tried again" in str(error.detail) for error in errors) >= 30
    assert not any("second" in f"{error} {error.detail}" for error in errors)
    place.write_text("third\n")
    assert who(connector) == "rotated"


def accepted(server: TrinoServer, password: str) -> bool:
    own = {"user": "rotated", "password": password, "source": "logins"}
    connector = connect("trino", "lake", {**server.options, **own})
    try:
        ask(connector, "SELECT 1", small=True, timeout=60)
        return True
    except SourceError:
        return False
    finally:
        connector.close()


def until(condition: Callable[[], bool]) -> None:
    """Whatever the server says meanwhile."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if condition():
                return
        except SourceError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_token_that_is_renewed(trino_server: TrinoServer, opened: Opened, tmp_path: Path) -> None:
    """The one that stands in the file when it is wanted."""
    place = tmp_path / "token"
    place.write_text(trino_server.token(LEEWAY))
    connector = opened(jwt=SecretRef(file=str(place)).live(tmp_path, {}))
    refused(connector)
    place.write_text(trino_server.token())
    assert who(connector) == trino_server.user
    assert isinstance(connector._access.secret, SecretStr)
