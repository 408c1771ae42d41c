"""Metrics for Prometheus: what queries took, what sources were asked and refused, what the cache held."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

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


class Meters:
    """Listens to an engine, and reads its state when it is asked."""

    def __init__(self, engine: Engine) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Engine(engine))
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
        yield GaugeMetricFamily("vdw_threads", "Threads of the process.", value=threading.active_count())
        yield GaugeMetricFamily("vdw_tasks", "Tasks of the event loop.", value=len(asyncio.all_tasks()))
        yield GaugeMetricFamily("vdw_queries_running", "Queries that run now.", value=len(self._engine.running.queries))

    def _sources(self) -> Iterator[Metric]:
        told = {
            "statements": "Statements that a source was asked.",
            "rows": "Rows that a source gave.",
            "errors": "Statements that failed at a source.",
        }
        counters = {
            name: CounterMetricFamily(f"vdw_source_{name}", text, labels=("source",)) for name, text in told.items()
        }
        seconds = CounterMetricFamily("vdw_source_seconds", "Time of all statements at a source.", labels=("source",))
        busy = GaugeMetricFamily("vdw_source_in_flight", "Statements now at a source.", labels=("source",))
        waiting = GaugeMetricFamily("vdw_source_waiting", "Statements that wait for a source.", labels=("source",))
        up = GaugeMetricFamily("vdw_source_up", "Whether it could be read when last looked at.", labels=("source",))
        for source, load in self._engine.loads.items():
            for name, counter in counters.items():
                counter.add_metric((source,), getattr(load, name))
            seconds.add_metric((source,), load.ms / 1000)
            busy.add_metric((source,), load.in_flight)
            waiting.add_metric((source,), load.waiting)
        for name, facts in self._engine.catalog.sources.items():
            up.add_metric((name,), not facts.fault)
        yield from (*counters.values(), seconds, busy, waiting, up)
