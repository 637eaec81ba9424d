"""A question to a panel, what an upstream replies, and how it can fail. Frozen records."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from consensus_server.core.answer_schemas import AnswerSchema

DEPTH_HEADER: Final = "X-Consensus-Depth"
"""Tells an upstream how many panels a question has passed: panels that are upstreams of one another would ask for ever."""
DEEPEST: Final = 4
"""Panels behind one another that answer."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that a model wants called."""

    id: str
    """The model's name for this call, by which the result is given back."""
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    """`system`, `developer`, `user`, `assistant` or `tool`."""
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant's turn."""
    tool_call_id: str | None = None
    """Of a tool's turn: the call whose result it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """What an answer has to be; `answer_forms.fitting` holds replies against it."""

    fields: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """What is passed on to upstreams: `response_format`, `tools` and theirs, as OpenAI's API has them."""
    json: AnswerSchema | None = field(default=None, compare=False)
    """What a text has to fit; None: it may be any."""
    tools: Mapping[str, AnswerSchema] = field(default_factory=lambda: MappingProxyType({}), compare=False)
    """Arguments of each tool that may be called, by its name."""
    must_call: bool = False
    """Whether a text is no answer."""


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
    form: AnswerForm | None = None
    """What an answer has to be; None: a text."""
    depth: int = 0
    """Panels that the question has passed on its way here."""

    @property
    def texts(self) -> list[str]:
        """All that an upstream is given to read: turns with their calls of tools, schemas and tools, or the text to continue."""
        calls = [call.name + call.arguments for message in self.messages for call in message.tool_calls]
        form = [] if self.form is None else [json.dumps(field) for field in self.form.fields.values()]
        return [*(message.content for message in self.messages), *calls, *form] or [self.text]

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
    tool_calls: tuple[ToolCall, ...] = ()
    """What it wants called; `text` then stands for these calls in a pool."""
    beside: str = ""
    """What it said beside its calls."""

    def calling(self, text: str) -> "Reply":
        """The reply with what stands for its calls in a pool."""
        return replace(self, text=text, beside=self.text)

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
    NOT_JSON = "not_json"
    """JSON was asked for, and its answer, or what it calls a tool with, is none."""
    SCHEMA_MISMATCH = "schema_mismatch"
    """Its JSON does not fit the schema that was asked for."""
    UNKNOWN_TOOL = "unknown_tool"
    """It calls a tool that it was not given, or not the one that it had to call."""
    NO_TOOL_CALL = "no_tool_call"
    """It had to call a tool, and answers in words."""


class UpstreamFailed(Exception):  # noqa: N818 - reads as what happened
    """An upstream gave no reply. The message holds no secret and nothing of the question."""

    def __init__(
        self,
        failure: Failure,
        message: str,
        detail: str | None = None,
        reply: Reply | None = None,
        *,
        cost_unknown: bool = False,
    ) -> None:
        super().__init__(encodable(message))
        self.failure = failure
        self.detail = None if detail is None else encodable(detail)
        """Where the reply is not of the form that was asked for."""
        self.reply = reply
        """What it said, where that is of no use: it was paid for."""
        self.cost_unknown = cost_unknown
        """Whether it may have begun an answer that nobody has counted, as where time ran out."""


def encodable(text: str) -> str:
    """The text without halves of surrogate pairs, which UTF-8, and so no answer and no log, can hold."""
    return text.encode("utf-8", "ignore").decode()


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

    @property
    def said(self) -> Reply | None:
        """Its reply, also one that has no vote because it is not of the form that was asked for."""
        return self.reply if self.failure is None else self.failure.reply

    called: str = ""
    """Name of its own among the samples of a panel's only upstream; empty: that of the upstream."""

    @property
    def voter(self) -> str:
        """Whose vote it is."""
        return self.called or self.upstream
