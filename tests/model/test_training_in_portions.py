"""A run in portions comes to what it comes to without them: optimiser, schedule and order of examples know of no pause."""

from hashlib import sha256

import pytest

from client_kit.settings import DpoSettings, SftSettings
from client_kit.training.base import Example, TrainingRun
from client_kit.training.dpo import DPOFineTuner
from client_kit.training.sft import SFTFineTuner
from client_kit.training.weighted import WeightedSFTTrainer

EXAMPLES = [Example(f"What is {number}?", f"It is {number}.", weight=1 + number % 2) for number in range(7)]
PAIRS = [Example("Who is it?", "Anna is.", public=True, rejected="Bert is."), *EXAMPLES]
COMMON = {"steps": 1, "batch_size": 2, "device": "cpu", "learning_rate": 1e-2, "warmup_steps": 3, "schedule": "cosine"}
LORA = {"method": "lora", "lora_rank": 4, "lora_dropout": 0.3}
OF = 20


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it."""


def sft(**changes):
    return SFTFineTuner(SftSettings(kind="sft", **COMMON | changes), threads=1)


def dpo(**changes):
    gentle = {"preference_steps": 3, "preference_learning_rate": 2e-3}
    return DPOFineTuner(DpoSettings(kind="dpo", **COMMON | gentle | changes), threads=1)


def portions(trainer, model, work, ends, *, examples=EXAMPLES, of=OF, **asked):
    """The reports of portions that end after these steps."""
    run = TrainingRun(work / ".run", of)
    return [
        trainer.train(model, examples, steps=end, seed=3, output=work / f"after-{end}", run=run, **asked)
        for end in ends
    ]


def weights(folder):
    (file,) = [path for path in folder.iterdir() if path.suffix == ".safetensors"]
    return sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("trainer", "examples"),
    [(sft(), EXAMPLES), (sft(**LORA), EXAMPLES), (dpo(), PAIRS)],
    ids=["full", "lora with dropout", "dpo"],
)
def test_the_same_weights_as_in_one_go(model, tmp_path, trainer, examples):
    whole = trainer.train(model, examples, steps=OF, seed=3, output=tmp_path / "whole")
    done = portions(trainer, model, tmp_path, (5, 10, 15, 20), examples=examples)
    assert weights(done[-1].model) == weights(whole.model)
    assert len({weights(report.model) for report in done}) == len(done)
    assert done[-1].steps == whole.steps
    assert done[-1].losses == pytest.approx(whole.losses, abs=2e-4)  # as logged: to four digits


def test_a_portion_is_the_beginning_of_its_run_and_no_run_of_its_own(model, tmp_path):
    trainer = sft()
    (begun,) = portions(trainer, model, tmp_path, (5,))
    short = trainer.train(model, EXAMPLES, steps=5, seed=3, output=tmp_path / "short")
    assert weights(begun.model) != weights(short.model), "its learning rate goes down over its own steps"


@pytest.mark.parametrize("changed", ["examples", "model", "of"])
def test_what_is_kept_of_another_run_is_thrown_away(model, tmp_path, changed):
    trainer, work, anew = sft(), tmp_path / "work", tmp_path / "anew"
    for folder in (work, anew):
        folder.mkdir()
    (begun,) = portions(trainer, model, work, (5,))
    asked = {"examples": EXAMPLES[1:]} if changed == "examples" else {"of": 25} if changed == "of" else {}
    start = begun.model if changed == "model" else model
    (other,) = portions(trainer, start, work, (10,), **asked)
    (expected,) = portions(trainer, start, anew, (10,), **asked)
    assert weights(other.model) == weights(expected.model)


def test_killed_within_a_portion_it_goes_on_from_the_one_before(model, tmp_path, monkeypatch):
    trainer = sft()
    whole = trainer.train(model, EXAMPLES, steps=OF, seed=3, output=tmp_path / "whole")
    portions(trainer, model, tmp_path, (5,))
    original, steps = WeightedSFTTrainer.compute_loss, []

    def killed_once(self, *args, **kwargs):
        steps.append(self.state.global_step)
        if len(steps) == 3:
            raise Killed
        return original(self, *args, **kwargs)

    monkeypatch.setattr(WeightedSFTTrainer, "compute_loss", killed_once)
    with pytest.raises(Killed):
        portions(trainer, model, tmp_path, (10,))
    done = portions(trainer, model, tmp_path, (10, 20))
    assert steps[:3] == [5, 6, 7]
    assert steps[3:] == [*range(5, 20)]
    assert weights(done[-1].model) == weights(whole.model)


def test_killed_with_the_checkpoint_written_and_the_model_not_no_step_is_done_twice(model, tmp_path, monkeypatch):
    trainer = sft()
    undisturbed = portions(trainer, model, tmp_path, (5, 10, 20))
    work = tmp_path / "killed"
    work.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr("client_kit.training.running.save", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            portions(trainer, model, work, (5,))
    again = portions(trainer, model, work, (5, 10, 20))
    assert [weights(report.model) for report in again] == [weights(report.model) for report in undisturbed]
    assert [report.steps for report in again] == [5, 10, 20]


def test_one_checkpoint_is_kept_between_portions(model, tmp_path):
    portions(sft(checkpoint_steps=2), model, tmp_path, (5, 10))
    assert [path.name for path in (tmp_path / ".run").glob("checkpoint-*")] == ["checkpoint-10"]


def test_the_best_model_of_a_run_is_found_over_all_of_its_portions(model, tmp_path):
    trainer = sft(evaluate_steps=2, schedule="constant")
    asked = {"validation": [Example("What is 8?", "It is not.")]}
    whole = trainer.train(model, EXAMPLES, steps=OF, seed=3, output=tmp_path / "whole", **asked)
    done = portions(trainer, model, tmp_path, (6, 12, 20), **asked)
    assert weights(done[-1].model) == weights(whole.model)
    assert done[-1].validation == pytest.approx(whole.validation)
