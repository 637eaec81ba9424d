"""`consensus doctor` names what stands on the way to a server."""

import json

import httpx
import pytest
from typer.testing import CliRunner

from client_kit.cli import doctor
from client_kit.cli.application import app
from client_kit.client import ConsensusClient

from .conftest import NO_PAUSE, FakeServer, problem

WAYS = {
    "free": (lambda: problem("unknown_round", 404), "ok", "arrive as they were sent"),
    "too large": (lambda: httpx.Response(413, html="<h1>413</h1>nginx"), "warning", "client_max_body_size"),
    "refused": (lambda: httpx.Response(415, html="<h1>415</h1>"), "warning", "no compressed body"),
    "unpacked": (lambda: problem("broken_encoding", 400), "warning", "unpacks compressed bodies"),
    "broken": (lambda: httpx.ReadError("Connection reset by peer"), "fault", "reset by peer"),
}


@pytest.mark.parametrize("way", WAYS)
def test_uploads_are_tried(monkeypatch, way):
    answer, verdict, told = WAYS[way]
    server = FakeServer()
    card = {
        "name": "e", "digest": "0" * 64, "weights": "w", "pooling": "p", "chunking": "c", "dtype": "d", "backend": "b",
        "dimension": 2,
    }  # fmt: skip
    server.answers |= {
        ("GET", "/healthz"): {"status": "ok", "version": "0.2.0"},
        ("GET", "/readyz"): {"ready": True, "database": "ok", "encoder": card, "version": "0.2.0"},
    }

    def on_the_way(request):
        if request.method != "PUT":
            return server(request)
        outcome = answer()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(
        doctor, "ConsensusClient",
        lambda url, token, **_: ConsensusClient(url, token, retry=NO_PAUSE, transport=httpx.MockTransport(on_the_way)),
    )  # fmt: skip
    shown = CliRunner().invoke(app, ["doctor", "--json", "--server", "http://server"], env={"CONSENSUS_TOKEN": "t"})
    (uploads,) = [check for check in json.loads(shown.stdout) if check["subject"] == "uploads"]
    assert uploads["verdict"] == verdict
    assert told in uploads["found"]
