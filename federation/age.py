"""Data's age by the source's own word: live, as old as its files, or as a query of its owner's says."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any

from connectors.base import Connector, SourceQuery
from connectors.errors import Error
from connectors.types import PgType
from planner.plan import Fragment, SourceText

KEPT = 1.0  # seconds that a source's word is taken for the next statements too
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
