"""Other ways to find the meanings in a pool, by name, for ablations.

`average_linkage` is what decides rounds: exact, and the same on every machine. The others are cut by the same measure, the
policy's distance, and their arithmetic is scikit-learn's or FAISS's, in floating point: equal on one machine.
"""

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np
from jaxtyping import Float64, Int64

from consensus_server.core.consensus.answers.table import Answers, first_members
from consensus_server.core.consensus.meaning.equivalences import Meanings
from consensus_server.core.consensus.meaning.linkage import Neighbours, connected_clusters, semantic_clusters

Labels = Int64[np.ndarray, " texts"]

Unit = Float64[np.ndarray, "texts dimension"]

DEFAULT: Final = "average_linkage"

_STARTS: Final = 4
"""Starts of k-means, of which the best is kept."""


class UnknownClusterer(ValueError):  # noqa: N818 - named for what is wrong, as the errors of the core are
    """An ablation names a clusterer that does not exist."""


def _pool_by_pool(cluster: Callable[[Answers, Labels, float, Neighbours], Labels]) -> Meanings:
    """`cluster` (answers, rows of one pool, least cosine of one meaning, index), which names the first row, for each pool."""

    def meanings(answers: Answers, similarity: Float64[np.ndarray, " pools"], neighbours: Neighbours) -> Labels:
        clusters = np.empty(len(answers.pool), dtype=np.int64)
        for first, size, least in zip(answers.starts, answers.sizes, similarity.tolist(), strict=True):
            own = first + np.arange(size)
            clusters[own] = cluster(answers, own, least, neighbours)
        return clusters

    return meanings


def _of_texts(label: Callable[[Unit, float], Labels]) -> Meanings:
    """Copies of a text are one point, and follow it."""

    def cluster(answers: Answers, own: Labels, similarity: float, _neighbours: Neighbours) -> Labels:
        _, first, inverse = np.unique(answers.content[own], return_index=True, return_inverse=True)
        labels = label(answers.unit[own][first], similarity) if len(first) > 1 else np.zeros(1, int)
        clusters: Labels = own[first_members(labels[inverse])]
        return clusters

    return _pool_by_pool(cluster)


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
    from sklearn.cluster import HDBSCAN  # noqa: PLC0415 - slow to import, and for ablations only

    epsilon = float(np.sqrt(max(0.0, 2 * (1 - similarity))))  # unit vectors: squared distance is 2 (1 - cosine)
    found = HDBSCAN(
        min_cluster_size=2, min_samples=1, cluster_selection_epsilon=epsilon, allow_single_cluster=True, copy=True
    )
    labels: Labels = found.fit_predict(unit).astype(np.int64)
    return np.where(labels < 0, len(unit) + np.arange(len(unit)), labels)


CLUSTERERS: Final[Mapping[str, Meanings]] = MappingProxyType(
    {
        DEFAULT: semantic_clusters,
        "components": _pool_by_pool(connected_clusters),
        "hdbscan": _of_texts(_hdbscan),
        "kmeans": _of_texts(_fewest(_kmeans)),
        "kmeans_faiss": _of_texts(_fewest(_kmeans_faiss)),
    }
)


def clusterer_named(name: str) -> Meanings:
    """The clusterer of that name. Raises UnknownClusterer, which lists the known ones."""
    if name not in CLUSTERERS:
        raise UnknownClusterer(f"There is no clusterer named {name!r}. Known: {', '.join(CLUSTERERS)}.")
    return CLUSTERERS[name]
