import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from consensus_server.core.consensus.answers.similarity import cosines, pairs_within, unit_vectors
from consensus_server.core.consensus.answers.table import Answers, first_members
from consensus_server.core.consensus.meaning.linkage import (
    BlockedNeighbours,
    average_linkage,
    components,
    connected_clusters,
    semantic_clusters,
)
from tests.support.rounds import no_conflicts

GOLDEN = Path(__file__).parents[6] / "shared" / "consensus"


def table(vectors, pool, content):
    """Answers of some pools that are told apart by nothing but their vectors and contents."""
    pools, names = int(pool.max()) + 1, tuple(f"{i:03}" for i in range(len(pool)))
    digests = tuple(map(str, content))
    return Answers(
        names, names[:pools], names[:pools], ("semantic",) * pools, np.arange(pools), pool, pool, np.arange(len(pool)),
        np.arange(len(pool)), content, digests, digests, vectors.astype(np.float32), unit_vectors(vectors.astype(np.float32)),
        no_conflicts(len(pool)),
    )  # fmt: skip


def random_cosines(pools, size, seed=0, spread=0.5):
    rng = np.random.default_rng(seed)
    meanings = rng.normal(size=(pools, 3, 16))
    chosen = np.take_along_axis(meanings, rng.integers(0, 3, (pools, size))[:, :, None], axis=1)
    vectors = (chosen + spread * rng.normal(size=(pools, size, 16))).astype(np.float32)
    return cosines(unit_vectors(vectors.reshape(-1, 16)).reshape(pools, size, 16))


def scipy_labels(cosine, distance):
    distances = squareform(np.clip(1 - cosine, 0, None) * (1 - np.eye(len(cosine))), checks=False)
    return first_members(
        fcluster(linkage(distances, method="average"), distance, criterion="distance").astype(np.int64)
    )


@pytest.mark.parametrize("size", [2, 3, 5, 8, 16, 33])
@pytest.mark.parametrize("distance", [0.1, 0.2, 0.4, 0.7, 1.2])
def test_the_batched_linkage_cuts_as_scipy_does(size, distance):
    cosine = random_cosines(40, size, seed=size)
    labels = average_linkage(cosine, np.full(40, 1 - distance))
    for pool, expected in zip(labels, cosine, strict=True):
        np.testing.assert_array_equal(pool, scipy_labels(expected, distance))


def test_every_pool_of_a_batch_is_cut_at_its_own_distance():
    cosine = random_cosines(30, 7)
    distances = np.linspace(0.05, 1.5, 30)
    batch = average_linkage(cosine, 1 - distances)
    for i in range(30):
        np.testing.assert_array_equal(average_linkage(cosine[i : i + 1], 1 - distances[i : i + 1])[0], batch[i])


def test_equal_distances_merge_the_first_members_first():
    # A chain: 0-1 and 1-2 equally close, 0-2 apart. 0 and 1 merge; then 2 is too far from them on average.
    chain = np.array([[[1, 0.8, 0.0], [0.8, 1, 0.8], [0.0, 0.8, 1]]])
    np.testing.assert_array_equal(average_linkage(chain, np.array([0.5])), [[0, 0, 2]])


@pytest.mark.parametrize(("distance", "expected"), [(0.2, [[0, 0]]), (0.199999, [[0, 1]])])
def test_a_pair_at_the_distance_is_within_it(distance, expected):
    np.testing.assert_array_equal(average_linkage(np.array([[[1, 0.8], [0.8, 1]]]), np.array([1 - distance])), expected)


def test_one_answer_is_one_cluster():
    np.testing.assert_array_equal(average_linkage(np.ones((2, 1, 1)), np.array([0.6, 0.8])), [[0], [0]])


def test_linkage_does_not_depend_on_the_block(monkeypatch):
    unit = unit_vectors(np.random.default_rng(3).normal(size=(60, 4)).astype(np.float32))
    answers = table(unit, np.repeat(np.arange(10), 6), np.arange(60))
    whole = semantic_clusters(answers, np.full(10, 0.6), BlockedNeighbours())
    monkeypatch.setattr("consensus_server.core.consensus.meaning.linkage._BLOCK_VALUES", 1)
    np.testing.assert_array_equal(semantic_clusters(answers, np.full(10, 0.6), BlockedNeighbours()), whole)


