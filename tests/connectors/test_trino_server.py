"""A Trino of its own that is stopped, restarted and paused: with --deep, as each start takes half a minute."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.conformance import cases
from connectors.conformance.conduct import (  # noqa: F401
    test_a_restarted_server_is_found_again,
    test_a_server_that_dies_in_the_middle,
    test_a_server_that_hangs,
)
from tests import trino_server as trino
from tests.connectors.trino_cases import MEMORY
from tests.trino_server import TrinoServer

pytestmark = pytest.mark.deep
case = cases(MEMORY)


@pytest.fixture(scope="module")
def trino_server() -> Iterator[TrinoServer]:
    with trino.running() as server:
        yield server
