"""One reply of an inference API, read: what was said, how it ended, and which situation it tells. No I/O."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from client_kit._transport import seconds_asked
from client_kit.generation.dialects import MEANINGS, OF_STATUS, SIGNS, STATUS_OF_TYPE, UNREAD, Meaning, Situation
from client_kit.proxies import sign_of_a_proxy
from client_kit.reasoning import strip_reasoning
from client_kit.wire import FinishReason

_FINISHED = frozenset({"stop", "eos", "eos_token", "stop_sequence", "end_turn", "complete", "finished"})
"""Ordinary ends by the names that servers give them, in lower case."""

_FILTERED = ("content_filter", "safety", "guardrail", "refusal", "prohibited", "recitation", "blocklist")

_CALLED = frozenset({"tool_calls", "tool_use", "function_call"})
"""Ends of replies that call tools."""

_MOST_TOKENS = 2**31 - 1
"""A count beyond it is none."""

_MOST_SAID = 300
"""Characters of a server's message that are repeated."""

_TOLD_IN = (
    "message", "error", "detail", "details", "code", "type", "error_type", "status", "msg", "loc", "param", "reason", "title",
)  # fmt: skip
"""Fields in which servers say what is wrong. The others may hold the prompt, whose words say nothing of the fault."""

_SENTENCES = frozenset({"message", "error", "detail", "details", "msg", "loc", "raw", "reason"})
"""Those of them that people read."""

_STATUS_IN = ("code", "status", "http_status", "status_code", "statusCode", "type", "error_type")


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function that a model wants called."""

    id: str
    name: str
    arguments: str
    """JSON, as the model wrote it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reply, read."""

    situation: Situation
    completed: bool = False
    """A completion came, with or without words."""
    text: str = ""
    finish_reason: FinishReason = FinishReason.UNKNOWN
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    said: str = ""
    """The server's own words about what is wrong, shortened."""
    pause_seconds: float | None = None
    """How long it asks to be left alone."""
    tool_calls: tuple[ToolCall, ...] = ()
    """For callers that gave it tools; others take a reply of calls alone for an empty one."""
    sent: bool = True
    """Whether the request may have left; not where there was no connection."""

    @property
    def perhaps_paid(self) -> bool:
        """Whether a model may have begun an answer of which nothing is known."""
        return self.sent and self.situation in UNREAD

    @property
    def meaning(self) -> Meaning:
        return MEANINGS[self.situation]


def read(status: int, headers: Mapping[str, str], body: bytes) -> Reading:
    """What a reply says. Never raises: what cannot be read is a situation too.

    headers: names in any case, where the mapping does not mind; else in lower case.
    """
    if _FIRST_REDIRECT <= status < _FIRST_ERROR:
        return Reading(situation=Situation.MOVED, said=_place(headers.get("location", "")))
    document = _document(body)
    if (fault := _fault_in(status, document)) is None:
        return _completion(document) or Reading(situation=Situation.UNREADABLE, said=_excerpt(body))
    named = status if status >= _FIRST_ERROR else _status_named(fault)
    leaves = list(_leaves(fault))
    told = [str(value) for name, value in leaves if name in _SENTENCES]
    said = _short(" ".join(dict.fromkeys(told)) or _excerpt(body))
    proxy = sign_of_a_proxy(status, headers, body)
    return Reading(
        situation=_situation(named, " ".join([said, *(str(value) for _, value in leaves)]).lower(), proxy),
        said=f"{said}; this comes from a proxy, {proxy}" if proxy else said,
        pause_seconds=_pause(headers, fault),
    )


_FIRST_REDIRECT = 300
_FIRST_ERROR = 400
_SERVER_ERRORS = 500
_ERROR_STATUS = re.compile("[45][0-9]{2}")


def _place(location: str) -> str:
    """Where a reply sends on to, without what may be a secret: scheme and host."""
    try:
        address = urlsplit(location)
        return _short(f"to {address.scheme}://{address.hostname}" if address.hostname else "to another path")
    except ValueError:
        return ""


