"""How a request waits: on the event loop, woken by time, by the round, or by the end of the server."""

import asyncio
import time

from client_kit.vocabulary import RoundState
from consensus_server.core.errors import UnknownRound
from consensus_server.core.lifecycle import has_reached
from consensus_server.core.rounds import Round
from consensus_server.http_api.context import ApiContext
from consensus_server.service.access import Caller


async def wait_for_state(
    context: ApiContext, caller: Caller, key: tuple[str, int], state: RoundState, timeout_seconds: float
) -> Round:
    """The round of `key`, (federation, number), once it has reached or passed `state` or has failed, or as it is after the timeout.

    A round that does not exist yet is waited for. Raises UnknownRound when it does not come in time, and Unauthenticated
    when the caller's token ends meanwhile.
    """
    asked = time.monotonic()
    until = asked + timeout_seconds
    while True:
        over = time.monotonic() >= until or context.stopping.is_set()
        await context.callers.get(caller)
        try:
            await _created(context, *key, since=asked)
            round_ = await context.rounds.get(key, since=asked)
        except UnknownRound:
            if over:
                raise
        else:
            if over or has_reached(round_.state, state):
                return round_
        await pause(context, min(context.look_seconds, max(0.0, until - time.monotonic())))


async def _created(context: ApiContext, federation: str, number: int, *, since: float) -> None:
    """Raise UnknownRound; whoever waits for rounds of a federation that are not there shares one look, whatever their numbers."""
    if number > await context.last_rounds.get(federation, since):
        raise UnknownRound(f"Federation {federation} has no round {number}.")


async def pause(context: ApiContext, seconds: float) -> None:
    """Sleep, but not longer than the server lives."""
    try:
        async with asyncio.timeout(seconds):
            await context.stopping.wait()
    except TimeoutError:
        return
