"""Participants that say the same again and again: which part of their text recurs across prompts, word for word."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

UNIT_CHARS: Final = 20
"""Shorter sentences and lines are nobody's: "Sure, here it is:" recurs honestly."""
RECURS_IN: Final = 3
RECURS_IN_SHARE: Final = 0.10
"""A unit recurs where it stands in the answers to at least 3 prompts, and to 10 % of those that its participant answered."""

_BORDERS: Final = re.compile(r"\n|(?<=[.!?])\s|(?<=[\u3002\uff01\uff1f\u0964])")
"""Ends of lines and of sentences. One character each: a megabyte of white space must not take a square of time."""


def units(text: str, prompt: str) -> list[str]:
    """Sentences and lines of at least 20 characters, without what is quoted from the prompt."""
    quoted = {" ".join(unit.split()) for unit in _BORDERS.split(prompt)}
    rest = text.replace(prompt, "\n") if prompt else text
    found = (" ".join(unit.split()) for unit in _BORDERS.split(rest))
    return [unit for unit in found if len(unit) >= UNIT_CHARS and unit not in quoted]


def repetition(
    participants: Sequence[str], prompts: Sequence[str], texts: Sequence[str], pools: Sequence[int]
) -> dict[str, float]:
    """Of each participant: characters in recurring units over characters in all its units, 0..1; 0 where it has none.

    participants, prompts (texts), texts, pools: one entry per answer. Several answers to one prompt count as one.
    """
    answers: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for participant, prompt, text, pool in zip(participants, prompts, texts, pools, strict=True):
        answers[participant][pool] += units(text, prompt)
    return {participant: _recurring_share(list(own.values())) for participant, own in answers.items()}


def _recurring_share(answers: Sequence[Iterable[str]]) -> float:
    """answers: the units of each prompt's answers."""
    seen = Counter(unit for each in answers for unit in set(each))
    least = max(RECURS_IN, RECURS_IN_SHARE * len(answers))
    total = sum(len(unit) for each in answers for unit in each)
    recurring = sum(len(unit) for each in answers for unit in each if seen[unit] >= least)
    return recurring / total if total else 0.0
