"""The life of a round: draft -> open -> closed -> aggregating -> published, or failed.

From `failed` an operator may close a round again. `aggregating` goes back to itself when a worker's lease has expired
and another claims the round. Everything else is refused.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from client_kit.vocabulary import RoundState
from consensus_server.core.errors import Fault, InvalidTransition, ValidationFailed

TRANSITIONS: dict[RoundState, frozenset[RoundState]] = {
    RoundState.DRAFT: frozenset({RoundState.OPEN}),
    RoundState.OPEN: frozenset({RoundState.CLOSED, RoundState.FAILED}),
    RoundState.CLOSED: frozenset({RoundState.AGGREGATING}),
    RoundState.AGGREGATING: frozenset({RoundState.AGGREGATING, RoundState.PUBLISHED, RoundState.FAILED}),
    RoundState.PUBLISHED: frozenset(),
    RoundState.FAILED: frozenset({RoundState.CLOSED}),
}
"""Where a round may go from each state."""

_PROGRESS = list(RoundState)[:-1]
"""The states in order, without `failed`, which lies on no way."""

MAX_ROUND_SECONDS = 10 * 366 * 24 * 3600.0
"""Ten years: a deadline beyond that is a slip, and may lie beyond the calendar."""

QUORUM_MISSED = "quorum_missed"
AGGREGATION_FAILED = "aggregation_failed"
ENCODER_CHANGED = "encoder_changed"
ENCODER_UNAVAILABLE = "encoder_unavailable"
CLUSTERER_RETIRED = "clusterer_retired"
CONTRADICTIONS_CHANGED = "contradictions_changed"
CONTRADICTIONS_UNAVAILABLE = "contradictions_unavailable"
REFUSALS_CHANGED = "refusals_changed"


@dataclass(frozen=True, slots=True)
class RoundFailure:
    """Why a round failed."""

    code: str
    """`quorum_missed`, `aggregation_failed`, `encoder_changed`, `encoder_unavailable`, `clusterer_retired`,
    `contradictions_changed`, `contradictions_unavailable` or `refusals_changed`."""
    detail: str
    """Fit for every member of the federation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attendance:
    """Who has sealed so far."""

    active: int
    """Active participants of role `participant`."""
    sealed: int
    """Sealed submissions, also of participants that are no longer active."""
    awaited: int
    """Active participants that have not sealed."""
    quorum: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How an open round ends now."""

    state: RoundState
    """`closed` or `failed`."""
    failure: RoundFailure | None = None


def check_transition(state: RoundState, to: RoundState) -> None:
    """Raise InvalidTransition unless a round may go from `state` to `to`."""
    if to in TRANSITIONS[state]:
        return
    allowed = ", ".join(sorted(TRANSITIONS[state])) or "nothing: it never changes again"
    raise InvalidTransition(f"The round is {state} and cannot become {to}; from here it can become {allowed}.")


def deadline_of(opened_at: datetime, round_seconds: float) -> datetime:
    """When a round that opens now must end."""
    return opened_at + timedelta(seconds=round_seconds)


def check_round_seconds(seconds: float, where: str = "round_seconds") -> None:
    """Raise ValidationFailed for a length that no calendar can hold. where: name of the field."""
    if not 0 < seconds <= MAX_ROUND_SECONDS:
        fault = Fault(where, f"{seconds} seconds; a round lasts more than 0 and at most {MAX_ROUND_SECONDS:.0f}.")
        raise ValidationFailed(f"{where}: {fault.message}", [fault])


def is_over(state: RoundState) -> bool:
    """True where the next round may be created."""
    return state in {RoundState.PUBLISHED, RoundState.FAILED}


def has_reached(state: RoundState, wanted: RoundState) -> bool:
    """True when a wait for `wanted` is over: the state is reached or passed, or the round failed."""
    if RoundState.FAILED in {state, wanted}:
        return is_over(state)
    return _PROGRESS.index(state) >= _PROGRESS.index(wanted)


def ending_of_itself(attendance: Attendance, *, deadline: datetime, now: datetime) -> Ending | None:
    """How an open round ends without anybody's order, or None while it goes on.

    It closes once the quorum is there and either nobody active is awaited or the deadline has come; it fails when the
    deadline comes without the quorum. Before the deadline it waits for a quorum even if all have sealed: the operator
    may add participants.
    """
    if attendance.sealed >= attendance.quorum and (not attendance.awaited or now >= deadline):
        return Ending(RoundState.CLOSED)
    if now >= deadline:
        return Ending(RoundState.FAILED, _quorum_missed(attendance))
    return None


def ending_by_operator(attendance: Attendance) -> Ending:
    """How an open round ends when an operator closes it: the operator's word stands for the quorum.

    Without a single sealed submission there is nothing to aggregate: the round fails.
    """
    if attendance.sealed:
        return Ending(RoundState.CLOSED)
    return Ending(RoundState.FAILED, _quorum_missed(attendance))


def _quorum_missed(attendance: Attendance) -> RoundFailure:
    detail = f"{attendance.sealed} of at least {attendance.quorum} submissions were sealed when the round ended."
    return RoundFailure(QUORUM_MISSED, detail)
