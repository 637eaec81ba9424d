"""What goes into a decision and what comes out of it. Plain frozen records; the arithmetic stands beside them."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Float32

from consensus_server.core.contradictions.findings import Finding

SEMANTIC: Final = "semantic"
"""Name of the equivalence that compares what answers mean; all others compare a key of each answer."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """From a confidence score to an estimated probability that a label is good, and from there to an abstention.

    A function fitted to one score, on judged answers: straight lines between points, level beyond the first and last.
    """

    method: str
    """Name of the confidence score for which it holds."""
    scores: tuple[float, ...]
    """Ascending, 0..1."""
    probabilities: tuple[float, ...]
    """Of each of `scores`: never falling, 0..1."""
    least_score: float = 0.0
    """A label with a lower score becomes an abstention; 0: none does."""
    source: str | None = None
    """SHA-256 of the judged answers."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a pool becomes a pseudo-label; `client_kit.wire.ConsensusPolicy` says what each field means."""

    rule: str = "hybrid"
    confidence: str = "agreement"
    distance_short: float = 0.20
    distance_long: float = 0.50
    short_chars: int = 80
    """Characters from which an answer is long; see `answers.lengths`."""
    minimum_support: int = 2
    abstain: bool = True
    seed: int = 0
    guards: bool = True
    """Whether answers pass the gates that read the round, and votes weigh less the more they repeat others; see
    `round.gates`, `round.redundancy`."""
    reliability: bool = True
    """Whether rules that read the round trust participants by how well they stand on its other prompts."""
    length_penalty: float = 0.9
    """Share of the round's effect of length on support that answers lose beyond their pool's mean length; see `round.standing`."""
    half_life_rounds: float = 2.0
    """Rounds after which half of a participant's reputation is left; 0: each round begins anew."""
    decide_by: str = "evidence"
    """`evidence` or `support`: what a meaning needs to become a label; see `evidence`."""
    minimum_margin: float = 0.5
    """Participants by which the evidence of a label must lead the next meaning's."""
    second_hand: str = "exclude"
    """`exclude` or `count`: what becomes of answers of models that were taught pseudo-labels."""
    contradictions: str = "words"
    """What tells contradictory answers apart: `none`, a name, or in a federation's policy the identity of what it began with."""
    calibration: Calibration | None = None
    """Makes an estimated probability of the confidence score; None: the score is published as it is."""


@dataclass(frozen=True, slots=True)
class Wording:
    """One public prompt, as one way to ask a question."""

    prompt_id: str
    prompt: str = ""
    opening: Float32[np.ndarray, " dimension"] | None = None
    """Vector of its opening; gates need it. Zeros where the encoder saw nothing."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The answers to one question, in any order. A decision does not depend on the order.

    Nearly every question has one wording: a pool is then the answers to one prompt.
    """

    prompt_id: str
    """Of the first wording."""
    participants: tuple[str, ...]
    """Who gave each answer; a participant may stand here several times, once a sample."""
    samples: tuple[int, ...]
    texts: tuple[str, ...]
    digests: tuple[str, ...]
    """Content digest of each text."""
    vectors: Float32[np.ndarray, "answers dimension"]
    """Unit vectors; a row of zeros where the encoder saw nothing."""
    equivalence: str = SEMANTIC
    prompt: str = ""
    """Text of the prompt, for the gate against repetition: what an answer quotes from it is not repeated."""
    prompt_opening: Float32[np.ndarray, " dimension"] | None = None
    """Vector of the prompt's opening; gates need it. Zeros where the encoder saw nothing."""
    openings: Float32[np.ndarray, "answers dimension"] | None = None
    """Vectors of the answers' openings, what fits into the encoder's first window; gates need them."""
    findings: tuple[Finding, ...] = ()
    """Which answers contradict one another, by places in this pool."""
    rewordings: tuple[Wording, ...] = ()
    """Other prompts that ask the same question, in the order of their ids; their answers stand in this pool."""
    asked: tuple[int, ...] = ()
    """Which of `wordings` each answer is to; empty where there is one."""

    @property
    def wordings(self) -> tuple[Wording, ...]:
        """All prompts whose answers stand here."""
        return Wording(self.prompt_id, self.prompt, self.prompt_opening), *self.rewordings

    def wording_of(self, place: int) -> int:
        """Index into `wordings` of what an answer is to."""
        return self.asked[place] if self.asked else 0


@dataclass(frozen=True, slots=True)
class Cluster:
    """One meaning in a pool."""

    members: tuple[int, ...]
    """Indices of its answers in the pool."""
    votes: float
    share: float
    """Its part of all votes, 0..1."""


@dataclass(frozen=True, slots=True)
class Contest:
    """Two clusters that say different things, and the words that tell."""

    first: int
    """Index of one cluster, and of the other; `first < second`."""
    second: int
    finding: Finding
    """The strongest between their answers; its first answer is one of the first cluster."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a gate measured where it rejected an answer."""

    value: float
    limit: float
    """What the gate holds the value against: more than it, or less, is rejected, as the gate says."""


@dataclass(frozen=True, slots=True)
class StandsOn:
    """The evidence for a meaning; `client_kit.wire.PseudoLabel` says what each field means."""

    evidence: float
    margin: float
    witnesses: int
    grade: str | None
    """One of `client_kit.vocabulary.Grade`; None for an abstention."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for one prompt: either `pick` or `abstention` is set."""

    prompt_id: str
    pick: int | None
    """Index of the chosen answer in the pool; it may be an answer to another wording."""
    abstention: str | None
    """One of `client_kit.wire.Abstention`."""
    confidence: float
    """0..1; 0 for an abstention."""
    support: float
    """Votes of the participants at least half of whose answers lie in the cluster of the pick: the dominant one, unless the
    rule picks elsewhere."""
    share: float
    """That cluster's part of all votes, 0..1."""
    clusters: tuple[Cluster, ...] = ()
    """Most votes first."""
    gates: dict[int, str] = field(default_factory=dict)
    """Answers that were not admitted: index in the pool -> name of the gate."""
    readings: dict[int, Reading] = field(default_factory=dict)
    """What was measured of those that a gate of the round rejected, by index in the pool."""
    similarity: tuple[float, ...] = ()
    """Cosine of each answer to the chosen one, -1..1; 0 for one that was not admitted; empty for an abstention."""
    contests: tuple[Contest, ...] = ()
    """What was found between the clusters."""
    stands_on: StandsOn | None = None
    """What decided, where that is evidence."""
