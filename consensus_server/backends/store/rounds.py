"""Rounds and their events in SQL."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from client_kit.vocabulary import EventKind, Role, RoundState
from consensus_server.backends.store.json_columns import PROGRESS, ROUND
from consensus_server.backends.store.schema import events, federations, participants, rounds, seals
from consensus_server.core.federations import Federation
from consensus_server.core.lifecycle import Attendance, RoundFailure
from consensus_server.core.rounds import Event, Round

_MAX_EVENT_ID = 2**31 - 1


class SqlRounds:
    """`ports.RoundStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, federation: Federation, *, round_seconds: float) -> Round:
        row = {
            "federation_id": federation.id,
            "number": self.last_number(federation) + 1,
            "state": RoundState.DRAFT.value,
            "round_seconds": round_seconds,
            "quorum": federation.terms.quorum,
        }
        key = self._connection.scalars(insert(rounds).returning(rounds.c.id), row).one()
        return self._read(key)

    def of(self, federation: Federation) -> tuple[Round, ...]:
        query = _rounds().where(rounds.c.federation_id == federation.id).order_by(rounds.c.number)
        return tuple(_round(row) for row in self._connection.execute(query).mappings())

    def last_number(self, federation: Federation) -> int:
        last = select(func.coalesce(func.max(rounds.c.number), 0)).where(rounds.c.federation_id == federation.id)
        number: int = self._connection.scalars(last).one()
        return number

    def get(self, federation: Federation, number: int, *, lock: bool = False) -> Round | None:
        query = select(rounds.c.id).where(rounds.c.federation_id == federation.id, rounds.c.number == number)
        # In two statements: one that waits for a lock counts the attendance of before the wait. The lock is the weaker
        # FOR NO KEY UPDATE: rows that refer to a locked one (answers, traffic) can still be inserted on PostgreSQL.
        key = self._connection.scalar(query.with_for_update(key_share=True) if lock else query)
        return None if key is None else self._read(key)

    def save(self, round_: Round) -> Round:
        values: dict[str, object] = {
            "state": round_.state.value,
            "opened_at": round_.opened_at,
            "deadline": round_.deadline,
            "closed_at": round_.closed_at,
            "published_at": round_.published_at,
            "failure_code": round_.failure.code if round_.failure else None,
            "failure_detail": round_.failure.detail if round_.failure else None,
            "labels": round_.labels,
            "progress": PROGRESS.write(round_.progress) if round_.progress else None,
        }
        if round_.state is not RoundState.AGGREGATING:
            values |= {"lease": None, "lease_until": None, "claims": 0, "progress": None}
        self._connection.execute(update(rounds).where(rounds.c.id == round_.id).values(values))
        return self._read(round_.id)

    def open_rounds(self) -> tuple[tuple[str, int], ...]:
        query = select(federations.c.name, rounds.c.number).join_from(rounds, federations)
        rows = self._connection.execute(query.where(rounds.c.state == RoundState.OPEN.value).order_by(rounds.c.id))
        return tuple((name, number) for name, number in rows)

    def claim(self, lease: str, *, now: datetime, until: datetime) -> Round | None:
        claimable = or_(
            rounds.c.state == RoundState.CLOSED.value,
            and_(rounds.c.state == RoundState.AGGREGATING.value, rounds.c.lease_until <= now),
        )
        oldest = select(rounds.c.id).where(claimable).order_by(rounds.c.closed_at, rounds.c.id).limit(1)
        # The condition stands outside once more: of two that found the same round, the second finds it taken.
        statement = update(rounds).where(rounds.c.id == oldest.scalar_subquery(), claimable)
        taken = {
            "state": RoundState.AGGREGATING.value,
            "lease": lease,
            "lease_until": until,
            "claims": rounds.c.claims + 1,
            "progress": None,
        }
        key = self._connection.scalar(statement.values(taken).returning(rounds.c.id))
        return None if key is None else self._read(key)

    def give_back(self, round_: Round, lease: str, *, now: datetime) -> bool:
        held = and_(rounds.c.id == round_.id, rounds.c.lease == lease)
        values = {"lease_until": now, "claims": rounds.c.claims - 1}
        return self._connection.execute(update(rounds).where(held).values(values)).rowcount == 1

    def renew(self, round_: Round, lease: str, *, until: datetime) -> bool:
        held = and_(rounds.c.id == round_.id, rounds.c.lease == lease)
        return self._connection.execute(update(rounds).where(held).values(lease_until=until)).rowcount == 1

    def count_by_state(self) -> Mapping[RoundState, int]:
        rows = self._connection.execute(select(rounds.c.state, func.count()).group_by(rounds.c.state))
        return dict.fromkeys(RoundState, 0) | {RoundState(state): count for state, count in rows}

    def _read(self, key: int) -> Round:
        return _round(self._connection.execute(_rounds().where(rounds.c.id == key)).mappings().one())


@cache
def _rounds() -> Select[Any]:
    """Rounds with their federation's name and their attendance, counted at the moment of reading.

    Built once: that takes longer than to run it.
    """
    # Correlated by name: left to itself, SQLAlchemy would look for a seal in any round.
    own = and_(seals.c.round_id == rounds.c.id, seals.c.participant_id == participants.c.id)
    seal = exists().where(own).correlate(rounds, participants)
    return select(
        rounds,
        federations.c.name.label("federation"),
        _active().label("active"),
        _active(~seal).label("awaited"),
        select(func.count()).where(seals.c.round_id == rounds.c.id).scalar_subquery().label("sealed"),
    ).join_from(rounds, federations)


def _active(*more: ColumnElement[bool]) -> Any:  # noqa: ANN401 - the type of a scalar subquery has no name
    counted = select(func.count()).where(
        participants.c.federation_id == rounds.c.federation_id,
        participants.c.role == Role.PARTICIPANT.value,
        participants.c.active,
        *more,
    )
    return counted.correlate(rounds).scalar_subquery()


def _round(row: RowMapping) -> Round:
    failed = row["failure_code"] is not None
    return Round(
        id=row["id"],
        federation=row["federation"],
        number=row["number"],
        state=RoundState(row["state"]),
        round_seconds=row["round_seconds"],
        attendance=Attendance(active=row["active"], sealed=row["sealed"], awaited=row["awaited"], quorum=row["quorum"]),
        opened_at=row["opened_at"],
        deadline=row["deadline"],
        closed_at=row["closed_at"],
        published_at=row["published_at"],
        failure=RoundFailure(row["failure_code"], row["failure_detail"]) if failed else None,
        labels=row["labels"],
        claims=row["claims"],
        progress=PROGRESS.read(row["progress"]) if row["progress"] else None,
    )


class SqlEvents:
    """`ports.EventStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, round_: Round, kind: EventKind, at: datetime) -> Event:
        last = select(func.coalesce(func.max(events.c.event_id), 0)).where(events.c.round_id == round_.id)
        event = Event(self._connection.scalars(last).one() + 1, kind, at, round_)
        row = {
            "round_id": round_.id,
            "event_id": event.event_id,
            "kind": kind.value,
            "at": at,
            "round": ROUND.write(round_),
        }
        self._connection.execute(insert(events), row)
        return event

    def after(self, round_: Round, event_id: int) -> tuple[Event, ...]:
        columns = (events.c.event_id, events.c.kind, events.c.at, events.c.round)
        later = and_(events.c.round_id == round_.id, events.c.event_id > min(event_id, _MAX_EVENT_ID))
        rows = self._connection.execute(select(*columns).where(later).order_by(events.c.event_id))
        return tuple(Event(key, EventKind(kind), at, ROUND.read(state)) for key, kind, at, state in rows)
