"""Data's age by the source's own word: live, as old as its files, or as a query of its owner's says."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cache.results import Keep, ResultCache
from connectors.base import Connector, SourceQuery
from connectors.errors import Error
from connectors.types import PgType
from planner.plan import Fragment, SourceText

KEPT = 1.0  # seconds that a source's word is taken for the next statements too
AT_ONCE = Keep(0.0)  # for those who ask at the same time
MOMENT = PgType("timestamptz")

log = logging.getLogger(__name__)


def live(read_at: float) -> str:
    """For data that is as of the moment it was read."""
    return datetime.fromtimestamp(read_at, UTC).isoformat()


async def of_files(connector: Connector | None) -> str:
    """When the source's files last changed; '' where it has none, or they are out of reach."""
    modified = getattr(connector, "modified", None)
    if connector is None or modified is None:
        return ""
    try:
        changed: datetime = await asyncio.to_thread(modified)
        return changed.astimezone(UTC).isoformat()
    except (Error, OSError) as error:
        log.warning("source %s does not tell the age of its files: %s", connector.name, error)
        return ""


def question(source: str, sql: str) -> Fragment:
    """The owner's query as a fragment of one timestamp."""
    return Fragment(0, source, SourceText((sql,), ()), (("as_of", MOMENT),), small=True)


def asked(fragment: Fragment) -> SourceQuery:
    """That fragment's statement."""
    return SourceQuery(fragment.text.parts, (), (MOMENT,), small=True)


def told(values: list[Any]) -> str:
    """What the owner's query answered, as ISO text; '' for nothing or NULL."""
    return values[0].isoformat() if values and isinstance(values[0], datetime) else ""


def seconds(as_of: str) -> float | None:
    """The time of day in seconds of an ISO text, one without a zone in UTC; None of ''."""
    if not as_of:
        return None
    found = datetime.fromisoformat(as_of)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


@dataclass(frozen=True, slots=True)
class Word:
    """What a source said of its data's age (ISO text, or ''), when it was asked `at` that time of day (seconds)."""

    as_of: str
    at: float

    @property
    def moment(self) -> float | None:
        """As of which time of day (seconds) the data is; None where the source does not tell."""
        return seconds(self.as_of)


@dataclass(slots=True)
class Ages:
    """Every source's word for its data's age, taken for a second. `ask` asks a source of that catalog's version; `told`
    is how each can be asked."""

    cache: ResultCache
    ask: Callable[[str, str, Mapping[str, Any]], Awaitable[str]]
    told: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    _words: dict[tuple[str, str], Word] = field(default_factory=dict)

    def swap(self, told: Mapping[str, Mapping[str, Any]]) -> None:
        """Ask as another catalog says."""
        self.told = told
        self._words.clear()

    def kind(self, source: str) -> str:
        """live | query | file, or '' of a source that is not there."""
        return str(self.told.get(source, {}).get("kind", ""))

    def tells(self, source: str) -> bool:
        """Whether the source's data is as old as it says itself, not as of when it is read."""
        return self.kind(source) in ("file", "query")

    async def word(self, source: str, version: str, anew: bool = False) -> Word:
        """The source's word, asked at most once a second, but `anew` where an older one will not do."""
        known = self._words.get((source, version))
        if known is not None and not anew and time.time() - known.at < KEPT:
            return known

        async def asking() -> Word:
            at = time.time()
            word = Word(await self.ask(source, version, self.told[source]), at)
            self._words[source, version] = word
            return word

        return (await self.cache.get_or_run(("as of", source, version), AT_ONCE, asking, _size)).value


def _size(_word: Word) -> int:
    return 256
