"""A pool in two dimensions, to be looked at. Nothing is decided by it, and nothing of it is stored."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from consensus_server.core.consensus.answers.similarity import unit_vectors
from consensus_server.core.consensus.rounding import settled

_NOTHING = 1e-6
"""A component whose singular value is less than this part of the first is noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoint:
    """Where an answer lies."""

    participant: str | None
    """None where the caller may not know whose it is."""
    sample: int
    x: float
    y: float
    cluster: int | None
    """Index into the label's clusters; None where it was kept out."""
    gate: str | None
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolMap:
    """The answers to one prompt in two dimensions."""

    prompt_id: str
    method: str
    explained: tuple[float, float] | None
    """Part of the variance along x and y, where the method knows it."""
    points: tuple[MapPoint, ...]


def principal_plane(
    vectors: Float32[np.ndarray, "answers dimension"],
) -> tuple[Float64[np.ndarray, "answers 2"], tuple[float, float]]:
    """Coordinates along the two directions of most variance (PCA), and the part of the variance that each has, 0..1.

    Unit vectors, their mean subtracted, projected on the first right singular vectors. The sign of a direction is
    chosen so that the answer furthest from the middle, of several the first row, lies on its positive side. Directions
    without variance give zeros.
    """
    points = np.zeros((len(vectors), 2))
    if not len(vectors):
        return points, (0.0, 0.0)
    parts = np.zeros(2)
    if len(vectors) > 1:
        unit = unit_vectors(vectors)
        left, size, _ = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
        real = np.flatnonzero(size[:2] > max(_NOTHING * size[0], _NOTHING))
        points[:, real] = left[:, real] * size[real]
        parts[real] = size[real] ** 2 / (size**2).sum()
    furthest = settled(np.abs(points)).argmax(axis=0)
    signs = np.where(points[furthest, [0, 1]] < 0, -1.0, 1.0)
    first, second = settled(parts).tolist()
    return settled(points * signs) + 0.0, (first, second)
