"""Rule sets as views: they say what each rule says by itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import psycopg
import pytest

from federation.canon.server import Canon
from federation.session import Session
from tests.folders import write
from tests.people import COLUMNS, fill, rows
from tests.serving import Serving

SESSION = Session("vdw", timeout=60)


CONDITIONS = (
    "paid > 100", "orders = 1", "mark in (1, 2)", "since < current_date - 100", "kind = 'a'", "kind like 'it''s%'",
    "mark is null", "coalesce(orders, 0) > 1", "paid / nullif(orders, 0) > 50", "not (kind = 'b')", "true",
    "orders between 1 and 5", "orders > 0 and paid / orders > 20", "kind is distinct from 'a'",
    "mark <> 2 or paid is null", "case when orders > 1 and mark = 1 then paid > 1 else kind = 'b' end",
)  # fmt: skip
OUTCOMES = ("1", "paid * 2", "'text'", "kind", "since", "true", "null", "orders > 1", "jsonb_build_object('n', orders)")
REASONS = ("paid {paid}", "{orders} {{sic}} {coalesce(kind, 'none')}", "it's plain", "{since}")


def generated(random: Random, number: int) -> dict[str, Any]:
    joined = " and ".join(random.sample(CONDITIONS, random.randint(1, 3)))
    rule: dict[str, Any] = {
        "name": f"r{number}",
        "decision": random.choice(("one", "two")),
        "when": joined,
        "outcome": random.choice(OUTCOMES),
        "priority": random.choice((0, 0, 1, 5)),
        "reasons": random.sample(REASONS, random.randint(0, 2)),
        "facts": random.sample(("kind", "mark"), random.randint(0, 1)),
    }
    if random.random() < 0.3:
        rule["valid"] = random.choice(({"from": "2020-01-01"}, {"until": "2021-01-01"}, {"from": "2120-01-01"}))
    return rule


SETS = 12
RULES = {f"set{n}": [generated(Random(n * 100 + i), i) for i in range(Random(n).randint(1, 9))] for n in range(SETS)}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("rules")
    files = {f"rules/crm/{name}.yml": json.dumps({"subject": "shop.people", "key": ["id"], "rules": rules})
             for name, rules in RULES.items()}  # fmt: skip
    fill(write(folder, files))
    serving = Serving(folder)
    assert serving.diagnostics == []
    yield serving
    serving.close()


@pytest.fixture(scope="module")
def plain(canon: Canon) -> Iterator[psycopg.Connection[Any]]:
    """The subjects in a PostgreSQL that knows nothing of rules."""
    with psycopg.connect(canon.dsn(), autocommit=True) as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        connection.execute(f"CREATE TEMP TABLE people ({columns})".encode())
        for row in rows():
            connection.execute("INSERT INTO people VALUES (%s, %s, %s, %s, %s::date, %s)", row)
        yield connection


def asked(project: Serving, sql: str) -> list[dict[str, Any]]:
    async def ask() -> list[dict[str, Any]]:
        return (await (await project.runtime.engine.query(sql, SESSION)).table()).to_pylist()

    return project.wait(ask())


def naive(plain: psycopg.Connection[Any], rules: list[dict[str, Any]]) -> dict[tuple[int, str], dict[str, Any]]:
    """Each rule by itself: who it fires for, with what; then the choice among them, in Python."""
    fired: dict[tuple[int, str], dict[str, Any]] = {}
    for place, rule in enumerate(rules):
        valid = rule.get("valid", {})
        if valid.get("from", "") > "2026" or valid.get("until", "9") < "2026":
            continue
        texts = [text.replace("{{", "\1").replace("}}", "\2") for text in rule["reasons"]]
        parts = [[p.partition("}") for p in text.split("{")] for text in texts]
        reasons = [
            " || ".join(
                [literal(head[0][0]), *(f"coalesce(({sql})::text, '') || {literal(rest)}" for sql, _, rest in head[1:])]
            )
            for head in parts
        ]
        outcome = (
            f"to_jsonb(({rule['outcome']})::text)"
            if rule["outcome"] in ("'text'", "null")
            else f"to_jsonb({rule['outcome']})"
        )
        sql = f"SELECT id, {outcome}, ARRAY[{', '.join(reasons)}]::text[] FROM people WHERE {rule['when']}"
        for subject, made, said in plain.execute(sql.encode()).fetchall():
            fired[subject, rule["name"]] = {**rule, "outcome": made, "reasons": said, "place": place}
    return fired


def literal(text: str) -> str:
    text = text.replace("\1", "{").replace("\2", "}")
    return "'" + text.replace("'", "''") + "'"


@pytest.mark.parametrize("name", RULES)
def test_the_view_says_what_each_rule_says_by_itself(
    name: str, project: Serving, plain: psycopg.Connection[Any]
) -> None:
    fired = naive(plain, RULES[name])
    best: dict[tuple[int, str], tuple[int, int, str]] = {}
    for (subject, rule), facts in fired.items():
        rank = (-facts["priority"], facts["place"], rule)
        best[subject, facts["decision"]] = min(best.get((subject, facts["decision"]), rank), rank)
    columns = "id, decision, rule, outcome_json::text AS outcome, priority, chosen, to_jsonb(reasons)::text AS reasons"
    found = asked(project, f"SELECT {columns} FROM crm.{name}")
    told = {(row["id"], row["rule"]): row for row in found}
    assert len(told) == len(found) and told.keys() == fired.keys()
    for key, facts in fired.items():
        row = told[key]
        assert (row["decision"], row["priority"]) == (facts["decision"], facts["priority"])
        assert json.loads(row["outcome"]) == facts["outcome"]
        assert json.loads(row["reasons"]) == facts["reasons"]
        assert row["chosen"] == (best[key[0], facts["decision"]][2] == key[1])


@pytest.mark.parametrize("name", list(RULES)[:6])
def test_why_tells_of_every_rule_and_each_condition(
    name: str, project: Serving, plain: psycopg.Connection[Any]
) -> None:
    found = asked(
        project, f"SELECT id, rule, state, chosen_rule, conditions::text AS conditions, failed FROM crm.{name}_why"
    )
    assert len(found) == len(rows()) * len(RULES[name])
    fired = asked(project, f"SELECT id, rule, chosen FROM crm.{name}")
    states = {(row["id"], row["rule"]): "chosen" if row["chosen"] else "outranked" for row in fired}
    for row in found:
        state = states.get((row["id"], row["rule"]))
        assert (row["state"] if state is None else state) == row["state"]
        assert (state is None) == (row["state"] in ("failed", "unknown", "not in force"))
        assert (row["chosen_rule"] is None) == (state is None)
    for rule in RULES[name]:
        truth = {
            row["id"]: json.loads(row["conditions"])
            for row in found
            if row["rule"] == rule["name"] and row["conditions"]
        }
        if not truth:  # not in force
            continue
        texts = [one["condition"] for one in next(iter(truth.values()))]
        assert " and ".join(texts) == rule["when"]
        for at, text in enumerate(texts):
            if text.startswith("paid / orders"):  # fails by itself, so the rule guards it
                for one in truth.values():
                    protected = all(before["holds"] for before in one[:at])
                    assert one[at]["evaluated"] == (True if protected else None)
                continue
            for subject, holds in plain.execute(f"SELECT id, {text} FROM people".encode()).fetchall():
                one = truth[subject][at]
                assert one["holds"] == (holds if one["evaluated"] else None)


def test_a_lookup_asks_one_small_statement(project: Serving) -> None:
    engine = project.runtime.engine
    plan = project.wait(engine.explain("SELECT * FROM crm.set0 WHERE id = 7", SESSION)).text()
    assert plan.count("SELECT t1.") + plan.count("@ shop") >= 1
    assert '"id" = $1' in plan and "EXACT    (people.id = $1)" in plan
    whole = project.wait(engine.explain("SELECT * FROM crm.set0_why WHERE id = 7", SESSION)).text()
    assert "EXACT    (people.id = $1)" in whole
