"""Participants and their tokens."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from client_kit.vocabulary import Role
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.tokens import Grant, Token
from consensus_server.ports import Clock, Store, Transaction
from consensus_server.service import tokens
from consensus_server.service.access import OPERATORS, Caller, federation_for, participant_for, require_right
from consensus_server.service.audit import noted, noted_token
from consensus_server.service.settling import last_round, round_for, settle
from consensus_server.service.tokens import ALL_OF_THE_ROLE, Revocation, TokenWish

SILENT_SECONDS = 300.0
"""After which a participant counts as silent. One that trains may be: it asks nothing meanwhile."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A participant with its new token, which nobody can see again."""

    participant: Participant
    token: str
    kept: Token


class Participants:
    """The participants of federations and their tokens. For operators; tokens for those who have them too."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def add(
        self,
        caller: Caller,
        federation: str,
        name: str,
        role: Role = Role.PARTICIPANT,
        wish: TokenWish = ALL_OF_THE_ROLE,
    ) -> IssuedToken:
        """A new, active participant. Raises UnknownFederation, Forbidden, AlreadyExists, and what `renew_token` raises for `wish`."""
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            tokens.require_may_issue(tx, caller)
            issued = added(tx, home, name, role, tokens.granted_to(caller, role, wish), at=self._clock.now())
            noted_token(tx, caller, "participant.added", self._clock.now(), issued.kept, role=role.value)
        return issued

    def all(self, caller: Caller, federation: str) -> tuple[Participant, ...]:
        """By name, also those that are not active. Raises UnknownFederation, Forbidden."""
        with self._store.reading() as tx:
            return tx.participants.of(federation_for(tx, caller, federation, OPERATORS))

    def awaited(self, caller: Caller, federation: str, number: int) -> tuple[Participant, ...]:
        """Active participants that have not sealed in a round, by name. Raises UnknownFederation, Forbidden, UnknownRound."""
        with self._store.reading() as tx:
            home = federation_for(tx, caller, federation, OPERATORS)
            sealed = tx.submissions.seals(round_for(tx, home, number))
            found = tx.participants.of(home)
        return tuple(
            each for each in found if each.active and each.role is Role.PARTICIPANT and each.name not in sealed
        )

    def count_by_presence(self) -> dict[str, int]:
        """Active participants of the server that were `seen` within `SILENT_SECONDS`, are `silent` since, or `never` came. For metrics."""
        with self._store.reading() as tx:
            found = tx.participants.last_seen()
        since = self._clock.now() - timedelta(seconds=SILENT_SECONDS)
        never = found.count(None)
        seen = sum(at is not None and at >= since for at in found)
        return {"seen": seen, "silent": len(found) - seen - never, "never": never}

    def set_active(self, caller: Caller, federation: str, name: str, *, active: bool) -> Participant:
        """Let a participant take part, or no longer. What it has sealed stays in the pools.

        An open round that waited for this participant only closes at once. Raises UnknownFederation, Forbidden,
        UnknownParticipant.
        """
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            last = last_round(tx, home, lock=True)  # before the participant, as a seal does: no deadlock
            participant = participant_for(tx, home, name)
            tx.participants.set_active(participant, active=active)
            now, was, is_ = self._clock.now(), {"active": participant.active}, {"active": active}
            noted(tx, caller, "participant.changed", now, federation=home.name, subject=name, before=was, after=is_)
            if last is not None:
                settle(tx, round_for(tx, home, last.number), self._clock.now())
        return replace(participant, active=active)

    def bind(self, caller: Caller, federation: str, name: str, fingerprints: Collection[str]) -> Participant:
        """Let a participant call with these client certificates only, by SHA-256; none: with any, or without.

        What is under way with another ends, as with a token that is revoked. Raises UnknownFederation, Forbidden, UnknownParticipant.
        """
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            participant = participant_for(tx, home, name)
            bound = replace(participant, certificates=frozenset(fingerprints))
            tx.participants.set_certificates(participant, bound.certificates)
            was, is_ = ({"certificates": sorted(each.certificates)} for each in (participant, bound))
            now = self._clock.now()
            noted(tx, caller, "participant.bound", now, federation=home.name, subject=name, before=was, after=is_)
        return bound

    def renew_token(self, caller: Caller, federation: str, name: str, wish: TokenWish = ALL_OF_THE_ROLE) -> IssuedToken:
        """A new token; those before it end as `wish` says: an operator replaces all of them, a participant the one that it calls with.

        Raises UnknownFederation, Forbidden, UnknownParticipant, OutOfScope for scopes that the caller cannot give, and
        ValidationFailed for those that the role has not, a lifetime longer than the replaced one's, and too many tokens.
        """
        with self._store.writing() as tx:
            holder = self._holder(tx, caller, federation, name, lock=True)
            text, kept = tokens.replace(tx, caller, holder, wish, self._clock.now())
        return IssuedToken(holder, text, kept)

    def tokens(self, caller: Caller, federation: str, name: str) -> tuple[Token, ...]:
        """Those of a participant, oldest first; nothing of them can be used. Raises UnknownFederation, Forbidden, UnknownParticipant."""
        with self._store.reading() as tx:
            return tx.tokens.of(self._holder(tx, caller, federation, name))

    def revoke_token(self, caller: Caller, federation: str, name: str, wanted: Revocation) -> None:
        """End one token. Raises UnknownFederation, Forbidden, UnknownParticipant, UnknownToken."""
        with self._store.writing() as tx:
            holder = self._holder(tx, caller, federation, name, lock=True)
            tokens.revoke(tx, caller, holder, wanted, self._clock.now())

    @staticmethod
    def _holder(tx: Transaction, caller: Caller, federation: str, name: str, *, lock: bool = False) -> Participant:
        """The participant, for itself with any token and for operators."""
        home = federation_for(tx, caller, federation, None, lock=lock)
        if caller.participant is None or caller.participant.name != name:
            require_right(caller, OPERATORS)
        return participant_for(tx, home, name)


def added(tx: Transaction, home: Federation, name: str, role: Role, grant: Grant, *, at: datetime) -> IssuedToken:
    """A new, active participant with its first token. Raises AlreadyExists."""
    participant = tx.participants.add(home, name, role, token_hash=secrets.token_hex(32), at=at)
    text, kept = tokens.issue(tx, participant, grant, at)
    return IssuedToken(participant, text, kept)
