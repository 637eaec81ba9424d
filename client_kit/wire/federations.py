"""Federations: what a group of participants agreed on before the first round."""

from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from client_kit.vocabulary import DecideBy, Role, Scope, SecondHand
from client_kit.wire.base import Request, WireModel
from client_kit.wire.limits import MAX_ANSWER_CHARS, MAX_CERTIFICATES, MAX_SAMPLES, Digest, Lifetime, Name, Scopes, Unit
from client_kit.wire.parameters import ParameterPlan


class TruncatedAnswers(StrEnum):
    """What a participant does with an answer that ended because of its length."""

    KEEP = "keep"
    TRIM = "trim"
    """Cut after the last whole sentence; dropped if there is none."""
    DROP = "drop"


class Refusals(StrEnum):
    """What becomes of an answer in which a model declines to answer, in English; no others are recognised."""

    KEEP = "keep"
    """It is an answer like others."""
    DROP = "drop"
    """Participants do not submit it, and the server rejects it."""


class Signatures(StrEnum):
    """Whether seals are signed by their participants."""

    OPTIONAL = "optional"
    """A signature is checked and kept where there is one."""
    REQUIRED = "required"
    """A seal without the signature of its participant's key is refused."""


class AnswerPolicy(Request):
    """What the participants do to their own answers before they submit them. Reasoning blocks always go."""

    truncated: TruncatedAnswers = TruncatedAnswers.TRIM
    refusals: Refusals = Refusals.DROP

    def is_kept_by(self, held: "AnswerPolicy") -> bool:
        """Whether a federation's own policy is what this one asks for; who names nothing for refusals takes what is held."""
        named = "refusals" in self.model_fields_set
        return held == (self if named else self.model_copy(update={"refusals": held.refusals}))


class Calibration(Request):
    """What a confidence score is worth as a probability, fitted on judged answers (`evaluate-labels --calibrate`)."""

    method: str
    """Name of the confidence score for which it holds."""
    scores: Annotated[list[Unit], Field(min_length=1, max_length=200)]
    """Ascending. Between them straight lines, beyond them level."""
    probabilities: Annotated[list[Unit], Field(min_length=1, max_length=200)]
    """Estimated probability that a label with that score is good; never falling."""
    least_score: Unit = 0.0
    """A label with a lower score becomes the abstention `low_confidence`; 0: none does."""
    source: Digest | None = None
    """SHA-256 of the judged answers."""

    @model_validator(mode="after")
    def _is_a_rising_function(self) -> "Calibration":
        if len(self.scores) != len(self.probabilities):
            raise ValueError("scores and probabilities need one entry each per point")
        if any(left >= right for left, right in pairwise(self.scores)):
            raise ValueError("scores must ascend")
        if any(left > right for left, right in pairwise(self.probabilities)):
            raise ValueError("probabilities must not fall")
        return self


_NO_CLUSTERER = (
    "there is no {clusterer} any more: clusters are found by average_linkage, for all ways that were measured gave equally "
    "good labels; leave the field out (evaluate-labels --clusterer still measures the others)"
)


_NEWER = ("decide_by", "minimum_margin", "second_hand", "contradictions")
"""Fields of a policy that version 0.1.0 did not have."""


