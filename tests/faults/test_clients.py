"""Clients that vanish, know no password, or ask ten megabytes; and what the others notice of it: nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.faults.world import (
    BOTH,
    PLACES,
    RIGHT,
    SHOP,
    SIDE,
    Footprint,
    Question,
    Said,
    Site,
    World,
    background,
    camel,
    decent,
    eventually,
    told,
    vanish,
)
from tests.folders import write

pytestmark = [pytest.mark.service, pytest.mark.slow]

TIMES = 6  # more than slack would hide
EXTRACTS = PLACES - 1  # statements of unknown length that run at once: they leave a place to lookups
WORD = "open s3same"


def slow(source: str, number: int) -> str:
    """A statement that waits; each number is another, so that they do not share one run."""
    return f"select pause from crm.slow_{source} where id < {number + 10}"


def asked_in_vain(world: World, protocol: str, sql: str, view: str) -> Callable[[], None]:
    """Ask, and do not wait for the answer; call the result to vanish."""
    if protocol == "graphql":
        query = f"{{ {camel(view)}(where: {{id: {{_lt: {sql.split()[-1]}}}}}) {{ pause }} }}"
        return partial(vanish, world.post("/graphql", json.dumps({"query": query}).encode()))
    if protocol == "http":
        return partial(vanish, world.post("/query", sql.encode(), "application/sql"))
    connection = world.connect()
    connection.pgconn.send_query(sql.encode())
    connection.pgconn.flush()
    return partial(vanish, connection)


@pytest.mark.parametrize("protocol", ["postgresql", "graphql", "http"])
def test_a_client_that_vanishes_while_a_source_works(world: World, protocol: str, source: str) -> None:
    before = Footprint.now()
    for number in range(TIMES):
        gone = asked_in_vain(world, protocol, slow(source, number), f"crm.slow_{source}")
        assert eventually(lambda: world.site.running(source) > 0)
        gone()
        assert eventually(lambda: world.site.running(source) == 0), "the source works for nobody"
    assert eventually(lambda: Footprint.now().within(before, TIMES // 2, TIMES // 2)), (before, Footprint.now())


@pytest.mark.parametrize("protocol", ["postgresql", "http"])
def test_a_client_that_vanishes_in_the_middle_of_a_stream(world: World, protocol: str, source: str) -> None:
    view = "crm.orders" if source == "shop" else "crm.notes"
    before = Footprint.now()
    for number in range(TIMES):
        sql = f"select * from {view} where id > {number}"
        if protocol == "http":
            line = world.post("/query", sql.encode(), "application/sql")
            assert b"200 OK" in line.recv(1000)
            vanish(line)
        else:
            connection = world.connect()
            next(connection.cursor().stream(sql))
            vanish(connection)
        assert eventually(lambda: world.site.running(source) == 0), "the source works for nobody"
    assert eventually(lambda: Footprint.now().within(before, TIMES // 2, TIMES // 2)), (before, Footprint.now())


@pytest.mark.parametrize("protocol", ["postgresql", "graphql", "http"])
def test_a_client_that_vanishes_in_the_gate(world: World, protocol: str, source: str) -> None:
    view, load = f"crm.slow_{source}", world.runtime.engine.loads[source]
    inside = [asked_in_vain(world, "postgresql", slow(source, number), view) for number in range(EXTRACTS)]
    try:
        assert eventually(lambda: world.site.running(source) == EXTRACTS)
        gone = asked_in_vain(world, protocol, slow(source, 99), view)
        assert eventually(lambda: load.waiting == 1)
        gone()
        assert eventually(lambda: load.waiting == 0), "it waits for nobody"
        # not at once: what a test before this one gave up may have been among those that ran, and theirs yet to begin
        assert eventually(lambda: world.site.running(source) == EXTRACTS), "those inside are left alone"
    finally:
        for each in inside:
            each()
    assert eventually(lambda: load.in_flight == 0 and world.site.running(source) == 0)


def test_a_wait_in_the_gate_that_is_too_long(world: World, protocol: str, source: str) -> None:
    inside = [
        asked_in_vain(world, "postgresql", slow(source, number), f"crm.slow_{source}") for number in range(EXTRACTS)
    ]
    try:
        assert eventually(lambda: world.site.running(source) == EXTRACTS)
        said = world.ask(protocol, Question(f"crm.hasty_{source}", ("id", "name", "pause")))
        assert decent(said, source, "statements in flight").code == "57014"
        world.healthy("side", "desk" if source == "shop" else "shop")
    finally:
        for each in inside:
            each()


def test_a_client_that_vanishes_in_a_transaction(world: World, source: str) -> None:
    view = "crm.orders" if source == "shop" else "crm.notes"
    for _ in range(TIMES):
        connection = world.connect(autocommit=False)
        connection.execute("create temp table mine as select id from crm.people where id < 5")
        connection.execute(f"declare many cursor for select * from {view}")
        assert len(connection.execute("fetch 3 from many").fetchall()) == 3
        vanish(connection)
    assert eventually(lambda: world.backends() == 0)
    assert eventually(lambda: world.site.running(source) == 0)


def test_one_client_s_error_ends_its_transaction_only(world: World) -> None:
    with world.connect(autocommit=False) as one, world.connect(autocommit=False) as other:
        assert other.execute(SHOP.sql).fetchall() == RIGHT[SHOP]
        with pytest.raises(psycopg.Error) as caught:
            one.execute("select price from crm.prices")
        decent(told(caught.value), "price")
        with pytest.raises(psycopg.errors.InFailedSqlTransaction):
            one.execute(SHOP.sql)
        assert other.execute(BOTH.sql).fetchall() == RIGHT[BOTH]
        one.rollback()
        assert one.execute(BOTH.sql).fetchall() == RIGHT[BOTH]


def test_a_bug_of_ours_is_not_told(
    world: World, protocol: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise KeyError("s3cret of the house")

    with monkeypatch.context() as patch:
        patch.setattr(world.runtime.engine._preparer, "_plan", broken)
        patch.setattr("api.graphql.execution.located", broken)
        said = world.ask(protocol, Question("crm.tickets", ("customer_id", "id"), ("customer_id", 5)))  # a new plan
    assert said.rows is None and said.code == "XX000", said
    assert "internal error (log id " in said.text and "s3cret" not in said.text, said
    number = said.text.partition("log id ")[2][:8]
    assert number in caplog.text and "of the house" in caplog.text, "the log has it"


# -- passwords


@pytest.fixture
def guarded(site: Site, world: World, tmp_path: Path) -> Iterator[World]:
    """The same project with a user."""
    write(
        tmp_path,
        {
            **site.files(),
            "vdw.yml": "name: guarded\nlisten: {http: {port: 0}, postgresql: {port: 0}}\n"
            'users:\n  ann: {password: {file: ann.secret}, reads: ["crm.people"]}\n',
            "ann.secret": WORD,
            **{f"{name}.secret": (site.folder / f"{name}.secret").read_bytes() for name in ("shop", "desk")},
            "side.db": (site.folder / "side.db").read_bytes(),
        },
    )
    with World(site, tmp_path) as made:
        yield made


def test_wrong_passwords(guarded: World) -> None:
    def login(user: str, password: str) -> Said:
        try:
            with guarded.connect(user=user, password=password) as connection:
                return Said(connection.execute(SHOP.sql).fetchall())
        except psycopg.Error as error:
            return told(error)

    def basic(user: str, password: str) -> httpx.Response:
        return guarded.web.post("/graphql", json={"query": SHOP.graphql}, auth=(user, password))

    assert login("ann", WORD).rows == RIGHT[SHOP]
    before = Footprint.now()
    for _ in range(TIMES):
        for user, password in (("ann", "open sesame"), ("nobody", WORD), ("vdw", WORD), ("ann", WORD + " ")):
            said = login(user, password)
            assert said.rows is None
            assert "authentication failed" in said.text or "not permitted" in said.text, said
            assert password not in said.text and "Traceback" not in said.text
            answer = basic(user, password)
            assert answer.status_code == 401 and "password" in answer.text
            assert password not in answer.text
    assert eventually(lambda: Footprint.now().within(before, 2, 4)), (before, Footprint.now())
    assert login("ann", WORD).rows == RIGHT[SHOP]
    assert basic("ann", WORD).json()["data"] == {"crmPeople": [{"id": 7, "name": "customer 7"}]}

    with guarded.connect(user="ann", password=WORD) as ann, pytest.raises(psycopg.Error) as caught:
        ann.execute(BOTH.sql)
    assert decent(told(caught.value), "permission denied").code == "42501"
    assert guarded.web.post("/graphql", json={"query": BOTH.graphql}, auth=("ann", WORD)).json().get("errors")


# -- ten megabytes

TEN = 10 << 20
HEAD = "select id, name from crm.people where id = 7 and "
LONG = {
    "a literal": (HEAD + "name <> '" + "x" * TEN + "'", "54000"),
    "a list": (HEAD + "id in (" + ", ".join(map(str, range(TEN // 8))) + ")", "54000"),
    "a comment": (SHOP.sql + " /* " + "x" * TEN + " */", "54000"),
    "parentheses": ("select " + "(" * (TEN // 2) + "1" + ")" * (TEN // 2), "42601"),
    "a sum": ("select " + "1+" * (TEN // 2) + "1", "54001"),
    "a sum over a view": (HEAD + "id = " + "1+" * (TEN // 2) + "1", "54000"),
    "no SQL": ("x" * TEN, "42601"),
    "an open string": (HEAD + "name = '" + "x" * TEN, "54000"),
}


@pytest.mark.parametrize("what", LONG)
@pytest.mark.parametrize("protocol", ["postgresql", "http"])
def test_ten_megabytes(world: World, protocol: str, what: str) -> None:
    sql, code = LONG[what]

    def ask() -> Said:
        if protocol == "postgresql":
            return world._sql(sql, 10)
        answer = world.web.post("/query", content=sql.encode(), headers={"Content-Type": "application/sql"})
        assert answer.status_code == 413
        return Said(None, code, answer.text)

    done = threading.Event()
    with background(lambda: (ask(), done.set())) as said:
        while not done.wait(0.02):
            assert world.ask("postgresql", SIDE).rows == RIGHT[SIDE]
            assert world.ask("graphql", SHOP).rows == RIGHT[SHOP]
    assert decent(said[0][0]).code == code
    assert code == "42601" or len(said[0][0].text) < 1000, "it tells the query back"


@pytest.mark.parametrize("way", ["plain", "parameter", "temporary table"])
def test_long_lists_have_a_way(world: World, way: str) -> None:
    few, many = list(range(2, 20_000)), list(range(2, 1_000_000))
    with world.connect() as connection:
        if way == "plain":
            sql = f"select count(*) from crm.people where id in ({', '.join(map(str, few))})"
            assert connection.execute(sql).fetchone() == (999,)
        elif way == "parameter":
            sql = "select count(*) from crm.people where id = any(%s)"
            assert connection.execute(sql, [many]).fetchone() == (999,)
        else:
            connection.execute("create temp table wanted (id int, label text)")
            values = ", ".join(f"({one}, 'people')" for one in few)
            connection.execute(f"insert into wanted values {values}")
            sql = "select count(*) from crm.people join wanted using (id)"
            assert connection.execute(sql).fetchone() == (999,)


def test_ten_megabytes_of_graphql(world: World) -> None:
    documents = (
        {"query": '{ crmPeople(where: {name: {_eq: "' + "x" * TEN + '"}}) { id } }'},
        {"query": "query ($n: String!) { crmPeople(where: {name: {_eq: $n}}) { id } }", "variables": {"n": "x" * TEN}},
        {"query": "{" * TEN},
        {"query": "{ crmPeople { " + "id " * (TEN // 3) + "} }"},
    )
    for document in documents:
        answer = world.web.post("/graphql", json=document)
        assert answer.status_code == 413, answer.text[:500]
        assert "larger than" in answer.text and len(answer.text) < 1000
        assert world.ask("graphql", SHOP).rows == RIGHT[SHOP]


def test_a_message_longer_than_any_statement(world: World) -> None:
    with world.connect() as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("select '" + "x" * (65 << 20) + "'")
    assert len(str(caught.value)) < 1000 and "Traceback" not in str(caught.value)
