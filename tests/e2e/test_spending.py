"""What a participant behind an API pays, as its user sees it: an estimate, a limit, and nothing paid for twice."""

import json
import os
import subprocess
import sys

import pytest
import yaml

from client_kit import ConsensusClient
from client_kit.cli.submit import read_answers
from client_kit.federation.server_process import ServerProcess
from client_kit.prompts import load_prompt_set, write_prompt_set
from client_kit.wire import ConsensusPolicy, FederationCreate, Prompt
from tests.support.openai_server import MODEL, openai_server

PROMPTS = [Prompt(prompt_id=f"p{number}", prompt=f"what is the name of river {number}") for number in range(4)]


def consensus(*arguments, **environment):
    command = [sys.executable, "-c", "from client_kit.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environment})


@pytest.fixture
def federation(tmp_path):
    """A server with one open round, in which another participant has answered; tokens by participant."""
    facts = {"name": "rivers", "version": "1.0", "description": "Rivers.", "licence": "CC0-1.0", "language": "en"}
    digest = write_prompt_set(tmp_path / "rivers", PROMPTS, **facts).digest
    policy = ConsensusPolicy(abstain=False)
    wanted = FederationCreate(federation="rivers", prompt_set=digest, policy=policy, requires_training_rights=True)
    with (
        ServerProcess(tmp_path / "server", environment={"CONSENSUS_ENCODER": "hashing"}) as server,
        ConsensusClient(server.url, server.operator_token, federation="rivers") as operator,
    ):
        operator.upload_prompt_set(load_prompt_set(tmp_path / "rivers").upload())
        operator.create_federation(wanted)
        tokens = {name: operator.add_participant(name).token for name in ("api", "other")}
        operator.create_round()
        with ConsensusClient(server.url, tokens["other"]) as other:
            other.submit_and_seal(1, {prompt.prompt_id: "the Nile" for prompt in PROMPTS}, training_rights=True)
        yield server.url, tokens["api"]


def settings(tmp_path, server, api, **changes):
    file = tmp_path / "participant.yaml"
    content = {
        "server": server, "federation": "rivers", "token_env": "TOKEN", "work": "work", "rounds": 1,
        "generator": {"kind": "openai", "model": MODEL, "base_url": api}, "trainer": {"kind": "none"},
        "sampling": {"max_tokens": 100},
        "spending": {"prompt_price": 1.0, "completion_price": 2.0, "currency": "EUR", "limit": 0.0005},
        "training_rights": True,
    }  # fmt: skip
    file.write_text(yaml.safe_dump(content | changes), encoding="utf-8")
    return file


def test_an_estimate_a_limit_and_a_run_that_goes_on_under_a_higher_one(tmp_path, federation):
    server, token = federation
    with openai_server() as api:
        file = settings(tmp_path, server, api.url)
        estimate = consensus("join", file, "--estimate", "--json", TOKEN=token)
        found = json.loads(estimate.stdout)
        assert (found["prompts"], found["tokens"]["completion"], found["currency"]) == (4, 400, "EUR")
        assert found["money"] == pytest.approx((found["tokens"]["prompt"] + 2 * 400) / 1e6)

        refused = consensus("join", file, TOKEN=token)
        assert refused.returncode != 0
        told = " ".join(refused.stderr.split())
        assert "participant api: 4 answers take at most" in told
        assert "the limit is 0.0005 EUR. Nothing was asked" in told
        assert not api.bodies

        out = tmp_path / "to-read" / "answers.jsonl"
        read = consensus("generate", file, "--limit", "1", "--out", out, "--json", TOKEN=token)
        assert read.returncode == 0, read.stderr
        assert json.loads(read.stdout) == {"round": 1, "answers": 4, "lost": {}, "file": str(out)}
        assert [answer.prompt_id for answer in read_answers(out)] == [prompt.prompt_id for prompt in PROMPTS]
        with ConsensusClient(server, token) as client:
            assert client.held(1).answers == []
        again = consensus("generate", file, "--limit", "1", TOKEN=token)
        assert "4 answers in" in again.stdout
        assert "Nothing was sent" in again.stdout

        done = consensus("join", file, "--limit", "1", TOKEN=token)
        assert done.returncode == 0, done.stderr
        assert "4 answers submitted and sealed" in done.stderr
        assert " tokens, " in done.stderr
        assert len(api.bodies) == 4
        assert (tmp_path / "work" / "round-001" / "labels.openai.jsonl").is_file()


def test_without_the_statement_nothing_is_asked(tmp_path, federation):
    server, token = federation
    with openai_server() as api:
        refused = consensus("join", settings(tmp_path, server, api.url, training_rights=False), TOKEN=token)
        assert refused.returncode != 0
        assert "set training_rights: true" in " ".join(refused.stderr.split())
        assert not api.bodies
