"""Published rounds and their traffic in SQL."""

from collections.abc import Iterable

from sqlalchemy import Connection, and_, insert, select

from consensus_server.backends.store.engine import insert_unless_held
from consensus_server.backends.store.json_columns import CARD, CONTESTS, FATES, SIGNED
from consensus_server.backends.store.schema import (
    federations,
    labels,
    participants,
    round_cards,
    round_signatures,
    rounds,
    traffic,
)
from consensus_server.core.labels import AnswerFate, ParticipantTraffic, RoundCard
from consensus_server.core.rounds import Round
from consensus_server.core.signing import Signed
from consensus_server.ports import LabelRecord, TrafficCount


class SqlLabels:
    """`ports.LabelStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def publish(self, round_: Round, records: Iterable[LabelRecord], card: RoundCard) -> None:
        rows = [
            {
                "round_id": round_.id,
                "prompt_id": record.prompt_id,
                "line": record.line,
                "fates": FATES.write(record.fates),
                "contests": CONTESTS.write(record.contests) if record.contests else None,
            }
            for record in records
        ]
        if rows:
            self._connection.execute(insert(labels), rows)
        self._connection.execute(insert(round_cards), {"round_id": round_.id, "card": CARD.write(card)})

    def lines(self, round_: Round, *, after: str, limit: int) -> tuple[tuple[str, str], ...]:
        query = select(labels.c.prompt_id, labels.c.line).where(
            labels.c.round_id == round_.id, labels.c.prompt_id > after
        )
        rows = self._connection.execute(query.order_by(labels.c.prompt_id).limit(limit))
        return tuple((prompt_id, line) for prompt_id, line in rows)

    def get(self, round_: Round, prompt_id: str) -> LabelRecord | None:
        query = select(labels.c.line, labels.c.fates, labels.c.contests).where(
            labels.c.round_id == round_.id, labels.c.prompt_id == prompt_id
        )
        row = self._connection.execute(query).one_or_none()
        if row is None:
            return None
        contests = CONTESTS.read(row.contests) if row.contests else ()
        return LabelRecord(prompt_id, row.line, FATES.read(row.fates), contests)

    def fates(self, round_: Round, *, after: str, limit: int) -> tuple[tuple[str, tuple[AnswerFate, ...]], ...]:
        query = select(labels.c.prompt_id, labels.c.fates).where(
            labels.c.round_id == round_.id, labels.c.prompt_id > after
        )
        rows = self._connection.execute(query.order_by(labels.c.prompt_id).limit(limit))
        return tuple((prompt_id, FATES.read(fates)) for prompt_id, fates in rows)

    def card(self, round_: Round) -> RoundCard | None:
        text = self._connection.scalar(select(round_cards.c.card).where(round_cards.c.round_id == round_.id))
        return None if text is None else CARD.read(text)

    def sign(self, round_: Round, signed: Signed) -> None:
        self._connection.execute(insert(round_signatures), {"round_id": round_.id, "signed": SIGNED.write(signed)})

    def signature(self, round_: Round) -> Signed | None:
        kept = select(round_signatures.c.signed).where(round_signatures.c.round_id == round_.id)
        text = self._connection.scalar(kept)
        return None if text is None else SIGNED.read(text)


class SqlTraffic:
    """`ports.TrafficStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, counts: Iterable[TrafficCount]) -> None:
        # In one order, so that two writers never wait for each other.
        for count in sorted(counts, key=lambda each: (each.federation, each.number, each.participant)):
            self._add(count)

    def _add(self, count: TrafficCount) -> None:
        known = select(rounds.c.id, participants.c.id).where(
            federations.c.name == count.federation,
            rounds.c.federation_id == federations.c.id,
            rounds.c.number == count.number,
            participants.c.federation_id == federations.c.id,
            participants.c.name == count.participant,
        )
        key = self._connection.execute(known).one_or_none()
        if key is None:
            return
        row = insert_unless_held(self._connection, traffic).values(
            round_id=key[0], participant_id=key[1], received_bytes=count.received_bytes, sent_bytes=count.sent_bytes
        )
        grown = {
            "received_bytes": traffic.c.received_bytes + row.excluded.received_bytes,
            "sent_bytes": traffic.c.sent_bytes + row.excluded.sent_bytes,
        }
        self._connection.execute(row.on_conflict_do_update(index_elements=list(traffic.primary_key), set_=grown))

    def of(self, round_: Round) -> tuple[ParticipantTraffic, ...]:
        query = (
            select(participants.c.name, traffic.c.received_bytes, traffic.c.sent_bytes)
            .join_from(traffic, participants, and_(traffic.c.participant_id == participants.c.id))
            .where(traffic.c.round_id == round_.id)
            .order_by(participants.c.name)
        )
        return tuple(ParticipantTraffic(*row) for row in self._connection.execute(query))
