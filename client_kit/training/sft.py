"""Supervised fine-tuning with TRL's SFTTrainer: all weights, or a LoRA adapter."""

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client_kit._quiet import without_progress_bars
from client_kit.errors import MissingExtra, TrainingError
from client_kit.training.base import Example, TrainingReport
from client_kit.training.loading import check_paths, load_model, load_tokenizer, peft_config
from client_kit.training.sft_settings import Lora, SFTSettings

if TYPE_CHECKING:
    from trl import SFTConfig

    from client_kit.training.weighted import WeightedSFTTrainer

__all__ = ["Lora", "SFTFineTuner", "SFTSettings"]

_JOB_FILE = "job.sha256"

_LAST_FILE = "trainer_state.json"
"""What transformers writes last into a checkpoint."""


class SFTFineTuner:
    """Trains with TRL. The loss is taken on completions only, each example's factor on it being its weight.

    Weights are relative: only their ratios matter. An example of weight 2 counts like the example twice, one of
    weight 0 as if it were not there. A tokenizer with a chat template gets each example as a dialogue of a user and
    an assistant; one without gets the completion straight after the prompt.

    A model folder that holds a LoRA adapter is trained on: the adapter goes on, its base stays as it is.
    """

    def __init__(self, settings: SFTSettings | None = None) -> None:
        self.settings = settings or SFTSettings()

    def train(self, model: Path, examples: Sequence[Example], *, steps: int, seed: int, output: Path) -> TrainingReport:
        """Train for `steps` optimiser steps from `model` and write model, or adapter, and tokenizer to `output`.

        `output` appears whole or not at all; until then checkpoints stand beside it in a hidden folder. Raises
        TrainingError where the model folder or usable examples are missing, or `output` is there already.
        """
        used = _usable(examples)
        check_paths(model, output)
        if steps < 1:
            raise TrainingError(f"steps is {steps}; ask for one optimiser step or more")
        _require_extra()
        started = time.monotonic()
        with (
            without_progress_bars(datasets=True),
            _threads(self.settings.threads),
            _checkpoints(output, self._job(model, used, steps, seed)) as at,
        ):
            trainer = self._trainer(model, used, steps, seed, at)
            losses = _run(trainer, at)
            _save(trainer, output)
        return TrainingReport(output, steps, len(used), time.monotonic() - started, losses)

    def _job(self, model: Path, examples: Sequence[Example], steps: int, seed: int) -> str:
        """Digest of what the result depends on: a checkpoint of another job is never taken up."""
        rows = [asdict(example) for example in examples]
        # Size and time stand for the content of the model's files, which may be many gigabytes.
        files = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(model.glob("*"))]
        job = {"model": files, "settings": asdict(self.settings), "steps": steps, "seed": seed}
        return hashlib.sha256(json.dumps([job, rows]).encode()).hexdigest()

    def _trainer(
        self, folder: Path, examples: Sequence[Example], steps: int, seed: int, checkpoints: Path
    ) -> "WeightedSFTTrainer":
        from datasets import Dataset  # noqa: PLC0415 - here and below: heavy, and of the extra `train`
        from transformers import PrinterCallback, set_seed  # noqa: PLC0415

        from client_kit.training.weighted import WeightedSFTTrainer  # noqa: PLC0415

        # A new adapter is drawn at random, so the seed comes before the model.
        set_seed(seed)
        tokenizer = load_tokenizer(folder)
        model = load_model(folder, self.settings)
        trainer = WeightedSFTTrainer(
            model=model,
            args=self._config(steps, seed, checkpoints),
            train_dataset=Dataset.from_list(_rows(examples, chat=tokenizer.chat_template is not None)),
            processing_class=tokenizer,
            peft_config=peft_config(self.settings.lora, folder),
        )
        trainer.remove_callback(PrinterCallback)  # it prints every logged loss; the report has them
        trainer.check_examples(self.settings.max_length)
        return trainer

    def _config(self, steps: int, seed: int, checkpoints: Path) -> "SFTConfig":
        from trl import SFTConfig  # noqa: PLC0415

        wanted = self.settings
        schedule = "constant_with_warmup" if wanted.schedule == "constant" else wanted.schedule
        return SFTConfig(
            output_dir=str(checkpoints),
            max_steps=steps,
            learning_rate=wanted.learning_rate,
            lr_scheduler_type=schedule,
            warmup_steps=wanted.warmup_steps,
            weight_decay=wanted.weight_decay,
            max_grad_norm=wanted.max_gradient_norm,
            per_device_train_batch_size=wanted.batch_size,
            gradient_accumulation_steps=wanted.accumulate,
            gradient_checkpointing=wanted.gradient_checkpointing,
            max_length=wanted.max_length,
            completion_only_loss=True,
            optim="adamw_torch_fused",
            seed=seed,
            use_cpu=wanted.device == "cpu",
            bf16=wanted.precision == "bfloat16",
            save_strategy="no" if wanted.checkpoint_steps is None else "steps",
            save_steps=wanted.checkpoint_steps or steps,
            save_total_limit=1,
            logging_strategy="steps",
            logging_steps=max(1, steps // 20),
            logging_nan_inf_filter=False,
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=wanted.device != "cpu",
            remove_unused_columns=False,
        )


def _require_extra() -> None:
    try:
        import peft  # noqa: F401, PLC0415
        import trl  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtra("training with TRL", "train") from error


def _usable(examples: Sequence[Example]) -> list[Example]:
    """The examples with a weight above 0: those of weight 0 are left out before anything is drawn."""
    if not examples:
        raise TrainingError("there are no examples to train on; check the private data and the pseudo-labels")
    if faulty := [index for index, example in enumerate(examples) if not 0 <= example.weight < float("inf")]:
        raise TrainingError(f"example {faulty[0]} has weight {examples[faulty[0]].weight}; weights are 0 or more")
    used = [example for example in examples if example.weight > 0]
    if not used:
        raise TrainingError(f"all {len(examples)} examples have weight 0; give at least one a weight above 0")
    return used


def _rows(examples: Sequence[Example], *, chat: bool) -> list[dict[str, Any]]:
    """Prompt-completion rows as TRL reads them, conversational or plain."""
    if not chat:
        return [asdict(example) for example in examples]
    return [
        {
            "prompt": [{"role": "user", "content": example.prompt}],
            "completion": [{"role": "assistant", "content": example.completion}],
            "weight": example.weight,
        }
        for example in examples
    ]


def _run(trainer: "WeightedSFTTrainer", checkpoints: Path) -> tuple[float, ...]:
    """Train, from the last checkpoint if there is one; the losses as logged."""
    import torch  # noqa: PLC0415
    from transformers.trainer_utils import get_last_checkpoint  # noqa: PLC0415

    try:
        trainer.train(resume_from_checkpoint=get_last_checkpoint(str(checkpoints)))
    except torch.OutOfMemoryError as error:
        raise TrainingError("the device has too little memory; lower batch_size (and raise accumulate)") from error
    losses = tuple(float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)
    if not all(map(isfinite, losses)):
        raise TrainingError(f"training diverged, its losses are {losses}; lower the learning rate")
    return losses


def _save(trainer: "WeightedSFTTrainer", output: Path) -> None:
    """Write everything into a folder of its own, then give it its name in one step."""
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.saving-") as saving:
        folder = Path(saving) / "model"
        trainer.model.save_pretrained(folder)
        trainer.processing_class.save_pretrained(folder)
        folder.rename(output)


@contextmanager
def _checkpoints(output: Path, job: str) -> Iterator[Path]:
    """The hidden folder beside `output` for checkpoints, emptied where it is of another job. It stays after a failure."""
    folder = output.with_name(f".{output.name}.checkpoints")
    mark = folder / _JOB_FILE
    if folder.exists() and not (mark.is_file() and mark.read_text(encoding="utf-8") == job):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _remove_torn(folder)
    mark.write_text(job, encoding="utf-8")
    try:
        yield folder
    except BaseException:
        if not any(folder.glob("checkpoint-*")):
            shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)


def _remove_torn(folder: Path) -> None:
    """Remove checkpoints that a kill left half-written; the one before is there as long as a new one is not whole."""
    for checkpoint in folder.glob("checkpoint-*"):
        try:
            json.loads((checkpoint / _LAST_FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            shutil.rmtree(checkpoint)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
