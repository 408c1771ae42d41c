"""Which server answers: seen at each new connection, so that another one than told its facts is noticed."""

from __future__ import annotations

from typing import Any


class Identity:
    """`mark` is whatever a greeting tells: a version, whether it is a replica. Thread-safe."""

    def __init__(self) -> None:
        self._known: Any = None
        self.altered = False

    def knows(self, mark: Any) -> None:
        """The facts that are known now are those of this server."""
        self._known, self.altered = mark, False

    def sees(self, mark: Any) -> None:
        """A new connection greets so."""
        if self._known is not None and mark != self._known:
            self.altered = True
