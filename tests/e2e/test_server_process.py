"""The server as an operator runs it: a process that starts, is killed, and starts again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from client_kit.wire import Prompt, prompt_set_digest
from consensus_server.service.aggregation import Aggregation
from consensus_server.settings import load_settings
from consensus_server.wiring import build_server

START_SECONDS = 60
SERVE = [sys.executable, "-c", "from consensus_server.cli import main; main()", "serve"]
TOKEN = "operator-of-the-process-tests"
PROMPTS = [Prompt(prompt_id=f"p{n}", prompt=f"Question {n}?") for n in range(3)]


class Process:
    """`consensus-server serve` on a free port, with the stand-in encoder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.ready_file = folder / "ready.json"
        self.ready_file.unlink(missing_ok=True)  # a server that was killed leaves it behind
        environment = {**os.environ, "CONSENSUS_OPERATOR_TOKEN": TOKEN, "CONSENSUS_POLL_SECONDS": "0.1"}
        command = [*SERVE, "--data-dir", str(folder), "--port", "0", "--encoder", "hashing"]
        command += ["--ready-file", str(self.ready_file), *options]
        with (folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.url = self._wait()
        self.client = httpx.Client(
            base_url=self.url, headers={"authorization": f"Bearer {TOKEN}"}, timeout=20, trust_env=False
        )

    def _wait(self) -> str:
        until = time.monotonic() + START_SECONDS
        while not self.ready_file.exists():
            assert self.process.poll() is None, "the server ended"
            assert time.monotonic() < until, "the server is not ready"
            time.sleep(0.05)
        ready = json.loads(self.ready_file.read_text())
        assert ready["pid"] == self.process.pid
        while httpx.get(f"{ready['url']}/readyz", trust_env=False).status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.05)
        return ready["url"]

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; the exit status."""
        self.client.close()
        self.process.send_signal(number)
        return self.process.wait(30)


@pytest.fixture
def serve(tmp_path):
    running = []

    def start(*options: str) -> Process:
        running.append(Process(tmp_path, *options))
        return running[-1]

    yield start
    for process in running:
        if process.process.poll() is None:
            process.end(signal.SIGKILL)


def closed_round(client: httpx.Client) -> str:
    """A federation whose first round has just closed; returns the round's path."""
    manifest = {
        "name": "p",
        "version": "1",
        "digest": prompt_set_digest(PROMPTS),
        "prompt_count": 3,
        "description": "",
        "licence": "CC0-1.0",
        "language": "en",
        "topics": {},
    }
    prompts = [prompt.model_dump(mode="json") for prompt in PROMPTS]
    client.post("/v1/prompt-sets", json={"manifest": manifest, "prompts": prompts}).raise_for_status()
    client.post("/v1/federations", json={"federation": "f", "prompt_set": manifest["digest"]}).raise_for_status()
    tokens = [
        client.post("/v1/federations/f/participants", json={"participant": name}).json()["token"] for name in ("a", "b")
    ]
    client.post("/v1/federations/f/rounds", json={}).raise_for_status()
    path = "/v1/federations/f/rounds/1"
    for token in tokens:
        headers = {"authorization": f"Bearer {token}"}
        lines = "\n".join(json.dumps({"prompt_id": prompt.prompt_id, "text": "The same."}) for prompt in PROMPTS)
        client.put(f"{path}/submissions", content=lines, headers=headers).raise_for_status()
        held = client.get(f"{path}/submissions", headers=headers).json()
        seal = {"count": len(held["answers"]), "digest": held["digest"]}
        client.post(f"{path}/submissions/seal", json=seal, headers=headers).raise_for_status()
    return path


def published(client: httpx.Client, path: str) -> list[str | None]:
    waited = client.get(path, params={"wait_for": "published", "timeout_seconds": 60}, timeout=70).json()
    assert waited["state"] == "published"
    return [label["text"] for label in client.get(f"{path}/pseudo-labels").json()["items"]]


def test_a_server_killed_between_closed_and_published_publishes_when_it_is_back(serve):
    first = serve("--no-worker")
    path = closed_round(first.client)
    assert first.client.get(path).json()["state"] == "closed"
    first.end(signal.SIGKILL)
    assert published(serve().client, path) == ["The same."] * 3


def test_a_worker_of_its_own_aggregates_and_ends_in_order(serve, tmp_path):
    api = serve("--no-worker")
    path = closed_round(api.client)
    command = [
        *SERVE[:-1],
        "worker",
        "--data-dir",
        str(tmp_path),
        "--encoder",
        "hashing",
        "--health-port",
        "0",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as worker:
        told = json.loads("".join(iter(worker.stdout.readline, "}\n")) + "}")
        assert published(api.client, path) == ["The same."] * 3
        with httpx.Client(base_url=told["health"], trust_env=False) as health:
            assert health.get("/readyz").json()["ready"]
            assert 'consensus_aggregation_seconds_count{outcome="published"} 1.0' in health.get("/metrics").text
            assert health.get("/v1/identity").status_code == 404
        worker.terminate()
        worker.communicate(timeout=20)
    assert worker.returncode == 0
    assert told["pid"] == worker.pid


def test_a_round_whose_worker_was_killed_is_taken_over_once_its_lease_has_run_out(serve, tmp_path):
    first = serve("--no-worker")
    path = closed_round(first.client)
    first.end(signal.SIGKILL)
    # The worker that is killed: it claims the round and is never heard of again.
    dead = build_server(load_settings({}, data_dir=tmp_path, encoder="hashing"), TOKEN)
    dead.encoder.load_now()
    lease = {"lease_seconds": 1.0}
    claimed = Aggregation(dead.store, dead.store.embeddings, dead.encoder.wait(), dead.clock, **lease).claim()
    assert claimed.round.state == "aggregating"
    dead.close()
    assert published(serve().client, path) == ["The same."] * 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_server_that_is_asked_to_end_ends_in_order_and_leaves_files_to_its_owner_alone(serve, number, tmp_path):
    running = serve()
    written = [*tmp_path.glob("*.sqlite3*"), *tmp_path.glob("*.token")]
    assert {file.stat().st_mode & 0o077 for file in written} == {0}
    assert running.client.get("/v1/identity").json()["role"] == "operator"
    assert running.end(number) == 0
    assert not running.ready_file.exists()


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*SERVE, "--data-dir", str(tmp_path / "data"), "--port", port, "--encoder", "hashing"]
        result = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    assert result.returncode == 5
    assert f"Port {port} of 127.0.0.1 is in use" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "data").exists()


def test_a_token_is_made_at_the_first_start_and_never_printed(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "CONSENSUS_OPERATOR_TOKEN"}
    ready = tmp_path / "ready.json"
    command = [*SERVE, "--data-dir", str(tmp_path), "--port", "0", "--encoder", "hashing", "--ready-file", str(ready)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        until = time.monotonic() + START_SECONDS
        while not ready.exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        token = (tmp_path / "operator.token").read_text().strip()
        url = json.loads(ready.read_text())["url"]
        assert (
            httpx.get(f"{url}/v1/identity", headers={"authorization": f"Bearer {token}"}, trust_env=False).status_code
            == 200
        )
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert str(tmp_path / "operator.token") in output
    assert token not in output
