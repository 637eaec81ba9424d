"""Errors on the wire: RFC 9457 problem details with a stable code."""

from pydantic import Field

from client_kit.vocabulary import ProblemCode
from client_kit.wire.base import WireModel

PROBLEM_MEDIA_TYPE = "application/problem+json"


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
    """What happened, in the words that all problems of this code share."""
    status: int
    code: ProblemCode
    detail: str
    """What happened this time."""
    remedy: str
    """What to do about it."""
    errors: list[FieldProblem] = Field(default_factory=list)
    request_id: str | None = None
    """Names the request in the server's log."""