def _document(body: bytes) -> Any:  # noqa: ANN401  whatever JSON holds
    """Parsed JSON; Gemini puts its errors into a list of one. None where it is no JSON."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document[0] if isinstance(document, list) and document else document


def _fault_in(status: int, document: Any) -> Any:  # noqa: ANN401
    """What is told about an error, empty where nothing is; None where the reply is none."""
    if status >= _FIRST_ERROR:
        return document if isinstance(document, dict) else {}
    if not isinstance(document, dict):
        return None
    choice = _first(document.get("choices"))
    if isinstance(choice.get("error"), dict):  # OpenRouter: the provider broke off in the middle
        return choice
    if document.get("error") and not choice:
        return document
    return document if document.get("object") == "error" else None


def _first(choices: Any) -> dict[str, Any]:  # noqa: ANN401
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) else {}


def _status_named(fault: Any) -> int | None:  # noqa: ANN401
    """The status that an error inside a body names, in a number or by its type."""
    for name, value in _leaves(fault):
        if name in _STATUS_IN:
            text = str(value).lower()
            if _ERROR_STATUS.fullmatch(text):
                return int(text)
            if text in STATUS_OF_TYPE:
                return STATUS_OF_TYPE[text]
    return None


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401
    """(field, plain value) of the fields that tell what is wrong."""
    if isinstance(value, dict):
        for key in value:
            if key in _TOLD_IN or key in _STATUS_IN or key in {"innererror", "metadata", "raw"}:
                yield from _leaves(value[key], key)
    elif isinstance(value, list):
        for each in value:
            yield from _leaves(each, name)
    elif isinstance(value, str) and value.lstrip()[:1] == "{" and isinstance(inner := _document(value.encode()), dict):
        yield from _leaves(inner, name)  # a gateway repeats its provider's body as a text
    elif value is not None:
        yield name, value


def _situation(status: int | None, told: str, proxy: str) -> Situation:
    for situation, statuses, words in SIGNS:
        if status in statuses and any(word in told for word in words):
            return situation
    if proxy and (status or 0) < _SERVER_ERRORS:
        return Situation.PROXY
    if status is None:
        return Situation.UNEXPLAINED
    return OF_STATUS.get(status) or (Situation.SERVER_FAILS if status >= _SERVER_ERRORS else Situation.UNEXPLAINED)


def _completion(document: Any) -> Reading | None:  # noqa: ANN401
    """A completion of either API; None for a body that is none."""
    if not isinstance(document, dict) or not isinstance(document.get("choices"), list):
        return None
    choice = _first(document["choices"])
    if (text := _text(choice)) is None:
        return None
    finish = finish_of(choice.get("finish_reason") if choice else "stop")
    calls = _tool_calls(choice.get("message"))
    if calls and str(choice.get("finish_reason")).lower() in _CALLED:
        finish = FinishReason.STOP
    if _is_abstention(document):
        text, finish, calls = "", FinishReason.UNKNOWN, ()
    usage = document.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return Reading(
        situation=_of_completion(text, finish),
        completed=True,
        text=text,
        finish_reason=finish,
        prompt_tokens=token_count(counts.get("prompt_tokens")),
        completion_tokens=token_count(counts.get("completion_tokens")),
        tool_calls=calls,
    )


def _of_completion(text: str, finish: FinishReason) -> Situation:
    if not strip_reasoning(text).strip():
        return Situation.REFUSED if finish is FinishReason.CONTENT_FILTER else Situation.EMPTY
    return Situation.ANSWERED if finish is FinishReason.STOP else Situation.CUT


def _is_abstention(document: Mapping[str, Any]) -> bool:
    """Whether the upstream is itself a panel that does not agree."""
    told = document.get("consensus")
    return isinstance(told, dict) and bool(told.get("abstention"))


def _text(choice: Mapping[str, Any]) -> str | None:
    """What was said; empty for nothing, None where it is no text."""
    if "text" in choice:
        return _plain(choice["text"])
    message = choice.get("message")
    if message is None and not choice:
        return ""
    if not isinstance(message, dict):
        return None
    return _plain(message.get("content") or message.get("refusal"))


def _tool_calls(message: Any) -> tuple[ToolCall, ...]:  # noqa: ANN401
    """The calls of functions in a message; what has no name is none."""
    told = message.get("tool_calls") if isinstance(message, dict) else None
    found = []
    for place, call in enumerate(told if isinstance(told, list) else []):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(name := function.get("name"), str):
            continue
        arguments = function.get("arguments") or ""
        written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        found.append(ToolCall(str(call.get("id") or f"call_{place}"), name, written))
    return tuple(found)


def _plain(content: Any) -> str | None:  # noqa: ANN401
    """A text as it is; of a list of parts the text parts, one after the other, without thinking."""
    if content is None:
        return ""
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    return "".join(_part(part) for part in content)


def _part(part: Any) -> str:  # noqa: ANN401
    if isinstance(part, str):
        return part
    said = part.get("text") if isinstance(part, dict) and part.get("type") in {None, "text", "output_text"} else None
    return said if isinstance(said, str) else ""


def finish_of(told: Any) -> FinishReason:  # noqa: ANN401
    """How it ended. Anything but an ordinary end, or a filter's, is the end of a text that is not finished."""
    name = told.lower() if isinstance(told, str) else ""
    if name in _FINISHED:
        return FinishReason.STOP
    return FinishReason.CONTENT_FILTER if any(word in name for word in _FILTERED) else FinishReason.LENGTH


def token_count(told: Any) -> int | None:  # noqa: ANN401
    """A number of tokens; whatever else a server writes there is unknown, and worth no error."""
    plausible = isinstance(told, int) and not isinstance(told, bool) and 0 <= told <= _MOST_TOKENS
    return told if plausible else None


def _pause(headers: Mapping[str, str], fault: Any) -> float | None:  # noqa: ANN401
    milliseconds = seconds_asked(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    asked = seconds_asked(headers.get("retry-after"))
    return asked if asked is not None else _retry_delay(fault)


def _retry_delay(fault: Any) -> float | None:  # noqa: ANN401
    """Google's `RetryInfo`, which stands in the body."""
    found = re.search(r"""["']retryDelay["']: *["'](\d+(?:\.\d+)?)s["']""", json.dumps(fault))
    return float(found[1]) if found else None


def _excerpt(body: bytes) -> str:
    """The beginning of a body that is no known document; of a page, its title."""
    text = body[:20_000].decode("utf-8", errors="replace")
    title = re.search(r"<title[^>]*>(.*?)</title>", text, re.DOTALL | re.IGNORECASE)
    if title:
        return f"a page, {_short(title[1])!r}"
    return _short(text) or "an empty body"


def _short(said: str) -> str:
    folded = " ".join(said.split())
    return folded if len(folded) <= _MOST_SAID else f"{folded[:_MOST_SAID]}..."
