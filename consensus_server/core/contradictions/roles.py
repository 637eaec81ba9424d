"""Who does what to whom: the same words on the other side of the same verb."""

from collections.abc import Iterator

from consensus_server.core.contradictions.alignment import Alignment, Difference, Level, sole
from consensus_server.core.contradictions.classes import PIVOTS, axes_of
from consensus_server.core.contradictions.reading import Sentence
from consensus_server.core.contradictions.stems import stem

_BEFORE = stem("first")


def swapped(first: Sentence, second: Sentence) -> bool:
    """Whether two sentences say the same words in exchanged roles, active and passive voice considered."""
    if first.from_to and second.from_to and first.from_to == second.from_to[::-1]:
        return True
    shared = first.polarity.keys() & second.polarity.keys()
    if len(shared) <= 1 or len(shared) < 0.6 * max(len(first.polarity), len(second.polarity)):
        return False
    for one, other in _pivots(first, second):
        if _exchanged(first.order, first.order.index(one), second.order, second.order.index(other)):
            return first.passive == second.passive
    return False


def _pivots(first: Sentence, second: Sentence) -> Iterator[tuple[str, str]]:
    """Words around which roles are played: the same in both, then opposites of one another."""
    mine, theirs = (
        [key for key in sentence.order if key in PIVOTS or key in sentence.compared] for sentence in (first, second)
    )
    yield from ((key, key) for key in mine if key in theirs)
    yield from ((one, other) for one in mine for other in theirs if one != other and _axes(one) & _axes(other))


def _axes(key: str) -> set[str]:
    return {axis for axis, _ in axes_of(key)}


def _exchanged(first: tuple[str, ...], i: int, second: tuple[str, ...], j: int) -> bool:
    """Whether more words stand on the other side of the pivot than on the same."""
    (left, right), (left_second, right_second) = (
        (set(order[:at]) - set(order[at + 1 :]) - {_BEFORE}, set(order[at + 1 :]) - set(order[:at]))
        for order, at in ((first, i), (second, j))
    )
    crossing = len(left & right_second), len(right & left_second)
    return all(crossing) and sum(crossing) > len(left & left_second) + len(right & right_second)


def roles(pair: Alignment) -> Iterator[Difference]:
    """Exchanged roles; none where opposites on both sides of the pivot cancel them."""
    cancelled = any(sole(pair.first.sides[axis]) * sole(pair.second.sides[axis]) < 0 for axis in pair.axes)
    if swapped(*pair.both) and not cancelled:
        strength = 0.5 if pair.level is Level.STRICT else 0.7
        yield Difference(strength, "roles", *(" … ".join(sentence.order[:3]) for sentence in pair.both))
