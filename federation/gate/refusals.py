"""What a gate says no with: which limit, its value, how full it is, and what to do."""

from __future__ import annotations

from typing import Protocol

from connectors.errors import Error, LimitExceeded, SourceError
from views.catalog import Limits


class Full(Protocol):
    """The gate."""

    source: str
    limits: Limits

    @property
    def state(self) -> str: ...


class Refused(LimitExceeded):
    """A limit of the gate's; `reason` is one word for metrics and receipts."""

    reason = "limit"


class QueueFull(Refused):
    """More wait than the owner lets wait."""

    reason = "queue"


class TooLate(Refused):
    """The deadline comes before its turn."""

    sqlstate = "57014"
    reason = "deadline"


class TooMuch(Refused):
    """One statement's rows or bytes."""

    reason = "budget"


class Closed(SourceError):
    """Somebody has switched the source off."""

    sqlstate = "57P03"
    reason = "closed"


def reason(error: BaseException) -> str:
    """One word for why a statement did not get to its source: queue, deadline, closed, breaker; or left, where whoever
    asked waited no longer."""
    return str(getattr(error, "reason", "breaker" if isinstance(error, Error) else "left"))


def full(gate: Full) -> QueueFull:
    """The error for one too many."""
    return QueueFull(
        f"source {gate.source} has {gate.limits.queue:,} statements waiting, as many as its owner lets wait "
        f"({gate.state})",
        hint=f"Try again later, or ask for less at once; the limit is limits.queue in sources/{gate.source}.yml.",
    )


def hopeless(gate: Full, before: int, seconds: float) -> TooLate:
    """The error for a statement whose deadline cannot be met, as the statements before it take their time."""
    return TooLate(
        f"canceling statement due to statement timeout: source {gate.source} would not get to it in time: {before:,} "
        f"statements go first, which takes about {seconds:.1f} s ({gate.state})",
        hint=f"Try again later, or allow more time; {_limits(gate)}",
    )


def late(gate: Full) -> TooLate:
    """The error for a statement whose deadline came before its turn."""
    rate = f" and {gate.limits.rate:g} a second" if gate.limits.rate is not None else ""
    return TooLate(
        f"canceling statement due to statement timeout: source {gate.source} runs at most "
        f"{gate.limits.concurrency} statements at once{rate}, and its turn did not come in time ({gate.state})",
        hint=f"Try again, or allow more time; {_limits(gate)}",
    )


def closed(source: str, why: str) -> Closed:
    """The error for a source that was switched off."""
    return Closed(
        f"source {source} is switched off: {why}",
        hint=f"Its administrator switches it on again with: vdw enable source {source}",
    )


def too_many_rows(source: str, most: int, query: bool = False) -> TooMuch:
    """The error for a statement that returned more than the owner's rows for it, or for a whole `query`."""
    return TooMuch(
        f"source {source} has more than {most:,} rows for one {_of(query)}, its owner's limit",
        hint="Filter on an indexed column, aggregate or add LIMIT so that fewer rows are needed; EXPLAIN shows "
        f"what stays out of the source and why. The limit is limits.{'query.' * query}rows in sources/{source}.yml.",
    )


def too_many_bytes(source: str, most: int, query: bool = False) -> TooMuch:
    """The error for a statement that returned more than the owner's bytes for it, or for a whole `query`."""
    return TooMuch(
        f"source {source} has more than {most:,} bytes for one {_of(query)}, its owner's limit",
        hint="Ask for fewer columns or rows, aggregate or add LIMIT; EXPLAIN shows what stays out of the source and "
        f"why. The limit is limits.{'query.' * query}bytes in sources/{source}.yml.",
    )


def _of(query: bool) -> str:
    return "query" if query else "statement"


def _limits(gate: Full) -> str:
    paced = " and limits.rate" if gate.limits.rate is not None else ""
    return f"the limit is limits.concurrency{paced} in sources/{gate.source}.yml."
