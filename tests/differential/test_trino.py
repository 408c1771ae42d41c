"""Placement invariance where Trino holds tables: all of them, and some beside a file of SQLite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.cases import load
from tests.differential.data import tables
from tests.differential.placements import draw
from tests.differential.test_differential import Oracles, Placed, check
from tests.trino_server import TrinoServer

CASES = load()
SHARE = 24  # one query in so many, others at each placement


@pytest.fixture(scope="module", params=[(2, ("trino",)), (3, ("trino", "lite"))], ids=["alone", "beside SQLite"])
def placed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, trino_server: TrinoServer
) -> Iterator[Placed]:
    seed, engines = request.param
    folder = tmp_path_factory.mktemp("trino")
    made = Placed(draw(seed, tables(), engines), folder, {"trino": trino_server}, f"test{seed}", "UTC")
    yield made
    made.close()


@pytest.mark.service
@pytest.mark.slow
def test_trino(placed: Placed, oracles: Oracles) -> None:
    assert placed.running.diagnostics == []
    assert any(piece.source == "trino" for piece in placed.placement.all)
    for case in CASES[placed.placement.seed :: SHARE]:
        check(case, placed, oracles)
