"""Tokens that an identity provider signed, beside those that the server issued."""

from consensus_server.core.errors import IdentityRefused
from consensus_server.core.federations import Participant
from consensus_server.core.identities import Identity, IdentityRules, identity_in
from consensus_server.ports import Clock, IdentityProvider, Transaction

_PARTS = 3
_MOST_CHARS = 16 * 1024


def is_signed(token: str) -> bool:
    """Whether it has the form of a JSON Web Token: three parts with dots between. No token of the server has a dot."""
    return token.count(".") == _PARTS - 1


class Identities:
    """Who asks, by the provider's word."""

    def __init__(self, provider: IdentityProvider, rules: IdentityRules, clock: Clock) -> None:
        self._provider = provider
        self._rules = rules
        self._clock = clock

    def identify(self, token: str) -> Identity:
        """Raises IdentityRefused, and NotReady where the provider's keys cannot be had."""
        if len(token) > _MOST_CHARS:
            raise IdentityRefused("The token is too long.")
        return identity_in(self._provider.claims(token), self._rules, self._clock.now())


def participant_of(tx: Transaction, identity: Identity) -> Participant:
    """Whom an identity acts as. Raises IdentityRefused where there is none."""
    federation, _, name = identity.acts_as.partition("/")
    home = tx.federations.get(federation)
    found = None if home is None else tx.participants.get(home, name)
    if found is None:
        raise IdentityRefused("The identity acts as a participant that this server does not have.")
    return found
