"""Rounds: their life, their events and the card that says what made them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from client_kit.vocabulary import AggregationStep, EventKind, RoundState
from client_kit.wire.base import Request, WireModel
from client_kit.wire.erasures import ErasedRound
from client_kit.wire.federations import ConsensusPolicy
from client_kit.wire.limits import Digest, Name
from client_kit.wire.parameters import ParameterCard
from client_kit.wire.pulling import PullStatus
from client_kit.wire.submissions import PrivacyStatement


class RoundFailure(WireModel):
    """Why a round failed. From here an operator may close it again, so that it is aggregated anew."""

    code: str
    """`quorum_missed`, `aggregation_failed`, `encoder_changed`, `encoder_unavailable` or `clusterer_retired`."""
    detail: str


class RoundCreate(Request):
    """The next round of a federation. Its number is one more than the last, from 1."""

    open: bool = True
    """False: the round is a draft until an operator opens it."""
    round_seconds: Annotated[float, Field(gt=0)] | None = None
    """Overrides the federation's time to the deadline."""


class RoundProgress(WireModel):
    """How far an aggregation is."""

    step: AggregationStep
    done: int
    total: int
    """Texts to encode, questions to compare or answers to decide; of texts 0, unless the server's operator asks."""
    seconds_left: float | None = None
    """Of this step, at the pace so far."""

    def in_words(self) -> str:
        """For people: `encoding 512 of 8,000, 40 s left`."""
        left = "" if self.seconds_left is None else f", {self.seconds_left:.0f} s left"
        if not self.total:
            return self.step.value
        return f"{self.step.value} {self.done:,} of {self.total:,}{left}"


class Round(WireModel):
    """The state of a round."""

    federation: Name
    number: int
    state: RoundState
    opened_at: datetime | None = None
    deadline: datetime | None = None
    closed_at: datetime | None = None
    published_at: datetime | None = None
    quorum: int
    active: int
    """Active participants of role `participant`."""
    sealed: int
    """Sealed submissions."""
    failure: RoundFailure | None = None
    labels: Digest | None = None
    """Digest of the pseudo-labels, once published; their ETag."""
    progress: RoundProgress | None = None
    """While the round aggregates, once that takes more than a second."""


class RoundList(WireModel):
    """The rounds of a federation, oldest first."""

    items: list[Round]


class Alarm(WireModel):
    """Why a reader should look twice at the labels of a round."""

    kind: str
    """`hearsay`: labels rest on taught models. `growth`: there are more labels, and none more that is first-hand. `echo`: a
    participant answers as the labels say, and states that its model was taught none. Other kinds may come."""
    detail: str
    """For people; names no participant."""


class RoundEvent(WireModel):
    """One line of a round's history, and one server-sent event (`id`, `event` = kind, `data` = this)."""

    event_id: int
    kind: EventKind
    at: datetime
    round: Round
    alarms: list[Alarm] = Field(default_factory=list)
    """Of a round that was published: its card's."""


class EncoderCard(WireModel):
    """Everything that a vector depends on."""

    name: str
    digest: Digest
    """Digest of all the fields below."""
    weights: str
    """SHA-256 of the weights, or a word for an encoder that has none."""
    pooling: str
    chunking: str
    dtype: str
    backend: str
    dimension: int


class Traffic(WireModel):
    """Bytes on the wire between one participant and the server in one round, headers and bodies."""

    participant: Name
    received_bytes: int
    """From the participant to the server."""
    sent_bytes: int
    """From the server to the participant."""


class SupportRow(WireModel):
    """Pseudo-labels of equal support."""

    support: float
    """Votes behind the label, rounded to one decimal."""
    labels: int
    mean_confidence: float


class RoundCounts(WireModel):
    """What went in and what came out."""

    prompts: int
    submissions: int
    answers: int
    admitted: int
    labels: int
    abstentions: dict[str, int]
    """By reason."""
    grades: dict[str, int] = Field(default_factory=dict)
    """Labels by grade, where evidence decides."""
    hearsay: int = 0
    """Labels behind which no two participants stand with first-hand answers, and no single witness does."""
    encoded: int
    """Texts embedded for this round; 0 unless the server's operator reads the card: others could tell what was ever submitted."""
    reused: int
    """Texts whose stored vector was used; 0 unless the server's operator reads the card."""