def linked_one_by_one(cosine, contradict, similarity):
    """The definition, without anything kept between steps: a merge is allowed while fewer than half of the pairs contradict."""
    clusters = [[i] for i in range(len(cosine))]
    while True:
        means = {
            (a, b): np.rint(1e6 * cosine[np.ix_(clusters[a], clusters[b])]).mean()
            for a in range(len(clusters)) for b in range(a + 1, len(clusters))
            if contradict[np.ix_(clusters[a], clusters[b])].mean() < 0.5
        }  # fmt: skip
        best = max(means, key=lambda pair: (means[pair], -pair[0], -pair[1]), default=None)
        if best is None or means[best] < np.rint(similarity * 1e6):
            return [min(each) for i in range(len(cosine)) for each in clusters if i in each]
        clusters[best[0]] += clusters.pop(best[1])


@pytest.mark.parametrize("share", [0, 0.1, 0.4, 0.8])
def test_clusters_of_which_half_the_pairs_contradict_do_not_merge(share):
    cosine = random_cosines(12, 9, seed=3)
    rng = np.random.default_rng(7)
    contradict = rng.random(cosine.shape) < share
    contradict = np.triu(contradict, 1) | np.triu(contradict, 1).transpose(0, 2, 1)
    labels = average_linkage(cosine, np.full(12, 0.5), contradict)
    for i in range(12):
        assert labels[i].tolist() == linked_one_by_one(cosine[i], contradict[i], 0.5)


def test_a_contradiction_keeps_two_apart_and_not_a_majority():
    alike = np.full((1, 3, 3), 0.9)
    contradict = np.zeros((1, 3, 3), dtype=bool)
    contradict[0, [0, 1], [1, 0]] = True
    np.testing.assert_array_equal(average_linkage(alike[:, :2, :2], np.array([0.5]), contradict[:, :2, :2]), [[0, 1]])
    # A third that contradicts neither joins the first; the second is then against half of the two, and stays out.
    np.testing.assert_array_equal(average_linkage(alike, np.array([0.5]), contradict), [[0, 1, 0]])
    contradict[:] = False
    contradict[0, [0, 2], [2, 0]] = True
    alike[0, [0, 1], [1, 0]] = 0.95  # of three that join 0, one is against it
    four = np.pad(alike, ((0, 0), (0, 1), (0, 1)), constant_values=0.9)
    against = np.pad(contradict, ((0, 0), (0, 1), (0, 1)))
    np.testing.assert_array_equal(average_linkage(four, np.array([0.5]), against), [[0, 0, 0, 0]])


def test_components_join_chains_and_name_them_by_their_first_member():
    np.testing.assert_array_equal(components(np.array([[1, 4], [2, 3], [4, 5]]), 7), [0, 1, 2, 2, 1, 1, 6])
    np.testing.assert_array_equal(components(np.empty((0, 2), np.int64), 3), [0, 1, 2])


def test_components_are_never_finer_than_average_linkage():
    vectors = np.random.default_rng(1).normal(size=(60, 6)).astype(np.float32)
    linked = average_linkage(cosines(unit_vectors(vectors)[None]), np.array([0.6]))[0]
    joined = components(pairs_within(vectors, 0.6), 60)
    assert len(set(joined.tolist())) < len(set(linked.tolist()))
    assert len({(a, b) for a, b in zip(linked.tolist(), joined.tolist(), strict=True)}) == len(set(linked.tolist()))


def test_copies_are_looked_up_once():
    class Counting:
        def pairs_within(self, vectors, similarity):
            self.looked_up = len(vectors)
            return pairs_within(vectors, similarity)

    vectors = np.eye(3, dtype=np.float32)[[0, 1, 0, 2, 1]]
    index = Counting()
    answers = table(vectors, np.zeros(5, dtype=np.int64), np.array([0, 1, 0, 2, 1]))
    labels = connected_clusters(answers, np.arange(5), 0.6, index)
    np.testing.assert_array_equal(labels, [0, 1, 0, 3, 1])
    assert index.looked_up == 3


def test_the_measured_pools_cluster_as_in_the_reference():
    if not GOLDEN.is_dir():
        pytest.skip("the measurements beside the project (../shared/consensus) are not here")
    spec = importlib.util.spec_from_file_location("consensus_reference", GOLDEN / "reference.py")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    chunk = np.load(GOLDEN / "golden.npz")["chunk"].astype(np.float32)
    cosine = cosines(unit_vectors(chunk.reshape(-1, chunk.shape[-1])).reshape(chunk.shape))
    labels = average_linkage(cosine, np.full(len(cosine), 0.6))
    for ours, matrix in zip(labels, cosine, strict=True):
        np.testing.assert_array_equal(ours, first_members(reference.average_linkage(matrix, 0.40).astype(np.int64)))
    assert len({len(set(pool.tolist())) for pool in labels}) > 3
