"""Pools too large for a table of pairs: gates read each answer, copies are found in blocks, meaning alone decides.

Time grows with the square of the answers, memory with those that are close to one another. Word overlap, likeness of
participants over the round and reliability need pairs, and are not there.
"""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers.centrality import mean_cosine
from consensus_server.core.consensus.round.measures import Measures
from consensus_server.core.consensus.round.redundancy import GroupSize, comparable, copy_cosine
from consensus_server.core.consensus.round.standing import Standing, price_of_length
from consensus_server.core.consensus.round.usual import usual
from consensus_server.core.consensus.rounding import SLACK

_SAMPLE: Final = 1024
"""Answers, evenly spaced, that tell what is usual in their pool: 8 MiB of cosines."""
_BLOCK_VALUES: Final = 2**22
"""Most cosines held at once: 32 MiB."""


def copy_groups(
    measures: Measures, openings: Float64[np.ndarray, "answers dimension"], admitted: Bool[np.ndarray, " answers"]
) -> Int64[np.ndarray, " answers"]:
    """Group of each answer, named by its first member: openings that are copies by their cosine, and what they lead to.

    Each comparable answer follows the first one that it is a copy of; who is not comparable stands alone.
    openings: unit vectors.
    """
    group = np.arange(len(openings))
    rows = np.flatnonzero(admitted & comparable(measures))
    limit = copy_cosine(_usual_cosine(openings[rows]))
    step = max(1, _BLOCK_VALUES // max(1, len(rows)))
    for first in range(0, len(rows), step):
        block = rows[first : first + step]
        alike = openings[block] @ openings[rows[: first + step]].T >= limit - SLACK
        alike[np.arange(len(block)), first + np.arange(len(block))] = True
        group[block] = rows[alike.argmax(axis=1)]
    while not np.array_equal(group[group], group):
        group = group[group]
    return group


def _usual_cosine(openings: Float64[np.ndarray, "answers dimension"]) -> Float64[np.ndarray, " one"]:
    """What is usual between two openings that are not identical; in the order of digests, a sample of them tells it."""
    sample = openings[np.linspace(0, len(openings) - 1, min(_SAMPLE, len(openings))).astype(np.int64)]
    cosine = (sample @ sample.T).ravel()
    return usual(cosine, (cosine < 1 - SLACK).astype(float), np.zeros(len(cosine), dtype=np.int64))


def group_size_by_groups(group: Int64[np.ndarray, " answers"]) -> GroupSize:
    """Group sizes where answers are copies of each other or not."""

    def size(share: Float64[np.ndarray, " answers"]) -> Float64[np.ndarray, " answers"]:
        together: Float64[np.ndarray, " answers"] = np.bincount(group, weights=share)[group]
        return together

    return size


def stand_in_large_pool(
    measures: Measures,
    unit: Float64[np.ndarray, "answers dimension"],
    admitted: Bool[np.ndarray, " answers"],
    votes: Float64[np.ndarray, " answers"],
    group: Int64[np.ndarray, " answers"],
    *,
    length_penalty: float,
) -> Standing:
    """Mean cosine of each answer to the admitted ones that are no copies of it, less the price of length.

    unit: unit vectors. group: as `copy_groups` has it.
    """
    support = mean_cosine(unit, votes, measures.pairs.pool, leave_out=group)
    score = support - price_of_length(measures, support, admitted, votes, length_penalty)
    nothing = np.zeros_like(votes)
    return Standing(support, nothing, score, nothing, votes)
