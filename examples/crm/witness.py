"""Stands before the engine and notes what each answer asked of the sources; changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from connectors.base import Bound, Cancel
from federation.engine import Compute, Engine
from federation.explain import Explanation
from federation.prepare import Prepared
from federation.result import Part, Result
from federation.session import Session
from federation.steps import Fetched


@dataclass(frozen=True, slots=True)
class Seen:
    """One run of a statement; `parts` is whole once its rows have been read."""

    prepared: Prepared
    params: tuple[Bound, ...]
    parts: list[Part]

    def plan(self) -> str:
        """What EXPLAIN says of it."""
        return Explanation(self.prepared, self.params).text()


class Witness:
    """To be put in the engine's place of a `Runtime`: everything is the engine's own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.seen: list[Seen] = []
        self._watches: list[list[Part]] = []  # what watches asked of late, which is no part of the tour
        self._aside: Counter[str] = Counter()  # statements of what they asked before

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def run(self, prepared: Prepared, params: Sequence[Bound], session: Session, cancel: Cancel) -> Result:
        """`Engine.run`, noted."""
        result = await self._engine.run(prepared, params, session, cancel)
        if session.protocol == "watch":
            self._watches.append(result.parts)
            if len(self._watches) > 20:  # by then its rows have been read
                self._aside += _statements(self._watches.pop(0))
        else:
            self.seen.append(Seen(prepared, tuple(params), result.parts))
        return result

    async def gather(
        self,
        prepared: Prepared,
        params: Sequence[Bound],
        session: Session,
        cancel: Cancel,
        compute: Compute | None = None,
    ) -> tuple[Prepared, Fetched]:
        """`Engine.gather`, noted."""
        prepared, fetched = await self._engine.gather(prepared, params, session, cancel, compute)
        self.seen.append(Seen(prepared, tuple(params), fetched.parts))
        return prepared, fetched

    def statements(self) -> dict[str, int]:
        """How many each source has been sent since the start, by its own gate's count; the watches' left out."""
        aside = self._aside + sum(map(_statements, self._watches), Counter())
        return {source: load.statements - aside[source] for source, load in self._engine.loads.items()}


def _statements(parts: Sequence[Part]) -> Counter[str]:
    found: Counter[str] = Counter()
    for part in parts:
        found[part.source] += part.statements
    return found
