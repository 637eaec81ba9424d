"""What every trainer keeps to, whatever it trains."""

import pytest

from client_kit.errors import TrainingError
from client_kit.pocket.recipes import ModelRecipe
from client_kit.settings import DpoSettings, DpSettings, SftSettings
from client_kit.training.base import Example, Trainer
from client_kit.training.dpo import DPOFineTuner
from client_kit.training.private import DPFineTuner
from client_kit.training.sft import SFTFineTuner

EXAMPLES = [
    Example("What is the capital of France?", "The capital of France is Paris."),
    Example("What is the capital of Italy?", "The capital of Italy is Rome.", 0.5),
]


COMMON = {"steps": 1, "batch_size": 2, "learning_rate": 1e-2, "device": "cpu"}


def _sft(**changes) -> Trainer:
    return SFTFineTuner(SftSettings(kind="sft", **COMMON, **changes), threads=1)


def _dpo() -> Trainer:
    return DPOFineTuner(DpoSettings(kind="dpo", **COMMON, preference_steps=1), threads=1)


def _dp(**changes) -> Trainer:
    budget = {"epsilon": 8.0, "delta": 0.01, "planned_steps": 20, "accountant": "rdp"}
    return DPFineTuner(DpSettings(kind="dp", **COMMON, **budget, expected_batch=2, **changes), threads=1)


TRAINERS = {
    "sft-full": _sft,
    "sft-lora": lambda: _sft(method="lora", lora_rank=2),
    "sft-dora": lambda: _sft(method="dora", lora_rank=2),
    "sft-reft": lambda: _sft(method="reft", reft_rank=2),
    "dpo": _dpo,
    "dp-full": _dp,
    "dp-lora": lambda: _dp(method="lora", lora_rank=2),
}


@pytest.fixture(scope="module")
def model(pocket_base):
    recipe = ModelRecipe("neox", "gpt_neox", "metaspace_bpe", 200, width=32, layers=1, heads=1, steps=3, batch_size=4)
    return pocket_base(recipe)


@pytest.fixture(params=TRAINERS.values(), ids=TRAINERS.keys())
def trainer(request) -> Trainer:
    return request.param()


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.safetensors"))}


def numbers_in(folder):
    """What was saved is what was trained: all weights, or the adapter's."""
    from safetensors.numpy import load_file

    return sum(array.size for path in folder.glob("*.safetensors") for array in load_file(path).values())


def test_training_writes_the_folder_that_it_reports(trainer, model, tmp_path):
    report = trainer.train(model, EXAMPLES, steps=2, seed=0, output=tmp_path / "out")
    assert report.model == tmp_path / "out"
    assert contents(report.model)
    assert report.trainable == numbers_in(report.model)
    assert (report.steps, report.examples) == (2, 2)
    assert report.seconds > 0
    assert all(loss > 0 for loss in report.losses)
    assert report.validation == ()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "privacy.json") == ["out"]
    assert (report.privacy is not None) == (tmp_path / "privacy.json").exists()


def test_held_out_examples_are_judged_and_teach_nothing(trainer, model, tmp_path):
    held_out = [Example("What is the capital of Spain?", "The capital of Spain is Madrid.")]
    plain = trainer.train(model, EXAMPLES, steps=2, seed=0, output=tmp_path / "plain")
    report = trainer.train(model, EXAMPLES, steps=2, seed=0, output=tmp_path / "judged", validation=held_out)
    assert contents(plain.model) == contents(report.model)
    again = trainer.train(report.model, EXAMPLES, steps=1, seed=0, output=tmp_path / "again", validation=held_out)
    assert report.validation[0] > 0
    assert report.validation[-1] == pytest.approx(again.validation[0], abs=1e-4)


def test_the_model_trained_from_stays_as_it_was(trainer, model, tmp_path):
    before = contents(model)
    trainer.train(model, EXAMPLES, steps=1, seed=0, output=tmp_path / "out")
    assert contents(model) == before


def test_equal_inputs_give_equal_weights(trainer, model, tmp_path):
    for name in ("a", "b"):
        trainer.train(model, EXAMPLES, steps=2, seed=3, output=tmp_path / name)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_a_trained_model_can_be_trained_on(trainer, model, tmp_path):
    trainer.train(model, EXAMPLES, steps=1, seed=0, output=tmp_path / "one")
    trainer.train(tmp_path / "one", EXAMPLES, steps=1, seed=0, output=tmp_path / "two")
    assert contents(tmp_path / "one") != contents(tmp_path / "two")


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([], "no examples"),
        ([Example("a", "b", 0.0), Example("c", "d", 0.0)], "all 2 examples have weight 0"),
        ([Example("a", "b", 1.0), Example("c", "d", -1.0)], "example 1 has weight -1"),
        ([Example("a", "b", float("nan"))], "example 0 has weight nan"),
    ],
)
def test_examples_that_teach_nothing_are_refused(trainer, model, tmp_path, examples, message):
    with pytest.raises(TrainingError, match=message):
        trainer.train(model, examples, steps=1, seed=0, output=tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_missing_models_taken_outputs_and_no_steps_are_refused(trainer, model, tmp_path):
    with pytest.raises(TrainingError, match="nowhere does not exist"):
        trainer.train(tmp_path / "nowhere", EXAMPLES, steps=1, seed=0, output=tmp_path / "out")
    with pytest.raises(TrainingError, match=r"has no config\.json"):
        trainer.train(tmp_path, EXAMPLES, steps=1, seed=0, output=tmp_path / "out")
    with pytest.raises(TrainingError, match="steps is 0"):
        trainer.train(model, EXAMPLES, steps=0, seed=0, output=tmp_path / "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(TrainingError, match="is there already"):
        trainer.train(model, EXAMPLES, steps=1, seed=0, output=tmp_path / "out")
