"""Traces of OpenTelemetry, for kit and server. Where the environment asks for none, nothing is loaded and nothing is done.

A round is one trace, whoever works on it: sites, server, workers and pull mode derive its id from what all of them know
of the round, so no id has to be handed over or stored. The worker that publishes the round draws the span that all others
lie under, from its opening to its publication. A question to a panel is the trace of its request.

Spans have names, counts and seconds; never a text, never a token. The specification of OpenTelemetry says what the
variables mean (`OTEL_EXPORTER_OTLP_ENDPOINT` and its like); the settings of this project add none.
"""

import atexit
import hashlib
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from client_kit.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer

ASKING = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""One of these variables is set where traces are wanted."""
OFF = "OTEL_SDK_DISABLED"

_LAST_SPANS_SECONDS = 5.0
"""At the end of a process, for a collector that takes its time."""

Value: TypeAlias = str | int | float | bool
Facts: TypeAlias = Mapping[str, Value | None]
"""By name, as OpenTelemetry's conventions have it where they have one; None: not known, and left out."""
Kind: TypeAlias = Literal["internal", "server", "client"]

_tracer: "Tracer | None" = None


class RoundTrace(NamedTuple):
    """The trace of one round."""

    trace_id: int
    """128 bits."""
    span_id: int
    """64 bits: the span that everything else of the round lies under."""

    @classmethod
    def of(cls, federation: str, created_at: datetime, number: int) -> "RoundTrace":
        """The same for all who know the federation: its name, when it was created (whole seconds), the round's number."""
        named = f"semantic-consensus/round/{federation}/{int(created_at.timestamp())}/{number}"
        digest = hashlib.sha256(named.encode()).digest()
        return cls(int.from_bytes(digest[:16]), int.from_bytes(digest[16:24]))


class Drawn:
    """A span that is being drawn; without traces, nothing."""

    def __init__(self, span: "Span | None" = None) -> None:
        self._span = span

    def name(self, name: str) -> None:
        """Name it anew, once it is known what it is."""
        if self._span is not None:
            self._span.update_name(name)

    def tell(self, facts: Facts) -> None:
        """Facts of it, those that are known."""
        if self._span is not None:
            self._span.set_attributes(_attributes(facts))

    def fail(self, reason: str) -> None:
        """What it stands for went wrong. reason: a word of ours, never what somebody else wrote."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415 - loaded where traces are wanted

            self._span.set_status(Status(StatusCode.ERROR, reason))


_NOTHING = Drawn()


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment asks for traces."""
    return environment.get(OFF, "").lower() != "true" and any(environment.get(name) for name in ASKING)


def configure(service: str) -> None:
    """Where the environment asks for it, draw spans and send them to its collector, in the background.

    Nothing waits for the collector; what it misses is lost, and that is told once. service: the name of this process, unless
    OTEL_SERVICE_NAME says another. Raises MissingExtra, and ConfigurationError for a protocol that is not spoken.
    """
    if not wanted() or _tracer is not None:
        return
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if protocol not in {None, "", "http/protobuf"}:
        raise ConfigurationError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}, and spans are sent as http/protobuf (port 4318 of most "
            "collectors); leave the variable out, and name that port"
        )
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("sending traces, for which OTEL_EXPORTER_OTLP_ENDPOINT asks,", "traces") from error
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a line for each batch that a collector misses
    send_to(OTLPSpanExporter(), service)


def send_to(exporter: "SpanExporter", service: str) -> "TracerProvider":
    """Draw spans from now on, for this exporter. `configure` chooses one; tests bring their own."""
    global _tracer  # noqa: PLW0603 - a process has one
    from client_kit._spans import provider_for  # noqa: PLC0415 - loaded where traces are wanted

    provider = provider_for(exporter, os.environ.get("OTEL_SERVICE_NAME") or service)
    _tracer = provider.get_tracer("semantic-consensus")
    atexit.register(_end, provider)
    return provider


def stop() -> None:
    """Draw no more spans."""
    global _tracer  # noqa: PLW0603 - as above
    _tracer = None


@contextmanager
def span(
    name: str,
    facts: Facts = MappingProxyType({}),
    *,
    kind: Kind = "internal",
    under: RoundTrace | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Drawn]:
    """Draw what happens inside, as a part of what is being drawn already.

    under: the round that it belongs to, whatever is being drawn. headers: of a request; its `traceparent` says what it belongs to.
    What is raised inside marks the span by the name of its class: its words may be somebody's answer.
    """
    if _tracer is None:
        yield _NOTHING
        return
    from opentelemetry.trace import SpanKind  # noqa: PLC0415 - as above

    with _tracer.start_as_current_span(
        name,
        context=_parent(under, headers),
        kind=SpanKind[kind.upper()],
        attributes=_attributes(facts),
        record_exception=False,
        set_status_on_exception=False,
    ) as drawing:
        drawn = Drawn(drawing)
        try:
            yield drawn
        except BaseException as error:
            drawn.fail(type(error).__name__)
            raise


def draw_round(trace: RoundTrace, name: str, began: datetime, ended: datetime, facts: Facts) -> None:
    """Draw the span that everything of a round lies under, once it is known how long it took."""
    if _tracer is None:
        return
    from client_kit._spans import beginning_with  # noqa: PLC0415 - as above

    with beginning_with(trace):
        root = _tracer.start_span(
            name, context=_nowhere(), start_time=_nanoseconds(began), attributes=_attributes(facts)
        )
    root.end(_nanoseconds(ended))


def about_round(federation: str, number: int, participant: str | None = None) -> Facts:
    """What every span of a round says of it."""
    return {
        "semantic_consensus.federation": federation,
        "semantic_consensus.round": number,
        "semantic_consensus.participant": participant,
    }


def outgoing() -> dict[str, str]:
    """Headers by which whoever is asked knows what the request belongs to; none without traces."""
    carrier: dict[str, str] = {}
    if _tracer is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        TraceContextTextMapPropagator().inject(carrier)
    return carrier


def trace_id() -> str | None:
    """Of what is being drawn, as collectors show it: 32 hexadecimal digits."""
    if _tracer is None:
        return None
    from opentelemetry.trace import format_trace_id, get_current_span  # noqa: PLC0415 - as above

    found = get_current_span().get_span_context()
    return format_trace_id(found.trace_id) if found.is_valid else None


def _parent(under: RoundTrace | None, headers: Mapping[str, str] | None) -> "Context | None":
    """None: whatever is being drawn now."""
    if under is not None:
        from client_kit._spans import context_under  # noqa: PLC0415 - as above

        return context_under(under)
    if headers is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        return TraceContextTextMapPropagator().extract(headers, context=_nowhere())
    return None


def _nowhere() -> "Context":
    from opentelemetry.context import Context  # noqa: PLC0415 - as above

    return Context()


def _attributes(facts: Facts) -> dict[str, Value]:
    return {name: value for name, value in facts.items() if value is not None}


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)


def _end(provider: "TracerProvider") -> None:
    """Send what is left; a collector that is away holds up no process for longer than a few seconds."""
    ending = threading.Thread(target=provider.shutdown, daemon=True)
    ending.start()
    ending.join(_LAST_SPANS_SECONDS)
