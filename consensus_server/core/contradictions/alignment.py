"""Two sentences side by side: whether they speak of the same, so that a difference between them is a contradiction.

The measure is the weight of shared content words over that of the lighter sentence. Weights are whole tenths, so that sums
are exact: 10 for a word, 5 where the prompt has it too, 4 and 2 for generic ones.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final, NamedTuple

from consensus_server.core.contradictions.questions import Question
from consensus_server.core.contradictions.reading import Reading, Sentence
from consensus_server.core.contradictions.stems import stem

WORD: Final = 10
"""Weight of a content word."""
_SAME_SIDE: Final = 7
"""Weight of two different words that stand on the same side of one axis."""
_FEW_WORDS: Final = 7


class Level(Enum):
    """How two sentences came to be compared."""

    SHORT = "short"
    """Both answers are short: their sentences are what they say."""
    ASKED = "asked"
    """Both sentences are their answer's reply to a closed question."""
    STRICT = "strict"
    """Any two sentences of long answers: only nearly equal ones are compared."""


class Overlap(NamedTuple):
    """What two sentences share. Weights in tenths of a word."""

    shared: int
    first: int
    second: int

    @property
    def cover(self) -> float:
        """The shared weight over that of the lighter sentence, 0..1."""
        lighter = min(self.first, self.second)
        return min(1.0, self.shared / lighter) if lighter else 1.0


class Need(NamedTuple):
    """Least cover for a kind of difference between replies to a closed question."""

    cover: float


NEGATION, OPPOSITE, AMOUNT, BARE_NUMBER = Need(0.5), Need(0.3), Need(0.3), Need(0.5)


@dataclass(frozen=True)
class Alignment:
    """Two sentences, one of each answer."""

    texts: tuple[Reading, Reading]
    places: tuple[int, int]
    """Of the sentences in their texts."""
    level: Level
    question: Question

    @cached_property
    def first(self) -> Sentence:
        return self.texts[0].sentences[self.places[0]]

    @cached_property
    def second(self) -> Sentence:
        return self.texts[1].sentences[self.places[1]]

    @cached_property
    def both(self) -> tuple[Sentence, Sentence]:
        return self.first, self.second

    @cached_property
    def shared(self) -> frozenset[str]:
        """Content words that both have."""
        return frozenset(self.first.polarity.keys() & self.second.polarity.keys())

    @cached_property
    def only_first(self) -> list[str]:
        """Content words that only the first has, in order."""
        return [key for key in self.first.order if key in self.first.polarity and key not in self.second.polarity]

    @cached_property
    def only_second(self) -> list[str]:
        return [key for key in self.second.order if key in self.second.polarity and key not in self.first.polarity]

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """Opposites on which both stand."""
        return tuple(sorted(self.first.sides.keys() & self.second.sides.keys()))

    @cached_property
    def agreed_axes(self) -> tuple[str, ...]:
        """Those on which both stand on one side."""
        return tuple(x for x in self.axes if self.first.sides[x].keys() & self.second.sides[x].keys())

    def overlap(self, without_first: Collection[str] = (), without_second: Collection[str] = ()) -> Overlap:
        """What is shared when the differing words of each are left out."""
        without = {*without_first, *without_second}
        shared = self._weight(self.shared - without) + _SAME_SIDE * self._same_sides(without_first)
        return Overlap(
            shared,
            self._weight(self.first.polarity.keys() - without),
            self._weight(self.second.polarity.keys() - without),
        )

    def _weight(self, keys: Iterable[str]) -> int:
        return sum(map(self.question.weight, keys))

    def _same_sides(self, without: Collection[str]) -> int:
        """Axes on which other words than the shared ones agree."""
        return sum(
            not any(stem(stand.word) in self.shared or stem(stand.word) in without for stand in stands.values())
            for stands in (self.first.sides[axis] for axis in self.agreed_axes)
        )

    def enough(self, overlap: Overlap, need: Need) -> bool:
        """Whether the sentences speak of the same."""
        if self.level is Level.STRICT:
            return overlap.cover >= 0.75 and overlap.shared >= 3 * WORD
        if self.level is Level.ASKED:
            return overlap.cover >= need.cover and overlap.shared >= WORD / 2
        few = min(len(self.first.polarity), len(self.second.polarity)) <= _FEW_WORDS
        nothing_else = min(overlap.first, overlap.second) == 0 and max(overlap.first, overlap.second) <= 2.5 * WORD
        return overlap.cover >= (0.34 if few else 0.55) or nothing_else


class Difference(NamedTuple):
    """A finding between two sentences; see `Finding`."""

    strength: float
    kind: str
    first: str
    second: str


def sole(stands: Mapping[int, object]) -> int:
    """The side on which a sentence stands; 0 where it stands on both or on none."""
    return next(iter(stands)) if len(stands) == 1 else 0
