"""Listens on an address, tells a parent process which, and ends without cutting anybody off."""

import asyncio
import errno
import json
import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from client_kit.command_line import CommandFailed, Exit
from consensus_server.cli.connections import guarded
from consensus_server.cli.tls import LOOK_SECONDS, ServerTls

GRACE_SECONDS = 10
"""Time for running requests to end after SIGTERM or SIGINT."""

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""All mean an orderly end; a terminal that is closed sends the last."""

_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; bound before anything heavy is loaded, so that a port in use is reported at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except socket.gaierror:
        raise CommandFailed(
            f"{host!r} is not an address of this machine.", Exit.NO_PORT, remedy="Try --host 127.0.0.1."
        ) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from None
    return listener


def _cannot_listen(host: str, port: int, error: OSError) -> CommandFailed:
    if error.errno == errno.EADDRINUSE:
        return CommandFailed(
            f"Port {port} of {host} is in use by another program.",
            Exit.NO_PORT,
            remedy="Choose another with --port, or --port 0 for a free one.",
        )
    if error.errno == errno.EACCES:
        return CommandFailed(
            f"This user may not listen on port {port}.", Exit.NO_PORT, remedy="Choose a port from 1024 on with --port."
        )
    return CommandFailed(f"Cannot listen on {host}: {error.strerror}.", Exit.NO_PORT, remedy="Check --host.")


def url_of(listener: socket.socket, *, tls: bool = False) -> str:
    """The address under which this machine reaches the server."""
    host, port = listener.getsockname()[:2]
    host = _ANY_ADDRESS.get(host, host)
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}"


def write_ready_file(path: Path, url: str) -> None:
    """`{"url": ..., "pid": ...}`, whole before it is visible."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    draft.write_text(json.dumps({"url": url, "pid": os.getpid()}) + "\n", encoding="utf-8")
    draft.replace(path)


class ConsensusServer(uvicorn.Server):
    """uvicorn, with a word when it listens and a word before it waits for running requests to end."""

    def __init__(
        self, config: uvicorn.Config, *, on_listening: Callable[[], None], on_stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._on_listening = on_listening
        self._on_stopping = on_stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self.config.ssl is not None:
            _bound_handshakes(self.config)
        await super().startup(sockets)
        if self.started:
            self._on_listening()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """As uvicorn's own, but the signal is not raised again in the end: an orderly end is no failure."""
        if threading.current_thread() is not threading.main_thread():
            yield  # signals are the main thread's
            return
        previous = {number: signal.signal(number, self.handle_exit) for number in ENDING_SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        await super().shutdown(sockets)


def _bound_handshakes(config: uvicorn.Config) -> None:
    """Let a handshake take as long as the head of a request, no longer: uvicorn cannot be asked to, but its event loop can."""
    loop: Any = asyncio.get_running_loop()
    seconds = getattr(config.http, "patience_seconds", None)
    loop.create_server = partial(loop.create_server, ssl_handshake_timeout=seconds)


def config_for(
    app: FastAPI,
    *,
    connections: int = 1000,
    head_seconds: float = 20.0,
    tls: ServerTls | None = None,
    proxies: tuple[str, ...] = (),
) -> uvicorn.Config:
    """How uvicorn serves the API. connections: most at the same time. head_seconds: longest time to the end of a request's head.

    proxies: addresses and ranges that may say for whom they ask.
    """
    return uvicorn.Config(
        app,
        ssl_context_factory=None if tls is None else lambda *_: tls.context,
        callback_notify=None if tls is None else tls.renew,
        timeout_notify=LOOK_SECONDS,
        forwarded_allow_ips=list(proxies) or None,
        http=guarded(connections, head_seconds),  # HTTP/1.1 on h11, what traffic is counted for
        ws="none",
        loop="asyncio",  # whose handshakes are known here
        lifespan="on",
        log_config=None,  # the log is structlog's
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


@contextmanager
def beside(app: FastAPI, listener: socket.socket) -> Generator[None]:
    """Serve in a thread while the block runs: of a process whose own work is another."""
    server = ConsensusServer(config_for(app), on_listening=lambda: None, on_stopping=app.state.context.stopping.set)
    thread = threading.Thread(target=server.run, args=([listener],), name="health", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(GRACE_SECONDS)


def run_api(app: FastAPI, config: uvicorn.Config, listener: socket.socket, *, on_listening: Callable[[], None]) -> None:
    """Serve until one of `ENDING_SIGNALS`. Waiting requests are answered, running ones have `GRACE_SECONDS` to end."""
    server = ConsensusServer(config, on_listening=on_listening, on_stopping=app.state.context.stopping.set)
    server.run(sockets=[listener])
