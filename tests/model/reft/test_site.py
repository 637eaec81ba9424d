"""A site that trains with ReFT and answers with what it trained: the kit's trainer, generator and settings."""

import pytest
import torch
from peft import PeftModel
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from client_kit.errors import TrainingError
from client_kit.generation.base import Sampling
from client_kit.settings import DpoSettings, SftSettings, SiteSettings, TransformersSettings
from client_kit.training.base import Example
from client_kit.training.measuring import validation_loss
from client_kit.training.reft import interventions, read_adapter
from client_kit.training.sft import SFTFineTuner
from client_kit.training.weighted import WeightedSFTTrainer
from client_kit.wire import Prompt
from client_kit.wiring import open_source
from tests.support.tiny_model import CHAT_TEMPLATE, write_tiny_model

EXAMPLES = [
    Example("what is the capital", "the capital is a city"),
    Example("name one river", "a river in a country"),
    Example("name a red bird", "one bird is red and blue", 0.5),
]
PROMPTS = [Prompt(prompt_id=f"p{place}", prompt=one.prompt) for place, one in enumerate(EXAMPLES)]
SETTINGS = {"kind": "sft", "method": "reft", "steps": 4, "batch_size": 2, "device": "cpu"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "base", chat_template=CHAT_TEMPLATE)


def train(model, output, *, steps=4, **changes):
    options = {"learning_rate": 2e-2, "schedule": "constant", "reft_rank": 2} | changes
    return SFTFineTuner(SftSettings(**SETTINGS | options), threads=1).train(
        model, EXAMPLES, steps=steps, seed=0, output=output
    )


def answers(folder, base):
    settings = TransformersSettings(kind="transformers", model=str(base), device="cpu")
    generator = open_source(settings, work=base.parent, threads=1).open(folder)
    return {one.prompt_id: one.text for one in generator.generate(PROMPTS, Sampling(max_tokens=8))}


def test_a_site_learns_and_answers_with_what_it_learned(model, tmp_path):
    report = train(model, tmp_path / "out", steps=80, reft_rank=8, reft_init="identity")
    assert report.losses[-1] < 0.75 * report.losses[0]
    found = answers(tmp_path / "out", model)
    assert answers(model, model) != found
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), tmp_path / "out").eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    for place, example in enumerate(EXAMPLES):
        ids = tokenizer(f"<user> {example.prompt} <bot> ", return_tensors="pt")["input_ids"]
        tokens = loaded.generate(input_ids=ids, max_new_tokens=8, do_sample=False)[0, ids.shape[1] :]
        assert tokenizer.decode(tokens, skip_special_tokens=True) == found[f"p{place}"]


def test_the_generator_loads_what_peft_loads(model, tmp_path):
    train(model, tmp_path / "out")
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), tmp_path / "out")
    config, tensors = read_adapter(tmp_path / "out")
    assert (config.rank, config.base_model_name_or_path) == (2, str(model))
    assert all(torch.equal(value, interventions(loaded)[name]) for name, value in tensors.items())


class Crash(Exception):  # noqa: N818 - a crash
    pass


def test_a_resumed_training_equals_an_uninterrupted_one(model, tmp_path, monkeypatch):
    options = {"steps": 7, "checkpoint_steps": 2, "schedule": "linear", "weight_decay": 0.1}
    train(model, tmp_path / "whole", **options)
    original, seen = WeightedSFTTrainer.compute_loss, []

    def crash(self, *args, **kwargs):
        seen.append(self.state.global_step)
        if len(seen) == 6:
            raise Crash
        return original(self, *args, **kwargs)

    monkeypatch.setattr(WeightedSFTTrainer, "compute_loss", crash)
    with pytest.raises(Crash):
        train(model, tmp_path / "resumed", **options)
    train(model, tmp_path / "resumed", **options)
    assert seen[6] == 4, "it goes on from the last checkpoint"
    whole, resumed = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "resumed"))
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_the_validation_loss_sees_the_edits(model, tmp_path):
    train(model, tmp_path / "out", steps=60)
    base, tokenizer = AutoModelForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    before = validation_loss(base, tokenizer, EXAMPLES, 64, 2)
    assert validation_loss(PeftModel.from_pretrained(base, tmp_path / "out"), tokenizer, EXAMPLES, 64, 2) < 0.8 * before


def test_prompts_shorter_than_the_positions_are_refused_or_halved(model, tmp_path):
    with pytest.raises(TrainingError, match=r"a prompt has 5 tokens, and ReFT's positions f4\+l4 need 8; .*halve"):
        train(model, tmp_path / "out", reft_positions="f4+l4")
    assert not list(tmp_path.iterdir())
    assert train(model, tmp_path / "out", reft_positions="f4+l4", reft_short_prompts="halve").steps == 4


def test_reft_has_a_learning_rate_of_its_own():
    assert SftSettings(**SETTINGS).learning_rate == 9e-4
    assert SftSettings(**SETTINGS, learning_rate=1e-3).learning_rate == 1e-3
    assert SftSettings(**SETTINGS | {"method": "lora"}).learning_rate == 2e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reft_rank": 0}, "reft_rank"),
        ({"reft_positions": "l2+f2"}, "reft_positions"),
        ({"lora_rank": 4}, "method 'reft' trains no LoRA adapter"),
        ({"method": "lora", "reft_rank": 4}, "for method: reft"),
    ],
)
def test_settings_of_another_method_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        SftSettings(**SETTINGS | changes)


def test_dpo_and_other_generators_are_refused_with_the_reason(tmp_path):
    with pytest.raises(ValidationError, match="hides from ReFT where prompts end"):
        DpoSettings(**SETTINGS | {"kind": "dpo"})
    site = {"generator": {"kind": "vllm", "model": "./base"}, "trainer": SETTINGS, "private": "./private.jsonl"}
    with pytest.raises(ValidationError, match="generator 'vllm' cannot answer with method reft"):
        SiteSettings(**site)
