"""The sentences of an answer that reply to the prompt, and how much each of its sentences says."""

from collections.abc import Sequence
from dataclasses import dataclass

from consensus_server.core.contradictions.classes import GENERIC
from consensus_server.core.contradictions.questions import Question
from consensus_server.core.contradictions.reading import Reading, Sentence


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A text read as an answer to a question."""

    reading: Reading
    worth: tuple[int, ...]
    """Weight of each sentence's content words, in tenths of a word."""
    relevance: tuple[float, ...]
    """How far each sentence speaks of what a closed question asks, in words; empty where the prompt is open."""
    replies: frozenset[int]
    """Places of the sentences that reply to a closed question: the most relevant ones."""
    said: frozenset[str]
    """Its sentences as they stand."""

    @property
    def least_relevance(self) -> float:
        """From which a sentence is one of the replies."""
        return _least(self.relevance)


def answer_to(question: Question, reading: Reading) -> Answer:
    """Weigh a text by a question."""
    worth = tuple(sum(map(question.weight, sentence.polarity)) for sentence in reading.sentences)
    relevance = tuple(_relevance(sentence, question) for sentence in reading.sentences) if question.closed else ()
    replies = frozenset(i for i, each in enumerate(relevance) if each >= _least(relevance))
    return Answer(reading, worth, relevance, replies, frozenset(sentence.raw for sentence in reading.sentences))


def _least(relevance: Sequence[float]) -> float:
    return max(1.0, 0.6 * max(relevance, default=0.0))


def _relevance(sentence: Sentence, question: Question) -> float:
    words = sum(0.4 if key in GENERIC else 1.0 for key in sentence.polarity.keys() & question.stems)
    axes = len(sentence.sides.keys() & question.axes)
    quantity = any(each.dimension in question.dimensions for each in sentence.quantities)
    return words + 0.5 * axes + 0.5 * quantity
