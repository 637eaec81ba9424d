"""The first two examples, as their readers run them, against a server process."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client_kit.client import ConsensusClient
from client_kit.federation.server_process import ServerProcess
from client_kit.prompts import load_prompt_set
from client_kit.wire import FederationCreate, PromptSetUpload, RoundState, prompt_set_digest
from tests.support.tiny_model import CHAT_TEMPLATE, write_tiny_model

EXAMPLES = Path(__file__).parents[2] / "examples"
AGREED = "The capital of a country is one city ."
OFFLINE = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}


def few_prompts():
    whole = load_prompt_set("general@1.0")
    prompts = list(whole.prompts[:4])
    facts = {
        "name": "few", "version": "1", "digest": prompt_set_digest(prompts), "prompt_count": 4,
        "topics": {str(prompt.topic): 1 for prompt in prompts},
    }  # fmt: skip
    return PromptSetUpload(manifest=whole.manifest.model_copy(update=facts), prompts=prompts)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, environment={"CONSENSUS_ENCODER": "hashing"}) as server:
        yield server


@pytest.fixture(scope="module")
def tokens(server):
    """A federation of three with an open round; tokens by participant."""
    upload = few_prompts()
    with ConsensusClient(server.url, server.operator_token, federation="examples") as operator:
        operator.upload_prompt_set(upload)
        operator.create_federation(FederationCreate(federation="examples", prompt_set=upload.manifest.digest))
        tokens = {name: operator.add_participant(name).token for name in ("a", "b", "c")}
        operator.create_round()
    return tokens


def start(example, token, *arguments):
    environment = {**os.environ, **OFFLINE, "CONSENSUS_TOKEN": token}
    command = [sys.executable, str(EXAMPLES / example), *arguments]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finished(process):
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return output


@pytest.fixture(scope="module")
def submitted(server, tokens, tmp_path_factory):
    """What the first example prints for each participant; all three wait for one another."""
    file = tmp_path_factory.mktemp("answers") / "answers.jsonl"
    rows = [{"prompt_id": prompt.prompt_id, "text": AGREED} for prompt in few_prompts().prompts]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    processes = [start("submit_existing_generations.py", token, server.url, str(file)) for token in tokens.values()]
    return [finished(process) for process in processes]


def test_existing_generations_become_pseudo_labels(submitted):
    for output in submitted:
        first, *labels = output.splitlines()
        assert first == "round 1: 4 answers sealed, waiting for the others"
        assert [line.split("\t")[1:] for line in labels] == [["1.00", AGREED]] * 4


def test_pseudo_labels_train_a_model(server, tokens, submitted, tmp_path):
    with ConsensusClient(server.url, tokens["a"]) as client:
        assert client.round(1).state is RoundState.PUBLISHED
    model, after = write_tiny_model(tmp_path / "model", chat_template=CHAT_TEMPLATE), tmp_path / "after"
    output = finished(start("pseudo_labels_to_trl.py", tokens["a"], server.url, "1", str(model), str(after)))
    assert output.startswith("4 pseudo-labels of confidence 0.5 or more\n")
    assert output.rstrip().endswith(f"trained for 1 steps: {after}")
    assert (after / "model.safetensors").read_bytes() != (model / "model.safetensors").read_bytes()
