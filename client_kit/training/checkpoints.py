"""The folder of checkpoints, from which a training that was killed goes on, and a run in portions from one to the next."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from client_kit.adapter_folders import ADAPTER_FILE, base_of
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
    folders = [model, Path(base_of(model))] if (model / ADAPTER_FILE).is_file() else [model]
    found = [path for folder in folders for path in sorted(folder.glob("*"))]
    files = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in found]
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
    """Remove what a kill or a power failure left half-written; the one before is there as long as a new one is not whole."""
    for checkpoint in [*folder.rglob("checkpoint-*"), *folder.glob("*.pt")]:
        if checkpoint.is_file() and not _whole(checkpoint):
            checkpoint.unlink()
        elif checkpoint.is_dir() and not _all_whole(checkpoint):
            shutil.rmtree(checkpoint)


def _all_whole(checkpoint: Path) -> bool:
    return (checkpoint / _LAST_FILE).is_file() and all(_whole(path) for path in checkpoint.rglob("*") if path.is_file())


def _whole(path: Path) -> bool:
    """Whether a file has its end, by what its kind says of it; of other kinds, whether there is anything in it."""
    match path.suffix:
        case ".json":
            return _is_json(path)
        case ".safetensors":
            return path.stat().st_size == _safetensors_size(path)
        case ".pt" | ".pth":
            return zipfile.is_zipfile(path)  # its directory stands at the end
    return path.stat().st_size > 0


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def _safetensors_size(path: Path) -> int:
    """Bytes that the header says: its own length in 8, itself, and the tensors."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(length, path.stat().st_size)))
            ends = [facts["data_offsets"][1] for name, facts in header.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return -1
    return 8 + length + max(ends, default=0)
