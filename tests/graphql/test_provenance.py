"""Provenance of GraphQL's answers: the account that every protocol gives, a field at a time and of all together."""

from __future__ import annotations

import time
from dataclasses import replace

from api.graphql import provenance
from federation.freshness.provenance import facts
from federation.result import Part

LIVE = Part(0, "crm", "", rows=2, read_at=time.time() - 5, as_of="2026-01-01T00:00:00+00:00", ttl=60.0, views=("v.a",))
KEPT = replace(LIVE, cache="hit", origin="cache", statements=0)
STALE = replace(LIVE, cache="stale", origin="stale", why="gone", read_at=time.time() - 90)
GONE = Part(-1, "shop", "", cache="none", statements=0, origin="missing", why="gone", policy="nulls", tables=("t",))


def test_the_state_of_a_field_is_its_worst() -> None:
    answers = ([LIVE], [KEPT], [KEPT, LIVE], [KEPT, STALE], [KEPT, GONE])
    states = [provenance.of("a", parts).cache for parts in answers]
    assert states == ["MISS", "HIT", "MISS", "STALE", "PARTIAL"]


def test_every_protocol_tells_the_same() -> None:
    told = provenance.of("a", [LIVE, GONE])
    one, two = (fact.json() for fact in facts([LIVE, GONE]))
    for fact, extension in zip((one, two), told.extension()["sources"], strict=True):
        same = fact.keys() & extension.keys()
        assert same == fact.keys() - {"as_of", "read_at", "age", "ttl"}
        assert {key: fact[key] for key in same} == {key: extension[key] for key in same}
        assert (extension["asOf"], extension["readAt"]) == (fact["as_of"], fact["read_at"])
    assert told.extension()["sources"][0]["ttlMs"] == 60_000


def test_what_is_lacking_is_warned_of_by_field() -> None:
    assert provenance.of("a", [LIVE, KEPT]).warnings() == []
    (told,) = provenance.of("a", [LIVE, GONE]).warnings()
    assert told == {
        "path": ["a"], "source": "shop", "message": "source shop is down: its columns are NULL (t)", "why": "gone",
    }  # fmt: skip


def test_how_long_an_answer_may_be_kept() -> None:
    read = time.time() - 5
    fields = [provenance.of(name, [replace(part, read_at=read)]) for name, part in (("a", LIVE), ("b", KEPT))]
    assert 0 < provenance.remaining(fields) <= 55
    assert provenance.remaining([*fields, provenance.of("c", [STALE])]) == 0
    assert provenance.remaining([*fields, provenance.of("c", [LIVE, GONE])]) == 0


def test_several_fields_are_one_account() -> None:
    crm, shop = provenance.account([provenance.of("a", [LIVE]), provenance.of("b", [LIVE, GONE])])
    assert (crm.source, crm.rows, crm.statements, shop.origin) == ("crm", 4, 2, "missing")
