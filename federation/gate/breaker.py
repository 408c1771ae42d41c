"""The circuit breaker of a source: after enough errors that matter it is left alone, and tried by one at a time."""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from connectors.errors import Error, LimitExceeded, SourceError, TimedOut
from views.catalog import Breaker as Rules

State = Literal["closed", "open", "half-open"]
Verdict = Literal["failed", "answered", "unknown"]

SLICES = 10  # of the window: errors are forgotten a tenth of it at a time
LOST = 30.0  # seconds beyond a statement's own after which a trial that never ended is given up
YIELD = 2.0  # seconds that a client's statement leaves the trial to the prober
JITTER = 0.1  # of a pause, so that many servers do not try at once
_OVERLOADED = {
    "53000": "insufficient resources",
    "53100": "disk full",
    "53200": "out of memory",
    "53300": "too many connections",
}


def verdict(error: BaseException | None, timeout: float = 0.0) -> Verdict:
    """What the end of a statement says of its source. `timeout` (seconds) is the source's own.

    Failed: it cannot be reached, shuts down, has no resources left, or let its own time pass. Answered: rows, or an
    error about the statement or its data. Unknown: somebody here ended it, or it is our bug.
    """
    if error is None:
        return "answered"
    if isinstance(error, TimedOut):
        return "failed" if error.hangs or error.seconds >= timeout else "unknown"
    if not isinstance(error, Error) or error.sqlstate == "57014":
        return "unknown"
    limit = isinstance(error, LimitExceeded) or error.sqlstate == "53400"  # ours, or one that is set for us there
    if not limit and (error.sqlstate[:2] in ("08", "53") or error.sqlstate[:4] == "57P0"):
        return "failed"
    return "answered"


def matters(error: BaseException | None, timeout: float = 0.0) -> bool:
    """Whether it counts against the source."""
    return verdict(error, timeout) == "failed"


def said(error: BaseException) -> str:
    """The error in words that hold no value of anybody's data: our own, or those of its class."""
    if isinstance(error, Error) and error.sqlstate[:2] == "53":
        return _OVERLOADED.get(error.sqlstate, _OVERLOADED["53000"])
    return error.message if isinstance(error, Error) else type(error).__name__


@dataclass(slots=True)
class Window:
    """How many statements ended, and how many of them failed, in the last `seconds`."""

    seconds: float
    _slices: deque[list[float]] = field(default_factory=deque)  # [begins, ended, failed]

    def add(self, now: float, failed: bool) -> None:
        if not self._slices or now >= self._slices[-1][0] + self.seconds / SLICES:
            self._slices.append([now, 0, 0])
            self._forget(now)
        last = self._slices[-1]
        last[1] += 1
        last[2] += failed

    def counts(self, now: float) -> tuple[int, int]:
        """(ended, failed)."""
        self._forget(now)
        return int(sum(one[1] for one in self._slices)), int(sum(one[2] for one in self._slices))

    def clear(self) -> None:
        self._slices.clear()

    def _forget(self, now: float) -> None:
        while self._slices and self._slices[0][0] <= now - self.seconds:
            self._slices.popleft()


