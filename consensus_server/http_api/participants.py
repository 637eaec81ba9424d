"""Participants and their tokens."""

from typing import Annotated, TypeVar

from fastapi import Body, Response

from client_kit import wire
from client_kit.wire import routes
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.path_parameters import FederationName, GraceSeconds, ParticipantName, Service, TokenId
from consensus_server.service.access import MEMBERS, OPERATORS
from consensus_server.service.tokens import Revocation

router = api_router("participants")

Issued = TypeVar("Issued", bound=wire.WireModel)


@router.post(routes.PARTICIPANTS, status_code=201)
@admits(OPERATORS)
def add_participant(
    federation: FederationName, create: wire.ParticipantCreate, response: Response, caller: CallerOf, service: Service
) -> wire.ParticipantToken:
    """Add a participant. Its token is shown this once."""
    wish = translate.first_token_wish(create)
    issued = service.participants.add(caller, federation, create.participant, create.role, wish)
    return shown_once(response, translate.participant_token(issued))


@router.get(routes.PARTICIPANTS)
def list_participants(federation: FederationName, caller: CallerOf, service: Service) -> wire.ParticipantList:
    """All participants of a federation, by name."""
    found = service.participants.all(caller, federation)
    keys = service.signing_keys.current(caller, federation)
    items = [translate.participant(each, keys.get(each.name)) for each in found]
    return wire.ParticipantList(items=items)


@router.patch(routes.PARTICIPANT)
@admits(OPERATORS)
def update_participant(
    federation: FederationName,
    participant: ParticipantName,
    update: wire.ParticipantUpdate,
    caller: CallerOf,
    service: Service,
) -> wire.Participant:
    """Let a participant take part, or no longer. What it sealed stays."""
    changed = service.participants.set_active(caller, federation, participant, active=update.active)
    return translate.participant(changed)


@router.put(routes.CERTIFICATES)
@admits(OPERATORS)
def bind_participant(
    federation: FederationName,
    participant: ParticipantName,
    binding: wire.CertificateBinding,
    caller: CallerOf,
    service: Service,
) -> wire.Participant:
    """Let a participant call with these client certificates only, in place of those before; with none, as any."""
    bound = service.participants.bind(caller, federation, participant, binding.certificates)
    return translate.participant(bound)


@router.post(routes.TOKEN)
@admits(MEMBERS, any_scope=True)
def renew_token(
    *,
    federation: FederationName,
    participant: ParticipantName,
    wish: Annotated[wire.TokenWish, Body()] = wire.TokenWish(),  # noqa: B008 - frozen
    response: Response,
    caller: CallerOf,
    service: Service,
) -> wire.ParticipantToken:
    """A new token; the old ones end, at once or after the grace that is asked for. For operators, and for the participant itself.

    An operator replaces every token of the participant, a participant the one that it calls with.
    """
    issued = service.participants.renew_token(caller, federation, participant, translate.token_wish(wish))
    return shown_once(response, translate.participant_token(issued))


@router.get(routes.TOKENS)
@admits(MEMBERS, any_scope=True)
def list_tokens(
    federation: FederationName, participant: ParticipantName, caller: CallerOf, service: Service
) -> wire.TokenList:
    """The tokens of a participant, without what could be used of them. For operators, and for the participant itself."""
    found = service.participants.tokens(caller, federation, participant)
    return wire.TokenList(items=[translate.token(each) for each in found])


@router.delete(routes.ONE_TOKEN, status_code=204)
@admits(MEMBERS, any_scope=True)
def revoke_token(
    *,
    federation: FederationName,
    participant: ParticipantName,
    token: TokenId,
    caller: CallerOf,
    service: Service,
    grace_seconds: GraceSeconds = 0.0,
) -> None:
    """End one token, at once or after the grace that is asked for. For operators, and for the participant itself."""
    service.participants.revoke_token(caller, federation, participant, Revocation(token, grace_seconds))


@router.delete(routes.ANSWERS)
def erase_answers(
    federation: FederationName, participant: ParticipantName, caller: CallerOf, service: Service
) -> wire.Erasure:
    """Delete all answers of a participant, and what tells them. For operators, and for the participant itself."""
    return translate.erasure(participant, service.erasures.erase(caller, federation, participant))


def shown_once(response: Response, issued: Issued) -> Issued:
    """What holds a secret, kept out of every cache."""
    response.headers["Cache-Control"] = "no-store"
    return issued
