"""Rounds that end of themselves: looked at on every access and by the worker, so that no timer is needed."""

from dataclasses import replace
from datetime import datetime

from client_kit.vocabulary import EventKind, Role, RoundState
from consensus_server.core.errors import UnknownRound
from consensus_server.core.federations import Federation
from consensus_server.core.lifecycle import Ending, check_transition, ending_of_itself
from consensus_server.core.rounds import Round
from consensus_server.ports import Clock, Store, Transaction
from consensus_server.service.access import MEMBERS, Caller, federation_for
from consensus_server.service.audit import SERVER, noted_round
from consensus_server.service.late import hand_over

MAX_NUMBER = 2**31 - 1
"""Beyond this a database has no number for a round."""

_EVENTS = {
    RoundState.DRAFT: EventKind.CREATED,
    RoundState.OPEN: EventKind.OPENED,
    RoundState.CLOSED: EventKind.CLOSED,
    RoundState.AGGREGATING: EventKind.AGGREGATING,
    RoundState.PUBLISHED: EventKind.PUBLISHED,
    RoundState.FAILED: EventKind.FAILED,
}


def round_for(tx: Transaction, federation: Federation, number: int, *, lock: bool = False) -> Round:
    """The round as it is stored. Raises UnknownRound."""
    round_ = tx.rounds.get(federation, number, lock=lock) if 0 < number <= MAX_NUMBER else None
    if round_ is None:
        raise UnknownRound(f"Federation {federation.name} has no round {number}.")
    return round_


def current_round(
    store: Store, clock: Clock, caller: Caller, federation: str, number: int, *, roles: frozenset[Role] = MEMBERS
) -> Round:
    """The round, ended first if its time has come. Raises UnknownFederation, Forbidden, UnknownRound."""
    with store.reading() as tx:
        home = federation_for(tx, caller, federation, roles)
        round_ = round_for(tx, home, number)
    if _ending(round_, clock.now()) is None:
        return round_
    with store.writing() as tx:
        return settle(tx, round_for(tx, home, number, lock=True), clock.now())


def settle(tx: Transaction, round_: Round, now: datetime) -> Round:
    """End a locked round if its time has come; what came late to the one before is sealed in it first."""
    if _ending(round_, now) is None:
        return round_
    round_ = hand_over(tx, round_, now)
    ending = _ending(round_, now)
    return round_ if ending is None else end(tx, round_, ending, now)


def last_round(tx: Transaction, federation: Federation, *, lock: bool = False) -> Round | None:
    """The federation's last round, None before the first. No other can be open."""
    rounds = tx.rounds.of(federation)
    return round_for(tx, federation, rounds[-1].number, lock=lock) if rounds else None


def end(tx: Transaction, round_: Round, ending: Ending, now: datetime, by: Caller | str = SERVER) -> Round:
    """Take no more answers. by: who ends it, for the audit record. A round that is closed again after a failure keeps its first `closed_at`."""
    check_transition(round_.state, ending.state)
    ended = replace(round_, state=ending.state, failure=ending.failure, closed_at=round_.closed_at or now)
    return record(tx, ended, now, by)


def record(tx: Transaction, round_: Round, now: datetime, by: Caller | str = SERVER) -> Round:
    """Save a locked round in its new state, with the event that says so. by: who did it, for the audit record."""
    saved = tx.rounds.save(round_)
    tx.events.add(saved, _EVENTS[saved.state], now)
    noted_round(tx, by, saved, now)
    return saved


def _ending(round_: Round, now: datetime) -> Ending | None:
    if round_.state is not RoundState.OPEN or round_.deadline is None:
        return None
    return ending_of_itself(round_.attendance, deadline=round_.deadline, now=now)
