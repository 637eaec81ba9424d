"""How far an aggregation is, told to those who wait: often enough to be a sign of life, seldom enough to cost nothing."""

import time
from collections.abc import Callable

from client_kit.vocabulary import AggregationStep
from consensus_server.core.rounds import AggregationProgress

TOLD_SECONDS = 1.0
"""Between two reports; a small round that is decided sooner makes none."""
MANY = 100
"""Texts, questions or answers of which the first report is made at once: they take some seconds."""
EVENT_SECONDS = 10.0
"""Between two reports that are events too."""


class Reporter:
    """Called at each step of an aggregation; tells the last one now and then, with the seconds that the step may still take."""

    def __init__(
        self, tell: Callable[[AggregationProgress, bool], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """tell: gets what to report, and whether it is an event."""
        self._tell = tell
        self._clock = clock
        self._told = self._event = clock()
        self._step: AggregationStep | None = None
        self._began = 0.0
        self._from = 0
        self._begins = True

    def __call__(self, step: AggregationStep, done: int, total: int) -> None:
        """done of total: texts to encode, questions to compare, answers to decide."""
        now = self._clock()
        if step is not self._step:
            self._step, self._began, self._from, self._begins = step, now, done, True
        begins = self._begins and total - done > MANY
        self._begins = False
        if now - self._told < TOLD_SECONDS and not begins:
            return
        event = now - self._event >= EVENT_SECONDS
        self._told, self._event = now, now if event else self._event
        self._tell(AggregationProgress(step, done, total, self._seconds_left(now, done, total)), event)

    def _seconds_left(self, now: float, done: int, total: int) -> float | None:
        if done <= self._from:
            return None
        return round((now - self._began) / (done - self._from) * (total - done), 1)
