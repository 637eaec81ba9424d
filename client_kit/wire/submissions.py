"""Submissions: a participant's answers in one round, sent as NDJSON, then sealed."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from client_kit.wire.base import Request, WireModel
from client_kit.wire.limits import MAX_ANSWER_CHARS, MAX_ROUND, MAX_SAMPLES, NUL_FREE, Digest, Name, PromptId
from client_kit.wire.signatures import PublicKey, Signature


class FinishReason(StrEnum):
    """How a generation ended."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    UNKNOWN = "unknown"


class Usage(Request):
    """Tokens that one answer took."""

    prompt_tokens: Annotated[int, Field(ge=0)]
    completion_tokens: Annotated[int, Field(ge=0)]


class Answer(Request):
    """One generation for one prompt: one line of the NDJSON body."""

    prompt_id: PromptId
    sample: Annotated[int, Field(ge=0, lt=MAX_SAMPLES)] = 0
    text: Annotated[str, Field(max_length=MAX_ANSWER_CHARS), NUL_FREE]
    finish_reason: FinishReason = FinishReason.UNKNOWN
    usage: Usage | None = None


class SubmissionReceipt(WireModel):
    """What one request changed. A request is stored whole or not at all."""

    stored: int
    """Answers new with this request."""
    unchanged: int
    """Answers that were held already, with the same content."""
    replaced: int
    """Answers whose content this request replaced (`?replace=true`)."""
    held: int
    """Answers of this participant in this round after the request."""


class HeldAnswer(WireModel):
    """Key and content digest of an answer that the server holds."""

    prompt_id: PromptId
    sample: int
    digest: Digest


class HeldSubmission(WireModel):
    """What the server holds of the caller's submission, so that a client can resume."""

    answers: list[HeldAnswer]
    sealed: bool
    digest: Digest
    """`submission_digest` of `answers`."""


class Withdrawal(WireModel):
    """What a participant took back before its seal."""

    withdrawn: int
    """Answers that the server held, and holds no more."""


class PrivacyStatement(Request):
    """A participant's word: how little all its trainings so far reveal about one of its private records.

    (epsilon, delta)-differential privacy of everything that was computed from its model, over all rounds. A claim: the
    server cannot check it.
    """

    epsilon: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    delta: Annotated[float, Field(ge=0, lt=1)]
    accountant: Name | None = None
    """How epsilon was computed: `prv` (arXiv 2106.02848), `rdp` (arXiv 1908.10530), or another."""


class Seal(Request):
    """Closes a submission: it is complete, and enters the pools."""

    count: Annotated[int, Field(ge=0)]
    digest: Digest
    """`submission_digest` of all answers, as the participant counts them."""
    training_rights: bool = False
    """The participant states: its model's licence, and the terms of who runs it, let others train on these answers."""
    privacy: PrivacyStatement | None = None
    """What the participant states about its private records; null: nothing."""
    taught_through: Annotated[int, Field(ge=0, le=MAX_ROUND)] = 0
    """The newest round whose pseudo-labels the model that answered was trained on; 0: none, its answers are first-hand. A claim:
    the server cannot check it, and says where it looks wrong."""
    carried_from: Annotated[int, Field(ge=1, le=MAX_ROUND)] | None = None
    """The participant's sealed answers of that round stand for this one too, and none are sent: nothing has changed since."""
    signature: Signature | None = None
    """By the participant's signing key, of the seal's statement (`client_kit.wire.statements.seal_statement`)."""


class SealReceipt(WireModel):
    """Proof of a sealed submission."""

    federation: Name
    number: int
    participant: Name
    count: int
    digest: Digest
    sealed_at: datetime
    privacy: PrivacyStatement | None = None
    """As it was stated with the first seal, which stands."""
    late: bool = False
    """The round had ended: the submission counts in the next one, unless others are sealed there."""
    signed_by: PublicKey | None = None
    """The key whose signature the server keeps; null: the seal that stands is not signed."""
