"""Answers and seals in SQL."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Table, and_, bindparam, delete, func, insert, literal, select

from consensus_server.backends.store.chunks import chunks
from consensus_server.backends.store.json_columns import PRIVACY, SIGNED
from consensus_server.backends.store.schema import answers, federations, late_seals, participants, rounds, seals
from consensus_server.core.federations import Participant
from consensus_server.core.rounds import Answer, AnswerKey, Round
from consensus_server.ports import PooledAnswer, SealedSubmission


class SqlSubmissions:
    """`ports.SubmissionStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def held(
        self, round_: Round, participant: Participant, prompt_ids: Collection[str] | None = None
    ) -> Mapping[AnswerKey, str]:
        key = (answers.c.prompt_id, answers.c.sample)
        query = select(*key, answers.c.digest).where(_of(round_, participant)).order_by(*key)
        if prompt_ids is None:
            queries = [query]
        else:
            queries = [query.where(answers.c.prompt_id.in_(chunk)) for chunk in chunks(sorted(prompt_ids))]
        rows = (row for each in queries for row in self._connection.execute(each))
        return {(prompt_id, sample): digest for prompt_id, sample, digest in rows}

    def count(self, round_: Round, participant: Participant) -> int:
        return self._connection.scalars(select(func.count()).where(_of(round_, participant))).one()

    def add(self, round_: Round, participant: Participant, new: Sequence[tuple[Answer, str]]) -> None:
        rows = [
            {
                "round_id": round_.id,
                "participant_id": participant.id,
                "prompt_id": answer.prompt_id,
                "sample": answer.sample,
                "digest": digest,
                "text": answer.text,
                "finish_reason": answer.finish_reason,
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
            }
            for answer, digest in new
        ]
        if rows:
            self._connection.execute(insert(answers), rows)

    def remove(self, round_: Round, participant: Participant, keys: Collection[AnswerKey]) -> None:
        statement = delete(answers).where(
            _of(round_, participant),
            answers.c.prompt_id == bindparam("of_prompt"),
            answers.c.sample == bindparam("of_sample"),
        )
        rows = [{"of_prompt": prompt_id, "of_sample": sample} for prompt_id, sample in keys]
        if rows:
            self._connection.execute(statement, rows)

    def seal(self, round_: Round, participant: Participant, sealed: SealedSubmission, *, late: bool = False) -> None:
        row = {
            "round_id": round_.id,
            "participant_id": participant.id,
            "count": sealed.count,
            "digest": sealed.digest,
            "sealed_at": sealed.sealed_at,
            "privacy": None if sealed.privacy is None else PRIVACY.write(sealed.privacy),
            "taught_through": sealed.taught_through,
            "carried_from": sealed.carried_from,
            "signed": None if sealed.signed is None else SIGNED.write(sealed.signed),
        }
        self._connection.execute(insert(late_seals if late else seals), row)

    def sealed(self, round_: Round, participant: Participant, *, late: bool = False) -> SealedSubmission | None:
        table = late_seals if late else seals
        own = and_(table.c.round_id == round_.id, table.c.participant_id == participant.id)
        row = self._connection.execute(select(*_sealed_in(table)).where(own)).one_or_none()
        return None if row is None else _sealed(*row)

    def seals(self, round_: Round, *, late: bool = False) -> Mapping[str, SealedSubmission]:
        table = late_seals if late else seals
        query = (
            select(participants.c.name, *_sealed_in(table))
            .join_from(table, participants, participants.c.id == table.c.participant_id)
            .where(table.c.round_id == round_.id)
            .order_by(participants.c.name)
        )
        return {name: _sealed(*row) for name, *row in self._connection.execute(query)}

    def carry(self, source: Round, round_: Round, participant: Participant) -> None:
        kept = [column for column in answers.c if column.name != "round_id"]
        copied = select(literal(round_.id), *kept).where(_of(source, participant))
        columns = ["round_id", *(column.name for column in kept)]
        self._connection.execute(insert(answers).from_select(columns, copied))

    def first_hand_before(self, round_: Round, participant: str) -> int | None:
        query = (
            select(func.max(rounds.c.number))
            .join_from(seals, rounds, rounds.c.id == seals.c.round_id)
            .join(participants, participants.c.id == seals.c.participant_id)
            .join(federations, federations.c.id == rounds.c.federation_id)
            .where(
                federations.c.name == round_.federation,
                rounds.c.number < round_.number,
                participants.c.name == participant,
                seals.c.taught_through == 0,
            )
        )
        newest: int | None = self._connection.scalar(query)
        return newest

    def pooled(self, round_: Round, prompt_id: str | None = None) -> Iterator[PooledAnswer]:
        sealed = and_(seals.c.round_id == answers.c.round_id, seals.c.participant_id == answers.c.participant_id)
        query = (
            select(answers.c.prompt_id, participants.c.name, answers.c.sample, answers.c.text, answers.c.digest)
            .join_from(answers, seals, sealed)
            .join(participants, participants.c.id == answers.c.participant_id)
            .where(answers.c.round_id == round_.id)
            .order_by(answers.c.prompt_id, participants.c.name, answers.c.sample)
        )
        if prompt_id is not None:
            query = query.where(answers.c.prompt_id == prompt_id)
        return (PooledAnswer(*row) for row in self._connection.execute(query))


def _sealed_in(table: Table) -> tuple[Column[Any], ...]:
    of = table.c
    return of.count, of.digest, of.sealed_at, of.privacy, of.taught_through, of.carried_from, of.signed


def _sealed(  # noqa: PLR0917 - the columns of `_sealed_in`
    count: int,
    digest: str,
    sealed_at: datetime,
    privacy: str | None,
    taught_through: int,
    carried_from: int | None,
    signed: str | None,
) -> SealedSubmission:
    statement = None if privacy is None else PRIVACY.read(privacy)
    by = None if signed is None else SIGNED.read(signed)
    return SealedSubmission(count, digest, sealed_at, statement, taught_through, carried_from, by)


def _of(round_: Round, participant: Participant) -> ColumnElement[bool]:
    return and_(answers.c.round_id == round_.id, answers.c.participant_id == participant.id)
