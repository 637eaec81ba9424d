"""Libraries that keep quiet: the kit shows progress of its own."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """No bars from datasets and transformers, which draw dozens of them for data of a few hundred rows."""
    from datasets.utils import (  # noqa: PLC0415
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )
    from transformers.utils import logging  # noqa: PLC0415

    datasets_off, transformers_on = are_progress_bars_disabled(), logging.is_progress_bar_enabled()
    disable_progress_bars()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if not datasets_off:
            enable_progress_bars()
        if transformers_on:
            logging.enable_progress_bar()
