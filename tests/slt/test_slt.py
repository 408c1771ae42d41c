"""Scripts are read as sqllogictest reads them, and a few of the corpus answer as PostgreSQL does over many sources."""

from __future__ import annotations

import secrets

import pytest

from tests.differential.oracle import Answer
from tests.differential.placements import EMBEDDED, USUAL
from tests.fuzz.queries import Query
from tests.slt.run import Run, compared, corpus, picked
from tests.slt.script import Record, agrees, records
from tests.slt.states import Asked, order_of

SCRIPT = """\
# a comment
statement ok
CREATE TABLE t1(a INTEGER,
  b TEXT)

onlyif mysql # not ours
query I nosort
SELECT 1 DIV 1
----
1

skipif mysql
query IT rowsort label-1
SELECT a, b
FROM t1
----
1
x
NULL
(empty)

skipif postgresql
query I nosort
SELECT 2
----
2

query R nosort
SELECT 1.5
----
3 values hashing to 0123456789abcdef0123456789abcdef

onlyif postgresql
halt

statement ok
DROP TABLE t1
"""


def test_a_script_is_read() -> None:
    made, mysql, mine, others, hashed = records(SCRIPT)
    assert made == Record("CREATE TABLE t1(a INTEGER,\n  b TEXT)")
    assert (mysql.ours, others.ours, hashed.kinds) == (False, False, "R")
    assert mine == Record("SELECT a, b\nFROM t1", "IT", "rowsort", ("1", "x", "NULL", "(empty)"))


def test_results_are_compared_as_the_script_prints_them() -> None:
    record = Record("SELECT", "IT", "rowsort", ("1", "x", "NULL", "(empty)"))
    assert agrees(record, [(None, ""), ("1", "x")])
    assert not agrees(record, [(None, ""), ("1", "y")])
    assert not agrees(record, [(None, "")])
    assert agrees(Record("SELECT", "R", "nosort", ("1.500",)), [("1.5",)])
    assert not agrees(Record("SELECT", "I", "nosort", ("1",)), [("word",)])
    digest = "3 values hashing to c0710d6b4f15dfa88f600b0e6b624077"  # of 1, 2, 3
    assert agrees(Record("SELECT", "I", "valuesort", (digest,)), [("3",), ("1",), ("2",)])
    assert not agrees(Record("SELECT", "I", "nosort", (digest,)), [("3",), ("1",), ("2",)])


def test_order_counts_where_it_is_of_columns() -> None:
    assert order_of("SELECT a, b AS c FROM t ORDER BY 2, a DESC") == (1, 0)
    assert order_of("SELECT a FROM t ORDER BY b") == ()
    assert order_of("SELECT a FROM t") == ()
    sql, columns = "SELECT a, b FROM t ORDER BY b", (("a", 23, -1), ("b", 23, -1))
    wanted = Answer(columns, (("1", "1"), ("2", "1"), ("1", "2")))
    asked = Asked(Record(sql, "II"), Query(sql), wanted)
    assert compared(asked, Answer(columns, (("2", "1"), ("1", "1"), ("1", "2")))) is None
    assert compared(asked, Answer(columns, (("1", "2"), ("2", "1"), ("1", "1")))) is not None
    assert compared(asked, Answer(columns, (("1", "1"), ("2", "1"), ("2", "2")))) is not None


def test_the_corpus_is_representative() -> None:
    scripts = corpus()
    asked = [r for script in scripts for r in script.records if r.is_query and r.ours]
    assert len(scripts) >= 60 and len(asked) >= 8_000
    folders = {script.name.split("/")[0] for script in picked(scripts, 14, seed=1)}
    assert {"index", "random", "evidence"} <= folders


@pytest.mark.slow
@pytest.mark.parametrize(
    "seed", [pytest.param(1, id="fixed"), pytest.param(secrets.randbelow(10**6), id="random", marks=pytest.mark.deep)]
)
def test_some_scripts_over_files(seed: int) -> None:
    _check(seed, EMBEDDED, 4, 12)


@pytest.mark.slow
@pytest.mark.service
def test_some_scripts_over_servers() -> None:
    _check(secrets.randbelow(10**6), USUAL, 5, 12)


def _check(seed: int, engines: tuple[str, ...], scripts: int, queries: int) -> None:
    print(f"seed {seed}")
    total = Run(seed, engines, quiet=True).go(picked(corpus(), scripts, seed), queries)
    assert total["tried"] >= 30 and total["as_the_script_says"] > 0
    assert not total["failures"], f"seed {seed}\n" + "\n\n".join(total["failures"][:3])
