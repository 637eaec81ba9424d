"""A server's answers by hand, so that the client is tested without a socket. The real server is in tests/integration."""

import gzip
import json
from datetime import UTC, datetime

import httpx
import pytest

from client_kit.client import ConsensusClient, RetryPolicy
from client_kit.wire import Answer, Problem, PseudoLabel, content_digest, pseudo_labels_digest, submission_digest

NOW = datetime(2026, 1, 2, tzinfo=UTC).isoformat()
NO_PAUSE = RetryPolicy(attempts=3, first_pause_seconds=0.0, longest_pause_seconds=0.0)


def problem(code, status, detail="It happened."):
    body = Problem(type="t", title="T", status=status, code=code, detail=detail, remedy="Do this.")
    return httpx.Response(status, content=body.model_dump_json())


def ndjson(rows):
    content = "".join(json.dumps(row) + "\n" for row in rows)
    return httpx.Response(200, content=content, headers={"Content-Type": "application/x-ndjson"})


def round_row(number=1, state="open", **changes):
    return {"federation": "f", "number": number, "state": state, "quorum": 2, "active": 3, "sealed": 1, **changes}


def label(prompt_id, text, confidence=0.75):
    return PseudoLabel(
        prompt_id=prompt_id,
        text=text,
        digest=None if text is None else content_digest(text),
        abstention="tie" if text is None else None,
        confidence=confidence if text else 0.0,
        confidence_method="dominant_share",
        support=2.0,
        share=confidence,
        clusters=[],
    )


class FakeServer:
    """Answers by (method, path); keeps what was asked. An answer may be a list: one for each request."""

    def __init__(self):
        self.requests = []
        self.answers = {("GET", "/v1/identity"): {"federation": "f", "participant": "a", "role": "participant"}}
        self.held = {}
        self.sealed = None

    def __call__(self, request):
        request.read()
        self.requests.append(request)
        path = request.url.raw_path.decode().partition("?")[0]
        if path.endswith("/submissions"):
            return self.submissions(request)
        answer = self.answers.get((request.method, path))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, dict):
            return httpx.Response(200, json=answer)
        return answer or problem("unknown_route", 404, f"{request.method} {path}")

    def submissions(self, request):
        if request.method == "PUT":
            packed = "Content-Encoding" in request.headers
            lines = (gzip.decompress(request.content) if packed else request.content).splitlines()
            answers = [Answer.model_validate_json(line) for line in lines]
            self.held |= {(answer.prompt_id, answer.sample): content_digest(answer.text) for answer in answers}
            receipt = {"stored": len(answers), "unchanged": 0, "replaced": 0, "held": len(self.held)}
            return httpx.Response(200, json=receipt)
        rows = [{"prompt_id": key[0], "sample": key[1], "digest": digest} for key, digest in self.held.items()]
        digest = submission_digest((*key, value) for key, value in self.held.items())
        return httpx.Response(200, json={"answers": rows, "sealed": False, "digest": digest})

    def publish(self, labels, number=1):
        rows = [item.model_dump(mode="json", exclude_none=True) for item in labels]
        path = f"/v1/federations/f/rounds/{number}"
        self.answers["GET", f"{path}/pseudo-labels"] = ndjson(rows)
        self.answers["GET", path] = round_row(number, "published", labels=pseudo_labels_digest(labels))

    def sent(self, method):
        return [request for request in self.requests if request.method == method]


@pytest.fixture
def server():
    return FakeServer()


@pytest.fixture
def client(server):
    with ConsensusClient("http://server", "token", retry=NO_PAUSE, transport=httpx.MockTransport(server)) as client:
        yield client
