"""Submissions: atomic requests that may be repeated at will, closed by a seal that both sides count alike."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from client_kit.vocabulary import EventKind, RoundState
from client_kit.wire import Signature
from client_kit.wire.digests import content_digest, submission_digest
from consensus_server.core.admission import check_answers, check_conflicts
from consensus_server.core.errors import (
    Fault,
    Forbidden,
    RoundNotOpen,
    SealMismatch,
    SubmissionSealed,
    TrainingRightsMissing,
    ValidationFailed,
)
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.privacy import PrivacyStatement
from consensus_server.core.rounds import (
    Answer,
    AnswerKey,
    HeldAnswer,
    HeldSubmission,
    Round,
    SealReceipt,
    SubmissionReceipt,
)
from consensus_server.ports import Clock, SealedSubmission, Store, Transaction
from consensus_server.service.access import PARTICIPANTS, Caller, federation_for, participant_for, require_valid
from consensus_server.service.audit import noted
from consensus_server.service.late import takes_late
from consensus_server.service.prompt_sets import manifest_for
from consensus_server.service.settling import current_round, round_for, settle
from consensus_server.service.signing import require_signature, signed_seal


class Submissions:
    """The caller's own submission in a round. For participants only."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def admit(self, caller: Caller, federation: str, number: int) -> int:
        """How many rows a request may bring, for who may bring any now: asked before a byte of them is read.

        Raises UnknownFederation, Forbidden, UnknownRound, SubmissionSealed, RoundNotOpen.
        """
        round_ = current_round(self._store, self._clock, caller, federation, number, roles=PARTICIPANTS)
        with self._store.reading() as tx:
            home = self._open_to(tx, caller, federation, round_)
            return manifest_for(tx, home.terms.prompt_set).prompt_count * home.terms.samples_per_prompt

    def _open_to(self, tx: Transaction, caller: Caller, federation: str, round_: Round) -> Federation:
        """The federation, where the caller may bring answers to the round now. Raises as `admit`."""
        home = federation_for(tx, caller, federation, PARTICIPANTS)
        require_unsealed(tx, round_, own_participant(tx, home, caller))
        require_taking(tx, home, round_, self._clock.now())
        return home

    def store(
        self, caller: Caller, federation: str, number: int, answers: Sequence[Answer], *, replace: bool = False
    ) -> SubmissionReceipt:
        """Keep answers, all or none. Those that are held already with the same text change nothing.

        replace: another text takes the place of the one that is held. Raises UnknownFederation, Forbidden,
        UnknownRound, SubmissionSealed, RoundNotOpen; UnknownPrompt, AnswerTooLong, TooManySamples and AnswerConflict
        with up to `MAX_FAULTS` faults of the request.
        """
        seen = current_round(self._store, self._clock, caller, federation, number, roles=PARTICIPANTS)
        given = [(answer, content_digest(answer.text)) for answer in answers]
        prompt_ids = {answer.prompt_id for answer in answers}
        with self._store.reading() as tx:  # terms and prompts never change: no writer has to wait for their check
            home = self._open_to(tx, caller, federation, seen)
            check_answers(answers, home.terms, tx.prompt_sets.known(home.terms.prompt_set, prompt_ids))
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, PARTICIPANTS)
            round_ = round_for(tx, home, number)
            # The participant's lock, not the round's: sites do not wait for one another. What arrives while the round
            # closes is not sealed, and so enters no pool.
            participant = own_participant(tx, home, caller, lock=True)
            require_unsealed(tx, round_, participant)
            require_taking(tx, home, round_, self._clock.now())
            held = tx.submissions.held(round_, participant, prompt_ids)
            check_conflicts(given, {} if replace else held)
            return _keep(tx, round_, participant, given, held)

    def withdraw(self, caller: Caller, federation: str, number: int) -> int:
        """Forget the answers that are held of the caller, and its parameters, before the seal; how many answers there were.

        Raises UnknownFederation, Forbidden, UnknownRound, SubmissionSealed, RoundNotOpen.
        """
        current_round(self._store, self._clock, caller, federation, number, roles=PARTICIPANTS)
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, PARTICIPANTS)
            round_ = round_for(tx, home, number)
            participant = own_participant(tx, home, caller, lock=True)
            require_unsealed(tx, round_, participant, "nothing of it can be withdrawn")
            require_taking(tx, home, round_, self._clock.now())
            held = tx.submissions.held(round_, participant)
            tx.submissions.remove(round_, participant, held)
            tx.parameters.remove(round_, participant)
            now, told = self._clock.now(), {"answers": len(held)}
            noted(
                tx, caller, "submission.withdrawn", now, federation=federation, subject=f"round {number}", before=told
            )
        return len(held)

    def held(self, caller: Caller, federation: str, number: int) -> HeldSubmission:
        """What is held of the caller's submission. Raises UnknownFederation, Forbidden, UnknownRound."""
        with self._store.reading() as tx:
            home = federation_for(tx, caller, federation, PARTICIPANTS)
            round_ = round_for(tx, home, number)
            participant = own_participant(tx, home, caller)
            held = tx.submissions.held(round_, participant)
            sealed = is_sealed(tx, round_, participant)
        answers = tuple(HeldAnswer(*key, digest) for key, digest in held.items())
        return HeldSubmission(answers, sealed, _digest(held))

    def seal(
        self,
        caller: Caller,
        federation: str,
        number: int,
        *,
        count: int,
        digest: str,
        training_rights: bool = False,
        privacy: PrivacyStatement | None = None,
        taught_through: int = 0,
        carried_from: int | None = None,
        signature: Signature | None = None,
    ) -> SealReceipt:
        """Declare the submission complete; sealed again, the same receipt. May close the round.

        count, digest: of all answers as the participant counts them. training_rights: it states that others may train
        on them. privacy: what it states about its records; with a second seal the first statement stands. taught_through:
        newest round whose labels its model was trained on. carried_from: round whose sealed answers stand for this one too.
        signature: the participant's, of all of this; a second seal changes nothing about it.
        Raises UnknownFederation, Forbidden, UnknownRound, RoundNotOpen, TrainingRightsMissing, SignatureMissing,
        SignatureRefused, ValidationFailed for a round that has not been, and SealMismatch when other answers are held, or these cannot be carried.
        """
        current_round(self._store, self._clock, caller, federation, number, roles=PARTICIPANTS)
        if carried_from is None:
            self._check_count(caller, federation, number, count, digest)
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, PARTICIPANTS)
            require_training_rights(home, stated=training_rights)
            require_signature(home, signed=signature is not None)
            round_ = round_for(tx, home, number, lock=True)
            _require_earlier(taught_through, number)
            participant = own_participant(tx, home, caller, lock=True)
            sealed = tx.submissions.sealed(round_, participant)
            sealed = sealed or tx.submissions.sealed(round_, participant, late=True)
            if sealed is None:
                now = self._clock.now()
                require_taking(tx, home, round_, now)
                given = SealedSubmission(count, digest, now, privacy, taught_through, carried_from)
                if signature is not None:
                    by = signed_seal(tx, home, number, participant, given, signature, training_rights=training_rights)
                    given = replace(given, signed=by)
                sealed = self._seal(tx, home, round_, participant, given, late=takes_late(tx, home, round_))
            _check_seal((sealed.count, sealed.digest), (count, digest), "sealed")
            late = tx.submissions.sealed(round_, participant) is None
        signed_by = None if sealed.signed is None else sealed.signed.key
        return SealReceipt(
            federation,
            number,
            participant.name,
            sealed.count,
            sealed.digest,
            sealed.sealed_at,
            sealed.privacy,
            late=late,
            signed_by=signed_by,
        )

    def _check_count(self, caller: Caller, federation: str, number: int, count: int, digest: str) -> None:
        """Raise SealMismatch where an open submission is counted otherwise here: no writer has to wait for the counting."""
        with self._store.reading() as tx:
            home = federation_for(tx, caller, federation, PARTICIPANTS)
            round_, participant = round_for(tx, home, number), own_participant(tx, home, caller)
            if tx.submissions.sealed(round_, participant) is not None or round_.state is not RoundState.OPEN:
                return
            held = tx.submissions.held(round_, participant)
        require_open(round_, self._clock.now())
        _check_seal((len(held), _digest(held)), (count, digest), "held")

    @staticmethod
    def _seal(
        tx: Transaction,
        federation: Federation,
        round_: Round,
        participant: Participant,
        sealed: SealedSubmission,
        *,
        late: bool,
    ) -> SealedSubmission:
        if sealed.carried_from is not None:
            sealed = _carry(tx, federation, round_, participant, sealed)
        held = tx.submissions.held(round_, participant)
        _check_seal((len(held), _digest(held)), (sealed.count, sealed.digest), "held")
        tx.submissions.seal(round_, participant, sealed, late=late)
        if late:
            return sealed
        attended = round_for(tx, federation, round_.number)  # again, for its attendance has changed
        tx.events.add(attended, EventKind.SEALED, sealed.sealed_at)
        settle(tx, attended, sealed.sealed_at)
        return sealed


