"""Participants and their tokens. For operators."""

from fastapi import Response

from client_kit import wire
from client_kit.wire import routes
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.path_parameters import FederationName, ParticipantName, Service
from consensus_server.service.access import OPERATORS
from consensus_server.service.participants import IssuedToken

router = api_router("participants")


@router.post(routes.PARTICIPANTS, status_code=201)
@admits(OPERATORS)
def add_participant(
    federation: FederationName, create: wire.ParticipantCreate, response: Response, caller: CallerOf, service: Service
) -> wire.ParticipantToken:
    """Add a participant. Its token is shown this once."""
    return _shown_once(response, service.participants.add(caller, federation, create.participant, create.role))


@router.get(routes.PARTICIPANTS)
def list_participants(federation: FederationName, caller: CallerOf, service: Service) -> wire.ParticipantList:
    """All participants of a federation, by name."""
    found = service.participants.all(caller, federation)
    return wire.ParticipantList(items=[translate.participant(each) for each in found])


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


@router.post(routes.TOKEN)
@admits(OPERATORS)
def renew_token(
    federation: FederationName, participant: ParticipantName, response: Response, caller: CallerOf, service: Service
) -> wire.ParticipantToken:
    """A new token; the old one ends at once."""
    return _shown_once(response, service.participants.renew_token(caller, federation, participant))


def _shown_once(response: Response, issued: IssuedToken) -> wire.ParticipantToken:
    response.headers["Cache-Control"] = "no-store"
    return wire.ParticipantToken(participant=translate.participant(issued.participant), token=issued.token)
