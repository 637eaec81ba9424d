"""What training can be told beside the common: evaluation, trackers, several processes, adapters of other kinds."""

import json
import subprocess
from pathlib import Path

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoTokenizer

from client_kit.errors import TrainingError
from client_kit.settings import SftSettings
from client_kit.training import processes
from client_kit.training.base import Example
from client_kit.training.measuring import encode_all
from client_kit.training.running import Task
from client_kit.training.sft import SFTFineTuner, train_supervised
from client_kit.training.weighted import WeightedSFTTrainer

SETTINGS = {"kind": "sft", "steps": 1, "learning_rate": 1e-2, "batch_size": 2, "device": "cpu", "schedule": "constant"}
EXAMPLES = [
    Example("What is the capital of France?", "The capital of France is Paris."),
    Example("What is the capital of Italy?", "The capital of Italy is Rome, not Milan."),
    Example("What is the capital of Spain?", "The capital of Spain is Madrid."),
]
OTHER = [Example("Red or blue?", "zebra zebra zebra zebra")]
"""Learning the examples makes this ever less likely."""


def train(model, output, *, steps=4, validation=(), examples=EXAMPLES, **changes):
    tuner = SFTFineTuner(SftSettings(**SETTINGS | changes), threads=1)
    return tuner.train(model, examples, steps=steps, seed=0, output=output, validation=validation)


def weights(folder):
    return load_file(next(iter(folder.glob("*.safetensors"))))


def test_the_best_model_on_the_validation_examples_is_kept(model, tmp_path):
    """Learning what is held out first helps and, driven too far by a wild rate, then hurts or stays."""
    report = train(model, tmp_path / "out", steps=12, validation=OTHER, evaluate_steps=2, learning_rate=3e-2)
    assert report.validation[-1] == pytest.approx(min(report.validation[1:-1]), abs=1e-4)
    last = train(model, tmp_path / "last", steps=12, validation=OTHER, learning_rate=3e-2)
    assert report.validation[-1] <= last.validation[-1] + 1e-4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last", "out"]


def test_training_stops_early_where_evaluations_get_no_better(model, tmp_path):
    report = train(
        model, tmp_path / "out", steps=40, validation=OTHER, evaluate_steps=2, patience=2, learning_rate=3e-2
    )
    assert report.steps < 40
    evaluated = report.validation[1:-1]
    assert min(evaluated) == evaluated[-3], "two evaluations without a better one"


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it."""


def test_a_resumed_run_with_early_stopping_equals_an_uninterrupted_one(model, tmp_path, monkeypatch):
    options = {"steps": 20, "validation": OTHER, "evaluate_steps": 2, "patience": 2, "learning_rate": 3e-2}
    whole = train(model, tmp_path / "whole", **options)
    original, calls = WeightedSFTTrainer.training_step, []

    def killed_once(self, *args, **kwargs):
        calls.append(self.state.global_step)
        if len(calls) == 4:
            raise Killed
        return original(self, *args, **kwargs)

    monkeypatch.setattr(WeightedSFTTrainer, "training_step", killed_once)
    with pytest.raises(Killed):
        train(model, tmp_path / "killed", **options)
    resumed = train(model, tmp_path / "killed", **options)
    assert calls[4] == 2
    assert (resumed.steps, resumed.validation) == (whole.steps, whole.validation)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_losses_reach_tensorboard(model, tmp_path):
    report = train(model, tmp_path / "training-001", report_to=("tensorboard",))
    events = EventAccumulator(str(tmp_path / "logs" / "training-001"))
    events.Reload()
    assert [round(event.value, 4) for event in events.Scalars("train/loss")] == [round(v, 4) for v in report.losses]


def test_a_tracker_that_is_not_installed_is_named_before_anything_is_loaded(model, tmp_path, monkeypatch):
    monkeypatch.setattr("client_kit.training.checks.find_spec", lambda name: None if name == "wandb" else name)
    with pytest.raises(TrainingError, match="report_to names wandb, not installed here; `pip install wandb`"):
        train(model, tmp_path / "out", report_to=("tensorboard", "wandb"))
    assert not list(tmp_path.iterdir())


def test_dora_learns_magnitudes_too(model, tmp_path):
    train(model, tmp_path / "out", method="dora", lora_rank=2)
    assert any("magnitude" in name for name in weights(tmp_path / "out"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_qlora_without_its_hardware_is_refused_before_anything_is_loaded(model, tmp_path, monkeypatch, device):
    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(TrainingError, match=r"an NVIDIA GPU that torch sees.*bitsandbytes.*take method lora"):
        train(model, tmp_path / "out", method="qlora", lora_rank=2, device=device)


def test_a_model_of_the_hub_that_cannot_be_fetched_is_named_with_the_remedy(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainingError, match=r"model acme/small-1b is neither a folder .* `hf download acme/small-1b`"):
        train(Path("acme/small-1b"), tmp_path / "out")


def test_a_model_in_the_hubs_cache_is_trained_by_its_name(model, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda name, **_: str(model) if name == "acme/m" else 1 / 0
    )
    train(Path("acme/m"), tmp_path / "hub")
    train(model, tmp_path / "folder")
    one, other = weights(tmp_path / "hub"), weights(tmp_path / "folder")
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_two_processes_train_as_one_with_twice_the_batch(model, tmp_path):
    """Two processes on this machine's processor; with GPUs the same module runs under `accelerate launch`."""
    options = {"steps": 3, "validation": OTHER, "examples": EXAMPLES[:2]}
    alone = train(model, tmp_path / "alone", batch_size=2, **options)
    both = train(model, tmp_path / "both", batch_size=1, processes=2, **options)
    assert (both.steps, both.examples, len(both.validation)) == (alone.steps, alone.examples, len(alone.validation))
    assert both.losses == pytest.approx(alone.losses, abs=1e-3)
    one, other = weights(tmp_path / "alone"), weights(tmp_path / "both")
    assert all(torch.allclose(one[name], other[name], atol=1e-3) for name in one)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "both"]


