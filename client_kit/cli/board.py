"""Shows what the participants of a federation on this machine are doing: a live table, or plain lines without a terminal."""

import threading
import time
from types import TracebackType
from typing import Self

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from client_kit.cli.join import describe
from client_kit.command_line import errors
from client_kit.federation.progress import Progress, Step
from client_kit.stages import LINE_SECONDS

_QUIET = {Step.QUEUED, Step.WAITING}
"""Steps that are no news in a log of plain lines."""
_LASTING = {Step.ANSWERING, Step.AGGREGATING}
"""Steps that are told again and again while they last: of each participant a plain line every `LINE_SECONDS`."""


class Board:
    """An observer that shows. Progress may come from several threads."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent
        self._newest: dict[str, Progress] = {}
        self._lasting: dict[str, float] = {}
        """When a lasting step of a participant was told, by its name."""
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._live = Live(console=errors, get_renderable=self._table, refresh_per_second=4)
        self._shows_table = errors.is_terminal and not silent

    def __enter__(self) -> Self:
        if self._shows_table:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._shows_table:
            self._live.stop()

    def __call__(self, progress: Progress) -> None:
        """Show one step."""
        with self._lock:
            self._newest[progress.participant] = progress
        if progress.step not in _QUIET and not self._told_just_now(progress):
            self.say(f"{progress.participant}: {describe(progress)}", table_has_it=True)

    def _told_just_now(self, progress: Progress) -> bool:
        now, last = time.monotonic(), self._lasting.get(progress.participant, -LINE_SECONDS)
        if progress.step not in _LASTING:
            return False
        if now - last < LINE_SECONDS:
            return True
        self._lasting[progress.participant] = now
        return False

    def say(self, line: str, *, table_has_it: bool = False) -> None:
        """A line of the log; where the table shows it already, only without one."""
        if self._silent or (self._shows_table and table_has_it):
            return
        seconds = time.monotonic() - self._began
        errors.print(f"{seconds:6.1f} s  {line}", markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold", min_width=72)
        for column in ("Participant", "Round", "Step", ""):
            table.add_column(column)
        with self._lock:
            newest = sorted(self._newest.items())
        for name, progress in newest:
            bar = ProgressBar(total=progress.total, completed=progress.done, width=24) if progress.total else ""
            number = str(progress.round) if progress.round else ""
            table.add_row(name, number, f"{progress.step.value} {progress.detail}".rstrip(), bar)
        return table
