"""What a client of OpenAI's API may send here. What cannot be honoured is refused, or told where it does no harm: never passed over in silence."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ModelWrapValidatorHandler, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from client_kit.vocabulary import OnAbstention
from client_kit.wire import Equivalence
from consensus_server.core.inference import AnswerForm, Message, Question, ToolCall
from consensus_server.http_api.openai_compat.forms import (
    CalledTool,
    ChosenTool,
    ResponseFormat,
    Tools,
    answer_form,
    unchecked,
)

MAX_CHOICES = 8
"""Each choice is a fan-out of its own, which somebody pays for."""

MAX_TOKENS = 1_000_000
"""Of one answer: longer ones no upstream gives, and no budget could reckon with."""

_MOST_SAMPLES = 32
"""Of a panel; each has a seed of its own."""

UNSUPPORTED = "unsupported_parameter"
"""Type of the pydantic error, and code on the wire."""

_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "audio": (),
    "best_of": (1,),
    "echo": (False,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "logit_bias": ({},),
    "logprobs": (False, 0),
    "modalities": (["text"],),
    "moderation": (),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "reasoning_effort": (),
    "response_format": ({"type": "text"},),
    "store": (False,),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "verbosity": (),
    "web_search_options": (),
}
"""Parameters of OpenAI's API that a panel, or one of its routes, cannot honour, with the values that ask for nothing; null always does."""

_HINTS = frozenset(
    {
        "cache_control",
        "keep_alive",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "top_k",
        "user",
    }
)
"""For a provider's own books and machines: accepted, given to nobody, so that upstreams learn nothing about who asks, and told in
`consensus.warnings`."""

_MESSAGE_ORNAMENTS = frozenset({"annotations", "audio", "function_call", "name", "parsed"})
"""What an answer carries beside its text, and what comes back when it is appended to the conversation."""


class RequestModel(BaseModel):
    """Unknown fields are refused: a misspelt option must not pass unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class TextPart(RequestModel):
    """A part of a message's content. Text is the only kind that upstreams of any make can compare."""

    type: Literal["text"]
    text: str
    cache_control: dict[str, Any] | None = None
    """A hint to one provider; given to nobody."""


class ChatMessage(RequestModel):
    """One turn of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    refusal: str | None = None
    """Of an assistant's turn that stood in an earlier answer."""
    tool_calls: list[CalledTool] | None = None
    """Of an assistant's turn."""
    tool_call_id: str | None = None
    """Of a tool's turn: the call whose result it is."""

    @model_validator(mode="before")
    @classmethod
    def _without_ornaments(cls, data: Any) -> Any:  # noqa: ANN401 - whatever was sent
        if not isinstance(data, dict):
            return data
        for field in sorted(_MESSAGE_ORNAMENTS & data.keys() - {"name", "parsed"}):
            if data[field]:
                raise _unsupported(field)
        return {key: value for key, value in data.items() if key not in _MESSAGE_ORNAMENTS}

    @model_validator(mode="after")
    def _calls_where_they_belong(self) -> Self:
        if (self.role == "tool") != (self.tool_call_id is not None):
            raise ValueError("tool_call_id stands in a turn of the role tool, and only there")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("tool_calls stand in an assistant's turn")
        return self

    @property
    def turn(self) -> Message:
        """As upstreams are told it."""
        calls = (ToolCall(each.id, each.function.name, each.function.arguments) for each in self.tool_calls or ())
        return Message(self.role, self.text, tuple(calls), self.tool_call_id)

    @property
    def text(self) -> str:
        """Its parts, one after the other."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or self.refusal or ""


class StreamOptions(RequestModel):
    """How to stream."""

    include_usage: bool = False
    """One more chunk before the end, with the tokens."""
    include_obfuscation: bool = False
    """Accepted for the clients that send it; nothing is added."""


class ConsensusOptions(RequestModel):
    """What this server adds to OpenAI's requests (`extra_body={"consensus": {...}}`)."""

    answers: bool = False
    """Give every upstream's answer with the decision."""
    on_abstention: OnAbstention | None = None
    """`null`, `text` or `error`; not set: as the panel has it."""
    equivalence: Equivalence | None = None
    """When two answers mean the same; not set: as the panel has it, and `json` where JSON is asked for and the panel names no other
    than `semantic`."""
    max_total_tokens: Annotated[int, Field(ge=0)] | None = None
    """Most that the request may cost, in prompt and completion tokens of all upstreams; an adaptive panel asks fewer for it."""


