"""A limit on how many processes of one machine compute at the same time, by locks on files.

Several training processes on few cores slow one another down far more than in proportion; waiting in turn is faster.
The operating system releases a lock when its holder dies, so that a killed participant never blocks the others.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.05


@contextmanager
def slot(folder: Path, count: int, *, waiting: Callable[[], None] = lambda: None) -> Iterator[int]:
    """Hold one of `count` slots (numbered from 0) while the block runs; `waiting` is called once if none is free."""
    folder.mkdir(parents=True, exist_ok=True)
    handles = [os.open(folder / f"slot-{number}.lock", os.O_RDWR | os.O_CREAT, 0o600) for number in range(count)]
    try:
        yield _take_one(handles, waiting)
    finally:
        for handle in handles:
            os.close(handle)


def _take_one(handles: list[int], waiting: Callable[[], None]) -> int:
    taken = _try_each(handles)
    if taken is None:
        waiting()
    while taken is None:
        time.sleep(POLL_SECONDS)
        taken = _try_each(handles)
    return taken


def _try_each(handles: list[int]) -> int | None:
    for number, handle in enumerate(handles):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return number
    return None
