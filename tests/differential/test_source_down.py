"""A source that is taken as empty: the partial answer is PostgreSQL's over the same data without that source's rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import psycopg
import pytest

from federation.canon.server import Canon
from tests.differential.cases import Case
from tests.differential.data import Table, tables
from tests.differential.oracle import Oracle, filled
from tests.differential.placements import Placement
from tests.differential.suite import How, compare
from tests.differential.test_differential import CASES as ALL
from tests.differential.test_differential import SERVED, Placed, embedded, served  # noqa: F401  (fixtures)

CASES = [case for case in ALL if not case.error]  # the row at fault may be at the source, or no row reach the fault
SHARE = 12  # one query in so many, embedded
SHARE_SERVED = 24  # for each source of a placement; the placements have different ones


class Emptied:
    """One PostgreSQL with everything but what is at a source, of one placement after the other."""

    def __init__(self, dsn: str) -> None:
        self.oracle = filled(dsn, tables())
        self._held = {table.name: table for table in tables()}

    def hold(self, wanted: Iterable[Table]) -> Oracle:
        """The oracle over these rows of the tables."""
        for table in wanted:
            if table.rows != self._held[table.name].rows:
                self.oracle.refill("t", table)
                self._held[table.name] = table
        return self.oracle


@pytest.fixture(scope="module")
def emptied(canon: Canon) -> Iterator[Emptied]:
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE emptied")
        made = Emptied(canon.dsn(dbname="emptied"))
        try:
            yield made
        finally:
            made.oracle.close()
            connection.execute("DROP DATABASE emptied WITH (FORCE)")


def differences(placed: Placed, emptied: Emptied, source: str, cases: list[Case]) -> list[str]:
    """What differs while the source is empty, for each way to the answer."""
    found = []
    oracle = emptied.hold(placed.placement.without(source, tables()))
    oracle.zone(placed.zone)
    for case in cases:
        wanted = oracle.ask(case)
        with placed.running.going(How(absent=frozenset({source}))):
            for knob in placed.running.variants(case):
                told = compare(case, wanted, placed.running.ask(case, knob))
                if told is not None:
                    plan = placed.running.explain(case)
                    found.append(f"{case.name} ({knob}, source {source} empty): {told.text}\n{case.sql}\n{plan}")
    return found


def sources(placement: Placement) -> list[str]:
    return sorted({piece.source for piece in placement.all})


@pytest.mark.slow
def test_each_source_in_turn(embedded: Placed, emptied: Emptied) -> None:  # noqa: F811
    for number, source in enumerate(sources(embedded.placement)):
        cases = [case for at, case in enumerate(CASES) if at % SHARE == number]
        found = differences(embedded, emptied, source, cases)
        assert not found, "\n\n".join(found[:3])


@pytest.mark.deep
@pytest.mark.slow
def test_each_source_in_turn_and_every_query(embedded: Placed, emptied: Emptied) -> None:  # noqa: F811
    for source in sources(embedded.placement):
        found = differences(embedded, emptied, source, CASES)
        assert not found, "\n\n".join(found[:3])


@pytest.mark.service
@pytest.mark.slow
def test_each_server_in_turn(served: Placed, emptied: Emptied) -> None:  # noqa: F811
    first = SHARE_SERVED // 2 * [seed for seed, _ in SERVED].index(served.placement.seed)
    for number, source in enumerate(sources(served.placement), first):
        cases = [case for at, case in enumerate(CASES) if at % SHARE_SERVED == number]
        found = differences(served, emptied, source, cases)
        assert not found, "\n\n".join(found[:3])


@pytest.mark.deep
@pytest.mark.service
@pytest.mark.slow
def test_each_server_in_turn_and_many_queries(served: Placed, emptied: Emptied) -> None:  # noqa: F811
    for number, source in enumerate(sources(served.placement)):
        found = differences(served, emptied, source, [case for at, case in enumerate(CASES) if at % 5 == number % 5])
        assert not found, "\n\n".join(found[:3])
