"""Uploads and segmentations as clients use them: over HTTP, joined in SQL and GraphQL, across a restart."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api import own
from api.sample import create
from api.uploads.shelf import Shelf
from connectors.errors import ConfigError, Error
from tests.segments.served import Served, project

pytestmark = pytest.mark.slow

DESCRIPTION = {
    "attributes": {
        "customer_id": {"type": "integer", "role": "key"},
        "age": {"type": "integer", "missing": "mean"},
        "income": "decimal(12,2)",
        "city": "text",
    }
}
ROWS = [
    {
        "customer_id": n,
        "age": 20 + n % 3 if n % 2 else 60 + n % 3,
        "income": 1000 + n if n % 2 else 9000 + n,
        "city": "Oslo",
    }
    for n in range(1, 41)
]
CSV = "customer_id,age,income,city\n" + "".join(
    f"{row['customer_id']},{row['age']},{row['income']},{row['city']}\n" for row in ROWS
)


def put(
    client: httpx.Client,
    name: str,
    data: bytes | str = CSV,
    kind: str = "text/csv",
    said: Any = DESCRIPTION,
    **more: Any,
) -> httpx.Response:
    """As a form."""
    files = {"data": ("customers", data, kind), "description": (None, json.dumps(said), "application/json")}
    files |= {part: (None, json.dumps(value), "application/json") for part, value in more.items()}
    return client.put(f"/{'segmentations' if more else 'uploads'}/{name}", files=files)


def asked(client: httpx.Client, sql: str) -> list[dict[str, Any]]:
    answer = client.post("/query", content=sql, headers={"Content-Type": "application/sql"})
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


def graphql(client: httpx.Client, query: str) -> Any:
    return client.post("/graphql", json={"query": query}).json()


def test_an_upload_is_a_table_of_its_owner(served: Served) -> None:
    with served.client() as ada, served.client("bob") as bob, served.client("root") as root:
        made = put(ada, "people")
        assert made.status_code == 201, made.text
        told = made.json()
        assert (told["table"], told["owner"], told["rows"]) == ("uploads.people", "ada", 40)
        joined = "select count(*) as n, sum(o.amount) as a from uploads.people p join shop.orders o using (customer_id)"
        assert asked(ada, joined) == [{"n": "140", "a": asked(ada, "select sum(amount) as a from shop.orders")[0]["a"]}]
        assert served.sql("select age, income, city from uploads.people where customer_id = 2")[0][0] == 62
        assert graphql(ada, "{ uploadsPeople(where: {customerId: {_eq: 2}}) { age city } }")["data"] == {
            "uploadsPeople": [{"age": "62", "city": "Oslo"}]
        }
        assert [one["name"] for one in ada.get("/uploads").json()["uploads"]] == ["people"]
        # Nobody else sees it, though both may read "*"; an administrator sees that it is there, and not what is in it.
        assert bob.get("/uploads").json() == {"uploads": []}
        for other in (bob, root):
            told = other.post("/query", json={"sql": "select * from uploads.people"})
            assert (told.status_code, told.json()["error"]["sqlstate"]) == (403, "42501")
            assert "errors" in graphql(other, "{ uploadsPeople { age } }")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            served.sql("select * from uploads.people", "bob")
        assert bob.get("/uploads/people").status_code == bob.delete("/uploads/people").status_code == 400
        assert put(bob, "people").json()["error"]["sqlstate"] == "42P07"
        assert [one["owner"] for one in root.get("/uploads").json()["uploads"]] == ["ada"]


def test_an_upload_is_replaced_and_deleted(served: Served) -> None:
    with served.client() as ada:
        said = {"attributes": {"x": "integer"}}
        assert put(ada, "brief", "x\n1\n2\n", said=said).status_code == 201
        assert served.sql("select sum(x) from uploads.brief") == [(3,)]
        assert put(ada, "brief", "y\n5.5\n", said={"attributes": {"y": "float"}}).status_code == 200
        assert served.sql("select y from uploads.brief") == [(5.5,)]
        assert ada.delete("/uploads/brief").status_code == 200
        with pytest.raises(psycopg.errors.UndefinedTable):
            served.sql("select * from uploads.brief")
        assert ada.get("/uploads/brief").json()["error"]["sqlstate"] == "42P01"


def test_all_formats_and_ways_of_sending(served: Served) -> None:
    table = pa.table({name: [row[name] for row in ROWS] for name in ROWS[0]})
    parquet = io.BytesIO()
    pq.write_table(table, parquet)
    xml = "".join("<c>" + "".join(f"<{k}>{v}</{k}>" for k, v in row.items()) + "</c>" for row in ROWS)
    sent = {
        "text/csv": CSV,
        "application/json": json.dumps(ROWS),
        "application/xml": f"<all>{xml}</all>",
        "application/vnd.apache.parquet": parquet.getvalue(),
    }
    found = []
    with served.client() as ada:
        for kind, data in sent.items():
            answer = ada.post(
                "/uploads",
                params={"name": "ways", "description": json.dumps(DESCRIPTION)},
                content=data,
                headers={"Content-Type": kind},
            )
            assert answer.status_code in (200, 201), answer.text
            found.append(served.sql("select * from uploads.ways order by 1"))
        ada.delete("/uploads/ways")
    assert len(found[0]) == 40
    assert all(one == found[0] for one in found)


BAD: list[tuple[Any, int, str]] = [
    (
        {"data": "customer_id,age,income,city\n1,old,,\n"},
        400,
        'line 2, column 2: attribute "age": "old" is not a whole number',
    ),
    ({"kind": "image/png"}, 415, "no Content-Type"),
    ({"said": {"attributes": {"a": "nothing"}}}, 400, '"nothing" is not a type'),
    ({"said": []}, 400, "must be a JSON object"),
    ({"data": "x" * 300_000}, 413, "larger than"),
    (
        {"data": "customer_id,age,income,city\n" + "".join(f"{n},,,\n" for n in range(3001))},
        413,
        "more than 3,000 rows",
    ),
    ({"said": {"attributes": {f"a{n}": "text" for n in range(21)}}}, 413, "uploads.columns"),
    ({"name": "No good"}, 400, "cannot name a table"),
    ({"strange": {}}, 400, "a form has the parts"),
]


@pytest.mark.parametrize(("given", "status", "told"), BAD, ids=range(len(BAD)))
def test_bad_uploads_are_clear_errors(served: Served, given: dict[str, Any], status: int, told: str) -> None:
    with served.client() as ada:
        name = given.pop("name", "bad")
        if "strange" in given:
            answer = ada.put("/uploads/bad", files={"data": ("x", CSV, "text/csv"), "strange": (None, "{}")})
        else:
            answer = put(ada, name, **given)
        assert answer.status_code == status, answer.text
        assert told in answer.json()["error"]["message"]
        assert served.runtime.owned.shelves["uploads"].entries().keys().isdisjoint({"bad"})


def test_pages_of_other_sites_cannot_send(served: Served) -> None:
    with served.client() as ada:
        for answer in (
            ada.post(
                "/uploads?name=x", content=b"", headers={"Content-Type": "text/csv", "Origin": "http://evil.example"}
            ),
            ada.delete("/uploads/people", headers={"Origin": "http://evil.example"}),
        ):
            assert answer.status_code == 403


def test_how_many_may_be_kept(served: Served) -> None:
    other = Shelf("uploads", served.folder / ".vdw")
    for number in range(3):
        part = other.part(f"many{number}")
        pq.write_table(pa.table({"x": [number]}), part)
        other.put(f"many{number}", "bob", part, {"description": {"attributes": []}, "rows": 1, "missing": {}})
    said = {"attributes": {"x": "integer"}}
    with served.client("bob") as bob:
        refused = put(bob, "many3", "x\n1\n", said=said)
        assert (refused.status_code, refused.json()["error"]["sqlstate"]) == (429, "53400")
        assert put(bob, "many2", "x\n2\n", said=said).status_code == 200  # in the place of one is no more
        for number in range(3):
            assert bob.delete(f"/uploads/many{number}").status_code == 200


def test_a_segmentation_of_a_view(served: Served) -> None:
    with served.client() as ada, served.client("bob") as bob:
        asked_for = {
            "from": {"view": "sales.spending"},
            "key": "customer_id",
            "by": ["orders", "spent"],
            "segments": {"from": 2, "to": 4},
        }
        made = ada.put("/segmentations/value", json=asked_for)
        assert made.status_code == 201, made.text
        told = made.json()
        assert told["segment_count"] == 2
        assert [one["size"] for one in told["segments"]] == [20, 20]
        assert told["quality"]["silhouette"] > 0.9
        assert [one["segments"] for one in told["quality"]["tried"]] == [2, 3, 4]
        members = (
            "select (s.customer_id % 2) as odd, count(distinct s.segment) from segments.value s "
            "join sales.spending v using (customer_id) group by 1"
        )
        assert served.sql(members + " order by 1") == [(0, 1), (1, 1)]
        assert graphql(ada, "{ segmentsValue(limit: 1) { segment label } }")["data"]["segmentsValue"]
        # What it was fitted to is classified as it was, one by one.
        rows = served.sql(
            "select v.customer_id, v.orders, v.spent, s.segment, s.distance "
            "from sales.spending v join segments.value s using (customer_id)"
        )
        customers = [{"customer_id": r[0], "orders": r[1], "spent": str(r[2])} for r in rows]
        found = ada.post("/segmentations/value/classify", json={"customers": customers}).json()["customers"]
        assert [(one["segment"], one["distance"]) for one in found] == [(r[3], r[4]) for r in rows]
        assert all(0 <= one["confidence"] <= 1 for one in found)
        for answer in (
            bob.get("/segmentations/value"),
            bob.post("/segmentations/value/classify", json={"customer": {}}),
        ):
            assert answer.json()["error"]["sqlstate"] == "42P01"
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            served.sql("select * from segments.value", "bob")
        versions_of(ada, asked_for)


def versions_of(ada: httpx.Client, asked_for: dict[str, Any]) -> None:
    cheap = {**asked_for, "method": "quantiles", "scaling": "none", "silhouette": False}
    again = ada.put("/segmentations/value", json={**cheap, "quantiles": 2})
    assert (again.status_code, again.json()["version"]) == (200, 2)
    assert ada.put("/segmentations/value", json={**cheap, "by": ["spent"], "quantiles": 3}).json()["version"] == 3
    told = ada.get("/segmentations/value").json()
    assert (told["version"], told["versions"], told["segment_count"]) == (3, [2, 3], 3)
    assert ada.get("/segmentations/value?version=2").json()["segment_count"] == 2
    gone = ada.post("/segmentations/value/classify?version=1", json={"customer": {"orders": 1}})
    assert (gone.status_code, gone.json()["error"]["hint"]) == (400, "Versions that are kept: 2, 3.")
    assert [one["name"] for one in ada.get("/segmentations").json()["segmentations"]] == ["value"]


def test_customers_are_sent_and_segmented_in_one_request(served: Served) -> None:
    with served.client() as ada:
        wanted = {"by": ["age", "income", {"name": "city", "weight": 0.5}], "segments": 2}
        made = put(ada, "sent", segmentation=wanted)
        assert made.status_code == 201, made.text
        told = made.json()
        assert (told["key"], told["upload"]["rows"], [one["size"] for one in told["segments"]]) == (
            "customer_id",
            40,
            [20, 20],
        )
        assert told["cleaning"][0]["missing_rule"] == "mean"  # as the upload's description says
        one = ada.post(
            "/segmentations/sent/classify", json={"customer": {"age": 61, "income": 9100, "city": "Rome"}}
        ).json()
        assert one["customers"][0]["label"] == told["segments"][one["customers"][0]["segment"] - 1]["label"]
        ada.delete("/segmentations/sent")
        ada.delete("/uploads/sent")


WRONG: list[tuple[Any, str]] = [
    ({"by": ["orders"]}, "`from` is missing"),
    ({"from": {"view": "sales.spending", "upload": "x"}, "by": ["orders"]}, "exactly one of upload, view and sql"),
    ({"from": {"view": "sales.spendings"}, "by": ["orders"]}, "there is no sales.spendings"),
    ({"from": {"upload": "nothing"}, "by": ["orders"]}, "there is no uploads.nothing of yours"),
    ({"from": {"view": "sales.spending"}, "by": ["order"]}, 'sales.spending has no column "order"'),
    ({"from": {"view": "sales.spending"}, "by": []}, "by"),
    ({"from": {"view": "sales.spending"}, "by": ["orders", "orders"]}, "stands twice"),
    ({"from": {"view": "sales.spending"}, "by": ["orders"], "key": "orders"}, "do not segment by it"),
    ({"from": {"view": "sales.spending"}, "by": ["orders"], "segments": 1}, "segments"),
    (
        {"from": {"view": "sales.spending"}, "by": ["orders"], "segments": {"from": 5, "to": 2}},
        "`from` is more than `to`",
    ),
    ({"from": {"view": "sales.spending"}, "by": ["orders"], "method": "dbscan"}, "method"),
    ({"from": {"sql": "select 1 as x; select 2"}, "by": ["x"]}, ""),
    ({"from": {"sql": "select no_such from sales.spending"}, "by": ["x"]}, "no_such"),
    ({"from": {"sql": "select orders as x from sales.spending"}, "by": ["x"], "key": "y"}, 'no column "y"'),
    (
        {"from": {"sql": "select 1 as k, orders as x from sales.spending"}, "by": ["x"], "key": "k"},
        "does not identify a customer",
    ),
    ({"from": {"sql": "select orders as x from sales.spending where false"}, "by": ["x"]}, "there are no customers"),
    ({"from": {"sql": "select null::int as x from sales.spending"}, "by": ["x"]}, "no value in any row"),
    ({"from": {"sql": "select 'a' as x from sales.spending"}, "by": ["x"], "method": "quantiles"}, "is a category"),
    ({"from": {"sql": "select g as x from generate_series(1, 6000) g"}, "by": ["x"]}, "more than 5,000 customers"),
    ({"from": {"sql": "select * from uploads.people"}, "by": ["age"]}, "permission denied"),
]


@pytest.mark.parametrize(("given", "told"), WRONG, ids=range(len(WRONG)))
def test_bad_segmentations_are_clear_errors(served: Served, given: Any, told: str) -> None:
    with served.client("bob") as bob:
        answer = bob.put("/segmentations/wrong", json=given)
        assert 400 <= answer.status_code < 500, answer.text
        message = answer.json()["error"]
        assert told in message["message"] + str(message.get("hint"))


def test_bad_customers_are_clear_errors(served: Served) -> None:
    with served.client() as ada:
        ada.put(
            "/segmentations/judge",
            json={
                "from": {"view": "sales.spending"},
                "key": "customer_id",
                "by": ["orders"],
                "method": "quantiles",
                "scaling": "none",
                "silhouette": False,
            },
        )
        for given, told in (
            ({"customers": [{"orders": 1}, {"orders": "many"}]}, "customer 2: attribute"),
            ({"customers": [{"ordres": 1}]}, 'customer 1: "ordres" is no attribute'),
            ({"customers": [1]}, "customer 1: must be an object"),
            ({"customers": [{"orders": [1]}]}, "must be a single value"),
            ({"customer": {}, "x": 1}, "send {"),
            ({}, "send {"),
            ({"customers": [{}] * 501}, "segmentations.classify"),
        ):
            answer = ada.post("/segmentations/judge/classify", json=given)
            assert 400 <= answer.status_code < 500
            assert told in answer.json()["error"]["message"]
        assert ada.post("/segmentations/judge/classify", json={"customers": []}).json()["customers"] == []
        assert (
            ada.put("/segmentations/judge", content=b"{", headers={"Content-Type": "application/json"}).status_code
            == 400
        )
        assert ada.patch("/segmentations/judge").status_code == 405
        ada.delete("/segmentations/judge")


def test_what_is_kept_survives_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VDW_TEST_SECRET", "secret")
    first = Served(project(tmp_path))
    try:
        with first.client() as ada:
            put(
                ada,
                "lasting",
                segmentation={
                    "by": ["age", "income"],
                    "method": "quantiles",
                    "quantiles": 4,
                    "scaling": "none",
                    "silhouette": False,
                },
            )
            before = ada.post(
                "/segmentations/lasting/classify", json={"customer": {"age": 21, "income": "1017.00"}}
            ).json()
            assert before["customers"][0]["segment"], before
            members = first.sql("select * from segments.lasting order by 1")
    finally:
        first.close()
    second = Served(tmp_path)
    try:
        with second.client() as ada:
            again = ada.post(
                "/segmentations/lasting/classify", json={"customer": {"age": 21, "income": "1017.00"}}
            ).json()
            assert again == before
            assert second.sql("select * from segments.lasting order by 1") == members
            assert ada.get("/uploads/lasting").json()["rows"] == 40
            expires(second, ada)
    finally:
        second.close()


def expires(served: Served, ada: httpx.Client) -> None:
    """What is over its time goes, and another server's changes are followed."""
    shelf = served.runtime.owned.shelves["uploads"]
    about = shelf.about / "lasting.json"
    about.write_text(json.dumps({**json.loads(about.read_text()), "expires": 1.0}))
    (shelf.about / "touch.json").write_text("{}")
    served.wait(served.runtime.renew())
    with pytest.raises(psycopg.errors.UndefinedTable):
        served.sql("select * from uploads.lasting")
    assert ada.get("/uploads").json() == {"uploads": []}