class RoundTimings(WireModel):
    """Seconds of wall time of the aggregation, without the encoding unless the server's operator reads the card."""

    encoding_seconds: float
    deciding_seconds: float
    total_seconds: float


class Spread(WireModel):
    """How unlike the participants of a round are, by the mean standing of their answers; 0 is the middle of the pools."""

    participants: int
    newcomers: int
    """Participants without a reputation from earlier rounds."""
    drifted: int
    """Participants whose answers stand far from their reputation."""
    lowest: float
    median: float
    highest: float
    few_far_above: bool
    """A few stand far above the rest. More central, that is: no figure of a round tells whether they are better."""


class Exemption(WireModel):
    """A participant whose answers a gate let pass, since an appeal of it was upheld."""

    participant: Name
    gate: str


class ParticipantPrivacy(WireModel):
    """What a participant that sealed stated about its private records."""

    participant: Name
    stated: PrivacyStatement | None = None
    """Null: nothing."""


class PrivacyCard(WireModel):
    """What the participants of a round state about record-level privacy. Their word: the server cannot check it."""

    participants: list[ParticipantPrivacy]
    """All that sealed, by name."""
    epsilon: float | None = None
    """With `delta`, a bound for every record that lies at one site: the largest stated. Null where anybody is silent."""
    delta: float | None = None

    def in_words(self) -> str:
        """One line for people."""
        silent = [each.participant for each in self.participants if each.stated is None]
        if self.epsilon is None or self.delta is None:
            return f"{len(silent)} of {len(self.participants)} state nothing ({', '.join(silent)}), so no bound holds for all."
        return (
            f"by the word of all participants, epsilon {self.epsilon:.3g} at delta {self.delta:.3g} for a record that lies at "
            "one of them."
        )


class Echo(WireModel):
    """How often a participant, whose seal states a model that was taught no label, came round to the labels."""

    participant: Name
    moved: int
    """Prompts to which it answers now as the label says."""
    could_move: int
    """Prompts to which it first answered otherwise, of those whose label is what it was then."""


class RoundCard(WireModel):
    """What made a published round. `counts`, `policy`, `encoder`, `prompt_set` and `labels` are reproducible."""

    federation: Name
    number: int
    prompt_set: Digest
    policy: ConsensusPolicy
    encoder: EncoderCard
    constants: dict[str, float]
    """Constants of the rule that are no part of the policy."""
    labels: Digest
    counts: RoundCounts
    support: list[SupportRow]
    traffic: list[Traffic]
    """As counted when the round was published; `GET .../traffic` has the count of now."""
    timings: RoundTimings
    versions: dict[str, str]
    """Of the software that decided."""
    published_at: datetime
    pulled: tuple[PullStatus, ...] = ()
    """Participants that the server itself asked, with why answers of theirs are missing."""
    parameters: ParameterCard | None = None
    """What was made of the parameters that were sent; none where none were."""
    reliability: Spread | None = None
    """None where the policy decides each pool by itself."""
    exemptions: list[Exemption] = Field(default_factory=list)
    privacy: PrivacyCard | None = None
    """None where no participant states anything."""
    echoes: list[Echo] = Field(default_factory=list)
    """By participant; operators see all, others their own. Empty in a first round."""
    alarms: list[Alarm] = Field(default_factory=list)
    erased: list[ErasedRound] = Field(default_factory=list)
    """By participant: what was erased since. `labels` is the digest that was published; that of the round is the one of today."""
    refusals_told_by: str | None = None
    """What told refusals on the server, with its version; none where they were kept."""
    retired_clusterer: str | None = None
    """What found the clusters of a round that version 0.1.0 decided; none where it was average linkage, as it now always is."""


class TrafficList(WireModel):
    """Traffic of a round as counted so far."""

    items: list[Traffic]
