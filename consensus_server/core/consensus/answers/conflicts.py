"""Which answers of a pool contradict one another, as a sparse table of pairs."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import coo_array, csr_array, diags_array

from consensus_server.core.consensus.answers.pairs import Pairs
from consensus_server.core.contradictions.findings import HARD


@dataclass(frozen=True, slots=True)
class Conflicts:
    """What was found between the answers of a table, by their rows."""

    strength: csr_array
    """(answers, answers), 0..1, symmetric: of the finding between two answers; nothing is stored where there is none."""

    def at(self, rows: Int64[np.ndarray, " some"]) -> "Conflicts":
        """What was found between some rows."""
        return Conflicts(self.strength[rows][:, rows])

    def without(self, left_out: Bool[np.ndarray, " answers"]) -> "Conflicts":
        """What was found between the other rows."""
        kept = diags_array((~left_out).astype(np.float64))
        return Conflicts((kept @ self.strength @ kept).tocsr())

    @property
    def hard(self) -> csr_array:
        """1 where two answers cannot both be right."""
        return _where_hard(self.strength.tocoo()).tocsr()

    def hard_matrices(self, rows: Int64[np.ndarray, "pools size"]) -> Bool[np.ndarray, "pools size size"]:
        """Where two answers cannot both be right, for pools of one size whose answers stand in `rows`."""
        size = rows.shape[1]
        part = _where_hard(self.strength[rows.ravel()][:, rows.ravel()].tocoo())
        found = np.zeros((len(rows), size, size), dtype=bool)
        found[part.row // size, part.row % size, part.col % size] = True
        return found

    def hard_pairs(self, pairs: Pairs) -> Bool[np.ndarray, " pairs"]:
        """Where two answers cannot both be right, by pair. pairs: of the same answers."""
        part = _where_hard(self.strength.tocoo())
        found = np.zeros(len(pairs), dtype=bool)
        found[pairs.pair_of(part.row.astype(np.int64), part.col.astype(np.int64))] = True
        return found


def conflicts(
    left: Int64[np.ndarray, " findings"],
    right: Int64[np.ndarray, " findings"],
    strength: Float64[np.ndarray, " findings"],
    answers: int,
) -> Conflicts:
    """The table of findings between rows; each pair stands once in it."""
    both = np.concatenate([left, right]), np.concatenate([right, left])
    return Conflicts(coo_array((np.tile(strength, 2), both), shape=(answers, answers)).tocsr())


def _where_hard(strength: coo_array) -> coo_array:
    at = strength.data >= HARD
    return coo_array((np.ones(at.sum(), dtype=np.int64), (strength.row[at], strength.col[at])), shape=strength.shape)
