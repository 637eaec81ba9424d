"""A panel's answer as OpenAI's Responses API has it, whole and as events, with the extension field `consensus`."""

import json
import time
from collections.abc import Iterator
from typing import Any, Literal
from uuid import uuid4

from pydantic import Field

from consensus_server.http_api.openai_compat.answers import AnswerModel, ChatChoice, ConsensusTold, TokenUsage
from consensus_server.http_api.openai_compat.responses_requests import ResponsesRequest
from consensus_server.http_api.openai_compat.streaming import parts_of

Status = Literal["in_progress", "completed", "incomplete"]


class OutputText(AnswerModel):
    """The answer."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: tuple[str, ...] = ()
    logprobs: tuple[str, ...] = ()


class OutputRefusal(AnswerModel):
    """Why the panel abstains."""

    type: Literal["refusal"] = "refusal"
    refusal: str


class OutputMessage(AnswerModel):
    """The panel's turn."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    status: Status
    content: list[OutputText | OutputRefusal]


class InputTokensDetails(AnswerModel):
    """Not known of upstreams."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0


class OutputTokensDetails(AnswerModel):
    """Not known of upstreams."""

    reasoning_tokens: int = 0


class ResponseUsage(AnswerModel):
    """Tokens of all upstreams that answered, each counted with its own tokenizer."""

    input_tokens: int
    input_tokens_details: InputTokensDetails = InputTokensDetails()
    output_tokens: int
    output_tokens_details: OutputTokensDetails = OutputTokensDetails()
    total_tokens: int


class IncompleteDetails(AnswerModel):
    """Why the answer is not whole."""

    reason: Literal["max_output_tokens", "content_filter"]


class PanelResponse(AnswerModel):
    """Answer to `POST /v1/responses`."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: Status
    error: None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    model: str
    output: list[OutputMessage]
    parallel_tool_calls: bool = True
    previous_response_id: None = None
    store: Literal[False] = False
    temperature: float | None
    text: dict[str, Any]
    tool_choice: Literal["auto"] = "auto"
    tools: tuple[str, ...] = ()
    top_p: float | None
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None
    metadata: dict[str, str] = Field(default_factory=dict)
    consensus: ConsensusTold


def panel_response(
    asked: ResponsesRequest, model: str, choice: ChatChoice, usage: TokenUsage, consensus: ConsensusTold
) -> PanelResponse:
    """The whole answer. choice: as a chat would have it."""
    why = None if choice.message.refusal else _cut(choice)
    status: Status = "incomplete" if why else "completed"
    message = OutputMessage(id=f"msg_{uuid4().hex}", status=status, content=[_content(choice)])
    return PanelResponse(
        id=f"resp_{uuid4().hex}",
        created_at=int(time.time()),
        status=status,
        incomplete_details=why,
        instructions=asked.instructions,
        max_output_tokens=asked.max_output_tokens,
        model=model,
        output=[message],
        temperature=asked.temperature,
        text=asked.text.model_dump(mode="json", by_alias=True, exclude_none=True),
        top_p=asked.top_p,
        usage=ResponseUsage(
            input_tokens=usage.prompt_tokens, output_tokens=usage.completion_tokens, total_tokens=usage.total_tokens
        ),
        consensus=consensus,
    )


def _cut(choice: ChatChoice) -> IncompleteDetails | None:
    if choice.finish_reason == "length":
        return IncompleteDetails(reason="max_output_tokens")
    return IncompleteDetails(reason="content_filter") if choice.finish_reason == "content_filter" else None


def _content(choice: ChatChoice) -> OutputText | OutputRefusal:
    if choice.message.refusal is not None:
        return OutputRefusal(refusal=choice.message.refusal)
    return OutputText(text=choice.message.content or "")


def events_of(answer: PanelResponse) -> Iterator[str]:
    """The events of a stream, numbered, in the order of OpenAI's API. The decision stands before the first."""
    for number, (kind, content) in enumerate(_events(answer)):
        data = json.dumps(
            {"type": kind, "sequence_number": number, **content}, ensure_ascii=False, separators=(",", ":")
        )
        yield f"event: {kind}\ndata: {data}\n\n"


def _events(answer: PanelResponse) -> Iterator[tuple[str, dict[str, Any]]]:
    whole = answer.model_dump(mode="json")
    begun = {**whole, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    (message,) = answer.output
    at = {"output_index": 0}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    item = message.model_dump(mode="json")
    yield "response.output_item.added", {**at, "item": {**item, "status": "in_progress", "content": []}}
    yield from _part_events(message.content[0], {**at, "item_id": message.id, "content_index": 0})
    yield "response.output_item.done", {**at, "item": item}
    yield f"response.{answer.status}", {"response": whole}


def _part_events(part: OutputText | OutputRefusal, at: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a text, or a refusal, goes through; only a text has `logprobs`."""
    name = "text" if isinstance(part, OutputText) else "refusal"
    said = part.text if isinstance(part, OutputText) else part.refusal
    no_logprobs: dict[str, Any] = {"logprobs": []} if isinstance(part, OutputText) else {}
    whole = part.model_dump(mode="json")
    yield "response.content_part.added", {**at, "part": {**whole, name: ""}}
    for delta in parts_of(said):
        yield f"response.{part.type}.delta", {**at, "delta": delta, **no_logprobs}
    yield f"response.{part.type}.done", {**at, name: said, **no_logprobs}
    yield "response.content_part.done", {**at, "part": whole}
