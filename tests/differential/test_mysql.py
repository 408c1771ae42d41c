"""Placement invariance where MySQL holds tables: all of them, and some beside a file of SQLite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.differential.cases import load
from tests.differential.data import tables
from tests.differential.placements import draw
from tests.differential.test_differential import Oracles, Placed, check
from tests.mysql_server import MysqlServer

CASES = load()
SHARE = 24  # one query in so many, others at each placement


@pytest.fixture(scope="module", params=[(2, ("my",)), (3, ("my", "lite"))], ids=["alone", "beside SQLite"])
def placed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mysql: MysqlServer
) -> Iterator[Placed]:
    seed, engines = request.param
    folder = tmp_path_factory.mktemp("mysql")
    made = Placed(draw(seed, tables(), engines), folder, {"mysql": mysql}, f"test{seed}", "UTC")
    yield made
    made.close()


@pytest.mark.service
@pytest.mark.slow
def test_mysql(placed: Placed, oracles: Oracles) -> None:
    assert placed.running.diagnostics == []
    assert any(piece.source == "my" for piece in placed.placement.all)
    for case in CASES[placed.placement.seed :: SHARE]:
        check(case, placed, oracles)
