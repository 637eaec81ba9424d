"""Federations, and whose token a request carries."""

from client_kit import wire
from client_kit.wire import routes
from consensus_server.core.tokens import SCOPES_OF, SCOPES_OF_THE_SERVER
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.path_parameters import FederationName, Service
from consensus_server.service.access import MEMBERS, OPERATORS

router = api_router("federations")


@router.get(routes.IDENTITY)
@admits(MEMBERS, any_scope=True)
def get_identity(caller: CallerOf) -> wire.Identity:
    """Whose token this is."""
    participant = caller.participant
    return wire.Identity(
        federation=participant.federation if participant else None,
        participant=participant.name if participant else None,
        role=caller.role,
        scopes=sorted(caller.scopes & (SCOPES_OF[caller.role] if participant else SCOPES_OF_THE_SERVER)),
        expires_at=caller.expires_at,
    )


@router.post(routes.FEDERATIONS, status_code=201)
@admits(OPERATORS, server_only=True)
def create_federation(create: wire.FederationCreate, caller: CallerOf, service: Service) -> wire.Federation:
    """A new federation, pinned to this server's encoder. For the operator of the server; nothing of it ever changes."""
    return translate.federation(service.federations.create(caller, translate.terms(create)))


@router.get(routes.FEDERATIONS)
def list_federations(caller: CallerOf, service: Service) -> wire.FederationList:
    """The federations that the caller may see."""
    return wire.FederationList(items=[translate.federation(each) for each in service.federations.all(caller)])


@router.get(routes.FEDERATION)
def get_federation(federation: FederationName, caller: CallerOf, service: Service) -> wire.Federation:
    """What a federation agreed on."""
    return translate.federation(service.federations.get(caller, federation))
