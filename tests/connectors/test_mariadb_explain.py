"""EXPLAIN's rows as MariaDB gives them, read without a server."""

from __future__ import annotations

from connectors.mariadb import explain
from connectors.reading import Step


def test_a_rowid_filter_is_read_by_the_index_that_reads_the_rows() -> None:
    row = ("1", "SIMPLE", "t", "ref|filter", "a,b", "a|b", "5|4", "const", "12 (38%)", "37.50", "Using rowid filter")
    reading = explain.read([row], "SELECT 1 FROM t", "mariadb")
    assert reading.steps == (Step("t", 12.0, "a", 1.0),)
