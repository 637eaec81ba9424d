"""What a client of OpenAI's Responses API may send to a panel: text in, text out. Nothing is kept between requests."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import Discriminator, Field, Tag, field_validator

from consensus_server.core.inference import AnswerForm, Message, Question
from consensus_server.http_api.openai_compat.forms import FormModel, ResponseFormat, Schema, ToolName, answer_form
from consensus_server.http_api.openai_compat.requests import MAX_TOKENS, Asked, RequestModel, TextPart

_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "background": (False,),
    "context_management": ([],),
    "conversation": (),
    "include": ([],),
    "max_tool_calls": (),
    "moderation": (),
    "parallel_tool_calls": (True, False),
    "previous_response_id": (),
    "prompt": (),
    "reasoning": ({},),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "truncation": ("disabled",),
}
"""Parameters of this API that a panel cannot honour, with the values that ask for nothing; null always does."""


class InputPart(TextPart):
    """A part of a turn. Text is the only kind that upstreams of any make can compare."""

    type: Literal["input_text", "output_text"]  # type: ignore[assignment]  # other names than in a chat
    annotations: list[Any] = Field(default_factory=list)
    """Of a text that stood in an earlier answer; given to nobody."""
    logprobs: list[Any] | None = None


class RefusalPart(RequestModel):
    """Why an earlier answer was none."""

    type: Literal["refusal"]
    refusal: str


Item = TypeVar("Item")
TextOr = Annotated[
    Annotated[str, Tag("a text")] | Annotated[list[Item], Field(min_length=1), Tag("a list")],
    Discriminator(lambda given: "a list" if isinstance(given, list) else "a text"),
]
"""A text, or a list of items; a fault is told where it lies in what was sent."""


class InputMessage(RequestModel):
    """One turn of the conversation; also one that stood in an earlier answer."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: TextOr[Annotated[InputPart | RefusalPart, Field(discriminator="type")]]
    id: str | None = None
    status: Literal["in_progress", "completed", "incomplete"] | None = None
    phase: str | None = None

    @property
    def turn(self) -> Message:
        """As upstreams are told it."""
        if isinstance(self.content, str):
            return Message(self.role, self.content)
        texts = (part.refusal if isinstance(part, RefusalPart) else part.text for part in self.content)
        return Message(self.role, "\n".join(texts))


class TextFormat(FormModel):
    """Whether an answer is text or JSON."""

    type: Literal["text", "json_object", "json_schema"] = "text"
    name: ToolName | None = None
    description: str | None = None
    schema_: Schema | None = Field(default=None, alias="schema")
    strict: bool | None = None

    def in_a_chat(self) -> ResponseFormat:
        """The same as chat completions have it. Raises ValueError."""
        named = self.model_dump(by_alias=True, exclude_unset=True, exclude={"type"})
        return ResponseFormat.model_validate({"type": self.type, **({"json_schema": named} if named else {})})


class TextOptions(FormModel):
    """What the answer is to be."""

    format: TextFormat = TextFormat()

    @field_validator("format")
    @classmethod
    def _of_a_known_form(cls, given: TextFormat) -> TextFormat:
        if (given.type == "json_schema") != (given.name is not None and given.schema_ is not None):
            raise ValueError("name and schema stand with type json_schema, and only there")
        return given


class ResponsesRequest(Asked):
    """`POST /v1/responses`."""

    NEUTRAL: ClassVar[Mapping[str, tuple[object, ...]]] = _NEUTRAL

    input: TextOr[InputMessage]
    instructions: str | None = None
    """A system's turn before the input."""
    max_output_tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] | None = None
    """Longest answer of an upstream, in its own tokens."""
    text: TextOptions = TextOptions()
    store: bool | None = None
    """Nothing is stored, whatever is said here."""

    @property
    def warnings(self) -> list[str]:
        """What was sent, does no harm, and has no effect here."""
        kept = "store has no effect: nothing is stored, and previous_response_id is not supported"
        return super().warnings + ([] if self.store is False else [kept])

    @cached_property
    def form(self) -> AnswerForm | None:
        return answer_form(self.text.format.in_a_chat(), schema_at=("text", "format", "schema"))

    def question(self) -> Question:
        turns = [Message("user", self.input)] if isinstance(self.input, str) else [each.turn for each in self.input]
        first = [] if self.instructions is None else [Message("system", self.instructions)]
        return Question(
            messages=(*first, *turns),
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_output_tokens,
            form=self.form,
        )
