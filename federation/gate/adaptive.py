"""How many statements at once a source bears: fewer when its answers take longer than they used to. Pure: times are
handed in.

Each statement is measured against the best of its own shape, so that a mix of fast and slow ones says nothing. The
limit falls by the ratio (a gradient), or by half where statements fail, and rises by one while all of it is used.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from statistics import median

from connectors.base import Pressure
from views.catalog import Adaptive as Rules

SHAPES = 1_024  # whose best time is remembered
LEARN = 600.0  # seconds of use in which a shape that has really become slower is believed
STEP = 10.0  # seconds of use at most that one statement stands for
NOISE = 0.003  # seconds that threads and the event loop may take of it
MANY, FEW, WINDOW = 16, 4, 1.0  # a verdict takes so many statements, or so few where so many seconds are over
STALE = 10.0  # seconds after which a verdict does not wait for more


@dataclass(slots=True)
class _Best:
    seconds: float
    at: float


@dataclass(slots=True)
class Adaptive:
    """`limit` statements at once, from `rules.least` to the owner's `cap`; `why` it is less than that, or ""."""

    rules: Rules
    cap: int
    limit: float = field(init=False)
    why: str = ""
    cuts: int = 0
    pressure: Pressure = field(default_factory=Pressure)
    _best: OrderedDict[str, _Best] = field(default_factory=OrderedDict, repr=False)  # the shape used last at its end
    _ratios: list[float] = field(default_factory=list, repr=False)
    _began: float = 0.0  # of the verdict
    _last: float = 0.0  # statement
    _cut: float = -math.inf  # when the limit fell: statements of before say nothing of it
    _used: bool = False
    _pressed: bool = False

    def __post_init__(self) -> None:
        self.limit = float(self.cap)

    @property
    def most(self) -> int:
        """Statements at once, now."""
        return self.cap if not self.rules.enabled else max(1, min(self.cap, int(self.limit)))

    def resize(self, rules: Rules, cap: int) -> None:
        """Take over the owner's new values; a limit that was held back stays so, unless that is switched off."""
        free = not self.why or not rules.enabled
        self.rules, self.cap = rules, cap
        if free:
            self.limit, self.why = float(cap), ""
        self.limit = min(max(self.limit, self._least), float(cap))

    def measured(self, shape: str, started: float, seconds: float, used: bool, lag: float = 0.0) -> None:
        """A statement's first rows came `seconds` after it `started`, of which our own loop took about `lag`; `used`:
        the whole limit was taken then."""
        now = started + seconds
        best = self._best.get(shape)
        if best is None:
            self._best[shape] = _Best(seconds, now)
            if len(self._best) > SHAPES:
                self._best.popitem(last=False)
            return
        self._best.move_to_end(shape)
        own, noise = max(seconds - lag, 0.0), NOISE + lag
        ratio = (own + noise) / (best.seconds + noise)
        if own > best.seconds:
            own = best.seconds + (own - best.seconds) * min(max(now - best.at, 0.0), STEP) / LEARN
        best.seconds = min(seconds, own)
        best.at = now
        if started < self._cut:
            return
        if now - self._last > STALE or not self._ratios:
            self._restart(now)
        self._last = now
        self._used |= used
        self._ratios.append(ratio)
        if len(self._ratios) >= MANY or (len(self._ratios) >= FEW and now - self._began >= WINDOW):
            self._judge(now)

    def fastest(self, shape: str) -> float:
        """Seconds in which such a statement has had its first rows, at best; 0.0 where that is not known."""
        best = self._best.get(shape)
        return 0.0 if best is None else best.seconds

    def failed(self, started: float, now: float) -> None:
        """A statement failed in a way that says that the source has too much to do, or is down."""
        if started >= self._cut:
            self._fall(0.5, "statements fail", now)

    def read(self, pressure: Pressure, now: float, used: bool) -> None:
        """What the source says of itself."""
        self.pressure, rules = pressure, self.rules
        over = ""
        if rules.lag is not None and pressure.lag is not None and pressure.lag > rules.lag:
            over = f"its replication lags by {pressure.lag:.1f} s"
        elif rules.running is not None and pressure.running is not None and pressure.running > rules.running:
            over = f"{pressure.running} statements of others run there"
        was, self._pressed = self._pressed, bool(over)
        if over:
            self._fall(0.0, over, now)
        elif was or (used and self.limit < self.cap):
            self._rise()

    @property
    def _least(self) -> float:
        return float(max(1, min(self.rules.least, self.cap)))

    def _judge(self, now: float) -> None:
        ratio, used = median(self._ratios), self._used
        self._restart(now)
        if ratio > self.rules.slower:
            self._fall(max(self.rules.slower / ratio, 0.5), f"statements take {ratio:.1f} times as long as usual", now)
        elif used and ratio <= (1 + self.rules.slower) / 2 and not self._pressed:
            self._rise()

    def _restart(self, now: float) -> None:
        self._ratios.clear()
        self._began, self._used = now, False

    def _fall(self, share: float, why: str, now: float) -> None:
        if not self.rules.enabled:
            return
        self._restart(now)
        self._cut = now
        self.limit = max(self._least, self.limit * share)
        if self.limit < self.cap:
            self.cuts += 1
            self.why = why

    def _rise(self) -> None:
        self.limit = min(float(self.cap), self.limit + 1)
        if self.limit >= self.cap:
            self.why = ""
