"""What is wrong with a rule set is told at its place; a rule at fault takes its decision with it, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from connectors.base import Connector
from federation.build import Built, build
from federation.canon.server import Canon
from planner.lineage import origins
from tests.folders import read, told
from tests.people import TOP, fill

RULE = "rules:\n  - {name: a, decision: d, when: true, outcome: 1}\n"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (TOP + "rules: []\n", 3, "at least 1 item"),
        (TOP, 1, "`rules` is missing"),
        ("key: [id]\nrules:\n  - {name: a, decision: d, when: true, outcome: 1}\n", 1, "`subject` is missing"),
        (TOP + "rulez: 1\nrules:\n  - {name: a, decision: d, when: true, outcome: 1}\n", 3, "unknown key `rulez`"),
        (TOP + "rules:\n  - {name: a, decision: d, when: true}\n", 4, "`rules.0.outcome` is missing"),
        (TOP + "rules:\n  - {name: a, when: true, outcome: 1}\n", 4, "does not tell its decision"),
        (TOP + "rules:\n  - {name: a, decision: d, when: true, outcome: 1, valid: {from: soon}}\n", 4, "neither a day"),
        (
            TOP + "rules:\n  - {name: a, decision: d, when: true, outcome: 1,\n"
            "     valid: {from: 2026-02-01, until: 2026-01-01}}\n",
            5, "ends before it begins",
        ),
        (TOP + "rules:\n  - {name: a, decision: d, when: a or, outcome: 'x, y'}\n", 4, "ends the expression"),
        (TOP + "rules:\n  - {name: a, decision: d, when: '', outcome: 1}\n", 4, "there is no SQL expression"),
        (TOP + f"rules:\n  - {{name: a, decision: d, when: '{'a' * 10_001}', outcome: 1}}\n", 4, "longer than 10,000"),
        (
            TOP + "rules:\n" + "  - {name: a, decision: d, when: true, outcome: 1}\n" * 201, 3,
            "more than 200 rules in one set",
        ),
        ("subject: shop.people\nkey: [rule]\n" + RULE, 2, "has the name of a column"),
        (
            TOP + "decisions: {credit: x}\nrules:\n  - {name: a, decision: credti, when: true, outcome: 1}\n", 5,
            'no decision "credti"',
        ),
        (
            TOP + RULE + "  - {name: a, decision: d, when: true, outcome: 2}\n",
            5, "defined twice (first in line 4)",
        ),
        ("subject: nope.people\nkey: [id]\n" + RULE, 1, 'no "nope.people"'),
        (TOP + "rules:\n  - {name: a, decision: d, when: true, outcome: 1, reasons: ['{x']}\n", 4, "never closed"),
        (
            TOP + "rules:\n  - {name: a, decision: d, when: true, outcome: 1}\ntests:\n"
            "  - {name: t, given: {}, expect: {e: null}}\n", 6, 'no decision "e"',
        ),
        (
            TOP + "rules:\n  - {name: a, decision: d, when: true, outcome: 1}\ntests:\n"
            "  - {name: t, given: {}, expect: {d: b}}\n", 6, 'no rule "b"',
        ),
    ],
)  # fmt: skip
def test_a_fault_is_told_at_its_line(text: str, line: int, message: str, tmp_path: Path) -> None:
    found = told(read(tmp_path, {"rules/crm/d.yml": text}))
    assert any(one.startswith(f"rules/crm/d.yml:{line}: ") and message in one for one in found), found


def test_names_that_collide(tmp_path: Path) -> None:
    rule = TOP + "rules:\n  - {name: a, decision: d, when: true, outcome: 1}\n"
    loop = "subject: crm.loop\nkey: [id]\nrules:\n  - {name: a, decision: d, when: true, outcome: 1}\n"
    files = {
        "rules/crm/d.yml": rule,
        "views/crm/d.view.sql": "select id from shop.people",
        "views/crm/e_why.view.sql": "select id from shop.people",
        "rules/crm/e.yml": rule,
        "rules/crm/loop.yml": loop,
        "rules/crm/f.yaml": rule,
        "rules/g.yml": rule,
        "rules/vdw/h.yml": rule,
    }
    project = read(tmp_path, files)
    assert told(project) == [
        "rules/crm/d.yml:1: crm.d is defined twice (first in views/crm/d.view.sql)",
        "rules/crm/e.yml:1: crm.e_why is defined twice (first in views/crm/e_why.view.sql)",
        "rules/crm/f.yaml:1: a rule set's file ends in .yml",
        "rules/crm/loop.yml:1: views read each other in a cycle: crm.loop -> crm.loop (files: rules/crm/loop.yml:1)",
        "rules/g.yml:1: a rule set stands in rules/<schema>/<name>.yml",
        'rules/vdw/h.yml:1: "vdw" cannot name a schema: the name is reserved',
    ]
    assert ("crm", "loop") not in {view.key for view in project.views}


BAD = """\
subject: shop.people
key: [id]
rules:
  - name: typo
    decision: one
    when: |
      orders > 1
      and pade > 100
    outcome: 1
  - {name: fine, decision: one, when: orders > 0, outcome: 2}
  - {name: number, decision: two, when: orders + 1, outcome: 1}
  - {name: kinds, decision: three, when: kind > 5, outcome: 1}
  - {name: total, decision: four, when: true, outcome: sum(paid)}
  - {name: many, decision: five, when: true, outcome: "generate_series(1, 2)"}
  - {name: unknown_fact, decision: six, when: true, outcome: 1, facts: [kind, knd]}
  - {name: reason, decision: seven, when: true, outcome: 1, reasons: [fine, "is {paid} of {al}"]}
  - {name: kept, decision: eight, when: paid > 100, outcome: paid}
