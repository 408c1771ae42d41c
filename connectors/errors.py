"""The three families of errors, each with the SQLSTATE that a PostgreSQL client is told."""

from __future__ import annotations


class Error(Exception):
    """Anything this product says no with; whatever else is raised is our own bug (XX000).

    `message` names the thing, `place` the file and line or the source, `hint` the remedy;
    `position` is the 1-based character offset in the user's SQL, as PostgreSQL counts it.
    """

    sqlstate = "XX000"
    source: str | None = None  # whose statement failed, where it was one of a source's

    def __init__(
        self,
        message: str,
        *,
        sqlstate: str | None = None,
        place: str | None = None,
        hint: str | None = None,
        detail: str | None = None,
        position: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.sqlstate = sqlstate or type(self).sqlstate
        self.place = place
        self.hint = hint
        self.detail = detail
        self.position = position

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class QueryError(Error):
    """The statement is at fault: 42xxx, 22xxx, 0A000."""

    sqlstate = "42000"


class SourceError(Error):
    """A source is at fault: down (08006), unusable data (HV004), its own error (HV000)."""

    sqlstate = "HV000"


class LimitExceeded(Error):
    """A limit was reached: 53400 (configured limit), 57014 (cancelled or timed out)."""

    sqlstate = "53400"


class TimedOut(LimitExceeded):
    """A statement had `seconds` and needed more; `hangs`: its server did not even end it when told to."""

    sqlstate = "57014"

    def __init__(self, message: str, seconds: float, *, hangs: bool = False, hint: str, detail: str | None = None):
        super().__init__(message, hint=hint, detail=detail)
        self.seconds = seconds
        self.hangs = hangs


class ConfigError(Error):
    """A file of the project folder is at fault: F0000, always with `place`."""

    sqlstate = "F0000"
