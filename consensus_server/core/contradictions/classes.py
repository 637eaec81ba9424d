"""Content words by their stems: which are opposites, which exclude one another, which weigh little."""

from collections import defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from consensus_server.core.contradictions.lexicon import WORDS, lines
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
PIVOTS: Final = frozenset(map(stem, WORDS["pivot"]))

QUANTIFIERS: Final[Mapping[str, int]] = MappingProxyType(
    {word: level for level in (1, 2, 3, 4) for word in WORDS[f"quantifier_{level}"]}
)
"""Word to how much of a whole it says, 1 (few) to 4 (all)."""


def axes_of(key: str) -> tuple[tuple[str, int], ...]:
    """The axes of opposites on which a stem stands."""
    return OPPOSITES.get(key, ())