class ConsensusPolicy(Request):
    """How a pool of answers becomes a pseudo-label."""

    rule: str = "hybrid"
    """Name of the rule; the server lists those it knows when it refuses one."""
    confidence: str = "agreement"
    """Name of the confidence score, 0..1."""
    distance_short: Annotated[float, Field(gt=0, lt=2)] = 0.20
    """Cosine distance at which clusters are cut where the median admitted answer is shorter than `short_chars`."""
    distance_long: Annotated[float, Field(gt=0, lt=2)] = 0.50
    """Cosine distance at which clusters of longer answers are cut."""
    short_chars: Annotated[int, Field(ge=0)] = 80
    decide_by: DecideBy = DecideBy.EVIDENCE
    """What a meaning needs to become a pseudo-label: that its evidence leads the next meaning's by `minimum_margin`, or that
    `minimum_support` participants stand behind it."""
    minimum_margin: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] = 0.5
    """Participants by which evidence must lead. .25 gives most right labels where eight samples are given, 1 wants two participants
    behind each."""
    second_hand: SecondHand = SecondHand.EXCLUDE
    """Whether answers of models that were taught pseudo-labels are evidence."""
    minimum_support: Annotated[int, Field(ge=1)] = 2
    """Where support decides: participants (less redundancy) that must stand behind a pseudo-label, each with half of its samples or
    more; 2 is met from 1.5 votes."""
    abstain: bool = True
    """Off: every prompt with an admitted answer gets a pseudo-label, however weak its support."""
    seed: int = 0
    """For rules that draw."""
    guards: bool = True
    """On: answers that are garbage, off topic, over-long or repeated across prompts are rejected, and copies share a vote."""
    reliability: bool = True
    """On: `fused` and `hybrid` trust a participant by how well its answers to the round's other prompts stand."""
    length_penalty: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] = 0.9
    """Share of the round's own effect of length on support that `fused` and `hybrid` take from answers longer than their pool's mean; 0: nothing, 1: all, above: the long are held back."""
    half_life_rounds: Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)] = 2.0
    """Rounds after which half of a participant's reputation from earlier rounds is left; 0: each round begins anew."""
    contradictions: str = "words"
    """What keeps contradictory answers out of one cluster: `words` (English), `none`, or a model beside the words, `nli:MODEL` or
    `judge:UPSTREAM`, as the server has them. A federation's own policy shows the version that it began with."""
    calibration: Calibration | None = None
    """Publishes an estimated probability instead of the score, for the confidence that it was fitted to."""

    def is_kept_by(self, held: "ConsensusPolicy") -> bool:
        """Whether a federation's own policy is what this one asks for.

        There the name of what tells contradictions has its version; and who asks for nothing in particular of what version
        0.1.0 did not have takes what is held, such as `support` in a federation of that version.
        """
        taken = {name: getattr(held, name) for name in _NEWER if name not in self.model_fields_set}
        asked = self.model_copy(update=taken)
        if held.contradictions.startswith(f"{asked.contradictions}-"):
            asked = asked.model_copy(update={"contradictions": held.contradictions})
        return asked == held

    @model_validator(mode="before")
    @classmethod
    def _without_clusterer(cls, given: Any) -> Any:  # noqa: ANN401 - whatever a request holds
        """Version 0.1.0 had a field `clusterer`. Its default is dropped; what asks for another is refused."""
        if not isinstance(given, dict) or "clusterer" not in given:
            return given
        if (clusterer := given["clusterer"]) != "average_linkage":
            told = PydanticCustomError("retired", _NO_CLUSTERER, {"clusterer": f"{clusterer!r:.60}"})
            raise ValidationError.from_exception_data(
                cls.__name__, [{"type": told, "loc": ("clusterer",), "input": clusterer}]
            )
        return {name: value for name, value in given.items() if name != "clusterer"}

    @model_validator(mode="after")
    def _calibrates_its_confidence(self) -> "ConsensusPolicy":
        if self.calibration is not None and self.calibration.method != self.confidence:
            raise ValueError(
                f"the calibration was fitted to the confidence {self.calibration.method!r} and the policy has "
                f"{self.confidence!r}: take a calibration of that one, or leave the calibration out (null)"
            )
        return self


