"""Signing keys of participants: registered by themselves, ended by operators."""

from datetime import datetime

from client_kit.signing import is_signed
from client_kit.wire import KeyRegistration, KeyStatement, Signature
from consensus_server.core.errors import Forbidden, SignatureRefused, ValidationFailed
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.signing import SigningKey
from consensus_server.ports import Clock, Store, Transaction
from consensus_server.service.access import (
    OPERATORS,
    PARTICIPANTS,
    Caller,
    federation_for,
    participant_for,
    require_right,
)
from consensus_server.service.audit import noted
from consensus_server.service.signing import current_key
from consensus_server.service.submissions import own_participant

MOST_KEYS = 100
"""Of one participant, ended ones included: a key is replaced seldom."""


class SigningKeys:
    """Which keys sign the seals of participants."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def of(self, caller: Caller, federation: str, name: str) -> tuple[SigningKey, ...]:
        """Oldest first; for the participant itself with any token and for operators. Raises UnknownFederation, Forbidden, UnknownParticipant."""
        with self._store.reading() as tx:
            home = federation_for(tx, caller, federation, None)
            if caller.participant is None or caller.participant.name != name:
                require_right(caller, OPERATORS)
            return tx.signing_keys.of(participant_for(tx, home, name))

    def current(self, caller: Caller, federation: str) -> dict[str, str]:
        """Those that sign now, by participant. Raises UnknownFederation, Forbidden unless an operator calls."""
        with self._store.reading() as tx:
            return dict(tx.signing_keys.current(federation_for(tx, caller, federation, OPERATORS)))

    def register(self, caller: Caller, federation: str, name: str, given: KeyRegistration) -> SigningKey:
        """Let a key sign the caller's seals from now on; the same again changes nothing.

        One that takes another's place must be endorsed by that: whoever steals a token cannot sign with a key of its own. Raises
        UnknownFederation, Forbidden for others than the participant itself, SignatureRefused, AlreadyExists for a key that has
        ended, and ValidationFailed for too many.
        """
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, PARTICIPANTS)
            participant = own_participant(tx, home, caller, lock=True)
            if participant.name != name:
                raise Forbidden(f"Only {name} itself registers its signing key.")
            _require_proof(home, participant, given)
            current = current_key(tx, participant)
            if current is not None and current.key == given.key:
                return current
            return self._replace(tx, caller, home, participant, current, given)

    def _replace(  # noqa: PLR0917
        self, tx: Transaction, caller: Caller, home: Federation, participant: Participant,
        current: SigningKey | None, given: KeyRegistration,
    ) -> SigningKey:  # fmt: skip
        if current is not None:
            _require_endorsement(home, participant, current, given)
        if len(tx.signing_keys.of(participant)) >= MOST_KEYS:
            raise ValidationFailed(f"{participant.name} has had {MOST_KEYS} keys, which is the most that one can have.")
        now = self._clock.now()
        tx.signing_keys.end(participant, at=now)
        tx.signing_keys.add(participant, given.key, at=now)
        _note(tx, caller, "signing_key.registered", now, participant, current, given.key)
        return SigningKey(given.key, now)

    def end(self, caller: Caller, federation: str, name: str) -> None:
        """Let no key sign the participant's seals until it registers another, as where one was lost.

        What it signed stays as it is. Raises UnknownFederation, Forbidden unless an operator calls, UnknownParticipant.
        """
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            participant = participant_for(tx, home, name, lock=True)
            if (current := current_key(tx, participant)) is not None:
                now = self._clock.now()
                tx.signing_keys.end(participant, at=now)
                _note(tx, caller, "signing_key.ended", now, participant, current, None)


def _note(  # noqa: PLR0917
    tx: Transaction, caller: Caller, action: str, at: datetime, participant: Participant,
    before: SigningKey | None, after: str | None,
) -> None:  # fmt: skip
    was, is_ = {"key": None if before is None else before.key}, {"key": after}
    noted(tx, caller, action, at, federation=participant.federation, subject=participant.name, before=was, after=is_)


def _statement(home: Federation, participant: Participant, given: KeyRegistration) -> KeyStatement:
    return KeyStatement(federation=home.name, created_at=home.created_at, participant=participant.name, key=given.key)


def _require_proof(home: Federation, participant: Participant, given: KeyRegistration) -> None:
    proof = Signature(key=given.key, signature=given.proof)
    if not is_signed(_statement(home, participant, given).signed_bytes(), proof):
        raise SignatureRefused(f"The proof is not this key's signature of its statement for {participant.name}.")


def _require_endorsement(
    home: Federation, participant: Participant, current: SigningKey, given: KeyRegistration
) -> None:
    told = f"{participant.name} signs with {current.key}, and that key must endorse the one that takes its place"
    if given.endorsement is None:
        raise SignatureRefused(f"{told}.")
    endorsement = Signature(key=current.key, signature=given.endorsement)
    if not is_signed(_statement(home, participant, given).signed_bytes(), endorsement):
        raise SignatureRefused(f"{told}: the endorsement is not its signature.")
