"""What of a round is not submitted as the model said it, and why: one table for people and for programs."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias

from client_kit.errors import ContextTooLong, GenerationError
from client_kit.generation.dialects import Situation

Lost: TypeAlias = Mapping[str, Mapping[str, Sequence[str]]]
"""Prompts by what became of them (`left_out`, `dropped`, `shortened`) and by the reason; what happened to none is not there."""

COLUMNS = ("Prompts", "", "Reason", "Meaning", "Which")

WHY: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "left_out": {
            "refused": "the endpoint, or its filter, refuses the prompt",
            "too_long": "prompt and answer do not fit the model's context",
            "endless": "a reply without end",
            "unreadable": "a reply of no known dialect",
            "unexplained": "refused in words that nobody knows",
        },
        "dropped": {
            "empty": "the model said nothing, or only reasoned",
            "truncated": "not finished; the federation drops such answers",
            "too_long": "over the federation's max_answer_chars, and dropped when cut",
            "refusal": "the model declines; the federation drops that",
            "personal_data": "personal data was found; this site blocks that",
        },
        "shortened": {"too_long": "cut at the federation's max_answer_chars"},
    }
)
"""`left_out`: there is no answer. `dropped`: there is one, and it is not sent. `shortened`: its beginning is sent."""


def reason_of(error: GenerationError) -> str:
    """Why a prompt is left out, as a key of `WHY["left_out"]`."""
    return error.situation or (Situation.TOO_LONG if isinstance(error, ContextTooLong) else Situation.REFUSED).value


def lost_rows(lost: Lost) -> list[tuple[int, str, str, str, str]]:
    """The table, a row for each reason: see `COLUMNS`."""
    return [
        (len(prompts), what.replace("_", " "), reason, WHY[what][reason], few(prompts))
        for what, by_reason in lost.items()
        for reason, prompts in sorted(by_reason.items())
    ]


def lost_in_words(lost: Lost) -> str:
    """The same in one line: `2 dropped: too_long (p1, p2)`."""
    return ", ".join(f"{count} {what}: {reason} ({which})" for count, what, reason, _, which in lost_rows(lost))


def few(names: Sequence[str], most: int = 5) -> str:
    """The first of many names."""
    distinct = list(dict.fromkeys(names))
    more = [f"and {len(distinct) - most} more"] if len(distinct) > most else []
    return ", ".join([*distinct[:most], *more])
