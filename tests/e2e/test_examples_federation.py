"""The examples that take part in federations, as their readers run them, with a server, an inference API and tiny models."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client_kit import ConsensusClient
from client_kit.federation.server_process import ServerProcess
from client_kit.prompts import load_prompt_set, write_prompt_set
from client_kit.wire import FederationCreate, Prompt, RoundState
from tests.support.openai_server import MODEL, openai_server
from tests.support.tiny_model import CHAT_TEMPLATE, write_tiny_model

EXAMPLES = Path(__file__).parents[2] / "examples"
AGREED = "the capital of a country is one city"
PROMPTS = [Prompt(prompt_id=f"p{number}", prompt=f"what is the name of river {number}") for number in range(4)]


def run(example, *arguments, **environment):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", **environment}
    command = [sys.executable, str(EXAMPLES / example), *map(str, arguments)]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finished(process):
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return output


@pytest.fixture
def prompt_set(tmp_path):
    facts = {"name": "rivers", "version": "1.0", "description": "Rivers.", "licence": "CC0-1.0", "language": "en"}
    return write_prompt_set(tmp_path / "rivers", PROMPTS, **facts)


@pytest.fixture
def api():
    with openai_server() as server:
        server.key = "the-key"
        server.answers.update({prompt.prompt: AGREED for prompt in PROMPTS})
        yield server


def test_a_participant_that_is_only_an_api_gets_files_to_fine_tune_on_and_pays_once(tmp_path, prompt_set, api):
    with (
        ServerProcess(tmp_path / "server", environment={"CONSENSUS_ENCODER": "hashing"}) as server,
        ConsensusClient(server.url, server.operator_token, federation="rivers") as operator,
    ):
        operator.upload_prompt_set(load_prompt_set(tmp_path / "rivers").upload())
        operator.create_federation(FederationCreate(federation="rivers", prompt_set=prompt_set.digest))
        tokens = {name: operator.add_participant(name).token for name in ("api", "other")}
        operator.create_round()
        with ConsensusClient(server.url, tokens["other"]) as other:
            other.submit_and_seal(1, {prompt.prompt_id: AGREED for prompt in PROMPTS})
        arguments = (server.url, "rivers", api.url, MODEL, tmp_path / "work")
        keys = {"CONSENSUS_TOKEN": tokens["api"], "MODEL_KEY": "the-key"}
        output = finished(run("api_only_participant.py", *arguments, **keys))
        again = finished(run("api_only_participant.py", *arguments, **keys))
        assert operator.round(1).state is RoundState.PUBLISHED
    file = tmp_path / "work" / "round-001" / "labels.openai.jsonl"
    assert f"to fine-tune on: {file}" in output
    assert f"to fine-tune on: {file}" in again
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert [[turn["content"] for turn in row["messages"]] for row in rows] == [[p.prompt, AGREED] for p in PROMPTS]
    assert set(api.asked.values()) == {1}


@pytest.mark.timeout(280)
def test_a_mixed_federation_runs_two_rounds_on_one_machine(tmp_path, prompt_set, api):
    api.key = None
    models = [
        write_tiny_model(tmp_path / name, chat_template=CHAT_TEMPLATE, seed=seed) for seed, name in enumerate("ab")
    ]
    private = tmp_path / "private.jsonl"
    private.write_text(json.dumps({"prompt": PROMPTS[0].prompt, "completion": AGREED}) + "\n")
    work = tmp_path / "work"
    output = finished(
        run("mixed_federation.py", *models, api.url, MODEL, private, work, tmp_path / "rivers", "hashing")
    )
    assert "round 1: " in output
    assert "round 2: " in output
    for name in ("first", "second"):
        models = sorted((work / "participants" / name).glob("*/model.safetensors"))
        assert [file.parent.name for file in models] == ["student-003", "witness-001"]
    assert not list((work / "participants" / "api").glob("*/model.safetensors"))
    assert set(api.asked.values()) == {2}
