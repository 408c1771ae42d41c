"""How busy a source says it is: statements of others, not ours; who may not know is told nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from connectors import registry
from connectors.base import Connector, Pressure
from tests.servers import Server

pytestmark = pytest.mark.service


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def connector(server: Server) -> Iterator[Connector]:
    made = registry.connect(server.kind, "shop", server.options)
    yield made
    made.close()


@contextmanager
def others(server: Server, count: int) -> Iterator[None]:
    """So many statements of others run."""
    sleep = "SELECT pg_sleep(1.5)" if server.kind == "postgresql" else "SELECT SLEEP(1.5)"
    threads = [threading.Thread(target=server.run, args=(sleep,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    yield
    for thread in threads:
        thread.join()


def asked(connector: Connector) -> Pressure:
    return connector.pressure()  # type: ignore[attr-defined,no-any-return]


def test_statements_of_others_are_counted(server: Server, connector: Connector) -> None:
    before = asked(connector)
    assert before.lag is None  # nobody follows it, and it follows nobody
    assert before.running is not None
    with others(server, 3):
        found = asked(connector)
    assert found.running == before.running + 3


def test_who_may_not_see_others_is_told_nothing(postgresql: Server) -> None:
    postgresql.run("CREATE ROLE blind LOGIN PASSWORD 'x'")
    try:
        connector = registry.connect("postgresql", "shop", {**postgresql.options, "user": "blind", "password": "x"})
        assert asked(connector) == Pressure(None, None)
        connector.close()
    finally:
        postgresql.run("DROP ROLE blind")
