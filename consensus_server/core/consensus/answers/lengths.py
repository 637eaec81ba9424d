"""Long and short, made once from the policy's `short_chars`.

A *long* answer has at least that many characters, 80 by default. Short answers state facts and agree word by word; long ones
can be copied, and nearly all answers of a pool of them may mean the same.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.rounding import SLACK


@dataclass(frozen=True)
class Lengths:
    """The lengths of the answers of some pools."""

    pool: Int64[np.ndarray, " answers"]
    """Pool of each answer, ascending without gaps."""
    characters: Int64[np.ndarray, " answers"]
    short_chars: int

    @cached_property
    def long(self) -> Bool[np.ndarray, " answers"]:
        """Which answers are long."""
        long: Bool[np.ndarray, " answers"] = self.characters >= self.short_chars
        return long

    @cached_property
    def long_pools(self) -> Bool[np.ndarray, " pools"]:
        """Which pools are long: the median answer is. Of an even number of answers it lies between the middle two."""
        sizes = np.bincount(self.pool)
        starts = np.cumsum(sizes) - sizes
        ordered = self.characters[np.lexsort((self.characters, self.pool))]
        medians = (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2]) / 2
        long: Bool[np.ndarray, " pools"] = medians >= self.short_chars
        return long

    def mostly_long(
        self, weight: Float64[np.ndarray, " answers"], counted: Bool[np.ndarray, " answers"] | None = None
    ) -> Bool[np.ndarray, " pools"]:
        """Where long answers hold more than half of a pool's weight. counted: the long answers that count; None: all."""
        long = self.long if counted is None else self.long & counted
        held = np.bincount(self.pool, weights=weight * long)
        most: Bool[np.ndarray, " pools"] = held > np.bincount(self.pool, weights=weight) / 2 + SLACK
        return most
