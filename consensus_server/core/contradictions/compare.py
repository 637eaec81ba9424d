"""The answers of a pool compared: which of their sentences speak of the same, and how these differ."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64
from scipy.sparse import csr_array

from consensus_server.core.contradictions.alignment import WORD, Alignment, Difference, Level, align
from consensus_server.core.contradictions.amounts import bounds, numbers
from consensus_server.core.contradictions.exchanged import categories, names, substitutions, values
from consensus_server.core.contradictions.opposites import negating_prefixes, opposites
from consensus_server.core.contradictions.polarity import modality, negations, quantifiers
from consensus_server.core.contradictions.questions import Question
from consensus_server.core.contradictions.replies import Answer
from consensus_server.core.contradictions.roles import roles
from consensus_server.core.contradictions.stance import stances

_RULES = (
    opposites,
    negating_prefixes,
    numbers,
    bounds,
    categories,
    names,
    substitutions,
    values,
    quantifiers,
    roles,
)
_LEAST_SHARED = 3
"""Content words that two sentences of long answers share, at least, where they are no replies."""


class Located(NamedTuple):
    """A difference between two answers, and where it stands."""

    difference: Difference
    places: tuple[int, int] = (-1, -1)
    """Of the sentence in each answer; (-1, -1) for answers as wholes."""


def compare(answers: Sequence[Answer], question: Question) -> Mapping[tuple[int, int], list[Located]]:
    """What every two answers to a question say differently, strongest first; pairs (i, j), i < j, that say the same are missing."""
    found: dict[tuple[int, int], set[Located]] = defaultdict(set)
    for (i, first), (j, second) in combinations(enumerate(answers), 2):
        found[i, j].update(map(Located, _of_whole_answers(first, second, question)))
    for i, j, pair in _alignments(answers, question):
        found[i, j].update(Located(each, pair.places) for each in _between(pair))
    return {at: sorted(each, key=lambda one: (-one.difference.strength, one)) for at, each in found.items() if each}


def _of_whole_answers(first: Answer, second: Answer, question: Question) -> Iterator[Difference]:
    """What the answers differ in as wholes: their yes or no, and their stance to a closed question."""
    verdicts = first.reading.verdict, second.reading.verdict
    if verdicts[0] * verdicts[1] < 0:
        yield Difference(1.0, "verdict", *("yes" if verdict > 0 else "no" for verdict in verdicts))
    if question.closed and not (first.reading.short and second.reading.short):
        yield from stances(first, second, question)


_BLOCK_VALUES = 2**22
"""Most pairs of sentences held at once: 32 MiB an array."""
MOST_ALIGNED = 64
"""Pairs of sentences that are compared between two answers: replies first, then those that share most. Usually there are four."""


def _alignments(answers: Sequence[Answer], question: Question) -> Iterator[tuple[int, int, Alignment]]:
    """The pairs of sentences that may speak of the same, with the places of their answers.

    A sentence that both texts contain is no difference. Which sentences share enough words is told for all of the pool at
    once, by one product of matrices: there are thousands of pairs, and few of them do.
    """
    rows = [(i, place) for i, answer in enumerate(answers) for place in range(len(answer.reading.sentences))]
    for left, right, level in _candidates(answers, rows, question):
        (i, place), (j, other) = rows[left], rows[right]
        first, second = answers[i], answers[j]
        texts = first.reading, second.reading
        if texts[0].sentences[place].raw not in second.said and texts[1].sentences[other].raw not in first.said:
            yield i, j, align(texts, (place, other), level, question)


_LEVELS = {1: Level.STRICT, 2: Level.ASKED, 3: Level.SHORT}


def _candidates(
    answers: Sequence[Answer], rows: Sequence[tuple[int, int]], question: Question
) -> Iterator[tuple[int, int, Level]]:
    """(row, later row, level) of the sentences to be compared, at most `MOST_ALIGNED` between two answers."""
    table, weights = _words(answers, rows, question)
    weighed = table * weights
    answer = np.array([i for i, _ in rows], dtype=np.int64)
    worth = np.array([answers[i].worth[place] for i, place in rows], dtype=np.int64)
    reply = np.array([place in answers[i].replies for i, place in rows], dtype=bool)
    short = np.array([answers[i].reading.short for i, _ in rows], dtype=bool)
    step = max(1, _BLOCK_VALUES // max(1, len(rows)))
    for own in (slice(start, start + step) for start in range(0, len(rows), step)):
        shared, weight = (each[own] @ table.T for each in (table, weighed))
        shared, weight = shared.toarray(), weight.toarray()
        lighter = np.minimum(worth[own][:, None], worth)
        near = (lighter >= 3 * WORD) & (weight >= np.maximum(2.3 * WORD, 0.6 * lighter)) & (shared >= _LEAST_SHARED)
        level = np.where(reply[own][:, None] & reply, 2 * (shared > 0), near)
        level = np.where(short[own][:, None] & short, 3, level)
        left, right = np.nonzero(np.where(answer[own][:, None] < answer, level, 0))
        levels, weight = level[left, right], weight[left, right]
        first = left + own.start
        for at in _foremost(answer[first] * len(answers) + answer[right], levels, weight):
            yield int(first[at]), int(right[at]), _LEVELS[levels[at]]


def _foremost(
    group: Int64[np.ndarray, " pairs"], level: Int64[np.ndarray, " pairs"], weight: Int64[np.ndarray, " pairs"]
) -> Int64[np.ndarray, " kept"]:
    """The first `MOST_ALIGNED` of each group, by level and weight, in the order given."""
    order = np.lexsort((np.arange(len(group)), -weight, -level, group))
    rank = np.arange(len(order)) - np.searchsorted(group[order], group[order])
    return np.sort(order[rank < MOST_ALIGNED])


def _words(
    answers: Sequence[Answer], rows: Sequence[tuple[int, int]], question: Question
) -> tuple[csr_array, Int64[np.ndarray, " words"]]:
    """1 where a sentence has a content word, and the weight of each word."""
    words = [tuple(answers[i].reading.sentences[place].polarity) for i, place in rows]
    known: dict[str, int] = {}
    columns = [known.setdefault(word, len(known)) for each in words for word in each]
    ends = np.cumsum([0, *map(len, words)])
    table = csr_array((np.ones(len(columns), dtype=np.int64), columns, ends), shape=(len(words), max(1, len(known))))
    return table, np.array([question.weight(word) for word in known] or [0], dtype=np.int64)


def _between(pair: Alignment) -> list[Difference]:
    """All differences between two sentences."""
    found = [each for rule in _RULES for each in rule(pair)]
    denied = list(negations(pair))
    return found + denied + ([] if denied else list(modality(pair)))
