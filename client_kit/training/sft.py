"""Supervised fine-tuning with TRL's SFTTrainer: all weights, or an adapter (LoRA, DoRA, QLoRA, ReFT).

`SFTFineTuner.train` checks what it is given and keeps a folder of checkpoints beside the output; `train_supervised` is the
training itself, in this process or in each of several.
"""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from client_kit._quiet import without_progress_bars
from client_kit.errors import TrainingError
from client_kit.settings import SftSettings
from client_kit.training.base import Example, TrainingReport, TrainingRun
from client_kit.training.checkpoints import checkpoint_folder, job_digest
from client_kit.training.checks import prepare, usable
from client_kit.training.measuring import encode_all
from client_kit.training.models import load_model, load_tokenizer, new_adapter
from client_kit.training.processes import perform, take_part
from client_kit.training.running import Task, Trained, arguments, callbacks, logs_of, run, threads


class SFTFineTuner:
    """Trains with TRL. The loss is taken on completions only, each example's factor on it being its weight.

    Weights are relative: only their ratios matter. An example of weight 2 counts like the example twice, one of
    weight 0 as if it were not there. A tokenizer with a chat template gets each example as a dialogue of a user and
    an assistant; one without gets the completion straight after the prompt.

    A model folder that holds an adapter is trained on: the adapter goes on, its base stays as it is.
    """

    def __init__(self, settings: SftSettings, *, threads: int | None = None, frozen: tuple[str, ...] = ()) -> None:
        """threads: of the CPU; None leaves torch's choice. frozen: parts of an adapter that stay as they are.

        How many steps a training takes is said when it begins; those of the settings are a site's plan (`steps_of`).
        """
        self.settings = settings
        self.threads = threads
        self.frozen = frozen

    def train(
        self,
        model: Path,
        examples: Sequence[Example],
        *,
        steps: int,
        seed: int,
        output: Path,
        validation: Sequence[Example] = (),
        run: TrainingRun | None = None,
    ) -> TrainingReport:
        """Train for at most `steps` optimiser steps from `model`; write model, or adapter, and tokenizer to `output`.

        `output` appears whole or not at all; until then checkpoints stand beside it in a hidden folder. With validation
        examples and `evaluate_steps` the best model is written, else the last one. run: these are the first of its steps, as
        `RunTrainer` says; `patience` counts within a portion. Raises TrainingError where the model
        or usable examples are missing, this machine cannot do it, or `output` is there already.
        """
        used = usable(examples)
        folder = prepare(model, self.settings, steps, output)
        started = time.monotonic()
        job = job_digest(
            folder, used, validation, settings=self.settings.model_dump(mode="json"), frozen=self.frozen,
            steps=steps if run is None else run.of, seed=seed,
        )  # fmt: skip
        with without_progress_bars(datasets=True), threads(self.threads), checkpoint_folder(output, job, run) as at:
            task = Task(
                folder, used, tuple(validation), self.settings, steps, seed, at, output, logs_of(output), self.threads,
                self.frozen, of=None if run is None else run.of,
            )  # fmt: skip
            done = perform(task, train_supervised)
        return TrainingReport(
            output, done.steps, len(used), time.monotonic() - started, done.losses, validation=done.validation,
            trainable=done.trainable,
        )  # fmt: skip


def train_supervised(task: Task) -> Trained:
    """Do the task in this process, which may be one of several. Raises TrainingError."""
    from datasets import Dataset  # noqa: PLC0415 - here and below: heavy
    from transformers import PrinterCallback, set_seed  # noqa: PLC0415
    from trl import SFTConfig  # noqa: PLC0415

    from client_kit.training.weighted import WeightedSFTTrainer  # noqa: PLC0415

    set_seed(task.seed)  # before the model: a new adapter is drawn at random
    tokenizer = load_tokenizer(task.model)
    length = task.settings.max_length
    learned = rows(tokenizer, task.examples, length)
    if not learned:
        raise TrainingError(f"every prompt fills max_length = {length} tokens by itself; raise max_length")
    held_out = rows(tokenizer, task.validation, length)
    trainer = WeightedSFTTrainer(
        model=load_model(task.model, task.settings, frozen=task.frozen),
        args=SFTConfig(**arguments(task)),
        train_dataset=Dataset.from_list(learned),
        eval_dataset=Dataset.from_list(held_out) if held_out else None,
        processing_class=tokenizer,
        peft_config=new_adapter(task.settings, task.model),
        callbacks=callbacks(task),
    )
    trainer.remove_callback(PrinterCallback)  # it prints every logged loss; the report has them
    trainer.check_examples(task.settings)
    return run(trainer, task)


def rows(tokenizer: Any, examples: Sequence[Example], max_length: int | None) -> list[dict[str, Any]]:  # noqa: ANN401 - transformers' zoo
    """Rows as TRL has them once it has prepared them: TRL's own preparation loses the end of prompts (see `encode`)."""
    tokens = encode_all(tokenizer, examples, max_length)
    return [
        {"input_ids": list(one.ids), "labels": one.labels, "weight": example.weight}
        for one, example in zip(tokens, examples, strict=True)
        if one.start < len(one.ids)
    ]


if __name__ == "__main__":
    take_part(train_supervised, Path(sys.argv[1]))
