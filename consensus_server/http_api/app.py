"""The HTTP API, put together. It knows use cases, no settings and no database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
import structlog
from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from consensus_server import __version__
from consensus_server.http_api import (
    bundles,
    events,
    federations,
    health,
    inspection,
    invitations,
    openai_compat,
    operators,
    parameters,
    participants,
    prompt_sets,
    pseudo_labels,
    pull_mode,
    rounds,
    signing_keys,
    standings,
    submissions,
)
from consensus_server.http_api.context import ApiContext
from consensus_server.http_api.identity import charged_to
from consensus_server.http_api.memory import MemoryMiddleware
from consensus_server.http_api.openapi import describe
from consensus_server.http_api.problems import install_problems
from consensus_server.http_api.request_log import RequestLogMiddleware
from consensus_server.http_api.traffic import TrafficMiddleware
from consensus_server.service.inference import Inference

DESCRIPTION = "Answers to public prompts in, pseudo-labels with confidence out. Errors are problem details (RFC 9457)."

GZIP_MINIMUM_BYTES = 1024
"""Smaller answers travel in one packet anyway."""

RENEW_SECONDS = 2.0
"""Between two looks at whether the panels file has changed."""

_log = structlog.get_logger("consensus_server.http")


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_RESOURCES = (
    federations, prompt_sets, participants, signing_keys, operators, invitations, pull_mode, rounds, submissions, pseudo_labels, bundles, parameters, standings, inspection, events,
    openai_compat,
)  # fmt: skip


def create_app(context: ApiContext, *, health_only: bool = False) -> FastAPI:
    """The ASGI app over ready-made use cases. health_only: with no route but those of health and metrics."""
    app = FastAPI(
        title="Semantic Consensus",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,  # both pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    for module in (health,) if health_only else (health, *_RESOURCES):
        app.include_router(module.router)
    if not health_only:
        app.include_router(invitations.open_router)
    install_problems(app, openai_compat.not_here)
    describe(app)
    if origins := context.options.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=["*"],
            expose_headers=["Retry-After", "X-Request-ID", "X-Consensus-Confidence", "X-Consensus-Abstention"],
        )
    # The last one added stands outermost: traffic is counted as it crosses the wire, compressed.
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_MINIMUM_BYTES, compresslevel=6)
    app.add_middleware(RequestLogMiddleware, metrics=context.metrics)
    app.add_middleware(MemoryMiddleware, budget=context.memory)
    app.add_middleware(TrafficMiddleware, ledger=context.ledger, key_of=charged_to)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    context: ApiContext = app.state.context
    anyio.to_thread.current_default_thread_limiter().total_tokens = context.options.threads
    flusher = asyncio.create_task(_flush_for_ever(context, context.options.traffic_seconds))
    renewer = asyncio.create_task(_renew_for_ever(context.inference))
    try:
        yield
    finally:
        context.stopping.set()
        flusher.cancel()
        renewer.cancel()
        await context.inference.close()
        await run_in_threadpool(_flush, context)


async def _renew_for_ever(inference: Inference) -> None:
    while True:
        await asyncio.sleep(RENEW_SECONDS)
        try:
            await inference.renew()
        except Exception:  # noqa: BLE001 - the panels of before go on, and the file is looked at again
            _log.exception("the panels file could not be looked at")


async def _flush_for_ever(context: ApiContext, interval_seconds: float) -> None:
    while True:
        await asyncio.sleep(interval_seconds)
        await run_in_threadpool(_flush, context)


def _flush(context: ApiContext) -> None:
    """A database that is away for a while costs no counts; they are kept for the next time."""
    try:
        context.ledger.flush()
        context.use_cases.access.record_uses()
    except Exception:  # noqa: BLE001 - whatever it is, the server goes on
        _log.exception("traffic could not be recorded; it is kept and tried again")
