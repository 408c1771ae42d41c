"""One PostgreSQL database with data under the names of the views, and a GraphQL service over it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from federation.canon.server import Canon
from tests.graphql import oracle


@pytest.fixture(scope="session")
def data(canon: Canon) -> Iterator[str]:
    """The data's connection string."""
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        connection.execute("create database graphql_data")
    dsn = canon.dsn(dbname="graphql_data")
    with psycopg.connect(dsn, autocommit=True) as connection:
        oracle.load(connection)
    yield dsn
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        connection.execute("drop database graphql_data with (force)")


@pytest.fixture(scope="session")
def engine(data: str) -> Iterator[oracle.PgEngine]:
    """Asks the data itself, merging everything as the canon does."""
    made = oracle.PgEngine(data, oracle.catalog())
    yield made
    made.close()


@pytest.fixture(scope="session")
def streaming(data: str) -> Iterator[oracle.PgEngine]:
    """The same, whose plans stream: flat rows, encoded here."""
    made = oracle.PgEngine(data, oracle.catalog(), streams=True)
    yield made
    made.close()
