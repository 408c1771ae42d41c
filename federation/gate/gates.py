"""The gates of all sources: one for each name, for the process, whatever is reloaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from connectors.base import Connector
from federation.gate import places, shadow
from federation.gate.breaker import Breaker
from federation.gate.gate import Gate
from federation.gate.gauge import Gauge
from federation.gate.lag import Lag
from federation.gate.permit import Load
from views.catalog import SYSTEM, Catalog, Source


@dataclass(slots=True)
class Gates:
    """To be used from one event loop. `folder`: where servers that share limits meet; None: this user's."""

    folder: Path | None = None
    lag: Lag = field(default_factory=Lag)
    _gates: dict[str, Gate] = field(default_factory=dict)
    _identities: dict[str, str] = field(default_factory=dict)

    def of(self, source: str) -> Gate:
        """The source's gate; one with the default limits where nothing is known of it."""
        if source not in self._gates:
            self._gates[source] = Gate(source, breaker=Breaker(source, probed=True), lag=self.lag)
        return self._gates[source]

    def claim(self, source: Source) -> Gate:
        """The gate of a source that is about to be introspected. Where it has none yet, the limits count from now on;
        else those do under which it is served, until `swap`."""
        if source.name not in self._gates:
            self._take(source)
        gate = self._gates[source.name]
        if self._moved(source) and gate.breaker is not None:
            gate.breaker.forget()  # what it knows is of another server
        return gate

    def _moved(self, source: Source) -> bool:
        return source.identity != self._identities.get(source.name, "")

    def swap(self, catalog: Catalog, connectors: Mapping[str, Connector]) -> None:
        """Take over what the owners say now."""
        for name, source in catalog.sources.items():
            if source.system:
                continue
            self._take(source)
            gate, ask = self._gates[name], getattr(connectors.get(name), "pressure", None)
            rules = source.adaptive
            told = rules.enabled and (rules.lag is not None or rules.running is not None)
            if gate.gauge is not None:
                gate.gauge.close()
            gate.gauge = Gauge(gate, ask) if told and ask is not None else None

    def _take(self, source: Source) -> None:
        gate = self.of(source.name)
        if self._moved(source):
            self._identities[source.name] = source.identity
            gate.move(places.opened(f"{source.name}\0{source.identity}", self.folder) if source.identity else None)
        gate.resize(source.limits, source.adaptive)
        if gate.breaker is not None:
            gate.breaker.resize(source.breaker, source.limits.timeout)
        gate.shadow = shadow.after(gate.shadow, source)

    def items(self) -> tuple[tuple[str, Gate], ...]:
        """All, by source."""
        return tuple((name, gate) for name, gate in self._gates.items() if name != SYSTEM)

    @property
    def loads(self) -> Mapping[str, Load]:
        """What each source has been asked."""
        return {name: gate.load for name, gate in self.items()}

    def states(self, sources: Iterable[str]) -> Iterator[str]:
        """How full these are, for messages."""
        return (f"source {source}: {self.of(source).state}" for source in dict.fromkeys(sources))

    def close(self) -> None:
        """Let go of what is shared with other servers. A statement that still runs then keeps its place for as long as
        the source may take for it."""
        self.lag.close()
        for gate in self._gates.values():
            if gate.gauge is not None:
                gate.gauge.close()
            if gate.places is not None:
                gate.places.close()
                gate.places = None
