"""What a panel adds to the slowest of its upstreams, against asking the same upstreams with the bare `openai` client.

    python benchmarks/inference.py [--upstreams 5] [--delay 0.2] [--questions 60] [--words 12 50 200 800] [--remembered 100000]

Upstreams, consensus server and client are processes of their own, on loopback. An upstream answers after a fixed time,
each a little later than the one before, the last after `--delay` seconds. For each length of answer the client asks, by turns, the
panel and the upstreams themselves (all at once, with one `AsyncOpenAI`, waiting for the last). `added` is the median
difference of the pairs; `server_cpu_ms` is the server's processor time for one question; the server tells how much of it was the encoding of the answers, which the median of 15 ms wanted
leaves out. The rest of what is added is the deciding, `asking_ms` (the server's wait for the upstreams beyond the bare
client's) and `request_ms` (everything else: the way to the server and back, reading and writing). `--remembered`: questions that
the panel remembers when it begins; 0: it has no memory.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import openai
import yaml

from consensus_server.backends.encoders import SentenceTransformerEncoder, load_encoder
from consensus_server.backends.encoders.weights import DEFAULT_ENCODER
from consensus_server.backends.store import open_store
from consensus_server.core.panel_memory import UpstreamMemory, fading
from consensus_server.panel_settings import load_panels
from consensus_server.panel_wiring import memory_terms

TOKEN = "the-benchmark-asks-as-operator"  # noqa: S105 - of a server that lives as long as this script
READY_SECONDS = 180
WARM_UP = 5
"""Questions before those that count."""
_WORDS = "river stone people answer because between light market seven slowly written question".split()  # noqa: SIM905


def main() -> None:
    options = _options()
    answers = {words: _answers(words, options.upstreams) for words in options.words}
    receiver, sender = multiprocessing.Pipe(duplex=False)
    delays = [options.delay * (place + 1) / options.upstreams for place in range(options.upstreams)]
    upstreams = multiprocessing.get_context("spawn").Process(
        target=_serve_upstreams, args=(answers, delays, sender), daemon=True
    )
    upstreams.start()
    urls = receiver.recv()
    tokens = _token_counts(answers)
    with tempfile.TemporaryDirectory() as folder:
        server, url = _start_server(Path(folder), urls, options.encoder, options.remembered)
        try:
            for words in options.words:
                before = _cpu_seconds(server.pid)
                row = asyncio.run(measure(url, urls, words, options.questions))
                spent = (_cpu_seconds(server.pid) - before) / (options.questions + WARM_UP)
                print(json.dumps({"tokens": tokens[words], **row, "server_cpu_ms": round(spent * 1000, 2)}))
        finally:
            server.terminate()
            server.wait(30)
            upstreams.terminate()


def _cpu_seconds(pid: int) -> float:
    """Processor time of a process so far, which a busy machine stretches less than wall time."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(url: str, urls: list[str], words: int, questions: int) -> dict[str, float]:
    """Medians over pairs of a question to the panel and one to its upstreams, in milliseconds."""
    panel = openai.AsyncOpenAI(base_url=f"{url}/v1", api_key=TOKEN, max_retries=0)
    direct = [openai.AsyncOpenAI(base_url=each, api_key="none", max_retries=0) for each in urls]
    rows = []
    for question in range(questions + WARM_UP):
        through = {}
        for side in sorted(("panel", "direct"), reverse=question % 2 == 1):
            started = time.perf_counter()
            if side == "panel":
                answer = await _ask(panel, "panel", words)
            else:
                await asyncio.gather(*(_ask(client, "any", words) for client in direct))
            through[side] = time.perf_counter() - started
        rows.append((through["panel"], through["direct"], answer.consensus["timings"]))
    await asyncio.gather(panel.close(), *(client.close() for client in direct))
    return _summary(rows[WARM_UP:])


def _summary(rows: list[tuple[float, float, dict[str, float]]]) -> dict[str, float]:
    encoding = [timings["encoding_seconds"] for _, _, timings in rows]
    columns = {
        "panel_ms": [panel for panel, _, _ in rows],
        "slowest_upstream_ms": [direct for _, direct, _ in rows],
        "added_ms": [panel - direct for panel, direct, _ in rows],
        "encoding_ms": encoding,
        "added_without_encoding_ms": [
            panel - direct - encoded for (panel, direct, _), encoded in zip(rows, encoding, strict=True)
        ],
        "deciding_ms": [timings["deciding_seconds"] for _, _, timings in rows],
        "asking_ms": [timings["waiting_seconds"] - direct for _, direct, timings in rows],
        "request_ms": [panel - sum(timings.values()) for panel, _, timings in rows],
    }
    return {name: round(statistics.median(values) * 1000, 2) for name, values in columns.items()}


