"""Which checkpoints a training goes on from, and adapters whose base has moved."""

import json
from contextlib import suppress

import pytest
import torch
from safetensors.torch import save_file

from client_kit.adapter_folders import base_of
from client_kit.errors import TrainingError, UnknownModel
from client_kit.generation.vllm_weights import weights
from client_kit.settings import SftSettings
from client_kit.training.base import Example
from client_kit.training.checkpoints import checkpoint_folder, job_digest
from client_kit.training.models import model_folder

FILES = ("model.safetensors", "optimizer.pt", "trainer_state.json", "rng_state.pth", "config.json", "training_args.bin")


def checkpoint(folder, step):
    there = folder / f"checkpoint-{step}"
    there.mkdir(parents=True)
    save_file({"w": torch.zeros(64)}, there / "model.safetensors")
    for name in ("optimizer.pt", "rng_state.pth", "training_args.bin"):
        torch.save({"w": torch.zeros(64)}, there / name)
    for name in ("trainer_state.json", "config.json"):
        (there / name).write_text(json.dumps({"global_step": step}))
    return there


def killed(output, job, *, steps):
    """The folder that a training leaves which is killed after these steps."""
    with suppress(KeyboardInterrupt), checkpoint_folder(output, job) as folder:
        assert not list(folder.glob("checkpoint-*"))
        for step in steps:
            checkpoint(folder, step)
        raise KeyboardInterrupt
    return folder


@pytest.mark.parametrize("left", ["half", "nothing"])
@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_of_which_a_file_is_cut_is_not_gone_on_from(tmp_path, name, left):
    output = tmp_path / "out"
    folder = killed(output, "job", steps=(1, 2))
    torn = folder / "checkpoint-2" / name
    torch.save({"w": torch.zeros(64)}, folder / "state.pt")
    whole = torn.read_bytes()
    torn.write_bytes(whole[: len(whole) // 2] if left == "half" and name != "training_args.bin" else b"")
    (folder / "state.pt").write_bytes((folder / "state.pt").read_bytes()[:-10])
    with checkpoint_folder(output, "job") as folder:
        assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-1"]
        assert not (folder / "state.pt").exists()


def test_a_checkpoint_of_another_order_of_the_data_is_thrown_away(tmp_path):
    (tmp_path / "model").mkdir()
    one, other = Example("a", "b"), Example("c", "d", turns=(("system", "Be short."),))
    jobs = [job_digest(tmp_path / "model", rows, seed=0) for rows in ([one, other], [other, one])]
    jobs.append(job_digest(tmp_path / "model", [one, Example("c", "d")], seed=0))
    assert len(set(jobs)) == 3
    for job in jobs:
        folder = killed(tmp_path / "out", job, steps=(len(job),))
        assert len(list(folder.glob("checkpoint-*"))) == 1


def test_an_adapter_whose_base_moved_says_where_it_was_and_what_to_do(tmp_path):
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    base.mkdir()
    adapter.mkdir()
    facts = adapter / "adapter_config.json"
    facts.write_text(json.dumps({"base_model_name_or_path": str(base), "r": 8}))
    assert base_of(adapter) == str(base)
    before = job_digest(adapter, [])
    (base / "config.json").write_text("{}")
    assert job_digest(adapter, []) != before
    base.rename(tmp_path / "moved")
    with pytest.raises(UnknownModel, match=r"was trained on .*base, which is not there: put that model back, or write"):
        weights(str(adapter), None)
    with pytest.raises(TrainingError, match="which is not there: put that model back"):
        model_folder(adapter, SftSettings(kind="sft", steps=1))
    facts.write_text(json.dumps({"base_model_name_or_path": "owner/model"}))
    assert base_of(adapter) == "owner/model"
    facts.write_text("{}")
    with pytest.raises(ValueError, match="names no base model"):
        base_of(adapter)
