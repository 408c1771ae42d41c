"""Connections that lay idle: for hours, behind a network that forgot them, dead all at once; and new passwords."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Connector
from connectors.conformance.asking import ask
from connectors.errors import Error, SourceError
from connectors.registry import connect
from connectors.stopping import GRACE
from tests.faults.proxy import Proxy
from tests.servers import Server
from views.values import SecretRef

pytestmark = pytest.mark.service
BOTH = pytest.mark.parametrize("small", [True, False], ids=["point", "bulk"])
ONE = "SELECT 1"


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    with Proxy(server.host, server.port) as made:
        yield made


@pytest.fixture
def connector(server: Server, proxy: Proxy) -> Iterator[Connector]:
    made = connect(server.kind, "crm", {**server.options, "port": proxy.port, "pool_size": 4})
    yield made
    made.close()


def later(connector: Any, seconds: float) -> None:
    """The idle connections have lain there for so much longer."""
    assert connector._leases._idle
    for lease in connector._leases._idle:
        lease.since -= seconds
        lease.opened -= seconds


def one(connector: Connector, small: bool, timeout: float = 10) -> int:
    found: int = ask(connector, ONE, small=small, timeout=timeout).column(0)[0].as_py()
    return found


@BOTH
def test_idle_for_two_hours(connector: Connector, proxy: Proxy, small: bool) -> None:
    assert one(connector, small) == 1
    before = proxy.connections
    assert one(connector, small) == 1 and proxy.connections == before, "it is used again"
    later(connector, 7200)
    assert one(connector, small) == 1 and before < proxy.connections <= before + 2  # ADBC connects twice


@BOTH
@pytest.mark.parametrize("idle", [0, 60])
def test_a_network_that_swallows_what_an_idle_connection_sends(
    connector: Connector, proxy: Proxy, small: bool, idle: int
) -> None:
    """No longer than its timeout and a little; the next one works."""
    assert one(connector, small) == 1
    later(connector, idle)
    began = time.monotonic()
    with proxy.silent(), pytest.raises(Error) as error:
        one(connector, small, timeout=2)
    assert time.monotonic() - began < 2 + 2 * GRACE + 5
    assert error.value.sqlstate in ("57014", "08001", "08006"), error.value
    assert one(connector, small) == 1


@BOTH
def test_all_dead_at_once(connector: Connector, proxy: Proxy, small: bool) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda _: one(connector, small), range(16))) == [1] * 16
        proxy.cut()
        assert list(threads.map(lambda _: one(connector, small), range(16))) == [1] * 16


def alter(server: Server, user: str, password: str) -> None:
    if server.kind == "postgresql":
        server.run(f"ALTER ROLE {user} PASSWORD '{password}'")
        server.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'")
    else:
        server.run(f"ALTER USER {user}@'%' IDENTIFIED BY '{password}'", f"KILL CONNECTION USER {user}")


@BOTH
@pytest.mark.parametrize("how", ["file", "command"])
def test_a_password_that_is_rotated(server: Server, proxy: Proxy, tmp_path: Path, small: bool, how: str) -> None:
    """Where it stands in a file or a program tells it: no reload, no failure, at most one wrong login."""
    user, place = "rotated", tmp_path / "secret"
    if server.kind == "postgresql":
        server.run(f"DROP ROLE IF EXISTS {user}", f"CREATE ROLE {user} LOGIN PASSWORD 'first'")
    else:
        server.run(f"CREATE OR REPLACE USER {user}@'%' IDENTIFIED BY 'first'", f"GRANT SELECT ON shop.* TO {user}@'%'")
    place.write_text("first\n")
    reference = SecretRef(file=str(place)) if how == "file" else SecretRef(command=("cat", str(place)))
    secret = reference.live(tmp_path, {"PATH": "/usr/bin:/bin"})
    options = {**server.options, "port": proxy.port, "user": user, "password": secret, "tls": {"mode": "disable"}}
    connector = connect(server.kind, "crm", options)
    try:
        assert one(connector, small) == 1
        alter(server, user, "second")
        place.write_text("second\n")
        before = proxy.connections
        assert one(connector, small) == 1
        assert proxy.connections <= before + 3, "a wrong one, and the right one (ADBC connects twice)"
        alter(server, user, "third")
        before, refused = proxy.connections, 0
        end = time.monotonic() + 2
        while time.monotonic() < end:
            with pytest.raises(SourceError) as error:
                one(connector, small)
            refused += 1
            assert error.value.sqlstate == "08001"
            assert not any(word in f"{error.value} {error.value.detail}" for word in ("first", "second", "third"))
        assert refused > 5 and proxy.connections - before <= 3, "no storm"
        place.write_text("third\n")
        end = time.monotonic() + (0 if how == "file" else 20)
        while time.monotonic() < end:
            try:
                one(connector, small)
                break
            except SourceError:
                time.sleep(0.1)
        assert one(connector, small) == 1
    finally:
        connector.close()
