"""Rules as they are served: tried on made-up subjects, explained, corrected while the server runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.cli import main
from api.http import app
from federation.freshness import provenance
from federation.session import Session
from tests.folders import write
from tests.people import COLUMNS, fill, rows
from tests.serving import Serving

SESSION = Session("vdw", timeout=60)
TESTED = """\
subject: shop.people
key: [id]
rules:
  - {name: rich, decision: credit, priority: 2, outcome: paid, reasons: ["{paid}"],
     when: paid >= 100 and orders / mark > 0}
  - {name: any, decision: credit, when: true, outcome: 0}
  - {name: old, decision: offer, when: since < current_date - 30, outcome: "'come back'", valid: {until: 2026-06-01}}
tests:
  - name: rich
    given: {id: 1, paid: 250.5, orders: 3, mark: 1}
    expect: {credit: {rule: rich, outcome: 250.5, fired: [any, rich], reasons: ["250.50"]}, offer: null}
  - name: at its last moment
    at: "2026-05-31T23:59:59Z"
    given: {id: 1, since: 2026-04-30}
    expect: {offer: {rule: old, outcome: come back}, credit: any}
  - name: no longer
    at: 2026-06-01
    given: {id: 1, since: 2026-04-30}
    expect: {offer: null}
"""
FAILING = """\
  - name: wrong
    given: {id: 1, paid: 99}
    expect: {credit: {rule: rich, outcome: 99}}
  - name: fails
    given: {id: 1, paid: 200, orders: 1, mark: 0}
    expect: {credit: rich}
  - name: typed
    given: {id: 1, paid: much}
    expect: {credit: any}
  - name: unknown
    given: {id: 1, payd: 1}
    expect: {credit: any}
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


@pytest.mark.slow
def test_rules_are_tested_on_made_up_subjects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(write(tmp_path, {"rules/crm/d.yml": TESTED}))
    code, out, err = run(capsys, "test", "-p", tmp_path)
    assert (code, [line.split(" ", 1)[0] for line in out.splitlines()]) == (0, ["ok"] * 3), out
    assert err == "3 tests, 0 failed\n"
    (tmp_path / "rules/crm/d.yml").write_text(TESTED + FAILING)
    code, out, err = run(capsys, "test", "-p", tmp_path, "crm.d")
    assert (code, err) == (1, "7 tests, 4 failed\n")
    assert (
        "FAILED rules/crm/d.yml:20 wrong\n    credit:\n      - rule: rich\n      + rule: any\n      - outcome: 99\n"
        in out
    )
    assert "rich failed: paid >= 100 (mark = null, paid = 99.00, orders = null)" in out
    assert "error: division by zero" in out
    assert 'error: invalid input syntax for type numeric: "much"' in out
    assert 'has no column "payd": did you mean `paid`?' in out
    code, out, _ = run(capsys, "test", "-p", tmp_path, "--json")
    assert [one["passed"] for one in json.loads(out)["tests"]] == [True] * 3 + [False] * 4
    code, _, err = run(capsys, "test", "-p", tmp_path, "crm.dd")
    assert code == 1 and 'no rule set "crm.dd"' in err and "crm.d" in err


def test_a_decision_that_stands_aside_is_told_with_each_answer_until_it_is_corrected(tmp_path: Path) -> None:
    bad = TESTED.replace("paid >= 100", "payd >= 100")
    fill(write(tmp_path, {"rules/crm/d.yml": bad}))
    serving = Serving(tmp_path)
    try:
        engine = serving.runtime.engine

        async def ask(sql: str) -> tuple[list[dict[str, Any]], list[str]]:
            result = await engine.query(sql, SESSION)
            found = (await result.table()).to_pylist()
            return found, [fact.warning for fact in provenance.facts(result.parts) if fact.missing]

        found, missing = serving.wait(ask("SELECT DISTINCT decision FROM crm.d_why WHERE id < 9"))
        assert (found, missing) == ([{"decision": "offer"}], ["rules crm.d_why: not decided is credit"])
        _, missing = serving.wait(ask("SELECT count(*) FROM crm.d"))
        assert missing == ["rules crm.d: not decided is credit"]
        found, _ = serving.wait(ask("SELECT rule, state, reason, origins, file FROM vdw.rules ORDER BY file"))
        assert [(row["rule"], row["state"]) for row in found] == [
            ("rich", "not served"),
            ("any", "not served"),
            ("old", "served"),
        ]
        assert found[0]["reason"] == 'rule rich is at fault: column "payd" does not exist'
        assert (found[2]["origins"], found[2]["file"]) == ("shop.people.since", "rules/crm/d.yml:7")
        (tmp_path / "rules/crm/d.yml").write_text(TESTED)
        assert serving.wait(serving.runtime.reload()) == ()
        found, missing = serving.wait(ask("SELECT DISTINCT decision FROM crm.d_why WHERE id < 9 ORDER BY 1"))
        assert (found, missing) == ([{"decision": "credit"}, {"decision": "offer"}], [])
    finally:
        serving.close()


