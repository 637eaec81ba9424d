"""Health, readiness, metrics and logs: what orchestrators and operators look at."""

import json
import re
import threading
import time

import pytest
import structlog
from fastapi.testclient import TestClient

from client_kit.wire import Problem, Readiness
from consensus_server.backends.encoders import EncoderError
from consensus_server.http_api.polling import SharedPoll
from consensus_server.settings import load_settings
from consensus_server.wiring import EncoderSlot, build_api, build_server


@pytest.fixture
def loading(tmp_path):
    """An app whose encoder loads when the test lets it."""
    server = build_server(load_settings({}, data_dir=tmp_path, encoder="hashing"), "t" * 20)
    gate = threading.Event()
    load = server.encoder._load

    def wait_and_load():
        assert gate.wait(10)
        return load()

    server.encoder._load = wait_and_load
    with TestClient(build_api(server), headers={"authorization": "Bearer " + "t" * 20}) as client:
        server.encoder.start()
        yield server, client, gate
        gate.set()
        server.encoder.wait()
    server.close()


def test_the_server_answers_before_its_encoder_is_loaded(loading, problem, prompt_set):
    server, client, gate = loading
    assert client.get("/healthz").json()["status"] == "ok"
    waiting = client.get("/readyz")
    body = problem(waiting, 503, "not_ready")
    assert "loading" in body["detail"]
    assert int(waiting.headers["retry-after"]) >= 1
    assert Readiness.model_validate(body).ready is False
    Problem.model_validate(body)

    upload = prompt_set()
    assert client.post("/v1/prompt-sets", json=upload).status_code == 201
    create = {"federation": "early", "prompt_set": upload["manifest"]["digest"]}
    problem(client.post("/v1/federations", json=create), 503, "not_ready")

    gate.set()
    server.encoder.wait()
    ready = Readiness.model_validate(client.get("/readyz").json())
    assert (ready.ready, ready.stand_in, ready.encoder.name) == (True, True, "hashing-STAND-IN")
    assert client.post("/v1/federations", json=create).status_code == 201


def test_an_encoder_that_cannot_be_loaded_is_said(tmp_path, problem):
    server = build_server(load_settings({}, data_dir=tmp_path, encoder=str(tmp_path / "missing")), "t" * 20)
    with TestClient(build_api(server)) as client:
        server.encoder.start()
        assert server.encoder.wait() is None
        body = problem(client.get("/readyz"), 503, "not_ready")
        assert "cannot be loaded" in body["detail"]
        assert client.get("/healthz").status_code == 200
    server.close()


def test_an_unexpected_fault_of_the_encoder_is_named_by_its_kind_only():
    def fail():
        raise OSError("/srv/secret/model.safetensors is torn")

    slot = EncoderSlot(fail)
    slot.start()
    assert slot.wait() is None
    assert slot.state().failure == "OSError; see the log"


def test_a_database_that_is_gone_is_said_without_its_address(start_server, problem, monkeypatch):
    live = start_server("gone")
    gone = SharedPoll(lambda _: "the database does not answer (OperationalError)", 1.0)
    monkeypatch.setattr(live.context, "database", gone)
    body = problem(live.client(None).get("/readyz"), 503, "not_ready")
    assert "does not answer" in body["detail"]


def test_a_worker_that_an_error_ended_is_told(start_server, problem):
    live = start_server("troubled")
    live.context.threads = lambda: ["worker"]
    body = problem(live.client(None).get("/readyz"), 503, "not_ready")
    assert "The worker met an error and is started again" in body["detail"]
    assert body["troubled"] == ["worker"]
    live.context.threads = list
    assert live.client(None).get("/readyz").json()["troubled"] == []


def test_metrics_count_by_route_and_name_nobody(start_server, new_arena, answer_rows):
    live = start_server("measured")
    arena = new_arena(live)
    arena.publish({"anna": answer_rows(), "bert": answer_rows()})
    page = live.client(None).get("/metrics").text
    route = "/v1/federations/{federation}/rounds/{number}/submissions"
    assert f'consensus_http_requests_total{{method="PUT",route="{route}",status="200"}} 2.0' in page
    assert 'consensus_rounds{state="published"} 1.0' in page
    assert 'consensus_aggregation_seconds_count{outcome="published"} 1.0' in page
    assert "consensus_answers_total 10.0" in page
    assert 'consensus_labels_total{grade="corroborated"} 5.0' in page
    assert "consensus_hearsay_labels_total 0.0" in page
    assert "consensus_label_confidence_count 5.0" in page
    assert "consensus_label_evidence_count 5.0" in page
    assert "consensus_encoding_seconds_count 1.0" in page
    assert "consensus_deciding_seconds_count 1.0" in page
    assert 'consensus_abstentions_total{reason="tie"} 0.0' in page
    assert "consensus_encoder_ready 1.0" in page
    sent = re.search(r'consensus_traffic_bytes_total\{direction="received"\} ([0-9.e+]+)', page)
    assert float(sent.group(1)) > 1_000
    assert arena.name not in re.findall(r'"([^"]*)"', page)
    assert "anna" not in page


def test_the_log_has_one_line_per_request_with_its_caller_and_no_other_names(arena, answer_rows):
    with structlog.testing.capture_logs() as lines:
        response = arena.submit("anna", answer_rows())
        deadline = time.monotonic() + 10  # the line is written after the answer has gone out
        while not any(line["event"] == "request" for line in lines) and time.monotonic() < deadline:
            time.sleep(0.01)
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["route"] == "/v1/federations/{federation}/rounds/{number}/submissions"
    assert (line["method"], line["status"]) == ("PUT", 200)
    assert line.pop("caller") == f"{arena.name}/anna"
    written = json.dumps(lines, default=str)
    assert arena.tokens["anna"] not in written
    assert arena.name not in written
    assert response.headers["x-request-id"]


def test_a_failed_load_is_not_retried_behind_ones_back():
    calls = []

    def load():
        calls.append(1)
        raise EncoderError("no weights")

    slot = EncoderSlot(load)
    with structlog.testing.capture_logs() as lines:
        slot.start()
        assert slot.wait() is None
    assert (slot.state().failure, slot.identity(), len(calls)) == ("no weights", None, 1)
    assert lines[0]["log_level"] == "error"


def test_two_servers_in_one_process_do_not_share_counts(tmp_path):
    servers = [build_server(load_settings({}, data_dir=tmp_path / name, encoder="hashing"), "t" * 20) for name in "ab"]
    with TestClient(build_api(servers[0])) as first, TestClient(build_api(servers[1])) as second:
        first.get("/healthz")
        assert 'route="/healthz"' in first.get("/metrics").text
        assert 'route="/healthz"' not in second.get("/metrics").text
    for server in servers:
        server.close()
