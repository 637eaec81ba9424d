"""Connections of strangers: bounded in number, and in the time that they may take to say what they want."""

import asyncio
import resource
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from consensus_server.http_api.certificates import STATE_KEY, Connection

STALLED_SECONDS = 60.0
LEAST_BYTES = 64 * 1024
"""Who reads an answer that it does not yet have takes so many bytes of it in this time, or its connection is closed."""

_OTHER_FILES = 256
"""Descriptors that the database, the log and upstreams need beside connections."""


def file_limit() -> int:
    """The most connections for which this process has descriptors; its soft limit is raised as far as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems say more than they give
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    return 2**31 if unlimited else max(16, soft - _OTHER_FILES)


def guarded(connections: int, head_seconds: float) -> "type[_Guarded]":
    """A protocol for uvicorn.

    connections: most that are open at the same time; of more, the one that has been waiting longest for a request is
    closed, and the new one where none waits. head_seconds: longest time to the end of a request's head.
    """

    class GuardedProtocol(_Guarded):
        most = min(connections, file_limit())
        patience_seconds = head_seconds

    return GuardedProtocol


class _Guarded(H11Protocol):
    """HTTP/1.1, and a timer whenever no request is under way."""

    most: int
    patience_seconds: float

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,  # noqa: ANN401
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._silent_since = self.loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self.app_state = {**self.app_state, STATE_KEY: Connection.of(transport)}
        if len(self.connections) > self.most:
            self._make_room()
        self._wait_for_a_head()

    def on_response_complete(self) -> None:
        self._silent_since = self.loop.time()
        super().on_response_complete()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._waits():
            self._wait_for_a_head()
        else:
            self._stop_waiting()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._go_on()
        super().connection_lost(exc)

    def _watch_reader(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(STALLED_SECONDS, self._end_if_stalled)

    def _end_if_stalled(self) -> None:
        """A file of many megabytes is one write: its reader is slow for long, and not stalled."""
        if self._unsent - self.transport.get_write_buffer_size() >= LEAST_BYTES:
            self._watch_reader()
        else:
            self.transport.abort()

    def _go_on(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _waits(self) -> bool:
        """Whether no request is under way: the connection is new, or its last answer has been sent."""
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_a_head(self) -> None:
        if self._timer is None:
            self._silent_since = self.loop.time()
            self._timer = self.loop.call_later(self.patience_seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._waits():
            self.transport.abort()

    def _make_room(self) -> None:
        others = [each for each in self.connections if each is not self and isinstance(each, _Guarded)]
        waiting = [each for each in others if each._waits() and not each.transport.is_closing()]  # noqa: SLF001
        given_up = min(waiting, key=lambda each: each._silent_since, default=self)  # noqa: SLF001
        self.connections.discard(given_up)
        given_up.transport.abort()
