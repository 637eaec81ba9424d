"""Panels decided by several processes: each reads a bank once, from a file, and decides whole panels.

What a panel gives depends on nothing but the bank and the panel, so the number of processes shows in time only.
"""

import multiprocessing
import pickle
import tempfile
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from consensus_server.core.consensus.records import Policy
from consensus_server.evaluation.bank import Bank
from consensus_server.evaluation.panels import decide_panel
from consensus_server.evaluation.records import Panel, Picks

Done = Callable[[int, int], None]
"""(done, in all)."""


class DecideAll(Protocol):
    """What decides panels; the picks come by panel, then policy."""

    def __call__(
        self, bank: Bank, panels: Sequence[Panel], policies: Sequence[Policy], clusterer: str, done: Done
    ) -> list[list[Picks]]: ...


@contextmanager
def deciding(workers: int) -> Generator[DecideAll]:
    """What decides panels, in this process or in so many others."""
    if workers <= 1:
        yield _decide_here
        return
    # Not forked: a copy of a process with the threads of an encoder may hang.
    context = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(prefix="label-quality-") as folder,
        ProcessPoolExecutor(workers, mp_context=context) as pool,
    ):
        yield _ByProcesses(pool, Path(folder))


def _decide_here(
    bank: Bank, panels: Sequence[Panel], policies: Sequence[Policy], clusterer: str, done: Done
) -> list[list[Picks]]:
    picks = []
    for number, panel in enumerate(panels):
        done(number, len(panels))
        picks.append(decide_panel(bank, panel, policies, clusterer))
    done(len(panels), len(panels))
    return picks


class _ByProcesses:
    """Deals panels out one by one."""

    def __init__(self, pool: ProcessPoolExecutor, folder: Path) -> None:
        self._pool = pool
        self._folder = folder
        self._bank: Bank | None = None
        self._path = folder / "bank-0.pickle"
        self._count = 0

    def __call__(
        self, bank: Bank, panels: Sequence[Panel], policies: Sequence[Policy], clusterer: str, done: Done
    ) -> list[list[Picks]]:
        path = self._written(bank)
        futures = [self._pool.submit(_decide_there, path, panel, policies, clusterer) for panel in panels]
        picks = []
        for number, future in enumerate(futures):
            done(number, len(panels))
            picks.append(future.result())
        done(len(panels), len(panels))
        return picks

    def _written(self, bank: Bank) -> Path:
        """The file of a bank; that of the bank before is removed."""
        if bank is not self._bank:
            self._path.unlink(missing_ok=True)
            self._bank, self._count = bank, self._count + 1
            self._path = self._folder / f"bank-{self._count}.pickle"
            self._path.write_bytes(pickle.dumps(bank, protocol=pickle.HIGHEST_PROTOCOL))
        return self._path


@lru_cache(maxsize=1)
def _read(path: Path) -> Bank:
    bank: Bank = pickle.loads(path.read_bytes())  # noqa: S301 - written by this program a moment ago
    return bank


def _decide_there(path: Path, panel: Panel, policies: Sequence[Policy], clusterer: str) -> list[Picks]:
    return decide_panel(_read(path), panel, policies, clusterer)
