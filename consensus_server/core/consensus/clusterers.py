"""How the meanings in a pool are found, by name.

`average_linkage` decides rounds: exact, and the same on every machine. The others are for ablations. They are cut by the
same measure, the policy's distance, and their arithmetic is scikit-learn's or FAISS's, in floating point: equal on one machine.
"""

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.answers import Answers
from consensus_server.core.consensus.clustering import (
    FULL_MATRIX_ANSWERS,
    Neighbours,
    component_clusters,
    first_members,
    linkage_clusters,
)
from consensus_server.core.consensus.errors import UnknownClusterer

Clusterer = Callable[[Answers, Float64[np.ndarray, " pools"], Neighbours], Int64[np.ndarray, " answers"]]
"""(answers, least similarity by pool, -1..1, index) to the cluster of each answer, named by its first row."""

Unit = Float64[np.ndarray, "texts dimension"]
Labels = Int64[np.ndarray, " texts"]

_STARTS: Final = 4
"""Starts of k-means, of which the best is kept."""


def average_linkage(
    answers: Answers, similarity: Float64[np.ndarray, " pools"], neighbours: Neighbours
) -> Int64[np.ndarray, " answers"]:
    """Average linkage (UPGMA); in pools above `FULL_MATRIX_ANSWERS` the connected components."""
    starts, sizes = answers.starts, answers.sizes
    clusters = np.empty(len(answers.pool), dtype=np.int64)
    for size in np.unique(sizes).tolist():
        pools = np.flatnonzero(sizes == size)
        rows = starts[pools][:, None] + np.arange(size)
        if size <= FULL_MATRIX_ANSWERS:
            clusters[rows] = linkage_clusters(answers.unit, rows, similarity[pools])
            continue
        for pool, own in zip(pools.tolist(), rows, strict=True):
            clusters[own] = _components(answers, own, float(similarity[pool]), neighbours)
    return clusters


def components(
    answers: Answers, similarity: Float64[np.ndarray, " pools"], neighbours: Neighbours
) -> Int64[np.ndarray, " answers"]:
    """Connected components of the graph that joins answers at least this similar, in pools of every size."""
    clusters = np.empty(len(answers.pool), dtype=np.int64)
    for pool, own in enumerate(_rows_by_pool(answers)):
        clusters[own] = _components(answers, own, float(similarity[pool]), neighbours)
    return clusters


def _components(
    answers: Answers, own: Int64[np.ndarray, " size"], similarity: float, neighbours: Neighbours
) -> Int64[np.ndarray, " size"]:
    named: Int64[np.ndarray, " size"] = own[
        component_clusters(answers.vectors[own], answers.content[own], similarity, neighbours)
    ]
    return named


def _rows_by_pool(answers: Answers) -> list[Int64[np.ndarray, " size"]]:
    return [start + np.arange(size) for start, size in zip(answers.starts, answers.sizes, strict=True)]


def _pool_by_pool(label: Callable[[Unit, float], Labels]) -> Clusterer:
    """Each pool by itself. Copies of a text are one point, and follow it."""

    def cluster(
        answers: Answers, similarity: Float64[np.ndarray, " pools"], _neighbours: Neighbours
    ) -> Int64[np.ndarray, " answers"]:
        clusters = np.empty(len(answers.pool), dtype=np.int64)
        for pool, own in enumerate(_rows_by_pool(answers)):
            _, first, inverse = np.unique(answers.content[own], return_index=True, return_inverse=True)
            labels = label(answers.unit[own][first], float(similarity[pool])) if len(first) > 1 else np.zeros(1, int)
            clusters[own] = own[first_members(labels[inverse])]
        return clusters

    return cluster


def _fewest(split: Callable[[Unit, int], Labels]) -> Callable[[Unit, float], Labels]:
    """`split` into the fewest clusters in each of which the mean cosine of two members reaches the least similarity."""

    def label(unit: Unit, similarity: float) -> Labels:
        for count in range(1, len(unit)):
            labels = split(unit, count)
            if _tight(unit, labels, similarity):
                return labels
        return np.arange(len(unit))

    return label


def _kmeans(unit: Unit, count: int) -> Labels:
    """k-means (Lloyd) by scikit-learn."""
    from sklearn.cluster import KMeans  # noqa: PLC0415 - slow to import, and for ablations only
    from threadpoolctl import threadpool_limits  # noqa: PLC0415 - of scikit-learn

    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer distinct vectors than clusters
        labels: Labels = KMeans(count, n_init=_STARTS, random_state=0).fit_predict(unit).astype(np.int64)
    return labels


def _kmeans_faiss(unit: Unit, count: int) -> Labels:
    """Spherical k-means by FAISS, in single precision: means are put back on the sphere."""
    import faiss  # noqa: PLC0415 - heavy, and for ablations only

    vectors = unit.astype(np.float32)
    fitted = faiss.Kmeans(unit.shape[1], count, nredo=_STARTS, seed=1, spherical=True, min_points_per_centroid=1)
    fitted.train(vectors)
    labels: Labels = fitted.index.search(vectors, 1)[1].ravel().astype(np.int64)
    return labels


def _tight(unit: Unit, labels: Labels, similarity: float) -> bool:
    """Whether in each cluster the mean cosine of two different members is at least `similarity`."""
    counts = np.bincount(labels)
    sums = np.zeros((len(counts), unit.shape[1]))
    np.add.at(sums, labels, unit)
    own = np.bincount(labels, weights=(unit**2).sum(axis=1))
    pairs = counts * (counts - 1)
    return bool(((sums**2).sum(axis=1) - own >= similarity * pairs - 1e-9).all())


def _hdbscan(unit: Unit, similarity: float) -> Labels:
    """HDBSCAN (Campello et al., PAKDD 2013); clusters closer than the cut are one, and noise stands alone."""
    from sklearn.cluster import HDBSCAN  # noqa: PLC0415 - as above

    epsilon = float(np.sqrt(max(0.0, 2 * (1 - similarity))))  # unit vectors: squared distance is 2 (1 - cosine)
    found = HDBSCAN(
        min_cluster_size=2, min_samples=1, cluster_selection_epsilon=epsilon, allow_single_cluster=True, copy=True
    )
    labels: Labels = found.fit_predict(unit).astype(np.int64)
    return np.where(labels < 0, len(unit) + np.arange(len(unit)), labels)


CLUSTERERS: Final[Mapping[str, Clusterer]] = MappingProxyType(
    {
        "average_linkage": average_linkage,
        "components": components,
        "hdbscan": _pool_by_pool(_hdbscan),
        "kmeans": _pool_by_pool(_fewest(_kmeans)),
        "kmeans_faiss": _pool_by_pool(_fewest(_kmeans_faiss)),
    }
)


def clusterer_named(name: str) -> Clusterer:
    """The clusterer of that name. Raises UnknownClusterer, which lists the known ones."""
    if name not in CLUSTERERS:
        raise UnknownClusterer(name, CLUSTERERS)
    return CLUSTERERS[name]
