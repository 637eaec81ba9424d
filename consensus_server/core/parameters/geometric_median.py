"""The geometric median of points of which only the inner products are known.

The median minimises sum_k a_k |x_k - m|. It lies in the convex hull of the points, so it is found as weights on them:
the points themselves may be maps of a billion entries. Weiszfeld's iteration, smoothed as in RFA (Pillutla, Kakade,
Harchaoui, arXiv 1912.13445, section 3): a distance below `smoothing` counts as `smoothing`, so that a point on the way
does not trap the iteration.
"""

from typing import Final

import numpy as np
from jaxtyping import Float64

SMOOTHING: Final = 1e-6
"""Part of the typical distance between points, below which two of them count as one."""

MAX_STEPS: Final = 1_000
TOLERANCE: Final = 1e-9
"""Relative change of every weight at which the iteration ends: a weight of 1e-12 on a point at 1e12 matters."""


def median_weights(
    gram: Float64[np.ndarray, "points points"], importance: Float64[np.ndarray, " points"]
) -> Float64[np.ndarray, " points"]:
    """Weights, summing to 1, of the points whose sum is their geometric median.

    gram: inner products. importance: positive; equal ones for the plain median. Of two equally important points every
    point between them is a median: the midpoint is taken. Beyond two points that do not lie on a line it is unique. A
    minority of importance below one half, wherever it lies, moves the median only boundedly (breakdown point 1/2).
    """
    share: Float64[np.ndarray, " points"] = importance / importance.sum()
    weights = share.copy()
    # Where most points are the same the floor is the least positive number: they are then the median at once.
    floor = max(SMOOTHING * _typical_distance(gram), np.finfo(float).tiny)
    for _ in range(MAX_STEPS):
        pulled = share / np.maximum(_distances(gram, weights), floor)
        following: Float64[np.ndarray, " points"] = pulled / pulled.sum()
        if (np.abs(following - weights) <= TOLERANCE * weights).all():
            return following
        weights = following
    return weights


def _distances(
    gram: Float64[np.ndarray, "points points"], weights: Float64[np.ndarray, " points"]
) -> Float64[np.ndarray, " points"]:
    """Of each point to the weighted sum of all."""
    towards = gram @ weights
    squares = np.diag(gram) - 2 * towards + weights @ towards
    distances: Float64[np.ndarray, " points"] = np.sqrt(np.maximum(squares, 0.0))
    return distances


def _typical_distance(gram: Float64[np.ndarray, "points points"]) -> float:
    """Least of the points' median distances to the others, so that a minority far away cannot make it large.

    0 where there is one point, or where most are the same.
    """
    squares = np.diag(gram)
    apart = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * gram, 0.0))
    return float(np.median(apart, axis=1).min()) if len(gram) > 1 else 0.0
