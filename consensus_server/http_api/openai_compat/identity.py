"""Who asks a panel: a caller of the panels file, or the server's operator.

Tokens of federations name nobody here: they are let in, see no panel, and so get 404 for each.
"""

from hashlib import sha256
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from consensus_server.core.errors import Unauthenticated
from consensus_server.http_api.context import ApiContext
from consensus_server.http_api.identity import bearer_token, spend
from consensus_server.service.inference import PanelCaller


async def identify_panel_caller(request: Request, context: ApiContext) -> None:
    """Name the caller in the request's state. Raises RequestProblem rate_limited, and Unauthenticated."""
    token = bearer_token(request)
    try:
        request.state.panel_caller = await _caller(context, token)
    except Unauthenticated:
        spend(context, f"address:{request.client.host if request.client else 'unknown'}")
        raise


async def _caller(context: ApiContext, token: str | None) -> PanelCaller | None:
    if token is None:
        raise Unauthenticated("The request has no Authorization: Bearer TOKEN.")
    spend(context, sha256(token.encode("utf-8", "surrogatepass")).hexdigest())
    known = context.inference.caller(token)
    if known is not None:
        return known
    access = context.use_cases.access
    if access.is_server_operator(token):
        return None
    await run_in_threadpool(access.identify, token)  # of a federation, or of nobody
    return PanelCaller(name="", token_hash="", panels=frozenset())


async def panel_caller_of(request: Request) -> PanelCaller | None:
    """The caller that was identified; None: the server's operator."""
    caller: PanelCaller | None = request.state.panel_caller
    return caller


PanelCallerOf = Annotated[PanelCaller | None, Depends(panel_caller_of)]
