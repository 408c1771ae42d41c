"""Which literals become slots, and what their texts say: only what PostgreSQL would not tell apart from a parameter."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from connectors.types import PgType
from federation.slots import MOST, Slot, bound, shape


@pytest.mark.parametrize(
    ("sql", "text", "said"),
    [
        ("SELECT a FROM t WHERE b = 5 AND c <> 'x''y'", "SELECT a FROM t WHERE b = $1 AND c <> $2", ["5", "x'y"]),
        (
            "SELECT a FROM t WHERE b BETWEEN 1 AND 2 AND c",
            "SELECT a FROM t WHERE b BETWEEN $1 AND $2 AND c",
            ["1", "2"],
        ),
        ("SELECT a FROM t WHERE b IN (1, 'x')", "SELECT a FROM t WHERE b IN ($1, $2)", ["1", "x"]),
        ("SELECT a FROM t WHERE b = $2 AND c = 1.50", "SELECT a FROM t WHERE b = $2 AND c = $3", ["1.50"]),
        ("SELECT a FROM t WHERE b < '2024-01-01'::date", "SELECT a FROM t WHERE b < $1::date", ["2024-01-01"]),
        ("SELECT a = 5 AS b FROM t HAVING count(*) > 3", "SELECT a = $1 AS b FROM t HAVING count(*) > $2", ["5", "3"]),
    ],
)
def test_slots(sql: str, text: str, said: list[str]) -> None:
    found = shape(sql, 0)
    assert found is not None
    assert (found.text, [slot.said for slot in found.slots]) == (text, said)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a FROM t ORDER BY 1",
        "SELECT a, b = 5 FROM t GROUP BY a, b = 5",
        "SELECT a = 5 FROM t ORDER BY a = 5",
        "SELECT DISTINCT ON (a = 5) b FROM t",
        "SELECT sum(a) OVER (PARTITION BY b = 5 ORDER BY c = 6) FROM t",
        "SELECT a FROM t LIMIT 5 OFFSET 3",
        "SELECT a FROM t WHERE b = -5",
        "SELECT a FROM t WHERE b = 5 + c",
        "SELECT a FROM t WHERE b = date '2024-01-01' AND c > now() - interval '1 day'",
        "SELECT a FROM t WHERE b = 'x' COLLATE \"C\"",
        "SELECT a FROM t WHERE b = E'x' OR b = U&'x' OR b = 'x'\n'y' OR b = $$x$$",
        "SELECT a FROM t WHERE b LIKE 'x%' AND date_trunc('day', c) = d",
        "SELECT a FROM t WHERE b IN (SELECT 5)",
        "SELECT a FROM t WHERE b = 1e3 OR b = 0x10 OR b = 1_000",
        "SELECT 'a', 5 FROM t",
        "SELECT a FROM t WHERE b = 'open",
        "SELECT a FROM t WHERE b IN (" + ", ".join(map(str, range(MOST + 1))) + ")",
    ],
)
def test_literals_that_stay(sql: str) -> None:
    assert shape(sql, 0) is None


def test_a_literal_that_must_stay_somewhere_stays_everywhere() -> None:
    found = shape("SELECT CASE WHEN a = 'x' THEN 1 END FROM t WHERE b = 'y' GROUP BY CASE WHEN a = 'x' THEN 1 END", 0)
    assert found is not None
    assert [slot.said for slot in found.slots] == ["y"]


@pytest.mark.parametrize(
    ("said", "kind", "value"),
    [
        ("5", "int4", 5),
        ("007", "int8", 7),
        ("70000", "int2", None),
        ("5 ", "int4", None),
        ("1.50", "numeric", "1.50"),
        ("1e3", "numeric", None),
        ("NaN", "numeric", None),
        ("a b", "text", "a b"),
        ("2024-02-29", "date", date(2024, 2, 29)),
        ("2023-02-29", "date", None),
        ("20240229", "date", None),
        ("today", "date", None),
        ("2024-01-02 03:04:05.5", "timestamp", datetime(2024, 1, 2, 3, 4, 5, 500_000)),
        ("2024-01-02 03:04:05.1234567", "timestamp", None),
        ("2024-01-02", "timestamptz", datetime(2024, 1, 2, tzinfo=UTC)),
        ("2024-01-02 03:04:05+00", "timestamptz", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-01-02 03:04:05+01", "timestamptz", None),
        ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("true", "bool", None),
    ],
)
def test_values(said: str, kind: str, value: object) -> None:
    found = bound(Slot(0, 0, said, 0), PgType(kind), utc=True)
    assert (found.value if found is not None else None) == value


def test_without_utc_a_bare_moment_is_the_canons() -> None:
    assert bound(Slot(0, 0, "2024-01-02", 0), PgType("timestamptz"), utc=False) is None
