"""Keeps a lease alive while long work runs in the same thread that holds it."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import structlog

from consensus_server.core.errors import AggregationStopped, LeaseLost

_log = structlog.get_logger("consensus_server.worker")


class Heartbeat:
    """A thread that prolongs a lease. Leave the block to end it."""

    def __init__(self, renew: Callable[[], bool], *, interval_seconds: float, stop: threading.Event) -> None:
        """renew: prolongs the lease; False when it is lost. stop: set when the work should be given up."""
        self._renew = renew
        self._interval_seconds = interval_seconds
        self._stop = stop
        self._lost = threading.Event()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def check(self) -> None:
        """Call between steps. Raises LeaseLost or AggregationStopped when going on is of no use."""
        if self._lost.is_set():
            raise LeaseLost
        if self._stop.is_set():
            raise AggregationStopped

    def _beat(self) -> None:
        while not self._done.wait(self._interval_seconds):
            try:
                if not self._renew():
                    self._lost.set()
                    return
            except Exception:  # noqa: BLE001 - the database may be back at the next beat; if not, publishing finds out
                _log.exception("the lease of a round could not be prolonged")
