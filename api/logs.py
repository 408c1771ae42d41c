"""One line of JSON in the log for each query: who, what shape, which sources, how long, how fresh; never a value."""

from __future__ import annotations

import logging
import logging.handlers
import queue
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson

from federation.query import Query
from federation.result import Part
from federation.watch import Sent

LOG = logging.getLogger("vdw.query")
MOST = 10_000  # lines that may wait to be written
_FRESHEST_LAST = ("missing", "stale", "copy", "cache", "live")


class QueryLog:
    """Listens to the engine. No SQL text: a literal that stayed in it would be a value; the fingerprint finds it in
    receipts and EXPLAIN."""

    def sent(self, sent: Sent) -> None:
        """Statements are told with their query."""

    def ended(self, query: Query) -> None:
        """Write the query's line."""
        if LOG.isEnabledFor(logging.INFO):
            LOG.info("%s", orjson.dumps(line(query)).decode())


def line(query: Query) -> dict[str, Any]:
    """A query as the log tells it; times in milliseconds, ages in seconds."""
    now = time.time()
    sources = [_source(part, now) for part in query.parts]
    ages = [one["age_s"] for one in sources if one["age_s"] is not None]
    return {
        "time": datetime.fromtimestamp(query.started, UTC).isoformat(timespec="milliseconds"),
        "event": "query",
        "id": query.id,
        "user": query.session.user,
        "protocol": query.session.protocol,
        "fingerprint": query.fingerprint,
        "views": query.views,
        "outcome": query.outcome,
        "rows": query.rows,
        "ms": round(query.ms, 3),
        "engine": query.engine,
        "freshness": freshness(query.parts),
        "age_s": max(ages, default=None),
        "sources": sources,
    }


def freshness(parts: Sequence[Part]) -> str:
    """The worst origin among an answer's parts; '' where it needed no source."""
    origins = {part.origin for part in parts}
    return next((origin for origin in _FRESHEST_LAST if origin in origins), "")


def _source(part: Part, now: float) -> dict[str, Any]:
    told = {
        "source": part.source,
        "origin": part.origin,
        "cache": part.cache,
        "statements": part.statements,
        "rows": part.rows,
        "bytes": part.bytes,
        "ms": round(part.ms, 3),
        "waited_ms": round(part.waited, 3),
        "age_s": round(max(now - part.read_at, 0.0), 3) if part.read_at else None,
        "as_of": part.as_of or None,
    }
    return {**told, "why": part.why} if part.why else told


class Feeding(logging.handlers.QueueHandler):
    """Drops lines while nobody reads them, and then says how many."""

    def __init__(self, lines: queue.Queue[Any]) -> None:
        super().__init__(lines)
        self._dropped = 0

    def enqueue(self, record: logging.LogRecord) -> None:
        """Never waits."""
        try:
            if self._dropped:
                told = orjson.dumps({"event": "dropped", "lines": self._dropped}).decode()
                self.queue.put_nowait(logging.makeLogRecord({"msg": told, "levelno": logging.WARNING}))
                self._dropped = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1


@contextmanager
def written() -> Iterator[None]:
    """While inside, the lines go to standard error as they are, by a thread of their own: a slow terminal or a full
    pipe must not hold answers up, nor fill the memory."""
    lines: queue.Queue[Any] = queue.Queue(MOST)
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(logging.Formatter("%(message)s"))
    feeding = Feeding(lines)
    listener = logging.handlers.QueueListener(lines, out)
    propagated, level = LOG.propagate, LOG.level
    LOG.addHandler(feeding)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False
    listener.start()
    try:
        yield
    finally:
        LOG.removeHandler(feeding)
        LOG.propagate = propagated
        LOG.setLevel(level)
        listener.stop()