USERS = """\
name: test
users:
  ada: {password: {file: secret}, reads: ["*"]}
  bob: {password: {file: secret}, reads: [crm.d]}
  eve: {password: {file: secret}, reads: [crm.d, crm.d_why]}
"""
DECISIONS = "{ crmD(where: {id: {_eq: 3}, chosen: {_eq: true}}) { decision rule outcome outcomeJson reasons facts } }"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., httpx.Response]]:
    """Asks a served rule set over HTTP as a user."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "secret").write_text("word")
    fill(write(folder, {"vdw.yml": USERS, "rules/crm/d.yml": TESTED}))
    serving = Serving(folder)

    def ask(path: str, user: str = "ada", method: str = "GET", **more: Any) -> httpx.Response:
        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(app(serving.runtime))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, auth=(user, "word"), **more)

        return serving.wait(run())

    yield ask
    serving.close()


def test_why_over_http_tells_rules_facts_and_ages(served: Callable[..., httpx.Response]) -> None:
    row = dict(zip(COLUMNS, rows()[2], strict=True))
    response = served("/why/crm.d?id=3")
    assert response.status_code == 200
    told = response.json()
    assert (told["view"], told["key"], told["not_served"]) == ("crm.d", {"id": "3"}, {})
    credit = next(one for one in told["decisions"] if one["decision"] == "credit")
    states = {one["rule"]: one["state"] for one in credit["rules"]}
    assert states.keys() == {"rich", "any"} and states["any"] in ("chosen", "outranked")
    rich = next(one for one in credit["rules"] if one["rule"] == "rich")
    assert [one["condition"] for one in rich["conditions"]] == ["paid >= 100", "orders / mark > 0"]
    paid = told["facts"]["paid"]
    assert paid["value"] == (None if row["paid"] is None else float(row["paid"]))
    assert (paid["origins"], paid["sources"], paid["missing"]) == (["shop.people.paid"], ["shop"], [])
    assert 0 <= paid["age"] < 60
    assert [one["source"] for one in told["provenance"]] == ["shop"]
    assert json.loads(response.headers["Vdw-Provenance"])[0]["source"] == "shop"


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/why/crm.dd?id=3", 404, 'no rule set "crm.dd"'),
        ("/why/shop.people?id=3", 404, 'no rule set "shop.people"'),
        ("/why/crm.d?id=3000", 404, "no such subject"),
        ("/why/crm.d", 400, "needs its whole key"),
        ("/why/crm.d?id=3&idd=4", 400, "no key column idd"),
        ("/why/crm.d?id=3&id=4", 400, "stands twice"),
        ("/why/crm.d?id=three", 400, 'invalid input syntax for type bigint: "three"'),
    ],
)
def test_what_cannot_be_told_over_http(
    path: str, status: int, message: str, served: Callable[..., httpx.Response]
) -> None:
    response = served(path)
    assert response.status_code == status
    assert message in response.json()["error"]["message"]


def test_why_is_for_those_who_may_read_both_views(served: Callable[..., httpx.Response]) -> None:
    assert served("/why/crm.d?id=3", user="bob").status_code == 403
    assert served("/why/crm.d?id=3", user="eve").status_code == 200
    assert served("/why/crm.d?id=3", method="POST").status_code == 405
    rules = {"sql": "select rule from vdw.rules"}
    assert served("/query", user="bob", method="POST", json=rules).text.count("rule") == 3


def test_graphql_has_the_decisions(served: Callable[..., httpx.Response]) -> None:
    answer = served("/graphql", method="POST", json={"query": DECISIONS}).json()
    told = served("/why/crm.d?id=3").json()
    chosen = {one["decision"]: one["chosen"] for one in told["decisions"] if one["chosen"]}
    assert {row["decision"]: row["rule"] for row in answer["data"]["crmD"]} == {
        decision: one["rule"] for decision, one in chosen.items()
    }
    for row in answer["data"]["crmD"]:
        assert row["outcomeJson"] == chosen[row["decision"]]["outcome"]
        assert row["reasons"] == chosen[row["decision"]]["reasons"]


@pytest.mark.slow
def test_why_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(write(tmp_path, {"rules/crm/d.yml": TESTED}))
    code, out, _ = run(capsys, "why", "-p", tmp_path, "crm.d", "id=3", "--decision", "credit")
    assert code == 0
    assert out.startswith("crm.d, id = 3\n\ncredit: ")
    assert "paid = " in out and ", of shop.people.paid; shop " in out and "offer" not in out
    code, out, _ = run(capsys, "why", "-p", tmp_path, "crm.d", "id=3", "--json")
    assert (code, json.loads(out)["view"]) == (0, "crm.d")
    code, _, err = run(capsys, "why", "-p", tmp_path, "crm.d", "id=999")
    assert code == 1 and "is about no subject with id = 999" in err
    assert run(capsys, "why", "-p", tmp_path, "crm.d", "id")[0] == 2
