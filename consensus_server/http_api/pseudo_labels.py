"""What a published round gives back. Only an erasure changes it: caches ask by its ETag, and are told 304."""

from typing import Annotated

from fastapi import Header, Query
from starlette.responses import Response, StreamingResponse

from client_kit import wire
from client_kit.wire import routes
from client_kit.wire.limits import MAX_PAGE_ITEMS, PromptId
from consensus_server.core.errors import ValidationFailed
from consensus_server.core.labels import RoundCard
from consensus_server.http_api import translate
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.openapi import Responses, ndjson_of
from consensus_server.http_api.path_parameters import Context, FederationName, PromptName, RoundNumber, Service
from consensus_server.http_api.prompt_sets import KIT_OF_BEFORE

router = api_router("pseudo-labels")

_OK: Responses = {
    200: {
        "model": wire.PseudoLabelPage,
        "content": ndjson_of(wire.PseudoLabel),
        "description": "A page as JSON, or, where Accept names application/x-ndjson, all labels, one a line",
    },
    304: {"description": "If-None-Match names these labels"},
}


@router.get(routes.PSEUDO_LABELS, responses=_OK, response_model=wire.PseudoLabelPage)
def get_pseudo_labels(
    *,
    federation: FederationName,
    number: RoundNumber,
    caller: CallerOf,
    service: Service,
    cursor: Annotated[PromptId | None, Query(description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE_ITEMS, description="Most labels of a page.")] = MAX_PAGE_ITEMS,
    accept: Annotated[str, Header()] = "",
    if_none_match: Annotated[str, Header()] = "",
    user_agent: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """The pseudo-labels in the order of `prompt_id`: paged as JSON, or all of them as NDJSON."""
    digest = service.pseudo_labels.published(caller, federation, number).labels or ""
    if user_agent == KIT_OF_BEFORE:
        _require_known_reasons(service.pseudo_labels.card(caller, federation, number))
    headers = {"ETag": etag(digest), "Cache-Control": "private, no-cache", "Vary": "Accept, Authorization"}
    if names(if_none_match, digest):
        return Response(status_code=304, headers=headers)
    if routes.NDJSON in accept:
        stream = service.pseudo_labels.stream(caller, federation, number)
        return StreamingResponse(stream, media_type=routes.NDJSON, headers=headers)
    page = service.pseudo_labels.page(caller, federation, number, cursor=cursor or "", limit=limit)
    body = wire.PseudoLabelPage(
        items=[translate.to_wire(wire.PseudoLabel, each) for each in page.items], next_cursor=page.next_cursor
    )
    return Response(body.model_dump_json(), media_type="application/json", headers=headers)


_KNOWN_BEFORE = frozenset({"no_answers", "single_answer", "tie", "low_support", "low_confidence"})


def _require_known_reasons(card: RoundCard) -> None:
    unknown = {reason: count for reason, count in card.counts.abstentions.items() if reason not in _KNOWN_BEFORE}
    if unknown:
        found = ", ".join(f"{count} {reason}" for reason, count in sorted(unknown.items()))
        raise ValidationFailed(
            f"This round has abstentions for reasons that version 0.1.0 of the kit cannot read ({found}).",
            remedy="Install a newer version of semantic-consensus where you fetch labels; nothing is lost.",
        )


def etag(digest: str) -> str:
    """Weak: the labels are the same as a page, as lines and compressed; their bytes are not."""
    return f'W/"{digest}"'


def names(if_none_match: str, digest: str) -> bool:
    """True where an If-None-Match header names this digest, weakly or strongly (RFC 9110, 13.1.2), or is `*`."""
    given = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in given or f'"{digest}"' in given


@router.get(routes.EXPLANATION)
def explain_pseudo_label(
    federation: FederationName, number: RoundNumber, prompt_id: PromptName, caller: CallerOf, service: Service
) -> wire.PromptExplanation:
    """Why a prompt has its pseudo-label: operators see all answers, participants their own."""
    found = service.pseudo_labels.explain(caller, federation, number, prompt_id)
    return translate.explanation(found)


@router.get(routes.CARD)
def get_card(federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service) -> wire.RoundCard:
    """What made a published round."""
    return translate.to_wire(wire.RoundCard, service.pseudo_labels.card(caller, federation, number))


@router.get(routes.TRAFFIC)
def get_traffic(
    federation: FederationName, number: RoundNumber, caller: CallerOf, context: Context
) -> wire.TrafficList:
    """Bytes on the wire so far: all participants for an operator, its own for a participant."""
    traffic = context.use_cases.traffic
    traffic.of_round(caller, federation, number)  # who may not read the counts makes nobody write them
    context.ledger.flush()
    rows = traffic.of_round(caller, federation, number)
    return wire.TrafficList(items=[translate.to_wire(wire.Traffic, each) for each in rows])
