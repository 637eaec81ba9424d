"""Where command lines put tokens: files that only their owner can read, made before the token is."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EISDIR
from pathlib import Path

from client_kit.command_line import CommandFailed, Exit


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token is going, made before the token is: one that cannot be written would be lost, and the old one with it."""

    file: Path
    made: Path
    """A new file beside it that only its owner can read."""

    def take(self, token: str) -> None:
        self.made.write_text(token + "\n", encoding="utf-8")
        self.made.replace(self.file)


@contextmanager
def place_for(file: Path | None) -> Iterator[Place | None]:
    """Raises CommandFailed where nothing can be written."""
    if file is None:
        yield None
        return
    try:
        if file.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}-")
    except OSError as error:
        raise CommandFailed(
            f"{file} cannot be written: {error.strerror}. No token was issued.",
            Exit.BAD_FILE,
            remedy="Name another file.",
        ) from error
    os.close(handle)
    made = Path(name)
    try:
        yield Place(file, made)
    finally:
        made.unlink(missing_ok=True)


def require_new(file: Path | None, otherwise: str) -> None:
    """A token that may be in use is never written over. otherwise: what else may be meant. Raises CommandFailed."""
    if file is not None and file.exists():
        raise CommandFailed(
            f"{file} exists, and may hold a token that is in use.",
            Exit.BAD_FILE,
            remedy=f"Name a new file. {otherwise}",
        )
