"""`response_format` and tools, as requests have them, and what they make of an answer."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, model_validator

from consensus_server.core.answer_schemas import AnswerSchema, UnusableSchema
from consensus_server.core.inference import AnswerForm

MOST_TOOLS = 128
MOST_TOOL_CHARS = 100_000
"""Of the JSON of all tools together, which every upstream has to read."""

_ANY_OBJECT = {"type": "object"}


class FormModel(BaseModel):
    """A part of a request. Unknown fields are refused: a misspelt option must not pass unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


Schema = dict[str, JsonValue]
"""A JSON schema. Whether it can be used is looked at in `answer_form`, which takes its time."""
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class NamedSchema(FormModel):
    """A JSON schema that answers have to fit."""

    name: ToolName
    description: str | None = None
    schema_: Schema | None = Field(default=None, alias="schema")
    strict: bool | None = None
    """For upstreams that can hold their model to it. Answers are held against the schema here in any case."""


class ResponseFormat(FormModel):
    """Whether an answer is text or JSON."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None

    @model_validator(mode="after")
    def _schema_where_it_belongs(self) -> Self:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema stands with type json_schema, and only there")
        return self


class Function(FormModel):
    """A function that a model may want called."""

    name: ToolName
    description: str | None = None
    parameters: Schema | None = None
    """None: it takes an empty object."""
    strict: bool | None = None


class Tool(FormModel):
    """Functions are the only kind of tools."""

    type: Literal["function"]
    function: Function


class FunctionName(FormModel):
    """The one that must be called."""

    name: str


class NamedTool(FormModel):
    """The tool that must be called."""

    type: Literal["function"]
    function: FunctionName


ToolChoice = Literal["none", "auto", "required"] | NamedTool


class CalledFunction(FormModel):
    """What was called, and with what."""

    name: str
    arguments: str
    """JSON."""
    parsed_arguments: JsonValue = None
    """What OpenAI's client adds to a call that it streamed; given to nobody."""


class CalledTool(FormModel):
    """A call in an assistant's turn."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction
    index: int | None = None
    """Its place in a stream; given to nobody."""


def _of_different_names(tools: list[Tool]) -> list[Tool]:
    if len({tool.function.name for tool in tools}) < len(tools):
        raise ValueError("two tools have the same name")
    if sum(len(tool.model_dump_json()) for tool in tools) > MOST_TOOL_CHARS:
        raise ValueError(f"the tools have more than {MOST_TOOL_CHARS:,} characters")
    return tools


Tools = Annotated[list[Tool], Field(max_length=MOST_TOOLS), AfterValidator(_of_different_names)]


def _among_the_tools(choice: ToolChoice | None, info: ValidationInfo) -> ToolChoice | None:
    names = [tool.function.name for tool in info.data.get("tools") or ()]
    if choice == "required" and not names:
        raise ValueError("there are no tools, and one is required")
    if isinstance(choice, NamedTool) and choice.function.name not in names:
        raise ValueError(f"{choice.function.name[:64]!r} is none of the tools")
    return choice


ChosenTool = Annotated[ToolChoice | None, AfterValidator(_among_the_tools)]
"""In a request whose field `tools` stands before it."""


class UnusableForm(ValueError):  # noqa: N818 - reads as what is wrong
    """A schema of a request cannot be used."""

    def __init__(self, where: tuple[str | int, ...], why: str) -> None:
        super().__init__(why)
        self.where = where
        """Fields of the request, from the outermost."""


def answer_form(
    response_format: ResponseFormat | None,
    tools: Sequence[Tool] = (),
    choice: ToolChoice | None = None,
    *,
    parallel_tool_calls: bool | None = None,
    schema_at: tuple[str, ...] = ("response_format", "json_schema", "schema"),
) -> AnswerForm | None:
    """What an answer has to be; None where a text is all that is asked for. Takes up to a second for schemas that are new.

    schema_at: where the request has the schema of its answers. Raises UnusableForm.
    """
    schema = _schema_of_answers(response_format, schema_at)
    if schema is None and not tools:
        return None
    if isinstance(choice, NamedTool):
        may_call = {choice.function.name}
    else:
        may_call = set[str]() if choice == "none" else {tool.function.name for tool in tools}
    schemas = {tool.function.name: _schema_of_arguments(tool, place) for place, tool in enumerate(tools)}
    fields: dict[str, Any] = {
        "response_format": _sent(response_format) if response_format is not None and schema is not None else None,
        "tools": [_sent(tool) for tool in tools] or None,
        "tool_choice": (_sent(choice) if isinstance(choice, NamedTool) else choice) if tools else None,
        "parallel_tool_calls": parallel_tool_calls if tools else None,
    }
    return AnswerForm(
        fields={name: value for name, value in fields.items() if value is not None},
        json=schema,
        tools={name: each for name, each in schemas.items() if name in may_call},
        must_call=choice == "required" or isinstance(choice, NamedTool),
    )


def _schema_of_answers(given: ResponseFormat | None, at: tuple[str, ...]) -> AnswerSchema | None:
    if given is None or given.type == "text":
        return None
    named = given.json_schema and given.json_schema.schema_
    return _usable(_ANY_OBJECT if given.type == "json_object" else named or {}, at)


def _schema_of_arguments(tool: Tool, place: int) -> AnswerSchema:
    return _usable(tool.function.parameters or _ANY_OBJECT, ("tools", place, "function", "parameters"))


def _usable(schema: Mapping[str, Any], where: tuple[str | int, ...]) -> AnswerSchema:
    try:
        return _compiled(json.dumps(schema))
    except UnusableSchema as error:
        raise UnusableForm(where, str(error)) from None


@lru_cache(maxsize=256)
def _compiled(schema: str) -> AnswerSchema:
    """An application sends the same ones again and again."""
    return AnswerSchema(json.loads(schema))


def unchecked(form: AnswerForm | None) -> list[str]:
    """Keywords of schemas that upstreams are told and that nobody checks here."""
    schemas = [] if form is None else [*form.tools.values(), *([form.json] if form.json else [])]
    return sorted({keyword for schema in schemas for keyword in schema.unchecked})


def _sent(part: FormModel) -> Any:  # noqa: ANN401 - a JSON object
    return part.model_dump(mode="json", by_alias=True, exclude_unset=True)