@dataclass(slots=True)
class Breaker:
    """Closed: statements pass. Open: they are refused until the pause is over. Half-open: one is out as a trial.

    Ask `refuse` before a statement waits, and again when its turn comes; take a ticket by `admitted` in the same step,
    and give it to `done` at the statement's end, however it ends. A ticket of an earlier state says nothing any more.
    `clock` gives seconds; `timeout` is the source's own; `probed` says that somebody here tries the source as soon as
    a pause is over, so that clients leave the trial to them. To be used from one thread. `listen` gets each new state.
    """

    source: str
    rules: Rules = field(default_factory=Rules)
    clock: Callable[[], float] = time.monotonic
    timeout: float = 0.0
    probed: bool = False
    listen: Callable[[State], None] | None = None
    spread: Callable[[], float] = random.random
    wall: Callable[[], float] = time.time
    state: State = "closed"
    since: float = 0.0  # of the state, by the clock
    failures: int = 0  # in a row, up to now or to when it opened
    refused: int = 0
    why: str = ""  # how it came to be open: what failed, how often
    transitions: Counter[State] = field(default_factory=Counter)
    _until: float = 0.0  # the pause's end, or (half-open) when the trial is given up
    _pause: float = 0.0
    _began: float = 0.0  # when it opened, trials that failed since notwithstanding
    _generation: int = 0
    _window: Window = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.since = self.clock()
        self._window = Window(self.rules.window)

    def resize(self, rules: Rules, timeout: float) -> None:
        """Take over the owner's new rules; what is open stays so until its pause is over, unless they switch it off."""
        self.rules, self.timeout = rules, timeout
        self._window.seconds = rules.window
        if not rules.enabled and self.state != "closed":
            self._close()

    def forget(self) -> None:
        """Begin anew: what was seen was another server."""
        self.failures = 0
        self._window.clear()
        if self.state != "closed":
            self._close()

    def refuse(self, prober: bool = False) -> SourceError | None:
        """Why no statement may be sent now; None where one may."""
        if self.state == "closed" or self._tryable(prober):
            return None
        self.refused += not prober
        return self.error()

    def admitted(self, prober: bool = False) -> int:
        """A ticket for the statement that is sent now; it is the trial where the pause is over.

        Only after `refuse` said None, without an await between.
        """
        if self.state != "closed" and self._tryable(prober):
            self._enter("half-open", max(self.timeout, self._pause) + LOST)
        return self._generation

    def done(self, error: BaseException | None, ticket: int) -> None:
        """The statement of that ticket has ended, with `error` if it failed."""
        if ticket != self._generation or not self.rules.enabled:
            return
        found = verdict(error, self.timeout)
        if self.state == "half-open":
            self._tried(found, error)
        elif self.state == "closed" and found != "unknown":
            self._count(found == "failed", error)

    @property
    def due(self) -> bool:
        """Whether the prober may try now."""
        return self.state != "closed" and self._tryable(True)

    @property
    def retry(self) -> float:
        """Seconds until the source is tried again; 0 where it need not wait."""
        return 0.0 if self.state == "closed" else max(self._until - self.clock(), 0.0)

    @property
    def down_since(self) -> float | None:
        """When it opened (seconds since the epoch); None while closed."""
        return None if self.state == "closed" else self.wall() - (self.clock() - self._began)

    def error(self) -> SourceError:
        """What a client is told while the source is left alone."""
        began = datetime.fromtimestamp(self.down_since or self.wall(), UTC)
        again = "it is being tried now" if self.state == "half-open" else f"it is tried again in {self.retry:.1f} s"
        return SourceError(
            f"source {self.source} is left alone since {began:%H:%M:%S} UTC: {self.why}; {again}",
            sqlstate="57P03",
            hint=f"Try again then; the rule is breaker in sources/{self.source}.yml, and its owner knows why it fails.",
        )

    def _tryable(self, prober: bool) -> bool:
        return self.clock() >= self._until + (YIELD if self.probed and not prober else 0.0)

    def _count(self, failed: bool, error: BaseException | None) -> None:
        now = self.clock()
        self._window.add(now, failed)
        if not failed:
            self.failures = 0
            return
        self.failures += 1
        if self.failures >= self.rules.failures:
            self._open(now, f"{self.failures} statements in a row failed", error)
            return
        ended, bad = self._window.counts(now)
        if ended >= 2 * self.rules.failures and bad >= self.rules.share * ended:
            self._open(now, f"{bad} of {ended} statements in {self.rules.window:g} s failed", error)

    def _open(self, now: float, what: str, error: BaseException | None) -> None:
        # Soon after it closed: a source that answers a trial, and then fails again, is not better than one that fails.
        relapsed = self._pause > 0 and now - self.since < 2 * self._pause
        pause = 2 * self._pause if relapsed else self.rules.pause
        self.why = f"{what}, the last with: {said(error) if error is not None else ''}"
        self._began = now
        self._rest(pause)

    def _tried(self, found: Verdict, error: BaseException | None) -> None:
        if found == "answered":
            self._close()
        elif found == "failed" and error is not None:
            self.why = f"{self.why.partition(', the last with: ')[0]}, the last with: {said(error)}"
            self._rest(2 * self._pause)
        else:  # nobody knows; the next may try at once
            self._enter("open", 0.0)

    def _rest(self, pause: float) -> None:
        self._pause = min(pause, self.rules.longest)
        self._enter("open", self._pause * (1 - JITTER * self.spread()))

    def _close(self) -> None:
        self.failures, self.why = 0, ""
        self._window.clear()
        self._enter("closed", 0.0)

    def _enter(self, state: State, seconds: float) -> None:
        now = self.clock()
        self.state, self.since, self._until = state, now, now + seconds
        self._generation += 1
        self.transitions[state] += 1
        if self.listen is not None:
            self.listen(state)
