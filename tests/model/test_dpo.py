"""Preferences from consensus, tested by what they are for: the pseudo-label becomes likelier than the own answer."""

import dataclasses

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from client_kit.settings import DpoSettings, SftSettings
from client_kit.training.base import Example
from client_kit.training.dpo import DPOFineTuner
from client_kit.training.measuring import batch, encode_all, example_losses
from client_kit.training.sft import SFTFineTuner
from client_kit.training.weighted import WeightedSFTTrainer

COMMON = {"steps": 1, "learning_rate": 1e-3, "batch_size": 2, "device": "cpu", "schedule": "constant"}
LORA = {"method": "lora", "lora_rank": 4}
PRIVATE = [Example("What is the capital of France?", "The capital of France is Paris.")]
PAIR = Example(
    "What is the capital of Italy?", "Rome is the capital.", public=True, rejected="The capital of Italy is Milan."
)


def sft(**changes):
    return SFTFineTuner(SftSettings(kind="sft", **COMMON | changes), threads=1)


def dpo(**changes):
    gentle = {"preference_steps": 12, "preference_learning_rate": 2e-3}
    return DPOFineTuner(DpoSettings(kind="dpo", **COMMON | gentle | changes), threads=1)


def margin(folder):
    """Log-probability of the chosen completion less that of the rejected one."""
    network, tokenizer = _load(folder), AutoTokenizer.from_pretrained(folder)
    both = encode_all(tokenizer, [PAIR, dataclasses.replace(PAIR, completion=PAIR.rejected)], None)
    with torch.no_grad():
        losses = example_losses(network, batch(both, 0, "cpu"))
    lengths = torch.tensor([len(one.ids) - one.start for one in both])
    chosen, rejected = (-losses * lengths).tolist()
    return chosen - rejected


def _load(folder):
    if (folder / "config.json").is_file():
        return AutoModelForCausalLM.from_pretrained(folder)
    from peft import AutoPeftModelForCausalLM

    return AutoPeftModelForCausalLM.from_pretrained(folder)


@pytest.mark.parametrize("adapter", [{}, LORA], ids=["full", "lora"])
def test_the_preferred_completion_gains_on_the_rejected_one(model, tmp_path, adapter):
    sft(**adapter).train(model, [*PRIVATE, PAIR], steps=2, seed=0, output=tmp_path / "supervised")
    report = dpo(**adapter).train(
        model, [*PRIVATE, PAIR], steps=2, seed=0, output=tmp_path / "preferred", validation=PRIVATE
    )
    assert margin(tmp_path / "preferred") > margin(tmp_path / "supervised") + 1
    assert (report.steps, report.examples) == (14, 2)
    assert len(report.validation) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["preferred", "supervised"]
    assert not (tmp_path / "preferred" / "ref").exists(), "the copy that DPO compares with is no result"


def test_an_adapter_of_an_earlier_round_is_trained_on(model, tmp_path):
    tuner = dpo(**LORA)
    tuner.train(model, PRIVATE, steps=2, seed=0, output=tmp_path / "one")
    tuner.train(tmp_path / "one", [*PRIVATE, PAIR], steps=2, seed=1, output=tmp_path / "two")
    assert margin(tmp_path / "two") > margin(tmp_path / "one") + 1


def test_without_pairs_it_is_supervised_training(model, tmp_path):
    same = [dataclasses.replace(PAIR, rejected=PAIR.completion), *PRIVATE]
    dpo().train(model, same, steps=2, seed=0, output=tmp_path / "dpo")
    sft().train(model, same, steps=2, seed=0, output=tmp_path / "sft")
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("dpo", "sft"))
    assert all(torch.equal(one[name], other[name]) for name in one)


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it."""


@pytest.mark.parametrize("die_at", [2, 8], ids=["supervised", "preferences"])
def test_killed_in_either_part_it_comes_to_the_same_weights(model, tmp_path, monkeypatch, die_at):
    from trl import DPOTrainer

    tuner = dpo(checkpoint_steps=2, preference_steps=5)
    job = {"examples": [*PRIVATE, PAIR], "steps": 4, "seed": 3}
    tuner.train(model, output=tmp_path / "whole", **job)
    calls = []
    for kind in (WeightedSFTTrainer, DPOTrainer):
        original = kind.training_step

        def counted(self, *args, original=original, **options):
            calls.append(type(self).__name__)
            if len(calls) == die_at:
                raise Killed
            return original(self, *args, **options)

        monkeypatch.setattr(kind, "training_step", counted)
    with pytest.raises(Killed):
        tuner.train(model, output=tmp_path / "killed", **job)
    assert not (tmp_path / "killed").exists()
    tuner.train(model, output=tmp_path / "killed", **job)
    if die_at > 4:
        assert set(calls[die_at:]) == {"PreparedDPOTrainer"}, "what was supervised is not supervised again"
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "killed"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("changes", [{"beta": 0.0}, {"preference_steps": 0}, {"preference_learning_rate": -1.0}])
def test_settings_that_cannot_train_are_refused(changes):
    with pytest.raises(ValidationError, match=next(iter(changes))):
        dpo(**changes)
