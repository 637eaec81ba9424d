"""The words that kit and server share: closed lists whose members travel as strings. Standard library only.

The messages of `client_kit.wire` are made of them, and so are the records of `consensus_server.core`.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """What a token allows."""

    OPERATOR = "operator"
    """Opens and closes rounds, adds participants, sees who answered what."""
    PARTICIPANT = "participant"
    """Submits, seals, fetches pseudo-labels, sees the fate of its own answers."""
    OBSERVER = "observer"
    """Reads rounds, cards and events."""


class Scope(StrEnum):
    """What one token may be used for, within the role of who holds it. The first three let it observe too."""

    SUBMIT = "submit"
    """Send and seal answers and parameters, appeal."""
    LABELS = "labels"
    """Read what came of a round: pseudo-labels, maps, rejections, reliability, traffic."""
    OPERATE = "operate"
    """Run federations: rounds, participants and their tokens, appeals."""
    OBSERVE = "observe"
    """Read terms, prompts, rounds, cards and events."""
    PANELS = "panels"
    """Ask every panel. For operators of the server: other callers stand in the panels file."""


class RoundState(StrEnum):
    """draft -> open -> closed -> aggregating -> published, or failed."""

    DRAFT = "draft"
    OPEN = "open"
    CLOSED = "closed"
    AGGREGATING = "aggregating"
    PUBLISHED = "published"
    FAILED = "failed"


class EventKind(StrEnum):
    """What happened to a round."""

    CREATED = "round.created"
    OPENED = "round.opened"
    SEALED = "submission.sealed"
    CLOSED = "round.closed"
    AGGREGATING = "round.aggregating"
    PUBLISHED = "round.published"
    FAILED = "round.failed"


class OnAbstention(StrEnum):
    """What a panel's client gets where the panel abstains."""

    NULL = "null"
    """No content, and the reason in `refusal`, as OpenAI's API lets a model decline."""
    TEXT = "text"
    """The reason as the content: for clients that show nothing but that."""
    ERROR = "error"
    """Status 422 with the code `abstained`, where no choice has an answer: for clients that take any content for one."""


class AggregationStep(StrEnum):
    """What an aggregation is doing, in this order."""

    ENCODING = "encoding"
    """Texts are given vectors."""
    COMPARING = "comparing"
    """Answers are searched for contradictions, question by question."""
    DECIDING = "deciding"
    """Meanings are found, answer by answer, and labels picked."""


class PullState(StrEnum):
    """How far the server has come with a participant in a round."""

    ASKING = "asking"
    SEALED = "sealed"
    """All prompts are answered or given up, and what there is was sealed."""
    FAILED = "failed"
    """It has no answer to seal."""


class AppealOutcome(StrEnum):
    """What an operator decided."""

    UPHELD = "upheld"
    """From the next aggregation on, the gate lets the participant's answers pass."""
    REJECTED = "rejected"


class DecideBy(StrEnum):
    """What a meaning needs to become a pseudo-label."""

    EVIDENCE = "evidence"
    """That the shares of their own samples that say it, summed over participants, lead the next meaning's by a margin."""
    SUPPORT = "support"
    """That enough participants stand behind it."""


class SecondHand(StrEnum):
    """What becomes of answers of models that were taught pseudo-labels."""

    EXCLUDE = "exclude"
    """They are no evidence, but where they contradict what was taught; the participant's last first-hand answers stand in."""
    COUNT = "count"
    """They count as any other."""


class Grade(StrEnum):
    """How good the evidence for a pseudo-label is."""

    CORROBORATED = "corroborated"
    """It leads by a participant or more: two stand behind it."""
    SINGLE_WITNESS = "single_witness"
    """It leads by less: one knows and the others guess. As good as that participant's private data."""


class Abstention(StrEnum):
    """Why a prompt has no pseudo-label."""

    NO_ANSWERS = "no_answers"
    """Nobody answered, or no answer was admitted."""
    SINGLE_ANSWER = "single_answer"
    """One answer, or one participant's, is nobody's agreement."""
    TIE = "tie"
    """Two clusters have the most votes."""
    CONTESTED = "contested"
    """As many votes stand behind an answer that contradicts the label as behind the label."""
    CONFLICT = "conflict"
    """Participants that are sure of it say different things."""
    LOW_EVIDENCE = "low_evidence"
    """The evidence leads by less than the policy asks for, and nobody or only one is sure."""
    LOW_SUPPORT = "low_support"
    """The dominant cluster has fewer votes than the policy asks for."""
    LOW_CONFIDENCE = "low_confidence"
    """The confidence score lies below the one that the policy's calibration asks for."""


