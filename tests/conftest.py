"""Fixtures for all tests: private database servers, one of each per session."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings

from tests import mysql_server, s3_server
from tests.mysql_server import MysqlServer, Unobtainable
from tests.s3_server import S3Server
from tests.servers import Missing, Server, running
from tests.shared import shared
from tests.trino_server import TrinoServer

# A gate that runs in the background of a shell ignores Ctrl-C, and so would every process that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test asserts timing: an example that is slow on a busy machine is no failure.
settings.register_profile("vdw", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vdw")

pytest_plugins = ("tests.canon_fixture", "tests.command_line")
collect_ignore = ["third_party"]  # packages of their own: test_new_connector.py installs them and runs their tests
S = TypeVar("S", bound=Server)


# Files that take longest, in this order: those that start last decide when the whole is done. The rest as collected.
LONGEST_FIRST = (
    "tests/differential/test_differential.py",
    "tests/differential/test_probed.py",
    "tests/capability/test_trino.py",  # and the others that share its server
    "tests/connectors/test_trino.py",
    "tests/differential/test_trino.py",
    "tests/connectors/test_trino_network.py",
    "tests/capability/test_claims.py",
    "tests/test_tryton.py",
    "tests/differential/test_source_down.py",
    "tests/test_cli.py",
    "tests/faults/test_network.py",
    "tests/test_new_connector.py",
    "tests/test_probe.py",
    "tests/fuzz/test_fuzz.py",
    "tests/slt/test_slt.py",
    "tests/test_demo.py",
    "tests/faults/test_life.py",
    "tests/faults/test_canaries.py",
    "tests/capability/test_probe.py",
    "tests/dashboards/test_page.py",
    "tests/faults/test_clients.py",
    "tests/faults/test_processes.py",
    "tests/faults/test_files.py",
    "tests/faults/test_sources.py",
    "tests/crowd/test_crowd.py",
    "tests/capability/test_aggregates.py",
    "tests/graphql/test_engine.py",
    "tests/canon/test_server.py",
    "tests/connectors/test_conduct.py",
    "tests/pgwire/test_rows.py",
    "tests/test_example.py",
    "tests/plans/test_plans.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-plans", action="store_true", help="write the golden plans of tests/plans anew")
    parser.addoption("--update-screenshots", action="store_true", help="write the pictures of docs/images anew")
    parser.addoption("--deep", action="store_true", help="also what is marked deep, of which the gate has a sample")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--deep"):
        deep = [item for item in items if item.get_closest_marker("deep")]
        config.hook.pytest_deselected(items=deep)
        items[:] = [item for item in items if not item.get_closest_marker("deep")]
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.nodeid.split("::")[0], len(places)))


def _server(started: AbstractContextManager[S]) -> Iterator[S]:
    try:
        with started as server:
            yield server
    except Missing as reason:
        if os.environ.get("CI") and not isinstance(reason, Unobtainable):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A private PostgreSQL; skipped with the reason where it is not installed, failed in CI."""
    yield from _server(running("postgresql"))


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """A private MariaDB; as above."""
    yield from _server(running("mariadb"))


@pytest.fixture(scope="session")
def mysql() -> Iterator[MysqlServer]:
    """The MySQL that all workers of this run share, which nobody may stop; as above, but skipped in CI too where Debian
    has no such package (tests/mysql_server.py)."""
    yield from _server(shared("tests.mysql_server:running"))


@pytest.fixture(scope="session")
def mysql_alone() -> Iterator[MysqlServer]:
    """A MySQL that its only user may stop; as above."""
    yield from _server(mysql_server.running())


@pytest.fixture(scope="session")
def trino_server() -> Iterator[TrinoServer]:
    """The Trino that all workers of this run share, which nobody may stop: it spools large answers. As above."""
    yield from _server(shared("tests.trino_spooled:running"))


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """A private S3 server; skipped with the reason where it cannot be had, failed in CI."""
    yield from _server(s3_server.running())
