"""Appeals against gates: made by participants, decided by operators, in force from the next aggregation on."""

from client_kit.vocabulary import AppealOutcome
from consensus_server.core.appeals import Appeal
from consensus_server.core.consensus.round.gates import GATES
from consensus_server.core.errors import Fault, Forbidden, NothingToAppeal, UnknownAppeal, ValidationFailed
from consensus_server.core.federations import Participant
from consensus_server.core.rounds import Round
from consensus_server.ports import Clock, Store, Transaction
from consensus_server.service.access import OPERATORS, PARTICIPANTS, READERS_OF_LABELS, Caller, federation_for
from consensus_server.service.audit import noted
from consensus_server.service.published import fates_of, may_see, published_round
from consensus_server.service.settling import MAX_NUMBER


class Appeals:
    """The appeals of federations."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def make(self, caller: Caller, federation: str, number: int, *, gate: str, text: str) -> Appeal:
        """Appeal against a gate that rejected answers of the caller in a published round; once for each.

        Raises UnknownFederation, Forbidden unless a participant calls, UnknownRound, RoundNotPublished, RoundFailed,
        ValidationFailed for a gate against which there is no appeal, NothingToAppeal, AlreadyExists.
        """
        round_ = published_round(self._store, self._clock, caller, federation, number, roles=PARTICIPANTS)
        participant = caller.participant
        if participant is None:
            raise Forbidden("Only a participant can appeal.")
        _check_gate(gate)
        with self._store.reading() as tx:  # what is published never changes: no writer has to wait for the search
            if not _rejected(tx, round_, participant, gate):
                raise NothingToAppeal(f"The gate {gate} rejected no answer of {participant.name} in round {number}.")
        with self._store.writing() as tx:
            federation_for(tx, caller, federation, PARTICIPANTS, lock=True)
            now = self._clock.now()
            made = tx.appeals.add(round_, participant, gate, text, now)
            told = {"round": number, "gate": gate}
            noted(tx, caller, "appeal.made", now, federation=federation, subject=f"appeal {made.number}", after=told)
        return made

    def all(self, caller: Caller, federation: str) -> tuple[Appeal, ...]:
        """By number: all for operators, their own for participants. Raises UnknownFederation, Forbidden for observers."""
        with self._store.reading() as tx:
            home = federation_for(tx, caller, federation, READERS_OF_LABELS)
            return tuple(each for each in tx.appeals.of(home) if may_see(caller, each.participant))

    def resolve(self, caller: Caller, federation: str, number: int, outcome: AppealOutcome, note: str) -> Appeal:
        """Decide an appeal, or decide it anew: the last word about a participant and a gate counts.

        Rounds that are published stay as they are. Raises UnknownFederation, Forbidden unless an operator calls,
        UnknownAppeal.
        """
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            appeal = tx.appeals.get(home, number) if 0 < number <= MAX_NUMBER else None
            if appeal is None:
                raise UnknownAppeal(f"Federation {federation} has no appeal {number}.")
            now, was, is_ = self._clock.now(), {"outcome": appeal.outcome}, {"outcome": outcome}
            tx.appeals.resolve(home, number, outcome, note, now)
            subject = f"appeal {number}"
            noted(tx, caller, "appeal.resolved", now, federation=federation, subject=subject, before=was, after=is_)
            resolved = tx.appeals.get(home, number)
        if resolved is None:
            raise LookupError(f"appeal {number} of {federation} is gone")
        return resolved


def _check_gate(gate: str) -> None:
    appealable = {name for name, each in GATES.items() if each.appealable}
    if gate not in appealable:
        known = ", ".join(sorted(appealable))
        fault = Fault("gate", f"no appeal can be made against {gate!r}; gates that can be appealed: {known}.")
        raise ValidationFailed(f"gate: {fault.message}", [fault])


def _rejected(tx: Transaction, round_: Round, participant: Participant, gate: str) -> bool:
    """Whether the gate rejected any answer of the participant."""
    return any(fate.gate == gate and fate.participant == participant.name for fate in fates_of(tx, round_))
