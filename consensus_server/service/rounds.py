"""Rounds, from draft to closed; aggregation takes them from there."""

from dataclasses import replace
from datetime import datetime

from client_kit.vocabulary import EventKind, RoundState
from consensus_server.core.errors import InvalidTransition, RoundInProgress, UnknownRule
from consensus_server.core.federations import Federation
from consensus_server.core.lifecycle import (
    Ending,
    check_round_seconds,
    check_transition,
    deadline_of,
    ending_by_operator,
    is_over,
)
from consensus_server.core.rounds import Event, Round
from consensus_server.ports import Clock, Store, Transaction
from consensus_server.service.access import OPERATORS, SERVER_OPERATOR, Caller, federation_for
from consensus_server.service.contradictions import BY_WORDS, Comparisons, contradictions_changed
from consensus_server.service.late import hand_over
from consensus_server.service.refusals import refusals_changed
from consensus_server.service.settling import current_round, end, last_round, record, round_for, settle

NEW_FEDERATION = (
    "Create a federation of another name with the same prompt set, and add its participants; they need new tokens."
)


class Rounds:
    """The rounds of federations. Operators change them; every member reads them."""

    def __init__(self, store: Store, clock: Clock, comparisons: Comparisons = BY_WORDS) -> None:
        self._store = store
        self._clock = clock
        self._comparisons = comparisons

    def create(
        self, caller: Caller, federation: str, *, open_now: bool = True, round_seconds: float | None = None
    ) -> Round:
        """The next round, open or as a draft.

        round_seconds: time from opening to deadline; None: the federation's. Raises UnknownFederation, Forbidden,
        ValidationFailed, UnknownRule for a federation whose rounds no version decides any more, and RoundInProgress while
        the last round is neither published nor failed.
        """
        if round_seconds is not None:
            check_round_seconds(round_seconds)
        now = self._clock.now()
        changed = self._changed(caller, federation)
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            _require_decidable(home, changed)
            _require_last_is_over(tx, home, now)
            seconds = home.terms.round_seconds if round_seconds is None else round_seconds
            created = record(tx, tx.rounds.add(home, round_seconds=seconds), now, caller)
            return _open(tx, created, now, caller) if open_now else created

    def all(self, caller: Caller, federation: str) -> tuple[Round, ...]:
        """Oldest first. Raises UnknownFederation."""
        with self._store.reading() as tx:
            rounds = tx.rounds.of(federation_for(tx, caller, federation))
        return (*rounds[:-1], self.get(caller, federation, rounds[-1].number)) if rounds else ()

    def last_number(self, caller: Caller, federation: str) -> int:
        """Number of the newest round, 0 before the first. Raises UnknownFederation."""
        with self._store.reading() as tx:
            return tx.rounds.last_number(federation_for(tx, caller, federation))

    def get(self, caller: Caller, federation: str, number: int) -> Round:
        """Raises UnknownFederation, UnknownRound."""
        return current_round(self._store, self._clock, caller, federation, number)

    def open(self, caller: Caller, federation: str, number: int) -> Round:
        """Open a draft: its deadline runs from now.

        Raises UnknownFederation, Forbidden, UnknownRound, InvalidTransition, and UnknownRule as `create` does.
        """
        changed = self._changed(caller, federation)
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            _require_decidable(home, changed)
            round_ = round_for(tx, home, number, lock=True)
            return _open(tx, round_, self._clock.now(), caller)

    def close(self, caller: Caller, federation: str, number: int) -> Round:
        """Take no more answers and aggregate, even without the quorum; or aggregate a failed round again.

        An open round in which nobody has sealed fails. Raises UnknownFederation, Forbidden, UnknownRound, and
        InvalidTransition for any other state, for a failed round without a sealed submission, and for one that is
        not the federation's last; UnknownRule for a failed one that no version decides any more.
        """
        now = self._clock.now()
        changed = self._changed(caller, federation)
        with self._store.writing() as tx:
            home = federation_for(tx, caller, federation, OPERATORS, lock=True)
            round_ = round_for(tx, home, number, lock=True)
            if round_.state is RoundState.FAILED:
                _require_decidable(home, changed)
                _require_repeatable(tx, home, round_)
                return end(tx, round_, Ending(RoundState.CLOSED), now, caller)
            round_ = hand_over(tx, round_, now)
            return end(tx, round_, ending_by_operator(round_.attendance), now, caller)

    def events_after(self, caller: Caller, federation: str, number: int, event_id: int = 0) -> tuple[Event, ...]:
        """What happened to a round after the event with this id (0: from the start). Raises UnknownFederation, UnknownRound."""
        round_ = self.get(caller, federation, number)
        with self._store.reading() as tx:
            events = tx.events.after(round_, event_id)
            card = tx.labels.card(round_) if any(event.kind is EventKind.PUBLISHED for event in events) else None
        alarms = () if card is None else card.alarms
        return tuple(replace(event, alarms=alarms) if event.kind is EventKind.PUBLISHED else event for event in events)

    def settle_all(self) -> None:
        """End every open round whose time has come. For the worker, so that deadlines pass without anybody asking."""
        with self._store.reading() as tx:
            open_rounds = tx.rounds.open_rounds()
        for federation, number in open_rounds:
            current_round(self._store, self._clock, SERVER_OPERATOR, federation, number)

    def count_by_state(self) -> dict[str, int]:
        """Number of rounds on the server by state. For metrics."""
        with self._store.reading() as tx:
            return {state.value: count for state, count in tx.rounds.count_by_state().items()}

    def _changed(self, caller: Caller, federation: str) -> str | None:
        """Why answers cannot be compared as agreed. Asked before anything is locked: a model's files may have to be found and read."""
        with self._store.reading() as tx:
            home = federation_for(tx, caller, federation, OPERATORS)
        return contradictions_changed(home, self._comparisons)


def _open(tx: Transaction, round_: Round, now: datetime, by: Caller) -> Round:
    check_transition(round_.state, RoundState.OPEN)
    deadline = deadline_of(now, round_.round_seconds)
    return record(tx, replace(round_, state=RoundState.OPEN, opened_at=now, deadline=deadline), now, by)


def _require_last_is_over(tx: Transaction, federation: Federation, now: datetime) -> None:
    last = last_round(tx, federation, lock=True)
    if last is not None and not is_over((last := settle(tx, last, now)).state):
        raise RoundInProgress(
            f"Round {last.number} is {last.state}; the next can begin once it is published or failed."
        )


def _require_decidable(federation: Federation, changed: str | None) -> None:
    """changed: why its answers cannot be compared as agreed."""
    if why := federation.undecidable or changed or refusals_changed(federation):
        raise UnknownRule(why, remedy=NEW_FEDERATION)


def _require_repeatable(tx: Transaction, federation: Federation, round_: Round) -> None:
    if not round_.attendance.sealed:
        raise InvalidTransition(f"Nobody sealed a submission in round {round_.number}: create the next round instead.")
    last = last_round(tx, federation)
    if last is None or last.number != round_.number:
        raise InvalidTransition(f"Round {round_.number} is not the last of its federation any more; it stays failed.")
