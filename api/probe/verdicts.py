"""What became of each claim: proven, refuted by an example, or untried for a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

_STOPPED = "there were no statements left to try it"
PROVEN, REFUTED, UNTRIED = "proven", "refuted", "untried"


@dataclass(slots=True)
class Verdicts:
    """By claim. A claim is proven by one trial at least, and refuted by the first that fails."""

    every: dict[str, None] = field(default_factory=dict)
    trials: dict[str, int] = field(default_factory=dict)
    due: Counter[str] = field(default_factory=Counter)  # what is still to be tried of each
    failed: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    stopped: bool = False  # before all was tried

    def expect(self, claims: Iterable[str]) -> None:
        """What there is to prove."""
        self.every.update(dict.fromkeys(claims))

    def tried(self, claim: str, example: str = "") -> None:
        """A trial of a claim; with an `example`, one that it failed."""
        self.trials[claim] = self.trials.get(claim, 0) + 1
        if example:
            self.failed.setdefault(claim, example)

    def untried(self, claim: str, why: str) -> None:
        """There was no trial, at least not here."""
        self.reasons.setdefault(claim, why)

    def open(self, claim: str) -> bool:
        """Whether it may still be proven."""
        return claim in self.every and claim not in self.failed

    def of(self, claim: str) -> tuple[str, str]:
        """The verdict, and the example or reason."""
        if claim in self.failed:
            return REFUTED, self.failed[claim]
        if self.due[claim]:
            return UNTRIED, _STOPPED
        if self.trials.get(claim):
            return PROVEN, ""
        return UNTRIED, self.reasons.get(claim, _STOPPED if self.stopped else "no case of its types")

    def all(self, verdict: str) -> dict[str, str]:
        """The claims of that verdict in their order, with example or reason."""
        told = ((claim, self.of(claim)) for claim in sorted(self.every))
        return {claim: detail for claim, (found, detail) in told if found == verdict}
