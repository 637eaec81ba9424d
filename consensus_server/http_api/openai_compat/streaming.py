"""An answer in chunks, as OpenAI streams one. The decision stands before the first chunk goes out.

So the status of the answer is true: a stream that begins has an answer, or an abstention, and does not break off. The
first chunk carries the extension field `consensus`.
"""

import json
from collections.abc import Iterator
from typing import Any

from consensus_server.http_api.openai_compat.answers import ChatCompletion, TextCompletion

CHUNK_CHARS = 256
"""Text in one chunk: few enough chunks to cost nothing, small enough for a page that shows them as they come."""


def chat_chunks(answer: ChatCompletion, *, include_usage: bool) -> Iterator[str]:
    """Server-sent events of a chat: per choice the role, the text, the end; then usage where asked for, and `[DONE]`."""
    common = _common(answer, "chat.completion.chunk", include_usage=include_usage)
    extension = answer.consensus.model_dump(mode="json")
    for choice in answer.choices:
        message = choice.message
        first = {"consensus": extension} if choice.index == 0 else {}
        yield _event(common | first, choice.index, delta={"role": "assistant", "content": "", "refusal": None})
        for part in _parts(message.content or ""):
            yield _event(common, choice.index, delta={"content": part})
        if message.refusal is not None:
            yield _event(common, choice.index, delta={"refusal": message.refusal})
        yield _event(common, choice.index, finish_reason=choice.finish_reason, delta={})
    yield from _ending(answer, common, include_usage=include_usage)


def text_chunks(answer: TextCompletion, *, include_usage: bool) -> Iterator[str]:
    """Server-sent events of a completion: per choice the text and the end; then usage where asked for, and `[DONE]`."""
    common = _common(answer, "text_completion", include_usage=include_usage)
    extension = answer.consensus.model_dump(mode="json")
    for choice in answer.choices:
        first = {"consensus": extension} if choice.index == 0 else {}
        yield _event(common | first, choice.index, text="")
        for part in _parts(choice.text):
            yield _event(common, choice.index, text=part)
        yield _event(common, choice.index, finish_reason=choice.finish_reason, text="")
    yield from _ending(answer, common, include_usage=include_usage)


def _common(answer: ChatCompletion | TextCompletion, kind: str, *, include_usage: bool) -> dict[str, Any]:
    fields = {
        "id": answer.id,
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "system_fingerprint": answer.system_fingerprint,
    }
    return fields | ({"usage": None} if include_usage else {})


def _event(common: dict[str, Any], index: int, *, finish_reason: str | None = None, **content: object) -> str:
    choice = {"index": index, **content, "logprobs": None, "finish_reason": finish_reason}
    return _data({**common, "choices": [choice]})


def _ending(answer: ChatCompletion | TextCompletion, common: dict[str, Any], *, include_usage: bool) -> Iterator[str]:
    """A chunk without choices only where usage was asked for: most clients look into the first choice of every chunk."""
    if include_usage:
        yield _data({**common, "choices": [], "usage": answer.usage.model_dump(mode="json")})
    yield "data: [DONE]\n\n"


def _parts(text: str) -> Iterator[str]:
    for start in range(0, len(text), CHUNK_CHARS):
        yield text[start : start + CHUNK_CHARS]


def _data(document: dict[str, Any]) -> str:
    return f"data: {json.dumps(document, ensure_ascii=False, separators=(',', ':'))}\n\n"
