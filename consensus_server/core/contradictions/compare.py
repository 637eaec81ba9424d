"""Two answers compared: which of their sentences speak of the same, and how these differ."""

from collections.abc import Iterable, Iterator

from consensus_server.core.contradictions.alignment import WORD, Alignment, Difference, Level
from consensus_server.core.contradictions.amounts import bounds, numbers
from consensus_server.core.contradictions.exchanged import categories, names, substitutions
from consensus_server.core.contradictions.opposites import negating_prefixes, opposites
from consensus_server.core.contradictions.polarity import modality, negations, quantifiers
from consensus_server.core.contradictions.questions import Question
from consensus_server.core.contradictions.replies import Answer
from consensus_server.core.contradictions.roles import roles
from consensus_server.core.contradictions.stance import stances

_RULES = (opposites, negating_prefixes, numbers, bounds, categories, names, substitutions, quantifiers, roles)


def differences(first: Answer, second: Answer, question: Question) -> list[Difference]:
    """What two answers to a question say differently, strongest first."""
    verdicts = first.reading.verdict, second.reading.verdict
    found = [Difference(1.0, "verdict", *map(_verdict, verdicts))] if verdicts[0] * verdicts[1] < 0 else []
    if not (first.reading.short and second.reading.short) and question.closed:
        found += stances(first, second, question)
    for pair in _aligned(first, second, question):
        found += _between(pair)
    return sorted(set(found), key=lambda each: (-each.strength, each))


def _verdict(sign: int) -> str:
    return "yes" if sign > 0 else "no"


def _aligned(first: Answer, second: Answer, question: Question) -> Iterator[Alignment]:
    """The pairs of sentences that may speak of the same. A sentence that both texts contain is no difference."""
    both = first.said & second.said
    texts = first.reading, second.reading
    for i, sentence in enumerate(texts[0].sentences):
        for j, other in enumerate(texts[1].sentences):
            if sentence.raw in both or other.raw in both:
                continue
            level = _level(first, i, second, j, question)
            if level is not None:
                yield Alignment(texts, (i, j), level, question)


def _level(first: Answer, i: int, second: Answer, j: int, question: Question) -> Level | None:
    """How two sentences are to be compared; None where they are not."""
    if first.reading.short and second.reading.short:
        return Level.SHORT
    shared = first.reading.sentences[i].polarity.keys() & second.reading.sentences[j].polarity.keys()
    if i in first.replies and j in second.replies:
        return Level.ASKED if shared else None
    strict = len(shared) >= 3 and _may_be_equal(shared, first.worth[i], second.worth[j], question)
    return Level.STRICT if strict else None


def _may_be_equal(shared: Iterable[str], worth: int, other: int, question: Question) -> bool:
    """A quick look whether two sentences of long answers can reach the overlap that is asked of them."""
    weight = sum(map(question.weight, shared))
    return min(worth, other) >= 3 * WORD and weight >= max(2.3 * WORD, 0.6 * min(worth, other))


def _between(pair: Alignment) -> list[Difference]:
    """All differences between two sentences."""
    found = [each for rule in _RULES for each in rule(pair)]
    denied = list(negations(pair))
    return found + denied + ([] if denied else list(modality(pair)))
