"""From what a model said to what its participant submits: reasoning goes, truncated answers and refusals as agreed."""
# ruff: noqa: RUF001  quotes and full stops of many scripts are the point

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from client_kit.generation.base import Generation
from client_kit.generation.losses import Lost
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
    TOO_LONG = "too_long"
    """It has more characters than the federation takes; the policy drops what is cut, or nothing whole is left of it."""
    REFUSAL = "refusal"
    """The model declines to answer, and the policy drops that."""
    PERSONAL_DATA = "personal_data"
    """Personal data was found in it, and the site blocks that (`pii.action`)."""


_SENTENCE_END = re.compile(r"""(?:[.!?…]["'”’»)\]]*(?=\s|\Z)|[。！？]["'”’»」』）)\]]*)""")
"""The end of a sentence with the quotes and brackets that close it."""


def clean(generation: Generation, policy: AnswerPolicy, *, max_chars: int = MAX_ANSWER_CHARS) -> Answer | Dropped:
    """The answer to submit, or why there is none.

    max_chars: the federation's `max_answer_chars`; a longer text is cut there and counts as truncated.
    """
    text = strip_reasoning(storable(generation.text)).strip()
    finish = generation.finish_reason
    too_long = len(text) > max_chars
    if too_long:
        text, finish = text[:max_chars].rstrip(), FinishReason.LENGTH
    if not text:
        return Dropped.EMPTY
    if policy.refusals is Refusals.DROP and is_refusal(text):
        return Dropped.REFUSAL
    if finish is FinishReason.LENGTH:
        text = _truncated(text, policy.truncated)
    if not text:
        return Dropped.TOO_LONG if too_long else Dropped.TRUNCATED
    return Answer(
        prompt_id=generation.prompt_id,
        sample=generation.sample,
        text=text,
        finish_reason=finish,
        usage=_usage(generation),
    )


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The answers of a round as they are submitted, and what became of the others."""

    answers: list[Answer]
    dropped: dict[str, list[str]]
    """Prompts of the answers that are not submitted, by reason, a value of `Dropped`."""
    shortened: list[str]
    """Prompts of the answers that were cut because the federation takes no longer ones."""
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Prompts that the model cannot be asked, by reason: `losses.WHY`."""
    personal: Mapping[str, int] = field(default_factory=dict)
    """How much personal data a detector found in the answers, by kind; none without one."""

    @property
    def counts(self) -> dict[str, int]:
        """How many answers are not submitted, by reason."""
        return {reason: len(prompts) for reason, prompts in sorted(self.dropped.items())}

    @property
    def lost(self) -> Lost:
        """What is not submitted as the model said it, by prompt."""
        cut = {Dropped.TOO_LONG.value: self.shortened} if self.shortened else {}
        told = {"left_out": self.left_out, "dropped": self.dropped, "shortened": cut}
        return {what: reasons for what, reasons in told.items() if reasons}


def clean_all(generations: Iterable[Generation], policy: AnswerPolicy, max_chars: int) -> Cleaned:
    """All of a round's generations, as `clean` has each."""
    found = Cleaned([], {}, [])
    for generation in generations:
        cleaned = clean(generation, policy, max_chars=max_chars)
        if isinstance(cleaned, Dropped):
            found.dropped.setdefault(cleaned.value, []).append(generation.prompt_id)
            continue
        found.answers.append(cleaned)
        if cleaned.finish_reason is FinishReason.LENGTH and len(strip_reasoning(generation.text)) > max_chars:
            found.shortened.append(generation.prompt_id)
    return found


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
