"""What the server writes into its log."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from consensus_server.backends.encoders import EncoderError
from consensus_server.wiring import EncoderSlot, configure_logging


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """The server's log; what logged before the test does so again afterwards."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    configure_logging("info")
    yield written
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("logger", [structlog.get_logger, logging.getLogger])
def test_a_traceback_shows_no_values(logger, log):
    def fail(answer: str) -> None:
        raise RuntimeError(f"{len(answer)} characters")

    try:
        fail("an answer that nobody may read in a log")
    except RuntimeError:
        logger("some.part").exception("it failed")
    line = log.getvalue().splitlines()[-1]
    assert "nobody may read" not in line
    assert json.loads(line)["exception"][0]["exc_value"] == "39 characters"


def test_an_encoder_that_cannot_be_loaded_is_one_line_with_its_cause(log):
    def load():
        raise EncoderError("encoder 'nope' is nowhere. Check the name")

    slot = EncoderSlot(load)
    slot.start()
    assert slot.wait() is None
    line = json.loads(log.getvalue().splitlines()[-1])
    assert line["cause"] == "encoder 'nope' is nowhere. Check the name"
    assert "exception" not in line
