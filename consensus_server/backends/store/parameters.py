"""Files of the parameter path in SQL."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, and_, delete, insert, select

from consensus_server.backends.store.schema import aggregates, participants, seals, updates
from consensus_server.core.federations import Participant
from consensus_server.core.rounds import Round
from consensus_server.ports import AggregateFile, UpdateFile


class SqlParameters:
    """`ports.ParameterStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def held(self, round_: Round, participant: Participant) -> str | None:
        query = select(updates.c.digest).where(
            updates.c.round_id == round_.id, updates.c.participant_id == participant.id
        )
        digest: str | None = self._connection.scalar(query)
        return digest

    def keep(self, round_: Round, participant: Participant, file: UpdateFile) -> None:
        self.remove(round_, participant)
        row = {"digest": file.digest, "rank": file.rank, "examples": file.examples, "file": file.content}
        self._connection.execute(insert(updates).values(round_id=round_.id, participant_id=participant.id, **row))

    def remove(self, round_: Round, participant: Participant) -> None:
        key = and_(updates.c.round_id == round_.id, updates.c.participant_id == participant.id)
        self._connection.execute(delete(updates).where(key))

    def sealed(self, round_: Round) -> Iterator[UpdateFile]:
        query = (
            select(participants.c.name, updates.c.digest, updates.c.rank, updates.c.examples, updates.c.file)
            .join_from(updates, participants, updates.c.participant_id == participants.c.id)
            .join(seals, and_(seals.c.round_id == updates.c.round_id, seals.c.participant_id == participants.c.id))
            .where(updates.c.round_id == round_.id)
            .order_by(participants.c.name)
        )
        for name, digest, rank, examples, content in self._connection.execute(query):
            yield UpdateFile(participant=name, digest=digest, rank=rank, examples=examples, content=content)

    def publish(self, round_: Round, files: Iterable[AggregateFile]) -> None:
        for file in files:
            row = {"recipient": file.recipient, "digest": file.digest, "file": file.content}
            self._connection.execute(insert(aggregates).values(round_id=round_.id, **row))

    def aggregate(self, round_: Round, recipient: str) -> AggregateFile | None:
        query = (
            select(aggregates.c.recipient, aggregates.c.digest, aggregates.c.file)
            .where(aggregates.c.round_id == round_.id, aggregates.c.recipient.in_(("", recipient)))
            .order_by(aggregates.c.recipient.desc())
        )
        row = self._connection.execute(query).first()
        return None if row is None else AggregateFile(row.recipient, row.digest, row.file)
