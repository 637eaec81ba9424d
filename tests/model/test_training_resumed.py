"""A participant killed within a training goes on from the training's last whole checkpoint."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from client_kit.federation.journal import Journal
from client_kit.federation.participant import Participant
from client_kit.federation.site import Site
from client_kit.settings import SftSettings
from client_kit.training.base import Example
from client_kit.training.weighted import WeightedSFTTrainer
from client_kit.wire import Federation, Identity, Role
from client_kit.wiring import open_trainer

STEPS, EVERY = 5, 2
PRIVATE = [Example(f"What is {number}?", f"It is {number}.") for number in range(6)]
FEDERATION = Federation(
    federation="f", prompt_set="0" * 64, encoder="1" * 64, created_at=datetime(2026, 1, 1, tzinfo=UTC)
)
CLIENT = SimpleNamespace(
    federation=lambda: FEDERATION,
    prompts=list,
    identity=lambda: Identity(federation="f", participant="a", role=Role.PARTICIPANT),
)


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it."""


def train_alone(model, work):
    """A participant of no round, which only trains on its private data."""
    settings = SftSettings(kind="sft", steps=STEPS, batch_size=2, device="cpu", checkpoint_steps=EVERY)
    site = Site(
        open_generator=lambda _: pytest.fail("nothing is to be generated"),
        trainer=open_trainer(settings, threads=1), base=model, private=PRIVATE, steps=settings.steps_of,
    )  # fmt: skip
    with Journal(work / "journal.jsonl", {}) as journal:
        return load_file(Participant(CLIENT, site, journal, work=work, rounds=0).run() / "model.safetensors")


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
def test_the_same_weights_as_without_the_kill_and_no_step_before_the_checkpoint_again(
    model, tmp_path, monkeypatch, torn
):
    whole = train_alone(model, tmp_path / "whole")
    original, steps = WeightedSFTTrainer.compute_loss, []

    def killed_once(self, *args, **kwargs):
        steps.append(self.state.global_step)
        if len(steps) == STEPS:
            raise Killed
        return original(self, *args, **kwargs)

    monkeypatch.setattr(WeightedSFTTrainer, "compute_loss", killed_once)
    work = tmp_path / "killed"
    with pytest.raises(Killed):
        train_alone(model, work)
    checkpoints = work / ".training-001.checkpoints"
    assert [path.name for path in checkpoints.glob("checkpoint-*")] == ["checkpoint-4"]
    if torn:  # as a kill leaves it that comes while the next checkpoint is written
        (checkpoints / "checkpoint-5").mkdir()
        (checkpoints / "checkpoint-5" / "model.safetensors").write_bytes(b"half")
    weights = train_alone(model, work)
    assert steps[STEPS:] == [4]
    assert weights.keys() == whole.keys()
    assert all(torch.equal(weights[name], whole[name]) for name in whole)
    assert [path.name for path in work.glob("*training*")] == ["training-001"]
