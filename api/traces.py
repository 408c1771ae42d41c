"""OpenTelemetry: a span for each query and, below it, one for each statement at a source."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from connectors.errors import ConfigError
from federation.query import OK, Query
from federation.watch import Sent

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

KEPT = 10_000  # spans of queries that a late statement may still belong to
_NS = 1_000_000_000
log = logging.getLogger("vdw.traces")


class Traces:
    """Listens to the engine. Spans have their true times, though they are made when the work has ended."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._spans: OrderedDict[str, Span] = OrderedDict()

    def sent(self, sent: Sent) -> None:
        """A statement, below its query's span; a chore of ours has a trace of its own."""
        from opentelemetry.trace import SpanKind, set_span_in_context

        parent = None if sent.query is None else set_span_in_context(self._of(sent.query))
        span = self._tracer.start_span(
            f"{sent.source} {sent.kind}",
            parent,
            SpanKind.CLIENT,
            {
                "db.namespace": sent.source,
                "vdw.fingerprint": sent.fingerprint,
                "vdw.kind": sent.kind,
                "vdw.rows": sent.rows,
                "vdw.bytes": sent.bytes,
                "vdw.waited_ms": sent.waited,
                **({"vdw.refused": sent.refused} if sent.refused else {}),
            },
            start_time=int(sent.started * _NS),
        )
        _end(span, sent.outcome, sent.started + (sent.waited + sent.ms) / 1000)

    def ended(self, query: Query) -> None:
        """The query's own span."""
        span = self._of(query)
        span.set_attributes(
            {
                "vdw.rows": query.rows,
                "vdw.engine": query.engine,
                "vdw.sources": query.sources,
                "vdw.cache": tuple(f"{part.source}:{part.cache}" for part in query.parts),
                "vdw.origin": tuple(f"{part.source}:{part.origin}" for part in query.parts),
            }
        )
        _end(span, query.outcome, query.started + query.ms / 1000)

    def _of(self, query: Query) -> Span:
        """The query's span; made by the first of its statements, or by its end. It may outlast that for late ones."""
        from opentelemetry.trace import SpanKind

        span = self._spans.get(query.id)
        if span is None:
            attributes: dict[str, Any] = {
                "vdw.query": query.id,
                "vdw.user": query.session.user,
                "vdw.protocol": query.session.protocol,
                "vdw.fingerprint": query.fingerprint,
                "vdw.views": query.views,
            }
            parent = _context(query.session.trace)
            start = int(query.started * _NS)
            span = self._tracer.start_span("query", parent, SpanKind.SERVER, attributes, start_time=start)
            self._spans[query.id] = span
            while len(self._spans) > KEPT:
                self._spans.popitem(last=False)
        return span


def _context(trace: str) -> Any:
    """The caller's span, by its W3C `traceparent`."""
    if not trace:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": trace})


def _end(span: Span, outcome: str, at: float) -> None:
    from opentelemetry.trace import StatusCode

    span.set_attribute("vdw.outcome", outcome)
    if outcome != OK:
        span.set_status(StatusCode.ERROR, outcome)
    span.end(int(at * _NS))


@contextmanager
def exported(url: str, name: str) -> Iterator[Traces]:
    """While inside, spans go to that OTLP/HTTP receiver, in batches, by a thread of their own; what it does not take
    is dropped. ConfigError where the packages are not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ConfigError(
            "telemetry.traces is set, and OpenTelemetry is not installed",
            place="vdw.yml",
            hint="pip install 'vdw[telemetry]', or take telemetry.traces out.",
        ) from None
    resource = Resource.create({"service.name": f"vdw-{name}", "service.version": version("vdw")})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url, timeout=5)))
    try:
        yield Traces(provider.get_tracer("vdw"))
    finally:
        provider.shutdown()
