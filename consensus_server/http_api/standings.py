"""How participants came out of a round: reliability, rejected answers, appeals."""

from typing import Annotated

from fastapi import Path, Query

from client_kit import wire
from client_kit.wire import routes
from client_kit.wire.limits import MAX_PAGE_ITEMS, PromptId
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.path_parameters import FederationName, RoundNumber, Service
from consensus_server.service.access import OPERATORS, PARTICIPANTS
from consensus_server.service.settling import MAX_NUMBER

router = api_router("standings")

AppealNumber = Annotated[int, Path(ge=1, le=MAX_NUMBER, description="Number of the appeal, from 1.")]


@router.get(routes.RELIABILITY)
def list_reliability(
    federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service
) -> wire.ReliabilityList:
    """How far participants were trusted: all for an operator, itself for a participant."""
    rows = service.reliabilities.of_round(caller, federation, number)
    return wire.ReliabilityList(items=[translate.to_wire(wire.Reliability, row) for row in rows])


@router.get(routes.REJECTIONS)
def list_rejections(
    *,
    federation: FederationName,
    number: RoundNumber,
    caller: CallerOf,
    service: Service,
    cursor: Annotated[PromptId | None, Query(description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ITEMS, description="Most prompts looked at.")] = MAX_PAGE_ITEMS,
) -> wire.RejectionPage:
    """Answers that gates kept out, with the reason: all for an operator, its own for a participant."""
    page = service.rejections.page(caller, federation, number, cursor=cursor or "", limit=limit)
    return wire.RejectionPage(items=[translate.rejection(each) for each in page.items], next_cursor=page.next_cursor)


@router.post(routes.ROUND_APPEALS, status_code=201)
@admits(PARTICIPANTS)
def make_appeal(
    federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service, create: wire.AppealCreate
) -> wire.Appeal:
    """Appeal against a gate that rejected answers of the caller in this round. For participants."""
    return translate.to_wire(
        wire.Appeal, service.appeals.make(caller, federation, number, gate=create.gate, text=create.text)
    )


@router.get(routes.APPEALS)
def list_appeals(federation: FederationName, caller: CallerOf, service: Service) -> wire.AppealList:
    """The appeals of a federation, oldest first: all for an operator, its own for a participant."""
    return wire.AppealList(
        items=[translate.to_wire(wire.Appeal, each) for each in service.appeals.all(caller, federation)]
    )


@router.post(routes.RESOLUTION)
@admits(OPERATORS)
def resolve_appeal(
    federation: FederationName, appeal: AppealNumber, caller: CallerOf, service: Service, word: wire.AppealResolution
) -> wire.Appeal:
    """Decide an appeal; upheld, it exempts from the next aggregation on. The last word counts. For operators."""
    return translate.to_wire(wire.Appeal, service.appeals.resolve(caller, federation, appeal, word.outcome, word.note))
