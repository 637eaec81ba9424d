"""How participants came out of rounds, and their appeals, in SQL."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, and_, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from client_kit.vocabulary import AppealOutcome
from consensus_server.backends.store.schema import appeals, participants, reliabilities, rounds
from consensus_server.core.appeals import Appeal
from consensus_server.core.errors import AlreadyExists
from consensus_server.core.federations import Federation, Participant
from consensus_server.core.reliability import Reliability
from consensus_server.core.rounds import Round

_FIGURES = [column for column in reliabilities.c if not column.primary_key]


class SqlReliabilities:
    """`ports.ReliabilityStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, round_: Round, rows: Iterable[Reliability]) -> None:
        known = select(participants.c.name, participants.c.id).where(
            participants.c.federation_id == rounds.c.federation_id, rounds.c.id == round_.id
        )
        keys = {row.name: row.id for row in self._connection.execute(known)}
        values = [
            {"round_id": round_.id, "participant_id": keys[row.participant]}
            | {column.name: getattr(row, column.name) for column in _FIGURES}
            for row in rows
        ]
        if values:
            self._connection.execute(insert(reliabilities), values)

    def of(self, round_: Round) -> tuple[Reliability, ...]:
        rows = self._connection.execute(_rows().where(reliabilities.c.round_id == round_.id)).mappings()
        return tuple(_reliability(row) for row in rows)

    def before(self, federation: Federation, number: int) -> Mapping[str, tuple[tuple[int, Reliability], ...]]:
        earlier = and_(rounds.c.federation_id == federation.id, rounds.c.number < number)
        found: dict[str, list[tuple[int, Reliability]]] = defaultdict(list)
        for row in self._connection.execute(_rows().where(earlier)).mappings():
            found[row["participant"]].append((row["number"], _reliability(row)))
        return {name: tuple(rows) for name, rows in found.items()}


def _rows() -> Select[Any]:
    return (
        select(participants.c.name.label("participant"), rounds.c.number, *_FIGURES)
        .join_from(reliabilities, participants)
        .join(rounds, rounds.c.id == reliabilities.c.round_id)
        .order_by(participants.c.name, rounds.c.number)
    )


def _reliability(row: RowMapping) -> Reliability:
    return Reliability(**{name: value for name, value in row.items() if name != "number"})


class SqlAppeals:
    """`ports.AppealStore`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, round_: Round, participant: Participant, gate: str, text: str, at: datetime) -> Appeal:
        home = select(rounds.c.federation_id).where(rounds.c.id == round_.id).scalar_subquery()
        last = select(func.coalesce(func.max(appeals.c.number), 0)).where(appeals.c.federation_id == home)
        number = self._connection.scalars(last).one() + 1
        row = {
            "number": number,
            "round_id": round_.id,
            "participant_id": participant.id,
            "gate": gate,
            "text": text,
            "created_at": at,
            "note": "",
        }
        try:
            self._connection.execute(insert(appeals).values(federation_id=home, **row))
        except IntegrityError:
            raise AlreadyExists(
                f"{participant.name} has appealed against {gate} in round {round_.number} already.",
                remedy="Look at what became of the first appeal: consensus appeal lists yours.",
            ) from None
        return Appeal(
            number=number, participant=participant.name, round=round_.number, gate=gate, text=text, created_at=at
        )

    def of(self, federation: Federation) -> tuple[Appeal, ...]:
        query = _appeals().where(appeals.c.federation_id == federation.id).order_by(appeals.c.number)
        return tuple(_appeal(row) for row in self._connection.execute(query).mappings())

    def get(self, federation: Federation, number: int) -> Appeal | None:
        one = and_(appeals.c.federation_id == federation.id, appeals.c.number == number)
        row = self._connection.execute(_appeals().where(one)).mappings().one_or_none()
        return None if row is None else _appeal(row)

    def resolve(self, federation: Federation, number: int, outcome: AppealOutcome, note: str, at: datetime) -> None:
        one = and_(appeals.c.federation_id == federation.id, appeals.c.number == number)
        values = {"outcome": outcome.value, "note": note, "resolved_at": at}
        self._connection.execute(update(appeals).where(one).values(values))

    def exemptions(self, federation: Federation) -> tuple[tuple[str, str], ...]:
        resolved = [each for each in self.of(federation) if each.resolved_at is not None]
        last = {
            (each.participant, each.gate): each.outcome
            for each in sorted(resolved, key=lambda each: (each.resolved_at, each.number))
        }
        return tuple(sorted(pair for pair, outcome in last.items() if outcome is AppealOutcome.UPHELD))


def _appeals() -> Select[Any]:
    columns = [appeals.c[name] for name in ("number", "gate", "text", "created_at", "outcome", "note", "resolved_at")]
    return (
        select(participants.c.name.label("participant"), rounds.c.number.label("round"), *columns)
        .join_from(appeals, participants, participants.c.id == appeals.c.participant_id)
        .join(rounds, rounds.c.id == appeals.c.round_id)
    )


def _appeal(row: RowMapping) -> Appeal:
    outcome = row["outcome"]
    return Appeal(**{**row, "outcome": None if outcome is None else AppealOutcome(outcome)})
