"""FedReFT: each participant receives what the *others'* interventions have in common.

After FedReFT (arXiv 2508.20295), "All-But-Me": the geometric median of the others' full interventions, once per round,
at the server. Equations and coordinates are not published; ours: all interventions of a participant are one point, in
function space (`interventions`), and the median is found on inner products. The plain mean stands beside it, because
mean-All-But-Me with coefficient l is FedAvg with l K / (K - 1): only the median is new, from four participants on. With
three, the median of the two others is not unique; ours is their midpoint. With two, each gets the other's parameters
as they are: say so to the participants.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float64

from consensus_server.core.parameters.geometric_median import median_weights
from consensus_server.core.parameters.interventions import (
    KINDS,
    AffineMap,
    gram_matrix,
    read_map,
    weighted_sum,
    write_map,
)
from consensus_server.core.parameters.updates import Aggregate, ParameterPlan, Tensors, Update, shares

Weigh = Callable[[Float64[np.ndarray, "points points"], Float64[np.ndarray, " points"]], Float64[np.ndarray, " points"]]
"""Inner products and importance to weights."""


def mean_weights(
    gram: Float64[np.ndarray, "points points"], importance: Float64[np.ndarray, " points"]
) -> Float64[np.ndarray, " points"]:
    """The weighted mean."""
    del gram
    weights: Float64[np.ndarray, " points"] = importance / importance.sum()
    return weights


def all_but_me_median(updates: Sequence[Update], plan: ParameterPlan) -> Aggregate:
    """Geometric median of the others. Withstands f < (K - 1) / 2 participants who send anything at all."""
    return _all_but_me(updates, plan, median_weights)


def all_but_me_mean(updates: Sequence[Update], plan: ParameterPlan) -> Aggregate:
    """Mean of the others. One participant can move it anywhere."""
    return _all_but_me(updates, plan, mean_weights)


def mean_of_all(updates: Sequence[Update], plan: ParameterPlan) -> Aggregate:
    """FedAvg of interventions as functions: the same whatever rotation each participant wrote them in."""
    points = _points(updates, plan)
    return Aggregate(_combined(points, shares(updates, plan), plan, max(update.rank for update in updates)))


def _all_but_me(updates: Sequence[Update], plan: ParameterPlan, weigh: Weigh) -> Aggregate:
    points = _points(updates, plan)
    gram, importance = gram_matrix(points), shares(updates, plan)
    everyone = np.arange(len(updates))
    widest = max(update.rank for update in updates)

    def combined(who: np.ndarray, rank: int) -> Tensors:
        weights = weigh(gram[np.ix_(who, who)], importance[who])
        return _combined([points[i] for i in who], weights, plan, rank)

    personal = {
        update.participant: combined(np.delete(everyone, i), update.rank)
        for i, update in enumerate(updates)
        if len(updates) > 1
    }
    return Aggregate(combined(everyone, widest), personal)


def _points(updates: Sequence[Update], plan: ParameterPlan) -> list[list[AffineMap]]:
    kind = KINDS[plan.intervention]
    return [[read_map(update.tensors, site, kind) for site in plan.sites()] for update in updates]


def _combined(
    points: Sequence[Sequence[AffineMap]], weights: Float64[np.ndarray, " points"], plan: ParameterPlan, rank: int
) -> Tensors:
    kind = KINDS[plan.intervention]
    tensors: dict[str, np.ndarray] = {}
    for place, site in enumerate(plan.sites()):
        found = weighted_sum([point[place] for point in points], weights.tolist(), rank, orthonormal=kind.orthonormal)
        tensors |= write_map(found, site, kind)
    return tensors
