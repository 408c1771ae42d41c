"""dashboards/<name>.yml: what is read of it, and how each mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from views import dashboards
from views.dashboards import Broken, Dashboard, Drawn
from views.load import load
from views.named import named
from views.text import Refused

GOOD = """\
title: Sales
parameters:
  day: {type: date, optional: true}
panels:
  - title: Orders, by day
    kind: line
    x: day
    y: orders
    sql: |
      select day, orders
      from shop.days
      where :day is null or day = :day
  - {title: All, kind: table, sql: select 1 as one, name: everything}
"""


def read(text: str) -> tuple[Dashboard | None, list[str]]:
    found, wrong, _ = dashboards.read("sales", text, "dashboards/sales.yml")
    return found, [str(one) for one in wrong]


def test_a_dashboard_is_its_panels() -> None:
    found, wrong = read(GOOD)
    assert wrong == []
    assert found is not None
    assert [one.key for one in found.panels] == ["orders_by_day", "everything"]
    first = found.drawn[0].statement
    assert first.written.sql.endswith("where $1::date is null or day = $1::date\n")
    assert [kind.name for kind in first.kinds] == ["date"]
    assert first.written.line == 10  # a block begins below its key


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("kind: line", "kind: gauge", "6:5: error: `panels.0.kind`"),
        ("    x: day\n", "", "5:5: error: a panel of kind line needs `x` (add x: <a column of its SELECT>)"),
        ("x: day", "x: day\n    colour: red", "8:5: error: unknown key `panels.0.colour`"),
        ("= :day", "= :dya", "12: error: panel orders_by_day: there is no parameter `:dya` (did you mean `day`?"),
        ("select day, orders", "delete from x", "10: error: panel orders_by_day: a panel is a SELECT, not DELETE"),
        ("from shop.days", "; select 2", "11: error: panel orders_by_day: a panel is exactly one SELECT"),
    ],
)
def test_a_panel_at_fault_stands_aside(old: str, new: str, said: str) -> None:
    found, wrong = read(GOOD.replace(old, new))
    assert found is not None
    assert isinstance(found.panels[0], Broken)
    assert isinstance(found.panels[1], Drawn)
    assert len(wrong) == 1
    assert wrong[0].startswith(f"dashboards/sales.yml:{said}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title: x\npanels: [", "malformed YAML"),
        ("title: x", "`panels` is missing"),
        ("title: x\npanels: []", "`panels`"),
        ("panels: [{title: a, kind: table, sql: select 1}]", "`title` is missing"),
        (GOOD.replace("title: Sales", "titel: Sales"), "unknown key `titel` (did you mean `title`?"),
        (GOOD.replace("type: date", "type: float8"), "`parameters.day.type`"),
        (GOOD.replace("optional: true", "default: 1.5"), 'may lose digits here (quote it: "1.5")'),
        (GOOD.replace("optional: true", "choices: 5"), "neither a list of values nor a SELECT"),
        (GOOD.replace("title: Sales", "title: Sales\nrefresh: 10ms"), "`refresh`"),
    ],
)
def test_a_file_of_which_nothing_can_be_shown(text: str, said: str) -> None:
    found, wrong = read(text)
    assert found is None
    assert any(said in one for one in wrong), wrong


def test_two_panels_of_one_name_and_a_parameter_that_nothing_uses() -> None:
    found, wrong = read(GOOD.replace("name: everything", "name: orders_by_day"))
    assert found is not None
    assert [one.key for one in found.panels] == ["orders_by_day", "orders_by_day_2"]
    assert len(wrong) == 1
    assert 'panel "orders_by_day" stands twice (first as panel 1)' in wrong[0]
    _, wrong = read(GOOD.replace(":day", "null"))
    assert wrong == [
        "dashboards/sales.yml:3:3: warning: no panel uses the parameter `:day` (take it out)",
    ]


@pytest.mark.parametrize(
    ("sql", "positional", "literal"),
    [
        ("select :a, :a::text", "select $1::int8, $1::int8::text", "select '7'::int8, '7'::int8::text"),
        ("select x[1:2], ':a', \":a\" -- :a\n/* :a */ where :b", None, None),
        ("select :b", "select $1::text", "select 'o''x'::text"),
        ("select $$ :a $$, e'\\':a'", "select $$ :a $$, e'\\':a'", "select $$ :a $$, e'\\':a'"),
    ],
)
def test_parameters_are_found_where_sql_has_them(sql: str, positional: str | None, literal: str | None) -> None:
    types, values = {"a": "int8", "b": "text"}, {"a": "7", "b": "o'x"}
    found = named(sql, list(types))
    assert found.positional(types) == (positional or sql.replace(":b", "$1::text"))
    assert found.literal(types, values) == (literal or sql.replace(":b", "'o''x'::text"))


def test_an_unknown_parameter_is_told_where_it_stands() -> None:
    with pytest.raises(Refused) as told:
        named("select 1,\n :c", ["cc"])
    assert told.value.offset == 11
    assert "did you mean `cc`" in told.value.remedy


def test_files_that_are_no_dashboards(tmp_path: Path) -> None:
    (tmp_path / "dashboards").mkdir()
    (tmp_path / "vdw.yml").write_text("name: x\n")
    for name in ("Big.yml", "a.yaml", "note.txt"):
        (tmp_path / "dashboards" / name).write_text("x")
    said = [str(one) for one in load(tmp_path).diagnostics]
    assert [one.partition(":")[0] for one in said] == ["dashboards/Big.yml", "dashboards/a.yaml"]
