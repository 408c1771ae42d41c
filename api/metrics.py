"""Metrics for Prometheus: what queries took, what sources were asked and refused, what the cache held."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from federation.gate.breaker import State
from federation.gate.gate import Gate
from federation.query import Query
from federation.watch import Sent

if TYPE_CHECKING:
    from federation.engine import Engine

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # buckets
_PREPARING = {
    "asked": "Statements that were prepared.",
    "texts": "Statements whose text was known.",
    "shapes": "Statements known but for their literals.",
    "analysed": "Texts that the canon analysed.",
    "planned": "Plans that were made.",
    "variants": "Plans made since known ones did not hold for the values.",
}

Figure = Callable[[Gate], float]
STATES: tuple[State, ...] = ("closed", "open", "half-open")
_COUNTED: tuple[tuple[str, str, Figure], ...] = (
    ("vdw_source_statements", "Statements that a source was asked.", lambda gate: gate.load.statements),
    ("vdw_source_rows", "Rows that a source gave.", lambda gate: gate.load.rows),
    ("vdw_source_errors", "Statements that failed at a source.", lambda gate: gate.load.errors),
    ("vdw_source_seconds", "Time of all statements at a source.", lambda gate: gate.load.ms / 1000),
)
_NOW: tuple[tuple[str, str, Figure], ...] = (
    ("vdw_source_in_flight", "Statements now at a source.", lambda gate: gate.load.in_flight),
    ("vdw_source_waiting", "Statements that wait for a source.", lambda gate: gate.load.waiting),
    ("vdw_source_limit", "Statements that may run there at once now.", lambda gate: gate.most),
    ("vdw_source_cap", "Statements that its owner lets run at once here.", lambda gate: gate.cap),
    ("vdw_source_disabled", "1 where it is switched off.", lambda gate: gate.closed is not None),
)


class Meters:
    """Listens to an engine, and reads its state, and that of `others`, when it is asked."""

    def __init__(self, engine: Engine, *others: Collector) -> None:
        self._registry = CollectorRegistry()
        for collector in (_Engine(engine), *others):
            self._registry.register(collector)
        ProcessCollector(registry=self._registry)
        self._queries = self._histogram("vdw_query_seconds", "Time of queries.", "protocol")
        self._outcomes = self._counter("vdw_queries", "Queries by their outcome.", "protocol", "outcome")
        self._origins = self._counter("vdw_answered", "Parts of answers by where they came from.", "source", "origin")
        self._asked = self._histogram(
            "vdw_source_statement_seconds", "Time of statements at a source.", "source", "kind"
        )
        self._waited = self._histogram("vdw_source_wait_seconds", "Time at a source's gate.", "source", "kind")
        self._refused = self._counter("vdw_source_refused", "Statements never sent, by why.", "source", "why")
        self._bytes = self._counter("vdw_source_bytes", "Bytes that a source gave, in Arrow.", "source")

    def exposition(self) -> bytes:
        """All metrics, in Prometheus' text format."""
        return generate_latest(self._registry)

    def sent(self, sent: Sent) -> None:
        """A statement at a source, or one that was refused."""
        self._waited.labels(sent.source, sent.kind).observe(sent.waited / 1000)
        if sent.refused:
            self._refused.labels(sent.source, sent.refused).inc()
            return
        self._asked.labels(sent.source, sent.kind).observe(sent.ms / 1000)
        self._bytes.labels(sent.source).inc(sent.bytes)

    def ended(self, query: Query) -> None:
        """A query."""
        protocol = query.session.protocol
        self._queries.labels(protocol).observe(query.ms / 1000)
        self._outcomes.labels(protocol, query.outcome).inc()
        for part in query.parts:
            self._origins.labels(part.source, part.origin).inc()

    def _histogram(self, name: str, told: str, *labels: str) -> Histogram:
        return Histogram(name, told, labels, buckets=SECONDS, registry=self._registry)

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        return Counter(name, told, labels, registry=self._registry)


class _Engine(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        counts = self._engine.preparing
        for name, told in _PREPARING.items():
            yield CounterMetricFamily(f"vdw_prepared_{name}", told, value=getattr(counts, name))
        yield from self._sources()
        cache = self._engine.cache
        for field in fields(cache.counters):
            told = f"Answers of the cache: {field.name}."
            yield CounterMetricFamily(f"vdw_cache_{field.name}", told, value=getattr(cache.counters, field.name))
        yield GaugeMetricFamily("vdw_cache_bytes", "Bytes that the cache holds.", value=cache.bytes)
        yield GaugeMetricFamily("vdw_cache_entries", "Answers that the cache holds.", value=cache.entries)
        yield GaugeMetricFamily("vdw_threads", "Threads of the process.", value=threading.active_count())
        yield GaugeMetricFamily("vdw_tasks", "Tasks of the event loop.", value=len(asyncio.all_tasks()))
        yield GaugeMetricFamily("vdw_queries_running", "Queries that run now.", value=len(self._engine.running.queries))

    def _sources(self) -> Iterator[Metric]:
        gates = self._engine.gates.items()
        for name, told, figure in _COUNTED:
            counter = CounterMetricFamily(name, told, labels=("source",))
            for source, gate in gates:
                counter.add_metric((source,), figure(gate))
            yield counter
        for name, told, figure in _NOW:
            gauge = GaugeMetricFamily(name, told, labels=("source",))
            for source, gate in gates:
                gauge.add_metric((source,), figure(gate))
            yield gauge
        yield from self._breakers()
        up = GaugeMetricFamily("vdw_source_up", "Whether it could be read when last looked at.", labels=("source",))
        for source, facts in self._engine.catalog.sources.items():
            up.add_metric((source,), not facts.fault)
        yield up

    def _breakers(self) -> Iterator[Metric]:
        state = GaugeMetricFamily("vdw_breaker", "1 for the state of a source's breaker.", labels=("source", "state"))
        changes = CounterMetricFamily("vdw_breaker_changes", "Times it came to a state.", labels=("source", "state"))
        for source, gate in self._engine.gates.items():
            if gate.breaker is not None:
                for one in STATES:
                    state.add_metric((source, one), gate.breaker.state == one)
                    changes.add_metric((source, one), gate.breaker.transitions[one])
        yield from (state, changes)
