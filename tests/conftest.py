"""Fixtures for all tests: private database servers, one of each per session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.servers import Missing, Server, running

pytest_plugins = ("tests.canon_fixture",)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-plans", action="store_true", help="write the golden plans of tests/plans anew")


def _server(kind: str) -> Iterator[Server]:
    try:
        with running(kind) as server:
            yield server
    except Missing as reason:
        if os.environ.get("CI"):
            pytest.fail(str(reason))
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A private PostgreSQL; skipped with the reason where it is not installed, failed in CI."""
    yield from _server("postgresql")


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """A private MariaDB; as above."""
    yield from _server("mariadb")
