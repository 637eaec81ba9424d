"""Threads that work for as long as the server does: one that an error ends is started again, and readiness knows of it."""

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog

AGAIN_SECONDS: Final = 1.0
"""Until a thread that an error ended works again."""
TROUBLED_SECONDS: Final = 30.0
"""For so long after an error a thread counts as one that does not work: it may meet the same error again."""

_log = structlog.get_logger("consensus_server.threads")


class Supervisor:
    """Starts threads, starts them again, and says how they are. Safe to use from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._threads: dict[str, threading.Thread] = {}
        self._restarts: dict[str, int] = {}
        self._fell: dict[str, float] = {}

    def start(self, name: str, work: Callable[[threading.Event], None], stop: threading.Event) -> None:
        """work: returns when `stop` is set, or when there is nothing to do for good. What it raises is logged."""
        self._restarts[name] = 0
        thread = threading.Thread(target=self._keep, args=(name, work, stop), name=name, daemon=True)
        self._threads[name] = thread
        thread.start()

    def restarts(self) -> dict[str, int]:
        """How often each thread was started again, by name."""
        return dict(self._restarts)

    def troubled(self) -> list[str]:
        """Names of the threads that an error ended a short while ago."""
        now = self._clock()
        return sorted(name for name, fell in self._fell.items() if now - fell < TROUBLED_SECONDS)

    def join(self, seconds: float) -> None:
        """Wait for all of them to end, each at most so long."""
        for thread in self._threads.values():
            thread.join(seconds)

    def _keep(self, name: str, work: Callable[[threading.Event], None], stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                work(stop)
            except BaseException:  # noqa: BLE001 - whatever it is, somebody must do the work
                self._restarts[name] += 1
                self._fell[name] = self._clock()
                _log.exception("a thread was ended by an error and is started again", thread=name)
                stop.wait(AGAIN_SECONDS)
            else:
                return
