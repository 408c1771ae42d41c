"""Statements a second, by the generic cell rate algorithm: one number is all there is to remember. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from views.catalog import Limits


@dataclass(frozen=True, slots=True)
class Pace:
    """`interval` seconds between statements in the long run; `tolerance` seconds that they may come early, at once."""

    interval: float
    tolerance: float

    @classmethod
    def of(cls, limits: Limits) -> Pace | None:
        """This machine's share of the owner's rate; None: any."""
        if limits.rate is None:
            return None
        rate = limits.rate * limits.share
        burst = rate if limits.burst is None else limits.burst * limits.share
        return cls(1 / rate, max(burst - 1, 0.0) / rate)

    def take(self, arrival: float, now: float) -> tuple[float, float]:
        """From the theoretical arrival of the next statement: the one after it, and 0.0; or the same, and the seconds
        until it may come."""
        arrival = min(arrival, now + self.tolerance + self.interval)  # it was made by a slower pace, or another clock
        early = arrival - self.tolerance - now
        return (arrival, early) if early > 1e-9 else (max(arrival, now) + self.interval, 0.0)
