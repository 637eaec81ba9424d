"""One trace from a site's model to the label: kit, API, worker and upstreams, over real processes and a real collector."""

import json

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

from client_kit import tracing
from client_kit.client import ConsensusClient
from client_kit.federation.journal import Journal
from client_kit.federation.participant import Participant
from client_kit.federation.server_process import ServerProcess
from client_kit.federation.site import Site
from client_kit.generation.scripted import ScriptedGenerator
from client_kit.wire import FederationCreate, Manifest, Prompt, PromptSetUpload, prompt_set_digest
from tests.support.collector import collector
from tests.support.panels import CALLER_TOKEN, panels_file
from tests.support.upstreams import upstream_server

PROMPTS = [Prompt(prompt_id=f"p{number}", prompt=f"What is the number {number}?") for number in range(3)]
MANIFEST = Manifest(
    name="numbers", version="1", digest=prompt_set_digest(PROMPTS), prompt_count=len(PROMPTS), description="Questions.",
    licence="CC0-1.0", language="en", topics={},
)  # fmt: skip
SECRET = "It is the answer that nobody else may read."
SAID = {prompt.prompt_id: SECRET for prompt in PROMPTS}


def take_part(client, work, name):
    site = Site(open_generator=lambda _: ScriptedGenerator(SAID), base=work)
    with Journal(work / name / "journal.jsonl", {}) as journal:
        participant = Participant(client, site, journal, work=work / name, rounds=1, patience_seconds=60)
        participant.contribute(1)
    return participant


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """What a collector has once a round was published and a panel was asked, and the server's log."""
    folder = tmp_path_factory.mktemp("traces")
    with collector() as kept, upstream_server("Paris.") as upstream:
        panels = panels_file(folder, [upstream.url], quorum=1)
        environment = {
            "CONSENSUS_ENCODER": "hashing",
            "CONSENSUS_PANELS_FILE": str(panels),
            "OTEL_EXPORTER_OTLP_ENDPOINT": kept.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        provider = tracing.send_to(OTLPSpanExporter(f"{kept.url}/v1/traces"), "consensus")
        try:
            with ServerProcess(folder / "server", environment=environment) as server:
                _run_a_round(server, folder)
                _ask_the_panel(server, upstream)
                kept.tokens = [server.operator_token, CALLER_TOKEN]
            provider.force_flush()
            kept.wait_for("round 1")
        finally:
            tracing.stop()
            provider.shutdown()
        kept.log = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
        kept.upstream = upstream
        yield kept


def _run_a_round(server, folder):
    with ConsensusClient(server.url, server.operator_token, federation="f") as operator:
        operator.upload_prompt_set(PromptSetUpload(manifest=MANIFEST, prompts=PROMPTS))
        operator.create_federation(FederationCreate(federation="f", prompt_set=MANIFEST.digest))
        operator.create_round()
        for name in ("anna", "bert"):
            with ConsensusClient(server.url, operator.add_participant(name).token) as client:
                take_part(client, folder, name)
        operator.wait_for_labels(1, 60)


def _ask_the_panel(server, upstream):
    import openai

    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=CALLER_TOKEN, max_retries=0) as client:
        client.chat.completions.create(model="capitals", messages=[{"role": "user", "content": SECRET}])


def test_all_that_is_done_in_a_round_is_one_trace(drawn):
    whole = drawn.wait_for("round 1")
    found = {(span.service, span.name) for span in drawn.of(whole.trace)}
    assert found >= {
        ("consensus", "answer"),
        ("consensus", "submit"),
        ("consensus", "PUT"),
        ("consensus-server", "PUT /v1/federations/{federation}/rounds/{number}/submissions"),
        ("consensus-server", "aggregate"),
        ("consensus-server", "encode"),
        ("consensus-server", "decide"),
        ("consensus-server", "publish"),
        ("consensus-server", "round 1"),
    }


def test_every_span_lies_under_another_one_up_to_the_round(drawn):
    whole = drawn.wait_for("round 1")
    spans = drawn.of(whole.trace)
    ids = {span.id for span in spans}
    assert whole.parent == ""
    assert [span.name for span in spans if span.parent not in ids] == ["round 1"]
    assert all(span.began < span.ended for span in spans)


def test_a_question_to_a_panel_is_one_trace_with_its_upstreams(drawn):
    asked = drawn.wait_for("chat told")
    request = next(span for span in drawn.of(asked.trace) if span.id == asked.parent)
    assert (request.name, request.facts["enduser.id"]) == ("POST /v1/chat/completions", "panels/shop")
    assert asked.facts["gen_ai.usage.output_tokens"] == 3


def test_upstreams_learn_nothing_of_what_belongs_together(drawn):
    assert drawn.upstream.headers
    assert not any("traceparent" in headers for headers in drawn.upstream.headers)


def test_no_span_has_a_text_or_a_token(drawn):
    sent = b"".join(drawn.bodies)
    for secret in (SECRET, PROMPTS[0].prompt, "Paris", *drawn.tokens):
        assert secret.encode() not in sent


def test_the_log_names_the_trace(drawn):
    whole = drawn.wait_for("round 1")
    ended = next(line for line in drawn.log if line["event"] == "aggregation ended")
    assert (ended["trace_id"], ended["federation"], ended["round"]) == (whole.trace, "f", 1)
    requests = [line for line in drawn.log if line["event"] == "request"]
    assert requests
    assert all(len(line["trace_id"]) == 32 for line in requests)
