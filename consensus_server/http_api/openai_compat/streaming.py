"""An answer in chunks, as OpenAI streams one. The decision stands before the first chunk goes out.

So the status of a quick answer is true: a stream that begins with a chunk has an answer, or an abstention, and does not break
off. While a panel is slow, comments keep the connection open for proxies; what fails then is an event with `error`, as
OpenAI's clients read it. The first chunk carries the extension field `consensus`.
"""

import json
from collections.abc import Iterator
from typing import Any

from consensus_server.http_api.openai_compat.answers import ChatChoice, ChatCompletion, TextChoice, TextCompletion

CHUNK_CHARS = 256
"""Text in one chunk: few enough chunks to cost nothing, small enough for a page that shows them as they come."""

STILL_DECIDING = ": the panel is deciding\n\n"
"""A comment: clients pass over it."""

STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""nginx would keep events back until it has a page of them."""


def chunks(answer: ChatCompletion | TextCompletion, *, include_usage: bool) -> Iterator[str]:
    """Server-sent events: per choice its beginning, its text and its end; then usage where asked for, and `[DONE]`.

    A chunk without choices only where usage was asked for: most clients look into the first choice of every chunk.
    """
    common = {
        "id": answer.id,
        "object": "chat.completion.chunk" if isinstance(answer, ChatCompletion) else "text_completion",
        "created": answer.created,
        "model": answer.model,
        "system_fingerprint": answer.system_fingerprint,
        **({"usage": None} if include_usage else {}),
    }
    extension = answer.consensus.model_dump(mode="json")
    for choice in answer.choices:
        first = {"consensus": extension} if choice.index == 0 else {}
        begun, *more, ended = _deltas(choice) if isinstance(choice, ChatChoice) else _texts(choice)
        yield _event(common | first, choice.index, begun)
        for content in more:
            yield _event(common, choice.index, content)
        yield _event(common, choice.index, ended, finish_reason=choice.finish_reason)
    if include_usage:
        yield _data({**common, "choices": [], "usage": answer.usage.model_dump(mode="json")})
    yield "data: [DONE]\n\n"


def failed(envelope: str) -> Iterator[str]:
    """Events of a stream that has begun, and then has no answer. envelope: the error as JSON."""
    yield f"data: {envelope}\n\n"
    yield "data: [DONE]\n\n"


def _deltas(choice: ChatChoice) -> Iterator[dict[str, Any]]:
    """What the chunks of a chat's choice add: the role, the text or why there is none, and at the end nothing."""
    yield {"delta": {"role": "assistant", "content": "", "refusal": None}}
    yield from ({"delta": {"content": part}} for part in parts_of(choice.message.content or ""))
    for place, call in enumerate(choice.message.tool_calls or ()):
        begun = {"name": call.function.name, "arguments": ""}
        yield {"delta": {"tool_calls": [{"index": place, "id": call.id, "type": call.type, "function": begun}]}}
        for part in parts_of(call.function.arguments):
            yield {"delta": {"tool_calls": [{"index": place, "function": {"arguments": part}}]}}
    if choice.message.refusal is not None:
        yield {"delta": {"refusal": choice.message.refusal}}
    yield {"delta": {}}


def _texts(choice: TextChoice) -> Iterator[dict[str, Any]]:
    """What the chunks of a completion's choice add: its text, between two that add nothing."""
    return ({"text": part} for part in ("", *parts_of(choice.text), ""))


def _event(common: dict[str, Any], index: int, content: dict[str, Any], *, finish_reason: str | None = None) -> str:
    choice = {"index": index, **content, "logprobs": None, "finish_reason": finish_reason}
    return _data({**common, "choices": [choice]})


def parts_of(text: str) -> Iterator[str]:
    """A text in pieces of at most `CHUNK_CHARS`."""
    for start in range(0, len(text), CHUNK_CHARS):
        yield text[start : start + CHUNK_CHARS]


def _data(document: dict[str, Any]) -> str:
    return f"data: {json.dumps(document, ensure_ascii=False, separators=(',', ':'))}\n\n"
