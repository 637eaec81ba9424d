"""Answers and seals in SQL."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, insert, select

from consensus_server.backends.store.chunks import chunks
from consensus_server.backends.store.json_columns import PRIVACY
from consensus_server.backends.store.schema import answers, participants, seals
from consensus_server.core.federations import Participant
from consensus_server.core.privacy import PrivacyStatement
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

    def seal(self, round_: Round, participant: Participant, sealed: SealedSubmission) -> None:
        row = {
            "round_id": round_.id,
            "participant_id": participant.id,
            "count": sealed.count,
            "digest": sealed.digest,
            "sealed_at": sealed.sealed_at,
            "privacy": None if sealed.privacy is None else PRIVACY.write(sealed.privacy),
        }
        self._connection.execute(insert(seals), row)

    def sealed(self, round_: Round, participant: Participant) -> SealedSubmission | None:
        own = and_(seals.c.round_id == round_.id, seals.c.participant_id == participant.id)
        columns = (seals.c.count, seals.c.digest, seals.c.sealed_at, seals.c.privacy)
        row = self._connection.execute(select(*columns).where(own)).one_or_none()
        if row is None:
            return None
        count, digest, sealed_at, privacy = row
        return SealedSubmission(count, digest, sealed_at, _statement(privacy))

    def stated(self, round_: Round) -> Mapping[str, PrivacyStatement | None]:
        query = (
            select(participants.c.name, seals.c.privacy)
            .join_from(seals, participants, participants.c.id == seals.c.participant_id)
            .where(seals.c.round_id == round_.id)
            .order_by(participants.c.name)
        )
        return {name: _statement(privacy) for name, privacy in self._connection.execute(query)}

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


def _statement(column: str | None) -> PrivacyStatement | None:
    return None if column is None else PRIVACY.read(column)


def _of(round_: Round, participant: Participant) -> ColumnElement[bool]:
    return and_(answers.c.round_id == round_.id, answers.c.participant_id == participant.id)
