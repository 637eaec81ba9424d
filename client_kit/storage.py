"""Full disks, missing permissions and their like, as errors of the kit: nothing else leaves what a user calls. And secrets in files."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from client_kit.errors import ConsensusError, StorageError

_FULL = "No space left on device"
"""In the words of the system, which libraries that save weights repeat in errors of their own."""


@contextmanager
def storage_explained() -> Iterator[None]:
    """Around work with files: what the system, a database or a library says of them is raised as StorageError."""
    try:
        yield
    except ConsensusError:
        raise
    except Exception as error:
        said = _said(error)
        if said is None:
            raise
        raise StorageError(
            f"{said}. Make room, or check permissions and the disk; then run the same again: what is done is kept"
        ) from error


def write_secret(file: Path, content: str) -> None:
    """Write a new file that only its owner can read. Raises FileExistsError where there is one."""
    with open(file, "x", encoding="utf-8", opener=for_its_owner) as stream:
        stream.write(content)


def for_its_owner(path: str, flags: int) -> int:
    """The opener of a file that nobody else on the machine reads: a key, or answers."""
    return os.open(path, flags, 0o600)


def _said(error: Exception) -> str | None:
    """What is wrong with a file; None for an error that is about something else."""
    if isinstance(error, OSError):
        cause = error.strerror or str(error) or type(error).__name__
        return cause if error.filename is None else f"{error.filename}: {cause}"
    databases = getattr(sys.modules.get("sqlite3"), "OperationalError", None)
    if (databases is not None and isinstance(error, databases)) or _FULL in str(error):
        return f"a file cannot be written ({error})"
    return None
