"""Answers that mean the same, pool by pool.

Up to `FULL_MATRIX_ANSWERS` a pool is clustered by average linkage on its full cosine matrix, all pools of one size
together. Beyond, the matrix would not fit, and the clusters are the connected components of the graph that joins
answers within the distance. That is single linkage: a chain of close answers becomes one cluster even where its ends
lie further apart than the distance, so clusters are never finer than those of average linkage cut there would be. Contradictions
forbid nothing there.
"""

from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from consensus_server.core.consensus.answers.pairs import FULL_MATRIX_ANSWERS
from consensus_server.core.consensus.answers.similarity import cosines, pairs_within
from consensus_server.core.consensus.answers.table import Answers, first_members
from consensus_server.core.consensus.rounding import DECIMALS

_BLOCK_VALUES: Final = 2**22
"""Most cosines held at once: 32 MiB."""


@runtime_checkable  # the tests check types as they run
class Neighbours(Protocol):
    """What the core asks of `ports.NeighbourIndex`."""

    def pairs_within(
        self, vectors: Float32[np.ndarray, "answers dimension"], similarity: float
    ) -> Int64[np.ndarray, "pairs 2"]:
        """All pairs i < j with cosine at least `similarity` (-1..1), sorted."""
        ...


class BlockedNeighbours:
    """The search used when the caller brings no index, and what every index must equal: exact, in blocks of 32 MiB."""

    def pairs_within(
        self, vectors: Float32[np.ndarray, "answers dimension"], similarity: float
    ) -> Int64[np.ndarray, "pairs 2"]:
        return pairs_within(vectors, similarity)


@dataclass(slots=True)
class _Merging:
    """Clusters of many pools while they merge; a cluster stands at its first member."""

    sums: Float64[np.ndarray, "pools size size"]
    """Sum of the cosines between two clusters, in millionths: whole numbers, so never rounded."""
    against: Float64[np.ndarray, "pools size size"]
    """Pairs of answers of two clusters that contradict one another."""
    counts: Float64[np.ndarray, "pools size"]
    """Answers in each cluster; 0 in one that is gone."""
    means: Float64[np.ndarray, "pools size size"]
    """`sums` over the number of pairs; -inf where two clusters may not merge: a cluster with itself or with one that is gone,
    and where at least half of the pairs contradict."""


def average_linkage(
    cosine: Float64[np.ndarray, "pools size size"],
    similarity: Float64[np.ndarray, " pools"],
    contradict: Bool[np.ndarray, "pools size size"] | None = None,
) -> Int64[np.ndarray, "pools size"]:
    """Cluster of each answer, named by its first member; merges go on while the mean cosine is at least `similarity`.

    The Lance-Williams update of average linkage (UPGMA), kept as sums: the similarity of two clusters is the sum of
    the cosines between them over the number of pairs, and a merge adds sums. Cosines enter as whole millionths, so
    sums are exact and equal means are equal numbers; among them the pair with the first members wins.

    Two clusters do not merge while at least half of the pairs between them contradict. (Forbidding a merge for any one pair
    that does costs three times as many labels, and separates no better: docs/contradictions.md.)
    """
    merging = _begin(cosine, np.zeros(cosine.shape, dtype=bool) if contradict is None else contradict)
    threshold = np.rint(similarity * 10**DECIMALS)
    labels = np.tile(np.arange(cosine.shape[1]), (len(cosine), 1))
    for _ in range(cosine.shape[1] - 1):
        pools, kept, gone = _closest(merging.means, threshold)
        if not len(pools):
            break
        _merge(merging, pools, kept, gone)
        labels[pools] = np.where(labels[pools] == gone[:, None], kept[:, None], labels[pools])
    return labels


def _begin(cosine: Float64[np.ndarray, "pools size size"], contradict: Bool[np.ndarray, "pools size size"]) -> _Merging:
    """Every answer a cluster of its own."""
    sums = np.rint(cosine * 10**DECIMALS)
    means = np.where(contradict, -np.inf, sums)
    everyone = np.arange(means.shape[1])
    means[:, everyone, everyone] = -np.inf
    return _Merging(sums, contradict.astype(np.float64), np.ones(cosine.shape[:2]), means)


