"""A source that is taken as empty: the partial answer is PostgreSQL's over the same data without that source's rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from federation.canon.server import Canon
from tests.differential.cases import Case
from tests.differential.data import tables
from tests.differential.oracle import Oracle, filled
from tests.differential.placements import Placement
from tests.differential.suite import VARIANTS, How, compare
from tests.differential.test_differential import CASES as ALL
from tests.differential.test_differential import Placed, embedded, served  # noqa: F401  (fixtures)

CASES = [case for case in ALL if not case.error]  # the row at fault may be at the source, or no row reach the fault
SHARE = 12  # one query in so many


@contextmanager
def emptied(canon: Canon, placement: Placement, source: str) -> Iterator[Oracle]:
    """One PostgreSQL with everything but what is at that source."""
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE emptied")
        holder = filled(canon.dsn(dbname="emptied"), placement.without(source, tables()))
        try:
            yield holder
        finally:
            holder.close()
            connection.execute("DROP DATABASE emptied WITH (FORCE)")


def differences(placed: Placed, canon: Canon, source: str, cases: list[Case]) -> list[str]:
    """What differs while the source is empty, for each way to the answer."""
    found = []
    with emptied(canon, placed.placement, source) as oracle:
        oracle.zone(placed.zone)
        for case in cases:
            wanted = oracle.ask(case)
            for knob in VARIANTS:
                how = How(knobs=(knob,), absent=frozenset({source}))
                told = compare(case, wanted, placed.running.ask(case, how))
                if told is not None:
                    found.append(f"{case.name} ({how}): {told.text}\n{case.sql}\n{placed.running.explain(case, how)}")
    return found


def sources(placement: Placement) -> list[str]:
    return sorted({piece.source for piece in placement.all})


@pytest.mark.slow
def test_each_source_in_turn(embedded: Placed, canon: Canon) -> None:  # noqa: F811
    for number, source in enumerate(sources(embedded.placement)):
        cases = [case for at, case in enumerate(CASES) if at % SHARE == number]
        found = differences(embedded, canon, source, cases)
        assert not found, "\n\n".join(found[:3])


@pytest.mark.deep
@pytest.mark.slow
def test_each_source_in_turn_and_every_query(embedded: Placed, canon: Canon) -> None:  # noqa: F811
    for source in sources(embedded.placement):
        found = differences(embedded, canon, source, CASES)
        assert not found, "\n\n".join(found[:3])


@pytest.mark.service
@pytest.mark.slow
def test_each_server_in_turn(served: Placed, canon: Canon) -> None:  # noqa: F811
    for number, source in enumerate(sources(served.placement)):
        found = differences(served, canon, source, [case for at, case in enumerate(CASES) if at % SHARE == number])
        assert not found, "\n\n".join(found[:3])


@pytest.mark.deep
@pytest.mark.service
@pytest.mark.slow
def test_each_server_in_turn_and_many_queries(served: Placed, canon: Canon) -> None:  # noqa: F811
    for number, source in enumerate(sources(served.placement)):
        found = differences(served, canon, source, [case for at, case in enumerate(CASES) if at % 5 == number % 5])
        assert not found, "\n\n".join(found[:3])
