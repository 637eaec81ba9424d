"""A question to a panel, what an upstream replies, and how it can fail. Frozen records."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

DEPTH_HEADER: Final = "X-Consensus-Depth"
"""Tells an upstream how many panels a question has passed: panels that are upstreams of one another would ask for ever."""
DEEPEST: Final = 4
"""Panels behind one another that answer."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """`system`, `developer`, `user` or `assistant`."""
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What every upstream of a panel is asked, in the same words. A setting that is None is the upstream's own."""

    messages: tuple[Message, ...] = ()
    """A conversation; empty where `text` is to be continued."""
    text: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    """Longest answer, in the upstream's tokens."""
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    depth: int = 0
    """Panels that the question has passed on its way here."""

    @property
    def last(self) -> str:
        """What is asked in the end: the last turn of the user, or the text to continue."""
        turns = [message.content for message in self.messages if message.role == "user"]
        return turns[-1] if turns else self.text


@dataclass(frozen=True, slots=True)
class Reply:
    """What an upstream said, without its reasoning."""

    text: str
    finish_reason: str
    """`stop`, `length`, `content_filter` or `unknown`."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    @property
    def finished(self) -> bool:
        """Whether it is a whole text, which nothing has cut."""
        return self.finish_reason == "stop"


class Failure(StrEnum):
    """Why an upstream gave no reply."""

    UNREACHABLE = "unreachable"
    """No connection, one that broke, or no answer in time."""
    SERVER_ERROR = "server_error"
    """It answers that it fails, or has too much to do (5xx)."""
    RATE_LIMITED = "rate_limited"
    MOVED = "moved"
    """It sends requests on to another address, where nobody follows."""
    REFUSED_KEY = "refused_key"
    UNKNOWN_MODEL = "unknown_model"
    CONTEXT_TOO_LONG = "context_too_long"
    REFUSED_PROMPT = "refused_prompt"
    """A filter or a moderation takes the question, or the answer to it."""
    REFUSED_PARAMETER = "refused_parameter"
    """It refuses a field of the request, whatever is asked."""
    REFUSED_REQUEST = "refused_request"
    """It says neither what is wrong with the request nor with the question."""
    NO_COMPLETION = "no_completion"
    """It answered with something else than a completion, or without end."""
    EMPTY = "empty"
    """A completion without content, with reasoning only, or the abstention of a panel."""


class UpstreamFailed(Exception):  # noqa: N818 - reads as what happened
    """An upstream gave no reply. The message holds no secret and nothing of the question."""

    def __init__(self, failure: Failure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


class RequestState(StrEnum):
    """What became of one request to one upstream."""

    ANSWERED = "answered"
    REFUSED = "refused"
    """Its model declines to answer, and the panel drops refusals."""
    FAILED = "failed"
    LATE = "late"
    """It had not answered when the panel decided."""
    NOT_ASKED = "not_asked"
    """The answer stood without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """One request to one upstream."""

    upstream: str
    choice: int = 0
    sample: int
    """Place among the samples of that upstream for that choice."""
    state: RequestState
    seconds: float
    """From the request to its end, or to the moment when the panel went on without it."""
    reply: Reply | None = None
    failure: UpstreamFailed | None = None
    called: str = ""
    """Name of its own among the samples of a panel's only upstream; empty: that of the upstream."""

    @property
    def voter(self) -> str:
        """Whose vote it is."""
        return self.called or self.upstream
