"""A participant that trains with record-level privacy: the round cards say what its ledger says, with real processes."""

import json
import subprocess
import sys

import pytest
import yaml

from client_kit.prompts import write_prompt_set
from client_kit.wire import Prompt, RoundCard
from tests.support.tiny_model import CHAT_TEMPLATE, write_tiny_model

pytest.importorskip("opacus")

COMMAND = (sys.executable, "-c", "from client_kit.cli import main; main()", "federate")
PROMPTS = {"p0": "what is the capital", "p1": "name one river"}
BUDGET = 50.0


@pytest.mark.timeout(600)
def test_each_card_has_the_epsilon_of_all_trainings_so_far_and_none_for_the_federation(tmp_path):
    facts = {"name": "few", "version": "1.0", "description": "Few.", "licence": "CC0-1.0", "language": "en"}
    write_prompt_set(tmp_path / "prompts", [Prompt(prompt_id=k, prompt=v) for k, v in PROMPTS.items()], **facts)
    write_tiny_model(tmp_path / "base", chat_template=CHAT_TEMPLATE)
    rows = [{"prompt": f"what is {n}", "completion": f"{n} is green"} for n in ("a tree", "a bird", "fish", "a city")]
    (tmp_path / "private.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    script = "".join(json.dumps({"prompt_id": key, "text": "a river"}) + "\n" for key in PROMPTS)
    (tmp_path / "script.jsonl").write_text(script, encoding="utf-8")
    private = {
        "participant": "private",
        "generator": {"kind": "transformers", "model": "./base", "device": "cpu"},
        "trainer": {
            "kind": "dp", "epsilon": BUDGET, "delta": 1e-2, "planned_steps": 9, "steps": 3, "expected_batch": 2,
            "accountant": "rdp", "device": "cpu",
        },
        "private": "private.jsonl",
        "sampling": {"max_tokens": 8},
        "threads": 1,
    }  # fmt: skip
    silent = {
        "participant": "silent",
        "generator": {"kind": "scripted", "answers": "script.jsonl"},
        "trainer": {"kind": "none"},
    }
    settings = {"federation": "f", "work": "work", "rounds": 2, "prompt_set": "./prompts", "encoder": "hashing"}
    file = tmp_path / "federation.yaml"
    file.write_text(yaml.safe_dump({**settings, "participants": [private, silent]}), encoding="utf-8")
    done = subprocess.run([*COMMAND, file, "--json"], capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stderr
    cards = [RoundCard.model_validate(card).privacy for card in json.loads(done.stdout)["rounds"].values()]
    stated = [{each.participant: each.stated for each in card.participants} for card in cards]
    assert [each["silent"] for each in stated] == [None, None]
    assert [(card.epsilon, card.delta) for card in cards] == [(None, None)] * 2
    first, second = (each["private"] for each in stated)
    assert 0 < first.epsilon < second.epsilon < BUDGET
    assert (first.delta, first.accountant) == (1e-2, "rdp")
    journal = (tmp_path / "work" / "participants" / "private" / "journal.jsonl").read_text(encoding="utf-8")
    trained = [record for line in journal.splitlines() if (record := json.loads(line[9:]))["kind"] == "trained"]
    assert [record["privacy"]["epsilon"] for record in trained[:2]] == [first.epsilon, second.epsilon]
