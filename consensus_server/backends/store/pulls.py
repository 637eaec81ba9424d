"""Participants that the server itself asks, in SQL."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from client_kit.vocabulary import PullState, Role, RoundState
from consensus_server.backends.store.engine import insert_unless_held
from consensus_server.backends.store.json_columns import ENDPOINT, PULL
from consensus_server.backends.store.schema import answers, endpoints, federations, participants, pulls, rounds, seals
from consensus_server.core.federations import Participant
from consensus_server.core.pulling import Endpoint, Pull, PullClaim, PullStatus
from consensus_server.core.rounds import Round


class SqlPulls:
    """`ports.PullStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def set_endpoint(self, participant: Participant, endpoint: Endpoint | None) -> None:
        self._connection.execute(delete(endpoints).where(endpoints.c.participant_id == participant.id))
        if endpoint is not None:
            row = {"participant_id": participant.id, "endpoint": ENDPOINT.write(endpoint)}
            self._connection.execute(insert(endpoints), row)

    def endpoint(self, participant: Participant) -> Endpoint | None:
        query = select(endpoints.c.endpoint).where(endpoints.c.participant_id == participant.id)
        text = self._connection.scalar(query)
        return None if text is None else ENDPOINT.read(text)

    def claim(self, lease: str, *, now: datetime, until: datetime) -> PullClaim | None:
        for row in self._connection.execute(_to_be_asked(now)).mappings().all():
            endpoint = ENDPOINT.read(row["endpoint"])
            self._begin(row, endpoint, now)
            key = and_(pulls.c.round_id == row["round_id"], pulls.c.participant_id == row["participant_id"])
            # The condition once more: of two that found the same participant, the second finds it taken.
            statement = update(pulls).where(key, ~pulls.c.finished, pulls.c.lease_until <= now)
            taken = {"lease": lease, "lease_until": until, "upstream": endpoint.upstream, "attempts": endpoint.attempts}
            kept = self._connection.scalar(statement.values(taken).returning(pulls.c.pull))
            if kept is not None:
                return PullClaim(row["federation"], row["number"], row["participant"], endpoint, lease, PULL.read(kept))
        return None

    def _begin(self, row: RowMapping, endpoint: Endpoint, now: datetime) -> None:
        fresh = {
            "round_id": row["round_id"],
            "participant_id": row["participant_id"],
            "upstream": endpoint.upstream,
            "attempts": endpoint.attempts,
            "finished": False,
            "pull": PULL.write(Pull()),
            "lease": None,
            "lease_until": now,
        }
        self._connection.execute(insert_unless_held(self._connection, pulls).on_conflict_do_nothing(), fresh)

    def renew(self, round_: Round, participant: Participant, lease: str, *, until: datetime) -> bool:
        held = and_(_key(round_, participant), pulls.c.lease == lease)
        return self._connection.execute(update(pulls).where(held).values(lease_until=until)).rowcount == 1

    def save(
        self, round_: Round, participant: Participant, lease: str, pull: Pull, *, next_try: datetime | None = None
    ) -> bool:
        values: dict[str, object] = {"pull": PULL.write(pull), "finished": pull.state is not PullState.ASKING}
        if next_try is not None:
            values |= {"lease": None, "lease_until": next_try}
        held = and_(_key(round_, participant), pulls.c.lease == lease)
        return self._connection.execute(update(pulls).where(held).values(values)).rowcount == 1

    def tokens(self, round_: Round, participant: Participant) -> int:
        held = and_(answers.c.round_id == round_.id, answers.c.participant_id == participant.id)
        return self._connection.scalars(select(_token_sum()).where(held)).one()

    def of(self, round_: Round) -> tuple[PullStatus, ...]:
        own = and_(answers.c.round_id == pulls.c.round_id, answers.c.participant_id == pulls.c.participant_id)
        query = (
            select(
                pulls,
                participants.c.name.label("participant"),
                _sealed().label("sealed"),
                select(func.count()).where(own).correlate(pulls).scalar_subquery().label("answered"),
                select(_token_sum()).where(own).correlate(pulls).scalar_subquery().label("tokens"),
            )
            .join_from(pulls, participants)
            .where(pulls.c.round_id == round_.id)
            .order_by(participants.c.name)
        )
        return tuple(_status(row) for row in self._connection.execute(query).mappings())


def _key(round_: Round, participant: Participant) -> ColumnElement[bool]:
    return and_(pulls.c.round_id == round_.id, pulls.c.participant_id == participant.id)


def _sealed() -> ColumnElement[bool]:
    own = and_(seals.c.round_id == pulls.c.round_id, seals.c.participant_id == pulls.c.participant_id)
    return exists().where(own).correlate(pulls)


def _token_sum() -> ColumnElement[int]:
    counted = func.coalesce(answers.c.prompt_tokens, 0) + func.coalesce(answers.c.completion_tokens, 0)
    return func.coalesce(func.sum(counted), 0)


def _to_be_asked(now: datetime) -> Select[Any]:
    """Of open rounds: active participants with an endpoint that have not sealed and are not asked now."""
    seal = exists().where(seals.c.round_id == rounds.c.id, seals.c.participant_id == participants.c.id)
    busy = exists().where(
        pulls.c.round_id == rounds.c.id,
        pulls.c.participant_id == participants.c.id,
        or_(pulls.c.finished, pulls.c.lease_until > now),
    )
    return (
        select(
            rounds.c.id.label("round_id"),
            rounds.c.number,
            federations.c.name.label("federation"),
            participants.c.id.label("participant_id"),
            participants.c.name.label("participant"),
            endpoints.c.endpoint,
        )
        .join_from(endpoints, participants)
        .join(federations, participants.c.federation_id == federations.c.id)
        .join(rounds, rounds.c.federation_id == federations.c.id)
        .where(
            rounds.c.state == RoundState.OPEN.value,
            participants.c.active,
            participants.c.role == Role.PARTICIPANT.value,
            ~seal.correlate(rounds, participants),
            ~busy.correlate(rounds, participants),
        )
        .order_by(rounds.c.id, participants.c.name)
    )


def _status(row: RowMapping) -> PullStatus:
    pull = PULL.read(row["pull"])
    # A seal counts whoever made it, and from the moment it stands.
    state = PullState.SEALED if row["sealed"] else pull.state
    waits = state is PullState.ASKING and row["lease"] is None
    return PullStatus(
        participant=row["participant"],
        upstream=row["upstream"],
        state=state,
        answered=row["answered"],
        given_up=sum(each.count >= row["attempts"] for each in pull.failures),
        tokens=row["tokens"],
        reason=pull.reason,
        next_try_at=row["lease_until"] if waits else None,
    )
