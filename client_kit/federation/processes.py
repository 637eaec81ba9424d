"""Processes that work side by side on this machine: watched, and stopped together when one of them fails."""

import io
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from client_kit import children
from client_kit.errors import ConsensusError
from client_kit.federation.progress import Observer, Progress, ignore

_PAUSE_SECONDS = 0.1


class ProcessError(ConsensusError):
    """A process ended with an error (the message has the end of its log), or the observer failed."""


@dataclass(frozen=True, slots=True)
class _Process:
    name: str
    process: subprocess.Popen[bytes]
    reader: threading.Thread
    log: Path


class Processes:
    """Runs Python programs as processes while the context is open; leaving it ends those that still run.

    They also end when this process is killed.

    observe: is told each progress record that a process prints on standard output, from a thread of that process; all
    else it prints goes to its log. Where it raises, the processes and their reports go on until `check` tells of it.
    """

    def __init__(self, observe: Observer = ignore, *, stop_seconds: float = 10.0) -> None:
        self._observe = observe
        self._stop_seconds = stop_seconds
        self._started: list[_Process] = []
        self._failures: dict[str, BaseException] = {}
        """The first failure to pass on what a process printed, by its name."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, name: str, program: str, *arguments: str, log: Path) -> None:
        """Start a process that runs Python code; `name` is for messages, and `log` is appended to."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            process = children.start(program, *arguments, stdout=subprocess.PIPE, stderr=file)
        reader = threading.Thread(
            target=self._read, args=(name, process.stdout, log), name=f"progress of {name}", daemon=True
        )
        reader.start()
        self._started.append(_Process(name, process, reader, log))

    def check(self) -> None:
        """Raise ProcessError where a process ended with an error, with the end of its log, or the observer failed."""
        for each in self._started:
            if status := each.process.poll():
                raise ProcessError(f"{each.name} ended with exit status {status}. {children.log_tail(each.log)}")
        for name, error in list(self._failures.items()):
            raise ProcessError(f"the progress of {name} could not be passed on: {error!r}") from error

    def wait(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Until all processes ended well; `meanwhile` is called every moment. Raises ProcessError."""
        while any(each.process.poll() is None for each in self._started):
            self.check()
            meanwhile()
            time.sleep(_PAUSE_SECONDS)
        for each in self._started:
            each.reader.join()
        self.check()

    def stop(self) -> None:
        """End all processes: they are asked, and killed when they do not listen."""
        running = [each.process for each in self._started if each.process.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + self._stop_seconds
        for process in running:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for each in self._started:
            each.reader.join()
        self._started.clear()
        self._failures.clear()

    def _read(self, name: str, output: IO[bytes], log: Path) -> None:
        lines = io.TextIOWrapper(output, encoding="utf-8", errors="replace")
        with lines, log.open("a", encoding="utf-8", buffering=1) as rest:
            for line in lines:
                try:
                    self._pass_on(line, rest)
                except BaseException as error:  # noqa: BLE001 (rich ends the program on a closed terminal: SystemExit)
                    # Read on: a process whose pipe is full would stand still.
                    self._failures.setdefault(name, error)

    def _pass_on(self, line: str, rest: IO[str]) -> None:
        try:
            progress = Progress.from_json(line)
        except ValueError:
            rest.write(line)
        else:
            self._observe(progress)
