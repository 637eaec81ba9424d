"""Time that deadlines and leases are kept by."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from consensus_server.core.errors import StoreUnavailable

LOOK_SECONDS: Final = 60.0
"""Between two looks at the time of a database."""


class SystemClock:
    """What the machine says, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def passed_seconds() -> float:
    """Seconds since some moment: they go on while the machine sleeps, and nobody sets them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class SteadyClock:
    """The time of a source when it was last looked at, and the seconds that have passed since.

    So a machine's clock that is set by an hour closes no round early, and strands none. With a database as the source, all servers and
    workers of it agree, whatever their machines say. Safe to use from any thread.
    """

    def __init__(
        self,
        source: Callable[[], datetime],
        *,
        look_seconds: float | None = None,
        passed: Callable[[], float] = passed_seconds,
    ) -> None:
        """source: aware, in UTC. look_seconds: between two looks; None looks once."""
        self._source = source
        self._look_seconds = look_seconds
        self._passed = passed
        self._lock = threading.Lock()
        self._seen: tuple[datetime, float] | None = None
        """The time of the source, and what had passed then."""
        self._looked = 0.0

    def now(self) -> datetime:
        """Raises StoreUnavailable where the source was never reached; later its last time serves until it is back."""
        with self._lock:
            passed = self._passed()
            at, since = self._look(passed)
        return at + timedelta(seconds=passed - since)

    def _look(self, passed: float) -> tuple[datetime, float]:
        if self._seen is None:
            self._seen, self._looked = (self._source(), passed), passed
        elif self._look_seconds is not None and passed - self._looked >= self._look_seconds:
            self._looked = passed
            try:
                self._seen = (self._source(), passed)
            except StoreUnavailable:
                return self._seen
        return self._seen
