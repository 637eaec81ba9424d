"""Waiting for a round without a thread or a query per waiter.

Rounds change in other processes too (workers), so that waiting means looking again. However many requests wait for
the same round, it is looked at once an interval. A request's first look is its own: what its sender has seen elsewhere
must not be news here.
"""

import asyncio
import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Look(Generic[V]):
    begun: float
    task: "asyncio.Task[V]"


class SharedPoll(Generic[K, V]):
    """Reads a value by key, at most once in `interval_seconds`; callers in between share the answer."""

    def __init__(self, read: Callable[[K], V], interval_seconds: float) -> None:
        """`read` may block; it runs in a worker thread."""
        self.interval_seconds = interval_seconds
        self._read = read
        self._looks: dict[K, _Look[V]] = {}

    async def get(self, key: K, since: float = -math.inf) -> V:
        """The value, at most `interval_seconds` old and not from before `since` (of `time.monotonic`).

        Raises what `read` raises.
        """
        now = time.monotonic()
        look = self._looks.get(key)
        if look is None or look.begun < since or now - look.begun >= self.interval_seconds:
            self._forget_older_than(now - self.interval_seconds)
            look = _Look(now, asyncio.create_task(run_in_threadpool(self._read, key)))
            self._looks[key] = look
        # Shielded: one waiter that goes away must not end the look that others share.
        return await asyncio.shield(look.task)

    def _forget_older_than(self, moment: float) -> None:
        self._looks = {key: look for key, look in self._looks.items() if look.begun > moment or not look.task.done()}
