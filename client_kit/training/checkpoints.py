"""The folder of checkpoints, from which a training that was killed goes on, and a run in portions from one to the next."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from client_kit.training.base import Example, TrainingRun

_JOB_FILE = "job.sha256"

_LAST_FILE = "trainer_state.json"
"""What transformers writes last into a checkpoint."""


def job_digest(model: Path, *parts: Sequence[Example], **asked: object) -> str:
    """Digest of what the result of a training depends on: a checkpoint of another job is never taken up.

    parts: the examples of each kind. asked: settings, steps, seed; JSON values.
    """
    rows = [[asdict(example) for example in part] for part in parts]
    # Size and time stand for the content of the model's files, which may be many gigabytes.
    files = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in sorted(model.glob("*"))]
    return hashlib.sha256(json.dumps([files, asked, rows]).encode()).hexdigest()


@contextmanager
def checkpoint_folder(output: Path, job: str, run: TrainingRun | None = None) -> Iterator[Path]:
    """The hidden folder beside `output`, emptied where it is of another job. What is of use stays after a failure.

    run: its folder takes that one's place, and stays when the portion is done.
    """
    folder = output.with_name(f".{output.name}.checkpoints") if run is None else run.folder
    mark = folder / _JOB_FILE
    if folder.exists() and not (mark.is_file() and mark.read_text(encoding="utf-8") == job):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _remove_torn(folder)
    mark.write_text(job, encoding="utf-8")
    try:
        yield folder
    except BaseException:
        if not any(path.is_file() and path.name != _JOB_FILE for path in folder.rglob("*")):
            shutil.rmtree(folder)
        raise
    if run is None:
        shutil.rmtree(folder)


def _remove_torn(folder: Path) -> None:
    """Remove checkpoints that a kill left half-written; the one before is there as long as a new one is not whole."""
    for checkpoint in folder.rglob("checkpoint-*"):
        try:
            json.loads((checkpoint / _LAST_FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            shutil.rmtree(checkpoint)