class FederationCreate(Request):
    """What an operator decides when a federation begins. Nothing of it changes afterwards."""

    federation: Name
    prompt_set: Digest
    policy: ConsensusPolicy = ConsensusPolicy()
    answers: AnswerPolicy = AnswerPolicy()
    quorum: Annotated[int, Field(ge=1)] = 2
    """Sealed submissions without which a round fails at its deadline."""
    round_seconds: Annotated[float, Field(gt=0)] = 86_400.0
    """Time from the opening of a round to its deadline, in seconds."""
    samples_per_prompt: Annotated[int, Field(ge=1, le=MAX_SAMPLES)] = 1
    """Most answers of one participant to one prompt."""
    max_answer_chars: Annotated[int, Field(ge=1, le=MAX_ANSWER_CHARS)] = 32_768
    contributors_only: bool = False
    """Only those who sealed a submission in a round may fetch its pseudo-labels."""
    parameters: ParameterPlan | None = None
    """What participants exchange beside answers; a submission without answers may then be sealed too."""
    requires_training_rights: bool = False
    """Only submissions count whose participant states, with the seal, that others may train on its answers."""
    late: Literal["refuse", "carry"] = "refuse"
    """`carry`: answers that are sealed after a round's end, and before the next one opens, count in that one, unless their
    participant seals others there."""
    answers_kept_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    """Days after the end of a round after which its answers are erased, as if each participant had asked for it; none: kept."""
    signatures: Signatures = Signatures.OPTIONAL

    @model_validator(mode="after")
    def _signs_no_other_round(self) -> "FederationCreate":
        if self.late == "carry" and self.signatures is Signatures.REQUIRED:
            raise ValueError(
                "signatures: required and late: carry do not go together: who signs a seal signs it for one round; leave one out"
            )
        return self


class Federation(FederationCreate):
    """A federation as the server holds it."""

    encoder: Digest
    """Digest of the encoder's identity, pinned when the federation was created."""
    created_at: datetime
    refusals_told_by: str | None = None
    """What tells refusals on the server, with its version; null where they are kept, and in federations of before 0.2.0."""
    retired_clusterer: str | None = None
    """What found its clusters under version 0.1.0, where that was not average linkage: it begins no more rounds."""


class FederationList(WireModel):
    """The federations that the caller may see."""

    items: list[Federation]


class ParticipantCreate(Request):
    """A participant to add."""

    participant: Name
    role: Role = Role.PARTICIPANT
    scopes: Scopes | None = None
    """Of its token; left out: every one of the role."""
    lifetime_seconds: Lifetime | None = None
    """Of its token; left out: until it is revoked."""


class Participant(WireModel):
    """A participant as the operator sees it."""

    participant: Name
    role: Role
    active: bool
    created_at: datetime
    certificates: list[str] = Field(default_factory=list)
    """SHA-256 of the client certificates of which its requests must show one; none: they need none."""
    seen_at: datetime | None = None
    """When it was last heard of, to some twenty seconds; null: never."""
    signing_key: str | None = None
    """The public key that signs its seals; null: none is registered, or the answer is about something else than the list."""


class ParticipantToken(WireModel):
    """Answer to the addition of a participant, or to a new token for it."""

    participant: Participant
    token: str
    """Shown this once; the server keeps a hash."""
    scopes: list[Scope] = Field(default_factory=list)
    """What it is for; none from a server of before."""
    expires_at: datetime | None = None
    """None: it holds until it is revoked."""


class ParticipantUpdate(Request):
    """A change to a participant."""

    active: bool


class CertificateBinding(Request):
    """The client certificates that a participant is bound to from now on."""

    certificates: Annotated[list[Digest], Field(max_length=MAX_CERTIFICATES)]
    """Of each the SHA-256 of its DER; none: it needs none."""


class ParticipantList(WireModel):
    """All participants of a federation."""

    items: list[Participant]


class Identity(WireModel):
    """Whose token this is."""

    federation: Name | None
    """None for operators of the server, whose tokens are valid for every federation."""
    participant: Name | None
    role: Role
    scopes: list[Scope] = Field(default_factory=list)
    """What the token is for; none from a server of before."""
    expires_at: datetime | None = None
    """When the token ends; None: when it is revoked."""
