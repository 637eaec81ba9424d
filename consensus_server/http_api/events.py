"""A round's history as server-sent events (WHATWG HTML, section 9.2)."""

import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from fastapi import Header
from fastapi.sse import format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from client_kit import wire
from client_kit.vocabulary import RoundState
from client_kit.wire import routes
from consensus_server.core.errors import StoreUnavailable, Unauthenticated
from consensus_server.core.rounds import LAST_EVENTS, Event
from consensus_server.http_api import translate
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.context import ApiContext
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.openapi import Responses, events_of
from consensus_server.http_api.path_parameters import Context, FederationName, RoundNumber
from consensus_server.http_api.waiting import pause
from consensus_server.service.access import Caller
from consensus_server.service.settling import MAX_NUMBER

router = api_router("events")

_HEARTBEAT = b": the round goes on\n\n"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""nginx would keep events back until it has a page of them."""

_OK: Responses = {
    200: {"content": events_of(wire.RoundEvent), "description": "Events as they happen; `data` is a RoundEvent"},
    204: {"description": "The round is published, and Last-Event-ID was its last event: do not connect again"},
}


@router.get(routes.EVENTS, responses=_OK, response_class=StreamingResponse)
async def stream_events(
    federation: FederationName,
    number: RoundNumber,
    caller: CallerOf,
    context: Context,
    last_event_id: Annotated[int, Header(ge=0, le=MAX_NUMBER, description="Go on after this event.")] = 0,
) -> Response:
    """What happens to a round, from its first event on; ends after `round.published` or `round.failed`."""
    rounds = context.use_cases.rounds
    round_ = await run_in_threadpool(rounds.get, caller, federation, number)
    newer = await run_in_threadpool(rounds.events_after, caller, federation, number, last_event_id)
    if round_.state is RoundState.PUBLISHED and not newer:
        return Response(status_code=204)
    stream = _stream(context, caller, (federation, number), last_event_id)
    return StreamingResponse(stream, media_type=routes.EVENT_STREAM, headers=_HEADERS)


async def _stream(context: ApiContext, caller: Caller, key: tuple[str, int], seen: int) -> AsyncIterator[bytes]:
    """Ends with the round, the server, the caller's token and the database: who connects again reads why."""
    with suppress(Unauthenticated, StoreUnavailable):
        async for piece in _pieces(context, caller, key, seen):
            yield piece


async def _pieces(context: ApiContext, caller: Caller, key: tuple[str, int], seen: int) -> AsyncIterator[bytes]:
    """Raises Unauthenticated once the caller's token has ended, and StoreUnavailable."""
    silent_since = time.monotonic()
    while not context.stopping.is_set():
        for event in await context.events.get(key):
            if event.event_id > seen:
                yield _written(event, caller)
                seen, silent_since = event.event_id, time.monotonic()
                if event.kind in LAST_EVENTS:
                    return
        if time.monotonic() - silent_since >= context.options.heartbeat_seconds:
            yield _HEARTBEAT
            silent_since = time.monotonic()
        await pause(context, context.look_seconds)
        await context.callers.get(caller)


def _written(event: Event, caller: Caller) -> bytes:
    data = translate.round_event(event, caller).model_dump_json()
    return format_sse_event(data_str=data, event=event.kind.value, id=str(event.event_id))
