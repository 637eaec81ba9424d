"""The log: one JSON object a line on standard error. What cannot be written is lost, and nothing else is."""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from client_kit import tracing
from consensus_server.http_api.bounded_log import Allowance, BoundedLog


class _Forgiving:
    """A stream that never raises: a full disk under the log, or a reader that left, must not end the thread that logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def _with_trace(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The trace that the line belongs to, where traces are wanted."""
    if (found := tracing.trace_id()) is not None:
        event["trace_id"] = found
    return event


def configure_logging(level: str) -> None:
    """From our own code and from the libraries. A library's line that cannot be written is lost too, without a word."""
    logging.raiseExceptions = False
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        _with_trace,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Tracebacks without the values of variables: those can be answers, tokens and passwords of databases.
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
    ]
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # Standard error as it is when a line is written: whoever replaces it may have closed the one of now.
        logger_factory=lambda *_: structlog.PrintLogger(_Forgiving(sys.stderr)),  # type: ignore[arg-type]  # it writes and flushes
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(BoundedLog(Allowance(per_second=2, burst=50)))
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(number, logging.WARNING), force=True)
