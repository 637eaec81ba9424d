"""Libraries that keep quiet: the kit shows progress of its own."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_NOISE = (r".*pin_memory.*",)
"""Warnings of libraries about what is no fault and nobody can change: a machine without a GPU."""


def quiet_libraries() -> None:
    """For a command that shows steps of its own, before any library is loaded: no word of theirs on what is as it should be.

    TRANSFORMERS_VERBOSITY, where the user has set it, stands. Processes that are started for a training inherit it.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # else: "missing keys" of weights that are tied
    for message in _NOISE:
        warnings.filterwarnings("ignore", message=message)


@contextmanager
def without_progress_bars(*, datasets: bool = False) -> Iterator[None]:
    """No bars from transformers, which draws one for every model that it loads; afterwards all is as it was.

    datasets: also none from the library of that name (of the extra `train`), which draws dozens of them for data of a
        few hundred rows.
    """
    from transformers.utils import logging  # noqa: PLC0415 - heavy

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        if datasets:
            with _without_bars_of_datasets():
                yield
        else:
            yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def _without_bars_of_datasets() -> Iterator[None]:
    from datasets.utils import (  # noqa: PLC0415 - heavy
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    off = are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if not off:
            enable_progress_bars()
