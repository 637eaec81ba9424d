"""A real server on loopback, in a thread of the test's own process, with the stand-in encoder."""

import gzip
import json
import socket
import ssl
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

import httpx
import pytest
import structlog
import zstandard

from client_kit.wire import Prompt, content_digest, prompt_set_digest, submission_digest
from consensus_server.cli.listening import ConsensusServer, config_for, listen, url_of
from consensus_server.cli.tls import ServerTls
from consensus_server.settings import load_settings
from consensus_server.wiring import build_api, build_server, build_worker

OPERATOR_TOKEN = "operator-of-the-tests-0123456789"
PROMPTS = [Prompt(prompt_id=f"p{n}", prompt=f"Question {n}?", topic="odd" if n % 2 else "even") for n in range(1, 6)]
_names = count(1)


@dataclass
class Live:
    """A server that listens, and what a test may do to it."""

    url: str
    server: object
    app: object
    api: ConsensusServer
    operator_token: str = OPERATOR_TOKEN
    verify: ssl.SSLContext | bool = True
    """For its own clients: whom they trust, and as whom they appear."""
    opened: list[httpx.Client] = field(default_factory=list)

    @property
    def context(self):
        return self.app.state.context

    def stop(self) -> None:
        """As SIGTERM would."""
        self.api.should_exit = True

    def client(self, token: str | None = OPERATOR_TOKEN, **headers: str) -> httpx.Client:
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        client = httpx.Client(base_url=self.url, headers=headers, timeout=20, verify=self.verify)
        self.opened.append(client)
        return client

    def aggregate(self) -> bool:
        """Aggregate what is closed; tests decide when. False when there was nothing."""
        worker = build_worker(self.server, self.server.encoder.wait())
        busy = 0
        while worker.run_once():
            busy += 1
        return busy > 0


def start(folder, **settings):
    """Start a server; returns it with the function that ends it."""
    options = {"encoder": "hashing", "poll_seconds": 0.05, "traffic_seconds": 60.0, **settings}
    server = build_server(load_settings({}, data_dir=folder, port=0, **options), OPERATOR_TOKEN)
    server.encoder.load_now()
    app = build_api(server)
    listener, tls = listen("127.0.0.1", 0), ServerTls.of(server.settings)
    listening = threading.Event()
    bounds = {"connections": server.settings.connections, "head_seconds": server.settings.head_seconds, "tls": tls}
    api = ConsensusServer(
        config_for(app, **bounds), on_listening=listening.set, on_stopping=app.state.context.stopping.set
    )
    thread = threading.Thread(target=api.run, kwargs={"sockets": [listener]})
    live = Live(url_of(listener, tls=tls is not None), server, app, api)
    thread.start()
    assert listening.wait(20)

    def end() -> None:
        for client in live.opened:
            client.close()
        live.stop()
        thread.join(20)
        assert not thread.is_alive()
        server.close()

    return live, end


@pytest.fixture(scope="module", autouse=True)
def quiet_log():
    """The server logs from threads of its own, past pytest's capture. For each file: others may have set the log back."""
    before = structlog.get_config()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False)
    yield
    structlog.configure(**before)


@pytest.fixture
def start_server(tmp_path):
    """Starts further servers, each with its own settings and database; ends them with the test."""
    ends = []

    def begin(name: str = "server", **settings) -> Live:
        live, end = start(tmp_path / name, **settings)
        ends.append(end)
        return live

    yield begin
    for end in ends:
        end()


@pytest.fixture(scope="session")
def running():
    """Starts a server with settings of its own that ends with a `with`."""

    @contextmanager
    def run(folder, **settings):
        live, end = start(folder, **settings)
        try:
            yield live
        finally:
            end()

    return run


@pytest.fixture(scope="session")
def live(tmp_path_factory):
    """One server for all tests that do not disturb one another."""
    running, end = start(tmp_path_factory.mktemp("server"))
    yield running
    end()


def upload(prompts=PROMPTS, **changes):
    topics = Counter(prompt.topic for prompt in prompts)
    manifest = {
        "name": "questions",
        "version": "1.0",
        "digest": prompt_set_digest(list(prompts)),
        "prompt_count": len(prompts),
        "description": "Questions of the tests.",
        "licence": "CC0-1.0",
        "language": "en",
        "topics": topics,
    }
    return {"manifest": {**manifest, **changes}, "prompts": [prompt.model_dump(mode="json") for prompt in prompts]}


