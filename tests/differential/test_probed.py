"""Placement invariance over engines that are known by their dialect alone: through SQLAlchemy, then probed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.probe.command import Wanted, probe
from tests.differential.cases import load
from tests.differential.data import tables
from tests.differential.loaders import drop_all, load_all
from tests.differential.placements import ENGINES, draw, write_project
from tests.differential.suite import Running
from tests.differential.test_differential import Oracles, Placed, check, deep_views
from tests.servers import Server

CASES = load()
DRIVERS = {"postgresql": "postgresql+psycopg", "mariadb": "mariadb+pymysql", "duckdb": "duckdb", "sqlite": "sqlite"}


class Probed(Placed):
    """A placement whose sources are asked through SQLAlchemy, which has no table for them, with what was proven."""

    def __init__(self, seed: int, engines: tuple[str, ...], folder: Path, servers: dict[str, Server]) -> None:
        self.placement, self.zone, self._servers = draw(seed, tables(), engines), "UTC", servers
        self._connections = load_all(folder, self.placement.all, servers, f"probed{seed}")
        views = (*self.placement.views, *deep_views())
        write_project(folder, f"probed-{seed}", self._connections, views)
        for source, connection in self._connections.items():
            told = {"kind": "sqlalchemy", "connection": generic(ENGINES[source], connection)}
            (folder / "sources" / f"{source}.yml").write_text(yaml.safe_dump(told))
        for source in self._connections:
            assert probe(Wanted(folder, source, 0, 1000, dry=False, as_json=True)) == 0
        self.running = Running(folder)


def generic(kind: str, connection: dict[str, Any]) -> dict[str, Any]:
    """The `connection:` of kind sqlalchemy to the same."""
    given = {key: value for key, value in connection.items() if key != "path"}
    url = f"{DRIVERS[kind]}://" + (f"/{connection['path']}" if "path" in connection else "")
    return {"url": url, **given}


@pytest.fixture(scope="module", params=[3])
def probed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql: Server, mariadb: Server
) -> Iterator[Probed]:
    servers = {"postgresql": postgresql, "mariadb": mariadb}
    made = Probed(request.param, ("plain", "icu", "maria"), tmp_path_factory.mktemp("probed"), servers)
    yield made
    made.running.close()
    drop_all(made._connections, servers)


@pytest.mark.service
@pytest.mark.slow
def test_probed(probed: Probed, oracles: Oracles) -> None:
    assert probed.running.diagnostics == []
    for case in CASES[::6]:
        check(case, probed, oracles)
