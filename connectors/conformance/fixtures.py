"""The suite's fixtures: a case, its site, a connector to it, and tables with every type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.base import Connector
from connectors.conformance.case import Case, Site
from connectors.registry import connect


def cases(*under_test: Case) -> Any:
    """The fixture `case`: each test of the suite that sees it runs once for each of these."""
    params = [pytest.param(case, id=case.name, marks=case.marks) for case in under_test]

    @pytest.fixture(scope="module", params=params)
    def case(request: pytest.FixtureRequest) -> Case:
        """The connector under test."""
        found: Case = request.param
        return found

    return case


@pytest.fixture(scope="module")
def site(case: Case, request: pytest.FixtureRequest) -> Iterator[Site]:
    """Its source, with data that tests may add to."""
    with case.open(request) as opened:
        yield opened


@pytest.fixture
def connector(case: Case, site: Site) -> Iterator[Connector]:
    """A connector of at most three connections."""
    connected = connect(case.kind, "shop", {**site.options, "pool_size": 3})
    yield connected
    connected.close()


@pytest.fixture(scope="module")
def samples(case: Case, site: Site) -> str:
    """A table with one column per sample, and as many rows as the longest sample has values."""
    columns = ", ".join(f"{sample.column} {sample.ddl}" for sample in case.samples)
    rows = range(max(len(sample.values) for sample in case.samples))
    site.run(f"CREATE TABLE samples (id int PRIMARY KEY, {columns})", *(_insert(case, row) for row in rows))
    return placed(case, "samples")


def _insert(case: Case, row: int) -> str:
    literals = ", ".join(sample.values[row % len(sample.values)][0] for sample in case.samples)
    return f"INSERT INTO samples VALUES ({row}, {literals})"


def placed(case: Case, name: str) -> str:
    """A table's name with its schema."""
    return f"{case.schema}.{name}" if case.schema else name


@pytest.fixture
def watched(case: Case, site: Site) -> Callable[[str | None], int]:
    """Asks the server's own statistics."""
    server = site.server
    if server is None or case.active is None:
        pytest.skip("an embedded engine has no server to watch")
    return lambda sql: int(server.run(str(sql))[0][0])
