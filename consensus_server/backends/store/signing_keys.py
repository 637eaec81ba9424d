"""Signing keys of participants in SQL."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from consensus_server.backends.store.schema import participants, signing_keys
from consensus_server.core.errors import AlreadyExists
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.signing import SigningKey


class SqlSigningKeys:
    """`ports.SigningKeyStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, participant: Participant, key: str, *, at: datetime) -> None:
        try:
            row = {"participant_id": participant.id, "key": key, "registered_at": at}
            self._connection.execute(insert(signing_keys), row)
        except IntegrityError:
            raise AlreadyExists(f"{participant.name} had this key before, and it has ended.") from None

    def end(self, participant: Participant, *, at: datetime) -> None:
        signs = and_(signing_keys.c.participant_id == participant.id, signing_keys.c.ended_at.is_(None))
        self._connection.execute(update(signing_keys).where(signs).values(ended_at=at))

    def of(self, participant: Participant) -> tuple[SigningKey, ...]:
        query = (
            select(signing_keys.c.key, signing_keys.c.registered_at, signing_keys.c.ended_at)
            .where(signing_keys.c.participant_id == participant.id)
            .order_by(signing_keys.c.registered_at, signing_keys.c.key)
        )
        return tuple(SigningKey(*row) for row in self._connection.execute(query))

    def current(self, federation: Federation) -> Mapping[str, str]:
        query = (
            select(participants.c.name, signing_keys.c.key)
            .join_from(signing_keys, participants)
            .where(participants.c.federation_id == federation.id, signing_keys.c.ended_at.is_(None))
            .order_by(participants.c.name)
        )
        return {row.name: row.key for row in self._connection.execute(query)}
