"""Tokens, operators of the server and invitations in SQL."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, case, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from client_kit.vocabulary import Role, Scope
from consensus_server.backends.store.federations import participant_in
from consensus_server.backends.store.schema import federations, invitations, operators, participants, tokens
from consensus_server.core.errors import AlreadyExists
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.tokens import Grant, Invitation, Operator, Token


class SqlOperators:
    """`ports.OperatorStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, name: str, *, at: datetime) -> Operator:
        row = {"name": name, "created_at": at}
        try:
            key = self._connection.scalars(insert(operators).returning(operators.c.id), row).one()
        except IntegrityError:
            raise AlreadyExists(f"The server has an operator {name} already.") from None
        return Operator(key, name, at)

    def all(self) -> tuple[Operator, ...]:
        return tuple(Operator(*row) for row in self._connection.execute(select(operators).order_by(operators.c.name)))

    def get(self, name: str, *, lock: bool = False) -> Operator | None:
        query = select(operators).where(operators.c.name == name)
        row = self._connection.execute(query.with_for_update() if lock else query).one_or_none()
        return None if row is None else Operator(*row)

    def remove(self, operator: Operator) -> None:
        self._connection.execute(delete(tokens).where(tokens.c.operator_id == operator.id))
        self._connection.execute(delete(operators).where(operators.c.id == operator.id))


class SqlTokens:
    """`ports.TokenStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, token: Token) -> None:
        of_participant = isinstance(token.holder, Participant)
        row = {
            "digest": token.digest,
            "participant_id": token.holder.id if of_participant else None,
            "operator_id": None if of_participant else token.holder.id,
            "scopes": _written(token.scopes),
            "created_at": token.created_at,
            "expires_at": token.expires_at,
        }
        self._connection.execute(insert(tokens), row)

    def find(self, digest: str, *, lock: bool = False) -> Token | None:
        found = self._read(_tokens(lock=lock).where(tokens.c.digest == digest))
        return found[0] if found else None

    def of(self, holder: Participant | Operator) -> tuple[Token, ...]:
        column = tokens.c.participant_id if isinstance(holder, Participant) else tokens.c.operator_id
        return self._read(_tokens().where(column == holder.id).order_by(tokens.c.created_at, tokens.c.digest))

    def end(self, token: Token, *, at: datetime | None = None) -> bool:
        one = tokens.c.digest == token.digest
        if at is None:
            return self._connection.execute(delete(tokens).where(one)).rowcount > 0
        sooner = case((tokens.c.expires_at < at, tokens.c.expires_at), else_=at)
        replaced = update(tokens).where(one).values(expires_at=sooner, replaced=True)
        return self._connection.execute(replaced).rowcount > 0

    def used(self, digest: str, at: datetime) -> None:
        self._connection.execute(update(tokens).where(tokens.c.digest == digest).values(last_used_at=at))

    def _read(self, query: Select[Any]) -> tuple[Token, ...]:
        return tuple(_token(row) for row in self._connection.execute(query).mappings())


def _tokens(*, lock: bool = False) -> Select[Any]:
    query = (
        select(
            tokens, participants.c.id, participants.c.name, participants.c.role, participants.c.active, participants.c.certificates,
            participants.c.seen_at,
            participants.c.created_at.label("joined_at"), federations.c.name.label("federation"),
            operators.c.name.label("operator"), operators.c.created_at.label("named_at"),
        )
        .select_from(tokens)
        .outerjoin(participants, participants.c.id == tokens.c.participant_id)
        .outerjoin(federations, federations.c.id == participants.c.federation_id)
        .outerjoin(operators, operators.c.id == tokens.c.operator_id)
    )  # fmt: skip
    return query.with_for_update(read=True, of=tokens) if lock else query


def _token(row: RowMapping) -> Token:
    return Token(
        digest=row["digest"],
        holder=_holder(row),
        scopes=_scopes(row["scopes"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        replaced=row["replaced"],
    )


def _holder(row: RowMapping) -> Participant | Operator:
    if row["operator_id"] is not None:
        return Operator(row["operator_id"], row["operator"], row["named_at"])
    return participant_in({**row, "created_at": row["joined_at"]})


class SqlInvitations:
    """`ports.InvitationStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, federation: Federation, invitation: Invitation) -> None:
        row = {
            "digest": invitation.digest,
            "federation_id": federation.id,
            "role": invitation.role.value,
            "participant": invitation.participant,
            "scopes": _written(invitation.grant.scopes),
            "lifetime_seconds": invitation.grant.lifetime_seconds,
            "created_at": invitation.created_at,
            "expires_at": invitation.expires_at,
        }
        self._connection.execute(insert(invitations), row)

    def find(self, digest: str) -> Invitation | None:
        query = _invitations().where(invitations.c.digest == digest)
        row = self._connection.execute(query).mappings().one_or_none()
        return None if row is None else _invitation(row)

    def of(self, federation: Federation) -> tuple[Invitation, ...]:
        query = _invitations().where(invitations.c.federation_id == federation.id)
        rows = self._connection.execute(query.order_by(invitations.c.created_at, invitations.c.digest)).mappings()
        return tuple(_invitation(row) for row in rows)

    def used(self, invitation: Invitation, *, at: datetime, by: str) -> None:
        one = update(invitations).where(invitations.c.digest == invitation.digest)
        self._connection.execute(one.values(used_at=at, used_by=by))

    def remove(self, invitation: Invitation) -> None:
        self._connection.execute(delete(invitations).where(invitations.c.digest == invitation.digest))


def _invitations() -> Select[Any]:
    return select(invitations, federations.c.name.label("federation")).join(federations)


def _invitation(row: RowMapping) -> Invitation:
    return Invitation(
        digest=row["digest"],
        federation=row["federation"],
        role=Role(row["role"]),
        participant=row["participant"],
        grant=Grant(scopes=_scopes(row["scopes"]), lifetime_seconds=row["lifetime_seconds"]),
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        used_at=row["used_at"],
        used_by=row["used_by"],
    )


def _written(scopes: Iterable[Scope]) -> str:
    return " ".join(sorted(scopes))


def _scopes(written: str) -> frozenset[Scope]:
    return frozenset(Scope(each) for each in written.split())
