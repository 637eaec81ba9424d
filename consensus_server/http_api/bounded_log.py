"""A log that strangers cannot fill: of messages that anybody may cause, so many are written, and the others counted."""

import logging
import threading
import time
from collections.abc import Callable


class Allowance:
    """Lets `burst` through at once and `per_second` on average, and counts what it does not let through."""

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._left = float(burst)
        self._seen = clock()
        self._kept_back = 0

    def take(self) -> int | None:
        """How many were kept back since the last that was let through; None for one more that is."""
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + (now - self._seen) * self._per_second)
            self._seen = now
            if self._left < 1:
                self._kept_back += 1
                return None
            self._left -= 1
            kept_back, self._kept_back = self._kept_back, 0
            return kept_back


class BoundedLog(logging.Filter):
    """Bounds what the libraries log of connections: requests that are none, a system without descriptors."""

    def __init__(self, allowance: Allowance) -> None:
        super().__init__()
        self._allowance = allowance

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is written; the next one that is says how many were not."""
        kept_back = self._allowance.take()
        if kept_back:
            record.msg = f"{record.msg} ({kept_back} messages more were not written)"
        return kept_back is not None