"""


@pytest.fixture
def made(tmp_path: Path, canon: Canon) -> Iterator[Callable[[Mapping[str, str]], Built]]:
    opened: list[Connector] = []
    fill(tmp_path)

    def make(files: Mapping[str, str]) -> Built:
        built = asyncio.run(build(read(tmp_path, files), canon))
        opened.extend(built.connectors.values())
        return built

    yield make
    for connector in opened:
        connector.close()


def errors(built: Built) -> list[str]:
    return [f"{d.file}:{d.line}:{d.column}: {d.message}" for d in built.diagnostics if d.severity == "error"]


def test_postgresql_refuses_a_rule_at_its_own_line_and_its_decision_stands_aside(made: Any) -> None:
    built = made({"rules/crm/d.yml": BAD})
    aside = "decision {} is not served".format
    assert errors(built) == [
        f'rules/crm/d.yml:8:11: crm.d: rule typo: column "pade" does not exist: {aside("one")}',
        "rules/crm/d.yml:11:41: crm.d: rule number: argument of CASE/WHEN must be type boolean, not type bigint: "
        + aside("two"),
        f"rules/crm/d.yml:12:47: crm.d: rule kinds: operator does not exist: text > integer: {aside('three')}",
        f"rules/crm/d.yml:13:56: crm.d: rule total: aggregate functions are not allowed in WHERE: {aside('four')}",
        f"rules/crm/d.yml:14:56: crm.d: rule many: set-returning functions are not allowed in WHERE: {aside('five')}",
        f'rules/crm/d.yml:15:79: crm.d: rule unknown_fact: column "knd" does not exist: {aside("six")}',
        f'rules/crm/d.yml:16:92: crm.d: rule reason: column "al" does not exist: {aside("seven")}',
    ]
    for name in ("d", "d_why"):
        view = built.catalog.views["crm", name]
        assert sorted(decision for decision, _ in view.aside) == ["five", "four", "one", "seven", "six", "three", "two"]
    rules = {rule.name: rule.fault for rule in built.catalog.views["crm", "d"].rules}
    assert rules["kept"] == "" and 'column "pade" does not exist' in rules["fine"]


@pytest.mark.parametrize(
    ("subject", "key", "place", "message"),
    [
        ("shop.people", "nope", "2:7", 'column "nope" does not exist'),
        ("shop.nobody", "id", "1:10", 'relation "shop.nobody" does not exist'),
    ],
)
def test_a_fault_of_the_subject_is_the_whole_sets(subject: str, key: str, place: str, message: str, made: Any) -> None:
    text = f"subject: {subject}\nkey: [{key}]\nrules:\n  - {{name: a, decision: d, when: id > 1, outcome: 1}}\n"
    built = made({"rules/crm/d.yml": text})
    assert errors(built)[0] == f"rules/crm/d.yml:{place}: crm.d: {message}"
    assert not {("crm", "d"), ("crm", "d_why")} & built.catalog.views.keys()


def test_a_rule_set_may_share_its_schema_with_a_source_but_not_the_name_of_a_table(made: Any) -> None:
    text = TOP + "rules:\n  - {name: a, decision: d, when: true, outcome: 1}\n"
    built = made({"rules/shop/decisions.yml": text, "rules/shop/pets.yml": text})
    assert {("shop", "decisions"), ("shop", "decisions_why"), ("shop", "pets_why")} <= built.catalog.views.keys()
    assert [one for one in errors(built) if "already" in one] == [
        "rules/shop/pets.yml:1:0: shop.pets is a table of source shop already"
    ]


def test_a_broken_source_takes_only_what_reads_it(tmp_path: Path) -> None:
    files = {
        "sources/crm.yml": "kind: nothing\n",
        "rules/crm/d.yml": TOP + "rules:\n  - {name: a, decision: d, when: true, outcome: 1}\n",
        "views/crm/over.view.sql": "select id from crm.d",
        "views/crm/lost.view.sql": "select id from crm.customers",
    }
    project = read(tmp_path, files)
    assert {view.full_name for view in project.views} == {"crm.d", "crm.d_why", "crm.over"}


def test_where_facts_come_from(made: Any) -> None:
    files = {
        "views/crm/facts.view.sql": """
            select p.id, p.paid * 2 as doubled, coalesce(o.pets, 0) as pets, 'x' as fixed,
                   case when p.kind = 'a' then p.mark end as marked, rank() over (order by p.paid) as place
            from shop.people p
            left join (select owner, count(*) as pets from shop.pets group by owner) o on o.owner = p.id""",
        "views/crm/both.view.sql": """
            with recursive up(id, n) as (
                select id, orders from shop.people union all select id, n + 1 from up where n < 3)
            select id, n, (select max(pet) from shop.pets) as last from up union select pet, owner, 1 from shop.pets""",
    }
    built = made(files)
    assert errors(built) == []
    assert origins(("crm", "facts"), built.catalog) == {
        "id": ("shop.people.id",),
        "doubled": ("shop.people.paid",),
        "pets": ("shop.pets",),
        "fixed": (),
        "marked": ("shop.people.kind", "shop.people.mark"),
        "place": ("shop.people.paid",),
    }
    assert origins(("crm", "both"), built.catalog) == {
        "id": ("shop.people.id", "shop.pets.pet"),
        "n": ("shop.people.orders", "shop.pets.owner"),
        "last": ("shop.pets.pet",),
    }
    assert origins(("shop", "pets"), built.catalog)["pet"] == ("shop.pets.pet",)


def test_a_set_whose_statement_would_be_too_long_is_to_be_split(made: Any) -> None:
    when = " or ".join(["kind = 'a'"] * 700)
    listed = "".join(f"  - {{name: r{n}, decision: d, when: {when}, outcome: 1}}\n" for n in range(20))
    built = made({"rules/crm/d.yml": TOP + "rules:\n" + listed})
    (found,) = [one for one in built.diagnostics if one.severity == "error"]
    assert found.message.startswith("crm.d_why: the statement has ")
    assert found.remedy.startswith("split the rule set")
    assert ("crm", "d") in built.catalog.views


def test_a_text_that_is_not_quoted_is_told_so(made: Any) -> None:
    built = made({"rules/crm/d.yml": TOP + "rules:\n  - {name: a, decision: d, when: true, outcome: gold}\n"})
    (found, *_) = [one for one in built.diagnostics if one.line == 4]
    assert found.remedy == """a text is quoted twice: outcome: "'gold'\""""
