"""What the server writes into its log."""

import errno
import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

import pytest
import structlog

from consensus_server.backends.encoders import EncoderError
from consensus_server.logs import configure_logging
from consensus_server.wiring import EncoderSlot


@contextmanager
def server_log() -> Iterator[io.StringIO]:
    """Standard error of a configured process; what logged before does so again afterwards."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    with redirect_stderr(io.StringIO()) as written:
        configure_logging("info")
        yield written
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("logger", [structlog.get_logger, logging.getLogger])
def test_a_traceback_shows_no_values(logger):
    def fail(answer: str) -> None:
        raise RuntimeError(f"{len(answer)} characters")

    with server_log() as log:
        try:
            fail("an answer that nobody may read in a log")
        except RuntimeError:
            logger("some.part").exception("it failed")
    line = log.getvalue().splitlines()[-1]
    assert "nobody may read" not in line
    assert json.loads(line)["exception"][0]["exc_value"] == "39 characters"


def test_an_encoder_that_cannot_be_loaded_is_one_line_with_its_cause():
    def load():
        raise EncoderError("encoder 'nope' is nowhere. Check the name")

    with server_log() as log:
        slot = EncoderSlot(load)
        slot.start()
        assert slot.wait() is None
    line = json.loads(log.getvalue().splitlines()[-1])
    assert line["cause"] == "encoder 'nope' is nowhere. Check the name"
    assert "exception" not in line


def test_the_log_follows_a_standard_error_that_is_replaced():
    with server_log() as first:
        first.close()
        with redirect_stderr(io.StringIO()) as second:
            structlog.get_logger("some.part").info("said")
    assert json.loads(second.getvalue())["event"] == "said"


class Full(io.StringIO):
    """Standard error on a disk that is full."""

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("logger", [structlog.get_logger, logging.getLogger])
def test_a_log_that_cannot_be_written_ends_nothing(logger):
    with server_log() as log:
        with redirect_stderr(Full()) as full:
            configure_logging("info")
            logger("some.part").warning("said")
            full.close()
            logger("some.part").warning("said to a stream that is closed")
        assert not log.getvalue()
