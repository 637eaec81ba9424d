"""Prompt sets, federations and participants in SQL."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from client_kit.vocabulary import Role
from consensus_server.backends.store.chunks import chunks
from consensus_server.backends.store.json_columns import MANIFEST, TERMS
from consensus_server.backends.store.schema import federations, participants, prompt_sets, prompts
from consensus_server.core.errors import AlreadyExists
from consensus_server.core.federations import Federation, Manifest, Participant, Prompt, Terms


class SqlPromptSets:
    """`ports.PromptSetStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, manifest: Manifest, prompts_: Sequence[Prompt]) -> None:
        row = {
            "digest": manifest.digest,
            "name": manifest.name,
            "version": manifest.version,
            "manifest": MANIFEST.write(manifest),
        }
        try:
            self._connection.execute(insert(prompt_sets), row)
        except IntegrityError:
            raise AlreadyExists(f"The prompt set {manifest.digest} is held already.") from None
        rows = [{"prompt_set": manifest.digest, **asdict(prompt)} for prompt in prompts_]
        if rows:
            self._connection.execute(insert(prompts), rows)

    def manifests(self) -> tuple[Manifest, ...]:
        order = (prompt_sets.c.name, prompt_sets.c.version, prompt_sets.c.digest)
        rows = self._connection.scalars(select(prompt_sets.c.manifest).order_by(*order))
        return tuple(MANIFEST.read(row) for row in rows)

    def manifest(self, digest: str) -> Manifest | None:
        row = self._connection.scalar(select(prompt_sets.c.manifest).where(prompt_sets.c.digest == digest))
        return None if row is None else MANIFEST.read(row)

    def prompts(self, digest: str) -> tuple[Prompt, ...]:
        columns = (prompts.c.prompt_id, prompts.c.prompt, prompts.c.topic, prompts.c.equivalence, prompts.c.question)
        query = select(*columns).where(prompts.c.prompt_set == digest).order_by(prompts.c.prompt_id)
        return tuple(Prompt(*row) for row in self._connection.execute(query))

    def known(self, digest: str, prompt_ids: Collection[str]) -> frozenset[str]:
        query = select(prompts.c.prompt_id).where(prompts.c.prompt_set == digest)
        return frozenset(
            prompt_id
            for chunk in chunks(prompt_ids)
            for prompt_id in self._connection.scalars(query.where(prompts.c.prompt_id.in_(chunk)))
        )


class SqlFederations:
    """`ports.FederationStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, terms: Terms, *, encoder: str, at: datetime) -> Federation:
        row = {
            "name": terms.name,
            "prompt_set": terms.prompt_set,
            "terms": TERMS.write(terms),
            "encoder": encoder,
            "created_at": at,
        }
        try:
            key = self._connection.scalars(insert(federations).returning(federations.c.id), row).one()
        except IntegrityError:
            raise AlreadyExists(f"There is a federation {terms.name} already.") from None
        return Federation(id=key, terms=terms, encoder=encoder, created_at=at)

    def all(self) -> tuple[Federation, ...]:
        rows = self._connection.execute(select(federations).order_by(federations.c.name))
        return tuple(_federation(row) for row in rows.mappings())

    def get(self, name: str, *, lock: bool = False) -> Federation | None:
        query = select(federations).where(federations.c.name == name)
        row = (
            self._connection.execute(query.with_for_update(key_share=True) if lock else query).mappings().one_or_none()
        )
        return None if row is None else _federation(row)


def _federation(row: RowMapping) -> Federation:
    return Federation(
        id=row["id"], terms=TERMS.read(row["terms"]), encoder=row["encoder"], created_at=row["created_at"]
    )


class SqlParticipants:
    """`ports.ParticipantStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, federation: Federation, name: str, role: Role, *, token_hash: str, at: datetime) -> Participant:
        row = {
            "federation_id": federation.id,
            "name": name,
            "role": role.value,
            "active": True,
            "token_hash": token_hash,
            "created_at": at,
        }
        try:
            key = self._connection.scalars(insert(participants).returning(participants.c.id), row).one()
        except IntegrityError:
            raise AlreadyExists(f"Federation {federation.name} has a participant {name} already.") from None
        return Participant(id=key, federation=federation.name, name=name, role=role, active=True, created_at=at)

    def of(self, federation: Federation) -> tuple[Participant, ...]:
        query = _participants().where(participants.c.federation_id == federation.id).order_by(participants.c.name)
        return tuple(participant_in(row) for row in self._connection.execute(query).mappings())

    def get(self, federation: Federation, name: str, *, lock: bool = False) -> Participant | None:
        query = _participants().where(participants.c.federation_id == federation.id, participants.c.name == name)
        return self._one(query.with_for_update(of=participants, key_share=True) if lock else query)

    def set_active(self, participant: Participant, *, active: bool) -> None:
        self._connection.execute(update(participants).where(participants.c.id == participant.id).values(active=active))

    def set_certificates(self, participant: Participant, fingerprints: Collection[str]) -> None:
        written = " ".join(sorted(fingerprints)) or None
        one = participants.c.id == participant.id
        self._connection.execute(update(participants).where(one).values(certificates=written))

    def seen(self, at: Mapping[int, datetime]) -> None:
        for key, moment in sorted(at.items()):  # in one order, so that two servers do not wait for each other
            newer = or_(participants.c.seen_at.is_(None), participants.c.seen_at < moment)
            self._connection.execute(update(participants).where(participants.c.id == key, newer).values(seen_at=moment))

    def last_seen(self) -> tuple[datetime | None, ...]:
        taking_part = and_(participants.c.active, participants.c.role == Role.PARTICIPANT.value)
        return tuple(self._connection.scalars(select(participants.c.seen_at).where(taking_part)))

    def _one(self, query: Select[Any]) -> Participant | None:
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else participant_in(row)


def _participants() -> Select[Any]:
    return select(participants, federations.c.name.label("federation")).join(federations)


def participant_in(row: Mapping[Any, Any]) -> Participant:
    """The participant of a row that has the columns of its table, and `federation` for the name of its federation."""
    return Participant(
        id=row["id"],
        federation=row["federation"],
        name=row["name"],
        role=Role(row["role"]),
        active=row["active"],
        created_at=row["created_at"],
        certificates=frozenset((row["certificates"] or "").split()),
        seen_at=row["seen_at"],
    )
