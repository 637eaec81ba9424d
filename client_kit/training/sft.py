"""Supervised fine-tuning with TRL's SFTTrainer: all weights, or an adapter (LoRA, DoRA, QLoRA)."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from client_kit._quiet import without_progress_bars
from client_kit.errors import TrainingError
from client_kit.training import lora_sb
from client_kit.training.base import Example, TrainingReport
from client_kit.training.checkpoints import checkpoint_folder, job_digest
from client_kit.training.launching import perform
from client_kit.training.loading import check_hardware, check_output, model_folder
from client_kit.training.running import require_extra, require_reporters, threads, usable
from client_kit.training.sft_settings import Lora, Reft, SFTSettings
from client_kit.training.task import Task

__all__ = ["Lora", "Reft", "SFTFineTuner", "SFTSettings"]


class SFTFineTuner:
    """Trains with TRL. The loss is taken on completions only, each example's factor on it being its weight.

    Weights are relative: only their ratios matter. An example of weight 2 counts like the example twice, one of
    weight 0 as if it were not there. A tokenizer with a chat template gets each example as a dialogue of a user and
    an assistant; one without gets the completion straight after the prompt.

    A model folder that holds an adapter is trained on: the adapter goes on, its base stays as it is.
    """

    def __init__(self, settings: SFTSettings | None = None) -> None:
        self.settings = settings or SFTSettings()

    def train(
        self,
        model: Path,
        examples: Sequence[Example],
        *,
        steps: int,
        seed: int,
        output: Path,
        validation: Sequence[Example] = (),
    ) -> TrainingReport:
        """Train for at most `steps` optimiser steps from `model`; write model, or adapter, and tokenizer to `output`.

        `output` appears whole or not at all; until then checkpoints stand beside it in a hidden folder. With validation
        examples and `evaluate_steps` the best model is written, else the last one. Raises TrainingError where the model
        or usable examples are missing, this machine cannot do it, or `output` is there already.
        """
        used = usable(examples)
        folder = prepare(model, self.settings, steps, output)
        started = time.monotonic()
        job = job_digest(folder, used, validation, settings=asdict(self.settings), steps=steps, seed=seed)
        with without_progress_bars(datasets=True), threads(self.settings.threads), checkpoint_folder(output, job) as at:
            done = perform(
                Task(folder, used, tuple(validation), self.settings, steps, seed, at, output, logs_of(output))
            )
        return TrainingReport(
            output, done.steps, len(used), time.monotonic() - started, done.losses, validation=done.validation,
            trainable=done.trainable,
        )  # fmt: skip


def prepare(model: Path, settings: SFTSettings, steps: int, output: Path) -> Path:
    """Refuse what cannot be trained before anything is loaded; the folder to train from. Raises TrainingError."""
    check_output(output)
    if steps < 1:
        raise TrainingError(f"steps is {steps}; ask for one optimiser step or more")
    require_extra()
    folder = model_folder(model)
    check_hardware(settings)
    require_reporters(settings.report_to)
    if settings.checkpoint_steps is not None or settings.evaluate_steps is not None:
        lora_sb.refuse(folder, "checkpoints to go on from")
    return folder


def logs_of(output: Path) -> Path:
    """Where TensorBoard's files of a training lie: one folder beside its output, with one of each training in it."""
    return output.parent / "logs" / output.name
