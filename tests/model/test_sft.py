"""Fine-tuning with TRL, tested by what must not change."""

import dataclasses
import json
import sys

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from client_kit.errors import MissingExtra, TrainingError
from client_kit.settings import SftSettings
from client_kit.training.base import Example
from client_kit.training.sft import SFTFineTuner
from client_kit.training.weighted import WeightedSFTTrainer

SETTINGS = {"learning_rate": 1e-2, "batch_size": 32, "device": "cpu", "schedule": "constant"}
LORA = {"method": "lora", "lora_rank": 2}
EXAMPLES = [
    Example("What is the capital of France?", "The capital of France is Paris."),
    Example("What is the capital of Italy?", "In Italy the capital is Rome, and nothing but Rome."),
    Example("Name the capital city of Spain.", "Madrid is the capital city of Spain."),
]


def tuner(**changes):
    return SFTFineTuner(SftSettings(kind="sft", steps=1, **SETTINGS | changes), threads=1)


def trained(model, examples, output, *, steps=4, seed=0, **changes):
    tuner(**changes).train(model, examples, steps=steps, seed=seed, output=output)
    return weights(output)


def weights(folder):
    return load_file(next(iter(folder.glob("*.safetensors"))))


def same(one, other, tolerance=0.0):
    return one.keys() == other.keys() and all(
        torch.allclose(one[name], other[name], rtol=0, atol=tolerance) for name in one
    )


def weighted(examples, values):
    return [dataclasses.replace(example, weight=value) for example, value in zip(examples, values, strict=True)]


def test_weight_two_equals_the_example_twice(model, tmp_path):
    twice = trained(model, [EXAMPLES[0], *EXAMPLES], tmp_path / "twice")
    doubled = trained(model, weighted(EXAMPLES, [2.0, 1.0, 1.0]), tmp_path / "doubled")
    plain = trained(model, EXAMPLES, tmp_path / "plain")
    assert same(twice, doubled, 2e-4)
    assert not same(plain, doubled, 2e-3)


def test_weight_zero_equals_absence(model, tmp_path):
    zero = trained(model, weighted(EXAMPLES, [1.0, 0.0, 1.0]), tmp_path / "zero")
    assert same(zero, trained(model, [EXAMPLES[0], EXAMPLES[2]], tmp_path / "absent"))


def test_only_the_ratio_of_weights_matters(model, tmp_path):
    halves = trained(model, weighted(EXAMPLES, [0.5, 0.25, 0.5]), tmp_path / "halves")
    assert same(halves, trained(model, weighted(EXAMPLES, [4.0, 2.0, 4.0]), tmp_path / "fours"), 2e-4)


def test_accumulated_batches_equal_one_batch(model, tmp_path):
    parts = weighted(EXAMPLES[:2], [3.0, 0.5])
    whole = trained(model, parts, tmp_path / "whole", batch_size=2, steps=2)
    assert same(whole, trained(model, parts, tmp_path / "parts", batch_size=1, accumulate=2, steps=2), 2e-4)