class Asked(RequestModel):
    """What all questions to a panel have in common. A field that is not set is the upstream's own."""

    NEUTRAL: ClassVar[Mapping[str, tuple[object, ...]]] = _NEUTRAL

    model: Annotated[str, Field(min_length=1)]
    """Name of the panel."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    stream: bool | None = None
    """Send the answer in chunks, once it is decided."""
    stream_options: StreamOptions | None = None
    consensus: ConsensusOptions = ConsensusOptions()
    _hints: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="before")
    @classmethod
    def _without_what_asks_for_nothing(cls, data: Any) -> Any:  # noqa: ANN401 - whatever was sent
        if not isinstance(data, dict):
            return data
        refused = cls.NEUTRAL.keys() - cls.model_fields.keys()
        for field in sorted(refused):
            if data.get(field) is not None and data[field] not in cls.NEUTRAL[field]:
                raise _unsupported(field)
        return {key: value for key, value in data.items() if key not in refused}

    @model_validator(mode="wrap")
    @classmethod
    def _without_hints(cls, data: Any, read: ModelWrapValidatorHandler[Self]) -> Self:  # noqa: ANN401 - as above
        if not isinstance(data, dict):
            return read(data)
        asked = read({key: value for key, value in data.items() if key not in _HINTS})
        asked._hints = tuple(sorted(key for key in _HINTS & data.keys() if data[key] is not None))  # noqa: SLF001 - its own
        return asked

    @property
    def warnings(self) -> list[str]:
        """What was sent, does no harm, and has no effect here."""
        keywords = unchecked(self.form)
        return [
            *(f"{hint} has no effect: a panel gives it to no upstream" for hint in self._hints),
            *(f"{keyword} is told to upstreams, and answers are not held against it" for keyword in keywords),
        ]

    def equivalence(self, of_panel: str) -> str:
        """When two answers mean the same."""
        if self.consensus.equivalence is not None:
            return self.consensus.equivalence.value
        wants_json = self.form is not None and self.form.json is not None and of_panel == Equivalence.SEMANTIC
        return Equivalence.JSON.value if wants_json else of_panel

    @model_validator(mode="after")
    def _options_of_streams_only(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options stands with stream=true only")
        return self

    @property
    def choices(self) -> int:
        """Independent decisions that are asked for."""
        return 1

    @cached_property
    def form(self) -> AnswerForm | None:
        """What an answer has to be. Raises UnusableForm."""
        return None

    def question(self) -> Question:
        """What is put to every upstream. Raises UnusableForm."""
        raise NotImplementedError


class AskedOfPanel(Asked):
    """What chat and completions have in common."""

    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    """Choices: independent decisions, each over one more answer of every upstream."""
    max_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    """Longest answer of an upstream, in its own tokens."""
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63 - MAX_CHOICES * _MOST_SAMPLES)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None

    @property
    def choices(self) -> int:
        return self.n or 1

    def _sampling(self) -> dict[str, Any]:
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "stop": tuple(stop),
            "seed": self.seed,
            "presence_penalty": self.presence_penalty,
            "frequency_penalty": self.frequency_penalty,
        }


class ChatRequest(AskedOfPanel):
    """`POST /v1/chat/completions`."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    """The newer name of `max_tokens`."""
    response_format: ResponseFormat | None = None
    tools: Tools | None = None
    tool_choice: ChosenTool = None
    parallel_tool_calls: bool | None = None

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise ValueError("max_tokens and max_completion_tokens are two names of one limit; send one of them")
        return self

    @cached_property
    def form(self) -> AnswerForm | None:
        return answer_form(
            self.response_format, self.tools or (), self.tool_choice, parallel_tool_calls=self.parallel_tool_calls
        )

    def question(self) -> Question:
        limit = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        messages = tuple(each.turn for each in self.messages)
        return Question(messages=messages, form=self.form, **(self._sampling() | {"max_tokens": limit}))


class CompletionRequest(AskedOfPanel):
    """`POST /v1/completions`."""

    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)]
    """One text; several are several requests."""

    def question(self) -> Question:
        text = self.prompt if isinstance(self.prompt, str) else self.prompt[0]
        return Question(text=text, **self._sampling())


def _unsupported(field: str) -> PydanticCustomError:
    why = f"send {_NEWER[field]}" if field in _NEWER else "a panel compares whole answers in plain text"
    return PydanticCustomError(UNSUPPORTED, "{field} is not supported: {why}", {"field": field, "why": why})


_NEWER: Mapping[str, str] = {"functions": "tools", "function_call": "tools and tool_choice, or tool_calls"}
"""Names of today for what OpenAI's API calls deprecated."""
