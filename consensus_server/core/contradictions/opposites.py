"""Opposite words: two sides of an axis of the lexicon, and words that differ by a negating prefix."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from consensus_server.core.contradictions.alignment import OPPOSITE, Alignment, Difference, Level, sole
from consensus_server.core.contradictions.classes import DECIDING_AXES, NO_OPPOSITE
from consensus_server.core.contradictions.roles import swapped
from consensus_server.core.contradictions.stems import stem

_NEGATING_PREFIXES: Final = ("un", "in", "im", "ir", "il", "non", "dis", "a", "ab")
_SHORTEST_STEM: Final = 4


def opposites(pair: Alignment) -> Iterator[Difference]:
    """Both stand on one axis, on different sides."""
    agreed = {
        sentence.sides[axis][side].word
        for axis in pair.agreed_axes
        for side in pair.first.sides[axis].keys() & pair.second.sides[axis].keys()
        for sentence in pair.both
    }
    for axis in pair.axes:
        first, second = pair.first.sides[axis], pair.second.sides[axis]
        if sole(first) * sole(second) >= 0:
            continue
        word, other = next(iter(first.values())).word, next(iter(second.values())).word
        if stem(word) == stem(other) or not agreed.isdisjoint((word, other)) or swapped(*pair.both):
            continue
        overlap = pair.overlap({stem(word.split()[0])}, {stem(other.split()[0])})
        if pair.enough(overlap, OPPOSITE):
            remark = pair.level is Level.STRICT and axis.partition(":")[0] not in DECIDING_AXES
            doubtful = remark or _says_both(pair, axis)
            yield Difference(0.5 if doubtful else 1.0, f"opposite:{axis}", word, other)


def _says_both(pair: Alignment, axis: str) -> bool:
    """Whether another sentence of one text stands where the other text stands."""
    sides = sole(pair.second.sides[axis]), sole(pair.first.sides[axis])
    return any(
        theirs in sentence.sides.get(axis, ())
        for text, place, theirs in zip(pair.texts, pair.places, sides, strict=True)
        for i, sentence in enumerate(text.sentences)
        if i != place
    )


def prefixed(pair: Alignment) -> Iterator[tuple[str, str, bool]]:
    """(word of the first, of the second, whether they contradict) of words that differ by a negating prefix."""
    for word, other in _prefixed_words(pair):
        yield word, other, pair.first.polarity[word] * pair.second.polarity[other] > 0


def _prefixed_words(pair: Alignment) -> Iterator[tuple[str, str]]:
    only_first = dict.fromkeys(key for key in pair.only_first if key not in pair.first.names)
    only_second = dict.fromkeys(key for key in pair.only_second if key not in pair.second.names)
    for word in only_first:
        yield from ((word, brief) for brief in without_prefix(word) if brief in only_second)
    for word in only_second:
        yield from ((brief, word) for brief in without_prefix(word) if brief in only_first)


@lru_cache(maxsize=2**16)
def without_prefix(word: str) -> tuple[str, ...]:
    """What a negating prefix may stand before in a word: its opposites, where it is a word."""
    rests = (word.removeprefix(prefix) for prefix in _NEGATING_PREFIXES if word.startswith(prefix))
    return tuple(rest for rest in rests if len(rest) >= _SHORTEST_STEM and rest not in NO_OPPOSITE)


def negating_prefixes(pair: Alignment) -> Iterator[Difference]:
    """reversible / irreversible: opposites without a dictionary."""
    for word, other, contradict in prefixed(pair):
        if contradict and pair.enough(pair.overlap({word}, {other}), OPPOSITE):
            shown = pair.first.shown.get(word, word), pair.second.shown.get(other, other)
            yield Difference(0.9, "prefix", *shown)
