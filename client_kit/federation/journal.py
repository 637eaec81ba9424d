"""What a participant has done, on disk, so that it can be killed anywhere and go on where it was.

One file of lines, appended, and synced at each step, among many answers once a second: CRC-32 of the record in eight
hexadecimal digits, a space, the record as JSON, a newline. A last line that is torn (the process died while it was
written) is dropped; damage before the last line is an error, for what follows it cannot be trusted. The first record
says whose journal it is.
"""

import fcntl
import json
import os
import textwrap
import time
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from client_kit.errors import JournalError
from client_kit.storage import for_its_owner

Record = Mapping[str, Any]
"""One step: `kind` and what belongs to it."""

_OWNER = "owner"

SYNC_SECONDS = 1.0
"""Longest time between two waits for the disk while notes are taken."""


class Journal:
    """Append-only record of steps, owned by one process at a time."""

    def __init__(self, path: Path, owner: Mapping[str, Any]) -> None:
        """Open or begin the journal at `path`.

        owner: what must be equal for the journal to be continued (federation, participant, settings), JSON values.
        Raises JournalError when another process holds it, when steps of another owner are in it, or when it is damaged.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(path.with_suffix(".lock"))
        try:
            self._records = _recover(path)
            self._file = open(path, "ab", opener=for_its_owner)  # noqa: SIM115 - held while the journal is
            self._synced = time.monotonic()
            _sync_folder(path.parent)
            self._claim(dict(owner))
        except BaseException:
            os.close(self._lock)
            raise

    def append(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 (any JSON value)
        """Record a step. When this returns, the step survives a crash of the process and of the machine."""
        self._write({"kind": kind, **fields})
        self._sync()

    def note(self, kind: str, **fields: Any) -> None:  # noqa: ANN401 (any JSON value)
        """Record what can be done again, such as one answer of many, without waiting for the disk.

        When this returns, the step survives a crash of the process; that of the machine may cost the last `SYNC_SECONDS`.
        """
        self._write({"kind": kind, **fields})
        if time.monotonic() - self._synced >= SYNC_SECONDS:
            self._sync()

    def of(self, kind: str, **fields: Any) -> Iterator[Record]:  # noqa: ANN401 (any JSON value)
        """The records of a kind with these fields, oldest first."""
        return (record for record in self._records if _is(record, kind, fields))

    def last(self, kind: str, **fields: Any) -> Record | None:  # noqa: ANN401 (any JSON value)
        """The newest such record."""
        return next((record for record in reversed(self._records) if _is(record, kind, fields)), None)

    def close(self) -> None:
        """Give the journal back."""
        try:
            if not self._file.closed:
                self._sync()
        finally:
            self._file.close()
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, record: Record) -> None:
        self._file.write(encode(record))
        self._file.flush()
        self._records.append(record)

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def _claim(self, owner: dict[str, Any]) -> None:
        if not self._records:
            return self.append(_OWNER, **owner)
        if len(self._records) == 1:
            # Nothing is done yet: a misspelt setting can be corrected. (Checkpoints of half a training know their job.)
            os.truncate(self.path, 0)
            self._records.clear()
            return self.append(_OWNER, **owner)
        held = {name: value for name, value in self._records[0].items() if name != "kind"}
        if other := sorted(name for name in held.keys() | owner.keys() if held.get(name) != owner.get(name)):
            self._file.close()
            raise JournalError(
                f"{self.path} belongs to another run: "
                + "; ".join(f"{name} was {_short(held.get(name))}, now {_short(owner.get(name))}" for name in other)
                + ". Give this run a work folder of its own, or go back to the settings that it was begun with"
            )
        return None


@contextmanager
def exclusively(path: Path) -> Generator[None]:
    """While the block runs, no process can work with the journal at `path`. Raises JournalError where one does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = _lock(path.with_suffix(".lock"))
    try:
        yield
    finally:
        os.close(handle)


def encode(record: Record) -> bytes:
    """One line of the journal."""
    body = json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    return f"{zlib.crc32(body):08x} ".encode() + body + b"\n"


def decode(content: bytes) -> tuple[list[Record], int]:
    """The records of a journal, and how many of its bytes they are; a torn last line is left out.

    Raises ValueError with the number of the line when one before the last is damaged.
    """
    records: list[Record] = []
    size = 0
    lines = [line + b"\n" for line in content.split(b"\n")]
    lines[-1] = lines[-1][:-1]  # what follows the last newline: nothing, or a torn line
    for number, line in enumerate(lines, start=1):
        record = _decode_line(line)
        if record is None and number < len(lines):
            raise ValueError(f"line {number} is damaged")
        if record is not None:
            records.append(record)
            size += len(line)
    return records, size


def _is(record: Record, kind: str, fields: Mapping[str, Any]) -> bool:
    return record["kind"] == kind and all(record.get(name) == value for name, value in fields.items())


def _decode_line(line: bytes) -> Record | None:
    checksum, _, body = line.partition(b" ")
    if not body.endswith(b"\n") or checksum != f"{zlib.crc32(body[:-1]):08x}".encode():
        return None
    record: Record = json.loads(body)
    return record


def _recover(path: Path) -> list[Record]:
    """The records of the file, which is cut after the last whole line."""
    if not path.exists():
        return []
    content = path.read_bytes()
    try:
        records, size = decode(content)
    except ValueError as error:
        raise JournalError(
            f"{path}: {error}, and steps follow it. Restore the file from a backup, or begin with a new work folder"
        ) from error
    if size < len(content):
        os.truncate(path, size)
    return records


def _lock(path: Path) -> int:
    """Hold the lock file until the process ends, however it ends."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise JournalError(
            f"another process works with {path.with_suffix('.jsonl')}. Wait for it or stop it: a journal has one writer"
        ) from error
    return handle


def _sync_folder(folder: Path) -> None:
    """Make a new file's name as durable as its content."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _short(value: object) -> str:
    return textwrap.shorten(json.dumps(value, ensure_ascii=False), width=60, placeholder="...")
