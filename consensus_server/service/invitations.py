"""Invitations: whoever has the code joins a federation with it, once, and no operator ever sees the token."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from client_kit.vocabulary import Role
from consensus_server.core.errors import (
    Fault,
    InvitationExpired,
    InvitationUsed,
    UnknownInvitation,
    ValidationFailed,
)
from consensus_server.core.tokens import Invitation
from consensus_server.ports import Clock, Store
from consensus_server.service.access import OPERATORS, Caller, federation_for, new_token, token_hash
from consensus_server.service.audit import invited, noted, noted_token
from consensus_server.service.participants import IssuedToken, added
from consensus_server.service.tokens import ALL_OF_THE_ROLE, TokenWish, granted_to, require_may_issue

DEFAULT_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class IssuedInvitation:
    """An invitation with its code, which nobody can see again."""

    invitation: Invitation
    code: str


class Invitations:
    """Invitations to federations: made, listed and withdrawn by operators, used by whoever has the code."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def add(
        self,
        caller: Caller,
        federation: str,
        *,
        participant: str | None = None,
        role: Role = Role.PARTICIPANT,
        valid_seconds: float = DEFAULT_SECONDS,
        wish: TokenWish = ALL_OF_THE_ROLE,
    ) -> IssuedInvitation:
        """participant: with which name to join. wish: what the token of who joins is for, and for how long.

        Raises UnknownFederation, Forbidden, OutOfScope, ValidationFailed.
        """
        code, now = new_token(), self._clock.now()
        invitation = Invitation(
            digest=token_hash(code),
            federation=federation,
            role=role,
            participant=participant,
            grant=granted_to(caller, role, wish),
            created_at=now,
            expires_at=now + timedelta(seconds=valid_seconds),
        )
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            require_may_issue(tx, caller)
            tx.invitations.add(home, invitation)
            noted(tx, caller, "invitation.added", now, federation=federation, after=invited(invitation))
        return IssuedInvitation(invitation, code)

    def all(self, caller: Caller, federation: str) -> tuple[Invitation, ...]:
        """Oldest first, with those that were used or have expired. Raises UnknownFederation, Forbidden."""
        with self._store.reading() as tx:
            return tx.invitations.of(federation_for(tx, caller, federation, OPERATORS))

    def withdraw(self, caller: Caller, federation: str, invitation_id: str) -> None:
        """Nobody joins with it any more. Raises UnknownFederation, Forbidden, UnknownInvitation."""
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            for each in tx.invitations.of(home):
                if each.id == invitation_id:
                    tx.invitations.remove(each)
                    now, was = self._clock.now(), invited(each)
                    noted(tx, caller, "invitation.withdrawn", now, federation=federation, before=was)
                    return
        raise UnknownInvitation(f"Federation {federation} has no invitation {invitation_id}.")

    def redeem(
        self,
        code: str,
        *,
        participant: str | None = None,
        federation: str | None = None,
        certificate: str | None = None,
    ) -> IssuedToken:
        """Join with an invitation; needs no token. What fails leaves the invitation as it was.

        participant: the name to take, where the invitation has none. federation: the one that is expected. certificate: SHA-256 of
        the client certificate to bind who joins to; None: to none. Raises
        UnknownInvitation, also for one to another federation, InvitationUsed, InvitationExpired, ValidationFailed for
        another name than the invitation's or none at all, and AlreadyExists for a name that is taken.
        """
        digest = token_hash(code)
        with self._store.writing() as tx:
            found = _known(tx.invitations.find(digest), federation)
            home = tx.federations.get(found.federation, lock=True)  # one at a time joins, or withdraws an invitation
            invitation = _known(tx.invitations.find(digest), federation)
            if home is None:
                raise LookupError(f"federation {found.federation} is gone")
            now = self._clock.now()
            _require_usable(invitation, now)
            name = _name(invitation, participant)
            issued = added(tx, home, name, invitation.role, invitation.grant, at=now)
            tx.invitations.used(invitation, at=now, by=name)
            if certificate is not None:
                bound = replace(issued.participant, certificates=frozenset({certificate}))
                tx.participants.set_certificates(bound, bound.certificates)
                issued = replace(issued, participant=bound)
            joined = f"{home.name}/{name}"
            noted_token(
                tx, joined, "invitation.used", now, issued.kept, invitation=invitation.id, role=invitation.role.value,
                **({"certificates": [certificate]} if certificate else {}),
            )  # fmt: skip
        return issued


def _known(invitation: Invitation | None, federation: str | None) -> Invitation:
    if invitation is None or federation not in {None, invitation.federation}:
        raise UnknownInvitation("There is no such invitation.")
    return invitation


def _require_usable(invitation: Invitation, now: datetime) -> None:
    if invitation.used_at is not None:
        raise InvitationUsed(f"Somebody joined with this invitation on {invitation.used_at:%Y-%m-%d %H:%M} UTC.")
    if now >= invitation.expires_at:
        raise InvitationExpired(f"The invitation was valid until {invitation.expires_at:%Y-%m-%d %H:%M} UTC.")


def _name(invitation: Invitation, wanted: str | None) -> str:
    """Raises ValidationFailed where the two do not agree, or neither is there."""
    name = invitation.participant or wanted
    if name is None or wanted not in {None, name}:
        said = f"this invitation is for {name}." if name else "the invitation has no name: choose one."
        raise ValidationFailed(f"participant: {said}", [Fault("participant", said)])
    return name
