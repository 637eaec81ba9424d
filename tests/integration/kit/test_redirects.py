"""Nobody is sent on: what is meant for one address reaches no other, and a body has an end."""

import asyncio
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from client_kit.client import ConsensusClient
from client_kit.errors import EndpointUnreachable, UnexpectedAnswer
from client_kit.generation.dialects import Situation
from client_kit.generation.openai_compatible import InferenceApi, OpenAICaller
from consensus_server.backends.encoders import EmbeddingsApi, EncoderError, load_encoder
from consensus_server.backends.store import open_store
from consensus_server.backends.upstreams import OpenAIUpstream
from consensus_server.core.inference import Failure, Message, Question, UpstreamFailed


@contextmanager
def serving(answer):
    """A server that gives every request to `answer(handler)`; yields its address and the paths that were asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.path)
            self.rfile.read(int(self.headers.get("content-length", 0)))
            answer(self)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


@pytest.fixture(params=[301, 302, 303, 307, 308])
def moved(request):
    """An address that sends everybody on to another one, and what the other was asked."""

    def leak(handler):
        handler.send_response(200)
        handler.end_headers()

    with serving(leak) as (inner, leaked):

        def send_on(handler):
            handler.send_response(request.param)
            handler.send_header("location", f"{inner}/inner?secret=1")
            handler.end_headers()
            handler.wfile.write(b'{"choices": [{"text": "x", "message": {"content": "x"}}], "data": []}')

        with serving(send_on) as (url, asked):
            yield url, asked, leaked


def test_no_caller_follows(moved, tmp_path):
    url, asked, leaked = moved
    endpoint = InferenceApi(base_url=f"{url}/v1", model="m", retries=2)

    async def everybody():
        for caller in (OpenAICaller(endpoint), OpenAIUpstream("u", endpoint)):
            with pytest.raises((EndpointUnreachable, UpstreamFailed)) as caught:
                await caller.ask("private" if isinstance(caller, OpenAICaller) else QUESTION)
            yield caught.value
            await caller.close()

    async def collected():
        return [each async for each in everybody()]

    by_caller, by_upstream = asyncio.run(collected())
    assert by_caller.situation == Situation.MOVED
    assert "secret" not in str(by_caller)
    assert by_upstream.failure is Failure.MOVED
    store = open_store(f"sqlite:///{tmp_path / 'vectors.sqlite'}")
    with pytest.raises(EncoderError, match="no redirect is followed"):
        load_encoder("openai:m", api=EmbeddingsApi(f"{url}/v1", 4), store=store.embeddings)
    store.close()
    with ConsensusClient(url, "token") as client, pytest.raises(UnexpectedAnswer, match="moved"):
        client.identity()
    assert leaked == []
    assert len(asked) == 4


QUESTION = Question(messages=(Message("user", "private"),))


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" " * 2**20)
    except OSError:
        pass


def dripping(handler):
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b" ")
            handler.server.timeout = None
            threading.Event().wait(0.05)
    except OSError:
        pass


@pytest.mark.parametrize(("answer", "says"), [(endless, "endless"), (dripping, "does not answer in time")])
def test_an_embeddings_endpoint_is_not_read_for_ever(answer, says, tmp_path, monkeypatch):
    monkeypatch.setattr("consensus_server.backends.encoders.embeddings_api.MOST_BYTES", 2**22)
    store = open_store(f"sqlite:///{tmp_path / 'vectors.sqlite'}")
    with serving(answer) as (url, _), pytest.raises(EncoderError, match=says):
        load_encoder("openai:m", api=EmbeddingsApi(url, 4, timeout_seconds=0.3, retries=0), store=store.embeddings)
    store.close()
