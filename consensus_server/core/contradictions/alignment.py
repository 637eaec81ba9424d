"""Two sentences side by side: whether they speak of the same, so that a difference between them is a contradiction.

The measure is the weight of shared content words over that of the lighter sentence. Weights are whole tenths, so that sums
are exact: 10 for a word, 5 where the prompt has it too, 4 and 2 for generic ones.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
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


NEGATION: Final = 0.5
"""Least cover between replies to a closed question for a difference by negation; below for other differences."""
OPPOSITE: Final = 0.3
AMOUNT: Final = 0.3
BARE_NUMBER: Final = 0.5
"""Of years, dates, spans of time and counts."""
NEARLY_EQUAL: Final = 0.75
"""Least cover of sentences that are alike but for what differs."""
_SHORT: Final = 0.34
"""Least cover between short answers, and between those of more than seven content words."""
_SHORT_WIDE: Final = 0.55
_NOTHING_ELSE: Final = 25
"""Most weight of a sentence that is compared with one of no other words than the differing one."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """Two sentences, one of each answer."""

    texts: tuple[Reading, Reading]
    places: tuple[int, int]
    """Of the sentences in their texts."""
    level: Level
    question: Question
    first: Sentence
    second: Sentence
    shared: frozenset[str]
    """Content words that both have."""
    only_first: Sequence[str]
    """Content words that only the first has, in order."""
    only_second: Sequence[str]
    axes: Sequence[str]
    """Opposites on which both stand."""

    @property
    def both(self) -> tuple[Sentence, Sentence]:
        return self.first, self.second

    @property
    def agreed_axes(self) -> list[str]:
        """Opposites on which both stand on one side."""
        return [axis for axis in self.axes if self.first.sides[axis].keys() & self.second.sides[axis].keys()]

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

    def enough(self, overlap: Overlap, least: float) -> bool:
        """Whether the sentences speak of the same. least: cover, between replies to a closed question."""
        if self.level is Level.STRICT:
            return overlap.cover >= NEARLY_EQUAL and overlap.shared >= 3 * WORD
        if self.level is Level.ASKED:
            return overlap.cover >= least and overlap.shared >= WORD / 2
        few = min(len(self.first.polarity), len(self.second.polarity)) <= _FEW_WORDS
        alone = not min(overlap.first, overlap.second) and max(overlap.first, overlap.second) <= _NOTHING_ELSE
        return alone or overlap.cover >= (_SHORT if few else _SHORT_WIDE)


def align(texts: tuple[Reading, Reading], places: tuple[int, int], level: Level, question: Question) -> Alignment:
    """Put two sentences side by side."""
    first, second = texts[0].sentences[places[0]], texts[1].sentences[places[1]]
    return Alignment(
        texts,
        places,
        level,
        question,
        first,
        second,
        shared=frozenset(first.polarity.keys() & second.polarity.keys()),
        only_first=_only(first, second),
        only_second=_only(second, first),
        axes=sorted(first.sides.keys() & second.sides.keys()),
    )


def _only(sentence: Sentence, other: Sentence) -> list[str]:
    return [key for key in sentence.order if key in sentence.polarity and key not in other.polarity]


class Difference(NamedTuple):
    """A finding between two sentences; see `Finding`."""

    strength: float
    kind: str
    first: str
    second: str


def sole(stands: Mapping[int, object]) -> int:
    """The side on which a sentence stands; 0 where it stands on both or on none."""
    return next(iter(stands)) if len(stands) == 1 else 0
