"""The same word affirmed by one sentence and denied by the other; how much of a whole; must and may."""

from collections.abc import Iterator
from typing import Final

from consensus_server.core.contradictions.alignment import NEARLY_EQUAL, NEGATION, WORD, Alignment, Difference, Level
from consensus_server.core.contradictions.classes import GENERIC
from consensus_server.core.contradictions.opposites import prefixed
from consensus_server.core.contradictions.roles import swapped

_LEVELS_APART: Final = 2
_FEW_WORDS: Final = 2


def negations(pair: Alignment) -> Iterator[Difference]:
    """More words are affirmed on one side and denied on the other than are denied on both."""
    first, second = pair.first, pair.second
    opposed = sorted(key for key in pair.shared if first.polarity[key] * second.polarity[key] < 0)
    telling = [key for key in opposed if key not in GENERIC]
    if not telling or len(opposed) <= _agreements(pair) or not pair.enough(pair.overlap(), NEGATION):
        return
    if any(key in first.compared or key in second.compared for key in opposed) and swapped(first, second):
        return  # "a is not older than b" / "b is older than a"
    word = min(telling, key=first.order.index)
    strength = 0.5 if _says_it_otherwise(pair, telling, opposed) else 0.9
    yield Difference(strength, "negation", first.shown.get(word, word), second.shown.get(word, word))


def _agreements(pair: Alignment) -> int:
    """How often both deny the same: a word with the same sign that one of them denies counts once for each that does."""
    signs = ((pair.first.polarity[key] * pair.second.polarity[key], key) for key in pair.shared)
    words = sum((key in pair.first.denied) + (key in pair.second.denied) for sign, key in signs if sign > 0)
    prefixes = sum(not contradict for _, _, contradict in prefixed(pair))
    return words + prefixes + sum(_turned(pair, axis) for axis in pair.agreed_axes)


def _turned(pair: Alignment, axis: str) -> int:
    """On how many sides of an axis both stand, one by a negation and one by its word: "not malignant", "benign"."""
    first, second = pair.first.sides[axis], pair.second.sides[axis]
    return sum(first[side].denied != second[side].denied for side in first.keys() & second.keys())


def _says_it_otherwise(pair: Alignment, telling: list[str], opposed: list[str]) -> bool:
    """Whether the affirming side may say in another word what the other denies: "sold out" / "no tickets left"."""
    weight = pair.question.weight
    if pair.level is Level.STRICT:
        heavier = max(sum(map(weight, sentence.polarity)) for sentence in pair.both)
        if len(opposed) == 1 or sum(map(weight, pair.shared)) < 0.6 * heavier:
            return True
    affirming_first = any(pair.first.polarity[key] > 0 for key in telling)
    rest = set(pair.only_first if affirming_first else pair.only_second)
    return sum(map(weight, rest)) > 0.5 * sum(map(weight, opposed))


def nearly_equal(pair: Alignment) -> bool:
    """Whether the sentences are alike but for the words that only one of them has."""
    overlap = pair.overlap(pair.only_first, pair.only_second)
    return overlap.cover >= NEARLY_EQUAL and overlap.shared >= (WORD / 2 if pair.level is Level.SHORT else 2 * WORD)


def quantifiers(pair: Alignment) -> Iterator[Difference]:
    """all / few: two levels apart."""
    first, second = pair.first.quantifier, pair.second.quantifier
    if first and second and abs(first - second) >= _LEVELS_APART and nearly_equal(pair):
        strength = 0.7 if pair.level is Level.SHORT else 0.4
        yield Difference(strength, "quantifier", f"level {first}", f"level {second}")


def modality(pair: Alignment) -> Iterator[Difference]:
    """must / may."""
    modes = pair.first.modality, pair.second.modality
    if set(modes) == {"oblige", "free"} and nearly_equal(pair):
        small = len(pair.only_first) + len(pair.only_second) <= _FEW_WORDS
        yield Difference(0.6 if pair.level is Level.SHORT and small else 0.4, "modality", *modes)
