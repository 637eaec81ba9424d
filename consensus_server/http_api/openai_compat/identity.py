"""Who asks a panel: a caller of the panels file, or the server's operator.

Tokens of federations name nobody here: they are let in, see no panel, and so get 404 for each.
"""

from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from client_kit.vocabulary import Scope
from consensus_server.http_api.certificates import shown_certificate
from consensus_server.http_api.context import ApiContext
from consensus_server.http_api.identity import charged
from consensus_server.service.access import require_scope
from consensus_server.service.panels import PanelCaller


async def identify_panel_caller(request: Request, context: ApiContext) -> None:
    """Name the caller in the request's state. Raises RequestProblem rate_limited, and Unauthenticated."""
    shown = await shown_certificate(request)
    request.state.panel_caller = await charged(request, context, lambda token: _caller(context, token, shown))


async def _caller(context: ApiContext, token: str, shown: str | None) -> PanelCaller | None:
    known = context.inference.caller(token)
    if known is not None:
        return known
    access = context.use_cases.access
    if access.is_server_operator(token):
        return None
    caller = await run_in_threadpool(
        access.identify, token, shown
    )  # of a federation, of a named operator, or of nobody
    if caller.participant is None:
        require_scope(caller, frozenset({Scope.PANELS}))
        return None
    return PanelCaller(name="", token_hash="", panels=frozenset())


async def panel_caller_of(request: Request) -> PanelCaller | None:
    """The caller that was identified; None: the server's operator."""
    caller: PanelCaller | None = request.state.panel_caller
    return caller


PanelCallerOf = Annotated[PanelCaller | None, Depends(panel_caller_of)]
