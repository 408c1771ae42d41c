"""Fixtures for all tests: private database servers, one of each per session."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TypeVar

import pytest

from tests import trino_server as trino
from tests.servers import Missing, Server, running
from tests.trino_server import TrinoServer

# A gate that runs in the background of a shell ignores Ctrl-C, and so would every process that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ("tests.canon_fixture",)
S = TypeVar("S", bound=Server)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-plans", action="store_true", help="write the golden plans of tests/plans anew")
    parser.addoption("--update-screenshots", action="store_true", help="write the pictures of docs/images anew")


def _server(started: AbstractContextManager[S]) -> Iterator[S]:
    try:
        with started as server:
            yield server
    except Missing as reason:
        if os.environ.get("CI"):
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
def trino_server() -> Iterator[TrinoServer]:
    """A private Trino; as above."""
    yield from _server(trino.running())
