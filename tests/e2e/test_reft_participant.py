"""A participant that trains with LoReFT takes part in a federation beside others, with real processes."""

import json
import subprocess
import sys

import pytest
import yaml
from safetensors.torch import load_file

from client_kit.prompts import write_prompt_set
from client_kit.wire import Prompt
from tests.support.tiny_model import CHAT_TEMPLATE, write_tiny_model

COMMAND = (sys.executable, "-c", "from client_kit.cli import main; main()", "federate")
PROMPTS = {"p0": "what is the capital", "p1": "name one river", "p2": "name a red bird"}
ANSWERS = {"p0": "the capital is a city", "p1": "a river in a country", "p2": "one bird is red"}


@pytest.mark.timeout(600)
def test_a_reft_participant_answers_learns_and_answers_again(tmp_path):
    facts = {"name": "few", "version": "1.0", "description": "Few.", "licence": "CC0-1.0", "language": "en"}
    write_prompt_set(tmp_path / "prompts", [Prompt(prompt_id=k, prompt=v) for k, v in PROMPTS.items()], **facts)
    write_tiny_model(tmp_path / "base", chat_template=CHAT_TEMPLATE)
    rows = [
        {"prompt": "what is green", "completion": "a tree is green"},
        {"prompt": "name one fish", "completion": "fish"},
    ]
    (tmp_path / "private.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    script = "".join(json.dumps({"prompt_id": key, "text": text}) + "\n" for key, text in ANSWERS.items())
    (tmp_path / "script.jsonl").write_text(script, encoding="utf-8")
    scripted = {"generator": {"kind": "scripted", "answers": "script.jsonl"}, "trainer": {"kind": "none"}}
    learner = {
        "participant": "loreft",
        "generator": {"kind": "transformers", "model": "./base", "device": "cpu"},
        "trainer": {"kind": "sft", "method": "reft", "reft_rank": 2, "steps": 3, "batch_size": 2, "device": "cpu"},
        "private": "private.jsonl",
        "sampling": {"max_tokens": 8},
        "threads": 1,
    }
    sites = [learner, {"participant": "a", **scripted}, {"participant": "b", **scripted}]
    settings = {"federation": "f", "work": "work", "rounds": 2, "prompt_set": "./prompts", "encoder": "hashing"}
    file = tmp_path / "federation.yaml"
    file.write_text(yaml.safe_dump({**settings, "participants": sites}), encoding="utf-8")
    done = subprocess.run([*COMMAND, file, "--json"], capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["rounds"]) == {"1", "2"}
    adapters = sorted((tmp_path / "work" / "participants" / "loreft").glob("*-00?/adapter_config.json"))
    assert [path.parent.name for path in adapters] == ["student-003", "witness-001"]
    assert all(json.loads(path.read_text(encoding="utf-8"))["peft_type"] == "REFT" for path in adapters)
    assert all("reft_" in name for name in load_file(adapters[-1].with_name("adapter_model.safetensors")))
