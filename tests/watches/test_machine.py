"""What follows from answers, over time that the test makes: random histories against a model, and each rule by name."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.watches.machine import Row
from api.watches.outbox import Outbox, Outcome
from api.watches.store import Store
from views.notifier_file import Retry
from views.watch_file import WatchFile

START = 1_000_000.0
RETRY = Retry.model_validate({"first": "1s", "most": "60s", "give_up": "30d"})
OUTCOMES = {
    "sent": Outcome("sent"),
    "no": Outcome("retry", "HTTP 503"),
    "unsure": Outcome("retry", "time-out", sure=False),
    "refused": Outcome("refused", "HTTP 422"),
}


def watch(**more: Any) -> WatchFile:
    told = {"query": "select 1", "key": ["k"], "every": "1s", "alert": {"text": "{k}"}, "to": [{"notifier": "n"}]}
    return WatchFile.model_validate({**told, **more})


def row(key: str, recipients: int = 1, **values: str) -> Row:
    return Row(json.dumps({"k": key}), {"k": key, **values}, "{}", (True,) * recipients)


class World:
    """A watch, its outbox and a receiver, over a clock."""

    def __init__(self, **more: Any) -> None:
        self.watch, self.store, self.now = watch(**more), Store(None), START
        self.outbox = Outbox(self.store.connection)
        self.received: list[tuple[str, str, str, float]] = []  # id, event, text, when

    def see(self, *keys: str, **values: str) -> int:
        """A whole answer; how much was planned."""
        rows = [row(key, len(self.watch.to), **values) for key in keys]
        return len(self.store.take("w", self.watch, rows, self.now).planned)

    def deliver(self, *ends: str, notifier: str = "n") -> None:
        """One attempt for each that is ready, ending so; the last end goes on."""
        for i, one in enumerate(self.outbox.ready(notifier, self.now, 1_000)):
            self.attempt(one.id, one.event, one.text, ends[min(i, len(ends) - 1)])

    def deliver_all(self) -> None:
        """All that is ready arrives."""
        while self.outbox.ready("n", self.now, 1):
            self.deliver("sent")

    def attempt(self, id: str, event: str, text: str, end: str) -> None:
        assert self.outbox.begin(id)
        if end in ("sent", "unsure"):
            self.received.append((id, event, text, self.now))
        if end == "killed":
            self.received += [(id, event, text, self.now)]
            self.outbox.recover(self.now, [])
        elif end == "killed before":
            self.outbox.recover(self.now, [])
        else:
            self.outbox.settle(id, OUTCOMES[end], self.now, RETRY)

    def pass_(self, seconds: float) -> None:
        self.now += seconds

    def states(self) -> list[str]:
        return [state for (state,) in self.store.connection.execute("SELECT state FROM delivery ORDER BY seq")]

    def events(self) -> list[str]:
        """What the receiver knows, once each."""
        return [event for _, event in dict.fromkeys((id, event) for id, event, _, _ in self.received)]


# -- random histories

KEYS = "abc"
steps = st.one_of(
    st.tuples(st.just("see"), st.sets(st.sampled_from(KEYS))),
    st.tuples(st.just("deliver"), st.sampled_from(["sent", "no", "unsure", "killed", "killed before"])),
    st.tuples(st.just("pass"), st.sampled_from([0.5, 3.0, 120.0])),
    st.tuples(st.just("restart"), st.none()),
)


@settings(max_examples=80)
@given(st.lists(steps, max_size=40), st.sampled_from(["withdraw", "send"]), st.booleans())
def test_no_alert_is_lost_and_none_is_told_twice(history: list[tuple[str, Any]], late: str, address: bool) -> None:
    recipient = {"notifier": "n", "address": "{k}"} if address else {"notifier": "n"}
    world = World(late=late, to=[recipient])
    episodes: list[tuple[str, float, float | None]] = []  # key, since, until
    lasting: dict[str, int] = {}
    for what, value in history:
        if what == "see":
            world.see(*sorted(value))
            for key in sorted(value - lasting.keys()):
                lasting[key] = len(episodes)
                episodes.append((key, world.now, None))
            for key in [key for key in lasting if key not in value]:
                at = lasting.pop(key)
                episodes[at] = (*episodes[at][:2], world.now)
        elif what == "deliver":
            world.deliver(value)
        elif what == "pass":
            world.pass_(value)
        else:
            world.outbox.recover(world.now, [])
    in_time = {id for id, _, _, _ in world.received}
    for _ in range(40):  # the channel works again, for as long as it takes
        world.pass_(61.0)
        world.deliver("sent")
        if {"pending", "sending"}.isdisjoint(world.states()):
            break
    _judged(world, episodes, in_time, late)


def _judged(world: World, episodes: list[tuple[str, float, float | None]], in_time: set[str], late: str) -> None:
    assert {"pending", "sending"}.isdisjoint(world.states())
    found = world.store.connection.execute(
        "SELECT d.*, b.cleared FROM delivery AS d JOIN breach AS b ON b.id = d.breach ORDER BY d.seq"
    ).fetchall()
    told = Counter(id for id, _, _, _ in world.received)
    assert len(found) == len(episodes), "one alert for each breach"
    for delivery, (key, since, until) in zip(found, episodes, strict=True):
        assert (delivery["text"], delivery["since"], delivery["cleared"]) == (key, since, until)
        if delivery["state"] == "sent":
            assert told[delivery["id"]] >= 1
        else:  # nothing may have been told of it, and it was over
            assert delivery["state"] == "withdrawn" and late == "withdraw" and until is not None
            assert told[delivery["id"]] == 0
        if until is None:
            assert delivery["state"] == "sent"
    late_ones = [id for id, _, _, _ in world.received if id not in in_time]
    over = {row["id"] for row in found if row["cleared"] is not None and not row["attempts"]}
    assert late == "send" or over.isdisjoint(late_ones), "none is told first after its breach was over"


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["sent", "no", "unsure", "killed"]), max_size=60), st.integers(0, 10_000))
def test_to_one_address_alerts_arrive_in_their_order(ends: list[str], seed: int) -> None:
    world = World(to=[{"notifier": "n", "address": "one"}])
    dice = random.Random(seed)
    for number, end in enumerate(ends):
        if dice.random() < 0.4:
            world.see(*(f"{i:03}" for i in range(number + 1)))
        world.deliver(end)
        world.pass_(dice.choice((0.0, 2.0, 70.0)))
    firsts = list(dict.fromkeys(text for _, _, text, _ in world.received))
    patient = world.store.connection.execute("SELECT max(attempts) FROM delivery").fetchone()[0] or 0
    assert patient >= 5 or firsts == sorted(firsts)


# -- the rules by name


def test_a_breach_that_comes_back_is_a_new_one() -> None:
    world = World()
    assert [world.see("a"), world.see("a"), world.see(), world.see("a")] == [1, 0, 0, 1]
    assert len({id for (id,) in world.store.connection.execute("SELECT id FROM delivery")}) == 2


def test_unless_it_is_told_once_only() -> None:
    world = World(again="never")
    world.see("a")
    world.deliver("sent")
    assert [world.see(), world.see("a"), world.see("a", "b")] == [0, 0, 1]


def test_what_flaps_is_one_breach() -> None:
    world = World(clears_after="10s", cleared={"text": "over"})
    world.see("a")
    world.deliver("sent")
    for _ in range(3):
        world.pass_(5)
        assert world.see() == 0
        assert world.see("a") == 0
    world.see()
    world.pass_(10)
    assert world.see() == 1
    world.deliver("sent")
    assert world.events() == ["breach", "cleared"]


def test_the_end_is_told_to_those_who_were_told() -> None:
    to = [{"notifier": "n", "address": "told"}, {"notifier": "dead", "address": "never"}]
    world = World(cleared={"text": "over"}, to=to)
    world.see("a")
    world.deliver("sent")
    assert world.see() == 1
    assert world.states() == ["sent", "withdrawn", "pending"]


def test_an_alert_in_doubt_is_not_withdrawn() -> None:
    world = World(cleared={"text": "over"})
    world.see("a")
    world.deliver("unsure")
    assert world.see() == 1
    for _ in range(3):
        world.pass_(61)
        world.deliver("sent")
    assert world.events() == ["breach", "cleared"] and world.states() == ["sent", "sent"]


def test_a_failure_that_ends_after_the_breach_withdraws_both() -> None:
    world = World(cleared={"text": "over"})
    world.see("a")
    (one,) = world.outbox.ready("n", world.now, 1)
    world.outbox.begin(one.id)
    assert world.see() == 1  # it may be arriving
    world.outbox.settle(one.id, OUTCOMES["no"], world.now, RETRY)
    assert world.states() == ["withdrawn", "withdrawn"]


def test_escalation_and_acknowledgement() -> None:
    to = [{"notifier": "n", "address": "field"}, {"notifier": "n", "address": "boss", "after": "1h"}]
    world = World(to=to, remind="10m")
    assert world.see("a", "b") == 2
    world.deliver_all()
    world.pass_(600)
    assert world.see("a", "b") == 2  # reminders
    assert world.see("a", "b") == 0  # which are not sent yet
    world.deliver_all()
    world.store.connection.execute("UPDATE breach SET acknowledged = ? WHERE key = ?", (world.now, '{"k": "a"}'))
    world.pass_(3000)
    assert world.see("a", "b") == 2  # of b: the second reminder, and the boss
    addresses = world.store.connection.execute("SELECT key, address, event, number FROM delivery ORDER BY seq DESC")
    assert [tuple(row) for row in addresses.fetchmany(2)] == [
        ('{"k": "b"}', "boss", "breach", 0),
        ('{"k": "b"}', "field", "reminder", 2),
    ]


def test_what_is_silenced_is_told_when_that_ends() -> None:
    world = World()
    world.store.connection.execute("INSERT INTO silence VALUES ('w', '', ?, 'me', 'known')", (world.now + 100,))
    assert world.see("a") == 0
    world.pass_(101)
    assert world.see("a") == 1


def test_what_waits_while_it_is_silenced_stays() -> None:
    world = World()
    world.see("a")
    world.store.connection.execute("INSERT INTO silence VALUES ('w', ?, ?, 'me', '')", ('{"k": "a"}', world.now + 100))
    world.deliver("sent")
    assert world.states() == ["pending"]
    world.pass_(101)
    world.deliver("sent")
    assert world.states() == ["sent"]


def test_what_was_only_observed_is_told_once_that_ends() -> None:
    world = World(observe=True)
    assert [world.see("a"), world.see("a")] == [1, 0]
    world.deliver("sent")
    assert world.states() == ["observed"] and not world.received
    world.watch = watch()
    assert world.see("a") == 1


def test_a_full_outbox_loses_nothing() -> None:
    world = World()
    take = world.store.take
    rows = [row(key) for key in "abcde"]
    assert len(take("w", world.watch, rows, world.now, {"n": 3}).planned) == 3
    assert len(take("w", world.watch, rows, world.now, {"n": 3}).planned) == 0
    world.deliver("sent")
    while not all(state == "sent" for state in world.states()):
        world.deliver("sent")
    assert len(take("w", world.watch, rows, world.now, {"n": 3}).planned) == 2


def test_pauses_grow_and_what_is_given_up_is_put_aside() -> None:
    world = World()
    world.see("a")
    pauses = []
    for _ in range(8):
        before = world.now
        world.deliver("no")
        world.now = world.outbox.next_due("n", world.now) or 0.0
        pauses.append(world.now - before)
    for pause, whole in zip(pauses, [1, 2, 4, 8, 16, 32, 60, 60], strict=True):
        assert whole / 2 <= pause <= whole
    (one,) = world.outbox.ready("n", world.now, 1)
    world.outbox.begin(one.id)
    short = Retry.model_validate({"give_up": "10s"})
    assert world.outbox.settle(one.id, OUTCOMES["no"], world.now, short) == "failed"


def test_what_fails_again_and_again_lets_others_go_ahead() -> None:
    world = World()
    world.see("a", "b")
    for _ in range(4):
        world.deliver("no")
        assert world.outbox.ready("n", world.now, 9) == []
        world.pass_(61)
    world.deliver("no")
    assert [one.text for one in world.outbox.ready("n", world.now, 9)] == ["b"]


def test_held_mail_is_not_repeated() -> None:
    world = World()
    world.see("a")
    (one,) = world.outbox.ready("n", world.now, 1)
    world.outbox.begin(one.id)
    assert world.outbox.recover(world.now, ["n"]) == 0
    assert world.states() == ["held"]


def test_what_is_long_over_is_forgotten_and_what_is_put_aside_is_not() -> None:
    world = World()
    world.see("a", "b", "c")
    world.deliver("refused")
    world.deliver("sent")
    world.deliver("sent")
    world.see("c")
    world.pass_(100)
    world.store.prune(world.now - 50, {"w": world.watch})
    kept = world.store.connection.execute("SELECT key FROM breach ORDER BY id").fetchall()
    assert [json.loads(key)["k"] for (key,) in kept] == ["a", "c"]


@pytest.mark.parametrize("text", ["{a.b}", "{a!r}", "{a:>10}", "{0[x]}", "{", "{}", "}"])
def test_a_text_reaches_columns_only(text: str) -> None:
    with pytest.raises(ValueError):
        watch(alert={"text": text})
