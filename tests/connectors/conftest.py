"""Each test of the conformance suite runs once per connector of CASES."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.base import Connector
from connectors.registry import connect
from tests.connectors.cases import CASES, Case, Site
from tests.connectors.embedded_cases import EMBEDDED

PARAMS = [pytest.param(case, id=case.kind, marks=case.marks) for case in (*CASES, *EMBEDDED)]


@pytest.fixture(scope="module", params=PARAMS)
def case(request: pytest.FixtureRequest) -> Case:
    """The connector under test."""
    found: Case = request.param
    return found


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
