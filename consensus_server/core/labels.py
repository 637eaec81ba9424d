"""Pseudo-labels, what became of each answer, and the card of a round. Frozen records; the store keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from consensus_server.core.consensus.records import Policy
from consensus_server.core.encoders import EncoderIdentity
from consensus_server.core.erasures import ErasedRound
from consensus_server.core.privacy import PrivacyCard
from consensus_server.core.pulling import PullStatus
from consensus_server.core.reliability import Spread
from consensus_server.core.rounds import Alarm


@dataclass(frozen=True, slots=True)
class ClusterShare:
    """One meaning in a pool."""

    answers: int
    votes: float
    share: float
    """Its part of all votes, 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """The outcome for one prompt: a text, or an abstention; `client_kit.wire.PseudoLabel` says what each field means."""

    prompt_id: str
    text: str | None = None
    digest: str | None = None
    abstention: str | None = None
    confidence: float
    confidence_method: str
    support: float
    share: float
    clusters: tuple[ClusterShare, ...] = ()
    evidence: float | None = None
    margin: float | None = None
    witnesses: int | None = None
    grade: str | None = None
    erased: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterContest:
    """Two clusters that say different things, and the words that tell; `core.contradictions` finds them."""

    first: int
    """Index into the label's clusters, and of the other one; `first < second`."""
    second: int
    strength: float
    kind: str
    words_first: str
    words_second: str


@dataclass(frozen=True, slots=True)
class LabelPage:
    """Pseudo-labels in the order of `prompt_id`."""

    items: tuple[Label, ...]
    next_cursor: str | None
    """Where the next page begins; None on the last."""


SECOND_HAND: Final = "second_hand"
"""Why an answer was left out whose model was taught pseudo-labels, where gates have their names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFate:
    """What became of one answer in its pool."""

    participant: str
    sample: int
    digest: str
    admitted: bool
    gate: str | None = None
    """What kept it out."""
    measured: float | None = None
    """What the gate measured, where it measures something."""
    limit: float | None = None
    """What the gate held that against."""
    cluster: int | None = None
    """Index into the label's clusters."""
    similarity: float | None = None
    """Cosine to the pseudo-label, -1..1."""
    chosen: bool = False
    stands_in_from: int | None = None
    """The round in which it was given, where it stands in for an answer that is not first-hand."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """One answer that a gate kept out."""

    prompt_id: str
    fate: AnswerFate


@dataclass(frozen=True, slots=True)
class RejectionPage:
    """Rejections in the order of `prompt_id`."""

    items: tuple[Rejection, ...]
    next_cursor: str | None
    """Where the next page begins; None on the last."""


@dataclass(frozen=True, slots=True)
class Exemption:
    """A participant whose answers a guard let pass, since an appeal of it was upheld."""

    participant: str
    gate: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a prompt has the pseudo-label it has."""

    label: Label
    answers: tuple[AnswerFate, ...]
    """Those that the caller may see."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """By content digest, for operators."""
    contests: tuple[ClusterContest, ...] = ()
    """The deciding words are empty for others than operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What went into a round and what came out; `client_kit.wire.RoundCounts` says what each field means."""

    prompts: int
    submissions: int
    answers: int
    admitted: int
    labels: int
    abstentions: Mapping[str, int]
    encoded: int
    reused: int
    grades: Mapping[str, int] = field(default_factory=dict)
    hearsay: int = 0


@dataclass(frozen=True, slots=True)
class SupportRow:
    """Pseudo-labels of equal support."""

    support: float
    """Votes behind the label, rounded to one decimal."""
    labels: int
    mean_confidence: float


@dataclass(frozen=True, slots=True)
class ParticipantTraffic:
    """Bytes on the wire of one participant in one round."""

    participant: str
    received_bytes: int
    sent_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds of wall time of the aggregation."""

    encoding_seconds: float
    deciding_seconds: float
    total_seconds: float


@dataclass(frozen=True, slots=True)
class Echo:
    """How often a participant came round to the labels; `client_kit.wire.Echo` says what each field means."""

    participant: str
    moved: int
    could_move: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateCard:
    """One update that was aggregated; `client_kit.wire.UpdateCard` says what each field means."""

    participant: str
    digest: str
    bytes: int
    rank: int
    examples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterCard:
    """What was made of a round's updates."""

    method: str
    base_model: str
    updates: tuple[UpdateCard, ...]
    """By participant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundCard:
    """What made a published round; `client_kit.wire.RoundCard` says what each field means."""

    federation: str
    number: int
    prompt_set: str
    policy: Policy
    encoder: EncoderIdentity
    constants: Mapping[str, float]
    labels: str
    """Digest of the pseudo-labels."""
    counts: Counts
    support: tuple[SupportRow, ...]
    """Most support first."""
    traffic: tuple[ParticipantTraffic, ...]
    timings: Timings
    versions: Mapping[str, str]
    published_at: datetime
    pulled: tuple[PullStatus, ...] = ()
    """Participants that the server itself asked."""
    parameters: ParameterCard | None = None
    reliability: Spread | None = None
    """How unlike the participants were; None where the policy decides each pool by itself."""
    exemptions: tuple[Exemption, ...] = ()
    privacy: PrivacyCard | None = None
    """None where nobody states anything."""
    refusals_told_by: str | None = None
    """None where refusals were kept."""
    echoes: tuple[Echo, ...] = ()
    """By participant."""
    alarms: tuple[Alarm, ...] = ()
    erased: tuple[ErasedRound, ...] = ()
    """By participant; of the time of reading, and so never stored."""
    retired_clusterer: str | None = None
    """Of a round of version 0.1.0: what found its clusters, where that was not average linkage."""
