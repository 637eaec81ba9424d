"""Close pairs by FAISS, byte for byte those of the exact search.

FAISS computes inner products in float32, in an order of its own. A pair whose product lies further from the
threshold than float32 can err is settled; the few others are computed again, exactly.
"""

from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from consensus_server.core.consensus.answers.similarity import row_cosines, unit_vectors
from consensus_server.core.consensus.rounding import DECIMALS

_ROWS_AT_ONCE = 1024
"""Queries per call: bounds the memory of one answer of FAISS to 12 bytes x 1,024 x answers."""

_PAIRS_AT_ONCE = 2**14
"""Pairs whose cosines are computed again at once."""


def _faiss() -> ModuleType:
    try:
        import faiss  # noqa: PLC0415 - heavy, and only needed here
    except ImportError as error:
        raise ImportError(
            "FAISS is not installed. Install it with: pip install 'semantic-consensus[server]'"
        ) from error
    module: ModuleType = faiss
    return module


class FaissNeighbours:
    """`IndexFlatIP` with a range search. Raises ImportError with the extra to install where FAISS is missing."""

    def __init__(self) -> None:
        self._faiss = _faiss()

    def pairs_within(
        self, vectors: Float32[np.ndarray, "answers dimension"], similarity: float
    ) -> Int64[np.ndarray, "pairs 2"]:
        """See `ports.NeighbourIndex`."""
        unit = unit_vectors(vectors)
        single = np.ascontiguousarray(unit, dtype=np.float32)
        index = self._faiss.IndexFlatIP(single.shape[1])
        index.add(single)
        found = [
            _pairs_of_rows(index, single, unit, first, similarity) for first in range(0, len(single), _ROWS_AT_ONCE)
        ]
        return np.concatenate([np.empty((0, 2), np.int64), *found])


def float32_error(dimension: int) -> float:
    """More than an inner product of unit vectors can be off in float32, whatever the order of summing.

    Higham, Accuracy and Stability of Numerical Algorithms, section 3.1: dimension x 2^-24 for the sum; doubled, with
    room for the rounding of both vectors and of the exact cosine to six decimals.
    """
    return float((dimension + 16) * 2.0**-23)


def _pairs_of_rows(
    index: Any,  # noqa: ANN401 - FAISS has no types
    single: Float32[np.ndarray, "answers dimension"],
    unit: Float64[np.ndarray, "answers dimension"],
    first: int,
    similarity: float,
) -> Int64[np.ndarray, "pairs 2"]:
    """The sorted pairs whose smaller index lies in the block that begins at `first`."""
    error = float32_error(single.shape[1])
    limits, products, others = index.range_search(single[first : first + _ROWS_AT_ONCE], similarity - error)
    rows = first + np.repeat(np.arange(len(limits) - 1), np.diff(limits.astype(np.int64)))
    ahead = others > rows
    pairs = np.stack([rows[ahead], others[ahead]], axis=1)
    sure = products[ahead] > similarity + error
    sure[~sure] = _close(unit, pairs[~sure], similarity)
    pairs = pairs[sure]
    ordered: Int64[np.ndarray, "pairs 2"] = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    return ordered


def _close(
    unit: Float64[np.ndarray, "answers dimension"], pairs: Int64[np.ndarray, "pairs 2"], similarity: float
) -> Bool[np.ndarray, " pairs"]:
    """Whether the exact cosine of each pair is at least `similarity`."""
    verdict = np.empty(len(pairs), dtype=bool)
    for first in range(0, len(pairs), _PAIRS_AT_ONCE):
        block = slice(first, first + _PAIRS_AT_ONCE)
        left, right = pairs[block].T
        verdict[block] = row_cosines(unit[left], unit[right]) >= round(similarity, DECIMALS)
    return verdict