def _closest(
    means: Float64[np.ndarray, "pools size size"], threshold: Float64[np.ndarray, " pools"]
) -> tuple[Int64[np.ndarray, " merging"], Int64[np.ndarray, " merging"], Int64[np.ndarray, " merging"]]:
    """The pools that merge once more, and the closest two clusters in each, the one with the first member first."""
    size = means.shape[1]
    flat = means.reshape(len(means), size * size)
    best = flat.argmax(axis=1)
    pools = np.flatnonzero(flat[np.arange(len(flat)), best] >= threshold)
    kept, gone = np.divmod(best[pools], size)
    return pools, kept, gone


def _merge(
    merging: _Merging,
    pools: Int64[np.ndarray, " merging"],
    kept: Int64[np.ndarray, " merging"],
    gone: Int64[np.ndarray, " merging"],
) -> None:
    """Add cluster `gone` to cluster `kept` in each of `pools`, in place."""
    counts, means = merging.counts, merging.means
    joined, against = (_joined(table, pools, kept, gone) for table in (merging.sums, merging.against))
    counts[pools, kept] += counts[pools, gone]
    counts[pools, gone] = 0
    means[pools, gone], means[pools, :, gone] = -np.inf, -np.inf
    possible = counts[pools, kept, None] * counts[pools]
    may_merge = (2 * against < possible) & (np.arange(means.shape[1]) != kept[:, None])
    mean = np.where(may_merge, joined / np.maximum(possible, 1), -np.inf)
    means[pools, kept], means[pools, :, kept] = mean, mean


def _joined(
    table: Float64[np.ndarray, "pools size size"],
    pools: Int64[np.ndarray, " merging"],
    kept: Int64[np.ndarray, " merging"],
    gone: Int64[np.ndarray, " merging"],
) -> Float64[np.ndarray, "merging size"]:
    """The sums of `gone` added to those of `kept`, in place; the new sums."""
    joined: Float64[np.ndarray, "merging size"] = table[pools, kept] + table[pools, gone]
    table[pools, kept], table[pools, :, kept] = joined, joined
    return joined


def components(pairs: Int64[np.ndarray, "pairs 2"], size: int) -> Int64[np.ndarray, " size"]:
    """Cluster of each of `size` answers, named by its first member: the connected components of the graph of pairs."""
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    return first_members(labels.astype(np.int64))


def semantic_clusters(
    answers: Answers, similarity: Float64[np.ndarray, " pools"], neighbours: Neighbours
) -> Int64[np.ndarray, " answers"]:
    """Cluster of each answer, named by its first row. similarity: least mean cosine within a cluster, by pool, -1..1.

    Average linkage; in pools of more than `FULL_MATRIX_ANSWERS` answers the connected components.
    """
    clusters = np.empty(len(answers.pool), dtype=np.int64)
    for size in np.unique(answers.sizes).tolist():
        pools = np.flatnonzero(answers.sizes == size)
        rows = answers.starts[pools][:, None] + np.arange(size)
        if size <= FULL_MATRIX_ANSWERS:
            clusters[rows] = _linked(answers, rows, similarity[pools])
            continue
        for pool, own in zip(pools.tolist(), rows, strict=True):
            clusters[own] = connected_clusters(answers, own, float(similarity[pool]), neighbours)
    return clusters


def _linked(
    answers: Answers, rows: Int64[np.ndarray, "pools size"], similarity: Float64[np.ndarray, " pools"]
) -> Int64[np.ndarray, "pools size"]:
    """Average linkage of the pools whose answers stand in `rows`."""
    step = max(1, _BLOCK_VALUES // rows.shape[1] ** 2)
    parts = [slice(first, first + step) for first in range(0, len(rows), step)]
    labels = [
        average_linkage(
            cosines(answers.unit[rows[part]]), similarity[part], answers.conflicts.hard_matrices(rows[part])
        )
        for part in parts
    ]
    return np.take_along_axis(rows, np.concatenate(labels), axis=1)


def connected_clusters(
    answers: Answers, own: Int64[np.ndarray, " size"], similarity: float, neighbours: Neighbours
) -> Int64[np.ndarray, " size"]:
    """Connected components of the pool whose rows are `own`: the graph joins answers at least this similar.

    Copies of a text are looked up once: a thousand give no million pairs.
    """
    _, first, inverse = np.unique(answers.content[own], return_index=True, return_inverse=True)
    pairs = neighbours.pairs_within(answers.vectors[own][first], similarity)
    clusters: Int64[np.ndarray, " size"] = own[first_members(components(pairs, len(first))[inverse])]
    return clusters
