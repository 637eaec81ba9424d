"""How far participants are trusted, round by round."""

from collections import Counter
from dataclasses import replace

from consensus_server.core.reliability import Reliability
from consensus_server.ports import Clock, Store
from consensus_server.service.access import Caller
from consensus_server.service.published import fates_of, may_see, published_labels


class Reliabilities:
    """What published rounds found of their participants."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def of_round(self, caller: Caller, federation: str, number: int) -> tuple[Reliability, ...]:
        """By participant's name: all for operators, its own for a participant.

        Empty where the policy decides each pool by itself. Raises as `published_labels`.
        """
        round_ = published_labels(self._store, self._clock, caller, federation, number)
        with self._store.reading() as tx:
            rows = [row for row in tx.reliabilities.of(round_) if may_see(caller, row.participant)]
            refused = Counter(fate.participant for fate in fates_of(tx, round_) if fate.gate is not None)
        return tuple(replace(row, refused=refused[row.participant]) for row in rows)
