"""Pull mode: participants that the server itself asks, and how far it is with them."""

from client_kit import wire
from client_kit.wire import routes
from consensus_server.core.pulling import Endpoint
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.path_parameters import FederationName, ParticipantName, RoundNumber, Service
from consensus_server.service.access import OPERATORS

router = api_router("pull mode")


@router.put(routes.ENDPOINT)
@admits(OPERATORS, server_only=True)
def set_endpoint(
    federation: FederationName,
    participant: ParticipantName,
    endpoint: wire.Endpoint,
    caller: CallerOf,
    service: Service,
) -> wire.Endpoint:
    """Ask this participant through an upstream of the panels file from now on. For the server's operator."""
    asked = translate.to_core(Endpoint, endpoint)
    return translate.to_wire(wire.Endpoint, service.endpoints.set(caller, federation, participant, asked))


@router.get(routes.ENDPOINT)
def get_endpoint(
    federation: FederationName, participant: ParticipantName, caller: CallerOf, service: Service
) -> wire.Endpoint:
    """How this participant is asked. For operators."""
    return translate.to_wire(wire.Endpoint, service.endpoints.get(caller, federation, participant))


@router.delete(routes.ENDPOINT, status_code=204)
def remove_endpoint(
    federation: FederationName, participant: ParticipantName, caller: CallerOf, service: Service
) -> None:
    """Ask this participant no more: it submits by itself. For the server's operator."""
    service.endpoints.remove(caller, federation, participant)


@router.get(routes.PULLS)
def list_pulls(federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service) -> wire.PullList:
    """How far the server is with each participant that it asks in a round, and why answers are missing."""
    found = service.endpoints.pulls(caller, federation, number)
    return wire.PullList(items=[translate.to_wire(wire.PullStatus, each) for each in found])
