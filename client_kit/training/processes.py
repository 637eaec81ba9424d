"""A task done in this process or in several, one per GPU, started by `accelerate launch` (without GPUs by torch's launcher).

Each of several processes runs the trainer's own module, `accelerate launch ... -m client_kit.training.sft FOLDER`, which
calls `take_part`: it reads the task from the folder, all train together, and the first writes beside it what came of it.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from client_kit._quiet import without_progress_bars
from client_kit.errors import TrainingError
from client_kit.training.models import on_gpus
from client_kit.training.running import Task, Trained, threads

_TASK_FILE, _TRAINED_FILE, _FAILURE_FILE = "task.json", "trained.json", "failure.txt"
_TASK, _TRAINED = TypeAdapter(Task), TypeAdapter(Trained)
_SHOWN_CHARS = 600
"""Of the processes' last words, in an error."""

Train = Callable[[Task], Trained]
"""Does a task in the process that calls it."""


def perform(task: Task, train: Train) -> Trained:
    """Do the task in as many processes as its settings ask for, and wait for them.

    train: of a module that `python -m` can run. Raises TrainingError, with what several processes said; the same call
    goes on from their last checkpoint.
    """
    if task.settings.processes == 1 and task.settings.accelerate_config is None:
        return train(task)
    with tempfile.TemporaryDirectory(dir=task.checkpoints, prefix="launch-") as folder:
        here = Path(folder)
        (here / _TASK_FILE).write_bytes(_TASK.dump_json(task))
        done = subprocess.run(  # noqa: S603 - our own module
            _command(task, [train.__module__, folder]), capture_output=True, text=True, check=False,
            env=_environment(task),
        )  # fmt: skip
        if done.returncode == 0 and (here / _TRAINED_FILE).is_file():
            return _TRAINED.validate_json((here / _TRAINED_FILE).read_bytes())
        raise TrainingError(_said(here, done, task.settings.processes))


def perform_once(task: Task, train: Train) -> Trained:
    """Perform the task unless its output is there: a run that was killed later had come so far."""
    kept = task.output.with_suffix(".json")
    if task.output.is_dir() and kept.is_file():
        return _TRAINED.validate_json(kept.read_bytes())
    shutil.rmtree(task.output, ignore_errors=True)  # killed before what it did was written down
    trained = perform(task, train)
    draft = kept.with_suffix(".new")
    draft.write_text(_as_json(trained), encoding="utf-8")
    draft.replace(kept)
    return trained


def take_part(train: Train, folder: Path) -> None:
    """What one of several processes does."""
    task = _TASK.validate_json((folder / _TASK_FILE).read_bytes())
    try:
        with without_progress_bars(datasets=True), threads(task.threads):
            trained = train(task)
    except TrainingError as error:
        (folder / _FAILURE_FILE).write_text(str(error), encoding="utf-8")
        raise
    if os.environ.get("RANK", "0") == "0":
        (folder / _TRAINED_FILE).write_text(_as_json(trained), encoding="utf-8")


def _as_json(trained: Trained) -> str:
    """A loss that is no number stays one; pydantic would write null."""
    return json.dumps(asdict(trained))


def _command(task: Task, module: list[str]) -> list[str]:
    """The command line that starts the processes; module: name and argument."""
    count = str(task.settings.processes)
    if task.settings.accelerate_config is not None:
        how = ["--config_file", str(task.settings.accelerate_config)]
        how += ["--num_processes", count] if task.settings.processes > 1 else []
        return [sys.executable, "-m", "accelerate.commands.launch", *how, "-m", *module]
    if on_gpus(task.settings):
        how = ["--multi_gpu", "--num_processes", count, "--num_machines", "1", "--mixed_precision", "no"]
        how += ["--dynamo_backend", "no", "--main_process_port", "0"]
        return [sys.executable, "-m", "accelerate.commands.launch", *how, "-m", *module]
    # Without GPUs `accelerate launch` wants MPI, and quietly starts one process where that is missing. This is what it
    # runs with GPUs.
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", count, "-m", *module]


def _environment(task: Task) -> dict[str, str]:
    own = {"OMP_NUM_THREADS": str(task.threads or os.environ.get("OMP_NUM_THREADS", "1"))}
    if not on_gpus(task.settings):
        own["ACCELERATE_USE_CPU"] = "true"
    return {**os.environ, **own}


def _said(folder: Path, done: subprocess.CompletedProcess[str], processes: int) -> str:
    """The first failure that a process wrote down, else the end of what they printed."""
    failure = folder / _FAILURE_FILE
    if failure.is_file():
        return failure.read_text(encoding="utf-8")
    return (
        f"the {processes} processes of the training ended with status {done.returncode} and no result; "
        f"try processes: 1. They said: ...{done.stderr.strip()[-_SHOWN_CHARS:]}"
    )
