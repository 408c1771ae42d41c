"""Rules as they are served: tried on made-up subjects, explained, corrected while the server runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from api.cli import main
from federation.freshness import provenance
from federation.session import Session
from tests.folders import write
from tests.people import fill
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
