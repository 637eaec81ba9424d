"""`consensus-server serve` and `worker`: what runs for long."""

import os
import secrets
import signal
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from client_kit.command_line import CommandFailed, Exit, JsonOption, note, print_json
from client_kit.proxies import is_loopback
from consensus_server.cli.listening import ENDING_SIGNALS, beside, config_for, listen, run_api, url_of, write_ready_file
from consensus_server.cli.operating import DatabaseOption, DataDirOption, settings_from
from consensus_server.cli.tls import ServerTls
from consensus_server.logs import configure_logging
from consensus_server.settings import Settings, names_in, operator_token
from consensus_server.wiring import (
    Server,
    build_api,
    build_server,
    pulling_of,
    run_puller,
    run_worker,
)

WORKER_GRACE_SECONDS = 15.0
"""Time for a worker to finish its batch of texts and give its round back; after that its lease runs out."""

EncoderOption = Annotated[
    str | None, typer.Option(help="Name of the encoder, or `hashing`, a stand-in for tests that knows no meaning.")
]
LeaseOption = Annotated[
    float | None,
    typer.Option(help="Seconds without a renewed lease after which a worker loses its round.", metavar="SECONDS"),
]
ThreadsOption = Annotated[int | None, typer.Option(help="Threads of one encoding; 0: as many as cores.", metavar="N")]
PanelsOption = Annotated[
    Path | None,
    typer.Option(help="Upstream APIs: panels, and participants to ask (docs/inference.md).", metavar="FILE"),
]
LevelOption = Annotated[str | None, typer.Option(help="debug, info, warning or error.", metavar="LEVEL")]


def register(app: typer.Typer) -> None:
    """Add both commands."""
    app.command(epilog="Example: consensus-server serve --data-dir consensus-data --port 8000")(serve)
    app.command(epilog="Example: consensus-server worker --data-dir consensus-data")(worker)


def serve(
    *,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="Certificate of the server, in PEM; by default plain HTTP.", metavar="FILE")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="Its key; by default it stands in the certificate's file.", metavar="FILE")
    ] = None,
    encoder: EncoderOption = None,
    encoder_threads: ThreadsOption = None,
    operator_token_file: Annotated[
        Path | None, typer.Option(help="File with the operator's token; made where it is missing.", metavar="FILE")
    ] = None,
    lease_seconds: LeaseOption = None,
    threads: Annotated[int | None, typer.Option(help="Use cases that run at the same time.", metavar="N")] = None,
    panels_file: PanelsOption = None,
    log_level: LevelOption = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write {url, pid} here as JSON once the port is open.", metavar="FILE")
    ] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Aggregate in this process too.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Run the API and a worker, until SIGTERM, SIGINT or SIGHUP.

    The port opens at once; /readyz answers 200 when the encoder is loaded too.
    """
    settings = settings_from(
        data_dir=data_dir,
        database_url=database_url,
        host=host,
        port=port,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        encoder=encoder,
        encoder_threads=encoder_threads,
        operator_token_file=operator_token_file,
        lease_seconds=lease_seconds,
        threads=threads,
        panels_file=panels_file,
        log_level=log_level,
    )
    tls = ServerTls.of(settings)
    with listen(settings.host, settings.port) as listener:
        _serve(settings, listener, tls, ready_file, with_worker=worker, as_json=as_json)


def worker(
    *,
    data_dir: DataDirOption = None,
    database_url: DatabaseOption = None,
    encoder: EncoderOption = None,
    encoder_threads: ThreadsOption = None,
    lease_seconds: LeaseOption = None,
    panels_file: PanelsOption = None,
    log_level: LevelOption = None,
    health_port: Annotated[
        int | None,
        typer.Option(
            help="Port for /healthz, /readyz and /metrics of this worker; 0 takes a free one.", metavar="PORT"
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run one more worker on a server's database, until SIGTERM, SIGINT or SIGHUP."""
    settings = settings_from(
        data_dir=data_dir,
        database_url=database_url,
        encoder=encoder,
        encoder_threads=encoder_threads,
        lease_seconds=lease_seconds,
        panels_file=panels_file,
        log_level=log_level,
    )
    with nullcontext() if health_port is None else listen(settings.host, health_port) as listener:
        _work(settings, listener, as_json=as_json)


