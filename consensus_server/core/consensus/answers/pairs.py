"""Every two answers of a pool as one flat column for all pools: where the pairs stand, and what is summed over them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.answers.similarity import cosines

FULL_MATRIX_ANSWERS: Final = 1024
"""Largest pool, in admitted answers, whose pairs are all looked at: clustered by average linkage, measured pair by pair."""

_BLOCK_VALUES: Final = 2**22
"""Most cosines held at once while they are computed: 32 MiB."""


@dataclass(frozen=True)
class Pairs:
    """Pairs (i, j) of answers of one pool, i = j included, sorted by i, then j. Rows and pools are numbered from 0."""

    pool: Int64[np.ndarray, " answers"]
    """Pool of each answer, ascending without gaps."""

    @cached_property
    def sizes(self) -> Int64[np.ndarray, " pools"]:
        sizes: Int64[np.ndarray, " pools"] = np.bincount(self.pool)
        return sizes

    @cached_property
    def starts(self) -> Int64[np.ndarray, " pools"]:
        """First row of each pool."""
        starts: Int64[np.ndarray, " pools"] = np.cumsum(self.sizes) - self.sizes
        return starts

    @cached_property
    def _first(self) -> Int64[np.ndarray, " answers"]:
        """First pair of each answer."""
        partners = self.sizes[self.pool]
        first: Int64[np.ndarray, " answers"] = np.cumsum(partners) - partners
        return first

    def __len__(self) -> int:
        """Number of pairs."""
        return int((self.sizes**2).sum())

    @cached_property
    def left(self) -> Int64[np.ndarray, " pairs"]:
        """Row i of each pair."""
        return np.repeat(np.arange(len(self.pool)), self.sizes[self.pool])

    @cached_property
    def right(self) -> Int64[np.ndarray, " pairs"]:
        """Row j of each pair."""
        right: Int64[np.ndarray, " pairs"] = np.arange(len(self)) - (self._first - self.starts[self.pool])[self.left]
        return right

    def pair_of(
        self, left: Int64[np.ndarray, " some"], right: Int64[np.ndarray, " some"]
    ) -> Int64[np.ndarray, " some"]:
        """Place of the pair of two rows of one pool."""
        place: Int64[np.ndarray, " some"] = self._first[left] + right - self.starts[self.pool[left]]
        return place

    def cosines(self, unit: Float64[np.ndarray, "answers dimension"]) -> Float64[np.ndarray, " pairs"]:
        """Cosine of each pair of unit vectors, -1..1, to six decimals. All pools of one size go together."""
        found = np.empty(len(self))
        for size in np.unique(self.sizes).tolist():
            pools = np.flatnonzero(self.sizes == size)
            step = max(1, _BLOCK_VALUES // size**2)
            for at in range(0, len(pools), step):
                first = self.starts[pools[at : at + step]]
                matrices = cosines(unit[first[:, None] + np.arange(size)])
                found[self._first[first][:, None] + np.arange(size**2)] = matrices.reshape(len(first), size**2)
        return found

    def total(self, values: Float64[np.ndarray, " pairs"]) -> Float64[np.ndarray, " answers"]:
        """Sum over the partners of each answer."""
        return np.bincount(self.left, weights=values, minlength=len(self.pool))
