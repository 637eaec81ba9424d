"""From what a model said to what its participant submits: reasoning goes, truncated answers and refusals as agreed."""
# ruff: noqa: RUF001  quotes and full stops of many scripts are the point

import re
from enum import StrEnum

from client_kit.generation.base import Generation
from client_kit.reasoning import strip_reasoning
from client_kit.refusals import is_refusal
from client_kit.wire import Answer, AnswerPolicy, FinishReason, Refusals, TruncatedAnswers, Usage
from client_kit.wire.limits import MAX_ANSWER_CHARS


class Dropped(StrEnum):
    """Why a generation is not submitted."""

    EMPTY = "empty"
    """Nothing is left: the model said nothing, or only reasoned."""
    TRUNCATED = "truncated"
    """It ended because of its length, and the policy drops it, or it has no whole sentence."""
    REFUSAL = "refusal"
    """The model declines to answer, and the policy drops that."""


_SENTENCE_END = re.compile(r"""(?:[.!?…]["'”’»)\]]*(?=\s|\Z)|[。！？]["'”’»」』）)\]]*)""")
"""The end of a sentence with the quotes and brackets that close it."""


def clean(generation: Generation, policy: AnswerPolicy, *, max_chars: int = MAX_ANSWER_CHARS) -> Answer | Dropped:
    """The answer to submit, or why there is none.

    max_chars: the federation's `max_answer_chars`; a longer text is cut there and counts as truncated.
    """
    text = strip_reasoning(storable(generation.text)).strip()
    finish = generation.finish_reason
    if len(text) > max_chars:
        text, finish = text[:max_chars].rstrip(), FinishReason.LENGTH
    if not text:
        return Dropped.EMPTY
    if policy.refusals is Refusals.DROP and is_refusal(text):
        return Dropped.REFUSAL
    if finish is FinishReason.LENGTH:
        text = _truncated(text, policy.truncated)
    if not text:
        return Dropped.TRUNCATED
    return Answer(
        prompt_id=generation.prompt_id,
        sample=generation.sample,
        text=text,
        finish_reason=finish,
        usage=_usage(generation),
    )


def storable(text: str) -> str:
    """The text without NUL characters and halves of surrogate pairs, which neither UTF-8 nor databases hold."""
    return text.replace("\x00", "").encode("utf-8", errors="ignore").decode("utf-8")


def whole_sentences(text: str) -> str:
    """The text up to the end of its last whole sentence; empty where it has none."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    return text[: ends[-1]] if ends else ""


def _truncated(text: str, policy: TruncatedAnswers) -> str:
    if policy is TruncatedAnswers.KEEP:
        return text
    return whole_sentences(text) if policy is TruncatedAnswers.TRIM else ""


def _usage(generation: Generation) -> Usage | None:
    if generation.prompt_tokens is None or generation.completion_tokens is None:
        return None
    return Usage(prompt_tokens=generation.prompt_tokens, completion_tokens=generation.completion_tokens)