def test_the_loss_is_taken_on_completions_only(model, tmp_path):
    """The first loss equals the mean negative log-likelihood of the completions' tokens, by hand."""
    report = tuner().train(model, EXAMPLES, steps=1, seed=0, output=tmp_path / "one")
    network, tokenizer = AutoModelForCausalLM.from_pretrained(model), AutoTokenizer.from_pretrained(model)
    total, count = 0.0, 0
    for example in EXAMPLES:
        prompt = tokenizer(f"<user>{example.prompt}<assistant>", add_special_tokens=False)["input_ids"]
        completion = tokenizer(f"{example.completion}<end>", add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = network(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        total -= sum(float(logits[len(prompt) + i - 1, token]) for i, token in enumerate(completion))
        count += len(completion)
    assert report.losses[0] == pytest.approx(total / count, abs=1e-4)


def test_equal_seeds_give_equal_weights_and_others_do_not(model, tmp_path):
    first = trained(model, EXAMPLES, tmp_path / "a", batch_size=1)
    assert same(first, trained(model, EXAMPLES, tmp_path / "b", batch_size=1))
    assert not same(first, trained(model, EXAMPLES, tmp_path / "c", batch_size=1, seed=1), 1e-3)


class Crash(Exception):  # noqa: N818 - a crash
    pass


@pytest.mark.parametrize("adapter", [{}, LORA | {"lora_dropout": 0.2}], ids=["full", "lora"])
def test_a_resumed_run_equals_an_uninterrupted_one(model, tmp_path, monkeypatch, adapter):
    options = {"steps": 7, "batch_size": 2, "checkpoint_steps": 2, "schedule": "linear", **adapter}
    whole = trained(model, EXAMPLES, tmp_path / "whole", **options)
    original, seen = WeightedSFTTrainer.compute_loss, []

    def crash(self, *args, **kwargs):
        seen.append(self.state.global_step)
        if len(seen) == 6:
            raise Crash
        return original(self, *args, **kwargs)

    monkeypatch.setattr(WeightedSFTTrainer, "compute_loss", crash)
    with pytest.raises(Crash):
        trained(model, EXAMPLES, tmp_path / "resumed", **options)
    assert not (tmp_path / "resumed").exists()
    resumed = trained(model, EXAMPLES, tmp_path / "resumed", **options)
    assert seen[6] == 4, "it goes on from the last checkpoint"
    assert same(whole, resumed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["resumed", "whole"]


def test_checkpoints_of_another_job_are_not_taken_up(model, tmp_path):
    left = tmp_path / ".out.checkpoints"
    (left / "checkpoint-2").mkdir(parents=True)
    (left / "job.sha256").write_text("another", encoding="utf-8")
    assert trained(model, EXAMPLES, tmp_path / "out", checkpoint_steps=2)
    assert not left.exists()


def test_lora_gives_an_adapter_that_is_trained_on(model, tmp_path):
    adapter = trained(model, EXAMPLES, tmp_path / "first", **LORA)
    settings = json.loads((tmp_path / "first" / "adapter_config.json").read_text(encoding="utf-8"))
    assert (settings["r"], settings["base_model_name_or_path"]) == (2, str(model))
    onward = trained(tmp_path / "first", EXAMPLES, tmp_path / "second", **LORA)
    assert {name: value.shape for name, value in adapter.items()} == {n: v.shape for n, v in onward.items()}
    assert not same(adapter, onward, 1e-4)


def test_a_tokenizer_without_chat_template_is_given_plain_text(model, tmp_path):
    plain = tmp_path / "plain"
    AutoModelForCausalLM.from_pretrained(model).save_pretrained(plain)
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokenizer.chat_template = None
    tokenizer.save_pretrained(plain)
    assert not same(weights(plain), trained(plain, EXAMPLES, tmp_path / "out"), 1e-3)


def test_prompts_longer_than_the_limit_are_an_error(model, tmp_path):
    with pytest.raises(TrainingError, match="every prompt fills max_length = 8 tokens"):
        trained(model, EXAMPLES, tmp_path / "out", max_length=8)
    assert not list(tmp_path.iterdir())


def test_folders_without_usable_parts_are_named(model, tmp_path):
    AutoModelForCausalLM.from_pretrained(model).save_pretrained(tmp_path / "mute")
    with pytest.raises(TrainingError, match="mute has no tokenizer that loads"):
        trained(tmp_path / "mute", EXAMPLES, tmp_path / "out")
    AutoTokenizer.from_pretrained(model).save_pretrained(tmp_path / "hollow")
    (tmp_path / "hollow" / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(TrainingError, match="hollow does not load"):
        trained(tmp_path / "hollow", EXAMPLES, tmp_path / "out")


def test_libraries_are_left_as_they_were(model, tmp_path, capsys):
    threads = torch.get_num_threads()
    trained(model, EXAMPLES, tmp_path / "out")
    assert torch.get_num_threads() == threads
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "changes",
    [{"learning_rate": 0.0}, {"batch_size": 0}, {"accumulate": 0}, {"max_length": 0}, {"checkpoint_steps": 0}],
)
def test_settings_that_cannot_train_are_refused(changes):
    with pytest.raises(ValidationError, match=next(iter(changes))):
        tuner(**changes)


@pytest.mark.parametrize("adapter", [{}, LORA], ids=["full", "lora"])
def test_arithmetic_in_bfloat16_keeps_trained_weights_in_float32(model, tmp_path, adapter):
    result = trained(model, EXAMPLES, tmp_path / "out", precision="bfloat16", **adapter)
    assert {value.dtype for value in result.values()} == {torch.float32}


def test_a_training_that_diverges_is_an_error_and_leaves_nothing(model, tmp_path):
    with pytest.raises(TrainingError, match=r"training diverged.*lower the learning rate"):
        trained(model, EXAMPLES, tmp_path / "out", learning_rate=1e38, steps=6)
    assert not list(tmp_path.iterdir())


def test_a_device_without_memory_is_an_error_with_a_remedy(model, tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(WeightedSFTTrainer, "compute_loss", full)
    with pytest.raises(TrainingError, match="too little memory; lower batch_size"):
        trained(model, EXAMPLES, tmp_path / "out")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_gpu_that_is_not_there_is_an_error(model, tmp_path):
    with pytest.raises(TrainingError, match="torch finds no GPU"):
        trained(model, EXAMPLES, tmp_path / "out", device="cuda")


def test_without_the_extra_the_error_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(MissingExtra, match=r"pip install 'semantic-consensus\[train\]'"):
        trained(model, EXAMPLES, tmp_path / "out")
