"""What one query's asker demands of its data's age, and how that is kept: before, in the cache, of what was read."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cache.results import Keep
from federation.freshness.age import Ages, Word, seconds
from federation.freshness.freshness import too_old
from federation.result import Part
from federation.steps import Rows, Step
from views.max_age import MaxAge

SLACK = 1.0  # seconds, at most a tenth of what is allowed, that a copy must have left when it is chosen


@dataclass(frozen=True, slots=True)
class Contract:
    """`allowed` is counted from `asked`, the time of day in seconds: what has to be waited for does not make an answer
    too old."""

    allowed: MaxAge
    asked: float

    def bound(self, step: Step) -> float:
        """Seconds that this step's data may be old; infinity where nothing is said of it."""
        return self.allowed.within(step.speaks_for)

    def least(self, steps: Sequence[Step]) -> float:
        """The least of these steps' bounds."""
        return min(map(self.bound, steps), default=math.inf)

    def met(self, moment: float, bound: float, slack: float = 0.0) -> bool:
        """Whether data as of that time of day is young enough."""
        return moment >= self.asked - bound + min(slack, bound / 10)

    def kept(self, bound: float) -> float:
        """Seconds for which an answer may have been kept by now."""
        return bound + max(0.0, time.time() - self.asked)

    def keep(self, step: Step) -> Keep:
        """The step's terms in the cache, within the contract."""
        return replace(step.keep, max_age=self.kept(self.bound(step)))

    def of_rows(self, step: Step, rows: Rows, ages: Ages) -> bool:
        """Whether rows that somebody read are young enough."""
        return self._young(step, rows.read_at, rows.as_of, ages, rows.served is not None)

    def holds(self, step: Step, part: Part, ages: Ages) -> bool:
        """Whether a part of an answer is young enough; what was not asked has no age."""
        if part.cache == "none":
            return True
        return self._young(step, part.read_at, part.as_of, ages, bool(part.servers))

    def all_hold(self, steps: Sequence[Step], parts: Sequence[Part], ages: Ages) -> bool:
        """The same of all parts."""
        known = {step.fragment.id: step for step in steps}
        return all(self.holds(known[part.fragment], part, ages) for part in parts if part.fragment in known)

    def verify(self, step: Step, part: Part, ages: Ages) -> None:
        """LimitExceeded 72000 where the part is too old."""
        if not self.holds(step, part, ages):
            moment = self._moment(step, part.read_at, part.as_of, ages, bool(part.servers))
            raise self.refusal(step, moment)

    async def before(self, step: Step, ages: Ages) -> Word | None:
        """What the source says of its data's age, where that counts; LimitExceeded 72000 where it is too old."""
        bound, source = self.bound(step), step.fragment.source
        if math.isinf(bound) or self.allowed.kept or not ages.tells(source):
            return None
        word = await self.word(source, step.version, bound, ages)
        if word.moment is None or not self.met(word.moment, bound):
            raise self.refusal(step, word.moment)
        return word

    async def word(self, source: str, version: str, bound: float, ages: Ages) -> Word:
        """The source's word; asked anew where only our keeping it makes the data too old."""
        word = await ages.word(source, version)
        for _ in range(2):  # the first may join others who asked before us
            if word.moment is None or self.met(word.moment, bound) or word.at >= self.asked:
                break
            if word.at - word.moment > bound:
                break
            word = await ages.word(source, version, anew=True)
        return word

    def refusal(self, step: Step, moment: float | None) -> Exception:
        """The error that this step's data, as of `moment`, is too old."""
        bound, source = self.bound(step), step.fragment.source
        what = f"source {source}"
        if step.originals:
            what = f"the copy of {', '.join(step.originals)} in {what}"
        return too_old(what, None if moment is None else self.asked - moment, bound, source)

    def _young(self, step: Step, read_at: float, as_of: str, ages: Ages, several: bool) -> bool:
        bound, moment = self.bound(step), self._moment(step, read_at, as_of, ages, several)
        return math.isinf(bound) or (moment is not None and self.met(moment, bound))

    def _moment(self, step: Step, read_at: float, as_of: str, ages: Ages, several: bool) -> float | None:
        """As of when data is that was read then; None where only its source, or the one of its servers that was asked,
        could tell, and did not."""
        if self.allowed.kept or not (several or ages.tells(step.fragment.source)):
            return read_at
        return seconds(as_of)
