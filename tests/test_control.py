"""Kill switches, running queries, receipts and the system schema, of a project that is served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api import sample, socket
from api.cli import main
from api.remote import Remote, servers
from api.serve import Serving, serving
from connectors.base import Cancel
from connectors.errors import ConfigError, Error, QueryError
from federation.operations.switches import NAME, Switch, Switches
from federation.session import Session
from tests.serving import Serving as InThread

USERS = """
users:
  root: {password: {env: ROOT_SECRET}, reads: ["*"], admin: true}
  ada: {password: {env: ADA_SECRET}, reads: [crm.customers]}
"""


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "runtime"
    place.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(place))
    monkeypatch.setenv("ROOT_SECRET", "toor")
    monkeypatch.setenv("ADA_SECRET", "lovelace")
    return place


class Served:
    """A project with both listeners, in a thread."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = InThread(folder, 60)
        self.stack = contextlib.AsyncExitStack()
        self.where: Serving = self.wait(self.stack.enter_async_context(serving(self.project.runtime)))

    @property
    def runtime(self) -> Any:
        return self.project.runtime

    def wait(self, work: Any) -> Any:
        return self.project.wait(work)

    def http(self, user: str = "", password: str = "") -> httpx.Client:
        assert self.where.http is not None
        auth = (user, password) if user else None
        return httpx.Client(base_url="http://{}:{}".format(*self.where.http), auth=auth, timeout=30)

    def sql(self, user: str = "anonymous", password: str = "") -> psycopg.Connection[Any]:
        assert self.where.postgresql is not None
        host, port = self.where.postgresql
        return psycopg.connect(
            host=host, port=port, dbname="vdw", user=user, password=password or None, autocommit=True
        )

    def close(self) -> None:
        self.wait(self.stack.aclose())
        self.project.close()


def made(folder: Path, more: str = "") -> Path:
    sample.create(folder)
    file = folder / "vdw.yml"
    file.write_text(file.read_text().replace("8080", "0").replace("5433", "0") + more)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Without users: everybody here is the operator."""
    runtime = tmp_path_factory.mktemp("r")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        served = Served(made(tmp_path_factory.mktemp("home") / "p"))
    served.runtime_folder = runtime  # type: ignore[attr-defined]
    yield served
    served.close()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With an administrator and a user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("r")))
        patch.setenv("ROOT_SECRET", "toor")
        patch.setenv("ADA_SECRET", "lovelace")
        served = Served(made(tmp_path_factory.mktemp("guarded") / "p", USERS))
        (served.folder / "views/crm/secret.view.sql").write_text("select order_id from shop.orders\n")
        served.wait(served.runtime.reload())
        yield served
        served.close()


def post(client: httpx.Client, path: str, **body: Any) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


# -- the system schema


def test_the_system_schema_over_the_postgresql_protocol(home: Served) -> None:
    with home.sql() as connection:
        connection.execute("SELECT * FROM crm.customers").fetchall()
        rows = connection.execute(
            "SELECT s.name, s.state, v.name, v.reads FROM vdw.sources AS s "
            "JOIN vdw.views AS v ON s.name = ANY(string_to_array(v.sources, ', ')) WHERE s.in_flight >= 0"
        ).fetchall()
        assert rows == [("shop", "up", "crm.customers", "shop.customers, shop.orders")]
        (one,) = connection.execute(
            "SELECT username, protocol, state, sql FROM vdw.queries WHERE ms < $$1000$$"
        ).fetchall()
        assert one[:3] == ("anonymous", "sql", "reading") and "1000" not in one[3]
        (statements,) = connection.execute(
            "SELECT sum(statements) FROM vdw.receipts WHERE relations = 'crm.customers'"
        ).fetchone() or (0,)
        assert statements >= 1
        assert connection.execute("SELECT count(*) FROM vdw.switches").fetchone() == (0,)
        joined = connection.execute(
            "SELECT c.full_name, s.name FROM crm.customers AS c, vdw.sources AS s ORDER BY 1 LIMIT 1"
        ).fetchall()
        assert joined == [("Ada Lovelace", "shop")]


FORMS = """
SELECT name FROM vdw.sources LIMIT 1
SELECT DISTINCT kind FROM vdw.sources ORDER BY kind LIMIT 5 OFFSET 0
SELECT count(*) FROM vdw.sources WHERE name = 'shop' AND in_flight = 0
SELECT name FROM vdw.sources UNION ALL SELECT name FROM vdw.sources WHERE false
WITH a AS (SELECT * FROM vdw.receipts) SELECT sum(statements) >= 0 FROM a GROUP BY source
SELECT s.name, x.n >= 0 FROM vdw.sources s LEFT JOIN LATERAL
 (SELECT count(*) n FROM vdw.receipts r WHERE r.source = s.name) x ON true
