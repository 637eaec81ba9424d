"""Spans say what belongs to which round, and never what somebody said."""

import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from client_kit import tracing
from client_kit.errors import ConfigurationError, MissingExtra

FOUNDED = datetime(2030, 1, 1, 12, 30, 15, 250_000, tzinfo=UTC)
ROUND = tracing.RoundTrace.of("clinics", FOUNDED, 3)


@pytest.fixture
def spans(monkeypatch):
    """Spans that have ended, in their order."""
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    exporter = InMemorySpanExporter()
    provider = tracing.send_to(exporter, "a-site")

    def ended():
        provider.force_flush()
        return exporter.get_finished_spans()

    yield ended
    tracing.stop()
    provider.shutdown()


def test_nothing_is_drawn_where_nobody_asks():
    with tracing.span("train", {"steps": 3}, under=ROUND) as drawn:
        drawn.name("other")
        drawn.tell({"steps": 4})
        drawn.fail("went wrong")
        assert tracing.outgoing() == {}
        assert tracing.trace_id() is None
    tracing.draw_round(ROUND, "round 3", FOUNDED, FOUNDED, {})


def test_whoever_knows_the_federation_knows_the_trace_of_its_round():
    assert tracing.RoundTrace.of("clinics", FOUNDED.replace(microsecond=0), 3) == ROUND
    others = {
        tracing.RoundTrace.of("clinics", FOUNDED, 4),
        tracing.RoundTrace.of("clinics", FOUNDED + timedelta(seconds=1), 3),
        tracing.RoundTrace.of("clinics2", FOUNDED, 3),
    }
    assert len(others | {ROUND}) == 4
    assert 0 < ROUND.trace_id < 2**128
    assert 0 < ROUND.span_id < 2**64


def test_what_happens_in_a_round_lies_under_its_one_span(spans):
    with tracing.span("train", under=ROUND), tracing.span("step"):
        pass
    tracing.draw_round(ROUND, "round 3", FOUNDED, FOUNDED + timedelta(seconds=9), {"failure": None, "labels": 4})
    step, train, whole = spans()
    assert {span.context.trace_id for span in (step, train, whole)} == {ROUND.trace_id}
    assert step.parent.span_id == train.context.span_id
    assert train.parent.span_id == whole.context.span_id == ROUND.span_id
    assert whole.parent is None
    assert (whole.end_time - whole.start_time) / 1e9 == pytest.approx(9)
    assert dict(whole.attributes) == {"labels": 4}
    assert whole.resource.attributes["service.name"] == "a-site"


def test_ids_are_drawn_anew_after_a_round_was(spans):
    tracing.draw_round(ROUND, "round 3", FOUNDED, FOUNDED, {})
    with tracing.span("other"):
        pass
    assert spans()[1].context.trace_id != ROUND.trace_id


def test_a_request_belongs_to_what_its_sender_was_drawing(spans):
    with tracing.span("ask", kind="client"):
        sent, asking = tracing.outgoing(), tracing.trace_id()
    assert list(sent) == ["traceparent"]
    assert tracing.outgoing() == {}
    with tracing.span("request", kind="server", headers=sent) as drawn:
        drawn.name("GET /rounds")
        drawn.tell({"status": 200, "caller": None})
    with tracing.span("request", kind="server", headers={"traceparent": "00-what-ever-01"}):
        stranger = tracing.trace_id()
    ask, request, other = spans()
    assert request.parent.span_id == ask.context.span_id
    assert (request.name, dict(request.attributes)) == ("GET /rounds", {"status": 200})
    assert asking == f"{request.context.trace_id:032x}" != stranger
    assert other.parent is None


def test_an_error_is_told_by_its_class_and_not_in_its_words(spans):
    with suppress(ValueError), tracing.span("clean"):
        raise ValueError("the patient said that")
    span = spans()[0]
    assert (span.status.is_ok, span.status.description) == (False, "ValueError")
    assert "patient" not in span.to_json()


def test_a_collector_that_takes_nothing_is_told_once_until_it_works_again(spans, caplog):
    from opentelemetry.sdk.trace.export import SpanExportResult

    from client_kit._spans import _TellingOnce

    results = iter([SpanExportResult.FAILURE] * 3 + [SpanExportResult.SUCCESS, SpanExportResult.FAILURE])

    class Away(InMemorySpanExporter):
        def export(self, spans):
            return next(results)

    telling = _TellingOnce(Away())
    for _ in range(5):
        telling.export([])
    assert [record.message[:13] for record in caplog.records] == ["The collector"] * 2


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_environment_asks_as_opentelemetry_has_it(variables, asked):
    assert tracing.wanted(variables) is asked


class TestConfigure:
    @pytest.fixture(autouse=True)
    def asked_for(self, monkeypatch):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")

    def test_a_protocol_that_is_not_spoken_is_told(self, monkeypatch):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        with pytest.raises(ConfigurationError, match=r"'grpc', and spans are sent as http/protobuf"):
            tracing.configure("a-site")

    def test_a_missing_library_is_told_with_its_extra(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
        with pytest.raises(MissingExtra, match=r"semantic-consensus\[traces\]"):
            tracing.configure("a-site")

    @pytest.mark.parametrize("program", ["consensus", "consensus-server"])
    def test_both_command_lines_tell_it(self, monkeypatch, program):
        from typer.testing import CliRunner

        from client_kit.cli import app as kit
        from consensus_server.cli import app as server

        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        app, command = (kit, "schema") if program == "consensus" else (server, "database")
        result = CliRunner().invoke(app, [command, "check"])
        assert (result.exit_code, "http/protobuf" in result.stderr) == (2, True), result.stderr
