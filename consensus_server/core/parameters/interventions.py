"""Interventions as functions: what ReFT adapters do to a hidden state, apart from how they write it down.

LoReFT (arXiv 2404.03592, equation 2) edits h to h + R'(W h + b - R h). With any rotation Q, (Q R, Q W, Q b) is the same
edit, so the mean of two participants' tensors means nothing. What they *do* is the affine map

    M = R' [W - R, b]     (d x (d + 1)),     h -> h + M [h; 1]

and maps can be added. None is ever written out: M stays a product of a left factor (r x d) and a right one
(r x (d + 1)), inner products of maps come from r x r matrices, and a weighted sum of maps is brought back to rank r by a
small singular value decomposition, which is the nearest map of that rank (Eckart and Young).

This treatment is ours. FedReFT (arXiv 2508.20295) does not say in which coordinates it aggregates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Float64

from consensus_server.core.parameters.updates import Tensors


@dataclass(frozen=True, slots=True)
class AffineMap:
    """h -> left' right [h; 1]: what is added to a hidden state."""

    left: Float64[np.ndarray, "rank width"]
    right: Float64[np.ndarray, "rank width_and_one"]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one sort of intervention writes its map down."""

    left: str
    """Part that holds the left factor."""
    subtracts: bool
    """Whether the edit moves towards W h + b (LoReFT, NoReFT) or adds it (DiReFT)."""
    orthonormal: bool = True
    """Whether the rows of the left factor are."""


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "loreft": Kind(left="R", subtracts=True),
        "noreft": Kind(left="W2", subtracts=True, orthonormal=False),
        "direft": Kind(left="W2", subtracts=False, orthonormal=False),
    }
)


def read_map(tensors: Tensors, site: str, kind: Kind) -> AffineMap:
    """The map of the intervention at a site."""
    left = tensors[f"{site}.{kind.left}"]
    linear = tensors[f"{site}.W"] - left if kind.subtracts else tensors[f"{site}.W"]
    return AffineMap(left, np.column_stack([linear, tensors[f"{site}.b"]]))


def write_map(found: AffineMap, site: str, kind: Kind) -> dict[str, np.ndarray]:
    """The tensors of an intervention that does what the map does."""
    linear = found.right[:, :-1]
    return {
        f"{site}.{kind.left}": found.left,
        f"{site}.W": linear + found.left if kind.subtracts else linear,
        f"{site}.b": found.right[:, -1],
    }


def inner_product(one: AffineMap, other: AffineMap) -> float:
    """Frobenius inner product of two maps; their ranks may differ."""
    return float(((one.left @ other.left.T) * (one.right @ other.right.T)).sum())


def gram_matrix(points: Sequence[Sequence[AffineMap]]) -> Float64[np.ndarray, "points points"]:
    """Inner products of participants, each of whom is the tuple of its maps at all sites."""
    gram = np.zeros((len(points), len(points)))
    for i, one in enumerate(points):
        for j, other in enumerate(points[: i + 1]):
            gram[i, j] = gram[j, i] = sum(map(inner_product, one, other))
    return gram


def weighted_sum(maps: Sequence[AffineMap], weights: Sequence[float], rank: int, *, orthonormal: bool) -> AffineMap:
    """The map of `rank` nearest to the weighted sum: the sum itself where it has no more than that.

    orthonormal: the left rows come out orthonormal; else both factors share the size of the map evenly, as suits
    further training. Singular vectors have a sign of their own choosing: the largest entry of each left row is made
    positive.
    """
    left, upper = np.linalg.qr(_completed(np.vstack([each.left for each in maps]), rank).T)
    right, lower = np.linalg.qr(np.vstack([w * each.right for w, each in zip(weights, maps, strict=True)]).T)
    core = np.zeros((upper.shape[1], lower.shape[1]))
    core[: lower.shape[1]] = np.eye(lower.shape[1])
    u, sizes, v = np.linalg.svd(upper @ core @ lower.T, full_matrices=True)
    rows = (left @ u)[:, :rank].T
    sizes = np.pad(sizes, (0, max(0, rank - len(sizes))))[:rank]
    columns = np.pad((right @ v.T).T, ((0, max(0, rank - len(v))), (0, 0)))[:rank]
    signs = np.sign(rows[np.arange(rank), np.abs(rows).argmax(axis=1)])
    # A row without size keeps a left factor of length 1: with both factors zero it could never learn again.
    split = np.ones(rank) if orthonormal else np.where(sizes > 0, np.sqrt(sizes), 1.0)
    return AffineMap(rows * (signs * split)[:, None], columns * (signs * sizes / split)[:, None])


def _completed(rows: Float64[np.ndarray, "rows width"], rank: int) -> Float64[np.ndarray, "more width"]:
    """The rows, followed by unit vectors so that at least `rank` directions are there."""
    return np.vstack([rows, np.eye(rank, rows.shape[1])]) if len(rows) < rank else rows
