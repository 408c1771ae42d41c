"""Which connectors a query works with: those of its catalog from first to last, whatever is reloaded meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from connectors.base import Connector


@dataclass(slots=True, eq=False)
class Generation:
    """The connectors of one catalog, and how many work with them. To be used from one event loop."""

    connectors: Mapping[str, Connector] = field(default_factory=dict)
    users: int = 0

    def enter(self) -> None:
        """One more."""
        self.users += 1

    def leave(self) -> None:
        """One less."""
        self.users -= 1

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """The body works with them."""
        self.enter()
        try:
            yield
        finally:
            self.leave()


@dataclass(slots=True, eq=False)
class Generations:
    """The present one, and those before that somebody still works with."""

    present: Generation = field(default_factory=Generation)
    _before: list[Generation] = field(default_factory=list)

    def swap(self, connectors: Mapping[str, Connector]) -> list[Connector]:
        """Begin another; returns the connectors that it does not take over."""
        retired = [old for old in self.present.connectors.values() if old not in connectors.values()]
        self._before = [*(one for one in self._before if one.users), self.present]
        self.present = Generation(dict(connectors))
        return retired

    def used(self, connector: Connector) -> bool:
        """Whether somebody of a former generation works with a connector."""
        return any(one.users and connector in one.connectors.values() for one in self._before)
