"""Who calls, and what the caller may do."""

import hmac
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256

from client_kit.vocabulary import Role, Scope
from consensus_server.core.errors import (
    Forbidden,
    IdentityRefused,
    OutOfScope,
    TokenExpired,
    Unauthenticated,
    UnknownFederation,
    UnknownParticipant,
    WrongCertificate,
)
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.identities import SERVER, SKEW_SECONDS, Identity
from consensus_server.core.tokens import SCOPES_OF, SCOPES_OF_THE_SERVER, Operator, Token
from consensus_server.ports import Clock, Store, Transaction
from consensus_server.service.identities import Identities, is_signed, participant_of
from consensus_server.service.presence import Presence

TOKEN_BYTES = 32
"""256 random bits: guessing is hopeless, so that one fast hash is enough to keep the token."""

MEMBERS = frozenset(Role)
"""Every role."""
READERS_OF_LABELS = frozenset({Role.OPERATOR, Role.PARTICIPANT})
OPERATORS = frozenset({Role.OPERATOR})
PARTICIPANTS = frozenset({Role.PARTICIPANT})

SCOPES_FOR: Mapping[frozenset[Role], frozenset[Scope]] = {
    MEMBERS: frozenset({Scope.OBSERVE, Scope.SUBMIT, Scope.LABELS, Scope.OPERATE}),
    READERS_OF_LABELS: frozenset({Scope.LABELS}),
    OPERATORS: frozenset({Scope.OPERATE}),
    PARTICIPANTS: frozenset({Scope.SUBMIT}),
}
"""What is open to these roles, a token may do that has one of these scopes."""

USE_SECONDS = 600.0
"""How far the noted last use of a token may be behind."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request this is."""

    role: Role
    participant: Participant | None = None
    """None for operators of the server, who may act in every federation."""
    token: str | None = None
    """Hash of the token of the request; None where the server itself acts for the participant, and for the operator's own token."""
    scopes: frozenset[Scope] = frozenset(Scope)
    """What the token was issued for; the role limits it further."""
    name: str = "command line"
    """Of an operator of the server."""
    expires_at: datetime | None = None
    """When the token ends, as it was when the caller was identified."""
    certificate: str | None = None
    """SHA-256 of the client certificate that the request was sent with."""
    identity: str | None = None
    """Issuer and subject, where an identity provider vouches for who asks."""
    clock: Clock | None = field(default=None, compare=False, repr=False)
    """Tells whether the token has expired since."""

    @property
    def federation(self) -> str | None:
        """The only federation that this caller knows; None: all of them."""
        return None if self.participant is None else self.participant.federation

    @property
    def title(self) -> str:
        """Who it is, for logs and the audit record."""
        here = self.participant
        name = self.name if here is None else f"{here.federation}/{here.name}"
        return name if self.identity is None else f"{name} ({self.identity})"


SERVER_OPERATOR = Caller(Role.OPERATOR)
"""Whoever works on the database itself, and the server where it looks for many."""

SHARED_OPERATOR = Caller(Role.OPERATOR, name="operator")
"""Whoever has the operator's token of the settings."""


class Access:
    """From tokens to callers."""

    def __init__(self, store: Store, operator_token: str, clock: Clock, identities: Identities | None = None) -> None:
        """operator_token: the server operator's own, valid for every federation. identities: None where no provider is asked."""
        self._store = store
        self._identities = identities
        self._clock = clock
        self._operator_hash = token_hash(operator_token)
        self._presence = Presence(store, clock)
        self._uses: dict[str, datetime] = {}
        self._lock = threading.Lock()

    def is_server_operator(self, token: str) -> bool:
        """Whether this is the operator's token of the settings; asks nothing of the database."""
        return hmac.compare_digest(token_hash(token), self._operator_hash)

    def identify(self, token: str, certificate: str | None = None) -> Caller:
        """Whose token this is. certificate: SHA-256 of the client certificate that came with it.

        Raises Unauthenticated for one that is unknown, revoked, or of an inactive participant, TokenExpired,
        WrongCertificate for a participant that is bound to others, and for tokens of an identity provider IdentityRefused
        and NotReady.
        """
        if self.is_server_operator(token):
            return SHARED_OPERATOR
        if self._identities is not None and is_signed(token):
            return self._vouched_for(self._identities.identify(token), certificate)
        digest = token_hash(token)
        with self._store.reading() as tx:
            found = valid_token(tx, digest, self._clock)
        _require_certificate(found.holder, certificate)
        self._note_use(found)
        if isinstance(found.holder, Participant):
            self._presence.note(found.holder)
        return replace(caller_with(found, self._clock), certificate=certificate)

    def _vouched_for(self, identity: Identity, certificate: str | None) -> Caller:
        named = Caller(
            Role.OPERATOR, scopes=SCOPES_OF_THE_SERVER, name="operator", certificate=certificate,
            identity=identity.title, expires_at=identity.expires_at, clock=self._clock,
        )  # fmt: skip
        if identity.acts_as == SERVER:
            return named
        with self._store.reading() as tx:
            participant = _active(participant_of(tx, identity))
        _require_certificate(participant, certificate)
        self._presence.note(participant)
        return replace(named, role=participant.role, participant=participant, scopes=SCOPES_OF[participant.role])

    def check(self, caller: Caller) -> None:
        """Raise Unauthenticated where the caller's token was revoked, or its participant set to inactive, since; or TokenExpired."""
        if caller.token is None and caller.participant is None and caller.identity is None:
            return
        with self._store.reading() as tx:
            if caller.participant is None:
                require_valid(tx, caller)
            else:
                federation_for(tx, caller, caller.participant.federation, None)
                self._presence.note(caller.participant)

    def record_uses(self) -> None:
        """Write down when tokens were last used, and participants seen. Raises StoreUnavailable, and keeps what is not written."""
        self._presence.record()
        for digest, at in list(self._uses.items()):
            with self._store.writing() as tx:
                tx.tokens.used(digest, at)
            with self._lock:
                if self._uses.get(digest) == at:
                    del self._uses[digest]

    def _note_use(self, token: Token) -> None:
        now = self._clock.now()
        if token.last_used_at is None or now - token.last_used_at >= timedelta(seconds=USE_SECONDS):
            with self._lock:
                self._uses.setdefault(token.digest, now)


