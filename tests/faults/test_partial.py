"""What views can do without is answered while its server is down, rightly and labelled, over every protocol."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.faults.world import Question, World, eventually

pytestmark = [pytest.mark.service, pytest.mark.slow]

KNOWN = Question("crm.known", ("id", "name", "subject"), ("id", 7))
ALL = Question("crm.all", ("id", "what"), ("id", 7))
COUNT = "select count(*) as n, max(id) as last from crm.all where id <= 10"
WHOLE: dict[Question, list[tuple[Any, ...]]] = {
    KNOWN: [(7, "customer 7", "ticket 7")],
    ALL: [(7, "customer 7"), (7, "ticket 7")],
}
TABLES = {"shop": ["customers"], "desk": ["tickets"]}


@contextmanager
def down(world: World, source: str, how: str) -> Iterator[None]:
    """The source's server is not there, or logins are refused; afterwards it is, and is asked again."""
    server = world.site.server(source)
    if how == "killed":
        server.stop(signal.SIGKILL)
    else:
        server.stop(signal.SIGINT if source == "shop" else signal.SIGTERM)
    try:
        yield
    finally:
        server.start()
        assert eventually(lambda: whole(world), 30), "it does not come back"


def whole(world: World) -> bool:
    said = [world.ask("postgresql", question).rows for question in WHOLE]
    return [sorted(rows or []) for rows in said] == list(WHOLE.values())


def expected(question: Question, source: str) -> list[tuple[Any, ...]]:
    """The right answer over the same data without that source's."""
    if question is ALL:
        return [row for row in WHOLE[ALL] if row[1] != {"shop": "customer 7", "desk": "ticket 7"}[source]]
    return [(7, "customer 7", None)]


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_rows_are_left_out_or_null_and_it_is_said(world: World, source: str, how: str) -> None:
    assert whole(world)
    questions = [ALL, KNOWN] if source == "desk" else [ALL]
    with down(world, source, how):
        for question in questions:
            for protocol in ("postgresql", "graphql"):
                said = world.ask(protocol, question)
                assert said.rows == expected(question, source), (protocol, said)
                assert said.seconds < 10
        sql, graphql, http = by_sql(world), by_graphql(world), by_http(world)
        for told in (sql, graphql, http):
            assert [(fact["source"], fact["origin"]) for fact in told] == sorted(
                {("shop", "live"), ("desk", "live"), (source, "missing")} - {(source, "live")}
            )
            (gone,) = [fact for fact in told if fact["missing"]]
            assert (gone["policy"], gone["tables"], gone["views"]) == ("partial", TABLES[source], ["crm.all"])
            assert source in gone["why"]
        for question in questions:
            other = world.ask("postgresql", Question(f"crm.{'people' if source == 'shop' else 'tickets'}", ("id",)))
            assert other.rows is None and other.code.startswith(("08", "57P")), (question, other)
    assert whole(world)


def by_sql(world: World) -> list[dict[str, Any]]:
    """What a client of the PostgreSQL protocol is told of its last answer."""
    with world.connect() as client:
        warnings: list[str | None] = []
        client.add_notice_handler(lambda diag: warnings.append(diag.sqlstate))
        assert client.execute(COUNT.encode()).fetchall() == [(10, 10)]
        assert warnings == ["01000"]
        (rows,) = client.execute("select json_agg(p order by source) from vdw.provenance() p").fetchall()
    found: list[dict[str, Any]] = rows[0]
    return found


def by_graphql(world: World) -> list[dict[str, Any]]:
    answer = world.web.post("/graphql", json={"query": ALL.graphql})
    told = answer.json()["extensions"]["provenance"]
    assert told["fields"][0]["cache"] == "PARTIAL"
    assert [warning["path"] for warning in told["warnings"]] == [["crmAll"]]
    assert answer.headers["warning"].startswith("199 vdw")
    found: list[dict[str, Any]] = told["fields"][0]["sources"]
    return found


def by_http(world: World) -> list[dict[str, Any]]:
    answer = world.web.post("/query", params={"provenance": "last"}, json={"sql": COUNT})
    assert answer.headers["warning"].startswith("199 vdw")
    first, last = answer.text.splitlines()
    assert json.loads(first) == {"n": "10", "last": 10}
    head = json.loads(answer.headers["vdw-provenance"])
    found: list[dict[str, Any]] = json.loads(last)["provenance"]
    assert {fact["source"]: fact["origin"] for fact in head} == {fact["source"]: fact["origin"] for fact in found}
    return found


def test_a_get_of_a_partial_answer_is_not_kept_by_http_caches(world: World) -> None:
    asked = {"query": ALL.graphql}
    assert "etag" in world.web.get("/graphql", params=asked).headers
    with down(world, "desk", "stopped"):
        answer = world.web.get("/graphql", params=asked)
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers


def test_a_client_of_little_patience_does_not_say_that_a_source_is_down(world: World) -> None:
    with world.site.server("shop").paused():
        said = world.ask("postgresql", ALL, 2)
        assert said.code == "57014"
        assert said.seconds < 6
    assert eventually(lambda: whole(world), 30)
