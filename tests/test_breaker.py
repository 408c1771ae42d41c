"""The circuit breaker: opens on the errors that matter only, tries one at a time, and is never shut out for ever."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from connectors.errors import Error, LimitExceeded, QueryError, SourceError
from connectors.leases import Lost
from connectors.stopping import ended_there, hanging, timed_out
from federation.gate.breaker import JITTER, LOST, SLICES, YIELD, Breaker, matters, said, verdict
from views.catalog import Breaker as Rules

RULES = Rules(failures=3, share=0.5, window=10.0, pause=5.0, longest=20.0)
DOWN = Lost('the connection to source "crm" was lost')
TIMEOUT = 30.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def made(rules: Rules = RULES, **more: object) -> tuple[Breaker, Clock]:
    clock = Clock()
    return Breaker("crm", rules, clock, TIMEOUT, spread=lambda: 0.0, wall=lambda: 1_700_000_000.0, **more), clock  # type: ignore[arg-type]


def run(breaker: Breaker, *errors: BaseException | None) -> None:
    for error in errors:
        assert breaker.refuse() is None
        breaker.done(error, breaker.admitted())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, "answered"),
        (SourceError("no", sqlstate="08001"), "failed"),
        (DOWN, "failed"),
        (SourceError("shutting down", sqlstate="57P01"), "failed"),
        (SourceError("full", sqlstate="53100"), "failed"),
        (timed_out("crm", TIMEOUT), "failed"),
        (timed_out("crm", 1.0), "unknown"),  # a client's shorter deadline
        (hanging("crm", 1.0), "failed"),  # but the server did not even hear the cancel
        (ended_there("crm"), "unknown"),
        (LimitExceeded("canceling statement due to user request", sqlstate="57014"), "unknown"),
        (LimitExceeded("too many rows"), "answered"),  # our own limit, 53400
        (SourceError("temp_file_limit", sqlstate="53400"), "answered"),  # one that the source has for us
        (SourceError("refused: syntax"), "answered"),
        (SourceError("numeric", sqlstate="HV004"), "answered"),
        (QueryError("division by zero", sqlstate="22012"), "answered"),
        (Error("the server is shutting down", sqlstate="57P01"), "failed"),
        (KeyError("a bug"), "unknown"),
        (GeneratorExit(), "unknown"),
    ],
)
def test_which_errors_matter(error: BaseException | None, expected: str) -> None:
    assert verdict(error, TIMEOUT) == expected
    assert matters(error, TIMEOUT) == (expected == "failed")


def test_opens_after_so_many_in_a_row_and_says_why_and_until_when() -> None:
    breaker, clock = made()
    run(breaker, DOWN, DOWN, None, DOWN, DOWN)
    assert breaker.state == "closed", "an answer in between: not in a row"
    run(breaker, DOWN)
    assert breaker.state == "open"
    error = breaker.refuse()
    assert error is not None
    assert error.sqlstate == "57P03"
    assert error.message == (
        "source crm is left alone since 22:13:20 UTC: 3 statements in a row failed, the last with: "
        'the connection to source "crm" was lost; it is tried again in 5.0 s'
    )
    assert "breaker in sources/crm.yml" in str(error.hint)
    assert breaker.refused == 1
    clock.now += 2
    assert breaker.retry == pytest.approx(3.0)
    assert breaker.down_since == 1_700_000_000.0 - 2


def test_opens_on_a_share_of_errors() -> None:
    breaker, clock = made()
    run(breaker, DOWN, DOWN, None, DOWN, None)
    assert breaker.state == "closed", "five are too few to tell"
    run(breaker, DOWN)
    assert breaker.state == "open"
    assert breaker.why.startswith("4 of 6 statements in 10 s failed, the last with: ")

    slow, clock = made()
    for _ in range(20):
        run(slow, None, DOWN)
        clock.now += 5
    assert slow.state == "closed", "what has left the window is forgotten"


def test_errors_about_the_statement_do_not_open_it_but_show_that_it_answers() -> None:
    breaker, _ = made()
    run(breaker, DOWN, DOWN, QueryError("syntax"), DOWN, DOWN, *[SourceError("refused")] * 50)
    assert breaker.state == "closed"
    other, _ = made()
    run(other, DOWN, DOWN, timed_out("crm", 0.1), DOWN)
    assert other.state == "open", "a client's deadline in between is no answer"


def test_one_trial_closes_it() -> None:
    breaker, clock = made()
    run(breaker, *[DOWN] * 3)
    clock.now += 5
    assert breaker.refuse() is None
    trial = breaker.admitted()
    assert breaker.state == "half-open"
    refused = breaker.refuse()
    assert refused is not None and "being tried now" in refused.message
    breaker.done(None, trial)
    assert breaker.state == "closed" and breaker.why == ""
    run(breaker, None)


def test_each_trial_that_fails_doubles_the_pause_up_to_the_longest() -> None:
    breaker, clock = made()
    run(breaker, *[DOWN] * 3)
    pauses = []
    for _ in range(4):
        pauses.append(breaker.retry)
        clock.now += breaker.retry
        run(breaker, SourceError('cannot connect to source "crm"', sqlstate="08001"))
    assert pauses == [5, 10, 20, 20]
    assert breaker.why == '3 statements in a row failed, the last with: cannot connect to source "crm"'
    assert breaker.down_since == 1_700_000_000.0 - 55, "it is down since it opened"


def test_a_relapse_does_not_begin_with_the_shortest_pause() -> None:
    breaker, clock = made()
    run(breaker, *[DOWN] * 3)
    clock.now += 5
    run(breaker, None, *[DOWN] * 3)
    assert breaker.retry == 10
    clock.now += 10
    run(breaker, None)
    clock.now += 21
    run(breaker, *[DOWN] * 3)
    assert breaker.retry == 5


def test_pauses_are_spread() -> None:
    breaker, _ = made(RULES)
    breaker.spread = lambda: 1.0
    run(breaker, *[DOWN] * 3)
    assert breaker.retry == pytest.approx(5 * (1 - JITTER))


def test_a_trial_that_somebody_cancelled_lets_the_next_try_at_once() -> None:
    breaker, clock = made()
    run(breaker, *[DOWN] * 3)
    clock.now += 5
    breaker.done(LimitExceeded("user request", sqlstate="57014"), breaker.admitted())
    assert breaker.state == "open"
    run(breaker, None)
    assert breaker.state == "closed"


def test_a_trial_that_never_ends_is_given_up() -> None:
    breaker, clock = made()
    run(breaker, *[DOWN] * 3)
    clock.now += 5
    lost = breaker.admitted()
    clock.now += TIMEOUT + LOST
    trial = breaker.admitted()
    breaker.done(DOWN, lost)
    assert breaker.state == "half-open", "the one that was given up has no say"
    breaker.done(None, trial)
    assert breaker.state == "closed"


def test_what_was_sent_before_it_opened_says_nothing_afterwards() -> None:
    breaker, clock = made()
    early = [breaker.admitted() for _ in range(10)]
    run(breaker, *[DOWN] * 3)
    breaker.done(None, early.pop())
    assert breaker.state == "open", "an answer that was under way is no sign of life"
    clock.now += 5
    run(breaker, None)
    for ticket in early:
        breaker.done(DOWN, ticket)
    assert breaker.state == "closed"


def test_clients_leave_the_trial_to_the_prober() -> None:
    breaker, clock = made(probed=True)
    run(breaker, *[DOWN] * 3)
    assert not breaker.due
    clock.now += 5
    assert breaker.due
    assert breaker.refuse() is not None
    assert breaker.refuse(prober=True) is None
    breaker.done(DOWN, breaker.admitted(prober=True))
    assert breaker.retry == 10 and breaker.refused == 1
    clock.now += 10 + YIELD
    run(breaker, None)
    assert breaker.state == "closed", "nobody probed: a client did"


def test_rules_change_while_it_is_open() -> None:
    breaker, _ = made()
    run(breaker, *[DOWN] * 3)
    breaker.resize(RULES, TIMEOUT)
    assert breaker.state == "open"
    breaker.resize(replace(RULES, enabled=False), TIMEOUT)
    assert breaker.state == "closed"
    run(breaker, *[DOWN] * 50)
    assert breaker.state == "closed"


def test_a_listener_gets_every_transition() -> None:
    heard: list[str] = []
    breaker, clock = made(listen=heard.append)
    run(breaker, *[DOWN] * 3)
    clock.now += 5
    run(breaker, None)
    assert heard == ["open", "half-open", "closed"]
    assert breaker.transitions == {"open": 1, "half-open": 1, "closed": 1}


def test_the_source_s_words_are_told_where_they_are_ours_only() -> None:
    full = SourceError('refused the statement: could not write "Ann Example"', sqlstate="53100")
    assert said(full) == "disk full"
    assert said(SourceError("Ann Example", sqlstate="53999")) == "insufficient resources"
    assert said(KeyError("Ann Example")) == "KeyError"
    assert said(DOWN) == DOWN.message


class Machine(RuleBasedStateMachine):
    """Any order of statements, ends, losses and times, against what the rules say of the recorded ends."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker, self.clock = made()
        self.sent: list[tuple[int, str]] = []  # ticket and the state that it was given in
        self.ends: list[tuple[float, bool]] = []  # since it was last closed
        self.row = 0
        self.trials: list[tuple[float, int]] = []

    @rule(prober=st.booleans())
    def send(self, prober: bool) -> None:
        refused = self.breaker.refuse(prober)
        if refused is not None:
            assert self.breaker.state != "closed", "a closed one refuses nothing"
            assert refused.sqlstate == "57P03"
            return
        before = self.breaker.state
        ticket = self.breaker.admitted(prober)
        assert self.breaker.state == ("closed" if before == "closed" else "half-open")
        if before != "closed":
            out = [at for at, trial in self.trials if any(trial == one for one, _ in self.sent)]
            assert all(self.clock.now - at >= LOST for at in out), "two trials at once"
            self.trials.append((self.clock.now, ticket))
        self.sent.append((ticket, self.breaker.state))

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), error=st.sampled_from([None, DOWN, DOWN, QueryError("syntax"), KeyError("cancelled")]))
    def end(self, data: st.DataObject, error: BaseException | None) -> None:
        ticket, state = self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))
        before, current = self.breaker.state, self.breaker._generation == ticket
        self.breaker.done(error, ticket)
        found = verdict(error, TIMEOUT)
        if not current:
            assert self.breaker.state == before, "a ticket of an earlier state has no say"
        elif state == "closed":
            self._closed(found)
        else:
            expected = "closed" if found == "answered" else "open"
            assert self.breaker.state == expected
            if expected == "closed":
                self.ends, self.row = [], 0

    def _closed(self, found: str) -> None:
        if found != "unknown":
            self.ends.append((self.clock.now, found == "failed"))
            self.row = self.row + 1 if found == "failed" else 0
        if self.breaker.state == "open":  # the window is right to a slice
            windows = (RULES.window * (1 - part / 100 / SLICES) for part in range(0, 101, 5))
            assert self.row >= RULES.failures or any(map(self._share, windows))
        else:
            assert self.row < RULES.failures

    def _share(self, window: float) -> bool:
        recent = [failed for at, failed in self.ends if at > self.clock.now - window]
        return len(recent) >= 2 * RULES.failures and sum(recent) >= RULES.share * len(recent)

    @precondition(lambda self: self.sent)
    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        self.sent.pop(data.draw(st.integers(0, len(self.sent) - 1)))

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 5.0, 11.0, 70.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @invariant()
    def it_comes_back(self) -> None:
        """However it stands, after a bounded time somebody may try."""
        now = self.clock.now
        assert self.breaker.retry <= max(RULES.longest, TIMEOUT) + LOST
        self.clock.now += max(RULES.longest, TIMEOUT) + LOST
        assert self.breaker.state == "closed" or self.breaker._tryable(False)
        self.clock.now = now


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestMachine = pytest.mark.slow(Machine.TestCase)
