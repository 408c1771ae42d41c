"""Errors as each protocol tells them: PostgreSQL's fields, an HTTP status, a GraphQL extension."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from connectors.errors import ConfigError, Error, LimitExceeded, QueryError, SourceError
from federation.freshness.freshness import TOO_OLD

LOG = logging.getLogger("vdw")
# The letters under which the PostgreSQL protocol sends each field.
_LETTERS = {"severity": "S", "sqlstate": "C", "message": "M", "detail": "D", "hint": "H", "position": "P"}


def fields(error: BaseException) -> dict[str, Any]:
    """What a client may be told: severity, sqlstate, message and, where there are any, detail, hint, position, place.

    What is not an `Error` is our own bug: the client gets a number, the log the number and everything else.
    """
    if not isinstance(error, Error):
        number = secrets.token_hex(4)
        LOG.error("internal error %s", number, exc_info=error)
        return {"severity": "ERROR", "sqlstate": "XX000", "message": f"internal error (log id {number})"}
    told = {
        "severity": "ERROR",
        "sqlstate": error.sqlstate,
        "message": str(error),
        "detail": error.detail,
        "hint": error.hint,
        "position": error.position,
        "place": error.place,
    }
    return {key: value for key, value in told.items() if value is not None}


def letters(error: BaseException, severity: str = "ERROR") -> dict[str, str]:
    """The fields of a PostgreSQL ErrorResponse, by their letters."""
    told = fields(error)
    answer = {letter: str(told[key]).replace("\0", "") for key, letter in _LETTERS.items() if key in told}
    return {"S": severity, "V": severity, **{key: value for key, value in answer.items() if key != "S"}}


def status(error: BaseException) -> int:
    """The HTTP status of an error."""
    if isinstance(error, LimitExceeded):
        if error.sqlstate == TOO_OLD:
            return 412  # Precondition Failed: the request said how old the answer may be
        return 504 if error.sqlstate == "57014" else 429 if error.sqlstate.startswith("53") else 413
    if isinstance(error, QueryError):
        return 403 if error.sqlstate == "42501" else 401 if error.sqlstate.startswith("28") else 400
    if isinstance(error, SourceError):
        return 502
    return 500 if isinstance(error, ConfigError) or not isinstance(error, Error) else 400


def extensions(error: BaseException) -> dict[str, Any]:
    """The `extensions` of a GraphQL error: its code and what else helps; the message stands beside them."""
    told = fields(error)
    return {"code": told["sqlstate"], **{key: told[key] for key in ("detail", "hint", "place") if key in told}}
