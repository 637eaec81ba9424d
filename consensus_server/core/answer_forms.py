"""Whether a reply is of the form that was asked for: JSON of a schema, or calls of tools. One that is not has no vote."""

from typing import Any

from consensus_server.core.answer_schemas import AnswerSchema
from consensus_server.core.consensus.meaning.json_values import NotJson, parsed
from consensus_server.core.consensus.meaning.tool_calls import calls_text
from consensus_server.core.inference import AnswerForm, Failure, Reply, ToolCall, UpstreamFailed


def fitting(reply: Reply, form: AnswerForm) -> Reply:
    """The reply, with what stands for its calls in a pool. Raises UpstreamFailed for one that does not fit."""
    if reply.tool_calls:
        return reply.calling(calls_text((call.name, _arguments(call, form, reply)) for call in reply.tool_calls))
    if form.must_call:
        raise _unfit(Failure.NO_TOOL_CALL, "it answers in words", reply)
    if form.json is not None:
        _fit(reply.text, form.json, reply)
    return reply


def _arguments(call: ToolCall, form: AnswerForm, reply: Reply) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Parsed; a call without arguments has an empty object."""
    if call.name not in form.tools:
        raise _unfit(Failure.UNKNOWN_TOOL, f"it calls {call.name[:64]!r}", reply)
    return _fit(call.arguments.strip() or "{}", form.tools[call.name], reply, f"{call.name}: ")


def _fit(text: str, schema: AnswerSchema, reply: Reply, where: str = "") -> Any:  # noqa: ANN401 - as above
    """The value that a text is."""
    try:
        value = parsed(text)
    except NotJson as error:
        raise _unfit(Failure.NOT_JSON, f"{where}{error}", reply) from None
    if (misfit := schema.misfit(value)) is not None:
        raise _unfit(Failure.SCHEMA_MISMATCH, f"{where}{misfit}", reply)
    return value


def _unfit(failure: Failure, detail: str, reply: Reply) -> UpstreamFailed:
    return UpstreamFailed(failure, f"Its answer is not of the form that was asked for ({detail}).", detail, reply)