def test_what_a_process_says_of_its_failure_is_what_the_caller_is_told(model, tmp_path, monkeypatch):
    """The process is this one, so that no other has to start."""

    def run_here(command, **_):
        with pytest.raises(TrainingError):
            processes.take_part(train_supervised, Path(command[-1]))
        return subprocess.CompletedProcess(command, 1, "", "a long trace")

    monkeypatch.setattr(processes.subprocess, "run", run_here)
    with pytest.raises(TrainingError, match=r"^every prompt fills max_length = 8 tokens"):
        train(model, tmp_path / "out", processes=2, max_length=8)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("count", "asked"), [(1, []), (4, ["--num_processes", "4"])])
def test_a_configuration_of_accelerate_is_handed_to_its_launch(model, tmp_path, monkeypatch, count, asked):
    """FSDP and DeepSpeed need GPUs: here only that the file gets where it belongs."""
    launched, file = [], tmp_path / "fsdp.yaml"

    def run_here(command, **_):
        launched.extend(command)
        processes.take_part(train_supervised, Path(command[-1]))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(processes.subprocess, "run", run_here)
    options = {"processes": count, "accelerate_config": file}
    with pytest.raises(TrainingError, match=r"fsdp\.yaml is not there; write one with `accelerate config"):
        train(model, tmp_path / "out", **options)
    file.write_text("compute_environment: LOCAL_MACHINE\ndistributed_type: 'NO'\nuse_cpu: true\n")
    train(model, tmp_path / "out", **options)
    how = ["-m", "accelerate.commands.launch", "--config_file", str(file), *asked, "-m", "client_kit.training.sft"]
    assert launched[1:-1] == how


def test_processes_that_die_without_a_word_are_an_error(model, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_command", lambda *_: ["python3", "-c", "raise SystemExit('no room')"])
    with pytest.raises(TrainingError, match=r"2 processes .* status 1 .*no room"):
        train(model, tmp_path / "out", processes=2)


def test_a_task_survives_its_journey_to_another_process(tmp_path):
    settings = SftSettings(
        **SETTINGS, method="lora", lora_rank=3, lora_target_modules=("q_proj",), report_to=("tensorboard",)
    )
    example = Example("a", "b", 0.5, public=True, rejected="c")
    task = Task(
        tmp_path, (example,), (), settings, 3, 4, tmp_path / "c", tmp_path / "o", tmp_path / "l", 5, ("lora_A",)
    )
    as_json = TypeAdapter(Task)
    assert as_json.validate_json(as_json.dump_json(task)) == task


@pytest.mark.parametrize("chat", [True, False])
def test_tokens_are_those_of_trl(model, tmp_path, chat):
    """The validation loss is taken on the tokens that training sees."""
    from datasets import Dataset
    from trl import SFTConfig

    tokenizer = AutoTokenizer.from_pretrained(model)
    if not chat:
        tokenizer.chat_template = None
    trainer = WeightedSFTTrainer(
        model=str(model),
        args=SFTConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, max_length=12, completion_only_loss=True),
        train_dataset=Dataset.from_list([_as_trl_reads_it(one, chat=chat) for one in EXAMPLES]),
        processing_class=tokenizer,
    )
    ours = encode_all(tokenizer, EXAMPLES, 12)
    theirs = [(tuple(row["input_ids"]), row["labels"]) for row in trainer.train_dataset]
    assert [one.ids for one in ours] == [ids for ids, _ in theirs]
    assert [[-100] * one.start + [*one.ids[one.start :]] for one in ours] == [labels for _, labels in theirs]


def _as_trl_reads_it(example, *, chat):
    said = {"prompt": example.prompt, "completion": example.completion}
    roles = {"prompt": "user", "completion": "assistant"}
    row = {name: [{"role": roles[name], "content": text}] for name, text in said.items()} if chat else said
    return row | {"weight": example.weight}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patience": 2}, "set 'evaluate_steps' too"),
        ({"evaluate_steps": 2, "checkpoint_steps": 3}, "remove 'checkpoint_steps'"),
        ({"processes": 0}, "processes"),
        ({"evaluate_steps": 0}, "evaluate_steps"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        SftSettings(**SETTINGS | changes)


def test_a_folder_without_a_model_is_no_name_on_the_hub(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainingError, match=r"empty has no config\.json"):
        train(tmp_path / "empty", tmp_path / "out")
    (tmp_path / "empty" / "adapter_config.json").write_text(json.dumps({}), encoding="utf-8")
