"""What a connector asks of its server besides the statements that it is given: the owner's receipt has it too."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

SESSION = "session"  # what opens a session or bounds its next statement: SET ...


@dataclass(slots=True)
class Counted:
    """Statements of one purpose, the rows that came, and the ms that they took."""

    statements: int = 0
    rows: int = 0
    ms: float = 0.0


class Tally:
    """By purpose: catalog | statistics | explain | pressure | ping | session. Thread-safe."""

    def __init__(self) -> None:
        self._counted: dict[str, Counted] = {}
        self._lock = threading.Lock()

    def add(self, what: str, statements: int = 1, rows: int = 0, ms: float = 0.0) -> None:
        """Count some."""
        with self._lock:
            counted = self._counted.setdefault(what, Counted())
            counted.statements += statements
            counted.rows += rows
            counted.ms += ms

    @contextmanager
    def counted(self, what: str) -> Iterator[Counted]:
        """The body asks one statement, whose rows it enters."""
        began, one = time.perf_counter(), Counted(1)
        try:
            yield one
        finally:
            self.add(what, one.statements, one.rows, (time.perf_counter() - began) * 1000)

    def take(self) -> Mapping[str, Counted]:
        """What was counted since the last call."""
        with self._lock:
            taken, self._counted = self._counted, {}
        return taken
