"""Close pairs by plain numpy: the reference that every other index must equal."""

import numpy as np
from jaxtyping import Float32, Int64

from consensus_server.core.consensus.similarity import pairs_within


class ExactNeighbours:
    """Compares every vector with every other, in blocks of 32 MiB."""

    def pairs_within(
        self, vectors: Float32[np.ndarray, "answers dimension"], similarity: float
    ) -> Int64[np.ndarray, "pairs 2"]:
        """See `ports.NeighbourIndex`."""
        return pairs_within(vectors, similarity)
