"""Training in one process or in several, one per GPU, started by `accelerate launch` (without GPUs by torch's own launcher).

This module is also what each of them runs: `accelerate launch ... -m client_kit.training.launching FOLDER`. The
processes read the task from the folder, train together, and the first of them writes the outcome beside it.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

from client_kit._quiet import without_progress_bars
from client_kit.errors import TrainingError
from client_kit.training.in_process import perform_here
from client_kit.training.loading import on_gpus
from client_kit.training.running import threads
from client_kit.training.task import Outcome, Task

_TASK, _OUTCOME, _FAILURE = "task.json", "outcome.json", "failure.txt"
_SHOWN_CHARS = 600
"""Of the processes' last words, in an error."""


def perform(task: Task) -> Outcome:
    """Do the task in as many processes as its settings ask for. Raises TrainingError."""
    return launch(task) if task.settings.processes > 1 else perform_here(task)


def launch(task: Task) -> Outcome:
    """Do the task in `settings.processes` processes and wait for them.

    Raises TrainingError with what the processes said; the same call goes on from their last checkpoint.
    """
    with tempfile.TemporaryDirectory(dir=task.checkpoints, prefix="launch-") as folder:
        here = Path(folder)
        (here / _TASK).write_text(task.to_json(), encoding="utf-8")
        done = subprocess.run(  # noqa: S603 - our own module
            _command(task, here), capture_output=True, text=True, check=False, env=_environment(task)
        )
        if done.returncode == 0 and (here / _OUTCOME).is_file():
            return Outcome.from_json((here / _OUTCOME).read_text(encoding="utf-8"))
        raise TrainingError(_said(here, done, task.settings.processes))


def _command(task: Task, folder: Path) -> list[str]:
    count, module = str(task.settings.processes), ["-m", "client_kit.training.launching", str(folder)]
    if on_gpus(task.settings):
        how = ["--multi_gpu", "--num_processes", count, "--num_machines", "1", "--mixed_precision", "no"]
        how += ["--dynamo_backend", "no", "--main_process_port", "0"]
        return [sys.executable, "-m", "accelerate.commands.launch", *how, *module]
    # Without GPUs `accelerate launch` wants MPI, and quietly starts one process where that is missing. This is what it
    # runs with GPUs.
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", count, *module]


def _environment(task: Task) -> dict[str, str]:
    own = {"OMP_NUM_THREADS": str(task.settings.threads or os.environ.get("OMP_NUM_THREADS", "1"))}
    if not on_gpus(task.settings):
        own["ACCELERATE_USE_CPU"] = "true"
    return {**os.environ, **own}


def _said(folder: Path, done: subprocess.CompletedProcess[str], processes: int) -> str:
    """The first failure that a process wrote down, else the end of what they printed."""
    failure = folder / _FAILURE
    if failure.is_file():
        return failure.read_text(encoding="utf-8")
    return (
        f"the {processes} processes of the training ended with status {done.returncode} and no result; "
        f"try processes: 1. They said: ...{done.stderr.strip()[-_SHOWN_CHARS:]}"
    )


def main(folder: Path) -> None:
    """One of the processes."""
    task = Task.from_json((folder / _TASK).read_text(encoding="utf-8"))
    task = replace(task, settings=replace(task.settings, processes=1))
    try:
        with without_progress_bars(datasets=True), threads(task.settings.threads):
            outcome = perform_here(task)
    except TrainingError as error:
        (folder / _FAILURE).write_text(str(error), encoding="utf-8")
        raise
    if os.environ.get("RANK", "0") == "0":
        (folder / _OUTCOME).write_text(outcome.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
