"""What HTTP's headers say of an answer: never more than they can hold, and nothing that could break a header."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from api.headers import LONGEST, headers
from federation.freshness.provenance import Fact

LIVE = Fact("crm", "live", 990.0, 990.0, 10.0, 60.0, "real_time", 5, 1, views=("v.a",))
GONE = Fact("shop", "missing", policy="partial", why='it "fell"\r\nX-Evil: 1', tables=("t",))


def test_an_answer_that_is_whole() -> None:
    told = headers([LIVE], now=1000.0)
    assert told.keys() == {"Vdw-Provenance", "Age"}
    assert told["Age"] == "10"
    (fact,) = json.loads(told["Vdw-Provenance"])
    assert fact == {
        "source": "crm", "origin": "live", "as_of": "1970-01-01T00:16:30.000+00:00",
        "read_at": "1970-01-01T00:16:30.000+00:00", "age": 10.0, "ttl": 60.0, "class": "real_time", "missing": False,
        "views": ["v.a"],
    }  # fmt: skip


def test_what_is_left_out_or_past_its_time() -> None:
    stale = replace(LIVE, origin="stale", why="gone")
    told = headers([stale, GONE], now=1000.0)
    assert told["Warning"] == (
        '110 vdw "Response is Stale", 111 vdw "Revalidation Failed", '
        '199 vdw "source shop is down: its rows are left out (t)"'
    )
    assert headers([replace(stale, why="")], now=1000.0)["Warning"] == '110 vdw "Response is Stale"'


def test_nothing_was_asked() -> None:
    assert headers([]) == {}


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80)


@given(st.lists(st.builds(replace, st.sampled_from((LIVE, GONE)), source=NAMES, why=NAMES), min_size=1, max_size=60))
def test_any_facts_make_headers_that_can_be_sent(facts: list[Fact]) -> None:
    told = headers(facts, now=1000.0)
    shown = json.loads(told["Vdw-Provenance"])
    assert len(told["Vdw-Provenance"]) <= LONGEST
    assert all(value.isascii() and value.isprintable() for value in told.values())
    assert sum(fact.get("more", 1) for fact in shown) == len(facts)
    whole = [not fact["missing"] for fact in shown if "more" not in fact]
    assert whole == sorted(whole)  # what lacks comes first
