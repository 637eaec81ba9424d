"""Rounds, what happens to them, and what is submitted to them. Frozen records; the store keeps them."""

from dataclasses import dataclass
from datetime import datetime

from client_kit.vocabulary import AggregationStep, EventKind, RoundState
from consensus_server.core.lifecycle import Attendance, RoundFailure
from consensus_server.core.privacy import PrivacyStatement


@dataclass(frozen=True, slots=True)
class AggregationProgress:
    """How far an aggregation is."""

    step: AggregationStep
    done: int
    total: int
    """Texts, questions or answers, by the step."""
    seconds_left: float | None
    """Of this step, at the pace so far; None while nothing is known of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The state of a round."""

    id: int
    """Key in the store; never leaves the server."""
    federation: str
    number: int
    """From 1."""
    state: RoundState
    round_seconds: float
    """Time from opening to deadline."""
    attendance: Attendance
    opened_at: datetime | None = None
    deadline: datetime | None = None
    closed_at: datetime | None = None
    """When it stopped to take answers."""
    published_at: datetime | None = None
    failure: RoundFailure | None = None
    labels: str | None = None
    """Digest of the pseudo-labels, once published."""
    claims: int = 0
    """Workers that took it since it closed, those that gave it back in order left out."""
    progress: AggregationProgress | None = None
    """While it aggregates, once that takes more than a second."""

    @property
    def quorum(self) -> int:
        return self.attendance.quorum

    @property
    def active(self) -> int:
        return self.attendance.active

    @property
    def sealed(self) -> int:
        return self.attendance.sealed


LAST_EVENTS = frozenset({EventKind.PUBLISHED, EventKind.FAILED})
"""After these nothing happens to a round, unless an operator closes a failed one again."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Why a reader should look twice at the labels of a round."""

    kind: str
    """`hearsay`, `growth` or `echo`."""
    detail: str
    """For people; names no participant."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a round's history."""

    event_id: int
    """1, 2, ... within the round, without gaps."""
    kind: EventKind
    at: datetime
    round: Round
    """As it was then."""
    alarms: tuple[Alarm, ...] = ()
    """Of one that was published."""


AnswerKey = tuple[str, int]
"""(prompt_id, sample)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One generation for one prompt."""

    prompt_id: str
    sample: int
    text: str
    finish_reason: str = "unknown"
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class HeldAnswer:
    """Key and content digest of an answer that the store keeps."""

    prompt_id: str
    sample: int
    digest: str


@dataclass(frozen=True, slots=True)
class HeldSubmission:
    """What is held of one participant's submission."""

    answers: tuple[HeldAnswer, ...]
    """In the order of prompt_id and sample."""
    sealed: bool
    digest: str
    """`submission_digest` of `answers`."""


@dataclass(frozen=True, slots=True)
class SubmissionReceipt:
    """What one request changed; `client_kit.wire.SubmissionReceipt` says what each field means."""

    stored: int
    unchanged: int
    replaced: int
    held: int


@dataclass(frozen=True, slots=True)
class SealReceipt:
    """Proof of a sealed submission."""

    federation: str
    number: int
    participant: str
    count: int
    digest: str
    sealed_at: datetime
    privacy: PrivacyStatement | None = None
    late: bool = False
    """It counts in the next round."""
    signed_by: str | None = None
    """The public key whose signature is kept."""
