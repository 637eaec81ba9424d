"""Participants that say the same again and again: which part of their text recurs across prompts, word for word."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.answers.table import codes
from consensus_server.core.consensus.words.lexical import Entries

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


@dataclass(frozen=True)
class Units(Entries):
    """The units of texts."""

    unit: Int64[np.ndarray, " entries"]
    """A number, equal for equal units of all texts."""
    characters: Int64[np.ndarray, " entries"]


def read_units(texts: Sequence[str], prompts: Sequence[str], asked: Int64[np.ndarray, " texts"]) -> Units:
    """asked: prompt that each text is to, an index into `prompts`."""
    found = [units(text, prompts[at]) for text, at in zip(texts, asked.tolist(), strict=True)]
    flat = [unit for each in found for unit in each]
    return Units(
        texts=len(found),
        text=np.repeat(np.arange(len(found)), [len(each) for each in found]),
        unit=codes(flat),
        characters=np.fromiter(map(len, flat), dtype=np.int64),
    )


def repetition(
    found: Units, participant: Int64[np.ndarray, " texts"], pool: Int64[np.ndarray, " texts"]
) -> Float64[np.ndarray, " participants"]:
    """Of each participant: characters in recurring units over characters in all its units, 0..1; 0 where it has none.

    participant, pool: of each text. Several answers of a participant to one prompt count as one.
    """
    people = int(participant.max(initial=-1)) + 1
    prompts = _distinct(participant, pool)[0]
    who, code = participant[found.text], participant[found.text] * (int(found.unit.max(initial=-1)) + 1) + found.unit
    own, unit = np.unique(code, return_inverse=True)
    seen = np.bincount(_distinct(unit, pool[found.text])[0], minlength=len(own))[unit]
    least = np.maximum(RECURS_IN, RECURS_IN_SHARE * np.bincount(prompts, minlength=people))
    recurring = np.bincount(who, weights=found.characters * (seen >= least[who]), minlength=people)
    total = np.bincount(who, weights=found.characters, minlength=people)
    return np.divide(recurring, total, out=np.zeros(people), where=total > 0)


def _distinct(
    first: Int64[np.ndarray, " n"], second: Int64[np.ndarray, " n"]
) -> tuple[Int64[np.ndarray, " distinct"], Int64[np.ndarray, " distinct"]]:
    """The distinct pairs of two columns."""
    stride = int(second.max(initial=-1)) + 1
    pair = np.unique(first * stride + second)
    return np.divmod(pair, max(stride, 1))
