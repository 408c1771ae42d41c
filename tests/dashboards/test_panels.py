"""What the server answers: pages, descriptions, panels, and each way to be refused."""

from __future__ import annotations

import pytest

from api.dashboards.routes import POLICY
from tests.dashboards.world import EXACT, HOSTILE, World

pytestmark = pytest.mark.service


def test_the_list_has_every_dashboard_and_every_broken_file(world: World) -> None:
    with world.client() as client:
        listed = client.get("index.json").json()
    assert [one["name"] for one in listed["dashboards"]] == ["faults", "main", "person", "slow"]
    assert [one["asks"] for one in listed["dashboards"]] == [[], [], ["Person number"], []]
    assert [one["broken"] for one in listed["dashboards"]] == [2, 0, 0, 0]
    assert [one["file"] for one in listed["broken"]] == ["dashboards/broken.yml"]
    assert listed["broken"][0]["place"] == "dashboards/broken.yml:3"
    assert listed["user"] == "ada"


def test_a_description_has_no_sql(world: World) -> None:
    with world.client("guest") as client:
        answer = client.get("faults.json")
    assert "private.pay" not in answer.text
    told = {one["name"]: one for one in answer.json()["panels"]}
    assert told["wrong_column"]["fault"]["message"] == 'panel wrong_column has no column "mood"'
    assert told["panel_4"]["fault"]["place"].startswith("dashboards/faults.yml:")
    assert "fault" not in told["wrong_name"]


def test_check_says_the_same_with_places(world: World) -> None:
    said = world.reload()
    assert any('panel wrong_name: column "nmae" does not exist' in one for one in said), said
    assert any(one.startswith("dashboards/faults.yml:") and '"mood"' in one for one in said)


def test_a_panel_s_answer(world: World) -> None:
    with world.client() as client:
        answer = client.get("main/panels/total?kind=web&least=20.5")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    told = answer.json()
    assert told["rows"] == [
        {"total": str(sum(m * 7 + 3 for m in range(1, 13) if m * 7 + 3 >= 20.5)), "before": "50.00", "state": "warning"}
    ]
    assert [one["type"] for one in told["columns"]] == ["numeric", "numeric", "text"]
    assert [fact["source"] for fact in told["provenance"]] == ["file"]
    assert told["asked"][0]["statements"] == 1
    assert 0 < told["fresh_for"] <= 1
    assert "kind = 'web'::text" in told["sql"]
    assert "amount >= '20.5'::numeric" in told["sql"]
    assert told["reads"] == ["desk.sales"]
    assert told["graphql"] == "{\n  deskSales(limit: 20) {\n    day\n    kind\n    amount\n  }\n}\n"


def test_no_digit_and_no_character_is_lost(world: World) -> None:
    with world.client() as client:
        rows = client.get("main/panels/people").json()["rows"]
    assert (rows[0]["name"], rows[0]["balance"], len(rows)) == (HOSTILE, EXACT, 40)


def test_a_herd_shares_its_statements(world: World) -> None:
    with world.client() as client:
        first = client.get("main/panels/shares").json()
        second = client.get("main/panels/shares").json()
    assert first["rows"] == second["rows"]
    assert {part["cache"] for part in second["asked"]} <= {"hit", "miss"}
    assert sum(part["statements"] for part in first["asked"] + second["asked"]) <= 2


@pytest.mark.parametrize(
    ("path", "status", "state", "said"),
    [
        ("main/panels/total?least=x", 400, "22P02", '`least` cannot be "x": it is a number, such as 12.50'),
        ("main/panels/total?colour=red", 400, "22023", 'dashboard "main" has no parameter "colour"'),
        ("main/panels/total?least=1&least=2", 400, "22023", "`least` stands twice"),
        ("main/panels/total?kind=%00", 400, "22021", "`kind` is no value"),
        ("main/panels/none", 404, None, 'dashboard "main" has no panel "none"'),
        ("none.json", 404, None, 'there is no dashboard "none"'),
        ("broken.json", 500, "F0000", "malformed YAML"),
        ("main/parameters/least", 404, None, 'has no choices for "least"'),
        ("faults/panels/wrong_column", 500, "F0000", 'panel wrong_column has no column "mood"'),
        ("faults/panels/wrong_name", 400, "42703", 'column "nmae" does not exist'),
        ("faults/panels/divided", 400, "22012", "division by zero"),
        ("faults/panels/slow", 504, "57014", ""),
    ],
)
def test_each_refusal_says_why(world: World, path: str, status: int, state: str | None, said: str) -> None:
    with world.client() as client:
        answer = client.get(path)
    error = answer.json()["error"]
    assert (answer.status_code, error.get("sqlstate")) == (status, state), error
    assert said in error["message"]


def test_a_wrong_name_is_placed_in_its_file(world: World) -> None:
    with world.client() as client:
        told = client.get("faults/panels/wrong_name").json()
    line = next(
        n
        for n, text in enumerate((world.folder / "dashboards/faults.yml").read_text().split("\n"), 1)
        if "nmae" in text
    )
    assert told["error"]["place"].startswith("dashboards/faults.yml:")
    assert abs(int(told["error"]["place"].rpartition(":")[2]) - line) <= 1
    assert "nmae" in told["sql"]


def test_who_may_not_read_is_told_no_sql(world: World) -> None:
    with world.client("guest") as client:
        refused, allowed = client.get("faults/panels/private"), client.get("faults/panels/right")
        explained = client.get("faults/panels/private/explain")
    assert (refused.status_code, explained.status_code, allowed.status_code) == (403, 403, 200)
    assert refused.json()["error"]["sqlstate"] == "42501"
    assert "sql" not in refused.json()
    assert allowed.json()["rows"] == [{"n": "40"}]


def test_rows_are_bounded_and_said_so(world: World) -> None:
    with world.client() as client:
        cut = client.get("faults/panels/cut").json()
        whole = client.get("main/panels/people").json()
    assert (len(cut["rows"]), cut["more"]) == (5, True)
    assert (len(whole["rows"]), whole["more"]) == (40, False)


def test_choices_come_from_the_sources(world: World) -> None:
    with world.client() as client:
        assert client.get("main/parameters/kind").json()["rows"] == [{"kind": "shop"}, {"kind": "web"}]


def test_explain_tells_what_is_asked(world: World) -> None:
    with world.client() as client:
        answer = client.get("main/panels/by_day/explain?kind=web")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "@ file" in answer.text


def test_pages_have_a_strict_policy_and_need_a_user(world: World) -> None:
    with world.client() as client:
        page, unknown = client.get("main"), client.get("nothing")
        script = client.get("-/app.js")
        refused = client.post("main/panels/total")
    assert (page.status_code, unknown.status_code, refused.status_code) == (200, 404, 405)
    assert page.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert script.headers["cache-control"] == "no-cache"
    client = world.client()
    client.auth = None
    with client:
        for path in ("", "main", "index.json", "main.json", "main/panels/total", "main/parameters/kind"):
            answer = client.get(path)
            assert (answer.status_code, "basic" in answer.headers["www-authenticate"].lower()) == (401, True), path
