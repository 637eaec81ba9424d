"""Errors on the wire: RFC 9457 problem details with a stable code."""

from enum import StrEnum

from pydantic import Field

from client_kit.wire.base import WireModel

PROBLEM_MEDIA_TYPE = "application/problem+json"


class ProblemCode(StrEnum):
    """Stable names of everything that can go wrong. A client branches on these, never on text."""

    # 400
    INVALID_JSON = "invalid_json"
    INVALID_UTF8 = "invalid_utf8"
    BROKEN_ENCODING = "broken_encoding"
    TRUNCATED_BODY = "truncated_body"
    EMPTY_BODY = "empty_body"
    # 401, 403
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    # 404
    UNKNOWN_ROUTE = "unknown_route"
    UNKNOWN_FEDERATION = "unknown_federation"
    UNKNOWN_PARTICIPANT = "unknown_participant"
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
    # 429
    RATE_LIMITED = "rate_limited"
    # 5xx
    INTERNAL = "internal"
    NOT_READY = "not_ready"


class FieldProblem(WireModel):
    """One faulty field or line."""

    where: str
    """`line 12: text`, or `policy.rule`."""
    message: str


class Problem(WireModel):
    """Body of every error answer, `application/problem+json`."""

    type: str
    """`urn:semantic-consensus:problem:<code>`."""
    title: str
    """What kind of problem it is: one title for each code."""
    status: int
    code: ProblemCode
    detail: str
    """What happened this time."""
    remedy: str
    """What to do about it."""
    errors: list[FieldProblem] = Field(default_factory=list)
    request_id: str | None = None
    """Names the request in the server's log."""