def new_token() -> str:
    """A token for one participant, in letters that need no quoting."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> str:
    """What is kept of a token: the SHA-256 of its UTF-8 bytes."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def caller_with(token: Token, clock: Clock) -> Caller:
    """Who has this token."""
    holder = token.holder
    if isinstance(holder, Participant):
        return Caller(holder.role, holder, token.digest, scopes=token.scopes, expires_at=token.expires_at, clock=clock)
    name = f"operator {holder.name}"
    return Caller(
        Role.OPERATOR, token=token.digest, scopes=token.scopes, name=name, expires_at=token.expires_at, clock=clock
    )


def require_server_operator(caller: Caller) -> None:
    """Raise Forbidden for everybody but operators of the server, and OutOfScope where the token is not for operating."""
    if caller.role is not Role.OPERATOR or caller.participant is not None:
        raise Forbidden("Only the operator of the server may do this.")
    require_right(caller, OPERATORS)


def federation_for(
    tx: Transaction, caller: Caller, name: str, roles: frozenset[Role] | None = MEMBERS, *, lock: bool = False
) -> Federation:
    """The federation, if the caller belongs to it in one of `roles`, now: a request may be older than the end of its token.

    roles: None where the token may be for anything. lock: until the end of the transaction nobody else gets it locked;
    operators take it before they write, so that none of them writes after the end of its token. Raises UnknownFederation,
    also for one that exists but is not the caller's, Unauthenticated or TokenExpired where the token has ended, Forbidden for
    another role and OutOfScope for a token that is not for this.
    """
    federation = tx.federations.get(name, lock=lock) if caller.federation in {None, name} else None
    if federation is None:
        raise unknown_federation(caller, name)
    require_valid(tx, caller, federation, lock=lock)
    if roles is not None:
        require_right(caller, roles)
    return federation


def unknown_federation(caller: Caller, name: str) -> UnknownFederation:
    """The same words, whether there is none or it is not the caller's."""
    whose = "" if caller.federation is None else " for this token"
    return UnknownFederation(f"There is no federation {name}{whose}.")


def require_right(caller: Caller, roles: frozenset[Role]) -> None:
    """Raise Forbidden for another role, and OutOfScope where the token was not issued for what is open to `roles`."""
    if caller.role not in roles:
        raise Forbidden(f"This needs the role {' or '.join(sorted(roles))}; the token has the role {caller.role}.")
    require_scope(caller, SCOPES_FOR[roles])


def require_scope(caller: Caller, scopes: frozenset[Scope]) -> None:
    """Raise OutOfScope where the token has none of `scopes`."""
    if not caller.scopes & scopes:
        raise OutOfScope(
            f"This needs the scope {' or '.join(sorted(scopes))}; the token was issued for "
            f"{' and '.join(sorted(caller.scopes))}."
        )


def require_valid(tx: Transaction, caller: Caller, federation: Federation | None = None, *, lock: bool = False) -> None:
    """Raise Unauthenticated where the caller's token was revoked, or its participant set to inactive, since it was identified.

    And TokenExpired, and WrongCertificate where it was bound to others since. federation: the participant's own. lock: until the end of the transaction nobody revokes the token.
    """
    if caller.token is not None:
        _require_certificate(valid_token(tx, caller.token, caller.clock, lock=lock).holder, caller.certificate)
    elif caller.participant is not None and federation is not None:
        participant = _active(tx.participants.get(federation, caller.participant.name))
        if caller.identity is not None:
            _require_certificate(participant, caller.certificate)
    if caller.identity is not None:
        _require_current(caller)


def valid_token(tx: Transaction, digest: str, clock: Clock | None, *, lock: bool = False) -> Token:
    """The token of this hash. Raises Unauthenticated, and TokenExpired."""
    token = tx.tokens.find(digest, lock=lock)
    if token is None:
        raise Unauthenticated("The token is unknown, or was replaced by a new one.")
    if clock is not None and token.has_expired(clock.now()):
        raise TokenExpired(f"The token {token.id} was valid until {token.expires_at:%Y-%m-%d %H:%M:%S} UTC.")
    if isinstance(token.holder, Participant):
        _active(token.holder)
    return token


def _require_current(caller: Caller) -> None:
    """An identity holds as long as its token."""
    if caller.clock is not None and caller.expires_at is not None:
        over = caller.clock.now() - caller.expires_at
        if over >= timedelta(seconds=SKEW_SECONDS):
            raise IdentityRefused("The token has expired.")


def _require_certificate(holder: Participant | Operator, shown: str | None) -> None:
    bound = holder.certificates if isinstance(holder, Participant) else frozenset()
    if bound and shown not in bound:
        came = "showed no client certificate" if shown is None else f"showed the certificate {shown}"
        raise WrongCertificate(f"Participant {holder.name} is bound to a client certificate, and the request {came}.")


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
