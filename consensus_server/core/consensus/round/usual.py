"""What likeness is usual, and how far beyond it two answers are alike.

Where a task leaves little choice of words, as translation, worked arithmetic and programs do, honest answers are alike
because they are right. A likeness tells of copying only where it is unusual among the other pairs.
"""

from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.rounding import SLACK, settled

LOWER: Final = 0.25
"""Share of the pairs that are no more alike than what is called usual. Copies stand at the upper end of the pairs, so they would
have to be three quarters of them, and seven answers of eight, to become what is usual."""
FEWEST_PAIRS: Final = 2
"""Pairs, at least, that tell what is usual; one has no others to be compared with."""
_STEPS: Final = 2**30
"""Steps of a pair's weight. Whole numbers, so that what is usual in a pool does not depend on what was summed before it."""
_SLACK: Final = _STEPS // 1000
"""More than the rounding of a pool's weights."""


def usual(
    values: Float64[np.ndarray, " pairs"], weight: Float64[np.ndarray, " pairs"], group: Int64[np.ndarray, " pairs"]
) -> Float64[np.ndarray, " groups"]:
    """Lower quartile of `values` in each group: the least value that a quarter of the weight does not exceed.

    0, where too little is known to call anything usual. weight: how much each pair counts; 0: not at all. Each pair stands
    here in both directions, so a pair that counts once weighs 2 in all.
    """
    order = np.lexsort((values, group))
    order = order[weight[order] > 0]
    values, weight, of = values[order], np.rint(weight[order] * _STEPS).astype(np.int64), group[order]
    total = np.bincount(of, weights=weight, minlength=int(group.max(initial=-1)) + 1)
    before = (np.cumsum(total) - total)[of]
    at = np.flatnonzero(np.cumsum(weight) - before >= LOWER * total[of] - _SLACK)
    found, first = np.unique(of[at], return_index=True)
    lower = np.zeros(len(total))
    lower[found] = values[at][first]
    return np.where(total >= 2 * FEWEST_PAIRS * _STEPS - _SLACK, lower, 0)


def beyond(
    values: Float64[np.ndarray, "*shape"], usual: Float64[np.ndarray, "*shape"]
) -> Float64[np.ndarray, "*shape"]:
    """1 - (1 - value) / (1 - usual): the part of the way from what is usual to identity; 1: identical, 0 and less: usual."""
    way = 1 - np.minimum(usual, 1)
    return settled(1 - (1 - values) / np.where(way > SLACK, way, 1))
