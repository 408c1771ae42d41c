"""Sources that are down, die, hang or come back; and values that their types cannot hold."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psycopg
import pytest

from tests.faults.world import (
    BOTH,
    DESK,
    RIGHT,
    SECRET,
    SHOP,
    SIDE,
    Question,
    Said,
    World,
    background,
    decent,
    eventually,
    told,
)

pytestmark = [pytest.mark.service, pytest.mark.slow]

LARGE = {"shop": Question("crm.orders", ("id", "customer_id", "label")), "desk": Question("crm.notes", ("id", "body"))}


@pytest.mark.parametrize(
    ("protocol", "limit"), [("postgresql", "session"), ("postgresql", "view"), ("graphql", "view")]
)
def test_a_statement_that_takes_too_long(world: World, protocol: str, source: str, limit: str) -> None:
    view = "slow" if limit == "session" else "hasty"
    said = world.ask(protocol, Question(f"crm.{view}_{source}", ("id", "name", "pause")), 1)
    assert decent(said, "timeout").code == "57014"
    assert 0.9 < said.seconds < 4, said


def test_a_source_that_hangs(world: World, protocol: str, source: str) -> None:
    question = Question(f"crm.quick_{source}", ("id", "name"), ("id", 7))
    other = "desk" if source == "shop" else "shop"
    with world.site.server(source).paused():
        said = world.ask(protocol, question)
        assert decent(said, "timeout").code == "57014"
        assert said.seconds < 5, said
        world.healthy("side", other)
    assert world.ask(protocol, question).rows


def test_a_source_that_is_down_and_comes_back(world: World, protocol: str, source: str) -> None:
    server = world.site.server(source)
    other = "desk" if source == "shop" else "shop"
    server.stop(signal.SIGINT if source == "shop" else signal.SIGTERM)
    try:
        for question in (SHOP if source == "shop" else DESK, BOTH):
            said = world.ask(protocol, question)
            assert decent(said, source).code in ("08001", "08006"), said
            assert said.seconds < 5, said
        world.healthy("side", other)
    finally:
        server.start()


def test_a_source_that_dies_in_the_middle(world: World, protocol: str, source: str) -> None:
    slow = Question(f"crm.slow_{source}", ("id", "name", "pause"))
    server = world.site.server(source)
    with background(lambda: world.ask(protocol, slow)) as said:
        assert eventually(lambda: world.site.running(source) > 0)
        time.sleep(1.1)  # it has begun, beyond doubt
        server.stop(signal.SIGKILL)
    try:
        assert decent(said[0], source).code == "08006", said
    finally:
        server.start()


def test_a_source_that_dies_under_a_stream(world: World, source: str) -> None:
    server, question = world.site.server(source), LARGE[source]
    with world.connect() as connection, connection.cursor() as cursor:
        rows = cursor.stream(question.sql)
        next(rows)
        server.stop(signal.SIGKILL)
        try:
            with pytest.raises(Exception) as caught:
                for _ in rows:
                    pass
            assert isinstance(caught.value, psycopg.Error)
            assert decent(told(caught.value), source).code == "08006"
            assert connection.execute(SIDE.sql).fetchall() == RIGHT[SIDE]
        finally:
            server.start()
        assert connection.execute(BOTH.sql).fetchall() == RIGHT[BOTH], "the same session goes on"


def test_idle_connections_that_an_administrator_ends(world: World, protocol: str, source: str) -> None:
    world.site.cut(source)
    assert world.ask(protocol, BOTH).rows == RIGHT[BOTH], "nobody notices"


@pytest.mark.parametrize("how", ["connection", "statement"])
def test_a_statement_that_an_administrator_ends(world: World, protocol: str, source: str, how: str) -> None:
    slow = Question(f"crm.slow_{source}", ("id", "name", "pause"))
    with background(lambda: world.ask(protocol, slow)) as said:
        assert eventually(lambda: world.site.running(source) > 0)
        time.sleep(1.1)  # it has begun, beyond doubt
        world.site.cut(source) if how == "connection" else world.site.stop_statements(source)
        assert eventually(lambda: bool(said), 3), "it was asked again"
    decent(said[0], source)
    assert said[0].code == ("08006" if how == "connection" else "57014"), said
    assert "timeout" not in said[0].text, "it was not late"


def test_a_password_that_was_changed(world: World, protocol: str, source: str) -> None:
    world.site.password(source, "another s3cret")
    world.site.cut(source)
    try:
        said = world.ask(protocol, SHOP if source == "shop" else DESK)
        assert decent(said, source).code == "08001", said
        assert "password" in said.text.lower()
    finally:
        world.site.password(source, SECRET)
    # what was refused is tried again soon, but not at once: it could lock the account
    assert eventually(lambda: world.ask(protocol, SHOP if source == "shop" else DESK).rows is not None)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (Question("crm.prices", ("id", "price")), ("numeric(10,2)", "shop", "price")),
        (Question("crm.visits", ("id", "day")), ("zero date", "desk", "day")),
        (Question("crm.loose", ("id", "amount")), ("bigint", "side", "amount")),
    ],
    ids=["postgresql", "mariadb", "sqlite"],
)
def test_a_value_that_its_type_cannot_hold(
    world: World, protocol: str, question: Question, words: tuple[str, ...]
) -> None:
    assert decent(world.ask(protocol, question), *words).code == "HV004"
    good = Question(question.view, question.columns, ("id", 1))
    assert len(world.ask(protocol, good).rows or ()) == 1, "the rows beside it are served"


def test_two_clients_of_whom_one_fails(world: World, protocol: str) -> None:
    bad = Question("crm.prices", ("id", "price"))
    said: list[Said] = []

    def fail() -> None:
        said.extend(world.ask(protocol, bad) for _ in range(20))

    with background(fail):
        for _ in range(20):
            assert world.ask(protocol, SHOP).rows == RIGHT[SHOP]
            assert world.ask(protocol, BOTH).rows == RIGHT[BOTH]
    assert [one.code for one in said] == ["HV004"] * 20


def test_down_at_start_and_up_later(world: World, tmp_path: Path, source: str) -> None:
    server = world.site.server(source)
    other = "desk" if source == "shop" else "shop"
    server.stop(signal.SIGINT if source == "shop" else signal.SIGTERM)
    try:
        with World(world.site, world.site.folder) as late:
            faults = {one.file: one for one in late.runtime.diagnostics if one.severity == "error"}
            assert f"sources/{source}.yml" in faults
            assert set(faults) == {f"sources/{source}.yml"}, "what it told an earlier start is remembered"
            text = "\n".join(f"{one} {one.remedy}" for one in faults.values())
            assert "s3cret" not in text and "Traceback" not in text and source in text
            late.healthy("side", other)
            for protocol in ("postgresql", "graphql"):
                said = decent(late.ask(protocol, SHOP if source == "shop" else DESK), source)
                assert said.seconds < 2
            server.start()
            assert eventually(lambda: late.ask("postgresql", BOTH).rows == RIGHT[BOTH], 15)
            late.healthy()
            assert not [one for one in late.runtime.diagnostics if one.severity == "error"]
    finally:
        if server.process is None:
            server.start()
