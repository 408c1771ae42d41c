"""The generator, the comparison and the shrinker do what they say; kept cases stay right; a short run finds nothing."""

from __future__ import annotations

import math
import random
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.differential.oracle import Answer
from tests.differential.placements import USUAL
from tests.fuzz import cases, reduce
from tests.fuzz.cases import Failure
from tests.fuzz.queries import Query
from tests.fuzz.run import Run, oracles
from tests.fuzz.schema import tables
from tests.fuzz.shrink import settled, verdict
from tests.fuzz.siblings import sibling
from tests.fuzz.verdict import differs
from tests.fuzz.world import Oracles, Schema, served
from tests.servers import Server

CASES = dict(cases.load())
SERVERS = {"plain": "postgresql", "icu": "postgresql", "maria": "mariadb"}
COLUMNS = (("k", 23, -1), ("v", 25, -1))


def answer(*rows: tuple[str | None, ...]) -> Answer:
    return Answer(COLUMNS, rows)


def test_rows_that_tie_with_the_last_may_be_any_of_those() -> None:
    query = Query("SELECT", sorted=1, unlimited="SELECT")
    whole = answer(("1", "a"), ("2", "b"), ("2", "c"), ("3", "d"))
    wanted = answer(("1", "a"), ("2", "b"))
    assert differs(query, wanted, answer(("1", "a"), ("2", "c")), lambda: whole) is None
    for wrong in (
        answer(("1", "a"), ("2", "d")),
        answer(("2", "b"), ("1", "a")),
        answer(("1", "b"), ("2", "b")),
        answer(("1", "a")),
        Answer(error="XX000"),
    ):
        assert differs(query, wanted, wrong, lambda: whole) is not None


def test_order_counts_where_the_statement_gives_one() -> None:
    one, turned = answer(("1", "a"), ("1", "b"), ("2", "a")), answer(("1", "b"), ("1", "a"), ("2", "a"))
    last = answer(("2", "a"), ("1", "a"), ("1", "b"))
    assert differs(Query("SELECT"), one, last, lambda: one) is None
    assert differs(Query("SELECT", sorted=1), one, turned, lambda: one) is None
    assert differs(Query("SELECT", sorted=1), one, last, lambda: one) is not None
    assert differs(Query("SELECT", sorted=-1), one, turned, lambda: one) is not None


def test_an_error_is_an_answer_too() -> None:
    wanted = Answer(error="22012")
    assert differs(Query("SELECT"), wanted, Answer(error="22012"), lambda: wanted) is None
    assert differs(Query("SELECT"), wanted, Answer(error="22003"), lambda: wanted) is not None
    assert differs(Query("SELECT"), wanted, answer(), lambda: wanted) is not None
    assert differs(Query("SELECT"), answer(), wanted, lambda: wanted) is not None


def test_what_does_not_matter_is_left_out() -> None:
    query = Query("SELECT a, b AS x FROM t1 JOIN t2 ON t1.a = t2.a WHERE a > $1 AND b IN (1, 2) ORDER BY 1 LIMIT $2")
    query = Query(query.sql, (("int4", "1"), ("int8", "3")), sorted=1, unlimited=query.sql[: query.sql.index(" LIMIT")])
    smaller = reduce.shrink(query, lambda each: "b IN (1" in each.sql, 30)
    assert smaller.sql.startswith("SELECT ")
    assert "JOIN" not in smaller.sql and "LIMIT" not in smaller.sql and "$" not in smaller.sql
    assert (smaller.params, smaller.sorted, smaller.unlimited) == ((), 0, "")


@pytest.mark.slow
def test_a_case_is_read_as_it_was_written(tmp_path: Path) -> None:
    for seed in range(20):
        schema = Schema("r1", tables(seed), (("w0", "SELECT 1 FROM t1"),))
        from tests.differential.placements import draw

        place = draw(seed, schema.tables, USUAL)
        spots = {name: [p.spot for p in pieces] for name, pieces in place.pieces.items()}
        query = Query("SELECT * FROM t1", (("int4", None),), sorted=2)
        failure = Failure(query, schema, spots, cases.How(frozenset(("bind",)), ("keys by seven",), 2), "wrong")
        cases.write(failure, tmp_path / "r1.yml")
        again = cases.read(tmp_path / "r1.yml")
        assert repr(again) == repr(failure)


def test_the_same_seed_writes_the_same_data() -> None:
    assert repr(tables(3)) == repr(tables(3)) != repr(tables(4))
    kinds = {column.type.name for seed in range(40) for table in tables(seed) for column in table.columns}
    assert len(kinds) >= 18


@pytest.fixture(scope="module")
def both() -> Iterator[Oracles]:
    with oracles() as made:
        yield made


def _replay(named: dict[str, Failure], servers: dict[str, Server], both: Oracles) -> list[str]:
    """What of these cases is wrong again."""
    spaces = [(failure.schema, failure.placement(failure.schema.name)) for failure in named.values()]
    found = []
    with served(spaces, servers, "cases") as project:
        assert project.diagnostics == []
        for name, failure in named.items():
            both.load(failure.schema)
            wanted, why = settled(failure.query, both)
            assert not why, f"{name} proves nothing: {why}"
            difference = verdict(failure, wanted, project, both, failure.schema.name)
            if difference is not None:
                found.append(f"{name}: {difference.kind} {difference.text}\n{failure.query.sql}")
            both.drop(failure.schema)
    return found


@pytest.mark.slow
def test_kept_cases(both: Oracles) -> None:
    here = {name: failure for name, failure in CASES.items() if not failure.sources & SERVERS.keys()}
    assert not (wrong := _replay(here, {}, both)), "\n\n".join(wrong)


@pytest.mark.service
def test_kept_cases_on_servers(both: Oracles, postgresql: Server, mariadb: Server) -> None:
    there = {name: failure for name, failure in CASES.items() if failure.sources & SERVERS.keys()}
    wrong = _replay(there, {"postgresql": postgresql, "mariadb": mariadb}, both)
    assert not wrong, "\n\n".join(wrong)


@pytest.mark.slow
@pytest.mark.service
@pytest.mark.parametrize(
    "seed", [pytest.param(1, id="fixed"), pytest.param(secrets.randbelow(10**6), id="random", marks=pytest.mark.deep)]
)
def test_a_short_run_finds_nothing(seed: int, tmp_path: Path) -> None:
    print(f"seed {seed}")
    total = Run(seed, USUAL, tmp_path, quiet=True, queries=40).go(math.inf, only=1)
    assert total["tried"] >= 60
    assert not total["wrong"] + total["refused"], f"seed {seed}\n" + "\n".join(total["failures"])


def test_a_sibling_differs_in_constants_only() -> None:
    r = random.Random(5)
    query = Query("SELECT x1.a FROM t1 x1 WHERE x1.a = (7) AND x1.b <> 'q' AND x1.c LIKE 'z%' ORDER BY 1", sorted=-1)
    made = {other.sql for _ in range(30) if (other := sibling(query, r)) is not None}
    assert len(made) > 5
    for sql in made:
        assert re.fullmatch(
            r"SELECT x1.a FROM t1 x1 WHERE x1.a = \(-?\d+\) AND x1.b <> '[^']*' AND x1.c LIKE 'z%' ORDER BY 1", sql
        )
    assert sibling(Query("SELECT 1 FROM t1"), r) is None
