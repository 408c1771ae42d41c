"""The canon for tests: one embedded PostgreSQL for the whole session, its shells as the last `install` left them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from federation.canon.server import Canon
from federation.canon.shell import install_relations


@pytest.fixture(scope="session")
def canon() -> Iterator[Canon]:
    """Started, with the supporting schema and no shells."""
    with Canon() as server:
        install_relations(server.dsn(), [])
        yield server
