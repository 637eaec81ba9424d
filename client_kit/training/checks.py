"""What cannot be trained is refused before anything is loaded: examples, output, libraries, machine."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from client_kit.errors import MissingExtra, TrainingError
from client_kit.settings import Reporter, TrainingSettings, TrlSettings
from client_kit.training.base import Example
from client_kit.training.models import model_folder, on_gpus


def usable(examples: Sequence[Example]) -> tuple[Example, ...]:
    """The examples with a weight above 0: those of weight 0 are left out before anything is drawn."""
    if not examples:
        raise TrainingError("there are no examples to train on; check the private data and the pseudo-labels")
    if faulty := [index for index, example in enumerate(examples) if not 0 <= example.weight < float("inf")]:
        raise TrainingError(f"example {faulty[0]} has weight {examples[faulty[0]].weight}; weights are 0 or more")
    used = tuple(example for example in examples if example.weight > 0)
    if not used:
        raise TrainingError(f"all {len(examples)} examples have weight 0; give at least one a weight above 0")
    return used


def prepare(model: Path, settings: TrainingSettings, steps: int, output: Path) -> Path:
    """The folder to train from. Raises TrainingError, and MissingExtra, with the remedy."""
    if output.exists():
        raise TrainingError(f"output {output} is there already; remove it or choose another folder")
    if steps < 1:
        raise TrainingError(f"steps is {steps}; ask for one optimiser step or more")
    _require_extra()
    folder = model_folder(model, settings)
    _check_device(settings)
    if isinstance(settings, TrlSettings):
        _check_processes(settings)
        _check_accelerate(settings)
        _check_four_bit(settings)
        _require_reporters(settings.report_to)
    return folder


def _require_extra() -> None:
    try:
        import peft  # noqa: F401, PLC0415
        import trl  # noqa: F401, PLC0415
    except ImportError as error:
        raise MissingExtra("training with TRL", "train") from error


def _require_reporters(reporters: Sequence[Reporter]) -> None:
    if missing := [name for name in reporters if find_spec(name) is None]:
        raise TrainingError(
            f"report_to names {', '.join(missing)}, not installed here; "
            f"`pip install {' '.join(missing)}`, or leave it out of report_to"
        )


def _check_device(settings: TrainingSettings) -> None:
    import torch  # noqa: PLC0415 - here and below: heavy

    if settings.device == "cuda" and not torch.cuda.is_available():
        raise TrainingError(
            "device is cuda, and torch finds no GPU; install torch for CUDA, or take device auto or cpu"
        )


def _check_processes(settings: TrlSettings) -> None:
    import torch  # noqa: PLC0415

    if on_gpus(settings) and settings.processes > torch.cuda.device_count():
        raise TrainingError(
            f"processes is {settings.processes}, one per GPU, and torch finds {torch.cuda.device_count()}; lower it"
        )


def _check_accelerate(settings: TrlSettings) -> None:
    file = settings.accelerate_config
    if file is not None and not file.is_file():
        raise TrainingError(
            f"accelerate_config {file} is not there; write one with `accelerate config --config_file {file}`"
        )


def _check_four_bit(settings: TrlSettings) -> None:
    import torch  # noqa: PLC0415

    if settings.method != "qlora":
        return
    lacking, gpu = [], torch.cuda.is_available()
    if not gpu or settings.device == "cpu":
        lacking.append("an NVIDIA GPU that torch sees" if not gpu else "a GPU, and device is cpu")
    if find_spec("bitsandbytes") is None:
        lacking.append("the package bitsandbytes")
    if lacking:
        raise TrainingError(
            f"QLoRA keeps the base model in four bits, which needs {' and '.join(lacking)}; take method lora "
            "(with precision bfloat16 it needs 2 bytes per weight), or train on a machine with a GPU "
            "after `pip install bitsandbytes`"
        )
