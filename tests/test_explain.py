"""EXPLAIN: where rows and time go, what was not pushed and why, under which values a plan holds."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from federation.canon.server import Canon
from planner.reasons import code
from tests.test_engine import ANN, engine


def told(folder: Path, canon: Canon, sql: str, analyze: bool = False) -> tuple[dict[str, Any], str]:
    async def run() -> tuple[dict[str, Any], str]:
        async with engine(folder, canon) as (made, _):
            found = await made.explain(sql, ANN, (), analyze)
            return found.json(), found.text()

    return asyncio.run(run())


JOIN = (
    "SELECT c.name, count(*) AS n FROM crm.customers c JOIN erp.orders o ON o.customer_id = c.id "
    "WHERE c.id < 4 AND lower(c.name) LIKE '%a' GROUP BY c.name"
)


def test_a_plan_is_told_with_what_is_expected(tmp_path: Path, canon: Canon) -> None:
    found, text = told(tmp_path, canon, JOIN)
    assert (found["version"], found["fully_pushed_down"], found["actual"]) == (1, False, None)
    assert {f["source"] for f in found["fragments"]} == {"crm", "erp"}
    for fragment in found["fragments"]:
        rows = fragment["expected"]["rows"]
        assert rows["low"] <= rows["likely"] and fragment["budget"]["rows"] == 1_000_000
        assert fragment["actual"] is None
    verdicts = [v for f in found["fragments"] for v in f["verdicts"]]
    assert {v["verdict"] for v in verdicts} >= {"EXACT", "NO"}
    assert all((v["code"] != "") == (v["reason"] != "") for v in verdicts)
    assert "OTHER_SOURCE" in {v["code"] for v in verdicts}
    assert "planned in" in text and "expected:" in text and "actual:" not in text


def test_analyze_tells_what_became_of_it(tmp_path: Path, canon: Canon) -> None:
    found, text = told(tmp_path, canon, JOIN, analyze=True)
    actual = found["actual"]
    assert actual["fetched_rows"] == sum(f["actual"]["rows"] for f in found["fragments"]) > 0
    assert actual["fetched_bytes"] == sum(f["actual"]["bytes"] for f in found["fragments"]) > 0
    assert actual["statements"] == 2
    assert actual["ms"] > actual["merge_ms"] > 0
    assert "of the 1,000,000 allowed" in text


def test_what_is_contradictory_is_told(tmp_path: Path, canon: Canon) -> None:
    sql = (
        "SELECT id FROM crm.customers WHERE id < 3 AND id > 5 UNION ALL SELECT id FROM erp.orders WHERE id = 1 "
        "ORDER BY 1 LIMIT 9"
    )
    found, text = told(tmp_path, canon, sql)
    (pruned,) = found["pruned"]
    assert pruned["tables"] == ["crm.customers"]
    assert "customers.id" in pruned["why"]
    assert [f["source"] for f in found["fragments"]] == ["erp"]
    assert "not asked: crm.customers" in text
    assert found["planning"]["guards"] == ["$2 > $1"]


def test_one_source_alone_is_fully_pushed_down(tmp_path: Path, canon: Canon) -> None:
    found, _ = told(tmp_path, canon, "SELECT id FROM crm.customers WHERE id = 3", analyze=True)
    assert (found["fully_pushed_down"], found["engine"], found["merge"]) == (True, "stream", None)
    assert found["actual"]["rows"] == 1


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("", ""),
        ("no rule for lower(text) on sqlite", "NO_RULE"),
        ("collation compares loose", "TEXT_COLLATION"),
        ("the sides are of different sources", "OTHER_SOURCE"),
        ("because", "OTHER"),
    ],
)
def test_codes(reason: str, expected: str) -> None:
    assert code(reason) == expected


def test_the_views_of_a_plan_are_all_that_are_read(tmp_path: Path, canon: Canon) -> None:
    found, _ = told(tmp_path, canon, "SELECT id FROM sales.big WHERE id = 3")
    assert found["views"] == ["sales.big"]
