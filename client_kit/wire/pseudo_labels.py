"""Pseudo-labels: what a round gives back."""

from collections.abc import Iterable

from client_kit.vocabulary import Abstention, Grade
from client_kit.wire.base import WireModel
from client_kit.wire.digests import rows_digest
from client_kit.wire.limits import Digest, Name, PromptId, Unit


class ClusterShare(WireModel):
    """One meaning in a pool."""

    answers: int
    votes: float
    share: Unit
    """Its part of all votes."""


class PseudoLabel(WireModel):
    """The outcome for one prompt: a text, or an abstention."""

    prompt_id: PromptId
    text: str | None = None
    digest: Digest | None = None
    """Content digest of `text`."""
    abstention: Abstention | str | None = None
    """Why there is no text. A newer server may give a reason that this version does not know."""
    confidence: Unit
    """0 for an abstention."""
    confidence_method: str
    support: float
    """Votes of the participants at least half of whose answers lie in the dominant cluster; 0 where there is none."""
    share: Unit
    """The dominant cluster's part of all votes."""
    clusters: list[ClusterShare]
    """Most votes first."""
    evidence: float | None = None
    """Sum over participants of vote times the share of their own samples that say it. This and the next three: where evidence
    decides."""
    margin: float | None = None
    """Participants by which that leads the strongest other meaning."""
    witnesses: int | None = None
    """Participants at least half of whose samples say it."""
    grade: Grade | str | None = None
    """How good the evidence is; null for an abstention. A newer server may give a grade that this version does not know."""
    erased: bool | None = None
    """True where there was a text, and whose words it was had them erased: `digest` and `confidence` are still those of the text."""


class PseudoLabelPage(WireModel):
    """One page of pseudo-labels, in the order of `prompt_id`."""

    items: list[PseudoLabel]
    next_cursor: str | None = None
    """Send as `cursor` to go on; none on the last page."""


class AnswerFate(WireModel):
    """What became of one answer in its pool."""

    participant: Name | None = None
    """Operators see every participant; a participant sees its own answers only."""
    sample: int
    digest: Digest
    admitted: bool
    gate: str | None = None
    """What kept it out."""
    measured: float | None = None
    """What the gate measured, where it measures something."""
    limit: float | None = None
    """What the gate held the measured value against."""
    reason: str | None = None
    """Why it was kept out, in a sentence."""
    cluster: int | None = None
    """Index into the label's `clusters`."""
    similarity: float | None = None
    """Cosine to the pseudo-label, -1..1."""
    chosen: bool = False
    stands_in_from: int | None = None
    """The round in which it was given, where it stands in for an answer that is not first-hand."""
    text: str | None = None
    """The answer itself, for operators; a participant has its own."""


class Contest(WireModel):
    """Two clusters of a prompt that say different things."""

    first: int
    """Index into the label's `clusters`, and of the other one."""
    second: int
    strength: Unit
    """From .6 on the two cannot both be right; below they may."""
    kind: str
    """What differs: `opposite:` with the pair of opposites, `number:` with what is counted, `negation`, `name` and others."""
    words_first: str
    """The deciding words of an answer in the first cluster, for operators; empty for others."""
    words_second: str


class PromptExplanation(WireModel):
    """Why a prompt has the pseudo-label it has."""

    label: PseudoLabel
    answers: list[AnswerFate]
    contests: tuple[Contest, ...] = ()
    """The strongest difference between every two clusters that contradict one another."""


def pseudo_labels_digest(labels: Iterable[PseudoLabel]) -> str:
    """Digest of the pseudo-labels of a round, their ETag: in any order; fields that are not set do not count."""
    return rows_digest(label.model_dump(mode="json", exclude_none=True) for label in labels)
