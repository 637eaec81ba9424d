"""A little embeddings API in OpenAI's shape, on loopback, that can be told to misbehave."""

import json
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

from consensus_server.backends.encoders.hashing import HashingEncoder

MODEL = "letters"
DIMENSION = 1024


@dataclass
class EmbeddingServer:
    """How the next requests are answered, and what was asked."""

    url: str = ""
    failures: list[int] = field(default_factory=list)
    """Statuses of the next requests, first to last; then all is well."""
    key: str | None = None
    """The only key accepted; None accepts any."""
    exchanged: bool = False
    """Another model stands behind the name."""
    noise: float = 0.0
    """Spread of what is added to each number: two calls never give the same bytes."""
    cut: int = DIMENSION
    """Numbers of a vector."""
    numbers: dict[str, float] = field(default_factory=dict)
    """Texts all of whose numbers are this."""
    most_texts: int | None = None
    """Texts of one request beyond which it answers 413."""
    replies: dict[str, tuple[int, object]] = field(default_factory=dict)
    """(status, body) of requests with this text."""
    shape: str = "openai"
    """`other`: valid JSON that holds no embeddings; `short`: one embedding too few; `reversed`: in another order."""
    bodies: list[dict] = field(default_factory=list)
    asked: Counter = field(default_factory=Counter)
    """Requests by text, failed ones included."""
    authorizations: set[str] = field(default_factory=set)

    def answer(self, body, authorization):
        """Status and JSON."""
        self.bodies.append(body)
        self.asked.update(body["input"])
        self.authorizations.add(authorization)
        if self.key is not None and authorization != f"Bearer {self.key}":
            return 401, {"error": {"message": "Incorrect API key provided: sk-12***89."}}
        if body["model"] != MODEL:
            return 404, {"error": {"message": f"The model `{body['model']}` does not exist."}}
        if (said := self._told_to_say(body["input"])) is not None:
            return said
        if self.failures:
            return self.failures.pop(0), {"error": {"message": "as told"}}
        if self.shape == "other":
            return 200, {"hello": "world"}
        data = [{"object": "embedding", "index": at, "embedding": row} for at, row in enumerate(self._rows(body))]
        data = {"short": data[:-1], "reversed": data[::-1]}.get(self.shape, data)
        return 200, {"object": "list", "data": data, "model": MODEL, "usage": {"prompt_tokens": 0, "total_tokens": 0}}

    def _told_to_say(self, texts):
        if self.most_texts is not None and len(texts) > self.most_texts:
            return 413, {"error": {"message": "413 Request Entity Too Large"}}
        return next((self.replies[text] for text in texts if text in self.replies), None)

    def _rows(self, body):
        vectors = 3 * HashingEncoder().encode_with_openings(body["input"])[0].astype(
            float
        )  # endpoints need not normalise
        if self.exchanged:
            vectors = np.roll(vectors, 1, axis=1)
        vectors += np.random.default_rng().normal(0, self.noise, vectors.shape) if self.noise else 0
        for text, number in self.numbers.items():
            vectors[[at for at, each in enumerate(body["input"]) if each == text]] = number
        return vectors[:, : self.cut].tolist()


def _handler(server):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, answer = (
                server.answer(body, self.headers["authorization"])
                if self.path == "/v1/embeddings"
                else (404, {"error": {"message": "no such path"}})
            )
            sent = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (("content-type", "application/json"), ("content-length", str(len(sent)))):
                self.send_header(name, value)
            if status in {429, 500, 503}:
                self.send_header("retry-after-ms", "1")
            self.end_headers()
            self.wfile.write(sent)

        def log_message(self, *args):
            pass

    return Handler


@contextmanager
def embedding_server():
    """Serve on a free port of loopback while the block runs."""
    server = EmbeddingServer()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
