"""Processes that PostgreSQL may use for one statement."""

from __future__ import annotations

import pytest

from connectors.conformance.asking import ask
from connectors.registry import connect
from tests.servers import Server

pytestmark = pytest.mark.service


@pytest.mark.parametrize("small", [True, False], ids=["point", "bulk"])
@pytest.mark.parametrize("workers", [0, 3])
def test_the_owner_says_how_many_processes_serve_a_statement(postgresql: Server, small: bool, workers: int) -> None:
    connector = connect("postgresql", "shop", {**postgresql.options, "parallel_workers": workers})
    try:
        text = "SELECT current_setting('max_parallel_workers_per_gather')::int8"
        assert ask(connector, text, small=small).column(0).to_pylist() == [workers]
    finally:
        connector.close()
