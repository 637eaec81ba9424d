"""A little inference API in OpenAI's shape, on loopback, that can be told to misbehave."""

import asyncio
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

MODEL = "echo"
"""The only model. It answers `<prompt> (seed <seed>)` in reversed words, or what `OpenAIServer.answers` says."""


@dataclass
class OpenAIServer:
    """How the next requests are answered, and what was asked."""

    url: str = ""
    failures: list[int] = field(default_factory=list)
    """Statuses of the next requests, first to last; then all is well."""
    always: int | None = None
    """Status of every request."""
    key: str | None = None
    """The only key accepted; None accepts any."""
    delay_seconds: float = 0.0
    finish_reason: str = "stop"
    answers: dict[str, str] = field(default_factory=dict)
    """Answer by prompt."""
    broken: set[str] = field(default_factory=set)
    """Prompts refused as too long for the context."""
    shape: str = "openai"
    """`other`: valid JSON that is no completion. `broken`: no JSON. `page`: HTML. `number`: an answer that is no text.
    `endless`: a body without end. `drip`: the same, a byte at a time. `empty`: nothing said. `refusal`: declined, in the
    protocol's field for it."""
    begun: threading.Event = field(default_factory=threading.Event)
    """Set once a body without end has begun."""
    retry_after: str | None = None
    """Header of the failures, in place of a millisecond."""
    code: str | None = None
    """Of the failures."""
    bodies: list[dict] = field(default_factory=list)
    asked: Counter = field(default_factory=Counter)
    """Requests by prompt, failed ones included."""
    busy: int = 0
    busiest: int = 0
    """Most requests that were in progress at the same time."""


def _problem(status, message, code=None, retry_after=None):
    headers = {"retry-after-ms": "1"} if status in {429, 500, 503} else {}
    if retry_after is not None:
        headers = {"retry-after": retry_after}
    body = {"error": {"message": message, "type": "error", "code": code}}
    return JSONResponse(body, status_code=status, headers=headers)


def _refusal(server, request, body, prompt):
    if server.key is not None and request.headers.get("authorization") != f"Bearer {server.key}":
        return _problem(401, "Incorrect API key provided: sk-12***89.", "invalid_api_key")
    if body["model"] != MODEL:
        return _problem(404, f"The model `{body['model']}` does not exist.", "model_not_found")
    if prompt in server.broken:
        return _problem(400, "This model's maximum context length is 8 tokens.", "context_length_exceeded")
    status = server.failures.pop(0) if server.failures else server.always
    return None if status is None else _problem(status, "as told", server.code, server.retry_after)


def _text(server, body, prompt):
    return server.answers.get(prompt, f"{' '.join(reversed(prompt.split()))} (seed {body.get('seed')})")


async def _without_end(server, chunk, pause_seconds):
    yield b'{"choices": ['
    server.begun.set()
    while True:
        yield chunk
        await asyncio.sleep(pause_seconds)


_SHAPES = {
    "other": lambda server: JSONResponse({"hello": "world"}),
    "broken": lambda server: Response('{"choices": [{"mess', media_type="application/json"),
    "page": lambda server: Response("<html>Welcome</html>", media_type="text/html"),
    "endless": lambda server: StreamingResponse(_without_end(server, b" " * 65536, 0), media_type="application/json"),
    "drip": lambda server: StreamingResponse(_without_end(server, b" ", 0.01), media_type="application/json"),
}

_MESSAGES = {
    "empty": {"content": None},
    "refusal": {"content": None, "refusal": "I'm sorry, but I can't help with that."},
    "number": {"content": 7},
}


def _application(server):
    app = FastAPI()

    async def answer(request: Request, prompt, body, choice):
        server.bodies.append(body)
        server.asked[prompt] += 1
        server.busy += 1
        server.busiest = max(server.busiest, server.busy)
        try:
            await asyncio.sleep(server.delay_seconds)
            refusal = _refusal(server, request, body, prompt)
        finally:
            server.busy -= 1
        if refusal is not None:
            return refusal
        if server.shape in _SHAPES:
            return _SHAPES[server.shape](server)
        usage = {"prompt_tokens": len(prompt.split()), "completion_tokens": 3, "total_tokens": 0}
        choices = [{"index": 0, "finish_reason": server.finish_reason, **choice(_text(server, body, prompt))}]
        if server.shape in _MESSAGES:
            choices[0]["message"] = {"role": "assistant", **_MESSAGES[server.shape]}
        return JSONResponse(
            {"id": "1", "object": "o", "created": 0, "model": MODEL, "choices": choices, "usage": usage}
        )

    @app.post("/v1/chat/completions")
    async def chat(request: Request):
        body = await request.json()
        prompt = body["messages"][-1]["content"]
        return await answer(request, prompt, body, lambda text: {"message": {"role": "assistant", "content": text}})

    @app.post("/v1/completions")
    async def completions(request: Request):
        body = await request.json()
        return await answer(request, body["prompt"], body, lambda text: {"text": text, "logprobs": None})

    return app


@contextmanager
def openai_server():
    """Serve on a free port of loopback while the block runs."""
    server = OpenAIServer()
    listener = socket.create_server(("127.0.0.1", 0))
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    config = uvicorn.Config(_application(server), log_level="warning", lifespan="off")
    runner = uvicorn.Server(config)
    thread = threading.Thread(target=runner.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not runner.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield server
    finally:
        runner.should_exit = True
        thread.join()
        listener.close()
