"""One word in the place of another: exclusive categories, names, unknown words."""

from collections.abc import Iterator, Sequence
from typing import Final

from consensus_server.core.contradictions.alignment import BARE_NUMBER, WORD, Alignment, Difference, Level
from consensus_server.core.contradictions.classes import CATEGORIES, GENERIC, antonymous, axes_of, synonymous
from consensus_server.core.contradictions.questions import Kind
from consensus_server.core.contradictions.reading import Sentence
from consensus_server.core.contradictions.roles import swapped
from consensus_server.core.contradictions.stems import stem

_MOST_EXCHANGED: Final = 3
_SAME_PLACE: Final = 0.6
"""Least cover of sentences in which one name stands for another."""
_SHORT_SENTENCE: Final = 6
_LONGEST_VALUE: Final = 2
_CALL: Final = stem("call")


def categories(pair: Alignment) -> Iterator[Difference]:
    """Monday / Tuesday: words of one category of which the sentences share none."""
    if pair.level is Level.STRICT:
        return
    for category in sorted(pair.first.categories.keys() & pair.second.categories.keys()):
        first, second = pair.first.categories[category], pair.second.categories[category]
        if first.keys() & second.keys() or (category == "color" and pair.level is not Level.SHORT):
            continue
        (key, word), (other_key, other) = next(iter(first.items())), next(iter(second.items()))
        if category == "compass" and swapped(*pair.both):
            continue
        if pair.enough(pair.overlap({key}, {other_key}), BARE_NUMBER):
            yield Difference(0.5 if category == "color" else 0.9, f"category:{category}", word, other)


def names(pair: Alignment) -> Iterator[Difference]:
    """Another name in the same place."""
    mine, theirs = _only_names(pair.first, pair.only_first), _only_names(pair.second, pair.only_second)
    overlap = pair.overlap(pair.only_first, pair.only_second)
    if (
        mine
        and theirs
        and pair.level is not Level.STRICT
        and max(len(pair.only_first), len(pair.only_second)) <= _MOST_EXCHANGED
        and pair.first.polarity[mine[0]] == pair.second.polarity[theirs[0]]
        and overlap.cover >= _SAME_PLACE
        and overlap.shared >= (WORD / 2 if pair.level is Level.SHORT else WORD)
        and _in_one_place(pair, mine[0], theirs[0])
    ):
        yield Difference(0.8, "name", pair.first.names[mine[0]], pair.second.names[theirs[0]])


def _only_names(sentence: Sentence, only: Sequence[str]) -> list[str]:
    return [key for key in only if key in sentence.names and key not in CATEGORIES]


def _in_one_place(pair: Alignment, name: str, other: str) -> bool:
    """Whether the names have a neighbour in common; in a short sentence there is one place for a name."""
    few = min(len(pair.first.polarity), len(pair.second.polarity)) <= _SHORT_SENTENCE
    return few or not _neighbours(pair.first, name).isdisjoint(_neighbours(pair.second, other))


def _neighbours(sentence: Sentence, key: str) -> frozenset[tuple[str, str]]:
    at = sentence.order.index(key)
    before = sentence.order[at - 1] if at else ""
    after = sentence.order[at + 1] if at + 1 < len(sentence.order) else ""
    return frozenset({("before", before), ("after", after)})


def substitutions(pair: Alignment) -> Iterator[Difference]:
    """One word of each sentence is unknown to the other, in the same place: opposites, or perhaps another word for the same."""
    if len(pair.only_first) != 1 or len(pair.only_second) != 1:
        return
    (word,), (other,) = pair.only_first, pair.only_second
    same_place = pair.first.order.index(word) == pair.second.order.index(other)
    same_sign = pair.first.polarity[word] == pair.second.polarity[other]
    if not (same_place and same_sign) or _known(word, other) or pair.overlap([word], [other]).shared < WORD:
        return
    opposite = antonymous(word, other)
    if opposite or not synonymous(word, other):
        shown = pair.first.shown.get(word, word), pair.second.shown.get(other, other)
        yield Difference(0.9 if opposite else 0.5, "antonym" if opposite else "substitution", *shown)


def _known(word: str, other: str) -> bool:
    """Whether both stand on one axis of opposites, which has its own rule."""
    return not {axis for axis, _ in axes_of(word)}.isdisjoint(axis for axis, _ in axes_of(other))


def values(pair: Alignment) -> Iterator[Difference]:
    """Short answers to "what", "which" or "who": what is left without the question's words is the answer.

    Whatever is not the same is another answer, unless WordNet knows the two as words for one thing.
    """
    alone = all(len(text.sentences) == 1 for text in pair.texts)
    if pair.level is not Level.SHORT or pair.question.kind is not Kind.WHAT or not alone:
        return
    mine, theirs = _value(pair, pair.first), _value(pair, pair.second)
    if not mine or not theirs or set(mine) & set(theirs):
        return
    mine, theirs = ([key for key in each if key not in pair.shared] for each in (mine, theirs))
    if not (0 < len(mine) <= _LONGEST_VALUE and 0 < len(theirs) <= _LONGEST_VALUE):
        return
    same = any(_known(one, other) or synonymous(one, other) for one in mine for other in theirs)
    if pair.first.polarity[mine[0]] == pair.second.polarity[theirs[0]] and not same:
        shown = (
            " ".join(sentence.shown.get(key, key) for key in keys)
            for sentence, keys in ((pair.first, mine), (pair.second, theirs))
        )
        yield Difference(0.7, "value", *shown)


def _value(pair: Alignment, sentence: Sentence) -> list[str]:
    """The content words of a short answer that the question does not say."""
    return [
        key
        for key in sentence.order
        if key in sentence.polarity and key not in pair.question.stems and key not in GENERIC and key != _CALL
    ]
