"""The engines with their traps, made once for a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest

from api.probe.oracle import Oracle
from federation.canon.server import Canon
from tests.capability import sites
from tests.capability.sites import Site
from tests.servers import Server


@pytest.fixture(scope="session")
def oracle(canon: Canon) -> Iterator[Oracle]:
    """A database of the canon's own server, for the traps."""
    with psycopg.connect(canon.dsn(), autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS traps")
        admin.execute("CREATE DATABASE traps")
    with psycopg.connect(canon.dsn(dbname="traps"), autocommit=True) as connection:
        yield Oracle(connection)


@pytest.fixture(scope="session")
def pg(postgresql: Server, oracle: Oracle) -> Iterator[Site]:
    with sites.postgresql(postgresql, oracle) as site:
        yield site


@pytest.fixture(scope="session")
def maria(mariadb: Server, oracle: Oracle) -> Iterator[Site]:
    with sites.mariadb(mariadb, oracle) as site:
        yield site


@pytest.fixture(scope="session")
def my(mysql: Server, oracle: Oracle) -> Iterator[Site]:
    with sites.mariadb(mysql, oracle) as site:
        yield site


@pytest.fixture(scope="session")
def lite(tmp_path_factory: pytest.TempPathFactory, oracle: Oracle) -> Iterator[Site]:
    with sites.sqlite(tmp_path_factory.mktemp("lite"), oracle) as site:
        yield site


@pytest.fixture(scope="session")
def fetched(pg: Site) -> pa.Table:
    """The traps as Arrow, with what DuckDB can hold too."""
    return sites.fetch(pg)


@pytest.fixture(scope="session")
def duck(tmp_path_factory: pytest.TempPathFactory, pg: Site, fetched: pa.Table) -> Iterator[Site]:
    folder: Path = tmp_path_factory.mktemp("duck")
    with sites.duck(folder, fetched, pg.held, pg.oracle) as site:
        yield site


@pytest.fixture(scope="session")
def duck_loose(tmp_path_factory: pytest.TempPathFactory, pg: Site, fetched: pa.Table) -> Iterator[Site]:
    with sites.duck(tmp_path_factory.mktemp("loose"), fetched, pg.held, pg.oracle, loose=True) as site:
        yield site


@pytest.fixture(scope="session")
def merge(pg: Site, fetched: pa.Table) -> Iterator[Site]:
    with sites.merge(fetched, pg.held, pg.oracle) as site:
        yield site
