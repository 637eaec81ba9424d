"""Participants and their tokens."""

from dataclasses import dataclass, replace

from client_kit.vocabulary import Role
from consensus_server.core.federations import Participant
from consensus_server.ports import Clock, Store
from consensus_server.service.access import (
    OPERATORS,
    Caller,
    federation_for,
    new_token,
    participant_for,
    token_hash,
)
from consensus_server.service.settling import last_round, round_for, settle


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A participant with its new token, which nobody can see again."""

    participant: Participant
    token: str


class Participants:
    """The participants of federations. For operators only."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def add(self, caller: Caller, federation: str, name: str, role: Role = Role.PARTICIPANT) -> IssuedToken:
        """A new, active participant. Raises UnknownFederation, Forbidden, AlreadyExists."""
        token = new_token()
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            added = tx.participants.add(home, name, role, token_hash=token_hash(token), at=self._clock.now())
        return IssuedToken(added, token)

    def all(self, caller: Caller, federation: str) -> tuple[Participant, ...]:
        """By name, also those that are not active. Raises UnknownFederation, Forbidden."""
        with self._store.reading() as tx:
            return tx.participants.of(federation_for(tx, caller, federation, OPERATORS))

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
            if last is not None:
                settle(tx, round_for(tx, home, last.number), self._clock.now())
        return replace(participant, active=active)

    def renew_token(self, caller: Caller, federation: str, name: str) -> IssuedToken:
        """A new token; the old one ends. Raises UnknownFederation, Forbidden, UnknownParticipant."""
        token = new_token()
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            participant = participant_for(tx, home, name)
            tx.participants.set_token(participant, token_hash(token))
        return IssuedToken(participant, token)
