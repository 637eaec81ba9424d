"""Tokens, who holds them, and invitations by which participants get theirs. Frozen records; the store keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from client_kit.vocabulary import Role, Scope
from consensus_server.core.federations import Participant

ID_CHARS = 12
"""Of a SHA-256: enough to tell the tokens of one holder apart, and whoever has a token can compute its id."""

SCOPES_OF: Mapping[Role, frozenset[Scope]] = {
    Role.OPERATOR: frozenset({Scope.OPERATE, Scope.LABELS, Scope.OBSERVE}),
    Role.PARTICIPANT: frozenset({Scope.SUBMIT, Scope.LABELS, Scope.OBSERVE}),
    Role.OBSERVER: frozenset({Scope.OBSERVE}),
}
"""Every scope that a token of a role can have."""

SCOPES_OF_THE_SERVER = SCOPES_OF[Role.OPERATOR] | {Scope.PANELS}
"""Every scope that a token of a server's operator can have."""


@dataclass(frozen=True, slots=True)
class Operator:
    """An operator of the server, by name. Whoever has the token of the settings is one without."""

    id: int
    """Key in the store; never leaves the server."""
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What is kept of a token."""

    digest: str
    """SHA-256 of the token's UTF-8 bytes."""
    holder: Participant | Operator
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    """None: it holds until it is revoked."""
    last_used_at: datetime | None = None
    """Roughly: it may be some minutes behind. None: not yet, or before uses were noted."""
    replaced: bool = False
    """It still holds for a while, and another took its place: it issues and ends no others."""

    @property
    def id(self) -> str:
        """Names it among the tokens of its holder."""
        return self.digest[:ID_CHARS]

    @property
    def lifetime(self) -> timedelta | None:
        """From its issue to its expiry."""
        return None if self.expires_at is None else self.expires_at - self.created_at

    def has_expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a new token is for, and for how long."""

    scopes: frozenset[Scope]
    lifetime_seconds: float | None = None
    """None: until it is revoked."""

    def expires_at(self, now: datetime) -> datetime | None:
        """When a token ends that is issued now."""
        return None if self.lifetime_seconds is None else now + timedelta(seconds=self.lifetime_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """What is kept of an invitation: who has its code joins with it, once."""

    digest: str
    """SHA-256 of the code's UTF-8 bytes."""
    federation: str
    role: Role
    participant: str | None
    """The name with which to join; None: whoever joins chooses one."""
    grant: Grant
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    used_by: str | None = None
    """Name of who joined with it."""

    @property
    def id(self) -> str:
        """Names it within its federation."""
        return self.digest[:ID_CHARS]
