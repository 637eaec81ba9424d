"""Erasure in SQL: what is deleted, what is withheld, and what is noted of it."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, and_, delete, select, update

from consensus_server.backends.store.chunks import chunks
from consensus_server.backends.store.engine import insert_unless_held
from consensus_server.backends.store.json_columns import CONTESTS
from consensus_server.backends.store.schema import (
    answers,
    appeals,
    embeddings,
    erasures,
    labels,
    late_seals,
    participants,
    rounds,
    seals,
    updates,
)
from consensus_server.core.erasures import ErasedRound
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.rounds import Round
from consensus_server.ports import LabelRecord, Said


class SqlErasures:
    """`ports.ErasureStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def forget(self, round_: Round, participant: Participant) -> list[Said]:
        gone = delete(answers).where(answers.c.round_id == round_.id, answers.c.participant_id == participant.id)
        said = [Said(*row) for row in self._connection.execute(gone.returning(answers.c.prompt_id, answers.c.digest))]
        own = and_(updates.c.round_id == round_.id, updates.c.participant_id == participant.id)
        self._connection.execute(delete(updates).where(own))
        own = and_(late_seals.c.round_id == round_.id, late_seals.c.participant_id == participant.id)
        self._connection.execute(delete(late_seals).where(own))
        own = and_(appeals.c.round_id == round_.id, appeals.c.participant_id == participant.id)
        self._connection.execute(update(appeals).where(own).values(text="", note=""))
        return said

    def still_said(self, federation: Federation, said: Collection[Said]) -> set[Said]:
        query = (
            select(answers.c.prompt_id, answers.c.digest)
            .join_from(answers, rounds)
            .where(rounds.c.federation_id == federation.id)
            .distinct()
        )
        found = (
            Said(*row)
            for chunk in chunks(sorted({each.digest for each in said}))
            for row in self._connection.execute(query.where(answers.c.digest.in_(chunk)))
        )
        return set(found) & set(said)

    def forget_vectors(self, digests: Collection[str]) -> None:
        used = select(answers.c.digest).where(answers.c.digest == embeddings.c.digest).exists()
        for chunk in chunks(sorted(digests)):
            self._connection.execute(delete(embeddings).where(embeddings.c.digest.in_(chunk), ~used))

    def rewrite(self, round_: Round, record: LabelRecord) -> None:
        key = and_(labels.c.round_id == round_.id, labels.c.prompt_id == record.prompt_id)
        contests = CONTESTS.write(record.contests) if record.contests else None
        self._connection.execute(update(labels).where(key).values(line=record.line, contests=contests))

    def note(self, round_: Round, participant: Participant, at: datetime, *, answers: int, labels: int) -> None:
        row = insert_unless_held(self._connection, erasures).values(
            round_id=round_.id, participant_id=participant.id, answers=answers, labels=labels, erased_at=at
        )
        grown = {
            "answers": erasures.c.answers + row.excluded.answers,
            "labels": erasures.c.labels + row.excluded.labels,
            "erased_at": row.excluded.erased_at,
        }
        self._connection.execute(row.on_conflict_do_update(index_elements=list(erasures.primary_key), set_=grown))

    def of(
        self, federation: Federation, *, participant: Participant | None = None, round_: Round | None = None
    ) -> tuple[ErasedRound, ...]:
        sealed = and_(seals.c.round_id == erasures.c.round_id, seals.c.participant_id == erasures.c.participant_id)
        query = (
            select(
                rounds.c.number.label("round"),
                participants.c.name.label("participant"),
                erasures.c.answers,
                erasures.c.labels,
                erasures.c.erased_at,
                seals.c.count,
                seals.c.digest,
            )
            .join_from(erasures, rounds, rounds.c.id == erasures.c.round_id)
            .join(participants, participants.c.id == erasures.c.participant_id)
            .outerjoin(seals, sealed)
            .where(rounds.c.federation_id == federation.id)
            .order_by(rounds.c.number, participants.c.name)
        )
        if participant is not None:
            query = query.where(erasures.c.participant_id == participant.id)
        if round_ is not None:
            query = query.where(erasures.c.round_id == round_.id)
        return tuple(ErasedRound(**row) for row in self._connection.execute(query).mappings())
