"""What two answers say of that which a closed question asks, in sentences that need share no word with one another.

Each answer has a stance only where all of its sentences that speak of it say the same.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from consensus_server.core.contradictions.alignment import Difference, sole
from consensus_server.core.contradictions.classes import GENERIC
from consensus_server.core.contradictions.quantities import Quantity, close, usual_tolerance
from consensus_server.core.contradictions.questions import Kind, Question
from consensus_server.core.contradictions.reading import Sentence
from consensus_server.core.contradictions.replies import Answer
from consensus_server.core.contradictions.roles import swapped
from consensus_server.core.contradictions.stems import stem

_PERMISSION: Final = frozenset(("safety", "harmless", "allow", "allow2", "open"))
"""Axes whose first side says "go on"."""
_WHAT_AXES: Final = ("level", "hyper", "side", "malignancy", "testresult", "presence", "change")
"""Opposites that may be the answer to "what" or "which" without standing in the question."""


def stances(first: Answer, second: Answer, question: Question) -> Iterator[Difference]:
    """Opposite stances: on an axis, else by affirming what the other denies; and by amount."""
    sides = list(_sides(first, second, question))
    yield from sides
    if question.kind is Kind.YES_NO and not sides:
        yield from _polarity(first, second, question)
    yield from _amounts(first, second, question)


def _sides(first: Answer, second: Answer, question: Question) -> Iterator[Difference]:
    if question.kind in (Kind.YES_NO, Kind.CHOICE):
        axes: Collection[str] = sorted(question.axes)
    else:
        axes = _WHAT_AXES if question.kind is Kind.WHAT else ()
    for axis in axes:
        mine, theirs = _words_on(axis, first, question), _words_on(axis, second, question)
        if axis in _PERMISSION:
            mine, theirs = mine or _forbidding(first), theirs or _forbidding(second)
        if sole(mine) * sole(theirs) >= 0:
            continue
        word, other = next(iter(mine.values())), next(iter(theirs.values()))
        if stem(word) != stem(other) and not (axis == "order" and _any_swapped(first, second)):
            yield Difference(0.8, f"stance:{axis}", word, other)


def _words_on(axis: str, answer: Answer, question: Question) -> Mapping[int, str]:
    """The sides of an axis on which an answer's relevant sentences stand, with their first word."""
    least = answer.least_relevance
    if question.kind in (Kind.YES_NO, Kind.CHOICE):
        offered = question.kind is Kind.CHOICE and question.names_both_sides(axis)
        least = 0.5 if offered else 1.0
    found: dict[int, str] = {}
    for sentence, relevance in zip(answer.reading.sentences, answer.relevance, strict=True):
        if relevance >= least:
            for side, stand in sentence.sides.get(axis, {}).items():
                found.setdefault(side, stand.word)
    return found


def _forbidding(answer: Answer) -> Mapping[int, str]:
    """What says in a relevant sentence that something is not to be done: an answer to "is it safe?" too. "May" is none."""
    words = [
        stand.word
        for sentence, relevance in zip(answer.reading.sentences, answer.relevance, strict=True)
        if relevance >= 1
        for side, stand in sentence.sides.get("allow", {}).items()
        if side < 0
    ]
    return {-1: words[0]} if words else {}


def _replies(answer: Answer) -> list[Sentence]:
    return [answer.reading.sentences[i] for i in sorted(answer.replies)]


def _any_swapped(first: Answer, second: Answer) -> bool:
    return any(swapped(one, other) for one in _replies(first) for other in _replies(second))


def _polarity(first: Answer, second: Answer, question: Question) -> Iterator[Difference]:
    """One affirms the question's words, the other denies them."""
    (sign, word), (other_sign, other) = _voice(first, question), _voice(second, question)
    if sign * other_sign < 0 and not _agree_on_asked(first, second, question):
        yield Difference(0.7, "stance:negation", word, other)


def _voice(answer: Answer, question: Question) -> tuple[int, str]:
    """1 and a word of the question that an answer affirms without any negation, -1 and one that it denies, or 0."""
    asked = [
        (sentence, key)
        for sentence in _replies(answer)
        for key in sentence.polarity
        if key in question.stems and key not in GENERIC
    ]
    denied = [sentence.shown.get(key, key) for sentence, key in asked if sentence.polarity[key] < 0]
    affirmed = [
        sentence.shown.get(key, key) for sentence, key in asked if sentence.polarity[key] > 0 and not sentence.denied
    ]
    if denied and not affirmed:
        return -1, denied[0]
    return (1, affirmed[0]) if affirmed and not denied else (0, "")


def _agree_on_asked(first: Answer, second: Answer, question: Question) -> bool:
    """Whether two replies stand on the same side of something that the question asks about."""
    return any(
        one.sides[axis].keys() & other.sides[axis].keys()
        for one in _replies(first)
        for other in _replies(second)
        for axis in one.sides.keys() & other.sides.keys() & question.axes
    )


def _amounts(first: Answer, second: Answer, question: Question) -> Iterator[Difference]:
    """Each states one quantity of the kind that is asked for, and they differ."""
    mine, theirs = _asked_quantities(first, question), _asked_quantities(second, question)
    if not (len(mine) == len(theirs) == 1 and mine[0].dimension == theirs[0].dimension):
        return
    one, other = mine[0], theirs[0]
    exact = one.dimension in ("year", "date")
    if not close(one, other, 1e-9 if exact else max(0.03, usual_tolerance(one, other))):
        certain = not (one.loose or other.loose) or max(one.low, other.low) > 1.5 * min(one.low, other.low)
        yield Difference(0.8 if certain else 0.5, f"stance:{one.dimension}", one.shown, other.shown)


def _asked_quantities(answer: Answer, question: Question) -> list[Quantity]:
    """The different quantities of an answer that are of the kind asked for, without those that the prompt states."""
    found: list[Quantity] = []
    for sentence in answer.reading.sentences:
        for each in sentence.quantities:
            if question.asks_for(each) and not _among(each, found):
                found.append(each)
    return [each for each in found if not _among(each, question.quantities)]


def _among(quantity: Quantity, others: Collection[Quantity]) -> bool:
    return any(quantity.dimension == each.dimension and close(quantity, each, 0.01) for each in others)
