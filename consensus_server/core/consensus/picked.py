"""Pools with their picks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from consensus_server.core.consensus.answers.tally import Tally
from consensus_server.core.consensus.rules import Ballot


@dataclass(frozen=True, slots=True)
class Picked:
    """What a rule picked, and what the votes say: all that confidence and abstention see."""

    ballot: Ballot
    tally: Tally
    picks: Int64[np.ndarray, " pools"]
    """Row of each pool's pick."""
    score: Float64[np.ndarray, " answers"]
    """What the rule compared; -inf for an answer that it might not pick."""
    long: Bool[np.ndarray, " pools"]
    """Which pools are long and compared by meaning."""

    @property
    def labels(self) -> Int64[np.ndarray, " pools"]:
        """Cluster of each pool's pick."""
        labels: Int64[np.ndarray, " pools"] = self.ballot.clusters[self.picks]
        return labels

    @property
    def shares(self) -> Float64[np.ndarray, " pools"]:
        """Part of all votes that the pick's cluster has, 0..1."""
        shares: Float64[np.ndarray, " pools"] = self.tally.cluster_votes[self.labels] / self.tally.pool_votes
        return shares

    @property
    def support(self) -> Float64[np.ndarray, " pools"]:
        """Votes of the participants at least half of whose answers mean what the pick means."""
        support: Float64[np.ndarray, " pools"] = self.tally.support[self.labels]
        return support
