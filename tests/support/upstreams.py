"""Upstream inference APIs for panels, on loopback: each answers as it is told, or misbehaves in a way of its own.

HTTP by hand, because what is wanted is what no framework sends: bodies without end, garbage, silence. In a thread, or
in a process of its own that can be killed: `python -m tests.support.upstreams TEXT BEHAVIOUR`.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class UpstreamServer:
    """How the next requests are answered, and what was asked."""

    text: str | list[str] = "Paris."
    """The answer, or the answers by number of the request, the last one for all that follow."""
    behaviour: str = "answer"
    """answer, hang, drip, flood, garbage, not_json, other, empty, reasoning, wait; or a status such as `503`."""
    hang_from: int | None = None
    """Number of the request, from 0, from which on all hang."""
    hanging: threading.Event = field(default_factory=threading.Event)
    """Set when one does."""
    delay_seconds: float = 0.0
    finish_reason: str = "stop"
    message: dict | None = None
    """What a chat's message has beside its role, in place of the text."""
    usage: dict | None = field(default_factory=lambda: {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10})
    url: str = ""
    bodies: list[dict] = field(default_factory=list)
    headers: list[dict] = field(default_factory=list)
    depths: list[str] = field(default_factory=list)
    """Panels that each question says to have passed."""
    keys: list[str] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    """Set by every request."""
    left: threading.Event = field(default_factory=threading.Event)
    """Set when a client goes away before its answer."""
    go: threading.Event = field(default_factory=threading.Event)
    """What `wait` waits for."""
    busy: int = 0
    busiest: int = 0

    def reset(self, text):
        """As new, for the next test."""
        fresh = UpstreamServer(text, url=self.url)
        for name in vars(fresh):
            setattr(self, name, getattr(fresh, name))


async def serve_one(server, reader, writer):
    try:
        while (request := await _request(reader)) is not None:
            path, headers, body = request
            server.keys.append(headers.get("authorization", ""))
            server.bodies.append(body)
            server.headers.append(headers)
            server.depths.append(headers.get("x-consensus-depth", ""))
            await _answer(server, reader, writer, path)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _request(reader):
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return first.split()[1], headers, json.loads(body or b"{}")


async def _answer(server, reader, writer, path):
    number = len(server.bodies) - 1
    server.asked.set()
    server.busy += 1
    server.busiest = max(server.busiest, server.busy)
    try:
        await asyncio.sleep(server.delay_seconds)
        await _behave(server, reader, writer, path, number)
    finally:
        server.busy -= 1


async def _behave(server, reader, writer, path, number):
    behaviour = server.behaviour
    if server.hang_from is not None and number >= server.hang_from:
        server.hanging.set()
        await _silent(server, reader)
    if behaviour in {"hang", "wait"}:
        await _silent(server, reader)
    if behaviour in {"drip", "flood"}:
        await _without_end(server, writer, 0.02 if behaviour == "drip" else 0)
    elif behaviour == "garbage":
        writer.write(b"\x00\x01\x02 this is no HTTP at all \xff\xfe" * 20)
        await writer.drain()
        writer.close()
    elif behaviour == "not_json":
        _send(writer, 200, b"<html>captive portal</html>", "text/html")
    elif behaviour == "other":
        _send(writer, 200, b'{"hello": "world"}')
    elif behaviour.isdigit():
        error = {"message": f"status {behaviour} as told", "type": "error", "code": CODES.get(behaviour)}
        _send(writer, int(behaviour), json.dumps({"error": error}).encode())
    else:
        _send(writer, 200, json.dumps(_completion(server, path, number)).encode())
    await writer.drain()


CODES = {"400": "context_length_exceeded", "401": "invalid_api_key"}


async def _silent(server, reader):
    """Until the client leaves, or the test lets an answer go."""
    leaving = asyncio.ensure_future(reader.read(1))
    while server.behaviour == "hang" or not server.go.is_set():
        done, _ = await asyncio.wait({leaving}, timeout=0.01)
        if done:
            server.left.set()
            raise ConnectionError
    leaving.cancel()
    await asyncio.wait({leaving})  # the next request reads from the same connection


async def _without_end(server, writer, pause_seconds):
    """One JSON document, some bytes at a time, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    piece = b'{"padding": "' + b"x" * (4 if pause_seconds else 65_536)
    try:
        while True:
            writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(pause_seconds)
    except ConnectionError:
        server.left.set()
        raise


def _send(writer, status, body, kind="application/json"):
    writer.write(
        b"HTTP/1.1 %d Told\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (status, kind.encode(), len(body))
    )
    writer.write(body)


def _completion(server, path, number):
    texts = server.text if isinstance(server.text, list) else [server.text]
    text = texts[min(number, len(texts) - 1)]
    text = {"empty": "", "reasoning": f"<think>{text}</think>"}.get(server.behaviour, text)
    chat = path.endswith("/chat/completions")
    message = server.message or {"content": text}
    said = {"message": {"role": "assistant", **message}} if chat else {"text": text, "logprobs": None}
    return {
        "id": "1",
        "object": "chat.completion" if chat else "text_completion",
        "created": 0,
        "model": "told",
        "choices": [{"index": 0, "finish_reason": server.finish_reason, **said}],
        "usage": server.usage,
    }


@contextmanager
def upstream_server(text="Paris.", **options):
    """Serve on a free port of loopback, in a thread, while the block runs."""
    server = UpstreamServer(text, **options)
    loop = asyncio.new_event_loop()

    async def start():
        listening = await asyncio.start_server(lambda r, w: serve_one(server, r, w), "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        return listening

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    listening = asyncio.run_coroutine_threadsafe(start(), loop).result(20)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_end(listening), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


async def _end(listening):
    listening.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@dataclass
class UpstreamProcess:
    """An upstream that can die."""

    url: str
    process: subprocess.Popen

    def wait_until_asked(self):
        assert self.process.stdout.readline().strip() == "asked"

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait(20)


@contextmanager
def upstream_process(text="Paris.", behaviour="answer"):
    """The same in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.upstreams", text, behaviour], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        yield UpstreamProcess(process.stdout.readline().strip(), process)
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()


def main():
    text, behaviour = sys.argv[1:]
    with upstream_server(text, behaviour=behaviour) as server:
        _say(server.url)
        while True:
            server.asked.wait()
            server.asked.clear()
            _say("asked")


def _say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
