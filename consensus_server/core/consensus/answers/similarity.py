"""Cosines that are the same bytes on every machine, in every batch, under every BLAS and thread count."""

from typing import Final

import numpy as np
from jaxtyping import Float32, Float64, Int64

from consensus_server.core.consensus.rounding import DECIMALS, settled

_STEPS: Final = 2.0**26
"""Steps per unit of the grid on which unit vectors are laid."""

_BLOCK_VALUES: Final = 2**22
"""Most cosines held at once while pairs are searched: 32 MiB."""


def unit_vectors(vectors: Float32[np.ndarray, "answers dimension"]) -> Float64[np.ndarray, "answers dimension"]:
    """Each row at length 1, entries rounded to multiples of 2^-26; zeros for a row that is zero or not finite.

    The grid makes every dot product exact. A product of two entries is a multiple of 2^-52, and no sum of such
    products exceeds the product of the norms (Cauchy and Schwarz), 1 but for the rounding; multiples of 2^-52 up to 2
    are float64 numbers. So nothing is ever rounded while summing, and neither order, nor FMA, nor blocking shows. The
    price is an error of about 1e-8 in a cosine, below the error of the float32 vectors that come in.
    """
    wide = np.where(np.isfinite(vectors).all(axis=1, keepdims=True), vectors, 0).astype(np.float64)
    norms = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
    unit: Float64[np.ndarray, "answers dimension"] = np.divide(wide, norms, out=np.zeros_like(wide), where=norms > 0)
    return np.rint(unit * _STEPS) / _STEPS


def cosines(unit: Float64[np.ndarray, "pools size dimension"]) -> Float64[np.ndarray, "pools size size"]:
    """Cosine matrix of each pool, -1..1, to six decimals."""
    return settled(np.clip(unit @ unit.swapaxes(1, 2), -1, 1))


def row_cosines(
    left: Float64[np.ndarray, "rows dimension"], right: Float64[np.ndarray, "rows dimension"]
) -> Float64[np.ndarray, " rows"]:
    """Cosine of each row of unit vectors with the same row of the other, -1..1, to six decimals."""
    return settled(np.clip((left * right).sum(axis=1), -1, 1))


def pairs_within(vectors: Float32[np.ndarray, "answers dimension"], similarity: float) -> Int64[np.ndarray, "pairs 2"]:
    """All pairs i < j with cosine at least `similarity` (-1..1), sorted. Time grows with the square of the answers.

    Memory: 32 MiB of cosines at a time, 16 bytes per pair found.
    """
    unit = unit_vectors(vectors)
    step = max(1, _BLOCK_VALUES // max(1, len(unit)))
    found = [_pairs_of_rows(unit, first, first + step, similarity) for first in range(0, len(unit), step)]
    return np.concatenate([np.empty((0, 2), np.int64), *found])


def _pairs_of_rows(
    unit: Float64[np.ndarray, "answers dimension"], first: int, end: int, similarity: float
) -> Int64[np.ndarray, "pairs 2"]:
    """The pairs whose smaller index lies in [first, end)."""
    threshold = round(similarity, DECIMALS)
    cosine = unit[first:end] @ unit[first:].T
    left, right = np.nonzero(np.triu(cosine >= threshold - 10.0**-DECIMALS, k=1))
    close = settled(cosine[left, right].clip(-1, 1)) >= threshold  # the few that rounding may move, and the rest
    return np.stack([left[close], right[close]], axis=1) + first
