"""Every request of the kit is a line before it leaves, whoever sends it; what cannot be recorded is not sent."""

import asyncio
from contextvars import copy_context
from hashlib import sha256
from importlib import import_module

import httpx
import pytest

from client_kit.client import AsyncConsensusClient, ConsensusClient, RetryPolicy
from client_kit.client.submitting import Batches
from client_kit.egress import Kind, begin, current, hooks, of_round, recording
from client_kit.egress.hooks import kind_of
from client_kit.egress.reading import read_record
from client_kit.errors import StorageError, Unreachable
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from client_kit.wire import Answer

ONCE = RetryPolicy(attempts=1)
TOKEN, TEXT = "secret-token", "Paris is the capital."
ANSWERS = [Answer(prompt_id="p1", text=TEXT), Answer(prompt_id="p2", text="Rome.")]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "egress.jsonl"


class Server:
    """Answers as a consensus server does, and keeps what arrived."""

    def __init__(self):
        self.got = []

    def __call__(self, request):
        self.got.append(request)
        if request.method == "GET":
            return httpx.Response(200, json={"count": 0, "digest": "0" * 64, "answers": [], "sealed": False})
        return httpx.Response(200, json={"stored": 2, "unchanged": 0, "replaced": 0, "held": 2})


def test_a_submission_is_recorded_with_its_size_and_digests_and_without_its_texts(path):
    server = Server()
    with (
        recording(path),
        ConsensusClient("http://host:81", TOKEN, federation="f", transport=httpx.MockTransport(server)) as client,
    ):
        client.submit(3, ANSWERS)
    read, sent = read_record(path).sent
    assert (read.kind, read.round, read.body, read.status) == ("read", 3, None, 200)
    body = server.got[1].content
    assert (sent.kind, sent.method, sent.to, sent.round) == ("answers", "PUT", "host:81", 3)
    assert sent.path == "/v1/federations/f/rounds/3/submissions"
    assert (sent.body, sent.body_bytes, sent.answers, sent.status) == (sha256(body).hexdigest(), len(body), 2, 200)
    assert sent.unpacked == sha256(b"".join(Batches(ANSWERS)._next())).hexdigest()
    said = path.read_text()
    assert TOKEN not in said
    assert "Paris" not in said


def test_the_bytes_are_those_on_the_wire(path):
    """As h11, which writes the requests, has them."""
    h11 = pytest.importorskip("h11")
    with (
        recording(path),
        httpx.Client(event_hooks=hooks(), transport=httpx.MockTransport(lambda _: httpx.Response(200))) as client,
    ):
        request = client.post("http://host/a?b=c", content=b"four").request
    wire = h11.Connection(h11.CLIENT)
    head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
    written = wire.send(head) + wire.send(h11.Data(data=b"four"))
    assert read_record(path).sent[0].bytes == len(written)


def test_the_asynchronous_client_records_alike(path):
    async def ask():
        async with AsyncConsensusClient(
            "http://host", TOKEN, federation="f", transport=httpx.MockTransport(Server())
        ) as client:
            await client.submit(3, ANSWERS)

    with recording(path):
        asyncio.run(ask())
    assert [each.kind for each in read_record(path).sent] == ["read", "answers"]


@pytest.fixture
def caller_to():
    """A caller whose endpoint is a function. `openai` may be built on httpx or on its successor."""
    base = pytest.importorskip("openai").DefaultAsyncHttpxClient.__mro__[1]
    library = import_module(base.__module__.partition(".")[0])

    def make(endpoint):
        caller = OpenAICaller(InferenceApi(base_url="http://provider.example/v1", model="m", api_key=TOKEN, retries=0))
        caller._client._client._transport = library.MockTransport(lambda _: endpoint(library))
        return caller

    return make


def test_prompts_to_an_inference_api_are_recorded_as_such(path, caller_to):
    said = {"choices": [{"message": {"content": "Paris."}, "finish_reason": "stop"}]}
    with recording(path), of_round(2):
        caller = caller_to(lambda library: library.Response(200, json=said))
        asyncio.run(caller.ask("What is the capital?"))
    (line,) = read_record(path).sent
    assert (line.kind, line.to, line.round, line.status) == ("prompts", "provider.example", 2, 200)
    assert TOKEN not in path.read_text()
    assert "capital" not in path.read_text()


def test_where_nothing_can_be_recorded_nothing_is_sent_by_any_client(path, caller_to):
    path.symlink_to("/dev/full")
    server = Server()
    with recording(path):
        client = ConsensusClient("http://host", TOKEN, federation="f", transport=httpx.MockTransport(server))
        caller = caller_to(server)
    with pytest.raises(StorageError, match="nothing is sent unrecorded"):
        client.submit(3, ANSWERS)
    with pytest.raises(StorageError, match="nothing is sent unrecorded"):
        asyncio.run(caller.ask("What is the capital?"))
    assert server.got == []


def test_a_request_without_an_answer_stays_one_that_may_have_arrived(path):
    def lost(request):
        raise httpx.ReadError("broken", request=request)

    with (
        recording(path),
        ConsensusClient("http://host", retry=ONCE, transport=httpx.MockTransport(lost)) as client,
        pytest.raises(Unreachable),
    ):
        client.health()
    assert [each.status for each in read_record(path).sent] == [None]


def test_where_the_answer_finds_no_room_it_is_not_thrown_away(path):
    """It may hold a token that is shown once."""

    def fill_the_disk(_):
        path.unlink()
        path.symlink_to("/dev/full")
        return httpx.Response(200, json={"status": "ok", "version": "1"})

    with recording(path), ConsensusClient("http://host", transport=httpx.MockTransport(fill_the_disk)) as client:
        assert client.health().version == "1"
        with pytest.raises(StorageError):
            client.health()


def test_nothing_is_recorded_unasked(path):
    assert hooks() == {}
    with recording(path) as record:
        assert current() is record
    assert current() is None
    assert not path.exists()


def test_a_process_can_begin_a_record_for_all_that_it_does(path):
    def begun():
        begin(path)
        return hooks()

    assert copy_context().run(begun)


@pytest.mark.parametrize(
    ("method", "path", "kind"),
    [
        ("PUT", "/v1/federations/f/rounds/1/submissions", Kind.ANSWERS),
        ("POST", "/v1/federations/f/rounds/1/submissions/seal", Kind.SEAL),
        ("DELETE", "/v1/federations/f/rounds/1/submissions", Kind.WITHDRAWAL),
        ("PUT", "/v1/federations/f/rounds/1/parameters", Kind.PARAMETERS),
        ("POST", "/v1/federations/f/rounds/1/appeals", Kind.APPEAL),
        ("POST", "/v1/invitations/redeem", Kind.JOIN),
        ("POST", "/v1/federations/f/participants/a/token", Kind.JOIN),
        ("GET", "/v1/federations/f/rounds/1/submissions", Kind.READ),
        ("POST", "/v1/federations", Kind.OTHER),
    ],
)
def test_a_request_is_known_by_its_route(method, path, kind):
    assert kind_of(method, path) is kind
