"""Shows how far a command is: bars where there is a terminal, else plain lines now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from client_kit.command_line import errors, note
from client_kit.vocabulary import RoundState
from client_kit.wire import Round

Stage: TypeAlias = Callable[[str, int, int], None]
"""Is told (what is being done, done, total); a total of 0 where it is not known."""

LINE_SECONDS = 10.0
"""Between two plain lines of one stage."""


def show_progress(observe: Stage, found: Round) -> None:
    """How far a round is."""
    if found.progress is not None:
        observe(f"Round {found.number}: {found.progress.step.value}", found.progress.done, found.progress.total)
    elif found.state is RoundState.OPEN:
        observe(f"Round {found.number} is open: sealed", found.sealed, found.active)
    else:
        observe(f"Round {found.number} is {found.state.value}", 0, 0)


def quiet(_stage: str, _done: int, _total: int) -> None:
    """The observer that does nothing."""


@contextmanager
def shown(*, hidden: bool = False) -> Iterator[Stage]:
    """An observer that shows stages on standard error while the block lasts; one that does nothing where it is hidden."""
    if hidden:
        yield quiet
    elif errors.is_terminal:
        with _bars() as bars:
            yield bars
    else:
        yield Lines()


class Lines:
    """A line when a stage begins, and one every ten seconds as long as it lasts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, write: Callable[[str], None] = note) -> None:
        self._clock = clock
        self._write = write
        self._stage = ""
        self._began = self._told = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Tell a step, unless one was told just now."""
        now, begins = self._clock(), stage != self._stage
        if begins:
            self._stage, self._began = stage, now
        if begins or now - self._told >= LINE_SECONDS:
            self._told = now
            self._write(f"{stage}{f': {done:,} of {total:,}' if total else ''}{self._rest(now, done, total)}")

    def _rest(self, now: float, done: int, total: int) -> str:
        if not done or now == self._began:
            return ""
        return f", about {(now - self._began) / done * (total - done):.0f} s left"


@contextmanager
def _bars() -> Iterator[Stage]:
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=errors) as bars:
        tasks: dict[str, TaskID] = {}

        def observe(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                _finish(bars)
                tasks[stage] = bars.add_task(stage, total=None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield observe
        _finish(bars)


def _finish(bars: Progress) -> None:
    for task in bars.tasks:
        total = task.total or 1
        bars.update(task.id, total=total, completed=total)
