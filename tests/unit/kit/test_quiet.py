"""Progress bars of libraries: away while the kit works, and afterwards as they were."""

import subprocess
import sys

import pytest
from datasets.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
from transformers.utils import logging

from client_kit._quiet import without_progress_bars


@pytest.fixture(params=[True, False], ids=["shown before", "hidden before"])
def before(request):
    was = logging.is_progress_bar_enabled(), not are_progress_bars_disabled()
    _set(request.param, request.param)
    yield request.param
    _set(*was)


def _set(transformers, datasets):
    (logging.enable_progress_bar if transformers else logging.disable_progress_bar)()
    (enable_progress_bars if datasets else disable_progress_bars)()


def fail_inside(before, datasets):
    with without_progress_bars(datasets=datasets):
        assert not logging.is_progress_bar_enabled()
        assert are_progress_bars_disabled() == (datasets or not before)
        raise RuntimeError("inside")


@pytest.mark.parametrize("datasets", [True, False])
def test_bars_are_away_inside_and_afterwards_as_they_were(before, datasets):
    with pytest.raises(RuntimeError, match="inside"):
        fail_inside(before, datasets)
    assert logging.is_progress_bar_enabled() == before
    assert are_progress_bars_disabled() == (not before)


def test_who_only_generates_does_not_load_datasets():
    code = (
        "import sys\nfrom client_kit._quiet import without_progress_bars\n"
        "with without_progress_bars(): pass\nassert 'datasets' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
