"""The HTTP application: GraphQL over HTTP's rules, authentication, SQL, health, clients that go away."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import orjson
import pyarrow as pa
import pytest

from api.credentials import Credentials
from api.http import app
from api.uploads.owned import Owned
from connectors.base import Cancel
from connectors.errors import ConfigError
from connectors.types import PgType
from federation.result import Result
from federation.watch import Watch
from planner.plan import Plan
from tests.graphql import attacks, oracle
from tests.graphql.oracle import PgEngine
from views.catalog import Catalog, View
from views.files import ProjectFile

RESPONSE = "application/graphql-response+json"
QUESTION = "{crmCustomersByKey(customerId: 1) {name}}"
USERS: dict[str, Any] = {"ada": {"password": {"env": "ADA_PASSWORD"}, "reads": ["crm.*"]}}

Talk = Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]


def runtime(asked: Any, **file: Any) -> Any:
    project = SimpleNamespace(file=ProjectFile.model_validate({"name": "x", **file}), folder=Path())
    asked.watch = Watch()
    return SimpleNamespace(
        engine=asked,
        control=None,
        owned=Owned(Path(), project.file),
        project=project,
        credentials=Credentials(project.file, project.folder, os.environ),
        alerts=None,
        diagnostics=(),
    )


def talk(asked: Any, conversation: Talk, explore: bool | None = None, host: str = "localhost", **file: Any) -> Any:
    """A conversation with a fresh application."""

    async def run() -> Any:
        transport = httpx.ASGITransport(app(runtime(asked, **file), explore))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await conversation(client)

    return asyncio.run(run())


def post(asked: Any, content: Any, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
    """One POST to /graphql."""
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    given = {"content-type": "application/json", **(headers or {})}
    response: httpx.Response = talk(asked, lambda c: c.post("/graphql", content=body, headers=given), **more)
    return response


def test_answer_with_provenance(engine: PgEngine) -> None:
    response = post(engine, {"query": "{a: crmCustomersByKey(customerId: 1) {name} __typename}"})
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    told = response.json()
    assert told["data"] == {"a": {"name": "Bob"}, "__typename": "Query"}
    [field] = told["extensions"]["provenance"]["fields"]
    assert field["path"] == ["a"]
    assert field["cache"] == "MISS"
    assert field["ageMs"] >= 1000
    assert field["ttlMs"] == 15_000
    assert [source["source"] for source in field["sources"]] == ["pg"]
    assert told["extensions"]["provenance"]["warnings"] == []


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        (RESPONSE, RESPONSE),
        (f"{RESPONSE}, application/json", RESPONSE),
        (f"{RESPONSE};q=0.5, application/json", "application/json"),
        (f"{RESPONSE}, application/graphql+json, application/json, text/event-stream, multipart/mixed", RESPONSE),
        ("application/*;q=0.1", "application/json"),
    ],
)
def test_media_type(engine: PgEngine, accept: str | None, kind: str) -> None:
    response = post(engine, {"query": "{__typename}"}, {"accept": accept} if accept else None)
    assert response.headers["content-type"] == f"{kind}; charset=utf-8"


@pytest.mark.parametrize("accept", ["text/event-stream", "text/html", "application/json;q=0"])
def test_no_media_type_in_common(engine: PgEngine, accept: str) -> None:
    assert post(engine, {"query": "{__typename}"}, {"accept": accept}).status_code == 406


@pytest.mark.parametrize(
    ("body", "newer", "older"),
    [
        ({"query": "{"}, 400, 200),
        ({"query": "{nothing}"}, 400, 200),
        ({"query": "query($a: Int!) {crmCustomersByKey(customerId: $a) {name}}"}, 400, 200),
        ({"query": "query A{__typename} query B{__typename}"}, 400, 200),
        ({"query": "{__typename}", "operationName": "B"}, 400, 200),
        ({"query": "{crmCustomers(limit: -1) {name}}"}, 200, 200),
        ({"query": "mutation {x}"}, 400, 200),
        ({}, 400, 400),
        ({"query": 5}, 400, 400),
        ({"query": "{__typename}", "variables": []}, 400, 400),
        ({"query": "{__typename}", "extensions": "x"}, 400, 400),
        ({"query": "{__typename}", "operationName": 1}, 400, 400),
        ([{"query": "{__typename}"}], 400, 400),
        (b"{", 400, 400),
        (b"5", 400, 400),
        (b"[" * 100_000, 400, 400),
        (b'{"query": "\xff"}', 400, 400),
    ],
)
def test_errors_and_their_status(engine: PgEngine, body: Any, newer: int, older: int) -> None:
    for accept, status in ((RESPONSE, newer), ("application/json", older)):
        response = post(engine, body, {"accept": accept})
        assert response.status_code == status
        assert response.json()["errors"][0]["message"]
        assert "internal" not in response.text
        assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=latin-1",
        "application/graphql",
        "",
    ],
)
def test_what_a_foreign_page_may_send_is_refused(engine: PgEngine, kind: str) -> None:
    assert post(engine, {"query": "{__typename}"}, {"content-type": kind}).status_code == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
def test_other_methods(engine: PgEngine, method: str) -> None:
    response = talk(engine, lambda c: c.request(method, "/graphql"))
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


def test_mutation_by_get(engine: PgEngine) -> None:
    response = talk(engine, lambda c: c.get("/graphql", params={"query": "mutation {x}"}))
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("length", [True, False])
def test_large_bodies(engine: PgEngine, length: bool) -> None:
    async def pieces() -> Any:
        for _ in range(300):
            yield b" " * 1024

    content: Any = b" " * 300 * 1024 if length else pieces()
    headers = {"content-type": "application/json"}
    response = talk(engine, lambda c: c.post("/graphql", content=content, headers=headers))
    assert response.status_code == 413


@pytest.mark.parametrize("name", ["deep", "wide", "15,000 items"])
def test_large_variables(engine: PgEngine, name: str) -> None:
    engine.log.clear()
    response = post(engine, {"query": attacks.FILTER, "variables": attacks.variables()[name]})
    assert response.json()["errors"]
    assert not engine.log


def test_get_can_be_kept(engine: PgEngine) -> None:
    async def conversation(client: httpx.AsyncClient) -> None:
        params = {"query": "query($i: Int!) {crmCustomersByKey(customerId: $i) {name}}", "variables": '{"i": 1}'}
        first = await client.get("/graphql", params=params)
        assert first.json()["data"] == {"crmCustomersByKey": {"name": "Bob"}}
        assert first.headers["cache-control"] in ("private, max-age=13", "private, max-age=14")
        assert first.headers["vary"] == "Accept, Authorization, Vdw-Max-Age"
        again = await client.get("/graphql", params=params, headers={"if-none-match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = await client.get("/graphql", params=params | {"variables": '{"i": 2}'})
        assert other.headers["etag"] != first.headers["etag"]
        wrong = await client.get("/graphql", params={"query": "{crmCustomers(limit: -1) {name}}"})
        assert wrong.headers["cache-control"] == "no-store"

    talk(engine, conversation)


def test_persisted_queries(engine: PgEngine) -> None:
    digest = hashlib.sha256(QUESTION.encode()).hexdigest()
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": digest}}

    async def conversation(client: httpx.AsyncClient) -> None:
        unknown = await client.post("/graphql", json={"extensions": extensions})
        assert unknown.json()["errors"][0]["message"] == "PersistedQueryNotFound"
        assert unknown.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
        wrong = await client.post("/graphql", json={"query": "{__typename}", "extensions": extensions})
        assert "does not match" in wrong.json()["errors"][0]["message"]
        assert "data" in (await client.post("/graphql", json={"query": QUESTION, "extensions": extensions})).json()
        params = {"extensions": orjson.dumps(extensions).decode()}
        assert (await client.get("/graphql", params=params)).json()["data"] == {"crmCustomersByKey": {"name": "Bob"}}

    talk(engine, conversation)


def test_schema_follows_the_catalog(engine: PgEngine) -> None:
    later = View("crm", "customers", oracle.CUSTOMERS, key_columns=("customer_id",))
    first, second = oracle.catalog(), Catalog({}, {}, {later.key: later}, "v2")

    async def conversation(client: httpx.AsyncClient) -> None:
        orders = {"query": "{shopOrders(limit: 1) {orderId}}"}
        assert "data" in (await client.post("/graphql", json=orders)).json()
        engine.catalog = second
        answers = await asyncio.gather(*(client.post("/graphql", json={"query": QUESTION}) for _ in range(10)))
        assert {answer.json()["data"]["crmCustomersByKey"]["name"] for answer in answers} == {"Bob"}
        assert "Cannot query field" in (await client.post("/graphql", json=orders)).text

    try:
        talk(engine, conversation)
    finally:
        engine.catalog = first


def test_page_and_introspection_are_for_exploring(engine: PgEngine) -> None:
    html = {"accept": "text/html,application/xhtml+xml"}
    assert talk(engine, lambda c: c.get("/graphql", headers=html)).headers["location"] == "graphiql"
    page = talk(engine, lambda c: c.get("/graphiql"))
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    for name in ("graphiql.js", "graphiql.css"):
        assert talk(engine, lambda c, n=name: c.get(f"/static/{n}")).status_code == 200
    assert talk(engine, lambda c: c.get("/graphiql"), explore=False).status_code == 404
    closed = post(engine, {"query": "{__schema{queryType{name}}}"}, explore=False)
    assert "introspection has been disabled" in closed.text


def auth(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_users(engine: PgEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADA_PASSWORD", "right")
    for path in ("/graphql", "/query"):
        response = talk(engine, lambda c, p=path: c.post(p), users=USERS)
        assert (response.status_code, response.headers["www-authenticate"][:5]) == (401, "Basic")
    assert post(engine, {"query": QUESTION}, auth("ada:wrong"), users=USERS).status_code == 401
    assert post(engine, {"query": QUESTION}, auth("ada:right"), users=USERS).json()["data"]
    # With users, no introspection and no page unless told otherwise.
    assert talk(engine, lambda c: c.get("/graphiql", headers=auth("ada:right")), users=USERS).status_code == 404


def test_users_follow_a_reload(engine: PgEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADA_PASSWORD", "right")
    served, later = runtime(engine, users=USERS), runtime(engine, users={"bob": USERS["ada"]})
    with pytest.raises(ConfigError, match="NOWHERE"):  # so that the project before goes on serving
        runtime(engine, users={"bob": {"password": {"env": "NOWHERE"}}})

    async def run() -> list[int]:
        transport = httpx.ASGITransport(app(served))
        statuses = []
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for one in (served, later):
                served.project, served.credentials = one.project, one.credentials
                for user in ("ada", "bob"):
                    response = await client.post("/graphql", json={"query": QUESTION}, headers=auth(f"{user}:right"))
                    statuses.append(response.status_code)
        return statuses

    assert asyncio.run(run()) == [200, 401, 401, 200]


@pytest.mark.parametrize(
    "question",
    [
        "{shopOrders(limit: 1) {orderId}}",
        "{crmCustomers(limit: 1) {orders {orderId}}}",
        "{crmCustomers(where: {orders: {orderId: {_eq: 1}}}) {name}}",
    ],
)
def test_what_a_user_may_not_read(engine: PgEngine, monkeypatch: pytest.MonkeyPatch, question: str) -> None:
    monkeypatch.setenv("ADA_PASSWORD", "right")
    [error] = post(engine, {"query": question}, auth("ada:right"), users=USERS).json()["errors"]
    assert error["message"] == "permission denied for view shop.orders"
    assert error["extensions"]["code"] == "42501"


def test_without_users_only_this_machine(engine: PgEngine) -> None:
    assert post(engine, {"query": "{__typename}"}, host="vdw.example").status_code == 403


def test_health(engine: PgEngine) -> None:
    assert talk(engine, lambda c: c.get("/healthz")).text == "ok\n"
    assert talk(engine, lambda c: c.get("/readyz")).json() == {"ready": True}
    broken = SimpleNamespace(catalog=oracle.catalog())
    response = talk(broken, lambda c: c.get("/readyz"))
    assert response.status_code == 503
    assert "internal error" in response.json()["reason"]


def sql(asked: Any, content: Any, **headers: str) -> httpx.Response:
    given = {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    body = content if isinstance(content, bytes) else orjson.dumps(content)
    response: httpx.Response = talk(asked, lambda c: c.post("/query", content=body, headers=given))
    return response


def test_sql_as_lines(engine: PgEngine) -> None:
    response = sql(engine, {"sql": "select $1::int8 as a, $2::numeric as b, null::date as c", "params": ["5", "0.10"]})
    assert response.headers["content-type"].startswith("application/x-ndjson")
    assert response.content == b'{"c0":"5","c1":"0.10","c2":null}\n'
    assert sql(engine, b"select 1", content_type="application/sql").content == b'{"c0":1}\n'


def test_sql_as_arrow(engine: PgEngine) -> None:
    text = "select n::int4 from generate_series(1, 20) as s(n) where n <> all($1::int4[])"
    response = sql(engine, {"sql": text, "params": [[2, 3]]}, accept="application/vnd.apache.arrow.stream")
    table = pa.ipc.open_stream(response.content).read_all()
    assert table.column("c0").to_pylist() == [1, *range(4, 21)]
    assert table.schema.field(0).type == pa.int32()


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        ({"sql": "select $1::int4"}, {}, 400, "1 parameters"),
        ({"sql": "select $1::int8", "params": ["x"]}, {}, 400, "BigInt cannot represent"),
        ({"sql": "selec"}, {}, 400, "syntax error"),
        ({"sql": "select 1, 2 /* */ ;;; drop"}, {}, 400, "syntax error"),
        ({"query": "x"}, {}, 400, "sql"),
        (b"{", {}, 400, "not valid JSON"),
        (b"select 1", {"content_type": "text/plain"}, 415, "application/json"),
        ({"sql": "select 1"}, {"accept": "text/html"}, 406, "arrow"),
    ],
)
def test_sql_errors(engine: PgEngine, content: Any, headers: dict[str, str], status: int, words: str) -> None:
    response = sql(engine, content, **headers)
    assert response.status_code == status
    assert words in response.text


def test_sql_error_in_the_middle_ends_the_lines() -> None:
    class Breaking(PgEngine):
        async def run(self, prepared: Any, params: Any, session: Any, cancel: Cancel) -> Result:
            async def batches() -> Any:
                yield pa.RecordBatch.from_arrays([pa.array([1], pa.int32())], names=["n"])
                raise RuntimeError("password=hunter2")

            return Result((("n", PgType("int4")),), batches(), Plan((), ()))

        async def prepare(self, sql: str, session: Any) -> Any:
            return SimpleNamespace(statement=SimpleNamespace(relations=(), params=()))

    lines = sql(Breaking("", oracle.catalog()), {"sql": "x"}).content.splitlines()
    assert lines[0] == b'{"n":1}'
    assert "internal error" in orjson.loads(lines[1])["error"]["message"]
    assert b"hunter2" not in lines[1]


def test_a_client_that_goes_away_stops_the_work() -> None:
    class Hanging(PgEngine):
        stopped = asyncio.Event()

        async def prepare(self, sql: str, session: Any) -> Any:
            return SimpleNamespace(plan=SimpleNamespace(streams=False))

        async def run(self, prepared: Any, params: Any, session: Any, cancel: Cancel) -> Any:
            loop = asyncio.get_running_loop()
            with cancel.hook(lambda: loop.call_soon_threadsafe(self.stopped.set)):
                try:
                    await asyncio.sleep(60)
                finally:
                    await asyncio.wait_for(self.stopped.wait(), 10)

    hanging = Hanging("", oracle.catalog())
    sent: list[Any] = []

    async def run() -> None:
        messages = [{"type": "http.request", "body": orjson.dumps({"query": QUESTION})}, {"type": "http.disconnect"}]

        async def receive() -> Any:
            if len(messages) == 1:
                await asyncio.sleep(0.2)
            return messages.pop(0)

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json"), (b"host", b"localhost")]
        scope = {"type": "http", "method": "POST", "path": "/graphql", "query_string": b"", "headers": headers}
        scope |= {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "scheme": "http", "root_path": ""}
        await asyncio.wait_for(app(runtime(hanging))(scope, receive, send), 10)

    asyncio.run(run())
    assert hanging.stopped.is_set()
    assert sent[0]["status"] == 499