SELECT name, row_number() OVER (ORDER BY name) FROM vdw.sources
SELECT name FROM vdw.sources WHERE name IN (SELECT full_name FROM crm.customers) OR name LIKE 's%'
SELECT (SELECT name FROM vdw.sources LIMIT 1)
SELECT a.name FROM vdw.sources a JOIN vdw.sources b USING (name)
SELECT s.name FROM vdw.sources s FULL JOIN vdw.switches w ON w.name = s.name
SELECT count(*) FROM crm.customers c CROSS JOIN vdw.sources s WHERE s.name = 'shop' GROUP BY c.customer_id LIMIT 1
"""


@pytest.mark.parametrize("text", [one for one in FORMS.replace("\n (", " (").splitlines() if one])
def test_any_statement_may_read_it(home: Served, text: str) -> None:
    with home.sql() as connection:
        connection.execute("SELECT full_name FROM crm.customers").fetchall()
        assert len(connection.execute(text).fetchall()) == 1


def test_the_system_schema_over_http(home: Served) -> None:
    with home.http() as client:
        answer = client.post("/query", json={"sql": "SELECT name FROM vdw.sources ORDER BY name"})
    assert [json.loads(line) for line in answer.text.splitlines()] == [{"name": "shop"}]


def test_what_is_told_changes_from_one_statement_to_the_next(home: Served) -> None:
    """Nothing of it is kept, nor shared."""
    with home.sql() as connection:
        text = "SELECT statements FROM vdw.sources WHERE name = 'shop'"
        before = connection.execute(text).fetchone()
        connection.execute("SELECT count(*) FROM shop.orders").fetchone()
        connection.execute("SELECT count(*), min(order_id) FROM shop.orders").fetchone()
        after = connection.execute(text).fetchone()
    assert before is not None and after is not None and after[0] >= before[0] + 1


def test_what_a_user_sees(guarded: Served) -> None:
    with guarded.sql("root", "toor") as root, guarded.sql("ada", "lovelace") as ada:
        root.execute("SELECT count(*) FROM crm.secret").fetchone()
        ada.execute("SELECT count(*) FROM crm.customers").fetchone()
        views = "SELECT name FROM vdw.views ORDER BY 1"
        assert root.execute(views).fetchall() == [("crm.customers",), ("crm.secret",)]
        assert ada.execute(views).fetchall() == [("crm.customers",)]
        receipts = "SELECT DISTINCT relations FROM vdw.receipts WHERE relations <> '' ORDER BY 1"
        assert ("crm.secret",) in root.execute(receipts).fetchall()
        assert ada.execute(receipts).fetchall() == [("crm.customers",)]
        everybody = "SELECT count(*) FROM vdw.queries WHERE username <> current_user"
        assert ada.execute(everybody).fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ada.execute("SELECT * FROM crm.secret")


# -- switches


def switched(folder: Path, clock: Callable[[], float]) -> tuple[Switches, list[tuple[list[Switch], list[Switch]]]]:
    told: list[tuple[list[Switch], list[Switch]]] = []
    made = Switches(folder, clock=clock, changed=lambda new, gone: told.append((new, gone)))
    made.look()
    return made, told


def test_two_servers_and_a_restart_agree(tmp_path: Path) -> None:
    now = 1000.0
    first, told = switched(tmp_path, lambda: now)
    second, heard = switched(tmp_path, lambda: now)
    first.disable("source", "crm", "too slow", "eve", 60)
    first.look()
    first.disable("view", "crm.customers", "wrong", "eve")
    first.look()
    assert [one.name for one in told[0][0]] == ["crm"]
    assert second.find("source", "crm") is None
    second.look()
    assert second.find("source", "crm") == first.find("source", "crm") != None  # noqa: E711
    third, _ = switched(tmp_path, lambda: now)
    assert {one.name for one in third} == {"crm", "crm.customers"}
    now = 1060.0
    assert third.find("source", "crm") is None
    second.look()
    assert [one.name for one in heard[-1][1]] == ["crm"]
    assert third.enable("view", "crm.customers") and not third.enable("view", "crm.customers")
    first.look()
    assert list(first) == [] and json.loads((tmp_path / NAME).read_text())["switches"] == []


def test_the_refusal_says_who_why_and_until(tmp_path: Path) -> None:
    switches, _ = switched(tmp_path, lambda: 0.0)
    switches.disable("user", "ada", "runs wild", "eve", 60)
    switches.look()
    with pytest.raises(QueryError) as caught:
        switches.check("ada", [("crm", "customers")], ["f"])
    assert caught.value.sqlstate == "42501"
    for word in ("ada", "eve", "runs wild", "until 1970-01-01T00:01:00"):
        assert word in str(caught.value)
    switches.check("bob", [("crm", "customers")], ["f"])
    switches.disable("view", "crm.customers", "-x-", "eve")
    switches.look()
    with pytest.raises(QueryError, match=r"crm\.customers"):
        switches.check("bob", [("crm", "orders"), ("crm", "customers")], ["f"])


def test_nonsense_is_refused(tmp_path: Path) -> None:
    switches, _ = switched(tmp_path, time.time)
    for kind, name, reason in (("table", "x", "y"), ("view", "", "y"), ("view", "x", " ")):
        with pytest.raises(ConfigError):
            switches.disable(kind, name, reason, "eve")
    (tmp_path / "file").write_text("")
    blocked, _ = switched(tmp_path / "file", time.time)
    with pytest.raises(ConfigError, match="cannot be kept"):
        blocked.disable("view", "x", "y", "eve")


def test_a_broken_file_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    switches, _ = switched(tmp_path, time.time)
    switches.disable("view", "x", "y", "eve")
    switches.look()
    (tmp_path / NAME).write_text("{")
    switches.look()
    switches.look()
    assert switches.find("view", "x") is not None
    assert caplog.text.count("cannot be read") == 1


def test_many_writers_lose_no_switch(tmp_path: Path) -> None:
    def write(at: int) -> None:
        mine, _ = switched(tmp_path, time.time)
        for number in range(10):
            mine.disable("fingerprint", f"f{at}.{number}", "y", "eve")

    threads = [threading.Thread(target=write, args=(at,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(switched(tmp_path, time.time)[0])) == 40


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("disable", "enable", "wait")),
            st.sampled_from(("source", "view")),
            st.sampled_from("ab"),
            st.one_of(st.none(), st.integers(1, 20)),
        ),
        max_size=20,
    )
)
def test_switches_are_as_a_dictionary_with_a_clock(steps: list[tuple[str, str, str, int | None]]) -> None:
    now = 0.0
    model: dict[tuple[str, str], float | None] = {}
    told: dict[tuple[str, str], Switch] = {}

    def changed(new: list[Switch], gone: list[Switch]) -> None:
        for one in gone:
            del told[one.kind, one.name]
        told.update({(one.kind, one.name): one for one in new})

    switches = Switches(None, clock=lambda: now, changed=changed)
    for what, kind, name, seconds in steps:
        if what == "disable":
            switches.disable(kind, name, "why", "eve", seconds)
            model[kind, name] = None if seconds is None else now + seconds
        elif what == "enable":
            switches.enable(kind, name)
            model.pop((kind, name), None)
        else:
            now += seconds or 1
        switches.look()
        model = {key: until for key, until in model.items() if until is None or now < until}
        assert {(one.kind, one.name): one.until for one in switches} == model
        assert told.keys() == model.keys()


@pytest.fixture
def nothing_off(home: Served) -> Iterator[None]:
    yield
    for one in list(home.runtime.control.switches):
        home.wait(_enabled(home, one))


async def forget(home: Served) -> None:
    """What is kept would serve, source or no source."""
    home.runtime.engine.cache.clear()


async def _enabled(home: Served, one: Switch) -> None:
    await home.runtime.control.enable(one.kind, one.name)


@pytest.mark.usefixtures("nothing_off")
@pytest.mark.parametrize(("kind", "name", "state"), [("view", "crm.customers", "42501"), ("source", "shop", "57P03")])
def test_what_is_disabled_is_refused_on_all_protocols(home: Served, kind: str, name: str, state: str) -> None:
    text = f"SELECT email, '{time.time()}' FROM crm.customers"
    with home.http() as client, home.sql() as connection:
        home.wait(forget(home))
        post(client, "/admin/disable", kind=kind, name=name, reason="being repaired", **{"for": "10m"})
        with pytest.raises(psycopg.Error, match="being repaired") as caught:
            connection.execute(text)
        assert caught.value.sqlstate == state
        answer = client.post("/query", json={"sql": text}).json()
        assert answer["error"]["sqlstate"] == state and "being repaired" in answer["error"]["message"]
        graph = client.post("/graphql", json={"query": "{ crmCustomers { email customerId } }"}).json()
        assert graph["errors"][0]["extensions"]["code"] == state
        (row,) = connection.execute("SELECT kind, name, reason, by FROM vdw.switches").fetchall()
        assert row == (kind, name, "being repaired", "anonymous")
        receipt = client.get("/receipt/shop").json()
        assert {"disabled" if kind == "view" else "closed"} <= {one["why"] for one in receipt["refused"]}
        assert post(client, "/admin/enable", kind=kind, name=name) == {"enabled": True}
        assert len(connection.execute(text).fetchall()) == 3


@pytest.mark.usefixtures("nothing_off")
def test_a_disabled_view_is_not_read_through_another(home: Served) -> None:
    (home.folder / "views/crm/over.view.sql").write_text("select full_name from crm.customers\n")
    home.wait(home.runtime.reload())
    with home.http() as client, home.sql() as connection:
        post(client, "/admin/disable", kind="view", name="crm.customers", reason="wrong")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="wrong"):
            connection.execute("SELECT * FROM crm.over")


@pytest.mark.usefixtures("nothing_off")
def test_a_disabled_fingerprint(home: Served) -> None:
    text = "SELECT full_name FROM crm.customers WHERE customer_id = {}"
    with home.http() as client, home.sql() as connection:
        connection.execute(text.format(1)).fetchall()
        prepared = home.wait(home.runtime.engine.prepare(text.format(3), Session("anonymous")))
        post(client, "/admin/disable", kind="fingerprint", name=prepared.family.fingerprint, reason="hot")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="hot"):
            connection.execute(text.format(2))
        assert connection.execute("SELECT email FROM crm.customers WHERE customer_id = 1").fetchall()
        of_source = next(step.fingerprint for step in prepared.terms.steps)
        post(client, "/admin/enable", kind="fingerprint", name=prepared.family.fingerprint)
        assert connection.execute(text.format(2)).fetchall() is not None
        post(client, "/admin/disable", kind="fingerprint", name=of_source, reason="the receipt's worst")
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="the receipt's worst"):
            connection.execute(text.format(2))


@pytest.mark.usefixtures("nothing_off")
def test_another_server_of_the_project(home: Served) -> None:
    """Switches reach it within a second or so, and both write one ledger."""
    other = InThread(home.folder, 60)
    try:

        async def ask(text: str) -> int:
            result = await other.runtime.engine.query(text, Session("elsewhere"))
            return (await result.table()).num_rows

        assert other.wait(ask("SELECT max(order_id) FROM shop.orders")) == 1
        with home.http() as client:
            post(client, "/admin/disable", kind="view", name="crm.customers", reason="everywhere")
            deadline = time.monotonic() + 30
            while other.runtime.control.switches.find("view", "crm.customers") is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            with pytest.raises(QueryError, match="everywhere"):
                other.wait(ask("SELECT * FROM crm.customers"))
            other.wait(other.runtime.control.ledger.flush())
            users = {one["user"]: one for one in client.get("/receipt/shop").json()["by_user"]}
        assert users["elsewhere"]["statements"] == 1
    finally:
        other.close()


def test_what_sharing_and_the_cache_saved(home: Served) -> None:
    """Ten at once and two after them: one statement, eleven spared."""
    text = "SELECT min(order_id), 'herd' FROM shop.orders"

    async def herd() -> None:
        engine = home.runtime.engine
        engine.cache.clear()
        prepared = await engine.prepare(text, Session("herd"))

        async def one() -> None:
            await (await engine.run(prepared, (), Session("herd"), Cancel())).table()

        await asyncio.gather(*(one() for _ in range(10)))
        await one()
        await one()

    home.wait(herd())
    with home.http() as client:
        (mine,) = [one for one in client.get("/receipt/shop").json()["by_user"] if one["user"] == "herd"]
    assert (mine["statements"], mine["shared"], mine["hits"]) == (1, 9, 2)
    assert mine["saved_ms"] == pytest.approx(11 * mine["ms"], rel=0.01)


# -- who may do what


def test_only_administrators_switch(guarded: Served) -> None:
    given = {"kind": "view", "name": "crm.customers", "reason": "x"}
    with guarded.http("ada", "lovelace") as ada, guarded.http("root", "toor") as root, guarded.http() as nobody:
        for path, body in (("disable", given), ("enable", given)):
            answer = ada.post(f"/admin/{path}", json=body)
            assert (answer.status_code, answer.json()["error"]["sqlstate"]) == (403, "42501")
            assert nobody.post(f"/admin/{path}", json=body).status_code == 401
        assert ada.get("/admin/switches").status_code == 403
        assert "crm.customers" in post(root, "/admin/disable", **given)["disabled"] or True
        (one,) = root.get("/admin/switches").json()["switches"]
        assert (one["by"], one["name"]) == ("root", "crm.customers")
        assert post(root, "/admin/enable", kind="view", name="crm.customers") == {"enabled": True}


def test_what_a_page_of_another_site_can_send_is_refused(home: Served) -> None:
    with home.http() as client:
        form = client.post("/admin/disable", data={"kind": "view", "name": "a.b", "reason": "x"})
        plain = client.post(
            "/admin/disable", content=json.dumps({"kind": "view"}), headers={"Content-Type": "text/plain"}
        )
        assert (form.status_code, plain.status_code) == (415, 415)
        assert client.get("/admin/disable").status_code == 405
        assert client.post("/admin/running", json={}).status_code == 405
        evil = client.get("/admin/running", headers={"Host": "evil.example"})
        assert evil.status_code == 403
        assert client.post("/admin/disable", json=["x"]).status_code == 400
        assert client.post("/admin/disable", json={"kind": "nose", "name": "x", "reason": "y"}).status_code >= 400


def test_a_users_receipt_has_what_they_may_read(guarded: Served) -> None:
    with (
        guarded.sql("root", "toor") as root,
        guarded.http("ada", "lovelace") as ada,
        guarded.http("root", "toor") as boss,
    ):
        root.execute("SELECT max(order_id) FROM crm.secret").fetchone()
        seen, all_ = ada.get("/receipt/shop").json(), boss.get("/receipt/shop").json()
        assert "crm.secret" in {one["view"] for one in all_["by_view"]}
        assert "crm.secret" not in {one["view"] for one in seen["by_view"]}
        assert "root" not in {one["user"] for one in seen["by_user"]}
        assert ada.get("/receipt/nope").status_code == 400
        assert ada.get("/receipt/shop?since=soon").status_code == 400
        assert "Granted by the owner" in ada.get("/receipt/shop?format=text").text


# -- the socket and the commands


def vdw(*arguments: object) -> int:
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    return int(left.value.code or 0)


@pytest.fixture
def commands(home: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command line, where `home`'s socket is."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home.runtime_folder))  # type: ignore[attr-defined]
    return lambda *arguments: vdw(*arguments, "-p", home.folder)


def test_the_socket_is_the_operators_alone(home: Served, commands: Any) -> None:
    (path,) = servers(home.folder)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700 and stat.S_IMODE(path.stat().st_mode) == 0o600
    assert Remote(path).get("/admin/running") == {"version": 1, "queries": []}
    with pytest.raises(Error, match="404"):
        Remote(path).get("/query")


def test_a_folder_that_others_can_open_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "LONGEST", 1000)
    made = socket.folder()
    made.chmod(0o755)
    with pytest.raises(ConfigError, match="ours alone"):
        socket.folder()
    made.chmod(0o700)
    made.rmdir()
    made.symlink_to(tmp_path)
    with pytest.raises(ConfigError, match="ours alone"):
        socket.folder()


def test_what_a_killed_server_left_behind_goes(tmp_path: Path) -> None:
    with socket.listening(tmp_path) as made:
        path = Path(made.getsockname())
        made.close()
        assert path.exists()
        assert servers(tmp_path) == []
        assert not path.exists()


def test_commands_reach_the_server(home: Served, commands: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with home.sql() as connection:
        assert commands("disable", "view", "crm.customers", "--reason", "wrong rows", "--for", "10m") == 0
        assert "wrong rows" in capsys.readouterr().err
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="wrong rows"):
            connection.execute("SELECT email FROM crm.customers")
        assert commands("enable", "view", "crm.customers") == 0
        assert commands("enable", "view", "crm.customers") == 1
        assert len(connection.execute("SELECT email FROM crm.customers").fetchall()) == 3
    capsys.readouterr()
    assert commands("receipt", "shop", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["source"], told["version"]) == ("shop", 1) and told["total"]["statements"] >= 1
    assert commands("receipt", "shop", "--by", "user") == 0
    assert "By user" in capsys.readouterr().out
    assert commands("running", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"version": 1, "queries": []}
    assert commands("cancel", "nope") == 1
    assert "no query" in capsys.readouterr().err


def test_commands_reach_a_server_by_url(guarded: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert guarded.where.http is not None
    url = "http://{}:{}".format(*guarded.where.http)
    monkeypatch.setenv("VDW_PASSWORD", "toor")
    assert vdw("running", "--url", url, "-u", "root", "-p", tmp_path) == 0
    assert vdw("disable", "view", "a.b", "--reason", "x", "--url", url, "-u", "root", "-p", tmp_path) == 0
    assert vdw("enable", "view", "a.b", "--url", url, "-u", "root", "-p", tmp_path) == 0
    monkeypatch.setenv("VDW_PASSWORD", "wrong")
    assert vdw("running", "--url", url, "-u", "root", "-p", tmp_path) == 1


@pytest.mark.slow
def test_commands_without_a_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = made(tmp_path / "p")
    assert vdw("running", "-p", folder) == 1
    assert "no server of the project" in capsys.readouterr().err
    assert vdw("receipt", "shop", "-p", folder) == 1
    capsys.readouterr()
    assert vdw("query", "SELECT count(*) FROM shop.orders", "-p", folder) == 0
    assert vdw("disable", "source", "shop", "--reason", "night", "-p", folder) == 0
    assert vdw("query", "SELECT count(*) FROM shop.orders", "-p", folder) == 3
    assert "night" in capsys.readouterr().err  # it was not even asked for its tables
    assert vdw("enable", "source", "shop", "-p", folder) == 0
    capsys.readouterr()
    assert vdw("receipt", "shop", "--json", "-p", folder) == 0
    told = json.loads(capsys.readouterr().out)
    assert [(one["protocol"], one["statements"]) for one in told["by_protocol"]] == [("cli", 1)]


def test_kept_answers_are_forgotten_by_name(home: Served, commands: Any) -> None:
    text = "SELECT count(*) AS n, 'kept' AS k FROM crm.customers"

    def asked(connection: Any) -> int:
        """Statements that the source had for the text."""
        before = home.runtime.engine.loads["shop"].statements
        assert connection.execute(text).fetchone() == (3, "kept")
        return int(home.runtime.engine.loads["shop"].statements - before)

    with home.sql() as connection, home.http() as client:
        assert commands("cache", "clear") == 0
        assert (asked(connection), asked(connection)) == (1, 0)
        kinds = dict(connection.execute("SELECT kind || ':' || name, entries FROM vdw.cache").fetchall())
        assert kinds["source:shop"] >= 1 and kinds["total:"] >= kinds["view:crm.customers"] >= 1
        for options in (("--view", "crm.customers"), ("--source", "shop"), ("--table", "shop.customers")):
            assert commands("cache", "clear", *options) == 0
            assert (asked(connection), asked(connection)) == (1, 0), options
        assert commands("cache", "refresh", "--source", "shop") == 0
        assert commands("cache", "clear", "--view", "crm.nothing") == 1
        assert commands("cache", "clear", "--view", "crm.a", "--source", "shop") == 2
        assert commands("cache", "clear", "--source", "shop", "--key", "a=1") == 2
        assert post(client, "/admin/cache", do="clear", view="crm.customers", key={"customer_id": 1})["entries"] >= 0
        assert client.post("/admin/cache", json={"do": "burn"}).status_code == 400


def test_a_query_is_listed_and_cancelled(home: Served, commands: Any, capsys: pytest.CaptureFixture[str]) -> None:
    text = "SELECT count(*) FROM shop.orders a, shop.orders b, shop.orders c, generate_series(1, 100000000) n"
    caught: list[BaseException] = []

    def ask() -> None:
        try:
            with home.sql() as connection:
                connection.execute(text)
        except psycopg.Error as error:
            caught.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    found: list[Any] = []
    for _ in range(200):
        capsys.readouterr()
        assert commands("running", "--json") == 0
        found = json.loads(capsys.readouterr().out)["queries"]
        if found:
            break
        time.sleep(0.02)
    assert found[0]["relations"] == ["shop.orders"] and "100000000" not in found[0]["sql"]
    assert commands("cancel", found[0]["id"]) == 0
    thread.join(30)
    assert [getattr(error, "sqlstate", "") for error in caught] == ["57014"]
