"""Placement invariance: the same queries over random placements of the same data give what one PostgreSQL gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from federation.canon.server import Canon
from tests.differential.cases import Case, load
from tests.differential.data import tables
from tests.differential.loaders import drop_all, load_all
from tests.differential.oracle import Answer, Oracle
from tests.differential.placements import EMBEDDED, ENGINES, Placement, draw, write_project
from tests.differential.suite import Running, compare
from tests.servers import Server

CASES = load()
FAST_SEEDS = (1,)
FAST_SHARE = 6  # one query in so many is in the fast suite
SERVICE_SEEDS = (0, 4, 8)  # mixed, mixed, all at MariaDB


@pytest.fixture(scope="session")
def oracle(canon: Canon) -> Iterator[dict[str, Answer]]:
    """PostgreSQL's answer to every case."""
    import psycopg

    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE oracle")
    holder = Oracle(canon.dsn(dbname="oracle"), tables())
    answers = {case.name: holder.ask(case) for case in CASES}
    holder.close()
    yield answers
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        connection.execute("DROP DATABASE oracle WITH (FORCE)")


def _slow_or_not(number: int, case: Case) -> Any:
    return pytest.param(case, id=case.name, marks=() if number % FAST_SHARE == 0 else (pytest.mark.slow,))


class Placed:
    """A placement that is loaded and served."""

    def __init__(self, placement: Placement, folder: Path, servers: dict[str, Server], tag: str) -> None:
        self.placement, self._servers = placement, servers
        self._connections = load_all(folder, placement, servers, tag)
        write_project(folder, placement, self._connections)
        self.running = Running(folder)

    def close(self) -> None:
        """Stop it, and drop what was loaded on shared servers."""
        self.running.close()
        drop_all(self._connections, self._servers)


def check(case: Case, placed: Placed, oracle: dict[str, Answer]) -> None:
    """Fail with all that is needed to see why."""
    for variant in placed.running.variants(case):
        difference = compare(case, oracle[case.name], placed.running.ask(case, variant))
        if difference is not None:
            said = f"{difference.kind} ({variant}): {difference.text}"
            plan = placed.running.explain(case)
            pytest.fail(f"{said}\n\n{case.sql}\n\n{placed.placement}\n\n{plan}", pytrace=False)


@pytest.fixture(scope="module", params=FAST_SEEDS, ids=lambda seed: f"embedded-{seed}")
def embedded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placed]:
    """Placements on SQLite, Parquet and DuckDB only."""
    folder = tmp_path_factory.mktemp("embedded")
    placed = Placed(draw(request.param, tables(), EMBEDDED), folder, {}, "")
    yield placed
    placed.close()


@pytest.fixture(scope="module", params=SERVICE_SEEDS, ids=lambda seed: f"servers-{seed}")
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql: Server, mariadb: Server
) -> Iterator[Placed]:
    """Placements on all kinds of sources."""
    folder = tmp_path_factory.mktemp("served")
    servers = {"postgresql": postgresql, "mariadb": mariadb}
    placed = Placed(draw(request.param, tables(), tuple(ENGINES)), folder, servers, str(request.param))
    yield placed
    placed.close()


def test_the_suite_is_as_large_as_promised(oracle: dict[str, Answer]) -> None:
    assert len(CASES) >= 450
    faults = {case.name: oracle[case.name] for case in CASES if oracle[case.name].error != case.error}
    assert not faults
    barren = [c.name for c in CASES if not c.error and not c.empty and not oracle[c.name].rows]
    assert not barren, "these queries return no row, so they prove little"


def test_the_placements_load_whole(embedded: Placed) -> None:
    assert embedded.running.diagnostics == []


@pytest.mark.parametrize("case", [_slow_or_not(*each) for each in enumerate(CASES)])
def test_embedded(case: Case, embedded: Placed, oracle: dict[str, Answer]) -> None:
    check(case, embedded, oracle)


@pytest.mark.service
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_served(case: Case, served: Placed, oracle: dict[str, Answer]) -> None:
    check(case, served, oracle)
