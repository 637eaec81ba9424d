"""`response_format` and tools, as requests have them, and what they make of an answer."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationInfo, model_validator

from consensus_server.core.answer_schemas import AnswerSchema
from consensus_server.core.inference import AnswerForm

MOST_TOOLS = 128

_ANY_OBJECT = {"type": "object"}


class FormModel(BaseModel):
    """A part of a request. Unknown fields are refused: a misspelt option must not pass unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _usable(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Raises UnusableSchema, which is told as a fault of the field."""
    AnswerSchema(schema)
    return schema


UsableSchema = Annotated[dict[str, JsonValue], AfterValidator(_usable)]
"""A JSON schema without references in a circle or to other documents, of bounded size and depth."""
ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class NamedSchema(FormModel):
    """A JSON schema that answers have to fit."""

    name: ToolName
    description: str | None = None
    schema_: UsableSchema | None = Field(default=None, alias="schema")
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

    @property
    def schema_of_answers(self) -> AnswerSchema | None:
        """What answers have to fit; None for text."""
        if self.type == "text":
            return None
        given = self.json_schema and self.json_schema.schema_
        return AnswerSchema(_ANY_OBJECT if self.type == "json_object" else given or {})


class Function(FormModel):
    """A function that a model may want called."""

    name: ToolName
    description: str | None = None
    parameters: UsableSchema | None = None
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


class CalledTool(FormModel):
    """A call in an assistant's turn."""

    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


def _of_different_names(tools: list[Tool]) -> list[Tool]:
    if len({tool.function.name for tool in tools}) < len(tools):
        raise ValueError("two tools have the same name")
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


def answer_form(
    response_format: ResponseFormat | None,
    tools: Sequence[Tool],
    choice: ToolChoice | None,
    *,
    parallel_tool_calls: bool | None,
) -> AnswerForm | None:
    """What an answer has to be; None where a text is all that is asked for."""
    schema = response_format.schema_of_answers if response_format else None
    if schema is None and not tools:
        return None
    callable_ = [] if choice == "none" else tools
    if isinstance(choice, NamedTool):
        callable_ = [tool for tool in tools if tool.function.name == choice.function.name]
    fields: dict[str, Any] = {
        "response_format": _sent(response_format) if response_format is not None and schema is not None else None,
        "tools": [_sent(tool) for tool in tools] or None,
        "tool_choice": (_sent(choice) if isinstance(choice, NamedTool) else choice) if tools else None,
        "parallel_tool_calls": parallel_tool_calls if tools else None,
    }
    return AnswerForm(
        fields={name: value for name, value in fields.items() if value is not None},
        json=schema,
        tools={tool.function.name: AnswerSchema(tool.function.parameters or _ANY_OBJECT) for tool in callable_},
        must_call=choice == "required" or isinstance(choice, NamedTool),
    )


def unchecked(form: AnswerForm | None) -> list[str]:
    """Keywords of schemas that upstreams are told and that nobody checks here."""
    schemas = [] if form is None else [*form.tools.values(), *([form.json] if form.json else [])]
    return sorted({keyword for schema in schemas for keyword in schema.unchecked})


def _sent(part: FormModel) -> Any:  # noqa: ANN401 - a JSON object
    return part.model_dump(mode="json", by_alias=True, exclude_unset=True)
