"""Content words by their stems: which are opposites, which exclude one another, which mean the same, which weigh little.

Opposites and categories are ours, made for clinical and general prose. Of WordNet, which knows far more words and less which
of them matter, only single words that stand for one another are asked.
"""

from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final

from consensus_server.core.contradictions.lexicon import WORDS, compressed_lines, lines
from consensus_server.core.contradictions.stems import stem


def _opposites() -> dict[str, tuple[tuple[str, int], ...]]:
    found: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for name, words in lines("opposites.txt"):
        for side, sign in zip(words.split("|"), (1, -1), strict=True):
            for key in dict.fromkeys(map(stem, side.split())):
                found[key].append((name.removesuffix("!"), sign))
    return {key: tuple(axes) for key, axes in found.items()}


OPPOSITES: Final[Mapping[str, tuple[tuple[str, int], ...]]] = MappingProxyType(_opposites())
"""Stem to the axes on which it stands, each with its side, 1 or -1."""

DECIDING_AXES: Final = frozenset(name[:-1] for name, _ in lines("opposites.txt") if name.endswith("!"))
"""Axes that decide in a side remark of a long answer too."""

CATEGORIES: Final[Mapping[str, str]] = MappingProxyType(
    {stem(word): name for name, words in lines("categories.txt") for word in words.split()}
)
"""Stem to the category of words that exclude one another."""

GENERIC: Final = frozenset(map(stem, WORDS["generic"]))
NO_OPPOSITE: Final = frozenset(map(stem, WORDS["no_opposite"]))
"""What a negating prefix may stand before without making an opposite: "invaluable"."""
PIVOTS: Final = frozenset(map(stem, WORDS["pivot"]))

QUANTIFIERS: Final[Mapping[str, int]] = MappingProxyType(
    {word: level for level in (1, 2, 3, 4) for word in WORDS[f"quantifier_{level}"]}
)
"""Word to how much of a whole it says, 1 (few) to 4 (all)."""


@cache
def _meanings() -> Mapping[str, frozenset[int]]:
    """Stem to the numbers of its meanings in WordNet, for those that it shares with another word."""
    found: dict[str, set[int]] = defaultdict(set)
    for number, line in enumerate(compressed_lines("synonyms.txt.gz")):
        for key in line.split():
            found[key].add(number)
    return {key: frozenset(numbers) for key, numbers in found.items()}


@cache
def _antonyms() -> frozenset[str]:
    return frozenset(compressed_lines("antonyms.txt.gz"))


def synonymous(key: str, other: str) -> bool:
    """Whether WordNet has a meaning that two stems share."""
    return not _meanings().get(key, frozenset()).isdisjoint(_meanings().get(other, frozenset()))


def antonymous(key: str, other: str) -> bool:
    """Whether two stems are opposites in WordNet, or one is and the other means about the same as its opposite."""
    return " ".join(sorted((key, other))) in _antonyms()


def axes_of(key: str) -> tuple[tuple[str, int], ...]:
    """The axes of opposites on which a stem stands."""
    return OPPOSITES.get(key, ())
