"""The loop that ends rounds at their deadline and aggregates those that are closed.

It belongs in a thread or a process of its own. Any number may run at the same time: a round is claimed by one of them.
"""

import threading
import time
from collections.abc import Callable

import structlog

from consensus_server.service.aggregation import Aggregated, Aggregation
from consensus_server.service.rounds import Rounds

SWEEP_SECONDS = 3600.0
"""Between two looks for answers that were kept as long as was agreed."""

_log = structlog.get_logger("consensus_server.worker")


class AggregationWorker:
    """Looks for work until it is told to stop."""

    def __init__(
        self,
        aggregation: Aggregation,
        rounds: Rounds,
        *,
        poll_seconds: float = 0.5,
        on_aggregated: Callable[[Aggregated], None] = lambda _: None,
        sweep: Callable[[], object] = lambda: None,
    ) -> None:
        """on_aggregated: told about every round that was claimed, for metrics. sweep: called about once an hour. Both in the worker's thread."""
        self._aggregation = aggregation
        self._rounds = rounds
        self._poll_seconds = poll_seconds
        self._on_aggregated = on_aggregated
        self._sweep = sweep
        self._swept_at = -SWEEP_SECONDS

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a round in the making is then given back. No error ends the loop: it is logged."""
        while not stop.is_set():
            try:
                self._sweep_when_due()
                busy = self.run_once(stop)
            except Exception:  # noqa: BLE001 - one bad round must not stop the others
                _log.exception("the worker met an error and goes on")
                busy = False
            if not busy:
                stop.wait(self._poll_seconds)

    def _sweep_when_due(self) -> None:
        if time.monotonic() - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = time.monotonic()
            self._sweep()

    def run_once(self, stop: threading.Event | None = None) -> bool:
        """End the rounds whose time has come, then aggregate one round. False when there was none."""
        self._rounds.settle_all()
        claim = self._aggregation.claim()
        if claim is None:
            return False
        self._on_aggregated(self._aggregation.aggregate(claim, stop))
        return True
