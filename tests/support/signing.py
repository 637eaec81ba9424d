"""Keys and signed seals for tests, without files."""

from client_kit import wire
from client_kit.signing import PrivateKey
from client_kit.wire.statements import KeyStatement
from consensus_server.http_api import translate
from tests.support.service import OPERATOR


def key_of(letter):
    """A key that is the same whenever it is asked for."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return PrivateKey(Ed25519PrivateKey.from_private_bytes(letter.encode() * 32))


def registration(service, name, key, *, replaces=None, federation="clinics"):
    home = service.federations.get(OPERATOR, federation)
    statement = KeyStatement(federation=home.name, created_at=home.created_at, participant=name, key=key.public)
    endorsed = None if replaces is None else replaces.sign(statement).signature
    return wire.KeyRegistration(key=key.public, proof=key.sign(statement).signature, endorsement=endorsed)


def register(service, caller, key, **options):
    name, federation = caller.participant.name, caller.federation
    given = registration(service, name, key, federation=federation, **options)
    return service.signing_keys.register(caller, federation, name, given)


def signed(service, caller, key, number=1, /, *, of=None, **changes):
    """A seal of the caller's answers that `key` signed. changes: fields of the statement that are not what the seal says."""
    held = service.submissions.held(caller, caller.federation, of or number)
    seal = wire.Seal(count=len(held.answers), digest=held.digest)
    terms = translate.federation(service.federations.get(OPERATOR, caller.federation))
    statement = wire.seal_statement(terms, number, caller.participant.name, seal)
    return key.sign(statement.model_copy(update=changes))