async def _ask(client: openai.AsyncOpenAI, model: str, words: int) -> openai.types.chat.ChatCompletion:
    messages = [{"role": "user", "content": f"Answer in {words} words, please."}]
    return await client.chat.completions.create(model=model, messages=messages)  # type: ignore[arg-type]


def _answers(words: int, upstreams: int) -> list[str]:
    """Texts of so many words that mean about the same: one in five words differs."""
    draw = random.Random(words)  # noqa: S311 - made-up texts
    common = draw.choices(_WORDS, k=words)
    return [
        " ".join(draw.choice(_WORDS) if draw.random() < 0.2 else word for word in common)  # noqa: PLR2004
        for _ in range(upstreams)
    ]


def _token_counts(answers: dict[int, list[str]]) -> dict[int, int]:
    """Tokens of all answers to one question, as the encoder counts them."""
    tokenizer = SentenceTransformerEncoder.load(DEFAULT_ENCODER)._model.tokenizer  # noqa: SLF001 - its own count
    return {
        words: sum(map(len, tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]))
        for words, texts in answers.items()
    }


def _start_server(folder: Path, urls: list[str], encoder: str, remembered: int) -> tuple[subprocess.Popen[bytes], str]:
    names = [f"u{place}" for place in range(len(urls))]
    content = {
        "upstreams": {name: {"base_url": url, "model": "any"} for name, url in zip(names, urls, strict=True)},
        "panels": {"panel": {"upstreams": names, "quorum": len(names)} | ({} if remembered else {"memory": None})},
    }
    (folder / "panels.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    if remembered:
        _remember(folder, encoder, remembered)
    ready = folder / "ready.json"
    command = [sys.executable, "-c", "from consensus_server.cli import main; main()", "serve", "--no-worker"]
    command += ["--data-dir", str(folder / "data"), "--port", "0", "--log-level", "warning", "--encoder", encoder]
    command += ["--panels-file", str(folder / "panels.yaml"), "--ready-file", str(ready)]
    environment = {**os.environ, "CONSENSUS_OPERATOR_TOKEN": TOKEN}
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)  # noqa: S603 - our own command
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and server.poll() is None:
        if ready.exists() and _answers_already(url := json.loads(ready.read_text())["url"]):
            return server, url
        time.sleep(0.2)
    server.kill()
    raise SystemExit("the consensus server did not become ready")


def _remember(folder: Path, encoder: str, questions: int) -> None:
    """Let the panel know its upstreams before the server starts, each better than the one before."""
    content = load_panels(folder / "panels.yaml")
    terms = memory_terms(content.panels["panel"], content)
    (folder / "data").mkdir()
    store = open_store(f"sqlite:///{folder / 'data' / 'consensus.sqlite3'}")
    identity = load_encoder(encoder).identity.digest
    weight = 1 / (1 - fading(terms.half_life_questions))  # to which it grows
    rows = [
        UpstreamMemory(
            upstream=name,
            version=version,
            encoder=identity,
            total=weight * (place - 2) / 4,
            weight=weight,
            questions=questions,
        )
        for place, (name, version) in enumerate(terms.versions.items())
    ]
    store.panel_memories.add("panel", rows, fading=1.0)
    store.close()


def _answers_already(url: str) -> bool:
    import httpx  # noqa: PLC0415 - for this one question

    return httpx.get(f"{url}/readyz").is_success


def _serve_upstreams(answers: dict[int, list[str]], delays: list[float], told: Connection) -> None:
    """HTTP by hand: an upstream that costs next to nothing beside its delay."""

    async def serve() -> None:
        servers = [
            await asyncio.start_server(_handler(place, answers, delay), "127.0.0.1", 0)
            for place, delay in enumerate(delays)
        ]
        told.send([f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1" for server in servers])
        await asyncio.gather(*(server.serve_forever() for server in servers))

    asyncio.run(serve())


def _handler(place: int, answers: dict[int, list[str]], delay: float):  # noqa: ANN202 - as asyncio wants it
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                asked = json.loads(await reader.readexactly(length))
                await asyncio.sleep(delay)
                words = int(asked["messages"][-1]["content"].split()[2])
                writer.write(_response(answers[words][place]))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return handle


def _response(text: str) -> bytes:
    body = json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "any",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
    ).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstreams", type=int, default=5)
    parser.add_argument("--delay", type=float, default=0.2, help="seconds of the slowest upstream")
    parser.add_argument("--encoder", default=DEFAULT_ENCODER, help="hashing: the server without an encoder's work")
    parser.add_argument(
        "--remembered", type=int, default=100_000, help="questions of the panel's memory; 0: it has none"
    )
    parser.add_argument("--questions", type=int, default=60, help="pairs for each length")
    parser.add_argument("--words", type=int, nargs="+", default=[12, 50, 200, 800], help="words in one answer")
    return parser.parse_args()


if __name__ == "__main__":
    main()