def require_unsealed(
    tx: Transaction, round_: Round, participant: Participant, so: str = "nothing more is taken"
) -> None:
    """Raise SubmissionSealed. so: what follows from the seal."""
    if is_sealed(tx, round_, participant):
        raise SubmissionSealed(f"The submission to round {round_.number} is sealed; {so}.")


def is_sealed(tx: Transaction, round_: Round, participant: Participant) -> bool:
    """Whether the participant sealed a submission to the round, in time or late."""
    return any(tx.submissions.sealed(round_, participant, late=late) is not None for late in (False, True))


def require_taking(tx: Transaction, federation: Federation, round_: Round, now: datetime) -> None:
    """Raise RoundNotOpen unless the round takes submissions, its own or late ones for the next."""
    if not takes_late(tx, federation, round_):
        require_open(round_, now)


def _require_earlier(taught_through: int, number: int) -> None:
    """Raise ValidationFailed where a model is said to know labels that are not out yet."""
    if taught_through >= number:
        raise ValidationFailed(
            f"taught_through is {taught_through} and this is round {number}: labels of that round could not be taught yet.",
            [Fault("taught_through", f"must be below {number}.")],
            remedy="State the newest round whose labels the model was trained on, 0 for none.",
        )


def _carry(
    tx: Transaction, federation: Federation, round_: Round, participant: Participant, sealed: SealedSubmission
) -> SealedSubmission:
    """The seal with what its answers were taught, and where they were given; they are copied unless the participant sent answers."""
    earlier = sealed.carried_from is not None and sealed.carried_from < round_.number
    source = tx.rounds.get(federation, sealed.carried_from or 0) if earlier else None
    before = None if source is None else tx.submissions.sealed(source, participant)
    if source is None or before is None:
        raise SealMismatch(
            f"Nothing of round {sealed.carried_from} can stand for round {round_.number}: {participant.name} sealed no "
            "submission there."
        )
    _check_seal((before.count, before.digest), (sealed.count, sealed.digest), f"sealed in round {source.number}")
    if not tx.submissions.count(round_, participant):
        tx.submissions.carry(source, round_, participant)
    given_in = before.carried_from or source.number
    return replace(sealed, taught_through=before.taught_through, carried_from=given_in)


