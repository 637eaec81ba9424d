"""Signing keys of participants, and the server's own with what it signed."""

from client_kit import wire
from client_kit.wire import routes
from consensus_server.http_api import translate
from consensus_server.http_api.admission import admits
from consensus_server.http_api.api_route import api_router
from consensus_server.http_api.identity import CallerOf
from consensus_server.http_api.path_parameters import FederationName, ParticipantName, RoundNumber, Service
from consensus_server.service.access import MEMBERS, OPERATORS, PARTICIPANTS

router = api_router("signing keys")


@router.get(routes.SERVER_KEY)
@admits(MEMBERS, any_scope=True)
def get_server_key(caller: CallerOf, service: Service) -> wire.ServerKey:
    """The key that signs the rounds of this server. Keep it when you first see it: nobody else can sign with it."""
    del caller  # any token will do
    return wire.ServerKey(key=service.round_signatures.key())


@router.get(routes.SIGNATURE)
def get_signature(
    federation: FederationName, number: RoundNumber, caller: CallerOf, service: Service
) -> wire.SignedRound:
    """The server's signature of a published round: over its card, its pseudo-labels, its policy and its seals."""
    found = service.round_signatures.of(caller, federation, number)
    return wire.SignedRound(
        statement=found.statement, signature=wire.Signature(key=found.key, signature=found.signature)
    )


@router.put(routes.SIGNING_KEY)
@admits(PARTICIPANTS)
def register_signing_key(
    federation: FederationName,
    participant: ParticipantName,
    registration: wire.KeyRegistration,
    caller: CallerOf,
    service: Service,
) -> wire.SigningKey:
    """Let a key sign the caller's seals from now on. For the participant itself; a key that it has already must endorse it."""
    kept = service.signing_keys.register(caller, federation, participant, registration)
    return translate.to_wire(wire.SigningKey, kept)


@router.delete(routes.SIGNING_KEY, status_code=204)
@admits(OPERATORS)
def end_signing_key(
    federation: FederationName, participant: ParticipantName, caller: CallerOf, service: Service
) -> None:
    """Let the participant's key sign no more, as where it was lost; the participant registers another."""
    service.signing_keys.end(caller, federation, participant)


@router.get(routes.SIGNING_KEYS)
@admits(MEMBERS, any_scope=True)
def list_signing_keys(
    federation: FederationName, participant: ParticipantName, caller: CallerOf, service: Service
) -> wire.SigningKeyList:
    """Every key of a participant, with its time. For operators, and for the participant itself."""
    found = service.signing_keys.of(caller, federation, participant)
    return wire.SigningKeyList(items=[translate.to_wire(wire.SigningKey, each) for each in found])