WHY_ABSTAINED: Final[Mapping[Abstention, str]] = {
    Abstention.NO_ANSWERS: "no answer could be used",
    Abstention.SINGLE_ANSWER: "there is only one usable answer",
    Abstention.TIE: "several meanings have equal support",
    Abstention.CONTESTED: "an answer that contradicts the best one has as much support",
    Abstention.CONFLICT: "participants that are sure say different things",
    Abstention.LOW_EVIDENCE: "no meaning leads by enough evidence",
    Abstention.LOW_SUPPORT: "no meaning has enough support",
    Abstention.LOW_CONFIDENCE: "the confidence is lower than the policy's calibration allows",
}
"""Each reason in words that people read."""


def why_abstained(reason: str) -> str:
    """A reason in words; one of a newer server, as it is called there."""
    return WHY_ABSTAINED[Abstention(reason)] if reason in set(Abstention) else reason.replace("_", " ")


def abstained(counts: Mapping[str, int]) -> str:
    """Abstentions by reason in words, most frequent first: `7 tie (several meanings have equal support)`; empty for none."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return "; ".join(f"{count} {reason} ({why_abstained(reason)})" for reason, count in ranked)


RULE_NAMES: Final = (
    "cluster_medoid", "fused", "geometric_median", "hybrid", "longest", "medoid", "random", "vote", "weighted_medoid",
)  # fmt: skip
"""Rules that the server knows, so that a wrong name is told before one is started. A test compares both."""

CONFIDENCE_NAMES: Final = (
    "agreement", "dominant_share", "evidence", "independent_similarity", "mean_similarity", "semantic_entropy",
    "support_fraction", "trusted_similarity",
)  # fmt: skip
"""Confidence scores that the server knows, likewise."""


class ProblemCode(StrEnum):
    """Stable names of everything that can go wrong. A client branches on these, never on text."""

    # 400
    INVALID_JSON = "invalid_json"
    INVALID_UTF8 = "invalid_utf8"
    BROKEN_ENCODING = "broken_encoding"
    TRUNCATED_BODY = "truncated_body"
    EMPTY_BODY = "empty_body"
    AMBIGUOUS_LENGTH = "ambiguous_length"
    # 401, 403
    UNAUTHENTICATED = "unauthenticated"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - a code
    IDENTITY_REFUSED = "identity_refused"
    WRONG_CERTIFICATE = "wrong_certificate"
    FORBIDDEN = "forbidden"
    OUT_OF_SCOPE = "out_of_scope"
    # 404
    UNKNOWN_ROUTE = "unknown_route"
    UNKNOWN_FEDERATION = "unknown_federation"
    UNKNOWN_PARTICIPANT = "unknown_participant"
    UNKNOWN_OPERATOR = "unknown_operator"
    UNKNOWN_TOKEN = "unknown_token"  # noqa: S105 - a code
    UNKNOWN_INVITATION = "unknown_invitation"
    UNKNOWN_PROMPT_SET = "unknown_prompt_set"
    UNKNOWN_ROUND = "unknown_round"
    NO_PARAMETERS = "no_parameters"
    UNKNOWN_APPEAL = "unknown_appeal"
    # 405, 406, 415
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    # 409
    ALREADY_EXISTS = "already_exists"
    ANSWER_CONFLICT = "answer_conflict"
    SUBMISSION_SEALED = "submission_sealed"
    SEAL_MISMATCH = "seal_mismatch"
    ROUND_NOT_OPEN = "round_not_open"
    ROUND_NOT_PUBLISHED = "round_not_published"
    ROUND_FAILED = "round_failed"
    ROUND_IN_PROGRESS = "round_in_progress"
    INVALID_TRANSITION = "invalid_transition"
    NOTHING_TO_APPEAL = "nothing_to_appeal"
    VECTORS_MISSING = "vectors_missing"
    INVITATION_USED = "invitation_used"
    INVITATION_EXPIRED = "invitation_expired"
    # 413
    BODY_TOO_LARGE = "body_too_large"
    # 422
    VALIDATION_FAILED = "validation_failed"
    UNKNOWN_PROMPT = "unknown_prompt"
    ANSWER_TOO_LONG = "answer_too_long"
    TOO_MANY_SAMPLES = "too_many_samples"
    PROMPT_SET_MISMATCH = "prompt_set_mismatch"
    UNKNOWN_RULE = "unknown_rule"
    PARAMETERS_REFUSED = "parameters_refused"
    TRAINING_RIGHTS_MISSING = "training_rights_missing"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_REFUSED = "signature_refused"
    # 429
    RATE_LIMITED = "rate_limited"
    # 5xx
    INTERNAL = "internal"
    NOT_READY = "not_ready"
    SERVER_BUSY = "server_busy"


def code_named(error: str) -> ProblemCode | None:
    """The code of an error's class: the name in snake case, `RoundNotOpen` to `round_not_open`; None for no code's name."""
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", error).lower()
    return ProblemCode(name) if name in set(ProblemCode) else None
