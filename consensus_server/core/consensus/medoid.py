"""How central an answer is among others, as a mean cosine weighted by votes.

The sum of an answer's cosines to a group is its dot product with the sum of the group's unit vectors. So no matrix is
needed, time grows with answers times dimension, and a pool of ten thousand is treated as one of eight.
"""

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import coo_array

from consensus_server.core.consensus.rounding import settled

_NO_VOTES = 1e-9
"""Less than any answer's vote, more than the rounding of a difference of sums."""
_WEISZFELD_STEPS = 30
_LEAST_DISTANCE = 1e-3


def group_sums(
    unit: Float64[np.ndarray, "answers dimension"],
    votes: Float64[np.ndarray, " answers"],
    group: Int64[np.ndarray, " answers"],
) -> Float64[np.ndarray, "groups dimension"]:
    """Sum of the unit vectors of each group, times their votes; added in the order of the rows."""
    shape = (int(group.max(initial=-1)) + 1, len(group))
    sums: Float64[np.ndarray, "groups dimension"] = (
        coo_array((votes, (group, np.arange(len(group)))), shape=shape).tocsr() @ unit
    )
    return sums


def mean_cosine(
    unit: Float64[np.ndarray, "answers dimension"],
    votes: Float64[np.ndarray, " answers"],
    group: Int64[np.ndarray, " answers"],
    leave_out: Int64[np.ndarray, " answers"] | None = None,
) -> Float64[np.ndarray, " answers"]:
    """Mean cosine of each answer to its `group`, -1..1: sum_j votes_j cos(i, j) / sum_j votes_j.

    The answer itself counts, with cosine 1: then the answer with the highest mean is the weighted medoid, which
    minimises sum_j votes_j (1 - cos(i, j)). leave_out: finer groups, each inside one of `group`; an answer's own is
    left out of its mean. 0 where nobody is left.
    """
    total, weight = _sums_over(unit, votes, group)
    if leave_out is not None:
        own, own_weight = _sums_over(unit, votes, leave_out)
        total, weight = total - own, weight - own_weight
    return _ratio(total, weight)


def _sums_over(
    unit: Float64[np.ndarray, "answers dimension"],
    votes: Float64[np.ndarray, " answers"],
    group: Int64[np.ndarray, " answers"],
) -> tuple[Float64[np.ndarray, " answers"], Float64[np.ndarray, " answers"]]:
    """Of each answer: the sum of its cosines to its group times their votes, and the sum of those votes.

    The cosine to itself is put at 1 exactly. The grid leaves a length off by 1e-8, and that would tell apart the two
    answers of a pair, which are equally central.
    """
    others = (unit * (group_sums(unit, votes, group)[group] - votes[:, None] * unit)).sum(axis=1)
    return others + votes, np.bincount(group, weights=votes)[group]


def closeness_to_geometric_median(
    unit: Float64[np.ndarray, "answers dimension"],
    votes: Float64[np.ndarray, " answers"],
    group: Int64[np.ndarray, " answers"],
) -> Float64[np.ndarray, " answers"]:
    """Minus the distance of each answer to the geometric median of its group: the point x of least sum_j votes_j |x - e_j|.

    Weiszfeld's iteration from the mean, a fixed number of steps, with distances kept above 1e-3 so that it cannot end
    on an answer by chance. Bears any minority of votes, however far away (Lopuhaä and Rousseeuw 1991).
    """
    weights, distance = votes, np.zeros_like(votes)
    for _ in range(_WEISZFELD_STEPS):
        total = np.maximum(np.bincount(group, weights=weights), _NO_VOTES)
        centre = group_sums(unit, weights, group) / total[:, None]
        distance = np.sqrt(((unit - centre[group]) ** 2).sum(axis=1))
        weights = votes / np.maximum(distance, _LEAST_DISTANCE)
    closeness: Float64[np.ndarray, " answers"] = -distance
    return closeness


def _ratio(
    numerator: Float64[np.ndarray, " answers"], denominator: Float64[np.ndarray, " answers"]
) -> Float64[np.ndarray, " answers"]:
    """The quotient, kept within -1..1; 0 where there is nothing to divide by."""
    quotient = np.zeros_like(numerator)
    np.divide(numerator, denominator, out=quotient, where=denominator > _NO_VOTES)
    return quotient.clip(-1, 1)


def best_of_pool(
    score: Float64[np.ndarray, " answers"],
    allowed: Bool[np.ndarray, " answers"],
    pool: Int64[np.ndarray, " answers"],
    starts: Int64[np.ndarray, " pools"],
) -> Int64[np.ndarray, " pools"]:
    """Row of the highest settled score among the allowed answers of each pool; of equal ones the first row.

    Every pool has an allowed answer.
    """
    value = np.where(allowed, settled(score), -np.inf)
    hits = np.flatnonzero(allowed & (value == np.maximum.reduceat(value, starts)[pool]))
    _, first = np.unique(pool[hits], return_index=True)
    return hits[first]
