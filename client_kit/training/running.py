"""One run of a TRL trainer in this process, which may be one of several: the task, TRL's arguments, and the run itself."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from client_kit.errors import TrainingError
from client_kit.settings import DpoSettings, SftSettings
from client_kit.training.base import Example
from client_kit.training.measuring import validation_loss
from client_kit.training.models import save, trainable

if TYPE_CHECKING:
    from transformers import Trainer as TransformersTrainer
    from transformers import TrainerCallback


@dataclass(frozen=True, slots=True)
class Task:
    """What is trained, on what, and where the result goes: plain data, so that other processes can be given it."""

    model: Path
    """Folder of a model or of an adapter."""
    examples: tuple[Example, ...]
    validation: tuple[Example, ...]
    settings: Annotated[SftSettings | DpoSettings, Field(discriminator="kind")]
    steps: int
    seed: int
    checkpoints: Path
    output: Path
    logs: Path
    """Folder for TensorBoard, where it is asked for."""
    threads: int | None = None
    """CPU threads; None leaves torch's choice."""
    frozen: tuple[str, ...] = ()
    """Parts of an adapter that stay as they are, such as `lora_A`."""
    of: int | None = None
    """Steps of the run whose first `steps` these are; None: they are all."""

    @property
    def run_steps(self) -> int:
        """Over which the learning rate goes down."""
        return self.steps if self.of is None else self.of


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run did beside writing its output."""

    steps: int
    losses: tuple[float, ...]
    validation: tuple[float, ...]
    trainable: int


def arguments(task: Task) -> dict[str, Any]:
    """What SFTConfig and DPOConfig are given alike."""
    wanted = task.settings
    schedule = "constant_with_warmup" if wanted.schedule == "constant" else wanted.schedule
    return {
        "output_dir": str(task.checkpoints),
        "max_steps": task.run_steps,
        "learning_rate": wanted.learning_rate,
        "lr_scheduler_type": schedule,
        "warmup_steps": wanted.warmup_steps,
        "weight_decay": wanted.weight_decay,
        "max_grad_norm": wanted.max_gradient_norm,
        "per_device_train_batch_size": wanted.batch_size,
        "per_device_eval_batch_size": wanted.batch_size,
        "gradient_accumulation_steps": wanted.accumulate,
        "gradient_checkpointing": wanted.gradient_checkpointing,
        "max_length": wanted.max_length,
        "optim": "adamw_torch_fused",
        "seed": task.seed,
        "use_cpu": wanted.device == "cpu",
        "bf16": wanted.precision == "bfloat16",
        "logging_strategy": "steps",
        "logging_steps": max(1, task.run_steps // 20),
        "logging_nan_inf_filter": False,
        "report_to": [name for name in wanted.report_to if name != "tensorboard"],
        "run_name": task.output.name,
        "disable_tqdm": True,
        "dataloader_pin_memory": wanted.device != "cpu",
        "remove_unused_columns": False,
        **_saving(task),
    }


def _saving(task: Task) -> Mapping[str, Any]:
    """When checkpoints are written, and which one is kept."""
    wanted = task.settings
    if wanted.evaluate_steps is not None and task.validation:
        return {
            "eval_strategy": "steps",
            "eval_steps": wanted.evaluate_steps,
            "save_strategy": "steps",
            "save_steps": wanted.evaluate_steps,
            # transformers deletes all but the best where 1 is kept; a run in portions goes on from the last.
            "save_total_limit": 1 if task.of is None else 2,
            "load_best_model_at_end": True,
            "metric_for_best_model": "eval_loss",
            "greater_is_better": False,
        }
    every = wanted.checkpoint_steps
    return {
        "save_strategy": "no" if every is None else "steps",
        "save_steps": every or task.run_steps,
        "save_total_limit": 1,
    }


def callbacks(task: Task) -> "list[TrainerCallback]":
    """Early stopping and TensorBoard, where they are asked for, and the end of a portion."""
    from transformers import EarlyStoppingCallback  # noqa: PLC0415

    from client_kit.training.portions import PauseCallback  # noqa: PLC0415

    chosen: list[TrainerCallback] = [] if task.steps == task.run_steps else [PauseCallback(task.steps)]
    if task.settings.patience is not None and task.validation:
        chosen.append(EarlyStoppingCallback(task.settings.patience))
    if "tensorboard" in task.settings.report_to:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
        from transformers.integrations import TensorBoardCallback  # noqa: PLC0415

        chosen.append(TensorBoardCallback(SummaryWriter(log_dir=str(task.logs))))
    return chosen


def run(trainer: "TransformersTrainer", task: Task) -> Trained:
    """Train, from the last checkpoint if there is one; measure the validation loss; save.

    Raises TrainingError where the device has too little memory, or the loss is no number any more.
    """
    import torch  # noqa: PLC0415

    from client_kit.training.portions import train_until  # noqa: PLC0415

    try:
        before = _validation(trainer, task)
        train_until(trainer, task.steps, task.checkpoints)
        between = _logged(trainer, "eval_loss")
        after = _validation(trainer, task)
    except torch.OutOfMemoryError as error:
        raise TrainingError("the device has too little memory; lower batch_size (and raise accumulate)") from error
    losses = _logged(trainer, "loss")
    if not all(map(isfinite, losses)):
        raise TrainingError(f"training diverged, its losses are {losses}; lower the learning rate")
    numbers = trainable(trainer.model)
    model, state = trainer.model, None
    if _sharded(trainer):  # all processes gather what each holds, and one writes it
        state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
        model = trainer.accelerator.unwrap_model(model)
    if trainer.is_world_process_zero():
        save(model, trainer.processing_class, task.output, state)
    return Trained(trainer.state.global_step, losses, (*before, *between, *after), numbers)


def _sharded(trainer: "TransformersTrainer") -> bool:
    """Whether FSDP or DeepSpeed spreads the model over the processes."""
    return bool(trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled)


def _logged(trainer: "TransformersTrainer", name: str) -> tuple[float, ...]:
    return tuple(float(entry[name]) for entry in trainer.state.log_history if name in entry)


def _validation(trainer: "TransformersTrainer", task: Task) -> tuple[float, ...]:
    """The model's loss on the validation examples, if there are any."""
    if not task.validation:
        return ()
    if _sharded(trainer):  # no process holds the model whole
        return (float(trainer.evaluate()["eval_loss"]),) if trainer.eval_dataset is not None else ()
    wanted = task.settings
    return (
        validation_loss(trainer.model, trainer.processing_class, task.validation, wanted.max_length, wanted.batch_size),
    )


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Torch on this many CPU threads; None leaves its choice."""
    import torch  # noqa: PLC0415

    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def logs_of(output: Path) -> Path:
    """Where TensorBoard's files of a training lie: one folder beside its output, with one of each training in it."""
    return output.parent / "logs" / output.name