def require_training_rights(federation: Federation, *, stated: bool) -> None:
    """Raise TrainingRightsMissing where the federation wants a statement that was not made."""
    if federation.terms.requires_training_rights and not stated:
        raise TrainingRightsMissing(f"{federation.name} takes only answers that others may train on.")


def require_open(round_: Round, now: datetime) -> None:
    """Raise RoundNotOpen unless the round takes submissions."""
    in_time = round_.deadline is None or now < round_.deadline
    if round_.state is not RoundState.OPEN or not in_time:
        state = round_.state if in_time else "past its deadline"
        raise RoundNotOpen(f"Round {round_.number} is {state}; it takes answers only while it is open.")


def own_participant(tx: Transaction, federation: Federation, caller: Caller, *, lock: bool = False) -> Participant:
    """The caller's own participant, as it is now; locked, its token holds until the end of the transaction."""
    if caller.participant is None:
        raise Forbidden("Only a participant has a submission.")
    participant = participant_for(tx, federation, caller.participant.name, lock=lock)
    if lock:
        # Once more: the lock may have waited for the end of the token.
        require_valid(tx, caller, federation, lock=True)
    return participant


def _keep(
    tx: Transaction,
    round_: Round,
    participant: Participant,
    given: Sequence[tuple[Answer, str]],
    held: Mapping[AnswerKey, str],
) -> SubmissionReceipt:
    fresh = {(answer.prompt_id, answer.sample): (answer, digest) for answer, digest in given}
    changed = {key: entry for key, entry in fresh.items() if held.get(key) != entry[1]}
    replaced = [key for key in changed if key in held]
    tx.submissions.remove(round_, participant, replaced)
    tx.submissions.add(round_, participant, list(changed.values()))
    return SubmissionReceipt(
        stored=len(changed) - len(replaced),
        unchanged=len(given) - len(changed),
        replaced=len(replaced),
        held=tx.submissions.count(round_, participant),
    )


def _digest(held: Mapping[AnswerKey, str]) -> str:
    return submission_digest((*key, digest) for key, digest in held.items())


def _check_seal(ours: tuple[int, str], theirs: tuple[int, str], word: str) -> None:
    if ours == theirs:
        return
    if ours[0] != theirs[0]:
        raise SealMismatch(f"{ours[0]} answers are {word} here, the seal counts {theirs[0]}.")
    raise SealMismatch(
        f"{ours[0]} answers are {word} here, as the seal counts, but with other contents: "
        f"digest {ours[1]} here, {theirs[1]} in the seal."
    )
