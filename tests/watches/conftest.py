"""Receivers for each test, and a server of a project's alerts."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.watches.receivers import PostOffice, Web


@pytest.fixture
def web() -> Iterator[Web]:
    """A webhook's receiver."""
    made = Web()
    yield made
    made.close()


@pytest.fixture
def office() -> Iterator[PostOffice]:
    """A mail server without TLS."""
    made = PostOffice()
    yield made
    made.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """An authority's file, and the context of a server that it vouches for."""
    made = trustme.CA()
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    made.cert_pem.write_to_path(str(path))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return path, context
