"""Tokens, operators of the server, and invitations."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from client_kit.vocabulary import Role, Scope
from client_kit.wire.base import Request, WireModel
from client_kit.wire.limits import YEAR_SECONDS, Lifetime, Name, Scopes


class TokenWish(Request):
    """What a new token is for, how long, and what becomes of those before it."""

    scopes: Scopes | None = None
    """Left out: every one of the role, or for a token that its holder replaces, those that it had."""
    lifetime_seconds: Lifetime | None = None
    """Left out: until it is revoked, or for a token that its holder replaces, as long as that one's."""
    grace_seconds: Annotated[float, Field(ge=0, le=YEAR_SECONDS, allow_inf_nan=False)] = 0.0
    """How long those that it replaces still hold; 0: they end at once."""
    keep: bool = False
    """It replaces none: those before it hold until they expire or are revoked."""


class Token(WireModel):
    """A token as it can be shown again: nothing of it can be used."""

    id: str
    """The first 12 digits of the token's SHA-256."""
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    """Roughly: it may be ten minutes behind."""
    replaced: bool = False
    """Another took its place; it ends at `expires_at`."""


class TokenList(WireModel):
    """Tokens of one holder, oldest first."""

    items: list[Token]


class OperatorCreate(Request):
    """An operator of the server to add, and what its first token is for."""

    operator: Name
    scopes: Scopes | None = None
    """Left out: every one that the caller has."""
    lifetime_seconds: Lifetime | None = None
    """Of the token; left out: until it is revoked."""


class Operator(WireModel):
    """An operator of the server."""

    operator: Name
    created_at: datetime


class OperatorList(WireModel):
    """Those that have names."""

    items: list[Operator]


class OperatorToken(WireModel):
    """Answer to the addition of an operator, or to a new token for one."""

    operator: Operator
    token: str
    """Shown this once; the server keeps a hash."""
    kept: Token


class InvitationCreate(Request):
    """Somebody to invite."""

    participant: Name | None = None
    """The name with which to join; left out: who joins chooses one."""
    role: Role = Role.PARTICIPANT
    valid_seconds: Annotated[float, Field(ge=1, le=YEAR_SECONDS, allow_inf_nan=False)] = 7 * 24 * 3600.0
    """How long the invitation can be used."""
    scopes: Scopes | None = None
    """Of the token of who joins; left out: every one of the role."""
    lifetime_seconds: Lifetime | None = None
    """Of the token of who joins; left out: until it is revoked."""


class Invitation(WireModel):
    """An invitation as its operator sees it; without its code."""

    id: str
    """The first 12 digits of the code's SHA-256."""
    federation: Name
    role: Role
    participant: Name | None = None
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None
    used_by: Name | None = None


class InvitationList(WireModel):
    """Invitations to a federation, oldest first."""

    items: list[Invitation]


class InvitationCode(WireModel):
    """A new invitation. Whoever has the code joins with it, once."""

    invitation: Invitation
    code: str
    """Shown this once; the server keeps a hash."""


class Redemption(Request):
    """Joining with an invitation."""

    code: Annotated[str, Field(max_length=200)]
    participant: Name | None = None
    """The name to take, where the invitation has none."""
    federation: Name | None = None
    """The one that is expected; an invitation to another is refused as if it did not exist."""
    bind_certificate: bool | None = None
    """True: who joins is bound to the client certificate of this request; its token is of no use with another."""
