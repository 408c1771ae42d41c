"""Placement invariance: the same queries over random placements of the same data give what one PostgreSQL gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tests.differential.cases import Case, load
from tests.differential.data import tables
from tests.differential.generate import random_cases
from tests.differential.loaders import drop_all, load_all
from tests.differential.oracle import Answer, Oracle, deep_views
from tests.differential.placements import EMBEDDED, USUAL, Placement, draw, write_project
from tests.differential.suite import Running, compare
from tests.servers import Server

CASES = load()
FAST_SEED = 1
FAST_SHARE = 12  # one query in so many is in the fast suite
# (placement, time zone of the session); more by `python -m tests.differential.run`, and by the fuzz
SERVED = ((0, "UTC"), (4, "America/New_York"))
RANDOM = 80  # random queries for each placement of SERVED


@dataclass
class Oracles:
    """Two oracles over the same rows in different order, and PostgreSQL's answers by time zone and case."""

    one: Oracle
    shuffled: Oracle
    _answers: dict[tuple[str, str], Answer] = field(default_factory=dict)

    def ask(self, case: Case, zone: str = "UTC") -> Answer:
        """PostgreSQL's answer to a case."""
        if (zone, case.name) not in self._answers:
            self.one.zone(zone)
            self._answers[zone, case.name] = self.one.ask(case)
        return self._answers[zone, case.name]

    def settled(self, case: Case, zone: str) -> bool:
        """Whether PostgreSQL answers it at all, and the same whatever the order of rows."""
        answer = self.ask(case, zone)
        self.shuffled.zone(zone)
        return not answer.error and compare(case, answer, self.shuffled.ask(case)) is None


class Placed:
    """A placement that is loaded and served."""

    def __init__(
        self, placement: Placement, folder: Path, servers: dict[str, Server], tag: str = "", zone: str = "UTC"
    ) -> None:
        self.placement, self.zone, self._servers = placement, zone, servers
        self._connections = load_all(folder, placement.all, servers, tag)
        write_project(folder, f"differential-{placement.seed}", self._connections, (*placement.views, *deep_views()))
        self.running = Running(folder, zone)

    def close(self) -> None:
        """Stop it, and drop what was loaded on shared servers."""
        self.running.close()
        drop_all(self._connections, self._servers)

    def differences(self, case: Case, wanted: Answer) -> Iterator[str]:
        """All that is needed to see why, for each way to the answer that differs."""
        for variant in self.running.variants(case):
            found = compare(case, wanted, self.running.ask(case, variant))
            if found is not None:
                said = f"{found.kind} ({variant}, {self.zone}): {found.text}"
                yield f"{case.name}: {said}\n\n{case.sql}\n\n{self.placement}\n\n{self.running.explain(case)}"


def check(case: Case, placed: Placed, oracles: Oracles) -> None:
    """Fail at the first difference."""
    for text in placed.differences(case, oracles.ask(case, placed.zone)):
        pytest.fail(text, pytrace=False)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Placed]:
    """A placement on SQLite, Parquet and DuckDB only."""
    placed = Placed(draw(FAST_SEED, tables(), EMBEDDED), tmp_path_factory.mktemp("embedded"), {})
    yield placed
    placed.close()


@pytest.fixture(scope="module", params=SERVED, ids=lambda each: f"placement-{each[0]}-{each[1]}")
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgresql: Server, mariadb: Server
) -> Iterator[Placed]:
    """Placements on all kinds of sources."""
    seed, zone = request.param
    servers = {"postgresql": postgresql, "mariadb": mariadb}
    folder = tmp_path_factory.mktemp("served")
    placed = Placed(draw(seed, tables(), USUAL), folder, servers, str(seed), zone)
    yield placed
    placed.close()


def _embedded(number: int, case: Case) -> Any:
    if number % FAST_SHARE == 0:
        return pytest.param(case, id=case.name)
    return pytest.param(case, id=case.name, marks=pytest.mark.slow)


@pytest.mark.slow
def test_the_suite_is_as_large_as_promised(oracles: Oracles) -> None:
    assert len(CASES) >= 450
    faults = {case.name: oracles.ask(case).message for case in CASES if oracles.ask(case).error != case.error}
    assert not faults
    barren = [case.name for case in CASES if not (case.error or case.empty or oracles.ask(case).rows)]
    assert not barren, "these queries return no row, so they prove little"


def test_the_placement_loads_whole(embedded: Placed) -> None:
    assert embedded.running.diagnostics == []


@pytest.mark.parametrize(
    "changed",
    [
        {"columns": (("a", 23, -1), ("b", 25, -1))},
        {"columns": (("a", 20, -1), ("b", 1043, 9))},
        {"rows": (("1", "a"), ("2", "b "))},
        {"rows": (("1", "a"), ("2", None))},
        {"rows": (("1", "a"), ("2", "b"), ("2", "b"))},
        {"rows": (("1", "a"),)},
        {"error": "22012"},
    ],
)
def test_the_comparison_notices(changed: dict[str, Any]) -> None:
    answer = Answer((("a", 20, -1), ("b", 25, -1)), (("1", "a"), ("2", "b")))
    case = Case("x", "SELECT", "x")
    assert compare(case, answer, answer) is None
    assert compare(case, answer, replace(answer, **changed)) is not None
    assert compare(replace(case, approx=True), answer, replace(answer, **changed)) is not None


def test_the_comparison_knows_where_order_and_last_bits_count() -> None:
    case, columns = Case("x", "SELECT", "x"), (("a", 701, -1),)
    one, turned = Answer(columns, (("1",), ("2",))), Answer(columns, (("2",), ("1",)))
    near, far = Answer(columns, (("1",), ("2.0000000000000004",))), Answer(columns, (("1",), ("2.0001",)))
    assert compare(case, one, turned) is None
    assert compare(replace(case, ordered=True), one, turned) is not None
    assert compare(case, one, near) is not None
    assert compare(replace(case, approx=True), one, near) is None
    assert compare(replace(case, approx=True), one, far) is not None


@pytest.mark.parametrize("case", [_embedded(*each) for each in enumerate(CASES)])
def test_embedded(case: Case, embedded: Placed, oracles: Oracles) -> None:
    check(case, embedded, oracles)


@pytest.mark.service
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_served(case: Case, served: Placed, oracles: Oracles) -> None:
    check(case, served, oracles)


@pytest.mark.service
def test_served_random_queries(served: Placed, oracles: Oracles) -> None:
    assert served.running.diagnostics == []
    cases = random_cases(served.placement.seed, RANDOM, tables())
    settled = [case for case in cases if oracles.settled(case, served.zone)]
    assert len(settled) > RANDOM * 0.9
    found = [text for case in settled for text in served.differences(case, oracles.ask(case, served.zone))]
    assert not found, "\n\n".join(found[:3])
