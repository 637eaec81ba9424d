"""Work for a client that may go away: nobody pays upstreams for an answer that nobody reads."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import Request

T = TypeVar("T")


class ClientGone(Exception):  # noqa: N818 - reads as what happened
    """The client closed its connection before there was an answer."""


async def while_connected(
    request: Request, work: Coroutine[Any, Any, T], *, seconds: float | None = None
) -> "asyncio.Task[T]":
    """The work when it is done, or after so many seconds as far as it is; whoever gets it then has to end it.

    It is cancelled when the client goes away meanwhile. The body must have been read. Raises ClientGone.
    """
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(request))
    gone = True
    try:
        await asyncio.wait({working, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        gone = leaving.done() and not working.done()
    finally:
        leaving.cancel()
        if gone:
            working.cancel()
    if gone:
        raise ClientGone
    return working


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
