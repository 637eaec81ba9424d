"""The egress record on disk: files of chained lines that only grow, are synced, and survive the death of who writes them.

egress.jsonl                the newest lines
egress.000000000412.jsonl   older ones, up to line 412; whoever needs the room may remove the oldest
egress.lock                 held while a line is written, so that many processes make one chain
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from client_kit.egress.chain import ChainBroken, Head, chained, head_of
from client_kit.errors import StorageError
from client_kit.storage import for_its_owner

NAME = "egress.jsonl"
"""In a site's work folder."""

MOST_BYTES = 8 * 1024 * 1024
"""A file that has so many is put aside, and the chain goes on in a new one."""

_TAIL_BYTES = 64 * 1024
"""No line is longer."""


class EgressRecord:
    """The record whose newest lines stand at `path`. Threads and processes may share it."""

    def __init__(self, path: Path, *, most_bytes: int = MOST_BYTES) -> None:
        """Nothing is written yet."""
        self.path = path
        self._most_bytes = most_bytes
        self._thread = threading.Lock()

    def append(self, event: str, *, durable: bool = True, **said: Any) -> int:  # noqa: ANN401 (any JSON value)
        """Write a line, and return its number.

        durable: when this returns, the line survives a crash of the machine, not only one of the process. Raises StorageError,
        after which nothing may be sent.
        """
        row = {name: value for name, value in said.items() if value is not None}
        row |= {"event": event, "at": datetime.now(UTC).isoformat(timespec="milliseconds")}
        try:
            with self._turn():
                line, head = chained(row, self._end())
                self._write(line.encode() + b"\n", durable=durable)
        except ChainBroken as error:
            raise StorageError(
                f"the egress record {self.path} is damaged: {error} Nothing is sent unrecorded. Look at it with `consensus egress "
                "verify`, then move it away; a new one begins"
            ) from error
        except OSError as error:
            raise StorageError(
                f"the egress record {self.path} cannot be written ({error.strerror}), and nothing is sent unrecorded. Make room, or "
                "check permissions and the disk; then run the same again"
            ) from error
        return head.number

    @contextmanager
    def _turn(self) -> Iterator[None]:
        with self._thread:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            finally:
                os.close(lock)

    def _end(self) -> Head:
        """The end of the chain, as the files have it now. A torn last line, of a request that was never sent, is cut off."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            older = files_of(self.path)[:-1]
            return head_of(_last_line(older[-1])[0]) if older else Head()
        line, size = _last_line(self.path)
        if size < self.path.stat().st_size:
            os.truncate(self.path, size)
        head = head_of(line) if line else Head()
        if size >= self._most_bytes:
            Path(self.path).replace(self.path.with_suffix(f".{head.number:012}.jsonl"))
        return head

    def _write(self, line: bytes, *, durable: bool) -> None:
        new = not self.path.exists()
        with open(self.path, "ab", buffering=0, opener=for_its_owner) as file:
            size = file.tell()
            try:
                if file.write(line) < len(line):
                    raise OSError(None, "the disk took half a line")  # noqa: TRY301 - undone as any other failure
                if durable:
                    os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):  # the next line cuts off what stays
                    file.truncate(size)
                raise
        if new:
            _sync_folder(self.path.parent)


def files_of(path: Path) -> list[Path]:
    """The files of a record that are there, or may come, oldest first; `path` itself is the last."""
    return [*sorted(path.parent.glob(f"{path.stem}.{'[0-9]' * 12}.jsonl")), path]


def _last_line(path: Path) -> tuple[str, int]:
    """The last whole line, empty where there is none, and how many bytes the file has up to its end."""
    with path.open("rb") as file:
        start = max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES)
        file.seek(start)
        tail = file.read()
    end = tail.rfind(b"\n")
    return tail[tail.rfind(b"\n", 0, max(end, 0)) + 1 : max(end, 0)].decode("utf-8", "replace"), start + end + 1


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
