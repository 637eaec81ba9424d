"""Clusterers by name: what each makes of pools whose meanings are plain, and of those that have none."""

import hashlib

import numpy as np
import pytest

from consensus_server.core.consensus import Policy, Pool
from consensus_server.core.consensus.answers.table import read
from consensus_server.core.consensus.meaning.equivalences import least_similarity
from consensus_server.core.consensus.meaning.linkage import BlockedNeighbours
from consensus_server.evaluation.clusterers import CLUSTERERS, UnknownClusterer, clusterer_named


@pytest.fixture
def make_pool():
    """make_pool(vectors, participants=None, texts=None): one answer per vector, each of a participant of its own."""

    def make(vectors, participants=None, texts=None):
        vectors = np.asarray(vectors, dtype=np.float32)
        texts = texts or [f"{i} ".ljust(100, "x") for i in range(len(vectors))]
        digests = tuple(hashlib.sha256(text.encode()).hexdigest() for text in texts)
        participants = participants or [f"site-{i}" for i in range(len(vectors))]
        return Pool("p", tuple(participants), (0,) * len(texts), tuple(texts), digests, vectors)

    return make


def near(meaning, number, spread=0.1):
    """A vector close to axis `meaning`: answers of one meaning have a cosine of about .99."""
    rng = np.random.default_rng([meaning, number])
    vector = np.eye(8)[meaning] + spread * rng.normal(size=8) / np.sqrt(8)
    return vector / np.linalg.norm(vector)


def clusters(pool, name, **policy):
    answers = read([pool])
    found = clusterer_named(name)(answers, least_similarity(answers, Policy(**policy)), BlockedNeighbours())
    return {
        frozenset(pool.participants[i] for i in answers.places[found == cluster]) for cluster in set(found.tolist())
    }


@pytest.mark.parametrize("name", CLUSTERERS)
def test_two_meanings_and_a_stray_are_three_clusters(name, make_pool):
    pool = make_pool([*(near(0, i) for i in range(4)), *(near(1, i) for i in range(3)), near(2, 0)])
    assert clusters(pool, name) == {
        frozenset(f"site-{i}" for i in range(4)),
        frozenset(f"site-{i}" for i in range(4, 7)),
        frozenset({"site-7"}),
    }


@pytest.mark.parametrize("name", CLUSTERERS)
def test_the_order_of_answers_does_not_matter(name, make_pool):
    vectors = np.array([near(i % 3, i, spread=0.8) for i in range(9)])
    texts = [f"answer {i} ".ljust(100, "x") for i in range(9)]
    names = [f"site-{i}" for i in range(9)]
    order = np.random.default_rng(1).permutation(9)
    shuffled = make_pool(vectors[order], [names[i] for i in order], [texts[i] for i in order])
    assert clusters(shuffled, name) == clusters(make_pool(vectors, names, texts), name)


@pytest.mark.parametrize("name", CLUSTERERS)
def test_copies_of_a_text_are_together(name, make_pool):
    texts = [text.ljust(100, "x") for text in ("one ", "one ", "two ", "three ", "two ")]
    vectors = [near(["one", "two", "three"].index(text.split()[0]), 0, spread=0.9) for text in texts]
    found = clusters(make_pool(vectors, texts=texts), name)
    together = {
        name: next(i for i, cluster in enumerate(found) if name in cluster) for name in map("site-{}".format, range(5))
    }
    assert together["site-0"] == together["site-1"]
    assert together["site-2"] == together["site-4"]


@pytest.mark.parametrize("name", CLUSTERERS)
@pytest.mark.parametrize(
    ("vectors", "sizes"),
    [([near(0, 0)], [1]), ([near(0, 0), near(1, 0)], [1, 1]), ([near(0, 0)] * 5, [5]), (np.eye(6), [1] * 6)],
    ids=["one", "two apart", "all the same", "all orthogonal"],
)
def test_pools_with_nothing_to_divide(name, vectors, sizes, make_pool):
    texts = ["the same ".ljust(100, "x")] * len(vectors) if sizes == [5] else None
    assert sorted(map(len, clusters(make_pool(vectors, texts=texts), name))) == sizes


@pytest.mark.parametrize("distance", [0.1, 0.3, 0.6])
def test_means_of_kmeans_clusters_keep_to_the_distance(distance, make_pool):
    vectors = np.array([near(i % 3, i, spread=1.5) for i in range(12)])
    pool = make_pool(vectors)
    for cluster in clusters(pool, "kmeans", distance_long=distance):
        own = pool.vectors[[pool.participants.index(name) for name in cluster]].astype(float)
        cosine = (own @ own.T)[~np.eye(len(own), dtype=bool)]
        assert not len(cosine) or cosine.mean() >= 1 - distance - 1e-6


def test_a_chain_is_one_component_and_several_of_average_linkage(make_pool):
    angles = np.arange(6) * 0.5
    pool = make_pool(np.stack([np.cos(angles), np.sin(angles)], axis=1))
    assert len(clusters(pool, "components")) == 1
    assert len(clusters(pool, "average_linkage")) > 1


def test_an_unknown_name_is_told_with_the_known_ones():
    with pytest.raises(UnknownClusterer, match=r"'spectral'.*average_linkage, components, hdbscan, kmeans"):
        clusterer_named("spectral")
