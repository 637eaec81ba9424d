"""A vLLM server as a process of this machine: started, watched, stopped."""

import logging
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

from client_kit import children
from client_kit.errors import EngineFailed, MissingExtra
from client_kit.generation.vllm_weights import PRIVATE, Weights, arguments

_log = logging.getLogger(__name__)

_SERVE = "import runpy; runpy.run_module('vllm.entrypoints.openai.api_server', run_name='__main__')"
"""The `vllm` command does not work in every build for CPUs; the module does."""

_POLL_SECONDS = 0.5
_STOP_SECONDS = 30.0
_DEFAULT_RANK = 16
"""`max_lora_rank` where LoRA is enabled and nothing else said, in vLLM."""


class VLLMServer:
    """One server, reached from this machine only. It ends with the process that started it, however that ends."""

    def __init__(
        self, weights: Weights, *, log: Path, engine_args: Mapping[str, Any] | None = None, start_seconds: float = 900.0
    ) -> None:
        """Nothing is started yet.

        log: file that its output is appended to. engine_args: as vLLM calls them (`max_model_len`, `dtype`, ...).
        start_seconds: longest wait until it answers; models of many gigabytes take minutes to load.
        """
        self.weights = weights
        self.log = log
        self.key = secrets.token_urlsafe(24)
        """Only who knows it may ask: other users of the machine may not."""
        self._arguments = dict(engine_args or {})
        self._start_seconds = start_seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Address up to and including `/v1`."""
        return f"http://127.0.0.1:{self._port}/v1"

    @property
    def process_id(self) -> int | None:
        """Of the server while it runs."""
        return None if self._process is None else self._process.pid

    @property
    def adapter_rank(self) -> int:
        """Largest rank of an adapter that it takes; 0: it takes none."""
        if not self._arguments.get("enable_lora", self.weights.rank > 0):
            return 0
        return int(self._arguments.get("max_lora_rank", self.weights.rank or _DEFAULT_RANK))

    def start(self) -> None:
        """Start it, and wait until it answers. Raises EngineFailed with the end of its log, and MissingExtra."""
        require_vllm()
        self.stop()
        self._port = _free_port()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = children.start(
                _SERVE, *self._words(), stdout=log, stderr=log, environment=self._environment()
            )
        try:
            self._wait(self._process)
        except BaseException:
            self.stop()
            raise

    def healthy(self) -> bool:
        """Whether it runs, and its engine answers."""
        return self._process is not None and self._process.poll() is None and self._answers()

    def stop(self) -> None:
        """Ask it to end, and make it end after a while. Nothing of it is left behind."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        # Its engine and workers are of its session; a server that was killed could not take them along.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_seconds
        while not self._answers():
            if process.poll() is not None:
                raise EngineFailed(
                    f"the vLLM server for {self.weights.base} does not start. {children.log_tail(self.log)}"
                )
            if time.monotonic() > deadline:
                raise EngineFailed(
                    f"the vLLM server for {self.weights.base} was not ready after {self._start_seconds:g} s; raise "
                    f"start_seconds if it only needs longer. {children.log_tail(self.log)}"
                )
            time.sleep(_POLL_SECONDS)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self._port}/health", timeout=10, trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def _words(self) -> list[str]:
        # vLLM would fill in what a model's generation_config.json suggests; here the settings alone say how to draw.
        ours = {"model": self.weights.base, "host": "127.0.0.1", "port": self._port, "generation_config": "vllm"}
        adapters = {"enable_lora": True, "max_lora_rank": self.adapter_rank} if self.adapter_rank else {}
        return arguments({**ours, **self._arguments, **adapters})

    def _environment(self) -> dict[str, str]:
        return {**os.environ, **PRIVATE, "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True", "VLLM_API_KEY": self.key}


def require_vllm() -> None:
    """Raises MissingExtra."""
    if find_spec("vllm") is None:
        raise MissingExtra("generating with vLLM", "vllm")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
