"""Bytes on the wire, by participant and round."""

from collections.abc import Iterable

from client_kit.vocabulary import Role
from consensus_server.core.labels import ParticipantTraffic
from consensus_server.ports import Store, TrafficCount
from consensus_server.service.access import READERS_OF_LABELS, Caller, federation_for
from consensus_server.service.settling import MAX_NUMBER, round_for


class Traffic:
    """Counters that only grow."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, counts: Iterable[TrafficCount]) -> None:
        """Add to what is counted. Counts for rounds or participants that do not exist are dropped."""
        with self._store.writing() as tx:
            tx.traffic.add(count for count in counts if 0 < count.number <= MAX_NUMBER)

    def of_round(self, caller: Caller, federation: str, number: int) -> tuple[ParticipantTraffic, ...]:
        """By participant's name: all for operators, its own for a participant.

        Raises UnknownFederation, Forbidden for observers, UnknownRound.
        """
        with self._store.reading() as tx:
            home = federation_for(tx, caller, federation, READERS_OF_LABELS)
            rows = tx.traffic.of(round_for(tx, home, number))
        if caller.role is Role.OPERATOR or caller.participant is None:
            return rows
        return tuple(row for row in rows if row.participant == caller.participant.name)
