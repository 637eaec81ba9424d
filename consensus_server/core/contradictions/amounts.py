"""Quantities that differ, and limits that lie on different sides of one number."""

from collections.abc import Iterator
from typing import Final

from consensus_server.core.contradictions.alignment import (
    AMOUNT,
    BARE_NUMBER,
    Alignment,
    Difference,
    Level,
)
from consensus_server.core.contradictions.quantities import Quantity, close, same_dimension, usual_tolerance
from consensus_server.core.contradictions.reading import Sentence

_BARE: Final = frozenset(("year", "date", "decade", "time"))
_KITCHEN: Final = frozenset(("cup", "tbsp", "tsp", "tablespoon", "teaspoon"))
"""Two recipes are no contradiction."""


def numbers(pair: Alignment) -> Iterator[Difference]:
    """Quantities of one dimension that the other sentence has not."""
    for one in _unmatched(pair.first, pair.second):
        for other in _unmatched(pair.second, pair.first):
            if same_dimension(one, other) and _comparable(pair, one, other):
                yield Difference(_strength(pair, one, other), f"number:{one.dimension}", one.shown, other.shown)


def _unmatched(sentence: Sentence, other: Sentence) -> list[Quantity]:
    """Quantities that the other sentence does not state too."""
    return [each for each in sentence.quantities if not any(_equal(each, theirs) for theirs in other.quantities)]


def _equal(one: Quantity, other: Quantity) -> bool:
    return same_dimension(one, other) and close(one, other, usual_tolerance(one, other))


def _comparable(pair: Alignment, one: Quantity, other: Quantity) -> bool:
    """Whether the two numbers answer the same question."""
    if any(_stated(one, other, given) for given in pair.question.quantities):
        return False
    bare = one.counted or one.dimension in _BARE
    if pair.level is not Level.SHORT:
        if one.bound == other.bound != 0:
            return False
        if pair.level is Level.STRICT and (bare or one.shown.split()[-1].rstrip("s") in _KITCHEN):
            return False
        if pair.level is Level.ASKED and not _asked(pair, one):
            return False
    return pair.enough(pair.overlap(), BARE_NUMBER if bare else AMOUNT)


def _stated(one: Quantity, other: Quantity, given: Quantity) -> bool:
    """Whether one of them is a number of the prompt."""
    return same_dimension(one, given) and (close(one, given, 0.01) or close(other, given, 0.01))


def _asked(pair: Alignment, quantity: Quantity) -> bool:
    """Whether a reply's number is of the kind that is asked for, where the prompt tells the kind."""
    if quantity.counted and quantity.dimension[2:] not in pair.question.stems:
        return False
    dimensions = pair.question.dimensions
    return not dimensions or any(quantity.dimension.startswith(each) for each in dimensions)


def _strength(pair: Alignment, one: Quantity, other: Quantity) -> float:
    """Soft where ranges overlap, one is only a limit, or hedged numbers are within half of one another."""
    overlapping = one.low < one.high and other.low < other.high and one.low < other.high and other.low < one.high
    limited = one.bound != other.bound and pair.level is not Level.SHORT
    hedged = one.dimension != "clock" and (one.loose or other.loose)
    near = hedged and max(one.low, other.low) < 1.5 * min(one.low, other.low)
    return 0.5 if overlapping or limited or near else 1.0


def bounds(pair: Alignment) -> Iterator[Difference]:
    """At least / at most the same number."""
    for one in pair.first.quantities:
        for other in pair.second.quantities:
            if one.bound * other.bound < 0 and _equal(one, other) and pair.enough(pair.overlap(), AMOUNT):
                yield Difference(0.9, "bound", _with_bound(one), _with_bound(other))


def _with_bound(quantity: Quantity) -> str:
    return f"{'≥' if quantity.bound > 0 else '≤'} {quantity.shown}"
