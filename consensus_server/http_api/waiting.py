"""How a request waits: on the event loop, woken by time, by the round, or by the end of the server."""

import asyncio
import time

from client_kit.vocabulary import RoundState
from consensus_server.core.errors import UnknownRound
from consensus_server.core.lifecycle import has_reached
from consensus_server.core.rounds import Round
from consensus_server.http_api.context import ApiContext


async def wait_for_state(
    context: ApiContext, federation: str, number: int, state: RoundState, timeout_seconds: float
) -> Round:
    """The round once it has reached or passed `state` or has failed, or as it is after the timeout.

    A round that does not exist yet is waited for. Raises UnknownRound when it does not come in time.
    """
    asked = time.monotonic()
    until = asked + timeout_seconds
    while True:
        over = time.monotonic() >= until or context.stopping.is_set()
        try:
            round_ = await context.rounds.get((federation, number), since=asked)
        except UnknownRound:
            if over:
                raise
        else:
            if over or has_reached(round_.state, state):
                return round_
        await pause(context, min(context.rounds.interval_seconds, max(0.0, until - time.monotonic())))


async def pause(context: ApiContext, seconds: float) -> None:
    """Sleep, but not longer than the server lives."""
    try:
        async with asyncio.timeout(seconds):
            await context.stopping.wait()
    except TimeoutError:
        return
