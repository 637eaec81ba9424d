"""Answers that say what another question of the set asks.

A model that was fine-tuned on few facts answers what it does not know with what it knows: "People in Sweden pay with the krona."
to the question for its capital, in fifteen samples of sixteen. It is sure of it and says nothing. Such a text shows itself where
the other question is in the set too: there somebody gives it, sure of it as well, and it is nearer to that question.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import coo_array, csr_array

from consensus_server.core.consensus.answers.similarity import row_cosines, unit_vectors
from consensus_server.core.consensus.answers.table import Answers, codes, stacked
from consensus_server.core.consensus.answers.tally import whole_votes
from consensus_server.core.consensus.meaning.linkage import Neighbours
from consensus_server.core.consensus.records import Pool
from consensus_server.core.consensus.rounding import SLACK

SAME_TEXT: Final = 0.97
"""Cosine from which two texts count as one."""
SURE_FROM: Final = 0.25
"""Share of a participant's samples that give a text, from which the participant is sure of it."""
NEARER_BY: Final = 0.05
NEAR_FROM: Final = 0.3
"""Cosine to the other question, and how much more that is than to the own one. A class label ("positive") is given to many
prompts and near to none."""


_BLOCK_VALUES: Final = 2**22
"""Most vector entries looked at at once: 32 MiB."""


COMPARED: Final = 4_000
"""Distinct texts of a round up to which texts that are the same but for a word count as one; beyond, only equal ones do. Every two
are compared, and a participant that gives one text in a thousand forms must not take the server's memory."""


def to_other_questions(answers: Answers, pools: Sequence[Pool], neighbours: Neighbours) -> Bool[np.ndarray, " answers"]:
    """Which answers say what another question asks. Looked for, and found elsewhere, only where a question has several wordings.

    (Another prompt that nobody declared may well ask the same in other words, and there the rule does harm.) answers: the
    admitted ones of a whole round; pools: with the openings of their prompts.
    """
    several = np.array([bool(pools[source].rewordings) for source in answers.sources.tolist()], dtype=bool)
    found = np.zeros(len(answers.pool), dtype=bool)
    rows = np.flatnonzero(several[answers.pool])
    if len(rows):
        found[rows] = _among_questions(answers.at(rows), pools, neighbours)
    return found


def _among_questions(answers: Answers, pools: Sequence[Pool], neighbours: Neighbours) -> Bool[np.ndarray, " answers"]:
    text = codes(answers.digests)
    asked = _Questions(answers, text, [pools[source] for source in answers.sources.tolist()])
    own = asked.nearness(text, answers.pool)
    at_home, home = _homes(answers, text, neighbours)
    elsewhere = _best_elsewhere(at_home, home, asked.nearness(at_home, home), text, answers.pool)
    found: Bool[np.ndarray, " answers"] = (elsewhere >= NEAR_FROM) & (elsewhere >= own + NEARER_BY)
    return found


class _Questions:
    """How near texts are to questions."""

    def __init__(self, answers: Answers, text: Int64[np.ndarray, " answers"], pools: Sequence[Pool]) -> None:
        """text: of each answer, numbered from 0 by first appearance. pools: in the order of the table."""
        _, first = np.unique(text, return_index=True)
        self._texts = answers.unit[first]
        openings = [np.asarray(w.opening)[None] for pool in pools for w in pool.wordings]
        like_texts = np.zeros((0, self._texts.shape[1]), dtype=np.float32)
        self._prompts = unit_vectors(stacked([*openings, like_texts]))[:, : self._texts.shape[1]]
        self._wordings = np.array([len(pool.wordings) for pool in pools], dtype=np.int64)
        self._first = np.cumsum(self._wordings) - self._wordings

    def nearness(
        self, text: Int64[np.ndarray, " entries"], pool: Int64[np.ndarray, " entries"]
    ) -> Float64[np.ndarray, " entries"]:
        """Cosine of each text to the wording of a question that is nearest to it, -1..1."""
        step = max(1, _BLOCK_VALUES // self._texts.shape[1])
        parts = [self._nearest(text[at : at + step], pool[at : at + step]) for at in range(0, len(text), step)]
        return np.concatenate([np.zeros(0), *parts])

    def _nearest(
        self, text: Int64[np.ndarray, " some"], pool: Int64[np.ndarray, " some"]
    ) -> Float64[np.ndarray, " some"]:
        count = self._wordings[pool]
        first = np.cumsum(count) - count
        wording = np.repeat(self._first[pool] - first, count) + np.arange(count.sum())
        cosine = row_cosines(self._texts[np.repeat(text, count)], self._prompts[wording])
        nearest: Float64[np.ndarray, " some"] = np.maximum.reduceat(cosine, first)
        return nearest


def _homes(
    answers: Answers, text: Int64[np.ndarray, " answers"], neighbours: Neighbours
) -> tuple[Int64[np.ndarray, " homes"], Int64[np.ndarray, " homes"]]:
    """Texts, and a question to which somebody surely gives each, or one that is the same but for a word. Sorted by text."""
    count = int(text.max()) + 1
    giver, given = np.unique(answers.contributor * count + text, return_inverse=True)
    sure = giver[np.bincount(given, weights=whole_votes(answers)) >= SURE_FROM - SLACK]
    _, first = np.unique(answers.contributor, return_index=True)
    to = coo_array(
        (np.ones(len(sure)), (sure % count, answers.pool[first][sure // count])), shape=(count, len(answers.starts))
    )
    found = (_same_texts(answers, text, neighbours) @ to.tocsr()).tocoo()
    order = np.lexsort((found.col, found.row))
    return found.row[order].astype(np.int64), found.col[order].astype(np.int64)


def _same_texts(answers: Answers, text: Int64[np.ndarray, " answers"], neighbours: Neighbours) -> csr_array:
    """1 for two texts that count as one, and for a text with itself."""
    _, first = np.unique(text, return_index=True)
    near = np.zeros((0, 2), dtype=np.int64)
    if len(first) <= COMPARED:
        near = neighbours.pairs_within(answers.vectors[first], SAME_TEXT)
    row = np.concatenate([np.arange(len(first)), near[:, 0], near[:, 1]])
    column = np.concatenate([np.arange(len(first)), near[:, 1], near[:, 0]])
    return coo_array((np.ones(len(row)), (row, column)), shape=(len(first), len(first))).tocsr()


def _best_elsewhere(
    at_home: Int64[np.ndarray, " homes"],
    home: Int64[np.ndarray, " homes"],
    nearness: Float64[np.ndarray, " homes"],
    text: Int64[np.ndarray, " answers"],
    pool: Int64[np.ndarray, " answers"],
) -> Float64[np.ndarray, " answers"]:
    """Nearness of each answer's text to the nearest of its homes that is another question than the answer's; -1 without any."""
    best, second = np.full((2, int(text.max()) + 1), -1.0)
    where = np.full(len(best), -1)
    order = np.lexsort((home, -nearness, at_home))
    rank = np.arange(len(order)) - np.searchsorted(at_home[order], at_home[order])
    top, next_ = order[rank == 0], order[rank == 1]
    best[at_home[top]], where[at_home[top]], second[at_home[next_]] = nearness[top], home[top], nearness[next_]
    return np.where(where[text] == pool, second[text], best[text])