def test_the_commands(
    served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VDW_PASSWORD", "secret")
    where = own.Where(tmp_path, "http://{}:{}".format(*served.http), "ada")
    files = {"people.csv": CSV, "said.yml": "attributes: {customer_id: {type: integer, role: key}, age: integer}"}
    files["said.yml"] += "\nother_columns: ignore"
    wanted = "from: {upload: commanded}\nby: [age]\nmethod: quantiles\nquantiles: 2\nscaling: none\nsilhouette: false"
    files |= {"wanted.yml": wanted, "new.json": '[{"age": 20}, {"age": 70}]', "bad.yml": "a: [1"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert own.upload(where, "commanded", tmp_path / "people.csv", tmp_path / "said.yml", False, False) == 0
    assert own.segment(where, "fit", "commanded", tmp_path / "wanted.yml", False) == 0
    assert own.segment(where, "list", "", None, False) == own.upload(where, "", None, None, False, False) == 0
    assert "segments.commanded" in capsys.readouterr().out
    assert own.segment(where, "classify", "commanded", tmp_path / "new.json", True) == 0
    assert [one["label"] for one in json.loads(capsys.readouterr().out)] == ["1", "2"]
    with pytest.raises(ConfigError, match="neither YAML nor JSON"):
        own.segment(where, "fit", "commanded", tmp_path / "bad.yml", False)
    assert own.segment(where, "delete", "commanded", None, False) == 0
    assert own.upload(where, "commanded", None, None, True, False) == 0
    with pytest.raises(Error, match=r"there is no segments\.commanded of yours"):
        own.segment(where, "show", "commanded", None, False)


def test_what_another_server_keeps_is_followed(served: Served) -> None:
    other = Shelf("uploads", served.folder / ".vdw")
    part = other.part("elsewhere")
    pq.write_table(pa.table({"x": pa.array([7], pa.int64())}), part)
    facts = {"description": {"attributes": [{"name": "x", "type": "integer"}]}, "rows": 1, "missing": {"x": 0}}
    other.put("elsewhere", "ada", part, facts)
    until, found = time.monotonic() + 120, []
    while not found and time.monotonic() < until:
        with contextlib.suppress(psycopg.errors.UndefinedTable):
            found = served.sql("select x from uploads.elsewhere")
        time.sleep(0.5)
    assert found == [(7,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        served.sql("select x from uploads.elsewhere", "bob")
    other.drop("elsewhere")


def test_a_server_never_imports_what_segmentations_are_computed_with() -> None:
    told = "import sys, api.serve, api.segments.classify, api.segments.http, api.segments.store; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True).stdout.split()
    assert "api.segments.model" in modules
    assert not {"sklearn", "scipy", "minisom", "defusedxml"} & set(modules)


def test_without_their_sections_there_are_none(tmp_path: Path) -> None:
    create(tmp_path / "sample")
    file = tmp_path / "sample" / "vdw.yml"
    file.write_text(file.read_text().replace("8080", "0").replace("5433", "0"))
    plain = Served(tmp_path / "sample")
    try:
        with plain.client() as client:
            for path in ("/uploads", "/uploads/x", "/segmentations", "/segmentations/x"):
                answer = client.get(path)
                assert (answer.status_code, "in vdw.yml" in answer.text) == (404, True)
    finally:
        plain.close()
