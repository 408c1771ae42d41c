"""A network between us and Trino that swallows packets, and lines that lay idle for hours."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import pyarrow as pa
import pytest

from connectors.base import Cancel
from connectors.conformance.asking import ask, statement
from connectors.errors import Error, TimedOut
from connectors.registry import connect
from connectors.stopping import GRACE
from connectors.trino.connector import TrinoConnector
from tests.connectors.test_old_connections import later
from tests.connectors.test_old_connections import one as within
from tests.faults.proxy import Proxy
from tests.trino_server import TrinoServer

pytestmark = [pytest.mark.service, pytest.mark.slow]
TIMEOUT = 2.0
BOUND = TIMEOUT + 2 * GRACE + 5
DOORS = pytest.mark.parametrize("door", ["plain", "tls"])
MANY = 'SELECT sequential_number AS c0 FROM TABLE("sequence"(1, 3000000))'


def one(connector: TrinoConnector, small: bool, timeout: float = 60) -> int:
    """As for other sources, of a server that others keep busy."""
    return within(connector, small, timeout)


@pytest.fixture
def proxy(trino_server: TrinoServer, door: str) -> Iterator[Proxy]:
    port = trino_server.port if door == "plain" else trino_server.secure_port
    with Proxy(trino_server.host, port) as made:
        yield made


@pytest.fixture
def connector(trino_server: TrinoServer, proxy: Proxy, door: str) -> Iterator[TrinoConnector]:
    own = {"host": proxy.host, "catalog": "memory"} if door == "plain" else trino_server.options
    made = connect("trino", "network", {**own, "port": proxy.port, "pool_size": 2, "source": "network"})
    assert isinstance(made, TrinoConnector)
    made.profile()
    yield made
    made.close()


@DOORS
def test_idle_for_two_hours(connector: TrinoConnector, proxy: Proxy) -> None:
    assert one(connector, True) == 1
    before = proxy.connections
    assert one(connector, True) == 1
    later(connector, 7200)
    assert one(connector, True) == 1
    assert proxy.connections > before, "another line"


@DOORS
@pytest.mark.parametrize(("small", "idle"), [(True, 0), (False, 60)], ids=["point", "bulk, doubtful"])
def test_a_network_that_swallows_what_an_idle_line_sends(
    connector: TrinoConnector, proxy: Proxy, small: bool, idle: int
) -> None:
    """No longer than its timeout and a little; the next one works."""
    assert one(connector, small) == 1
    later(connector, idle)
    began = time.monotonic()
    with proxy.silent(), pytest.raises(Error) as error:
        one(connector, small, timeout=TIMEOUT)
    assert time.monotonic() - began < BOUND
    assert error.value.sqlstate in ("57014", "08001", "08006"), error.value
    assert one(connector, small) == 1


@DOORS
def test_a_network_that_falls_silent_in_the_middle_of_an_answer(connector: TrinoConnector, proxy: Proxy) -> None:
    answer, timeout = begun(connector)
    began = time.monotonic()
    with proxy.silent(), pytest.raises(Error) as error:
        list(answer)
    assert time.monotonic() - began < BOUND + timeout
    assert error.value.sqlstate in ("57014", "08006"), error.value
    assert one(connector, False) == 1


def begun(connector: TrinoConnector) -> tuple[Iterator[pa.RecordBatch], float]:
    """A large answer of which some has come, and its timeout: the least that serves on a busy machine."""
    for timeout in (4.0, 8.0, 16.0, 32.0):
        answer = connector.execute(statement(MANY), timeout=timeout, cancel=Cancel())
        with contextlib.suppress(TimedOut):
            assert next(answer).num_rows
            return answer, timeout
    raise AssertionError("nothing comes")


@DOORS
def test_all_lines_are_cut(connector: TrinoConnector, proxy: Proxy) -> None:
    assert one(connector, True) == 1
    proxy.cut()
    assert one(connector, True) == 1
    assert len(ask(connector, 'SELECT sequential_number AS c0 FROM TABLE("sequence"(1, 10))')) == 10
