"""What `client_kit.tracing` takes from OpenTelemetry's SDK; loaded where traces are wanted."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

Ids: TypeAlias = tuple[int, int]
"""(trace of 128 bits, span of 64)"""

_given: ContextVar[Ids | None] = ContextVar("ids of the span that begins next", default=None)
_log = logging.getLogger("client_kit.tracing")


class _Ids(RandomIdGenerator):
    """Random, but for the one span of a round whose ids everybody derives."""

    def generate_trace_id(self) -> int:
        given = _given.get()
        return super().generate_trace_id() if given is None else given[0]

    def generate_span_id(self) -> int:
        given = _given.get()
        return super().generate_span_id() if given is None else given[1]


class _TellingOnce(SpanExporter):
    """Says the first time, and not again until it works, that spans are lost."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._told = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        lost = result is not SpanExportResult.SUCCESS
        if lost and not self._told:
            _log.warning(
                "The collector that OTEL_EXPORTER_OTLP_ENDPOINT names takes no spans: they are lost, and nothing else is."
            )
        self._told = lost
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def provider_for(exporter: SpanExporter, service: str) -> TracerProvider:
    """Spans of one process, sent in batches by a thread of their own."""
    resource = Resource.create({SERVICE_NAME: service})
    provider = TracerProvider(resource=resource, id_generator=_Ids(), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(_TellingOnce(exporter)))
    return provider


def context_under(ids: Ids) -> Context:
    """In which a span lies under this one, whoever draws it."""
    flags = TraceFlags(TraceFlags.SAMPLED)
    return set_span_in_context(NonRecordingSpan(SpanContext(*ids, is_remote=True, trace_flags=flags)), Context())


@contextmanager
def beginning_with(ids: Ids) -> Iterator[None]:
    """The span that begins inside has these ids."""
    before = _given.set(ids)
    try:
        yield
    finally:
        _given.reset(before)
