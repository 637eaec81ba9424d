"""Invitations: made by operators, used by whoever has the code."""

from fastapi import APIRouter, Response

from client_kit import wire
from client_kit.wire import routes
from consensus_server.core.errors import WrongCertificate
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import OpenRoute, api_router
from consensus_server.http_api.certificates import CertificateOf
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.openapi import problem_responses
from consensus_server.http_api.participants import shown_once
from consensus_server.http_api.path_parameters import FederationName, InvitationId, Service
from consensus_server.service.access import OPERATORS

router = api_router("invitations")
open_router = APIRouter(
    route_class=OpenRoute,
    tags=["invitations"],
    responses=problem_responses(),
    generate_unique_id_function=lambda route: route.name,
)


@router.post(routes.INVITATIONS, status_code=201)
@admits(OPERATORS)
def add_invitation(
    federation: FederationName, create: wire.InvitationCreate, response: Response, caller: CallerOf, service: Service
) -> wire.InvitationCode:
    """Invite somebody to a federation. The code is shown this once. For operators."""
    made = service.invitations.add(
        caller,
        federation,
        participant=create.participant,
        role=create.role,
        valid_seconds=create.valid_seconds,
        wish=translate.first_token_wish(create),
    )
    invitation = translate.to_wire(wire.Invitation, made.invitation)
    return shown_once(response, wire.InvitationCode(invitation=invitation, code=made.code))


@router.get(routes.INVITATIONS)
def list_invitations(federation: FederationName, caller: CallerOf, service: Service) -> wire.InvitationList:
    """Invitations to a federation, with who joined with each. For operators."""
    found = service.invitations.all(caller, federation)
    return wire.InvitationList(items=[translate.to_wire(wire.Invitation, each) for each in found])


@router.delete(routes.INVITATION, status_code=204)
def withdraw_invitation(
    federation: FederationName, invitation: InvitationId, caller: CallerOf, service: Service
) -> None:
    """Let nobody join with an invitation any more. For operators."""
    service.invitations.withdraw(caller, federation, invitation)


@open_router.post(routes.REDEEM, status_code=201)
def redeem_invitation(
    redemption: wire.Redemption, response: Response, certificate: CertificateOf, service: Service
) -> wire.ParticipantToken:
    """Join a federation with the code of an invitation, once. Needs no token; the new one is shown this once."""
    if redemption.bind_certificate and certificate is None:
        raise WrongCertificate("The request showed no client certificate that could be bound to who joins.")
    issued = service.invitations.redeem(
        redemption.code,
        participant=redemption.participant,
        federation=redemption.federation,
        certificate=certificate if redemption.bind_certificate else None,
    )
    return shown_once(response, translate.participant_token(issued))