@dataclass
class Arena:
    """A federation of its own with two participants and an open round."""

    live: Live
    name: str
    operator: httpx.Client
    tokens: dict[str, str]

    @property
    def prompt_set(self) -> str:
        return upload()["manifest"]["digest"]

    @property
    def path(self) -> str:
        return f"/v1/federations/{self.name}"

    @property
    def round(self) -> str:
        return f"{self.path}/rounds/1"

    def as_(self, participant: str, **headers: str) -> httpx.Client:
        return self.live.client(self.tokens[participant], **headers)

    def submit(self, participant: str, rows, **options) -> httpx.Response:
        content = rows if isinstance(rows, bytes) else ndjson(rows)
        return self.as_(participant).put(f"{self.round}/submissions", content=content, **options)

    def seal(self, participant: str, **stated) -> httpx.Response:
        client = self.as_(participant)
        held = client.get(f"{self.round}/submissions").json()
        body = {"count": len(held["answers"]), "digest": held["digest"], **stated}
        return client.post(f"{self.round}/submissions/seal", json=body)

    def publish(self, answers: dict[str, list[dict]]) -> None:
        for participant, rows in answers.items():
            assert self.submit(participant, rows).status_code == 200
            assert self.seal(participant).status_code == 200
        assert self.live.aggregate()

    def state(self) -> str:
        return self.operator.get(self.round).json()["state"]


def make_arena(live: Live, participants=("anna", "bert"), **terms) -> Arena:
    operator = live.client()
    name = f"f{next(_names)}"
    body = upload()
    assert operator.post("/v1/prompt-sets", json=body).status_code in {200, 201}
    create = {"federation": name, "prompt_set": body["manifest"]["digest"], **terms}
    response = operator.post("/v1/federations", json=create)
    assert response.status_code == 201, response.text
    added = {
        each: operator.post(f"/v1/federations/{name}/participants", json={"participant": each}) for each in participants
    }
    assert operator.post(f"/v1/federations/{name}/rounds", json={}).status_code == 201
    return Arena(live, name, operator, {each: response.json()["token"] for each, response in added.items()})


@pytest.fixture
def arena(live):
    return make_arena(live)


@pytest.fixture
def new_arena():
    return make_arena


@pytest.fixture(scope="session")
def make_published():
    """A federation whose first round is published."""

    def make(live: Live) -> Arena:
        arena = make_arena(live)
        arena.publish({"anna": answers(), "bert": answers("{} is forty-two.")})
        return arena

    return make


@pytest.fixture
def prompt_set():
    return upload


def ndjson(rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def answers(text: str = "The answer to {} is forty-two.") -> list[dict]:
    return [{"prompt_id": prompt.prompt_id, "text": text.format(prompt.prompt_id)} for prompt in PROMPTS]


@pytest.fixture
def answer_rows():
    return answers


@pytest.fixture
def compressed():
    """An NDJSON body of rows, compressed."""

    def compress(rows, encoding: str) -> bytes:
        body = ndjson(rows)
        return gzip.compress(body) if encoding == "gzip" else zstandard.ZstdCompressor().compress(body)

    return compress


@pytest.fixture
def digest_of():
    """`submission_digest` of rows."""
    return lambda rows: submission_digest(
        (row["prompt_id"], row.get("sample", 0), content_digest(row["text"])) for row in rows
    )


@pytest.fixture
def problem():
    """Checks that an answer is a whole problem document of this code, and returns it."""

    def check(response: httpx.Response, status: int, code: str) -> dict:
        assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
            response.text
        )
        body = response.json()
        assert (body["status"], body["code"]) == (status, code), body
        assert body["type"] == f"urn:semantic-consensus:problem:{code}"
        assert body["detail"]
        assert body["remedy"]
        assert body["request_id"] == response.headers["x-request-id"]
        return body

    return check


@dataclass
class Raw:
    """HTTP by hand, for what no client library would send."""

    live: Live

    def head(self, method: str, path: str, token: str, **headers: object) -> bytes:
        fields = {"host": "test", "connection": "close", "authorization": f"Bearer {token}", **headers}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def connect(self) -> socket.socket:
        parts = urlsplit(self.live.url)
        return socket.create_connection((parts.hostname, parts.port), timeout=20)

    def exchange(self, data: bytes) -> bytes:
        """Send bytes; every byte that comes back until the server closes."""
        with self.connect() as connection:
            connection.sendall(data)
            return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.fixture
def raw(live):
    return Raw(live)


@pytest.fixture
def raw_for():
    return Raw
