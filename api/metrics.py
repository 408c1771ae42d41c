"""Metrics for Prometheus: what preparing cost, what sources were asked, what the cache held."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from federation.engine import Engine

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREPARING = {
    "asked": "Statements that were prepared.",
    "texts": "Statements whose text was known.",
    "shapes": "Statements known but for their literals.",
    "analysed": "Texts that the canon analysed.",
    "planned": "Plans that were made.",
    "variants": "Plans made since known ones did not hold for the values.",
}


def exposition(engine: Engine) -> bytes:
    """All metrics of an engine, in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Engine(engine))
    return generate_latest(registry)


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
        for source, load in self._engine.loads.items():
            for name, counter in counters.items():
                counter.add_metric((source,), getattr(load, name))
            seconds.add_metric((source,), load.ms / 1000)
            busy.add_metric((source,), load.in_flight)
            waiting.add_metric((source,), load.waiting)
        yield from (*counters.values(), seconds, busy, waiting)