def _serve(
    settings: Settings,
    listener: socket.socket,
    tls: ServerTls | None,
    ready_file: Path | None,
    *,
    with_worker: bool,
    as_json: bool,
) -> None:
    with _running(settings, operator_token(settings), with_worker=with_worker) as server:
        url = url_of(listener, tls=tls is not None)
        api = build_api(server)

        def announce() -> None:
            _announce(settings, url, ready_file, as_json=as_json)
            warn(settings, tls)

        try:
            config = config_for(
                api,
                connections=settings.connections,
                head_seconds=settings.head_seconds,
                tls=tls,
                proxies=names_in(settings.trusted_proxies),
            )
            run_api(api, config, listener, on_listening=announce)
        finally:
            if ready_file is not None:
                ready_file.unlink(missing_ok=True)


def _work(settings: Settings, listener: socket.socket | None, *, as_json: bool) -> None:
    configure_logging(settings.log_level)
    stop = threading.Event()
    for number in ENDING_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    with (
        _running(settings, secrets.token_urlsafe(), with_worker=True, stop=stop) as server,  # nobody calls a worker
        nullcontext() if listener is None else beside(build_api(server, health_only=True), listener),
    ):
        health = None if listener is None else url_of(listener)
        if as_json:
            print_json({"pid": os.getpid(), "health": health})
        else:
            note(
                f"The worker looks for closed rounds{f'; {health}/readyz says how it is' if health else ''}. Ctrl-C ends it."
            )
        while not stop.wait(0.2):
            if server.encoder.state().failure:
                raise CommandFailed(f"The encoder cannot be loaded: {server.encoder.state().failure}", Exit.FAILED)


@contextmanager
def _running(
    settings: Settings, token: str, *, with_worker: bool, stop: threading.Event | None = None
) -> Generator[Server]:
    """A server whose encoder is loading and whose worker runs; in the end a round in the making is given back."""
    configure_logging(settings.log_level)
    server = build_server(settings, token, patience_seconds=settings.database_seconds)
    pulling = pulling_of(server) if with_worker else None
    server.encoder.start()
    ending = stop or threading.Event()
    if with_worker:
        server.threads.start("worker", partial(run_worker, server), ending)
    if pulling is not None:
        server.threads.start("puller", partial(run_puller, server, pulling), ending)
    try:
        yield server
    finally:
        ending.set()
        if server.encoder.identity() is not None:  # else the worker waits for it, and has nothing to give back
            server.threads.join(WORKER_GRACE_SECONDS)
        server.close()


def _announce(settings: Settings, url: str, ready_file: Path | None, *, as_json: bool) -> None:
    if ready_file is not None:
        write_ready_file(ready_file, url)
    token_file = None if settings.operator_token else str(settings.token_file)
    if as_json:
        print_json({"url": url, "pid": os.getpid(), "operator_token_file": token_file})
        return
    note(f"The server listens on {url}; {url}/readyz says when it is ready. Ctrl-C ends it.")
    note(f"Operator's token: {token_file or 'as set in CONSENSUS_OPERATOR_TOKEN'}")


def warn(settings: Settings, tls: ServerTls | None) -> None:
    """What does not keep the server from starting, and should be known."""
    for told in tls.notes if tls is not None else ():
        note(f"Warning: {told}")
    if tls is None and not settings.trusted_proxies and not is_loopback(f"http://{settings.host}"):
        note(
            "Warning: tokens and answers travel in clear text to whoever is beyond this machine. Set CONSENSUS_TLS_CERTIFICATE, or "
            "put a proxy with TLS before the server and name it in CONSENSUS_TRUSTED_PROXIES."
        )
