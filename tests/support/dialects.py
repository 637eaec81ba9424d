"""Exchanges with inference APIs of many makes, and a little server that replays them.

`tests/dialects/<server>--<what>.json`, one reply each: `server`, `version`, `situation` (see `SITUATIONS`), `source` (public
documentation, source file or report), `kind` (`recorded` or `reconstructed` from the source), `status`, `headers`, `body`.
"""

import json
import random
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from client_kit.generation.dialects import MEANINGS, Situation

FOLDER = Path(__file__).parents[1] / "dialects"

SITUATIONS = {each.value: each for each in Situation} | {"reasoning_only": Situation.EMPTY}


@dataclass(frozen=True)
class Exchange:
    """One reply."""

    name: str
    server: str
    version: str
    situation: str
    source: str
    kind: str
    status: int
    headers: dict
    body: object

    @property
    def content(self):
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()

    @property
    def expected(self):
        return SITUATIONS[self.situation]


def exchanges():
    """All of them, by name."""
    files = sorted(FOLDER.glob("*.json"))
    return [Exchange(file.stem, **json.loads(file.read_text("utf-8"))) for file in files]


def mixed(prompts, seed):
    """Replies to prompts, one in ten of them a fault, drawn from all of tests/dialects: (script, faults by prompt).

    A fault that says something of its prompt comes for ever, any other once before the answer.
    """
    draw = random.Random(seed)
    faults = [each for each in exchanges() if each.expected is not Situation.ANSWERED]
    count = len(prompts) // 10
    given = dict(zip(draw.sample(prompts, count), draw.sample(faults, count), strict=True))
    for_ever = {prompt: [fault] for prompt, fault in given.items() if MEANINGS[fault.expected].prompt}
    return {prompt: [fault, f"To {prompt}"] for prompt, fault in given.items()} | for_ever, given


@dataclass
class Replay:
    """Answers `<prompt>` with what `script` has for it, one reply after the other, the last one for ever."""

    url: str = ""
    script: dict = field(default_factory=dict)
    """Replies by prompt: a list of `Exchange`, or of texts to answer with."""
    bodies: list = field(default_factory=list)
    asked: Counter = field(default_factory=Counter)
    """Requests by prompt."""

    def reply(self, body):
        prompt = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
        self.bodies.append(body)
        self.asked[prompt] += 1
        replies = self.script.get(prompt, [f"Answer to {prompt}"])
        said = replies[min(self.asked[prompt], len(replies)) - 1]
        return said if isinstance(said, Exchange) else _answer(said)


def _answer(text):
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "text": text, "finish_reason": "stop"}
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": None}
    return Exchange("", "", "", "answered", "", "", 200, {"content-type": "application/json"}, body)


@contextmanager
def replaying(script=None):
    """Serve on a free port of loopback while the block runs."""
    replay = Replay(script=script or {})

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            length = int(self.headers.get("content-length", 0))
            said = replay.reply(json.loads(self.rfile.read(length)))
            self.send_response_only(said.status)
            for name, value in {**said.headers, "content-length": str(len(said.content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(said.content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    replay.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield replay
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
