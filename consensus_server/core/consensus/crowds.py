"""Pools too large for a table of pairs: guards read each answer, copies are found in blocks, meaning alone decides.

Time grows with the square of the answers, memory with those that are close to one another. Word overlap, likeness of
participants over the round and reliability need pairs, and are not there.
"""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.background import Known
from consensus_server.core.consensus.guards import OVER_LONG, guarded, refusals_of
from consensus_server.core.consensus.measures import Measures
from consensus_server.core.consensus.medoid import mean_cosine
from consensus_server.core.consensus.redundancy import COPY_COSINE, LONG_CHARS, within_length
from consensus_server.core.consensus.rounding import SLACK
from consensus_server.core.consensus.support import Standing, Verdict, length_price

_BLOCK_VALUES: Final = 2**22
"""Most cosines held at once: 32 MiB."""


def judge_crowd(
    measures: Measures,
    openings: Float64[np.ndarray, "answers dimension"],
    unit: Float64[np.ndarray, "answers dimension"],
    known: Known,
    length_penalty: float,
) -> Verdict:
    """Admit, weigh and rank the answers of one pool. measures: without pairs. openings, unit: unit vectors.

    An answer's support is its mean cosine to the admitted answers that are no copies of it.
    """
    entitled, refusals = guarded(measures, known)
    group = copy_groups(openings, entitled & (measures.length >= LONG_CHARS) & ~measures.by_key)

    def company(head: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
        together: Float64[np.ndarray, " answers"] = np.bincount(group, weights=head)[group]
        return together

    vote, over, longest = within_length(measures, entitled, company, known.spared(OVER_LONG, measures.participant))
    refusals |= refusals_of(OVER_LONG, over, measures.length.astype(np.float64), longest)
    admitted = entitled & ~over
    support = mean_cosine(unit, vote, measures.layout.pool, leave_out=group)
    score = support - length_price(measures, support, admitted, vote, length_penalty)
    nothing = np.zeros_like(vote)
    return Verdict(admitted, refusals, vote, Standing(support, nothing, score, nothing, vote))


def copy_groups(
    openings: Float64[np.ndarray, "answers dimension"], comparable: Bool[np.ndarray, " answers"]
) -> Int64[np.ndarray, " answers"]:
    """Group of each answer, named by its first member: openings whose cosine is at least .985, and what they lead to.

    Each comparable answer follows the first one that it is a copy of; who is not comparable stands alone.
    """
    group = np.arange(len(openings))
    rows = np.flatnonzero(comparable)
    step = max(1, _BLOCK_VALUES // max(1, len(rows)))
    for first in range(0, len(rows), step):
        block = rows[first : first + step]
        alike = openings[block] @ openings[rows[: first + step]].T >= COPY_COSINE - SLACK
        alike[np.arange(len(block)), first + np.arange(len(block))] = True
        group[block] = rows[alike.argmax(axis=1)]
    while not np.array_equal(group[group], group):
        group = group[group]
    return group
