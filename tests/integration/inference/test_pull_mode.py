"""Pull mode as an operator starts it: real processes, killed in the middle, and a secret that turns up nowhere."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager

import httpx
import pytest
import yaml

from client_kit import ConsensusClient
from client_kit.errors import UnknownParticipant, ValidationFailed
from client_kit.wire import (
    ConsensusPolicy,
    Endpoint,
    FederationCreate,
    Manifest,
    Prompt,
    PromptSetUpload,
    PullState,
    RoundState,
    prompt_set_digest,
)
from tests.support.panels import OPERATOR_TOKEN
from tests.support.upstreams import ROOT, upstream_server

SECRET = "sk-the-secret-of-the-upstream"
PROMPTS = [Prompt(prompt_id=f"p{n}", prompt=f"Question {n}?") for n in range(8)]


@contextmanager
def server_process(folder, log):
    """`consensus-server serve` with a worker; killed in the end, if it still runs."""
    ready = folder / "ready.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-c", "from consensus_server.cli import main; main()", "serve", "--encoder", "hashing"]
    command += ["--data-dir", str(folder / "data"), "--port", "0", "--lease-seconds", "5", "--ready-file", str(ready)]
    command += ["--panels-file", str(folder / "panels.yaml"), "--log-level", "debug"]
    environment = {**os.environ, "CONSENSUS_OPERATOR_TOKEN": OPERATOR_TOKEN, "LLAMA_KEY": SECRET}
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
    try:
        yield process, wait_until_ready(process, ready)
    finally:
        process.kill()
        process.wait(30)


def wait_until_ready(process, ready):
    with httpx.Client() as client:
        while process.poll() is None:
            if ready.exists():
                url = json.loads(ready.read_text())["url"]
                if client.get(f"{url}/readyz").is_success:
                    return url
    raise AssertionError("the server ended")


@pytest.fixture
def llama():
    with upstream_server([f"The answer is {n}." for n in range(100)]) as server:
        yield server


def found(url):
    """A federation of a participant that submits and one that is asked, with an open round; both tokens."""
    manifest = Manifest(
        name="questions", version="1.0", digest=prompt_set_digest(PROMPTS), prompt_count=len(PROMPTS),
        description="Questions.", licence="CC0-1.0", language="en", topics={},
    )  # fmt: skip
    policy = ConsensusPolicy(rule="cluster_medoid", abstain=False, guards=False, reliability=False)
    with ConsensusClient(url, OPERATOR_TOKEN, federation="clinics") as operator:
        operator.upload_prompt_set(PromptSetUpload(manifest=manifest, prompts=PROMPTS))
        operator.create_federation(FederationCreate(federation="clinics", prompt_set=manifest.digest, policy=policy))
        tokens = {name: operator.add_participant(name).token for name in ("anna", "llama")}
        with pytest.raises(ValidationFailed, match="there are llama"):
            operator.set_endpoint("llama", Endpoint(upstream="gpt"))
        asked = Endpoint(upstream="llama", concurrency=1, max_tokens=32)
        assert operator.set_endpoint("llama", asked) == asked == operator.endpoint("llama")
        operator.set_endpoint("anna", asked)
        operator.remove_endpoint("anna")
        with pytest.raises(UnknownParticipant, match="submits by itself"):
            operator.endpoint("anna")
        operator.create_round()
    return tokens


def test_a_mixed_round_survives_the_death_of_its_server_and_asks_nothing_twice(tmp_path, llama):
    (tmp_path / "panels.yaml").write_text(
        yaml.safe_dump({"upstreams": {"llama": {"base_url": llama.url, "model": "m", "api_key_env": "LLAMA_KEY"}}})
    )
    log = tmp_path / "server.log"
    llama.hang_from = 3
    with server_process(tmp_path, log) as (process, url):
        tokens = found(url)
        assert llama.hanging.wait(60), "the fourth question was not asked"
        with ConsensusClient(url, OPERATOR_TOKEN, federation="clinics") as operator:
            (pull,) = operator.pulls(1)
            assert (pull.participant, pull.upstream, pull.state) == ("llama", "llama", PullState.ASKING)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    before = Counter(body["messages"][0]["content"] for body in llama.bodies)
    assert set(before.values()) == {1}
    assert len(before) == 4
    llama.hang_from = None
    with server_process(tmp_path, log) as (process, url), ConsensusClient(url, tokens["anna"]) as anna:
        anna.submit_and_seal(1, {prompt.prompt_id: "The answer is another." for prompt in anna.prompts()})
        anna.wait_for_labels(1)
        assert anna.round(1).state is RoundState.PUBLISHED
        (pulled,) = anna.card(1).pulled
    assert (pulled.participant, pulled.state.value, pulled.answered) == ("llama", "sealed", len(PROMPTS))
    asked = Counter(body["messages"][0]["content"] for body in llama.bodies)
    assert set(asked) == {prompt.prompt for prompt in PROMPTS}
    assert sum(asked.values()) == len(PROMPTS) + 1, "only what was under way is asked again"
    assert set(llama.keys) == {f"Bearer {SECRET}"}
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".sqlite3" for path in kept)
    assert [path.name for path in kept if SECRET.encode() in path.read_bytes()] == []
