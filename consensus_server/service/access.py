"""Who calls, and what the caller may do."""

import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256

from client_kit.vocabulary import Role
from consensus_server.core.errors import Forbidden, Unauthenticated, UnknownFederation, UnknownParticipant
from consensus_server.core.federations import Federation, Participant
from consensus_server.ports import Store, Transaction

TOKEN_BYTES = 32
"""256 random bits: guessing is hopeless, so that one fast hash is enough to keep the token."""

MEMBERS = frozenset(Role)
"""Every role."""
READERS_OF_LABELS = frozenset({Role.OPERATOR, Role.PARTICIPANT})
OPERATORS = frozenset({Role.OPERATOR})
PARTICIPANTS = frozenset({Role.PARTICIPANT})


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request this is."""

    role: Role
    participant: Participant | None = None
    """None for the server's own operator, who may act in every federation."""
    token: str | None = None
    """Hash of the token of the request; None where the server itself acts for the participant."""

    @property
    def federation(self) -> str | None:
        """The only federation that this caller knows; None: all of them."""
        return None if self.participant is None else self.participant.federation


SERVER_OPERATOR = Caller(Role.OPERATOR)


class Access:
    """From tokens to callers."""

    def __init__(self, store: Store, operator_token: str) -> None:
        """operator_token: the server operator's own, valid for every federation."""
        self._store = store
        self._operator_hash = token_hash(operator_token)

    def is_server_operator(self, token: str) -> bool:
        """Whether this is the operator's token; asks nothing of the database."""
        return hmac.compare_digest(token_hash(token), self._operator_hash)

    def identify(self, token: str) -> Caller:
        """Whose token this is. Raises Unauthenticated for one that is unknown, replaced, or of an inactive participant."""
        if self.is_server_operator(token):
            return SERVER_OPERATOR
        with self._store.reading() as tx:
            participant = _active(tx.participants.by_token(token_hash(token)))
        return Caller(participant.role, participant, token_hash(token))

    def check(self, caller: Caller) -> None:
        """Raise Unauthenticated where the caller's token was replaced, or its participant set to inactive, since it was identified."""
        if caller.participant is not None:
            with self._store.reading() as tx:
                federation_for(tx, caller, caller.participant.federation)


def new_token() -> str:
    """A token for one participant, in letters that need no quoting."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """What is kept of a token: the SHA-256 of its UTF-8 bytes."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def require_server_operator(caller: Caller) -> None:
    """Raise Forbidden for everybody but the server's own operator."""
    if caller.role is not Role.OPERATOR or caller.participant is not None:
        raise Forbidden("Only the operator of the server may do this.")


def federation_for(
    tx: Transaction, caller: Caller, name: str, roles: frozenset[Role] = MEMBERS, *, lock: bool = False
) -> Federation:
    """The federation, if the caller belongs to it in one of `roles`, now: a request may be older than the end of its token.

    lock: until the end of the transaction nobody else gets it locked; operators take it before they write, so that none of
    them writes after the end of its token. Raises UnknownFederation, also for one that exists but is not the caller's,
    Unauthenticated where the token has ended, and Forbidden for another role.
    """
    federation = tx.federations.get(name, lock=lock) if caller.federation in {None, name} else None
    if federation is None:
        raise unknown_federation(caller, name)
    require_valid(tx, federation, caller)
    require_role(caller, roles)
    return federation


def unknown_federation(caller: Caller, name: str) -> UnknownFederation:
    """The same words, whether there is none or it is not the caller's."""
    whose = "" if caller.federation is None else " for this token"
    return UnknownFederation(f"There is no federation {name}{whose}.")


def require_role(caller: Caller, roles: frozenset[Role]) -> None:
    """Raise Forbidden for another role."""
    if caller.role not in roles:
        raise Forbidden(f"This needs the role {' or '.join(sorted(roles))}; the token has the role {caller.role}.")


def require_valid(tx: Transaction, federation: Federation, caller: Caller) -> None:
    """Raise Unauthenticated where the caller's token was replaced, or its participant set to inactive, since it was identified."""
    if caller.token is not None:
        _active(tx.participants.by_token(caller.token))
    elif caller.participant is not None:
        _active(tx.participants.get(federation, caller.participant.name))


def _active(participant: Participant | None) -> Participant:
    if participant is None:
        raise Unauthenticated("The token is unknown, or was replaced by a new one.")
    if not participant.active:
        raise Unauthenticated(f"Participant {participant.name} is not active; the operator can activate it again.")
    return participant


def participant_for(tx: Transaction, federation: Federation, name: str, *, lock: bool = False) -> Participant:
    """The participant. Raises UnknownParticipant."""
    participant = tx.participants.get(federation, name, lock=lock)
    if participant is None:
        raise UnknownParticipant(f"Federation {federation.name} has no participant {name}.")
    return participant
