"""A consensus server as a process of this machine: started, waited for, watched and stopped."""

import json
import os
import secrets
import subprocess
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

from client_kit import children
from client_kit._transport import RetryPolicy
from client_kit.client import ConsensusClient
from client_kit.errors import ConfigurationError, MissingExtra, ServiceError, Unreachable

_NEEDED = ("fastapi", "uvicorn", "sqlalchemy", "sentence_transformers")
"""Libraries of the extra `server` whose absence means that the extra is not installed."""

_PROGRAM = "from consensus_server.cli import main; main()"
"""The console script `consensus-server`."""

_SETTINGS = "CONSENSUS_"
_PAUSE_SECONDS = 0.2


class ServerProcess:
    """Runs `consensus-server serve` while the context is open.

        with ServerProcess(Path("out/server")) as server:
            client = ConsensusClient(server.url, server.operator_token)

    folder: holds the database, so that a later start goes on with it, and `server.log`.
    environment: settings of the server, for example `{"CONSENSUS_ENCODER": "hashing"}`. Of this process's own variables
    none that begins with CONSENSUS_ is handed on: they may mean another server, and its database.
    ready_seconds: time for start and loading of the encoder. stop_seconds: time to end before it is killed.

    Entering raises MissingExtra without the extra `server`, ConfigurationError for an unusable folder, and Unreachable,
    with the last lines of the log, where the server ended or was not ready in time.
    """

    def __init__(
        self,
        folder: Path,
        *,
        environment: Mapping[str, str] | None = None,
        ready_seconds: float = 120.0,
        stop_seconds: float = 20.0,
    ) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self.operator_token = secrets.token_urlsafe(32)
        """Valid for this start only."""
        self.url = ""
        """Known once the context is entered."""
        self._environment = dict(environment or {})
        self._ready_seconds = ready_seconds
        self._stop_seconds = stop_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if any(find_spec(library) is None for library in _NEEDED):
            raise MissingExtra("a consensus server on this machine", "server")
        try:
            self._start()
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id; None before the start and after the stop."""
        return self._process.pid if self._process else None

    def check(self) -> None:
        """Raise Unreachable, with the last lines of the log, where the server has ended."""
        status = self._process.poll() if self._process else None
        if status is not None:
            raise Unreachable(f"the server ended with exit status {status}. {children.log_tail(self.log)}")

    def stop(self) -> None:
        """End the server: running requests may finish, then it is killed. Does nothing where none runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(self._stop_seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def _ready_file(self) -> Path:
        return self.folder / "ready.json"

    def _start(self) -> None:
        options = ("--data-dir", str(self.folder), "--port", "0", "--ready-file", str(self._ready_file))
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
        environment = {**inherited, **self._environment, "CONSENSUS_OPERATOR_TOKEN": self.operator_token}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._ready_file.unlink(missing_ok=True)
            with self.log.open("ab") as log:
                self._process = children.start(
                    _PROGRAM, "serve", *options, stdout=log, stderr=subprocess.STDOUT, environment=environment
                )
        except OSError as error:
            raise ConfigurationError(f"the server cannot use the folder {self.folder}: {error.strerror}") from error

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + self._ready_seconds
        while time.monotonic() < deadline:
            self.check()
            if self._is_ready():
                return
            time.sleep(_PAUSE_SECONDS)
        last_words = children.log_tail(self.log)
        raise Unreachable(f"the server was not ready within {self._ready_seconds:g} seconds. {last_words}")

    def _is_ready(self) -> bool:
        if not self.url:
            if not self._ready_file.exists():  # it appears whole
                return False
            self.url = str(json.loads(self._ready_file.read_text("utf-8"))["url"])
        try:
            with ConsensusClient(self.url, retry=RetryPolicy(attempts=1)) as client:
                readiness = client.readiness()
        except ServiceError:
            return False
        if readiness.encoder_failure:
            raise ConfigurationError(f"the server cannot load its encoder: {readiness.encoder_failure}")
        return readiness.ready
