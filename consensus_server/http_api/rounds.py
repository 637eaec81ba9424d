"""Rounds: created, opened and closed by operators, watched by everybody."""

from typing import Annotated

from fastapi import Body, Query
from starlette.concurrency import run_in_threadpool

from client_kit import wire
from client_kit.wire import routes
from client_kit.wire.limits import MAX_WAIT_SECONDS
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.path_parameters import Context, FederationName, RoundNumber, Service
from consensus_server.http_api.waiting import wait_for_state
from consensus_server.service.access import OPERATORS

router = api_router("rounds")

DEFAULT_WAIT_SECONDS = 30.0


@router.post(routes.ROUNDS, status_code=201)
@admits(OPERATORS)
def create_round(
    federation: FederationName,
    caller: CallerOf,
    service: Service,
    create: Annotated[wire.RoundCreate, Body()] = wire.RoundCreate(),  # noqa: B008 - frozen
) -> wire.Round:
    """The next round of a federation, open at once or as a draft. For operators."""
    return translate.round_(
        service.rounds.create(caller, federation, open_now=create.open, round_seconds=create.round_seconds), caller
    )


@router.get(routes.ROUNDS)
def list_rounds(federation: FederationName, caller: CallerOf, service: Service) -> wire.RoundList:
    """The rounds of a federation, oldest first."""
    return wire.RoundList(items=[translate.round_(each, caller) for each in service.rounds.all(caller, federation)])


@router.get(routes.ROUND)
async def get_round(
    *,
    federation: FederationName,
    number: RoundNumber,
    caller: CallerOf,
    context: Context,
    wait_for: Annotated[
        wire.RoundState | None, Query(description="Answer when this state is reached or passed.")
    ] = None,
    timeout_seconds: Annotated[
        float, Query(ge=0, le=MAX_WAIT_SECONDS, allow_inf_nan=False, description="Longest wait.")
    ] = DEFAULT_WAIT_SECONDS,
) -> wire.Round:
    """The state of a round; with `wait_for` a long poll, also for a round that does not exist yet."""
    service = context.use_cases
    if wait_for is None:
        return translate.round_(await run_in_threadpool(service.rounds.get, caller, federation, number), caller)
    await run_in_threadpool(service.federations.get, caller, federation)  # what the caller may not see it may not await
    return translate.round_(
        await wait_for_state(context, caller, (federation, number), wait_for, timeout_seconds), caller
    )


@router.post(routes.OPEN)
@admits(OPERATORS)
def open_round(federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service) -> wire.Round:
    """Open a draft; its deadline runs from now. For operators."""
    return translate.round_(service.rounds.open(caller, federation, number), caller)


@router.post(routes.CLOSE)
@admits(OPERATORS)
def close_round(federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service) -> wire.Round:
    """Close a round before its deadline, or a failed one again. For operators."""
    return translate.round_(service.rounds.close(caller, federation, number), caller)
