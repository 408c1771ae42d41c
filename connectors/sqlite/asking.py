"""How the readers of a SQLite file's catalog and statistics ask it, by whichever driver."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from typing import Any, Protocol

_TICK = 20_000  # SQLite's virtual machine steps between two looks at the clock


class Refused(Exception):
    """The file could not answer: a view over a table that is gone, a question that took too long."""


class Asking(Protocol):
    """A connection to the file."""

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """Rows of a question; numbers may come as their texts. Refused."""
        ...

    def value(self, text: str) -> Any:
        """The one value of a SELECT of one column called v: int, float, str, bytes or None, as stored. Refused."""
        ...

    def within(self, seconds: float) -> contextlib.AbstractContextManager[None]:
        """While inside, a question that takes longer is Refused."""
        ...


class Native:
    """By Python's own sqlite3."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """See Asking."""
        try:
            return self._connection.execute(text).fetchall()
        except sqlite3.OperationalError as error:
            raise Refused(str(error)) from error

    def value(self, text: str) -> Any:
        """See Asking."""
        return self.rows(text)[0][0]

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """See Asking."""
        end = time.monotonic() + seconds
        self._connection.set_progress_handler(lambda: time.monotonic() >= end, _TICK)
        try:
            yield
        finally:
            self._connection.set_progress_handler(None, 0)
