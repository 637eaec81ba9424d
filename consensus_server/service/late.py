"""Late submissions: under `late: carry`, what is sealed between the end of a round and the opening of the next counts in that one.

Every round of a federation asks the same prompts. The round that ended never sees late answers, not even when it failed and is
closed again. A participant that seals others in the next round has its late ones passed over.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from client_kit.vocabulary import EventKind, RoundState
from consensus_server.core.federations import Federation
from consensus_server.core.rounds import Round
from consensus_server.ports import Transaction

CARRY: Final = "carry"
"""The value of `Terms.late` under which late submissions are kept."""


def takes_late(tx: Transaction, federation: Federation, round_: Round) -> bool:
    """Whether a round that has ended still takes answers, for the next one: until that opens, where the federation agreed so."""
    if federation.terms.late != CARRY or round_.state in {RoundState.DRAFT, RoundState.OPEN}:
        return False
    later = (each for each in tx.rounds.of(federation) if each.number > round_.number)
    return all(each.state is RoundState.DRAFT for each in later)


def hand_over(tx: Transaction, round_: Round, now: datetime) -> Round:
    """Seal in a locked open round, before it ends, what came late to the one before; the round with its attendance since."""
    home = tx.federations.get(round_.federation)
    before = tx.rounds.get(home, round_.number - 1) if home is not None and home.terms.late == CARRY else None
    if home is None or before is None or round_.state is not RoundState.OPEN:
        return round_
    late = tx.submissions.seals(before, late=True)
    for found in sorted(tx.participants.of(home), key=lambda each: each.id):  # in one order: no deadlock
        participant = tx.participants.get(home, found.name, lock=True) if found.active and found.name in late else None
        if participant is None or tx.submissions.sealed(round_, participant):
            continue
        tx.submissions.remove(round_, participant, tx.submissions.held(round_, participant))  # not sealed: of no round
        tx.submissions.carry(before, round_, participant)
        # What was signed is a seal of the round before: of this one it says nothing.
        tx.submissions.seal(round_, participant, replace(late[found.name], signed=None))
        round_ = tx.rounds.get(home, round_.number) or round_  # its attendance has changed
        tx.events.add(round_, EventKind.SEALED, now)
    return round_
