"""Which queries the gate asks where: each of them at two of the three sites, another one left out each time."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from federation.canon.server import Canon
from tests.differential.data import tables
from tests.differential.oracle import filled
from tests.differential.test_differential import CASES, FAST_SHARE, SERVED, Oracles

SITES = (None, *SERVED)  # embedded, and each placement on servers


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The rest is marked deep."""
    numbers = {case.name: number for number, case in enumerate(CASES)}
    for item in items:
        if getattr(item, "originalname", "") in ("test_embedded", "test_served") and "differential" in item.nodeid:
            params = item.callspec.params  # type: ignore[attr-defined]
            number, site = numbers[params["case"].name], SITES.index(params.get("served"))
            if number % len(SITES) == site and (site or number % FAST_SHARE):
                item.add_marker("deep")


@pytest.fixture(scope="session")
def oracles(canon: Canon) -> Iterator[Oracles]:
    names = ("oracle", "oracle_shuffled")
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}".encode())
        one, shuffled = (filled(canon.dsn(dbname=name), tables(), s) for name, s in zip(names, (None, 7), strict=True))
        yield Oracles(one, shuffled)
        one.close()
        shuffled.close()
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
