"""Which errors an old answer may stand in for: those that say that the source cannot answer now."""

from __future__ import annotations

from connectors.errors import Error, LimitExceeded, QueryError, TimedOut
from federation.gate.refusals import Refused, TooMuch

# Connection, resources, operator intervention (a shutdown, a closed gate, an open breaker, a cancel there), its system.
_DOWN = ("08", "53", "57", "58")


def forgives(error: BaseException) -> bool:
    """Whether the source is down or slow, or its gate lets nobody in; never the statement's own fault or size."""
    if isinstance(error, Refused):
        return not isinstance(error, TooMuch)
    if isinstance(error, TimedOut):
        return True
    if not isinstance(error, Error) or isinstance(error, QueryError):
        return False
    limit = isinstance(error, LimitExceeded) and error.sqlstate != "57014"
    return error.sqlstate.startswith(_DOWN) and not limit
